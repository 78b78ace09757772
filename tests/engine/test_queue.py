"""The keyed queue on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mailegress.engine.queue import KeyedQueue, Priority, QueueClosed

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def _queue() -> KeyedQueue:
    return KeyedQueue(asyncio.get_running_loop().time)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _drain(queue: KeyedQueue, count: int) -> list[str]:
    taken = []
    for _ in range(count):
        key = await queue.take()
        queue.done(key)
        taken.append(key)
    return taken


def test_a_key_added_many_times_is_handed_out_once(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        for _ in range(5):
            queue.add("ns/a")
        queue.add("ns/b")
        assert queue.depth() == 2
        assert await _drain(queue, 2) == ["ns/a", "ns/b"]
        assert queue.depth() == 0

    virtually(story())


def test_a_key_in_hand_is_nobody_elses_until_it_is_given_back(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add("ns/a")
        assert await queue.take() == "ns/a"
        queue.add("ns/a")
        queue.add("ns/a", Priority.RESYNC)
        assert queue.depth() == 0
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(10)
        assert not waiting.done()
        queue.done("ns/a")
        assert await waiting == "ns/a"
        queue.done("ns/a")
        assert (queue.depth(), queue.processing()) == (0, 0)

    virtually(story())


def test_a_delay_that_ends_during_the_pass_comes_after_it(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add("ns/a")
        key = await queue.take()
        queue.add_after("ns/a", 5)
        await asyncio.sleep(20)
        assert queue.depth() == 0
        queue.done(key)
        assert await queue.take() == "ns/a"
        assert _now() == 20

    virtually(story())


@pytest.mark.parametrize(("delays", "expected"), [((30, 10), 10), ((10, 30), 10), ((10, 10), 10)])
def test_of_several_delays_the_earliest_counts(
    virtually: Run, delays: tuple[float, float], expected: float
) -> None:
    async def story() -> None:
        queue = _queue()
        for delay in delays:
            queue.add_after("ns/a", delay)
        assert queue.delayed() == 1
        assert await _drain(queue, 1) == ["ns/a"]
        assert _now() == expected
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await queue.take()

    virtually(story())


def test_an_immediate_add_voids_the_delay(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add_after("ns/a", 50)
        queue.add("ns/a")
        queue.add_after("ns/a", 1)
        assert (queue.depth(), queue.delayed()) == (1, 0)
        assert await _drain(queue, 1) == ["ns/a"]
        assert _now() == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await queue.take()

    virtually(story())


def test_an_earlier_delay_rings_first_although_a_later_one_was_armed(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add_after("ns/late", 100)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(1)
        queue.add_after("ns/early", 4)
        assert await waiting == "ns/early"
        assert _now() == 5
        assert await queue.take() == "ns/late"
        assert _now() == 100

    virtually(story())


def test_one_tenant_with_five_thousand_keys_does_not_delay_the_others(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        for number in range(5000):
            queue.add(f"big/{number}")
        for tenant in ("small", "tiny"):
            queue.add(f"{tenant}/one")
        first = await _drain(queue, 4)
        assert {"small/one", "tiny/one"} <= set(first)

    virtually(story())


def test_what_a_user_waits_for_goes_before_resyncs_which_are_not_starved(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        for number in range(40):
            queue.add(f"ns/resync-{number}", Priority.RESYNC)
        for number in range(40):
            queue.add(f"ns/edit-{number}")
        taken = await _drain(queue, 40)
        edits = [key for key in taken if "edit" in key]
        assert taken[:5] == [f"ns/edit-{number}" for number in range(5)]
        assert 30 <= len(edits) < 40

    virtually(story())


def test_an_edit_promotes_a_key_that_waits_for_its_resync(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add("ns/a", Priority.RESYNC)
        queue.add("ns/b", Priority.RESYNC)
        queue.add("ns/b")
        queue.add("ns/b", Priority.RESYNC)
        assert await _drain(queue, 2) == ["ns/b", "ns/a"]

    virtually(story())


def test_age_tells_how_long_the_oldest_ready_key_has_waited(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        assert queue.oldest_age() == 0
        queue.add("ns/a", Priority.RESYNC)
        await asyncio.sleep(7)
        queue.add("ns/a")
        queue.add("ns/b")
        assert queue.oldest_age() == 7
        await queue.take()
        assert queue.oldest_age() == 0

    virtually(story())


def test_a_forgotten_key_is_not_handed_out(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        queue.add("ns/ready")
        queue.add_after("ns/delayed", 5)
        queue.add("ns/held")
        for key in ("ns/ready", "ns/delayed"):
            queue.forget(key)
        assert await queue.take() == "ns/held"
        queue.add("ns/held")
        queue.forget("ns/held")
        queue.done("ns/held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await queue.take()

    virtually(story())


def test_a_taker_that_is_cancelled_passes_its_wakeup_on(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
        await asyncio.sleep(1)
        queue.add("ns/a")
        first.cancel()
        assert await second == "ns/a"

    virtually(story())


def test_closing_ends_every_wait(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        takers = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(1)
        queue.add_after("ns/a", 5)
        queue.close()
        results = await asyncio.gather(*takers, return_exceptions=True)
        assert [type(result) for result in results] == [QueueClosed] * 3
        queue.add("ns/b")
        with pytest.raises(QueueClosed):
            await queue.take()

    virtually(story())


def test_ten_thousand_delays_cost_no_task_and_superseded_ones_no_memory(virtually: Run) -> None:
    async def story() -> None:
        queue = _queue()
        before = len(asyncio.all_tasks())
        for round_ in range(20):
            for number in range(500):
                queue.add_after(f"ns/{number}", 1000 - round_)
        assert len(asyncio.all_tasks()) == before
        assert queue.delayed() == 500
        assert len(queue._heap) <= 1001
        assert len(set(await _drain(queue, 500))) == 500

    virtually(story())
