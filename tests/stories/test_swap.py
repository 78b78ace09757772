"""The Elastic IPs under one name change: union first, the new PTR, the old PTR, then the smaller set (S4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.aws.client import EipInfo
from tests.support.stories.order import last_call, never_broken, only, writes
from tests.support.stories.story import Story

HOST, OTHER = "mta.example.com", "mta2.example.com"


def selectors(*eips: EipInfo) -> list[dict[str, str]]:
    return [{"allocationID": e.allocation_id} for e in eips]


def ips(*eips: EipInfo) -> tuple[str, ...]:
    return tuple(sorted(e.public_ip for e in eips))


def sets_of(done: Iterable[Any], name: str = HOST) -> list[tuple[str, ...]]:
    """The values that the A record took on, one after the other."""
    return [v["CREATE"] for w in done if "CREATE" in (v := w.verbs("A", name))]


def test_a_swap_goes_by_way_of_the_union(story: Story) -> None:
    """Given one EIP, when the spec names another, then A = both, PTR(new), PTR(old) reset, A = new, in this order."""
    zone = story.zone()
    old, new = story.eips(2)
    before = story.world()
    meg = story.meg("mail", HOST, [old]).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(elasticIPs=selectors(new)).wait(reason="Ready")
        meg.until(lambda: meg.status["publicIPs"] == [new.public_ip], "the old address to leave the status")
    done = writes(story, since)
    assert sets_of(done) == [ips(old, new), ips(new)]
    assert all("DELETE" in w.verbs("A", HOST) for w in done if w.changes), "compare and swap, never UPSERT"
    union = only(done, lambda w: w.verbs("A", HOST).get("CREATE") == ips(old, new), "union")
    pointed = only(
        done, lambda w: w.name == HOST and w.allocation_id == new.allocation_id, "PTR of the new EIP"
    )
    reset = only(done, lambda w: w.operation == "ResetAddressAttribute", "reset of the old PTR")
    shrunk = only(done, lambda w: w.verbs("A", HOST).get("CREATE") == ips(new), "the smaller set")
    assert reset.allocation_id == old.allocation_id
    assert union.number < pointed.number < reset.number < shrunk.number
    assert len(done) == 4
    assert story.records(zone, HOST) == ips(new)
    assert story.ptr(old) is None
    assert meg.address(old.public_ip) == {}
    meg.delete()
    story.assert_world(before)


def test_an_address_is_added(story: Story) -> None:
    """Given one EIP, when a second is added, then A grows first and the first address is never touched."""
    zone = story.zone()
    first, second = story.eips(2)
    before = story.world()
    meg = story.meg("mail", HOST, [first]).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(elasticIPs=selectors(first, second)).wait()
    done = writes(story, since)
    assert [w.operation for w in done] == ["ChangeResourceRecordSets", "ModifyAddressAttribute"]
    assert done[1].allocation_id == second.allocation_id
    assert story.records(zone, HOST) == ips(first, second)
    assert story.ptr(first) == story.ptr(second) == HOST
    assert meg.status["publicIPs"] == sorted(
        ips(first, second), key=lambda ip: tuple(map(int, ip.split(".")))
    )
    meg.delete()
    story.assert_world(before)


def test_an_address_is_removed(story: Story) -> None:
    """Given two EIPs, when one is taken out of the spec, then its PTR goes before A shrinks; the EIP is kept."""
    zone = story.zone()
    stays, leaves = story.eips(2)
    meg = story.meg("mail", HOST, [stays]).wait()
    alone = story.world()
    meg.spec(elasticIPs=selectors(stays, leaves)).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(elasticIPs=selectors(stays)).wait(reason="Ready")
    done = writes(story, since)
    assert [w.operation for w in done] == ["ResetAddressAttribute", "ChangeResourceRecordSets"]
    assert done[0].allocation_id == leaves.allocation_id
    assert story.records(zone, HOST) == ips(stays)
    story.assert_world(alone)


def test_swap_and_rename_at_once(story: Story) -> None:
    """Given one EIP under one name, when both change in one edit, then the new pair is up before the old one goes."""
    zone = story.zone()
    old, new = story.eips(2)
    before = story.world()
    meg = story.meg("mail", HOST, [old]).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(hostname=OTHER, elasticIPs=selectors(new)).wait(reason="Ready")
    assert story.records(zone, HOST) == story.records(zone, f"_mailegress.{HOST}", "TXT") == ()
    assert story.records(zone, OTHER) == ips(new)
    assert story.ptr(old) is None
    assert story.ptr(new) == OTHER
    done = writes(story, since)
    pointed = only(done, lambda w: w.name == OTHER, "the new PTR")
    reset = only(done, lambda w: w.operation == "ResetAddressAttribute", "reset of the old PTR")
    removed = only(done, lambda w: "DELETE" in w.verbs("A", HOST), "removal of the old A")
    assert pointed.number < reset.number < removed.number
    meg.delete()
    story.assert_world(before)


def test_swapped_back_in_the_middle(story: Story) -> None:
    """Given a swap that has reached the union, when the spec names the old EIP again, then all is as before."""
    zone = story.zone()
    old, new = story.eips(2)
    meg = story.meg("mail", HOST, [old]).wait()
    ready = story.world()
    with never_broken(story):
        meg.spec(elasticIPs=selectors(new))
        story.until(lambda: story.records(zone, HOST) == ips(old, new), "the union")
        meg.spec(elasticIPs=selectors(old)).wait(reason="Ready")
        story.until(lambda: story.records(zone, HOST) == ips(old), "the new address to leave again")
    meg.wait(reason="Ready")
    story.assert_world(ready)
    resets = {w.allocation_id for w in writes(story) if w.operation == "ResetAddressAttribute"}
    assert old.allocation_id not in resets


def test_swapped_back_after_the_new_ptr_is_set(story: Story) -> None:
    """Given a swap whose new PTR is already there, when the spec names the old EIP again, then the new PTR goes too."""
    zone = story.zone()
    old, new = story.eips(2)
    meg = story.meg("mail", HOST, [old]).wait()
    ready = story.world()
    with never_broken(story):
        meg.spec(elasticIPs=selectors(new))
        story.until(lambda: story.ptr(new) == HOST, "the new PTR")
        meg.spec(elasticIPs=selectors(old)).wait(reason="Ready")
        story.until(lambda: story.records(zone, HOST) == ips(old), "the new address to leave again")
    meg.wait(reason="Ready")
    story.until(lambda: story.ptr(old) == HOST, "the PTR of the old EIP")
    story.assert_world(ready)


def test_a_swap_deleted_in_the_middle(story: Story) -> None:
    """Given a swap at its union, when the object is deleted, then neither PTR and no record is left."""
    zone = story.zone()
    old, new = story.eips(2)
    before = story.world()
    meg = story.meg("mail", HOST, [old]).wait()
    meg.spec(elasticIPs=selectors(new))
    story.until(lambda: story.records(zone, HOST) == ips(old, new), "the union")
    meg.delete()
    story.assert_world(before)
