"""When a zone's change batch is sent: what is collected, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from mailegress.model.aws import Change, Verb
from mailegress.model.facts import WritePhase
from tests.support.aws_world import World, build, claim, names, now, phase, play, submit

CHANGE = "ChangeResourceRecordSets"


def removal(host: str) -> list[Change]:
    return [Change(Verb.DELETE, change.record_set) for change in claim(host)]


def remove(world: World, host: str, *, urgent: bool = False) -> None:
    world.aws.writer.submit(f"mail/{host}", "Z1", host, removal(host), urgent=urgent)


def with_records(hosts: list[str]) -> World:
    world = build()
    world.fake.put("Z1", *(change.record_set for host in hosts for change in claim(host)))
    return world


def test_a_thousand_waiting_names_are_two_batches() -> None:
    async def story() -> None:
        world = build()
        hosts = names(1000)
        submit(world, *hosts)
        await world.until(lambda: all(phase(world, h) is WritePhase.INSYNC for h in hosts))
        sizes = [call.size for call in world.fake.of(CHANGE)]
        assert sizes == [1000, 1000]
        assert all(world.times(f"mail/{h}") == 2 for h in hosts), "woken for applied and for INSYNC"

    play(story())


def test_one_edit_is_on_the_wire_after_the_quiet_moment() -> None:
    async def story() -> None:
        world = build()
        began = now()
        submit(world, "one.example.com")
        await world.until(lambda: world.fake.count(CHANGE) == 1)
        assert world.fake.of(CHANGE)[0].at - began == pytest.approx(0.05, abs=0.01)

    play(story())


def test_changes_that_trickle_in_are_collected_for_two_seconds_at_most() -> None:
    async def story() -> None:
        world = build()
        began = now()
        for host in names(100):
            submit(world, host)
            await asyncio.sleep(0.03)
        await world.until(lambda: world.aws.writer.due == 0)
        first = world.fake.of(CHANGE)[0]
        assert first.at - began == pytest.approx(2.0, abs=0.05)
        assert world.fake.count(CHANGE) == 2

    play(story())


def test_of_a_crowd_beyond_the_accounts_burst_the_first_quarter_of_a_batch_goes_ahead() -> None:
    """A full bucket does not fill: what is used early flows back early."""

    async def story() -> None:
        world = build()
        hosts, began = names(1000), now()
        world.aws.writer.expect(lambda: len(hosts) - world.aws.writer.due)
        for host in hosts:
            submit(world, host)
            await asyncio.sleep(0.01)
        await world.until(lambda: world.aws.writer.due == 0)
        calls = world.fake.of(CHANGE)
        assert calls[0].at - began == pytest.approx(1.25, abs=0.1)
        assert sum(call.size for call in calls) == 2000
        assert len(calls) <= 4

    play(story())


def test_a_crowd_of_deletions_is_collected_for_two_seconds_at_a_time() -> None:
    """Each hands over its removal when its PTR is reset: four a second, as AWS lets the operator write."""

    async def story() -> None:
        hosts = names(200)
        world = with_records(hosts)
        began = now()
        for host in hosts:
            remove(world, host)
            await asyncio.sleep(0.25)
        await world.until(lambda: world.aws.writer.due == 0)
        calls = world.fake.of(CHANGE)
        assert calls[0].at - began == pytest.approx(0.05, abs=0.01), "a single removal does not wait"
        assert sum(call.size for call in calls) == 400
        assert len(calls) <= 50 / 2 + 10

    play(story())


@pytest.mark.parametrize("other", ["claim", "urgent"])
def test_nothing_else_waits_for_a_crowd_of_deletions(other: str) -> None:
    async def story() -> None:
        hosts = names(30)
        world = with_records([*hosts, "late.example.com", "lost.example.com"])
        for host in hosts:
            remove(world, host)
            await asyncio.sleep(0.25)
        remove(world, "late.example.com")
        before, began = world.fake.count(CHANGE), now()
        if other == "claim":
            submit(world, "new.example.com")
        else:
            remove(world, "lost.example.com", urgent=True)
        await world.until(lambda: world.fake.count(CHANGE) > before)
        assert world.fake.of(CHANGE)[-1].at - began < 0.5

    play(story())


def test_an_urgent_change_does_not_wait_for_a_crowd_of_new_objects() -> None:
    async def story() -> None:
        world = with_records(["lost.example.com"])
        world.aws.writer.expect(lambda: 100)
        submit(world, *names(5))
        await asyncio.sleep(1.0)
        assert world.fake.count(CHANGE) == 0
        began = now()
        remove(world, "lost.example.com", urgent=True)
        await world.until(lambda: world.fake.count(CHANGE) == 1)
        assert world.fake.of(CHANGE)[0].at - began < 0.5

    play(story())
