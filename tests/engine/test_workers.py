"""Workers on a virtual clock: back-off, survival, a graceful stop."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mailegress.engine.queue import KeyedQueue
from mailegress.engine.workers import Workers, WorkerSettings
from mailegress.telemetry.logs import JsonFormatter

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _crew(**options: Any) -> tuple[KeyedQueue, Workers]:
    clock = asyncio.get_running_loop().time
    queue = KeyedQueue(clock)
    return queue, Workers(queue, clock=clock, settings=WorkerSettings(**options))


def test_the_returned_delay_is_the_time_to_the_next_pass(virtually: Run) -> None:
    async def story() -> None:
        passes: list[float] = []

        async def process(key: str) -> float | None:
            passes.append(_now())
            return 600 if len(passes) < 3 else None

        queue, workers = _crew(count=2)
        workers.start(process)
        queue.add("ns/a")
        await asyncio.sleep(5000)
        assert passes == [0, 600, 1200]
        queue.add("ns/a")
        await asyncio.sleep(1)
        assert passes[3:] == [5000]
        assert await workers.stop(1) == 0

    virtually(story())


def test_an_object_that_always_fails_backs_off_to_five_minutes_and_delays_no_other(
    virtually: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bad: list[float] = []
        good: list[float] = []

        async def process(key: str) -> float | None:
            if key == "ns/bad":
                bad.append(_now())
                raise ValueError("boom \x1b[31m\n second line")
            good.append(_now())
            return 10

        queue, workers = _crew(count=1)
        workers.start(process)
        queue.add("ns/bad")
        queue.add("ns/good")
        await asyncio.sleep(2000)
        gaps = [after - before for before, after in itertools.pairwise(bad)]
        assert gaps[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
        assert set(gaps[9:]) == {300}
        assert len(good) == 200
        assert workers.alive()
        assert workers.in_trouble() == 1
        await workers.stop(1)

    with caplog.at_level(logging.WARNING, "mailegress.engine.workers"):
        virtually(story())
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert {line["object"] for line in lines} == {"ns/bad"}
    assert lines[0]["message"] == "pass failed"
    assert lines[0]["error"] == "ValueError: boom second line"
    assert "in process" in lines[0]["exception"]
    assert "boom" in lines[0]["exception"].splitlines()[-2]
    assert not any("\x1b" in value for value in lines[0].values() if isinstance(value, str))


def test_a_long_traceback_keeps_its_end_and_every_line_carries_the_object(
    virtually: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The error and the innermost frames stand at the end; `grep '"mail/outbound"'` finds every line."""

    def deep(levels: int) -> None:
        if levels == 0:
            raise ValueError("the cause")
        (deep if levels % 2 else deeper)(levels - 1)

    def deeper(levels: int) -> None:
        (deep if levels % 2 else deeper)(levels - 1)

    async def story() -> None:
        async def process(key: str) -> float | None:
            deep(90)
            return None

        queue, workers = _crew(count=1)
        workers.start(process)
        queue.add("mail/outbound")
        await asyncio.sleep(2)
        await workers.stop(1)

    with caplog.at_level(logging.WARNING, "mailegress.engine.workers"):
        virtually(story())
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert len(lines) == 2
    assert all('"mail/outbound"' in line for line in lines)
    exception = json.loads(lines[0])["exception"].splitlines()
    assert exception[-1] == "ValueError: the cause"
    assert len(exception) <= 61


def test_success_forgets_the_back_off(virtually: Run) -> None:
    async def story() -> None:
        passes: list[float] = []

        async def process(key: str) -> float | None:
            passes.append(_now())
            if len(passes) in (1, 2, 4):
                raise RuntimeError(str(len(passes)))
            return 100 if len(passes) == 3 else None

        queue, workers = _crew(count=1)
        workers.start(process)
        queue.add("ns/a")
        await asyncio.sleep(1000)
        assert passes == [0, 1, 3, 103, 104]
        assert workers.in_trouble() == 0
        await workers.stop(1)

    virtually(story())


def test_a_pass_whose_awaited_future_is_cancelled_does_not_kill_the_worker(virtually: Run) -> None:
    async def story() -> None:
        passes = 0

        async def process(key: str) -> float | None:
            nonlocal passes
            passes += 1
            if passes == 1:
                future = asyncio.get_running_loop().create_future()
                future.cancel()
                await future
            return None

        queue, workers = _crew(count=1)
        workers.start(process)
        queue.add("ns/a")
        await asyncio.sleep(10)
        assert passes == 2
        assert workers.alive()
        await workers.stop(1)

    virtually(story())


def test_a_pass_that_hangs_is_cut_off_and_shows_meanwhile(virtually: Run) -> None:
    async def story() -> None:
        async def process(key: str) -> float | None:
            await asyncio.Event().wait()
            return None

        queue, workers = _crew(count=1, pass_timeout=50)
        workers.start(process)
        queue.add("ns/a")
        await asyncio.sleep(40)
        assert workers.longest_pass() == 40
        assert workers.quiet_seconds() == 40
        await asyncio.sleep(10.5)
        assert workers.in_trouble() == 1
        assert workers.longest_pass() == 0
        await workers.stop(1)

    virtually(story())


def test_stopping_waits_for_the_running_passes_but_takes_no_new_work(virtually: Run) -> None:
    async def story() -> None:
        finished: list[str] = []

        async def process(key: str) -> float | None:
            await asyncio.sleep(3)
            finished.append(key)
            return None

        queue, workers = _crew(count=2)
        workers.start(process)
        for name in "abcd":
            queue.add(f"ns/{name}")
        await asyncio.sleep(1)
        assert await workers.stop(5) == 0
        assert sorted(finished) == ["ns/a", "ns/b"]
        assert _now() == 3

    virtually(story())


def test_stopping_cancels_what_does_not_end_in_time(virtually: Run) -> None:
    async def story() -> None:
        cancelled = False

        async def process(key: str) -> float | None:
            nonlocal cancelled
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled = True
                raise
            return None

        queue, workers = _crew(count=2)
        workers.start(process)
        queue.add("ns/a")
        await asyncio.sleep(1)
        assert await workers.stop(4) == 1
        assert cancelled
        assert _now() == 5

    virtually(story())
