"""Two operators at once: a rollout that overlaps, and two clusters on one zone."""

from __future__ import annotations

from tests.support.stories.order import never_broken
from tests.support.stories.story import Meg, Story


def settle(story: Story, megs: list[Meg]) -> None:
    """Until no status moves any more: the same versions before and after several resyncs of both operators."""

    def versions() -> list[str]:
        return [meg.get()["metadata"]["resourceVersion"] for meg in megs]

    seen: list[tuple[list[str], int]] = []

    def quiet() -> bool:
        lists = len(story.calls("ListResourceRecordSets")) + len(story.calls("DescribeAddresses"))
        now = versions()
        if not seen or seen[-1][0] != now:
            seen[:] = [(now, lists)]
        return lists - seen[0][1] >= 8

    story.until(quiet, "the statuses to settle while both operators go on looking")


def test_two_operators_of_one_owner_act_as_one(bare_story: Story) -> None:
    """Given two operators with the same owner ID (a rollout that overlaps), when objects are made, changed and deleted,
    then the world is right throughout, nothing of anybody else's is touched, and the statuses come to rest."""
    story = bare_story
    zone = story.zone()
    eips = story.eips(5)
    story.put_record(zone, "www.example.com", ["192.0.2.80"])
    story.put_record(zone, "taken.example.com", ["192.0.2.81"])
    before = story.world()
    story.start_operator("left")
    story.start_operator("right")
    megs = [story.meg(f"m{n}", f"m{n}.example.com", [eip]) for n, eip in enumerate(eips[:3])]
    taken = story.meg("taken", "taken.example.com", [eips[3]])
    for meg in megs:
        meg.wait()
    taken.wait_reason("RecordConflict")
    with never_broken(story):
        megs[0].spec(hostname="renamed.example.com")
        megs[1].spec(elasticIPs=[{"allocationID": eips[4].allocation_id}])
        story.until(
            lambda: story.records(zone, "renamed.example.com") == (eips[0].public_ip,), "the new name"
        )
        story.until(lambda: story.records(zone, "m1.example.com") == (eips[4].public_ip,), "the new address")
        story.until(lambda: not story.records(zone, "m0.example.com"), "the old name to go")
        for meg in megs:
            meg.wait(reason="Ready")
    assert story.ptr(eips[0]) == "renamed.example.com"
    assert story.ptr(eips[1]) is None
    settle(story, [*megs, taken])
    for meg in [*megs, taken]:
        meg.delete(wait=False)
    for meg in [*megs, taken]:
        meg.wait_gone()
    story.assert_world(before)
    assert story.aws.upserts() == 0


def test_two_owners_on_one_hostname(bare_story: Story) -> None:
    """Given two clusters that know nothing of each other and want one name in one zone, then one has it, the other is
    told whose mark is in its way and writes nothing; when the first lets go, the second gets it."""
    story = bare_story
    zone = story.zone()
    one, two = story.eips(2)
    before = story.world()
    other = f"{story.namespace}-b"[-63:].strip("-")
    story.core.create_namespace({"metadata": {"name": other}})
    story.start_operator("left", owner_id="left", namespaces=story.namespace)
    story.start_operator("right", owner_id="right", namespaces=other)
    first = story.meg("outbound", "mta.example.com", [one]).wait()
    second = story.meg("outbound", "mta.example.com", [two], namespace=other).wait_reason("RecordConflict")
    assert second.condition("Stalled")[:2] == ("True", "RecordConflict")
    assert "left" in second.condition("Ready")[2], second.condition("Ready")
    assert story.records(zone, "mta.example.com") == (one.public_ip,)
    assert story.ptr(two) is None
    settle(story, [first, second])
    first.delete()
    second.wait()
    assert story.records(zone, "mta.example.com") == (two.public_ip,)
    second.delete()
    story.assert_world(before)
    story.core.delete_namespace(other)


def test_two_owners_race_for_one_hostname(bare_story: Story) -> None:
    """Given two clusters that create the same name at the same moment, the conditional creation lets exactly one of
    them have it."""
    story = bare_story
    zone = story.zone()
    one, two = story.eips(2)
    before = story.world()
    other = f"{story.namespace}-b"[-63:].strip("-")
    story.core.create_namespace({"metadata": {"name": other}})
    story.start_operator("left", owner_id="left", namespaces=story.namespace)
    story.start_operator("right", owner_id="right", namespaces=other)
    # Both have read that the name is free before either of them writes.
    story.aws.deny("route53:ChangeResourceRecordSets")
    megs = [
        story.meg("outbound", "mta.example.com", [one]),
        story.meg("outbound", "mta.example.com", [two], namespace=other),
    ]
    for meg in megs:
        meg.wait_reason("AccessDenied")
    story.aws.allow()
    story.until(lambda: story.records(zone, "mta.example.com"), "one of them to have the name")
    winner, loser = megs if story.mark(zone, "mta.example.com").split()[2] == "left" else megs[::-1]
    winner.wait()
    loser.wait_reason("RecordConflict")
    created = [c for c in story.calls("ChangeResourceRecordSets") if c["applied"]]
    assert len(created) == 1
    assert story.aws.upserts() == 0
    loser.delete()
    winner.delete()
    story.assert_world(before)
    story.core.delete_namespace(other)
