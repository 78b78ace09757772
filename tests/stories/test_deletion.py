"""A MailEgress goes: what it made is taken back in the safe order, or left, as its deletionPolicy says."""

from __future__ import annotations

from typing import Any

from tests.support.stories.story import Story

HOST = "mta.example.com"
QUIET = "3600"
"""Seconds: an interval that no story lives to see."""


def batch(call: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(action, type, name) of every change of a logged ChangeResourceRecordSets."""
    changes = call["params"]["ChangeBatch"]["Changes"]
    sets = [(c["Action"], c["ResourceRecordSet"]) for c in changes]
    return sorted((action, rs["Type"], rs["Name"].rstrip(".")) for action, rs in sets)


REMOVAL = [("DELETE", "A", HOST), ("DELETE", "TXT", f"_mailegress.{HOST}")]


def test_ptr_first_then_both_records_then_the_object(story: Story) -> None:
    """Given a Ready object, when it is deleted, the PTR is reset and seen gone, then A and TXT go
    in one batch, then it."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    story.aws.settings(ptr_min=2.0, ptr_max=2.0)
    deny = story.aws.deny("route53:ChangeResourceRecordSets")
    meg.delete(wait=False)
    story.until(lambda: story.ptr(eip) is None, "the PTR to be reset")
    assert story.records(zone, HOST) == (eip.public_ip,), "the A record outlives the PTR"
    story.aws.allow(deny)
    meg.wait_gone()
    [reset] = story.calls("ResetAddressAttribute")
    tries = [c for c in story.calls("ChangeResourceRecordSets") if batch(c) == REMOVAL]
    assert tries[-1]["outcome"] == "ok"
    for each in tries:
        assert each["time"] >= reset["time"] + 2.0, "no A record is removed while its PTR may still be seen"
    assert not any(
        ("DELETE", "A", HOST) in batch(c) and batch(c) != REMOVAL
        for c in story.calls("ChangeResourceRecordSets")
    )
    story.assert_world(before)


def test_the_object_outlives_what_it_owns(story: Story) -> None:
    """Given records that AWS does not let go of, the object stays, and goes by itself when AWS lets go."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    deny = story.aws.deny("route53:ChangeResourceRecordSets")
    meg.delete(wait=False)
    meg.wait("Ready", "False", "DeletionBlocked")
    assert story.ptr(eip) is None
    assert story.records(zone, HOST) == (eip.public_ip,)
    message = meg.condition("Ready")[2]
    assert "route53:ChangeResourceRecordSets" in message, message
    story.aws.allow(deny)
    meg.wait_gone()
    story.assert_world(before)


def test_deleted_while_the_record_is_on_its_way(story: Story) -> None:
    """Given an A record that Route 53 is still publishing, when the object is deleted, both go and
    no PTR was ever set."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    story.aws.settings(insync=600.0)
    meg = story.meg("outbound", HOST, [eip]).wait("ForwardReady", "False", "ChangePending")
    story.until(lambda: story.records(zone, HOST) == (eip.public_ip,), "the A record to be written")
    meg.delete()
    assert story.calls("ModifyAddressAttribute") == []
    assert [batch(c) for c in story.calls("ChangeResourceRecordSets", outcome="ok")][-1] == REMOVAL
    story.assert_world(before)


def test_deleted_while_the_ptr_is_on_its_way(story: Story) -> None:
    """Given a PTR that AWS is still setting, when the object is deleted, that PTR is gone before
    the A record goes."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.settings(ptr_min=4.0, ptr_max=4.0)
    meg = story.meg("outbound", HOST, [eip])
    story.until(lambda: story.calls("ModifyAddressAttribute"), "the PTR to be asked for")
    meg.delete()
    [asked] = story.calls("ModifyAddressAttribute")
    resets = story.calls("ResetAddressAttribute")
    removal = [c for c in story.calls("ChangeResourceRecordSets") if batch(c) == REMOVAL]
    assert resets
    assert len(removal) == 1
    assert resets[-1]["time"] > asked["time"]
    assert removal[0]["time"] >= resets[-1]["time"] + 4.0, "the A record waits until the reset is done"
    story.assert_world(before)


def test_recreated_under_the_same_name_at_once(story: Story) -> None:
    """Given an object just deleted, when one of the same name and spec is created, it becomes
    Ready under its own UID."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    first = story.meg("outbound", HOST, [eip]).wait()
    uid, mark = first.uid(), story.mark(zone, HOST)
    first.delete()
    second = story.meg("outbound", HOST, [eip]).wait()
    assert second.uid() != uid
    assert story.mark(zone, HOST) not in ("", mark)
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == HOST
    second.delete()
    story.assert_world(before)


def test_recreated_with_another_hostname_at_once(story: Story) -> None:
    """Given an object just deleted, when its name comes back with another hostname, nothing of the
    old one is left."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    story.meg("outbound", HOST, [eip]).wait().delete()
    second = story.meg("outbound", "mx2.example.com", [eip]).wait()
    assert story.records(zone, HOST) == ()
    assert story.mark(zone, HOST) == ""
    assert story.ptr(eip) == "mx2.example.com"
    second.delete()
    story.assert_world(before)


def test_retain_leaves_everything_without_a_call(bare_story: Story) -> None:
    """Given deletionPolicy Retain, when the object is deleted, AWS is not even asked: A, mark and
    PTR stay."""
    story = bare_story
    story.start_operator(
        resync_seconds=QUIET,
        ec2_sweep_seconds=QUIET,
        route53_sweep_seconds=QUIET,
        resolver_check_seconds=QUIET,
    )
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip], deletionPolicy="Retain").wait()
    story.passes(meg, 1)
    ready = story.world()
    last = story.aws.log()[-1]["number"]
    meg.delete()
    assert story.aws.log(since=last) == [], "not one call"
    story.assert_world(ready)
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == HOST


def test_retain_lets_go_without_aws(story: Story) -> None:
    """Given an AWS that denies everything, an object with deletionPolicy Retain can still be deleted."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip], deletionPolicy="Retain").wait()
    ready = story.world()
    story.aws.deny("*")
    meg.delete()
    story.assert_world(ready)


def test_retain_patched_in_while_deletion_is_blocked(story: Story) -> None:
    """Given a deletion that AWS denies, the status names the denied action and the way out; taking
    it, the object goes."""
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    ready = story.world()
    story.aws.deny("ec2:ResetAddressAttribute")
    meg.delete(wait=False)
    meg.wait("Ready", "False", "DeletionBlocked")
    message = meg.condition("Ready")[2]
    assert "ec2:ResetAddressAttribute" in message, message
    assert "spec.deletionPolicy" in message, message
    assert "Retain" in message, message
    assert meg.condition("Reconciling")[:2] == ("True", "DeletionBlocked")
    meg.told("Warning", "DeletionBlocked")
    version, tries = meg.get()["metadata"]["resourceVersion"], len(story.calls("ResetAddressAttribute"))
    story.until(lambda: len(story.calls("ResetAddressAttribute")) >= tries + 2, "it to be tried again")
    assert meg.get()["metadata"]["resourceVersion"] == version, "trying again in vain is no news"
    meg.spec(deletionPolicy="Retain")
    meg.wait_gone()
    story.assert_world(ready)
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == HOST


def test_a_ptr_that_somebody_else_set_meanwhile_stays(story: Story) -> None:
    """Given a PTR that somebody pointed elsewhere, when the object is deleted, only A and mark go."""
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert story.operator.stop() == 0
    story.aws.force_ptr(eip.public_ip, "somebody.example.org")
    writes = len(story.calls("ModifyAddressAttribute"))
    meg.delete(wait=False)
    story.operator.start()
    meg.wait_gone()
    assert story.records(zone, HOST) == ()
    assert story.mark(zone, HOST) == ""
    assert story.ptr(eip) == "somebody.example.org"
    assert story.calls("ResetAddressAttribute") == []
    assert len(story.calls("ModifyAddressAttribute")) == writes


def test_an_object_that_never_wrote_goes_at_once(story: Story) -> None:
    """Given an object that found no zone, when it is deleted, there is nothing to wait for, even
    if AWS is away by then."""
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait("ForwardReady", "False", "ZoneNotFound")
    story.aws.deny("*")
    meg.delete()
    assert story.writes() == 0
    story.assert_world(before)
