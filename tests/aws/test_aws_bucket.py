"""The token bucket: who is served first, and how it gives way when AWS throttles."""

from __future__ import annotations

import asyncio

import pytest

from mailegress.aio.fair_queue import FairQueue
from mailegress.aio.tasks import Tasks
from mailegress.aws.rate_limit import Bucket, Pace, Priority
from tests.support.aws_world import now, play


def bucket(rate: float = 4.0, burst: float = 1.0) -> tuple[Bucket, Tasks]:
    tasks = Tasks()
    return Bucket(Pace(rate, burst), now, asyncio.sleep, tasks), tasks


def test_a_burst_goes_at_once_and_then_the_rate_holds() -> None:
    async def story() -> None:
        tokens, _ = bucket(rate=4.0, burst=8.0)
        began = now()
        for _ in range(8):
            await tokens.take(Priority.SWEEP)
        assert now() == began
        for _ in range(40):
            await tokens.take(Priority.SWEEP)
        assert now() - began == pytest.approx(10.0)

    play(story())


def test_writes_overtake_polls_and_polls_overtake_sweeps() -> None:
    async def story() -> None:
        tokens, _ = bucket()
        await tokens.take(Priority.WRITE)
        order: list[str] = []

        async def one(name: str, priority: Priority) -> None:
            await tokens.take(priority)
            order.append(name)

        names = [("sweep", Priority.SWEEP), ("poll", Priority.POLL), ("write", Priority.WRITE)]
        await asyncio.gather(*(one(f"{name}-{i}", priority) for i in range(2) for name, priority in names))
        assert order == ["write-0", "write-1", "poll-0", "poll-1", "sweep-0", "sweep-1"]

    play(story())


def test_requesters_of_one_priority_take_turns() -> None:
    async def story() -> None:
        tokens, _ = bucket()
        await tokens.take(Priority.WRITE)
        order: list[str] = []

        async def one(who: str) -> None:
            await tokens.take(Priority.WRITE, who=who)
            order.append(who)

        await asyncio.gather(*(one("busy") for _ in range(50)), one("single"))
        assert order.index("single") == 1

    play(story())


def test_a_cost_above_the_burst_is_owed_not_refused() -> None:
    async def story() -> None:
        tokens, _ = bucket(rate=100.0, burst=500.0)
        began = now()
        await tokens.take(Priority.WRITE, cost=1000)
        await tokens.take(Priority.WRITE, cost=100)
        assert now() - began == pytest.approx(6.0)

    play(story())


def test_what_flows_in_while_a_request_is_under_way_was_not_there() -> None:
    async def story() -> None:
        tokens, _ = bucket(rate=100.0, burst=1500.0)
        tokens.spend(1000)
        await asyncio.sleep(0.5)
        tokens.forfeit(0.5)
        assert tokens.level() == pytest.approx(500)
        await asyncio.sleep(1)
        assert tokens.level() == pytest.approx(600)

    play(story())


def test_a_throttled_answer_halves_the_rate_and_it_comes_back() -> None:
    async def story() -> None:
        tokens, _ = bucket(rate=4.0, burst=8.0)
        tokens.throttled()
        assert tokens.rate() == pytest.approx(2.0)
        assert tokens.level() == 0
        tokens.throttled()
        assert tokens.rate() == pytest.approx(2.0), "answers to one burst of requests count once"
        await asyncio.sleep(5.0)
        assert tokens.rate() == pytest.approx(2.4)
        for _ in range(20):
            tokens.throttled()
            await asyncio.sleep(0.3)
        assert tokens.rate() >= 0.4, "never below the floor"
        await asyncio.sleep(60.0)
        assert tokens.rate() == 4.0

    play(story())


def test_a_waiter_that_gives_up_does_not_hold_up_the_next() -> None:
    async def story() -> None:
        tokens, _ = bucket()
        await tokens.take(Priority.WRITE)
        leaver = asyncio.ensure_future(tokens.take(Priority.WRITE))
        stayer = asyncio.ensure_future(tokens.take(Priority.WRITE))
        await asyncio.sleep(0.01)
        leaver.cancel()
        began = now()
        await stayer
        assert now() - began <= 0.26

    play(story())


def test_a_fair_queue_takes_turns_and_replaces_in_place() -> None:
    queue: FairQueue[str] = FairQueue()
    for identity in ("a1", "a2", "a3"):
        queue.put("a", identity, identity)
    queue.put("b", "b1", "b1")
    queue.put("a", "a1", "a1-new")
    assert len(queue) == 4
    assert [queue.pop(), queue.pop()] == ["a1-new", "b1"]
    assert queue.peek() == "a2"
    assert [queue.pop() for _ in range(2)] == ["a2", "a3"]
    with pytest.raises(KeyError):
        queue.pop()


def test_a_crash_of_a_background_task_surfaces() -> None:
    async def story() -> None:
        tasks = Tasks()

        async def crash() -> None:
            raise ZeroDivisionError

        tasks.spawn(crash(), "crash")
        with pytest.raises(ZeroDivisionError):
            await tasks.run()
        with pytest.raises(ZeroDivisionError):
            tasks.check()
        await tasks.close()

    play(story())
