"""AWS does not take a PTR, or takes it and fails."""

from __future__ import annotations

import itertools

from tests.support.stories.story import Story

TTL = {"ttlSeconds": 5}
WORDS = "The domain name mta.example.com does not map to 203.0.113.1 in our view of the world"


def test_a_ptr_that_aws_refuses_is_told_in_its_words_and_not_hammered(story: Story) -> None:
    """Given authorities that are right and an AWS that refuses the PTR all the same (it may ask a stale cache), the
    status quotes it, the next try waits for the caches to run out, and success needs no edit."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.add_fault(
        "error", "ec2", "ModifyAddressAttribute", code="InvalidParameterValue", message=WORDS, count=2
    )
    meg = story.meg("outbound", "mta.example.com", [eip], forward=TTL).wait_reason("PTRRejected")
    status, _, message = meg.condition("Ready")
    assert status == "False", message
    assert WORDS in message, message
    assert meg.condition("ReverseReady")[1] == "PTRRejected"
    assert meg.condition("ForwardReady")[:2] == ("True", "RecordInSync")
    assert meg.address(eip.public_ip)["reason"] == "PTRRejected"
    meg.wait()
    times = [c["time"] for c in story.calls("ModifyAddressAttribute")]
    assert len(times) == 3
    assert all(later - sooner >= 5 for sooner, later in itertools.pairwise(times)), times
    assert [r for _, r in meg.events()].count("PTRRejected") == 1, meg.events()
    meg.delete()
    story.assert_world(before)


def test_a_refused_ptr_is_tried_at_once_after_an_edit(bare_story: Story) -> None:
    """Given a PTR that AWS refused and would be tried again in an hour, when the user asks for a look (or edits), it
    is tried at once."""
    story = bare_story
    story.start_operator(ptr_refused_seconds="3600")
    story.zone()
    [eip] = story.eips()
    story.aws.add_fault(
        "error", "ec2", "ModifyAddressAttribute", code="InvalidParameterValue", message=WORDS, count=2
    )
    meg = story.meg("outbound", "mta.example.com", [eip]).wait_reason("PTRRejected")
    meg.patch({"metadata": {"annotations": {"mailegress.io/reconcile-requested-at": "now"}}})
    story.until(lambda: len(story.calls("ModifyAddressAttribute")) == 2, "a second try")
    meg.wait_reason("PTRRejected")
    story.passes(meg, 1)
    meg.spec(forward={"ttlSeconds": 60})
    meg.wait()


def test_an_update_that_fails_is_shown_verbatim(story: Story) -> None:
    """Given an AWS that takes the PTR and then reports its update as FAILED, the reason it gives stands in the status,
    and a later try makes it Ready."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.fail_ptr("FAILED", "The reverse zone is frozen (ticket 4711)", count=1)
    meg = story.meg("outbound", "mta.example.com", [eip], forward=TTL).wait_reason("PTRRejected")
    message = meg.condition("Ready")[2]
    assert "FAILED" in message, message
    assert "The reverse zone is frozen (ticket 4711)" in message, message
    assert story.ptr(eip) is None
    meg.wait()
    assert len(story.calls("ModifyAddressAttribute")) == 2
    meg.delete()
    story.assert_world(before)


def test_a_failed_reset_is_tried_again_on_deletion(story: Story) -> None:
    """Given a reset that AWS reports as failed, the A record stays as long as the PTR names it, the reset is tried
    again, and then all goes."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    story.aws.fail_ptr("FAILED", "Internal failure", count=1)
    meg.delete(wait=False)
    story.until(lambda: len(story.calls("ResetAddressAttribute")) == 1, "the first reset")
    assert story.records(zone, "mta.example.com") == (eip.public_ip,)
    meg.wait_gone()
    resets, removal = story.calls("ResetAddressAttribute"), story.calls("ChangeResourceRecordSets")[-1]
    assert len(resets) == 2
    assert resets[-1]["number"] < removal["number"]
    story.assert_world(before)
