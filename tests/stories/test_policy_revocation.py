"""A right that is taken away under --policy=Enforce: only removals remain possible."""

from __future__ import annotations

import base64
import uuid

import pytest

from tests.support.stories.policies import Tenants, refused
from tests.support.stories.story import Meg, Story

OURS, THEIRS = "mail.a.example.com", "mail.b.example.com"
MTA = f"mta.{OURS}"


def ready(tenants: Tenants, **policy: object) -> tuple[Meg, str]:
    """A Ready object of ours and the policy that allows it; an operator runs."""
    tenants.story.zone()
    [eip] = tenants.story.eips()
    name = tenants.allow(tenants.ours, OURS, **policy)  # type: ignore[arg-type]
    tenants.story.start_operator(policy="Enforce")
    return tenants.story.meg("outbound", MTA, [eip]).wait(), name


def assert_nothing_is_written(story: Story, *megs: Meg) -> None:
    before = story.writes()
    for meg in megs:
        story.passes(meg, 2)
    assert story.writes() == before


@pytest.mark.parametrize("how", ["no-policy", "last-one-deleted"])
def test_without_a_policy_nothing_is_allowed_and_nothing_is_removed(tenants: Tenants, how: str) -> None:
    """Given a Ready object, when no policy is left, then nothing is written or removed, and a new object is refused;
    when a policy allows it again, it is Ready without a write."""
    story = tenants.story
    meg, name = ready(tenants)
    world = story.world()
    if how == "no-policy":
        story.operator.stop()
        tenants.revoke(name)
        story.operator.start()
    else:
        tenants.revoke(name)
    message = refused(meg, "NoMatchingPolicy")
    assert tenants.ours in message
    [other] = story.eips()
    new = story.meg("new", f"new.{OURS}", [other])
    refused(new, "NoMatchingPolicy")
    assert_nothing_is_written(story, meg, new)
    assert tenants.touched(other) == []
    new.delete()
    writes = story.writes()
    tenants.allow(tenants.ours, OURS)
    meg.wait()
    assert story.writes() == writes
    assert world["accounts"].keys() == story.world()["accounts"].keys()
    meg.delete()


def test_a_revoked_name_is_kept_not_repaired_and_cleaned_up_on_deletion(tenants: Tenants) -> None:
    """Given a Ready object, when its hostname is taken from the policy, then drift is not repaired, an edit of the
    addresses changes nothing, and the deletion removes what the operator made."""
    story = tenants.story
    zone = story.zone()
    eip, other = story.eips(2)
    before = story.world()
    name = tenants.allow(tenants.ours, OURS)
    story.start_operator(policy="Enforce")
    meg = story.meg("outbound", MTA, [eip]).wait()
    tenants.edit(name, hostnames={"suffixes": [THEIRS], "names": []})
    refused(meg, "HostnameNotAllowed")
    story.aws.force_ptr(eip.public_ip, None)
    meg.spec(elasticIPs=[{"allocationID": eip.allocation_id}, {"allocationID": other.allocation_id}])
    refused(meg, "HostnameNotAllowed")
    assert_nothing_is_written(story, meg)
    assert story.ptr(eip) is None
    assert story.records(zone, MTA) == (eip.public_ip,)
    assert tenants.touched(other) == []
    meg.delete()
    story.assert_world(before)


def test_a_rename_that_was_under_way_stops(tenants: Tenants) -> None:
    """Given a rename that AWS denies for now, when the policy is deleted, then it is not continued; the
    deletion of the object still removes everything."""
    story = tenants.story
    meg, name = ready(tenants)
    denied = story.aws.deny("route53:ChangeResourceRecordSets")
    meg.spec(hostname=f"new.{OURS}")
    meg.wait_reason("AccessDenied")
    tenants.revoke(name)
    refused(meg, "NoMatchingPolicy")
    story.aws.allow(denied)
    assert_nothing_is_written(story, meg)
    [address] = [a["publicIP"] for a in meg.status["addresses"]]
    assert meg.address(address)["ptr"] == MTA
    meg.delete()


def test_an_address_that_is_lost_after_the_revocation_leaves_the_record(tenants: Tenants) -> None:
    """Given a revoked object, when one of its addresses is released, then it leaves the A record, as its next owner is
    a third party; the other one stays."""
    story = tenants.story
    zone, [stays, lost] = story.zone(), story.eips(2)
    name = tenants.allow(tenants.ours, OURS)
    story.start_operator(policy="Enforce")
    meg = story.meg("outbound", MTA, [stays, lost]).wait()
    tenants.revoke(name)
    refused(meg, "NoMatchingPolicy")
    story.aws.lose_eip(lost.allocation_id)
    story.until(
        lambda: story.records(zone, MTA) == (stays.public_ip,), "the lost address to leave the record"
    )
    assert story.ptr(stays) == MTA
    meg.delete()
    assert story.records(zone, MTA) == ()


def test_a_deletion_needs_no_policy(tenants: Tenants) -> None:
    """Given a deletion that waits for AWS, when the policy is deleted, then the cleanup goes on to its end."""
    story = tenants.story
    story.zone()
    [eip] = story.eips()
    before = story.world()
    name = tenants.allow(tenants.ours, OURS)
    story.start_operator(policy="Enforce")
    meg = story.meg("outbound", MTA, [eip]).wait()
    fault = story.aws.add_fault("throttle", "ec2", "ResetAddressAttribute")
    meg.delete(wait=False)
    story.until(lambda: story.calls("ResetAddressAttribute"), "the deletion to be under way")
    tenants.revoke(name)
    story.aws.clear_faults(fault)
    meg.wait_gone()
    story.assert_world(before)


def test_a_namespace_that_loses_its_label(tenants: Tenants) -> None:
    """Given a policy by labels, when the label is removed, then the objects are refused within a moment and nothing is
    written; with the label they are Ready again."""
    story = tenants.story
    tenants.label(tenants.ours, tenant="a")
    meg, _ = ready(tenants, labels={"tenant": "a"})
    tenants.label(tenants.ours, tenant="b")
    refused(meg, "NoMatchingPolicy")
    assert_nothing_is_written(story, meg)
    tenants.label(tenants.ours, tenant="a")
    meg.wait()
    meg.delete()


def test_retain_must_be_granted(tenants: Tenants) -> None:
    """Given Retain without the right, then the deletion waits and says why, and nothing is removed; with the right the
    object goes and its records stay."""
    story = tenants.story
    meg, name = ready(tenants)
    [address] = [a["publicIP"] for a in meg.status["addresses"]]
    world = story.world()
    meg.spec(deletionPolicy="Retain")
    meg.delete(wait=False)
    meg.wait_reason("RetainNotAllowed")
    assert_nothing_is_written(story)
    assert meg.address(address).get("ptr", MTA) == MTA
    tenants.edit(name, allowRetain=True)
    meg.wait_gone()
    story.assert_world(world)


def test_a_restart_with_the_status_of_an_allowed_object(tenants: Tenants) -> None:
    """Given a Ready object whose policy is deleted while the operator is down, then after the start its old status
    gives it no right."""
    story = tenants.story
    meg, name = ready(tenants)
    [address] = [a["publicIP"] for a in meg.status["addresses"]]
    story.operator.kill()
    tenants.revoke(name)
    story.aws.force_ptr(address, None)
    writes = story.writes()
    story.operator.start()
    refused(meg, "NoMatchingPolicy")
    story.passes(meg, 2)
    assert story.writes() == writes
    assert "policy" not in meg.status
    meg.delete()


def test_a_forged_ownership_record_gives_no_right(tenants: Tenants) -> None:
    """Given our record, when somebody who may write TXT records names an object of another namespace in its ownership
    record, then that object, which no policy allows, neither changes nor removes the record."""
    story = tenants.story
    zone, [eip, other] = story.zone(), story.eips(2)
    tenants.allow(tenants.ours, OURS)
    tenants.allow(tenants.theirs, THEIRS)
    story.start_operator(policy="Enforce")
    mine = story.meg("outbound", MTA, [eip]).wait()
    evil = story.meg("evil", MTA, [other], namespace=tenants.theirs)
    refused(evil, "HostnameNotAllowed")
    forged = base64.urlsafe_b64encode(uuid.UUID(evil.uid()).bytes).rstrip(b"=").decode()
    words = story.mark(zone, MTA).split()
    story.put_record(zone, f"_mailegress.{MTA}", [f'"{" ".join([*words[:-1], forged])}"'], "TXT")
    story.passes(evil, 2)
    assert story.records(zone, MTA) == (eip.public_ip,)
    assert story.ptr(eip) == MTA
    evil.delete()
    assert story.records(zone, MTA) == (eip.public_ip,)
    assert story.ptr(eip) == MTA
    assert tenants.touched(other) == []
    mine.delete()
