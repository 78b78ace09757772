"""The zone or its management changes: a changed zone is a rename, and what is handed over is left as it is."""

from __future__ import annotations

from sandbox.aws.client import ZoneInfo
from tests.support.stories.order import last_call, never_broken, only, writes
from tests.support.stories.story import Story

HOST, MARK = "mta.example.com", "_mailegress.mta.example.com"

NS_TTL = 6
"""Seconds: of the parent's NS record set, where a story waits for it to pass. Shipped parents have up to two days."""


def delegate(story: Story, zone: ZoneInfo, ttl: int = NS_TTL) -> None:
    """The parent delegates to this zone."""
    story.cloud.dns("delegate", zone="example.com", ns=list(zone.name_servers), ttl=ttl)


def test_the_record_moves_only_when_the_new_zone_is_delegated(story: Story) -> None:
    """Given twin zones, when the spec names the other one, then the record stays until the parent delegates to that.
    The old one stays for as long as resolvers may hold the parent's NS records; Ready does not wait for it."""
    old, new = story.zone(), story.zone()
    delegate(story, old)
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", HOST, [eip], forward={"hostedZoneID": old.id}).wait()
    since = last_call(story)
    meg.spec(forward={"hostedZoneID": new.id}).wait(status="False", reason="ZoneNotDelegated")
    message = meg.condition("Ready")[2]
    assert old.id in message, message
    assert new.id in message, message
    story.passes(meg, 2)
    assert writes(story, since) == []
    assert story.records(old, HOST) == (eip.public_ip,)
    assert meg.status["zone"]["id"] == old.id
    delegate(story, new)
    meg.wait(reason="RetiringOldName")
    message = meg.condition("Ready")[2]
    assert f"is kept in former zone {old.id} for {NS_TTL} seconds" in message, message
    meg.wait(reason="Ready")
    assert story.records(old, HOST) == story.records(old, MARK, "TXT") == ()
    assert story.records(new, HOST) == (eip.public_ip,)
    assert meg.status["zone"]["id"] == new.id
    done = writes(story, since)
    created = only(done, lambda w: "CREATE" in w.verbs("A", HOST), "creation in the new zone")
    removed = only(done, lambda w: "DELETE" in w.verbs("A", HOST), "removal from the old zone")
    assert removed.time - created.time >= NS_TTL
    assert len(done) == 2, "the PTR was right all along"
    meg.delete()
    story.assert_world(before)


def test_deleted_before_the_new_zone_is_delegated(story: Story) -> None:
    """Given a record that waits for its zone to be delegated, when the object is deleted, then nothing is left."""
    old, new = story.zone(), story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", HOST, [eip], forward={"hostedZoneID": old.id}).wait()
    meg.spec(forward={"hostedZoneID": new.id}).wait(status="False", reason="ZoneNotDelegated")
    meg.delete()
    story.assert_world(before)


def test_the_world_delegates_to_the_twin_that_nobody_named(story: Story) -> None:
    """Given a record in the delegated twin, when the parent moves to the other, then the record follows by itself."""
    old, new = story.zone(), story.zone()
    delegate(story, old)
    [eip] = story.eips()
    meg = story.meg("mail", HOST, [eip]).wait()
    assert story.records(old, HOST) == (eip.public_ip,)
    delegate(story, new)
    story.until(
        lambda: story.records(new, HOST) == (eip.public_ip,), "the record in the zone that the world asks"
    )
    story.until(lambda: story.records(old, HOST) == (), "the old zone to be left")
    meg.wait(reason="Ready")
    assert story.records(old, MARK, "TXT") == ()


def test_the_former_zone_is_kept_right_and_goes_with_the_object(story: Story) -> None:
    """Given a zone that was exchanged while resolvers hold the old delegation for days, when the addresses change, then
    they change in both zones; when the object is deleted, then both records go at once."""
    old, new = story.zone(), story.zone()
    first, second = story.eips(2)
    before = story.world()
    delegate(story, old, 172_800)
    meg = story.meg("mail", HOST, [first], forward={"hostedZoneID": old.id}).wait()
    delegate(story, new, 172_800)
    meg.spec(forward={"hostedZoneID": new.id}).wait(reason="RetiringOldName")
    assert "for 172800 seconds" in meg.condition("Ready")[2]
    since = last_call(story)
    meg.spec(elasticIPs=[{"allocationID": second.allocation_id}]).wait(reason="RetiringOldName")
    story.until(
        lambda: story.records(old, HOST) == story.records(new, HOST) == (second.public_ip,),
        "the new address alone in both zones",
    )
    union = tuple(sorted((first.public_ip, second.public_ip)))
    done = writes(story, since)
    created = [(w.number, w.verbs("A", HOST).get("CREATE")) for w in done if w.verbs("A", HOST)]
    reset = only(done, lambda w: w.operation == "ResetAddressAttribute", "the reset of the old PTR").number
    assert [values for _, values in created] == [union, union, (second.public_ip,), (second.public_ip,)]
    assert all(number > reset for number, values in created if values != union), "the PTR first"
    story.passes(meg, 2)
    assert meg.condition("Ready")[1] == "RetiringOldName"
    meg.delete()
    story.assert_world(before)


def test_managed_becomes_observed(story: Story) -> None:
    """Given a managed name, when it becomes Observed, then only the TXT goes: A and PTR stay, also after a delete."""
    zone = story.zone()
    [eip] = story.eips()
    meg = story.meg("mail", HOST, [eip]).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(forward={"management": "Observed"}).wait(reason="Ready")
        story.until(lambda: story.records(zone, MARK, "TXT") == (), "the mark to go")
    [handed] = writes(story, since)
    assert handed.verbs("A", HOST) == {}
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == HOST
    assert meg.status.get("zone") is None
    meg.delete()
    assert story.records(zone, HOST) == (eip.public_ip,), "it belongs to somebody else now"
    assert story.ptr(eip) is None, "the PTR was ours"


def test_observed_becomes_managed(story: Story) -> None:
    """Given an observed name, when it becomes Managed, then the A is adopted as it stands and left in the end."""
    zone = story.zone()
    [eip] = story.eips()
    story.put_record(zone, HOST, [eip.public_ip], ttl=60)
    before = story.world()
    meg = story.meg("mail", HOST, [eip], forward={"management": "Observed"}).wait()
    assert story.records(zone, MARK, "TXT") == ()
    since = last_call(story)
    with never_broken(story):
        meg.spec(forward={"management": "Managed"}).wait(reason="Ready")
    [adopted] = writes(story, since)
    assert adopted.verbs("A", HOST) == {}
    assert story.records(zone, MARK, "TXT")[0].startswith('"meg1 a ')
    assert meg.status["zone"]["id"] == zone.id
    meg.delete()
    story.assert_world(before)


def test_observed_and_renamed_at_once(story: Story) -> None:
    """Given a managed name, when name and management change in one edit, then the old pair goes in order."""
    zone = story.zone()
    [eip] = story.eips()
    other = "relay.example.com"
    meg = story.meg("mail", HOST, [eip]).wait()
    story.put_record(zone, other, [eip.public_ip])
    since = last_call(story)
    with never_broken(story):
        meg.spec(hostname=other, forward={"management": "Observed"}).wait(reason="Ready")
    assert story.records(zone, HOST) == story.records(zone, MARK, "TXT") == ()
    assert story.ptr(eip) == other
    assert [w.operation for w in writes(story, since)] == [
        "ModifyAddressAttribute",
        "ChangeResourceRecordSets",
    ]
