"""AWS did it, but the answer never came: what is read again before anything is written again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stories.order import WRITES, last_call
from tests.support.stories.story import Story

READS = {
    "ChangeResourceRecordSets": ("ListResourceRecordSets",),
    "ModifyAddressAttribute": ("DescribeAddressesAttribute",),
    "ResetAddressAttribute": ("DescribeAddressesAttribute",),
}


def assert_read_before_written_again(story: Story, operation: str, since: int) -> None:
    """After the lost answer the same thing was read, and the same write was not sent a second time."""
    log = story.aws.log(since=since)
    [lost] = [c for c in log if c["outcome"] == "cut-after"]
    later = [c for c in log if c["number"] > lost["number"]]
    assert lost["operation"] == operation
    assert lost["applied"]
    assert [c for c in later if c["operation"] in READS[operation]], later
    again = [c for c in later if c["operation"] == operation and _same(c, lost)]
    assert again == [], again
    first = next((c["operation"] for c in later if c["operation"] in (*WRITES, *READS[operation])), None)
    assert first in READS[operation], first


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["params"] == other["params"])


@pytest.mark.parametrize("operation", ["ChangeResourceRecordSets", "ModifyAddressAttribute"])
@pytest.mark.parametrize("delay", [0.0, 1.0])
def test_the_answer_to_a_creation_is_lost(story: Story, operation: str, delay: float) -> None:
    """Given a connection that ends after AWS did what it was asked, the operator reads before it writes, does nothing
    twice, takes its own record for its own, and becomes Ready."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    since = last_call(story)
    story.aws.add_fault("cut_after", operation=operation, count=1, delay=delay)
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    assert_read_before_written_again(story, operation, since)
    assert story.mark(zone, "mta.example.com").startswith("meg1 c "), "the record is ours, not adopted"
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed"
    assert (len(story.calls("ChangeResourceRecordSets")), len(story.calls("ModifyAddressAttribute"))) == (
        1,
        1,
    )
    assert not [r for k, r in meg.events() if r in ("RecordConflict", "PTRConflict", "ChangeRejected")], (
        meg.events()
    )
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("operation", ["ResetAddressAttribute", "ChangeResourceRecordSets"])
def test_the_answer_to_a_removal_is_lost(story: Story, operation: str) -> None:
    """Given a deletion whose reset or record removal was done without an answer, it is read and not sent again."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    since = last_call(story)
    story.aws.add_fault("cut_after", operation=operation, count=1)
    meg.delete()
    assert_read_before_written_again(story, operation, since)
    assert len(story.calls("ResetAddressAttribute", since=since)) == 1
    assert len(story.calls("ChangeResourceRecordSets", since=since)) == 1
    story.assert_world(before)


def test_the_answer_to_a_swap_is_lost(story: Story) -> None:
    """Given an EIP that is exchanged, when the answer to the union is lost, the record is read and the change goes on
    from what is there."""
    zone = story.zone()
    one, two = story.eips(2)
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [one]).wait()
    since = last_call(story)
    story.aws.add_fault("cut_after", operation="ChangeResourceRecordSets", count=1)
    meg.spec(elasticIPs=[{"allocationID": two.allocation_id}]).wait()
    story.until(
        lambda: story.records(zone, "mta.example.com") == (two.public_ip,), "the record to hold the new EIP"
    )
    assert_read_before_written_again(story, "ChangeResourceRecordSets", since)
    assert len(story.calls("ChangeResourceRecordSets", since=since)) == 2
    assert story.ptr(one) is None
    assert story.ptr(two) == "mta.example.com"
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("operation", WRITES[:2])
def test_a_server_error_that_may_have_been_done(story: Story, operation: str) -> None:
    """Given a 503 to a write (nothing was done, but who knows), it is read first and then written once more."""
    story.zone()
    [eip] = story.eips()
    story.aws.add_fault("server_error", operation=operation, count=1)
    story.meg("outbound", "mta.example.com", [eip]).wait()
    log = story.aws.log()
    [failed] = [c for c in log if c["operation"] == operation and c["outcome"] != "ok"]
    [done] = [c for c in log if c["operation"] == operation and c["outcome"] == "ok"]
    between = [c["operation"] for c in log if failed["number"] < c["number"] < done["number"]]
    assert set(between) & set(READS[operation]), between


def test_a_lost_change_id(bare_story: Story) -> None:
    """Given an operator that is restarted while its change is PENDING, so that nobody knows the change ID any more,
    the list and all authorities stand for INSYNC: nothing is written twice, and the PTR waits for the world."""
    story = bare_story
    story.aws.settings(insync=4.0)
    operator = story.start_operator()
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip])
    meg.until(lambda: (meg.status.get("forward") or {}).get("changeID"), "a change ID in the status")
    operator.kill()
    assert not story.calls("ModifyAddressAttribute")
    asked = len(story.calls("GetChange"))
    operator.start()
    meg.wait()
    assert len(story.calls("GetChange")) == asked, "the change ID was not remembered"
    [create] = story.calls("ChangeResourceRecordSets")
    [pointed] = story.calls("ModifyAddressAttribute")
    # The last of the four servers has it after four fifths of the time to INSYNC (sandbox.aws.model.Delays).
    assert pointed["time"] - create["time"] >= 3.1, "the PTR waited until every authority had the record"
    assert story.records(zone, "mta.example.com") == (eip.public_ip,)
    meg.delete()
    story.assert_world(before)
