"""What the name servers serve, and when: the read interface for DNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import Settings
from sandbox.aws.model.publish import NameAnswer, Publisher

Change = Callable[..., Any]


@pytest.fixture
def dns(aws: LocalAws) -> Publisher:
    return Publisher(aws.model)


def serving(aws: LocalAws, zone: str, name: str) -> list[bool]:
    publisher = Publisher(aws.model)
    servers = aws.model.zone(zone).name_servers
    return ["A" in publisher.lookup(zone, server, name).rrsets for server in servers]


def test_each_server_has_its_own_lag_and_all_come_before_insync(
    aws: LocalAws, zone: str, change: Change
) -> None:
    """API_GetChange: INSYNC = "propagated to all Route 53 authoritative DNS servers"."""
    change_id = change(("CREATE", "a.example.com", "A", "192.0.2.1"))["ChangeInfo"]["Id"]
    counts = []
    for _ in range(30):
        counts.append(sum(serving(aws, zone, "a.example.com")))
        aws.clock.advance(1)
    assert counts[0] == 0
    assert counts[29] == 4
    assert sorted(counts) == counts
    assert set(counts) == {0, 1, 2, 3, 4}
    assert aws.route53("GetChange", Id=change_id)["ChangeInfo"]["Status"] == "INSYNC"


def test_a_server_can_be_lagged_beyond_insync(aws: LocalAws, zone: str, change: Change) -> None:
    """A knob, not AWS: it lets tests see who trusts INSYNC alone."""
    slow = aws.model.zone(zone).name_servers[2]
    aws.model.server_lag[("*", slow)] = float("inf")
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    aws.clock.advance(3600)
    assert serving(aws, zone, "a.example.com") == [True, True, False, True]
    assert len(aws.model.published_records(zone, 2)) == 2
    aws.model.server_lag.clear()
    assert serving(aws, zone, "a.example.com") == [True] * 4
    assert len(aws.model.published_records(zone, 2)) == 3


def settled(aws: LocalAws, zone: str, name: str) -> NameAnswer:
    aws.clock.advance(60)
    return Publisher(aws.model).lookup(zone, aws.model.zone(zone).name_servers[0], name)


def test_nodata_nxdomain_and_empty_non_terminals(aws: LocalAws, zone: str, change: Change) -> None:
    """RFC 4592 2.2.2, RFC 8020: a name with something below it exists."""
    change(("CREATE", "a.b.example.com", "A", "192.0.2.1"))
    assert settled(aws, zone, "A.b.Example.com").rrsets == {"A": (300, ("192.0.2.1",))}
    assert settled(aws, zone, "b.example.com") == NameAnswer(True, {})
    assert settled(aws, zone, "c.example.com") == NameAnswer(False, {})
    assert set(settled(aws, zone, "example.com").rrsets) == {"NS", "SOA"}
    change(("DELETE", "a.b.example.com", "A", "192.0.2.1"))
    assert settled(aws, zone, "b.example.com") == NameAnswer(False, {})


def test_wildcards_answer_below_the_closest_encloser_only(aws: LocalAws, zone: str, change: Change) -> None:
    """RFC 4592 3.3.1."""
    change(("CREATE", "*.example.com", "A", "192.0.2.7"), ("CREATE", "x.y.example.com", "A", "192.0.2.1"))
    assert settled(aws, zone, "any.example.com") == NameAnswer(True, {"A": (300, ("192.0.2.7",))}, True)
    assert settled(aws, zone, "deep.any.example.com").wildcard
    assert settled(aws, zone, "z.y.example.com") == NameAnswer(False, {})


def test_aliases_weighted_sets_and_delegations(
    aws: LocalAws, zone: str, change: Change, dns: Publisher
) -> None:
    """Developer guide: an alias answers with its target's addresses; NS below the apex delegates."""
    aws.model.settings.alias_addresses["lb.example.net"] = ("192.0.2.77",)
    alias = {"HostedZoneId": "ZELB", "DNSName": "lb.example.net", "EvaluateTargetHealth": False}
    change(("CREATE", {"Name": "al.example.com", "Type": "A", "AliasTarget": alias}))
    inside = {"HostedZoneId": zone, "DNSName": "t.example.com", "EvaluateTargetHealth": False}
    change(
        ("CREATE", "t.example.com", "A", "192.0.2.5"),
        ("CREATE", {"Name": "in.example.com", "Type": "A", "AliasTarget": inside}),
        ("CREATE", "d.example.com", "NS", "ns.elsewhere.example."),
    )
    assert settled(aws, zone, "al.example.com").rrsets["A"][1] == ("192.0.2.77",)
    assert settled(aws, zone, "in.example.com").rrsets["A"][1] == ("192.0.2.5",)
    server = aws.model.zone(zone).name_servers[0]
    cut = dns.delegation(zone, server, "mta.d.example.com")
    assert cut is not None
    assert (cut.name, cut.name_servers) == ("d.example.com.", ("ns.elsewhere.example",))
    assert dns.delegation(zone, server, "t.example.com") is None
    with pytest.raises(KeyError):
        dns.lookup(zone, "ns.elsewhere.example", "t.example.com")


def test_private_zones_are_not_published(aws: LocalAws, zone: str, dns: Publisher) -> None:
    """Developer guide, "Working with private hosted zones"."""
    aws.model.account("444455556666").route53.add_zone("example.com", private=True)
    aws.model.account("444455556666").route53.add_zone("example.net")
    assert [each.name for each in dns.public_zones()] == ["example.com.", "example.net."]


def test_the_published_ptr_is_the_settled_one(aws: LocalAws, dns: Publisher) -> None:
    """ModifyAddressAttribute's old PtrRecord stays until the switch (EC2 CLI reference examples)."""
    aws.model.settings.ptr_precondition = "off"
    made = aws.ec2("AllocateAddress")
    assert dns.ptr(made["PublicIp"]) is None
    aws.ec2("ModifyAddressAttribute", AllocationId=made["AllocationId"], DomainName="mta.example.com")
    assert dns.ptr(made["PublicIp"]) is None
    aws.clock.advance(120)
    assert dns.ptr(made["PublicIp"]) == ("mta.example.com.", 300)


def test_generic_names_of_addresses_without_a_ptr() -> None:
    """EC2 user guide: the default reverse name of a public address; off unless asked for."""
    settings = Settings()
    settings.generic_ptr = True
    aws = LocalAws(settings)
    made = aws.ec2("AllocateAddress", Address="203.0.113.9")
    name = Publisher(aws.model).ptr(made["PublicIp"])
    assert name == ("ec2-203-0-113-9.ap-northeast-1.compute.amazonaws.com.", 300)
