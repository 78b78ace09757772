"""Somebody edits what the operator keeps: it is set right within a resync, or refused with a reason."""

from __future__ import annotations

import pytest

from sandbox.aws.client import EipInfo, ZoneInfo
from tests.support.stories.order import attempts, last_call, writes
from tests.support.stories.story import Meg, Story

HOST, MARK = "mta.example.com", "_mailegress.mta.example.com"
STRANGER = "192.0.2.250"


def ready(story: Story, count: int = 1, **spec: object) -> tuple[ZoneInfo, list[EipInfo], Meg]:
    zone = story.zone()
    eips = story.eips(count)
    return zone, eips, story.meg("mail", HOST, eips, **spec).wait()


def same_world(story: Story, wanted: object, what: str) -> None:
    story.until(lambda: story.world() == wanted, f"{what} to be healed")


# ---------------------------------------------------------------- records


def test_the_a_record_is_deleted(story: Story) -> None:
    """Given a Ready name, when somebody deletes its A record, then it is back within a resync."""
    zone, _, meg = ready(story)
    right = story.world()
    story.drop_record(zone, HOST)
    same_world(story, right, "the A record")
    meg.wait()


def test_the_values_of_the_a_record_are_edited(story: Story) -> None:
    """Given a Ready name, when somebody points its A elsewhere, then it is set back by compare-and-swap."""
    zone, _, meg = ready(story)
    right = story.world()
    since = last_call(story)
    story.put_record(zone, HOST, [STRANGER])
    same_world(story, right, "the values")
    meg.wait()
    [swap] = [w for w in writes(story, since) if w.changes]
    assert swap.verbs("A", HOST)["DELETE"] == (STRANGER,)
    assert story.aws.upserts() == 0
    assert [w.operation for w in writes(story, since)] == ["ChangeResourceRecordSets"], (
        "the PTR was right all along"
    )


def test_a_value_is_added_to_the_a_record(story: Story) -> None:
    """Given two addresses under one name, when somebody adds a third value, then it is taken out again."""
    zone, eips, meg = ready(story, 2)
    right = story.world()
    story.put_record(zone, HOST, [*(e.public_ip for e in eips), STRANGER])
    same_world(story, right, "the values")
    meg.wait()


def test_the_ttl_is_edited(story: Story) -> None:
    """Given a Ready name, when somebody edits the TTL, then it is as the spec says again."""
    zone, [eip], meg = ready(story, forward={"ttlSeconds": 120})
    right = story.world()
    story.put_record(zone, HOST, [eip.public_ip], ttl=5)
    same_world(story, right, "the TTL")
    meg.wait()
    assert meg.status["forward"]["ttlSeconds"] == 120


def test_the_mark_is_deleted(story: Story) -> None:
    """Given a Ready name, when somebody deletes the ownership TXT, then it is restored as it was; A is not touched."""
    zone, _, meg = ready(story)
    right = story.world()
    since = last_call(story)
    story.drop_record(zone, MARK, "TXT")
    same_world(story, right, "the mark")
    meg.wait()
    [batch] = writes(story, since)
    assert batch.verbs("A", HOST) == {}
    assert "CREATE" in batch.verbs("TXT", MARK)


def test_an_adopted_mark_that_was_deleted_stays_adopted(story: Story) -> None:
    """Given an adopted A, when its mark is deleted and restored, then the A is still left behind in the end."""
    zone = story.zone()
    [eip] = story.eips()
    story.put_record(zone, HOST, [eip.public_ip])
    before = story.world()
    meg = story.meg("mail", HOST, [eip]).wait()
    right = story.world()
    story.drop_record(zone, MARK, "TXT")
    same_world(story, right, "the mark")
    assert story.records(zone, MARK, "TXT")[0].startswith('"meg1 a ')
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("garbage", ['"hands off"', '"meg1 c somebody AAAAAAAAAAAAAAAAAAAAAA"'])
def test_the_mark_is_overwritten(story: Story, garbage: str) -> None:
    """Given a Ready name, when its mark is made another's, then nothing is written; the message's remedy works."""
    zone, _, meg = ready(story)
    right = story.world()
    since = last_call(story)
    story.put_record(zone, MARK, [garbage], rtype="TXT")
    meg.wait(status="False", reason="RecordConflict")
    message = meg.condition("Ready")[2]
    assert HOST in message, message
    assert meg.condition("Stalled")[:2] == ("True", "RecordConflict")
    story.passes(meg, 2)
    assert attempts(story, since) == []
    story.drop_record(zone, MARK, "TXT")
    meg.wait()
    story.assert_world(right)


def test_a_record_and_mark_are_deleted_together(story: Story) -> None:
    """Given a Ready name, when somebody deletes A and TXT, then both are back within a resync."""
    zone, _, meg = ready(story)
    right = story.world()
    story.drop_record(zone, HOST)
    story.drop_record(zone, MARK, "TXT")
    same_world(story, right, "A and mark")
    meg.wait()


def test_a_foreign_record_takes_the_name_after_both_are_gone(story: Story) -> None:
    """Given a Ready name, when A and TXT are replaced by a CNAME, then nothing is written until it is gone."""
    zone, _, meg = ready(story)
    right = story.world()
    since = last_call(story)
    story.drop_record(zone, HOST)
    story.put_record(zone, HOST, ["elsewhere.example.net"], rtype="CNAME")
    story.drop_record(zone, MARK, "TXT")
    meg.wait(status="False", reason="RecordConflict")
    story.passes(meg, 2)
    assert not [w for w in writes(story, since) if "CREATE" in w.verbs("A", HOST)]
    assert story.records(zone, HOST, "CNAME") == ("elsewhere.example.net",)
    story.drop_record(zone, HOST, "CNAME")
    same_world(story, right, "the name")
    meg.wait()


# ---------------------------------------------------------------- PTRs


def test_the_ptr_is_removed(story: Story) -> None:
    """Given a Ready name, when somebody resets a PTR, then it is back within a resync and the other is not touched."""
    _, [eip, other], meg = ready(story, 2)
    right = story.world()
    since = last_call(story)
    story.aws.force_ptr(eip.public_ip, None)
    same_world(story, right, "the PTR")
    meg.wait()
    [write] = writes(story, since)
    assert (write.operation, write.allocation_id) == ("ModifyAddressAttribute", eip.allocation_id)
    assert story.ptr(other) == HOST


def test_a_ptr_that_others_keep_changing(bare_story: Story) -> None:
    """Given two heals an hour, when a PTR is changed a third time, then the operator stops; an edit starts anew."""
    story = bare_story
    story.start_operator(ptr_heals_per_hour="2")
    _, [eip], meg = ready(story)
    right = story.world()
    since = last_call(story)
    for _ in range(2):
        story.aws.force_ptr(eip.public_ip, "other.example.net")
        same_world(story, right, "the PTR")
        meg.wait()
    story.aws.force_ptr(eip.public_ip, "other.example.net")
    meg.wait(status="False", reason="PTRContested")
    story.passes(meg, 3)
    assert attempts(story, since) == ["ModifyAddressAttribute"] * 2
    message = meg.condition("Ready")[2]
    assert "other.example.net" in message, message
    assert eip.public_ip in message, message
    meg.told("Warning", "PTRContested")
    assert story.ptr(eip) == "other.example.net"
    # The other party has stopped; somebody edits the object to say so.
    meg.spec(forward={"ttlSeconds": 301}).wait()
    assert story.ptr(eip) == HOST


# ---------------------------------------------------------------- the object itself


def test_the_finalizer_is_removed_by_hand(story: Story) -> None:
    """Given a Ready object, when its finalizer is taken off, then it is back, without an AWS write."""
    _, _, meg = ready(story)
    since = last_call(story)
    meg.patch({"metadata": {"finalizers": None}})
    meg.until(lambda: meg.get()["metadata"].get("finalizers") == ["mailegress.io/cleanup"], "the finalizer")
    story.passes(meg)
    assert attempts(story, since) == []


def without_times(status: dict[str, object]) -> dict[str, object]:
    conditions = status.get("conditions", [])
    assert isinstance(conditions, list)
    kept = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in conditions]
    return {k: v for k, v in status.items() if k != "lastHandledReconcileAt"} | {"conditions": kept}


def corrected(story: Story, meg: Meg, wanted: dict[str, object], since: int) -> None:
    meg.until(lambda: without_times(meg.status) == without_times(wanted), "the status to be right again")
    story.passes(meg)
    assert without_times(meg.status) == without_times(wanted)
    assert attempts(story, since) == []


def test_the_status_is_wiped(story: Story) -> None:
    """Given a Ready object, when its status is emptied, then it is written anew without an AWS write."""
    _, _, meg = ready(story, 2)
    wanted = meg.status
    since = last_call(story)
    meg.patch_status(dict.fromkeys(wanted) | {"conditions": [], "observedGeneration": -1})
    corrected(story, meg, wanted, since)


def test_garbage_in_the_status(story: Story) -> None:
    """Given a Ready object, when its status is filled with lies, then it is put right without an AWS write."""
    zone, [eip], meg = ready(story)
    wanted = meg.status
    since = last_call(story)
    lie = {
        "type": "Stalled",
        "status": "True",
        "reason": "Injected",
        "message": "by hand",
        "observedGeneration": 1,
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    meg.patch_status({"observedGeneration": 999})
    corrected(story, meg, wanted, since)
    meg.patch_status({"conditions": [*wanted["conditions"], lie]})
    corrected(story, meg, wanted, since)
    assert "Stalled" not in meg.conditions()
    meg.patch_status(
        {
            "hostname": "wrong.example.com",
            "zone": {"id": zone.id, "name": "wrong.example.com"},
            "publicIPs": [STRANGER],
            "forward": {"values": [STRANGER], "ttlSeconds": 9, "changeID": "C1"},
        }
    )
    corrected(story, meg, wanted, since)
    entry = dict(wanted["addresses"][0]) | {
        "ptr": "wrong.example.com",
        "iprev": "fail",
        "attachedTo": "i-wrong",
    }
    stranger = entry | {"publicIP": STRANGER, "allocationID": "eipalloc-0000000000000000f"}
    meg.patch_status({"addresses": [entry, stranger]})
    corrected(story, meg, wanted, since)
    assert story.ptr(eip) == HOST


# ---------------------------------------------------------------- peace


def test_what_is_done_is_left_alone(story: Story) -> None:
    """Given Ready objects, when several resyncs pass, then there is no write at AWS and none at the API server (E3)."""
    story.zone()
    eips = story.eips(4)
    megs = [story.meg("one", "one.example.com", eips[:1]), story.meg("more", "more.example.com", eips[1:])]
    for meg in megs:
        meg.wait()
        # What public DNS says of mail may be there later than Ready.
        meg.told("Normal", "HeloSPF")
        story.passes(meg)
    since = last_call(story)
    versions = [meg.get()["metadata"]["resourceVersion"] for meg in megs]
    seen = len(story.aws.log(operation="DescribeAddressesAttribute", since=since))
    story.until(
        lambda: len(story.aws.log(operation="DescribeAddressesAttribute", since=since)) >= seen + 4,
        "four sweeps",
    )
    assert attempts(story, since) == []
    assert [meg.get()["metadata"]["resourceVersion"] for meg in megs] == versions
