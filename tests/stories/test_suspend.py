"""suspend: nothing is written to AWS, the status says what would be, and deletion overrides it."""

from __future__ import annotations

from tests.support.stories.story import Meg, Story

HOST, OTHER = "mta.example.com", "mx2.example.com"


def wait_suspended(meg: Meg, *words: str) -> str:
    """Until Ready is Suspended for the present generation and its message names what would be
    written; that message."""

    def told() -> bool:
        found = meg.get()
        ready = {c["type"]: c for c in found["status"]["conditions"]}["Ready"]
        return bool(
            ready["reason"] == "Suspended"
            and ready["status"] == "False"
            and found["status"]["observedGeneration"] == found["metadata"]["generation"]
            and all(word in ready["message"] for word in words)
        )

    meg.until(told, f"{meg.name} to be suspended and to name {', '.join(words)}")
    return meg.condition("Ready")[2]


def test_applied_suspended(story: Story) -> None:
    """Given a new object that is suspended, nothing is written anywhere, the message names the
    record; resumed, it is Ready."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], suspend=True)
    message = wait_suspended(meg, "create A", eip.public_ip, HOST)
    assert "spec.suspend" in message, message
    story.passes(meg)
    assert story.writes() == 0
    story.assert_world(before)
    assert "finalizers" not in meg.get()["metadata"], "nothing is owned, nothing is owed"
    assert not {"Stalled", "Reconciling"} & set(meg.conditions())
    meg.spec(suspend=False).wait()
    assert story.records(zone, HOST) == (eip.public_ip,)
    meg.delete()
    story.assert_world(before)


def test_deleted_before_it_was_ever_resumed(story: Story) -> None:
    """Given an object that was suspended from the start, it can be deleted without any trace."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], suspend=True)
    wait_suspended(meg, eip.public_ip)
    meg.delete()
    assert story.writes() == 0
    story.assert_world(before)


def test_suspended_while_right(story: Story) -> None:
    """Given a Ready object, suspending it changes nothing: it stays Ready at the new generation."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    writes = story.writes()
    meg.spec(suspend=True).wait()
    assert meg.status["observedGeneration"] == meg.get()["metadata"]["generation"]
    story.passes(meg)
    meg.wait()
    assert story.writes() == writes


def test_edited_while_suspended_and_resumed(story: Story) -> None:
    """Given a suspended object, an edit is seen and told but not carried out; resumed, it is, and
    the old name goes."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    ready = story.world()
    meg.spec(suspend=True).wait()
    meg.spec(hostname=OTHER)
    wait_suspended(meg, "create A", eip.public_ip, OTHER)
    assert meg.status["hostname"] == OTHER
    story.passes(meg)
    story.assert_world(ready)
    meg.spec(suspend=False)
    meg.wait("Ready", "True", "Ready")
    assert story.ptr(eip) == OTHER
    assert story.records(zone, OTHER) == (eip.public_ip,)
    story.until(lambda: story.records(zone, HOST) == (), "the old name to be retired")
    assert story.mark(zone, HOST) == ""
    meg.delete()
    story.assert_world(before)


def test_drift_while_suspended_is_told_and_healed_on_resume(story: Story) -> None:
    """Given a suspended object whose PTR somebody changes, the message names both values; resumed,
    it is set back."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    meg.spec(suspend=True).wait()
    writes = story.writes()
    story.aws.force_ptr(eip.public_ip, "somebody.example.org")
    wait_suspended(meg, "set the PTR", eip.public_ip, "somebody.example.org", HOST)
    assert meg.condition("ReverseReady")[0] == "False"
    assert meg.address(eip.public_ip)["ptr"] == "somebody.example.org"
    assert story.writes() == writes
    meg.spec(suspend=False).wait()
    assert story.ptr(eip) == HOST
    meg.delete()
    story.assert_world(before)


def test_deleted_while_suspended(story: Story) -> None:
    """Given a Ready object that is suspended, deleting it cleans up all the same."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    meg.spec(suspend=True).wait()
    meg.delete()
    story.assert_world(before)


def test_edited_and_deleted_while_suspended(story: Story) -> None:
    """Given an edit that was never carried out, deletion removes what was made for the old spec,
    and makes nothing new."""
    zone, [first, second] = story.zone(), story.eips(2)
    before = story.world()
    meg = story.meg("outbound", HOST, [first]).wait()
    meg.spec(suspend=True).wait()
    writes = len(story.calls("ModifyAddressAttribute"))
    meg.spec(hostname=OTHER, elasticIPs=[{"allocationID": second.allocation_id}])
    wait_suspended(meg, second.public_ip)
    meg.delete()
    assert len(story.calls("ModifyAddressAttribute")) == writes
    assert story.records(zone, OTHER) == ()
    story.assert_world(before)


def test_suspended_while_a_ptr_is_on_its_way(story: Story) -> None:
    """Given a PTR that AWS is still setting, suspending the object starts nothing more; it ends
    Ready, since all is right."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.settings(ptr_min=3.0, ptr_max=3.0)
    meg = story.meg("outbound", HOST, [eip])
    story.until(lambda: story.calls("ModifyAddressAttribute"), "the PTR to be asked for")
    meg.spec(suspend=True).wait()
    assert story.writes() == 2
    meg.delete()
    story.assert_world(before)


def test_a_former_name_stays_while_suspended(bare_story: Story) -> None:
    """Given a rename that is done but for the old name, suspending the object keeps that name, and the message tells
    it; resumed, it goes."""
    story = bare_story
    story.start_operator(ptr_ttl_seconds="8")
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    meg.spec(hostname=OTHER).wait("Ready", "True", "RetiringOldName")
    meg.spec(suspend=True)
    wait_suspended(meg, "retire", HOST)
    story.passes(meg)
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == OTHER
    meg.spec(suspend=False).wait("Ready", "True", "Ready")
    assert story.records(zone, HOST) == ()
    meg.delete()
    story.assert_world(before)
