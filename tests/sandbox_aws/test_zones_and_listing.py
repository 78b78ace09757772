"""Hosted zones, listings and their pages, change status, quotas of Route 53."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault

Change = Callable[..., Any]


def code_of(send: Callable[[], Any]) -> str:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value.code


def test_a_new_public_zone_has_ns_and_soa(aws: LocalAws) -> None:
    """Page "SOA and NS records that Amazon Route 53 creates for a public hosted zone"."""
    made = aws.route53("CreateHostedZone", Name="Example.ORG", CallerReference="r1")
    servers = made["DelegationSet"]["NameServers"]
    assert len(set(servers)) == 4
    zone_id = made["HostedZone"]["Id"]
    sets = aws.route53("ListResourceRecordSets", HostedZoneId=zone_id)["ResourceRecordSets"]
    assert [(each["Name"], each["Type"], each["TTL"]) for each in sets] == [
        ("example.org.", "NS", 172800),
        ("example.org.", "SOA", 900),
    ]
    assert sets[0]["ResourceRecords"] == [{"Value": f"{server}."} for server in servers]
    assert sets[1]["ResourceRecords"][0]["Value"].endswith(" 1 7200 900 1209600 86400")
    again = partial(aws.route53, "CreateHostedZone", Name="example.org", CallerReference="r1")
    assert code_of(again) == "HostedZoneAlreadyExists"


def test_twin_zones_have_different_delegation_sets(aws: LocalAws) -> None:
    """API_CreateHostedZone: several zones may have one name; each gets its own four name servers."""
    names = ["twin.example", "a.example", "b.example", "c.example", "twin.example", "twin.example"]
    made = [
        aws.route53("CreateHostedZone", Name=name, CallerReference=f"r{number}")
        for number, name in enumerate(names)
    ]
    sets = [
        tuple(each["DelegationSet"]["NameServers"])
        for each in made
        if each["HostedZone"]["Name"] == "twin.example."
    ]
    assert len(set(sets)) == 3


def test_only_an_empty_zone_can_be_deleted(aws: LocalAws, zone: str, change: Change) -> None:
    """API_DeleteHostedZone, HostedZoneNotEmpty."""
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    assert code_of(lambda: aws.route53("DeleteHostedZone", Id=zone)) == "HostedZoneNotEmpty"
    change(("DELETE", "a.example.com", "A", "192.0.2.1"))
    aws.route53("DeleteHostedZone", Id=f"/hostedzone/{zone}")
    assert code_of(lambda: aws.route53("GetHostedZone", Id=zone)) == "NoSuchHostedZone"


def test_zones_come_in_pages_of_100_with_their_counts(aws: LocalAws, zone: str, change: Change) -> None:
    """API_ListHostedZones: MaxItems at most 100, NextMarker, ResourceRecordSetCount."""
    route53 = aws.model.account().route53
    for number in range(120):
        route53.add_zone(f"z{number}.example", private=number % 2 == 0)
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    seen: list[dict[str, Any]] = []
    marker: dict[str, Any] = {}
    while True:
        page = aws.route53("ListHostedZones", MaxItems="1000", **marker)
        assert len(page["HostedZones"]) <= 100
        seen += page["HostedZones"]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert len({each["Id"] for each in seen}) == 121
    counts = {each["Name"]: each["ResourceRecordSetCount"] for each in seen}
    assert counts["example.com."] == 3
    assert sum(each["Config"]["PrivateZone"] for each in seen) == 60


def test_by_name_is_a_start_and_no_filter(aws: LocalAws) -> None:
    """API_ListHostedZonesByName: ASCII order of reversed labels from DNSName on, twins side by side."""
    route53 = aws.model.account().route53
    for name in ("b.example", "a.example", "sub.a.example", "c.example"):
        route53.add_zone(name)
    route53.add_zone("b.example", private=True)
    page = aws.route53("ListHostedZonesByName", DNSName="b.example", MaxItems="2")
    assert [each["Name"] for each in page["HostedZones"]] == ["b.example.", "b.example."]
    assert page["IsTruncated"]
    rest = aws.route53(
        "ListHostedZonesByName", DNSName=page["NextDNSName"], HostedZoneId=page["NextHostedZoneId"]
    )
    assert [each["Name"] for each in rest["HostedZones"]] == ["c.example."]
    everything = aws.route53("ListHostedZonesByName")
    assert [each["Name"] for each in everything["HostedZones"]][:2] == ["a.example.", "sub.a.example."]


def test_linked_service_zones_are_shown_and_not_editable(aws: LocalAws, change: Change) -> None:
    """API_HostedZone, LinkedService: created by another service, which alone may edit it."""
    made = aws.model.account().route53.add_zone("svc.example", linked_service="cloudmap.amazonaws.com")
    shown = aws.route53("GetHostedZone", Id=made.id)["HostedZone"]
    assert shown["LinkedService"]["ServicePrincipal"] == "cloudmap.amazonaws.com"
    assert code_of(lambda: change(("CREATE", "a.svc.example", "A", "192.0.2.1"), zone_id=made.id)) == (
        "AccessDenied"
    )


def test_record_sets_are_ordered_by_reversed_labels_and_paged(
    aws: LocalAws, zone: str, change: Change
) -> None:
    """API_ListResourceRecordSets: order, at most 300 a page, StartRecordName/Type from the Next fields."""
    change(*[("CREATE", f"n{number:03}.example.com", "A", "192.0.2.1") for number in range(400)])
    change(("CREATE", "n000.example.com", "TXT", '"x"'), ("CREATE", "a.n001.example.com", "A", "192.0.2.1"))
    change(("CREATE", "*.example.com", "A", "192.0.2.1"), ("CREATE", "n0-0.example.com", "A", "192.0.2.1"))
    seen: list[tuple[str, str]] = []
    start: dict[str, Any] = {}
    pages = 0
    while True:
        page = aws.route53("ListResourceRecordSets", HostedZoneId=zone, MaxItems="999", **start)
        pages += 1
        seen += [(each["Name"], each["Type"]) for each in page["ResourceRecordSets"]]
        if not page["IsTruncated"]:
            break
        start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
    assert pages == 2
    assert len(seen) == len(set(seen)) == 406
    assert seen[:7] == [
        ("example.com.", "NS"),
        ("example.com.", "SOA"),
        ("\\052.example.com.", "A"),
        ("n0-0.example.com.", "A"),
        ("n000.example.com.", "A"),
        ("n000.example.com.", "TXT"),
        ("n001.example.com.", "A"),
    ]
    assert seen[7] == ("a.n001.example.com.", "A")


def test_a_point_look_up_returns_the_next_name_when_absent(aws: LocalAws, zone: str, change: Change) -> None:
    """API_ListResourceRecordSets: the first set "that has a name greater than or equal"."""
    change(("CREATE", "b.example.com", "A", "192.0.2.1"))
    page = aws.route53(
        "ListResourceRecordSets", HostedZoneId=zone, StartRecordName="a.example.com", MaxItems="1"
    )
    assert page["ResourceRecordSets"][0]["Name"] == "b.example.com."
    for bad in ({"StartRecordType": "A"}, {"StartRecordName": "a", "StartRecordIdentifier": "x"}):
        send = partial(aws.route53, "ListResourceRecordSets", HostedZoneId=zone, **bad)
        assert code_of(send) == "InvalidInput"


def test_a_change_is_listed_at_once_and_insync_later(aws: LocalAws, zone: str, change: Change) -> None:
    """API_GetChange: PENDING until all authoritative servers have it, then INSYNC for good."""
    info = change(("CREATE", "a.example.com", "A", "192.0.2.1"))["ChangeInfo"]
    assert info["Status"] == "PENDING"
    page = aws.route53("ListResourceRecordSets", HostedZoneId=zone, StartRecordName="a.example.com")
    assert page["ResourceRecordSets"][0]["Name"] == "a.example.com."
    aws.clock.advance(29)
    assert aws.route53("GetChange", Id=info["Id"])["ChangeInfo"]["Status"] == "PENDING"
    aws.clock.advance(1)
    assert aws.route53("GetChange", Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC"
    assert code_of(lambda: aws.route53("GetChange", Id="C0UNKNOWN")) == "NoSuchChange"


def test_request_rate_is_50_then_10_a_second(aws: LocalAws, zone: str) -> None:
    """Page "Throttling for Amazon Route 53 API requests": account bucket 50, refill 10 a second."""
    for number in range(50):
        aws.route53(
            "ListHostedZones" if number % 2 else "GetHostedZone", **({} if number % 2 else {"Id": zone})
        )
    with pytest.raises(AwsFault) as caught:
        aws.route53("GetHostedZone", Id=zone)
    assert (caught.value.code, caught.value.message, caught.value.status) == (
        "Throttling",
        "Rate exceeded",
        400,
    )
    aws.clock.advance(0.5)
    for _ in range(5):
        aws.route53("GetHostedZone", Id=zone)
    assert code_of(lambda: aws.route53("GetHostedZone", Id=zone)) == "Throttling"
    assert aws.model.log.counts()["route53:GetHostedZone:Throttling"] == 2


def test_change_throughput_is_1500_then_100_a_second(change: Change) -> None:
    """Same page: burst 1,500 changes, 100 a second; UPSERT costs 2."""
    change(*[("CREATE", f"a{number}.example.com", "A", "192.0.2.1") for number in range(1000)])
    more = [("UPSERT", f"b{number}.example.com", "A", "192.0.2.1") for number in range(400)]
    assert code_of(lambda: change(*more)) == "Throttling"  # 800 > 500 + 100 a second
    change(*more[:300])
