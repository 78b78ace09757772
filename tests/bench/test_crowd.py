"""What keeps mass creation near the floor: a crowd shares its change calls, and looks at PTRs are shared as well."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.aws_world import World, build, claim, now, play

CHANGE = "ChangeResourceRecordSets"


def submit(world: World, host: str, namespace: str = "mail") -> None:
    world.aws.writer.submit(f"{namespace}/{host}", "Z1", host, claim(host))


def test_while_a_crowd_is_on_its_way_one_batch_takes_what_trickles_in() -> None:
    async def story() -> None:
        world = build()
        coming = [100]
        world.aws.writer.expect(lambda: coming[0])
        for number in range(100):
            submit(world, f"h{number:03}.example.com")
            coming[0] -= 1
            await asyncio.sleep(0.05)
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.count(CHANGE) <= 2

    play(story())


def test_a_crowd_that_never_comes_delays_no_longer_than_eight_seconds() -> None:
    async def story() -> None:
        world = build()
        world.aws.writer.expect(lambda: 1000)
        began = now()
        for number in range(20):
            submit(world, f"h{number:03}.example.com")
            await asyncio.sleep(0.5)
        await world.until(lambda: world.fake.count(CHANGE) >= 1)
        assert world.fake.of(CHANGE)[0].at - began <= 8.5

    play(story())


def test_a_single_edit_does_not_wait_for_the_few_that_are_on_their_way_too() -> None:
    async def story() -> None:
        world = build()
        world.aws.writer.expect(lambda: 3)
        began = now()
        submit(world, "one.example.com")
        await world.until(lambda: world.fake.count(CHANGE) == 1)
        assert world.fake.of(CHANGE)[0].at - began == pytest.approx(0.05, abs=0.01)

    play(story())


def test_an_edit_of_another_namespace_does_not_wait_for_the_crowd() -> None:
    async def story() -> None:
        world = build()
        world.aws.writer.expect(lambda: 5000)
        for number in range(200):
            submit(world, f"h{number:03}.example.com", namespace="many")
        began = now()
        submit(world, "one.example.com", namespace="few")
        await world.until(lambda: world.fake.count(CHANGE) == 1)
        assert world.fake.of(CHANGE)[0].at - began < 2.0

    play(story())
