"""ChangeResourceRecordSets: atomic, exact, and strict about conflicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault, ConnectionCut, FaultRule

Change = Callable[..., Any]


def names(aws: LocalAws, zone: str) -> list[str]:
    reply = aws.route53("ListResourceRecordSets", HostedZoneId=zone)
    return [f"{each['Name']} {each['Type']}" for each in reply["ResourceRecordSets"]]


def refused(send: Callable[[], Any], *fragments: str, code: str = "InvalidChangeBatch") -> str:
    with pytest.raises(AwsFault) as caught:
        send()
    assert caught.value.code == code
    assert caught.value.status == 400
    for fragment in fragments:
        assert fragment in caught.value.message
    return caught.value.message


def test_one_bad_change_fails_the_whole_batch(aws: LocalAws, zone: str, change: Change) -> None:
    """API_ChangeResourceRecordSets: "either all or none of the changes in the batch"."""
    before = names(aws, zone)
    refused(
        lambda: change(
            ("CREATE", "a.example.com", "A", "192.0.2.1"),
            ("DELETE", "gone.example.com", "A", "192.0.2.1"),
            ("CREATE", "b.example.com", "A", "192.0.2.2"),
        ),
        "but it was not found",
    )
    assert names(aws, zone) == before


def test_create_of_an_existing_set_says_so_in_the_known_form(change: Change) -> None:
    """Text as quoted in many public issues (external-dns, Terraform)."""
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    text = refused(lambda: change(("CREATE", "A.Example.com.", "A", "192.0.2.9")))
    assert text == (
        "[Tried to create resource record set [name='a.example.com.', type='A'] but it already exists]"
    )


@pytest.mark.parametrize(
    ("values", "ttl"),
    [(("192.0.2.1",), 300), (("192.0.2.1", "192.0.2.3"), 300), (("192.0.2.1", "192.0.2.2"), 60)],
)
def test_delete_needs_the_exact_current_set(change: Change, values: tuple[str, ...], ttl: int) -> None:
    """API_Change: to delete, "specify the same values" for name, type, TTL and records."""
    change(("CREATE", "a.example.com", "A", "192.0.2.1", "192.0.2.2"))
    stale = {
        "Name": "a.example.com",
        "Type": "A",
        "TTL": ttl,
        "ResourceRecords": [{"Value": value} for value in values],
    }
    refused(lambda: change(("DELETE", stale)), "values provided do not match the current values")


def test_delete_and_create_in_one_batch_is_compare_and_swap(aws: LocalAws, zone: str, change: Change) -> None:
    """The batch is atomic, so a stale DELETE also stops the CREATE beside it."""
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    change(("DELETE", "a.example.com", "A", "192.0.2.1"), ("CREATE", "a.example.com", "A", "192.0.2.2"))
    refused(
        lambda: change(
            ("DELETE", "a.example.com", "A", "192.0.2.1"), ("CREATE", "a.example.com", "A", "192.0.2.3")
        ),
        "do not match",
    )
    found = aws.route53("ListResourceRecordSets", HostedZoneId=zone, StartRecordName="a.example.com")
    assert found["ResourceRecordSets"][0]["ResourceRecords"] == [{"Value": "192.0.2.2"}]


def test_upsert_replaces_and_counts_double(aws: LocalAws, change: Change) -> None:
    """API_ChangeResourceRecordSets, Limits: records and characters count twice for UPSERT."""
    change(("UPSERT", "a.example.com", "A", "192.0.2.1"))
    change(("UPSERT", "a.example.com", "A", "192.0.2.2"))
    assert aws.model.log.upserts() == 2
    many = [("UPSERT", f"u{number}.example.com", "A", "192.0.2.1") for number in range(501)]
    refused(lambda: change(*many), "Number of records limit of 1000 exceeded")
    change(*many[:500])


def test_a_batch_holds_1000_records_and_32000_characters(change: Change) -> None:
    """API_ChangeResourceRecordSets, Limits."""
    many = [("CREATE", f"n{number}.example.com", "A", "192.0.2.1") for number in range(1001)]
    refused(lambda: change(*many), "Number of records limit of 1000 exceeded")
    change(*many[:1000])
    text = '"' + "x" * 248 + '"'
    long = [("CREATE", f"t{number}.example.com", "TXT", text) for number in range(128)]
    change(*long)
    refused(
        lambda: change(*[("CREATE", f"v{number}.example.com", "TXT", text) for number in range(129)]),
        "Number of characters limit of 32000 exceeded",
    )


def test_cname_stands_alone(change: Change) -> None:
    """Developer guide, CNAME record type; RFC 1034 3.6.2."""
    change(
        ("CREATE", "a.example.com", "A", "192.0.2.1"), ("CREATE", "c.example.com", "CNAME", "x.example.net")
    )
    refused(lambda: change(("CREATE", "c.example.com", "A", "192.0.2.1")), "conflicting RRSet of type CNAME")
    refused(
        lambda: change(("CREATE", "a.example.com", "CNAME", "x.example.net")), "conflicts with other records"
    )
    refused(lambda: change(("CREATE", "example.com", "CNAME", "x.example.net")), "not permitted at apex")


def weighted(identifier: str, weight: int, value: str, ttl: int = 60) -> dict[str, Any]:
    return {
        "Name": "w.example.com",
        "Type": "A",
        "TTL": ttl,
        "SetIdentifier": identifier,
        "Weight": weight,
        "ResourceRecords": [{"Value": value}],
    }


def test_simple_and_weighted_sets_do_not_mix(change: Change) -> None:
    """API_ResourceRecordSet, SetIdentifier: all of one name and type have one routing policy."""
    change(("CREATE", weighted("one", 1, "192.0.2.1")), ("CREATE", weighted("two", 2, "192.0.2.2")))
    refused(
        lambda: change(("CREATE", "w.example.com", "A", "192.0.2.3")),
        "other RRSets exist with the same name and type",
    )
    change(("CREATE", "s.example.com", "A", "192.0.2.3"))
    refused(
        lambda: change(("CREATE", {**weighted("one", 1, "192.0.2.1"), "Name": "s.example.com"})),
        "other RRSets exist with the same name and type",
    )
    refused(lambda: change(("CREATE", weighted("three", 1, "192.0.2.1", ttl=61))), "same TTL")


def test_upsert_turns_an_alias_into_a_plain_set(aws: LocalAws, zone: str, change: Change) -> None:
    """API_Change: UPSERT matches by name, type and set identifier only."""
    alias = {
        "Name": "al.example.com",
        "Type": "A",
        "AliasTarget": {"HostedZoneId": "ZOTHER", "DNSName": "lb.example.net", "EvaluateTargetHealth": False},
    }
    change(("CREATE", alias))
    refused(lambda: change(("CREATE", "al.example.com", "A", "192.0.2.1")), "but it already exists")
    change(("UPSERT", "al.example.com", "A", "192.0.2.1"))
    found = aws.route53("ListResourceRecordSets", HostedZoneId=zone, StartRecordName="al.example.com")
    assert "AliasTarget" not in found["ResourceRecordSets"][0]
    refused(lambda: change(("CREATE", {**alias, "Name": "b.example.com", "TTL": 60})), code="InvalidInput")


@pytest.mark.parametrize(
    ("rtype", "value", "fragment"),
    [
        ("A", "192.0.2.256", "ARRDATAIllegalIPv4Address"),
        ("A", "2001:db8::1", "ARRDATAIllegalIPv4Address"),
        ("AAAA", "192.0.2.1", "AAAARRDATAIllegalIPv6Address"),
        ("TXT", "no quotes", "should be enclosed in quotation marks"),
        ("TXT", '"' + "x" * 256 + '"', "CharacterStringTooLong"),
    ],
)
def test_values_are_checked(change: Change, rtype: str, value: str, fragment: str) -> None:
    """Developer guide, "Supported DNS record types"; texts as seen in public issues."""
    refused(lambda: change(("CREATE", "v.example.com", rtype, value)), "Invalid Resource Record", fragment)


@pytest.mark.parametrize("value", ['"a" "b"', '"with \\" quote"', '"\\303\\244"', '""'])
def test_legal_text_values(change: Change, value: str) -> None:
    """Developer guide, "TXT record type": several quoted strings, octal escapes."""
    change(("CREATE", "t.example.com", "TXT", value))


def test_names_outside_the_zone_and_look_alikes(change: Change) -> None:
    """A name must be in the zone by whole labels."""
    for name in ("a.example.net", "notexample.com", "a.notexample.com"):
        refused(
            partial(change, ("CREATE", name, "A", "192.0.2.1")),
            "is not permitted in zone example.com.",
        )
    refused(lambda: change(("CREATE", "x" * 64 + ".example.com", "A", "192.0.2.1")), "DomainLabelTooLong")


def test_every_problem_of_a_batch_is_named(change: Change) -> None:
    """The message is a bracketed list (public issues)."""
    text = refused(
        lambda: change(
            ("DELETE", "one.example.com", "A", "192.0.2.1"), ("DELETE", "two.example.com", "A", "192.0.2.1")
        )
    )
    assert text.startswith("[")
    assert text.endswith("]")
    assert text.count("but it was not found") == 2


def test_one_set_twice_in_a_batch(change: Change) -> None:
    """Public issues: "The request contains an invalid set of changes for a resource record set"."""
    refused(
        lambda: change(
            ("CREATE", "a.example.com", "A", "192.0.2.1"), ("CREATE", "a.example.com", "A", "192.0.2.2")
        ),
        "invalid set of changes",
    )


def test_apex_soa_and_ns_stay(aws: LocalAws, zone: str, change: Change) -> None:
    """Page "SOA and NS records that Route 53 creates": you cannot delete them."""
    reply = aws.route53("ListResourceRecordSets", HostedZoneId=zone)
    for record_set in reply["ResourceRecordSets"]:
        refused(partial(change, ("DELETE", record_set)), "must contain")


def test_names_come_back_lower_case_and_octal(aws: LocalAws, zone: str, change: Change) -> None:
    """Page "DNS domain name format": all but a-z 0-9 - _ . as a three-digit octal code."""
    change(("CREATE", "*.Sub.Example.com", "A", "192.0.2.1"), ("CREATE", "b@c.example.com", "A", "192.0.2.1"))
    assert "\\052.sub.example.com. A" in names(aws, zone)
    assert "b\\100c.example.com. A" in names(aws, zone)
    change(("DELETE", "\\052.sub.example.com", "A", "192.0.2.1"))
    entry = aws.model.log.entries(operation="ChangeResourceRecordSets")[0]
    assert entry.facts == {
        "names": ["\\052.sub.example.com", "b\\100c.example.com"],
        "types": ["A"],
        "actions": ["CREATE"],
    }


def test_a_busy_zone_refuses_the_next_change(aws: LocalAws, zone: str, change: Change) -> None:
    """API_ChangeResourceRecordSets, PriorRequestNotComplete: per hosted zone."""
    other = aws.model.account().route53.add_zone("example.net").id
    change(("CREATE", "a.example.com", "A", "192.0.2.1"))

    def send(zone_id: str, name: str) -> Any:
        record = {"Name": name, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}]}
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        return aws.route53("ChangeResourceRecordSets", HostedZoneId=zone_id, ChangeBatch=batch)

    refused(lambda: send(zone, "b.example.com"), code="PriorRequestNotComplete")
    send(other, "b.example.net")
    aws.clock.advance(0.3)
    send(zone, "b.example.com")


def test_a_zone_holds_10000_record_sets(change: Change, aws: LocalAws) -> None:
    """Page "Quotas": 10,000 records in a hosted zone by default."""
    for block in range(10):
        count = 1000 if block < 9 else 998  # NS and SOA count
        change(*[("CREATE", f"n{block}-{number}.example.com", "A", "192.0.2.1") for number in range(count)])
        aws.clock.advance(10)  # change throughput: 100 a second
    refused(lambda: change(("CREATE", "more.example.com", "A", "192.0.2.1")), "MAX_RRSETS_BY_ZONE=10000")
    change(("DELETE", "n0-0.example.com", "A", "192.0.2.1"), ("CREATE", "m.example.com", "A", "192.0.2.1"))


def test_a_change_may_take_effect_without_a_reply(aws: LocalAws, zone: str, change: Change) -> None:
    """A timeout says nothing about the outcome: here the first took effect, the second did not."""
    aws.model.faults.add(FaultRule("cut_after", operation="ChangeResourceRecordSets", count=1))
    with pytest.raises(ConnectionCut):
        change(("CREATE", "a.example.com", "A", "192.0.2.1"))
    assert "a.example.com. A" in names(aws, zone)
    aws.model.faults.add(FaultRule("cut_before", operation="ChangeResourceRecordSets", count=1))
    with pytest.raises(ConnectionCut):
        change(("CREATE", "b.example.com", "A", "192.0.2.1"))
    assert "b.example.com. A" not in names(aws, zone)
    outcomes = [entry.outcome for entry in aws.model.log.entries(operation="ChangeResourceRecordSets")]
    assert outcomes == ["cut-after", "cut-before"]
