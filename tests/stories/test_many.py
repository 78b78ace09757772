"""Many objects at once: one bad one harms no other, and limits are told before they hurt."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from kubernetes import client as k8s

from sandbox.aws.client import EipInfo
from sandbox.waiting import wait_until
from tests.support.stories.order import last_call
from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story

CROWD = 200
PATIENCE = 240.0
"""Seconds for a crowd, on a machine that does other things as well."""


def by_eight(eips: Sequence[EipInfo]) -> list[list[EipInfo]]:
    """In groups of eight: as many addresses as a NAT gateway has at most."""
    return [list(eips[start : start + 8]) for start in range(0, len(eips), 8)]


def objects(story: Story) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = story.objects.list_namespaced_custom_object(
        GROUP, VERSION, story.namespace, PLURAL
    )["items"]
    return found


def ready_names(story: Story) -> set[str]:
    """Names of the MailEgresses that are Ready for their present generation."""
    return {
        item["metadata"]["name"]
        for item in objects(story)
        for c in (item.get("status") or {}).get("conditions", [])
        if c["type"] == "Ready"
        and c["status"] == "True"
        and c["observedGeneration"] == item["metadata"]["generation"]
    }


@pytest.mark.parametrize(
    "words",
    [
        "[Tried to create resource record set [name='poisoned.example.com.', type='A'] but it is cursed]",
        "[Something in this batch is not to our liking]",
    ],
    ids=["named", "unnamed"],
)
def test_one_bad_one_among_two_hundred(bare_story: Story, words: str) -> None:
    """Given 200 new objects of which Route 53 refuses one, all others become Ready with few change batches; the bad
    one says why in AWS's words and is tried ever more rarely."""
    story = bare_story
    story.zone()
    eips = story.eips(CROWD)
    before = story.world()
    since = last_call(story)
    story.aws.add_fault(
        "error",
        "route53",
        "ChangeResourceRecordSets",
        contains="poisoned.",
        code="InvalidChangeBatch",
        message=words,
    )
    names = ["poisoned" if n == 77 else f"m{n}" for n in range(CROWD)]
    megs = [story.meg(name, f"{name}.example.com", [eip]) for name, eip in zip(names, eips, strict=True)]
    # Three seconds between two looks, as other stories have it, would be all the work for two hundred.
    story.start_operator(dns_timeout_seconds="5", resync_seconds="60", resolver_check_seconds="600")
    good = {name for name in names if name != "poisoned"}
    wait_until(lambda: ready_names(story) >= good, PATIENCE, "199 to be Ready", story.operator.log_tail)
    calls = story.calls("ChangeResourceRecordSets", since=since)
    alone, shared = [], []
    for call in calls:
        records = [change["ResourceRecordSet"]["Name"] for change in call["params"]["ChangeBatch"]["Changes"]]
        (alone if all("poisoned." in name for name in records) else shared).append(call)
    assert len(shared) <= 30, "few batches for 199 names, with the search for the bad one"
    poisoned = megs[77].wait_reason("ChangeRejected")
    assert words.strip("[]")[:40] in poisoned.condition("Ready")[2], poisoned.condition("Ready")
    gaps = [later["time"] - sooner["time"] for sooner, later in itertools.pairwise(alone)]
    assert all(gap >= 0.5 for gap in gaps), gaps
    story.aws.clear_faults()
    poisoned.wait()
    since = last_call(story)
    story.objects.delete_collection_namespaced_custom_object(GROUP, VERSION, story.namespace, PLURAL)
    wait_until(lambda: not objects(story), PATIENCE, "all to be gone", story.operator.log_tail)
    story.assert_world(before)
    assert len(story.calls("ChangeResourceRecordSets", since=since)) <= 40, "removals are sent together"
    assert story.aws.upserts() == 0


def test_a_record_that_appears_after_the_reading_harms_no_other(story: Story) -> None:
    """Given a name that somebody else takes between the operator's reading and its batch, the others of the batch go
    through, the foreign record stands untouched, and its object says RecordConflict."""
    zone = story.zone()
    eips = story.eips(20)
    story.aws.deny("route53:ChangeResourceRecordSets")
    megs = [story.meg(f"m{n}", f"m{n}.example.com", [eip]) for n, eip in enumerate(eips)]
    for meg in megs:
        meg.wait_reason("AccessDenied")
    story.put_record(zone, "m7.example.com", ["192.0.2.7"])
    story.aws.allow()
    for meg in megs[:7] + megs[8:]:
        meg.wait()
    megs[7].wait_reason("RecordConflict")
    assert story.records(zone, "m7.example.com") == ("192.0.2.7",)
    assert story.mark(zone, "m7.example.com") == ""
    assert story.ptr(eips[7]) is None


def test_a_namespace_goes_with_all_its_objects(story: Story) -> None:
    """Given a namespace with 20 objects, when it is deleted, then all goes, the world is as before, and nothing is
    stuck because a dying namespace takes no new events."""
    story.zone()
    eips = story.eips(20)
    before = story.world()
    where = f"{story.namespace}-x"[-63:].strip("-")
    story.core.create_namespace({"metadata": {"name": where}})
    for n, eip in enumerate(eips):
        story.meg(f"m{n}", f"m{n}.example.com", [eip], namespace=where)
    for n in range(20):
        Meg(story, f"m{n}", where).wait()
    story.core.delete_namespace(where)

    def gone() -> bool:
        try:
            story.core.read_namespace(where)
        except k8s.ApiException as error:
            return bool(error.status == 404)
        return False

    story.until(gone, "the namespace to be gone")
    story.assert_world(before)
    log = story.operator.log.read_text()
    told = [line for line in log.splitlines() if " ERROR " in line or " WARNING " in line]
    assert [line for line in told if "--dns-extra-ranges" not in line] == []


def test_sixty_four_addresses_share_one_name_and_not_one_more(story: Story) -> None:
    """Given 64 EIPs of eight NAT gateways, all get the one name; when a gateway gets a 65th, nothing is changed and the
    object says so; without it, all is right again."""
    zone = story.zone()
    eips = story.eips(65)
    *full, last = by_eight(eips[:63])
    gateways = [story.nat_gateway(group) for group in full]
    growing = story.nat_gateway(last)
    for gateway in (*gateways, growing):
        story.until(lambda g=gateway: set(story.nat_statuses(g)) == {"succeeded"}, "its addresses")  # type: ignore[misc]
    selectors = [{"natGatewayID": g} for g in (*gateways, growing)] + [
        {"allocationID": eips[63].allocation_id}
    ]
    meg = story.meg("outbound", "mta.example.com", selectors).wait()
    expected = tuple(sorted(e.public_ip for e in eips[:64]))
    assert story.records(zone, "mta.example.com") == expected
    assert len(meg.status["publicIPs"]) == len(meg.status["addresses"]) == 64
    writes = story.writes()
    story.boto("ec2").associate_nat_gateway_address(
        NatGatewayId=growing, AllocationIds=[eips[64].allocation_id]
    )
    meg.wait("Accepted", "False", "TooManyAddresses")
    message = meg.condition("Ready")[2]
    assert "65" in message, message
    assert "64" in message, message
    assert meg.condition("Ready")[:2] == ("False", "TooManyAddresses")
    story.passes(meg, 1)
    assert story.writes() == writes
    assert story.records(zone, "mta.example.com") == expected
    assert all(story.ptr(e) == "mta.example.com" for e in (eips[0], eips[63]))
    meg.spec(elasticIPs=selectors[:-1]).wait()
    assert eips[63].public_ip not in story.records(zone, "mta.example.com")
    assert eips[64].public_ip in story.records(zone, "mta.example.com")
    assert story.ptr(eips[63]) is None
    assert story.ptr(eips[64]) == "mta.example.com"
    meg.delete()
    assert not story.records(zone, "mta.example.com")
    assert not story.mark(zone, "mta.example.com")
    assert all(story.eip_dump(eip)["ptr"] is None for eip in eips)


@pytest.mark.parametrize(
    ("transport", "effect"),
    [("tcp", {"silent": True}), ("udp", {"truncate": True})],
    ids=["no-tcp", "udp-truncated"],
)
def test_many_addresses_over_one_transport(story: Story, transport: str, effect: dict[str, Any]) -> None:
    """Given 44 addresses under one name, and DNS over TCP blocked everywhere or every reply over UDP truncated, the
    object becomes Ready, and again after a third of the addresses is replaced."""
    zone = story.zone()
    eips = story.eips(56)
    *at_gateways, first, second = eips[:8], eips[8:16], eips[16:24], eips[24:32], eips[32:44], eips[44:]
    gateways = [story.nat_gateway(group) for group in at_gateways]
    for gateway in gateways:
        story.until(lambda g=gateway: set(story.nat_statuses(g)) == {"succeeded"}, "its addresses")  # type: ignore[misc]
    before = story.world()
    story.cloud.dns("knob-add", client="client", transport=transport, **effect)

    def selectors(named: Sequence[EipInfo]) -> list[dict[str, str]]:
        return [*({"natGatewayID": g} for g in gateways), *({"allocationID": e.allocation_id} for e in named)]

    def assert_served(named: Sequence[EipInfo]) -> None:
        served = [*eips[:32], *named]
        assert story.records(zone, "mta.example.com") == tuple(sorted(e.public_ip for e in served))
        assert {e.public_ip for e in eips if story.ptr(e) == "mta.example.com"} == {
            e.public_ip for e in served
        }

    meg = story.meg("outbound", "mta.example.com", selectors(first)).wait()
    assert_served(first)
    meg.spec(elasticIPs=selectors(second)).wait()
    assert_served(second)
    meg.delete()
    story.assert_world(before)


def test_more_than_sixty_four_from_the_start(story: Story) -> None:
    """Given nine full NAT gateways under one new object, nothing is written at all."""
    story.zone()
    eips = story.eips(72)
    gateways = [story.nat_gateway(group) for group in by_eight(eips)]
    for gateway in gateways:
        story.until(lambda g=gateway: set(story.nat_statuses(g)) == {"succeeded"}, "its addresses")  # type: ignore[misc]
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [{"natGatewayID": g} for g in gateways])
    meg.wait_reason("TooManyAddresses", "Accepted")
    assert "72" in meg.condition("Ready")[2]
    assert story.writes() == 0
    meg.delete()
    story.assert_world(before)
