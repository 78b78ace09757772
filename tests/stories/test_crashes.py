"""The operator dies at the worst moments, and its successor goes on from what it finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.stories.order import WRITES, never_broken
from tests.support.stories.story import Story

HOST = "mta.example.com"


def counts(story: Story) -> dict[str, int]:
    """Accepted writes by operation."""
    return {name: len([c for c in story.calls(name) if c["applied"]]) for name in WRITES}


FAULT_FREE = {"ChangeResourceRecordSets": 2, "ModifyAddressAttribute": 1, "ResetAddressAttribute": 1}
"""What one object with one EIP costs from creation to the end."""


def test_killed_between_record_and_ptr(bare_story: Story) -> None:
    """Given an operator that dies when the A record is written and the PTR is not, its successor goes on without a
    second creation, and the whole life costs no write more than without the crash."""
    story = bare_story
    story.aws.settings(insync=3.0)
    operator = story.start_operator()
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip])
    story.until(lambda: story.records(zone, HOST), "the A record")
    operator.kill()
    assert story.ptr(eip) is None
    assert not story.calls("ModifyAddressAttribute")
    operator.start()
    meg.wait()
    meg.delete()
    story.assert_world(before)
    assert counts(story) == FAULT_FREE


def test_killed_while_the_ptr_is_pending(bare_story: Story) -> None:
    """Given an operator that dies after AWS took the PTR, its successor waits for it and does not ask again."""
    story = bare_story
    story.aws.settings(ptr_min=4.0, ptr_max=4.0)
    operator = story.start_operator()
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip])
    story.until(lambda: story.calls("ModifyAddressAttribute"), "the PTR to be asked for")
    operator.kill()
    operator.start()
    meg.wait()
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed"
    meg.delete()
    story.assert_world(before)
    assert counts(story) == FAULT_FREE


def test_killed_during_deletion(bare_story: Story) -> None:
    """Given an operator that dies after it reset the PTR and before it removed the A record, its successor finishes the
    deletion, in order, without a second reset."""
    story = bare_story
    story.aws.settings(ptr_min=3.0, ptr_max=3.0)
    operator = story.start_operator()
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    meg.delete(wait=False)
    story.until(lambda: story.calls("ResetAddressAttribute"), "the reset")
    operator.kill()
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert meg.exists()
    operator.start()
    meg.wait_gone()
    story.assert_world(before)
    assert counts(story) == FAULT_FREE


def test_killed_between_finalizer_and_first_write(bare_story: Story) -> None:
    """Given an operator that dies when the finalizer stands and AWS knows nothing yet, its successor starts where it
    stopped; and if the object was deleted meanwhile, it lets go of it without a write."""
    story = bare_story
    operator = story.start_operator()
    story.zone()
    one, two = story.eips(2)
    before = story.world()
    story.aws.add_fault("cut_before", "route53", "ChangeResourceRecordSets")
    kept = story.meg("kept", HOST, [one])
    dropped = story.meg("dropped", "other.example.com", [two])
    for meg in (kept, dropped):
        meg.until(lambda m=meg: m.get()["metadata"].get("finalizers"), "the finalizer")  # type: ignore[misc]
    operator.kill()
    story.aws.clear_faults()
    story.assert_world(before)
    dropped.delete(wait=False)
    operator.start()
    dropped.wait_gone()
    kept.wait()
    kept.delete()
    story.assert_world(before)
    assert counts(story) == FAULT_FREE


def test_killed_with_the_answer_on_its_way(bare_story: Story) -> None:
    """Given a creation that AWS carried out while the operator died waiting for the answer, the successor knows the
    record by its mark and creates nothing."""
    story = bare_story
    operator = story.start_operator()
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.add_fault("delay", "route53", "ChangeResourceRecordSets", delay=5.0, count=1)
    meg = story.meg("outbound", HOST, [eip])
    story.until(lambda: story.calls("ChangeResourceRecordSets"), "the creation to arrive")
    operator.kill()
    operator.start()
    meg.wait()
    meg.delete()
    story.assert_world(before)
    assert counts(story) == FAULT_FREE


@pytest.mark.parametrize("moment", ["union", "switched", "reset"])
def test_killed_during_an_exchange_of_addresses(bare_story: Story, moment: str) -> None:
    """Given an exchange of the EIP, whenever the operator dies, the successor ends it with the same four writes, and
    no PTR ever names a record that does not answer with it."""
    story = bare_story
    story.aws.settings(ptr_min=1.0, ptr_max=1.5)
    operator = story.start_operator()
    zone = story.zone()
    one, two = story.eips(2)
    before = story.world()
    meg = story.meg("outbound", HOST, [one]).wait()
    reached: dict[str, Callable[[], object]] = {
        "union": lambda: len(story.records(zone, HOST)) == 2,
        "switched": lambda: story.ptr(two) == HOST,
        "reset": lambda: story.calls("ResetAddressAttribute"),
    }
    with never_broken(story):
        meg.spec(elasticIPs=[{"allocationID": two.allocation_id}])
        story.until(reached[moment], moment)
        operator.kill()
        operator.start()
        story.until(lambda: story.records(zone, HOST) == (two.public_ip,), "the exchange to be done")
        meg.wait()
        assert story.ptr(one) is None
    assert counts(story) == {
        "ChangeResourceRecordSets": 3, "ModifyAddressAttribute": 2, "ResetAddressAttribute": 1,
    }  # fmt: skip
    meg.delete()
    story.assert_world(before)
