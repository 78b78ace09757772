"""Stopping: exit codes, deadlines, and what becomes of components that do not obey."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailegress.cli import lifecycle
from mailegress.cli.lifecycle import supervise

PROGRAM = Path(__file__).with_name("lifecycle_program.py")
LAST_RESORT_SECONDS = 1.8
"""Of a program that gives its components 1 s; the default of 4 s adds 3."""
ATTEMPTS = 3
"""A busy machine delays the end of a process by chance; a process that is not ended in time is late each time."""
LONG = 60.0
"""For its components, in seconds: what ends in ``AT_ONCE`` did not wait for it, on a machine of whatever load."""
AT_ONCE = 20.0

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the program in a mode and wait until it handles signals."""
    running: list[subprocess.Popen[str]] = []

    def go(mode: str, shutdown: float = 1.0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), mode, str(shutdown)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    yield go
    for process in running:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, float]:
    begun = time.monotonic()
    output, _ = process.communicate(timeout=30)
    return process.returncode, output, time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_obedient_process_with_0_at_once(start: Start, number: int) -> None:
    process = start("none", LONG)
    process.send_signal(number)
    code, output, seconds = finish(process)
    assert code == 0
    assert "stopped cleanly" in output
    assert seconds < AT_ONCE


@pytest.mark.parametrize("mode", ["deaf", "stubborn", "thread_bound"])
def test_whatever_does_not_stop_is_abandoned_in_time_with_0(start: Start, mode: str) -> None:
    def stopped() -> float:
        process = start(mode)
        process.terminate()
        code, output, seconds = finish(process)
        assert code == 0
        assert "stopped cleanly" in output
        assert f"{mode} did not stop within 1 s and is abandoned" in output
        return seconds

    in_time(stopped)


def test_a_signal_during_start_up_ends_with_0_in_time(start: Start) -> None:
    def stopped() -> float:
        process = start("starting_up")
        process.terminate()
        code, _, seconds = finish(process)
        assert code == 0
        return seconds

    in_time(stopped)


def in_time(stopped: Callable[[], float]) -> None:
    limit, taken = LAST_RESORT_SECONDS + 0.2, []
    while not taken or (taken[-1] >= limit and len(taken) < ATTEMPTS):
        taken.append(stopped())
    assert taken[-1] < limit, taken


@pytest.mark.parametrize("mode", ["deaf", "stubborn", "thread_bound"])
def test_a_second_signal_ends_the_process_at_once(start: Start, mode: str) -> None:
    process = start(mode, LONG)
    process.terminate()
    assert process.stdout is not None
    while "stopped cleanly" not in process.stdout.readline():
        pass
    process.terminate()
    code, output, seconds = finish(process)
    assert code == 128 + signal.SIGTERM
    assert "leaving at once" in output
    assert seconds < AT_ONCE


def test_a_component_that_fails_ends_the_process_with_1_and_its_traceback() -> None:
    code, output = run("failing")
    assert code == 1
    assert "failing failed" in output
    assert "RuntimeError: the watch is gone" in output
    assert "stopped cleanly" in output


def test_a_component_that_just_returns_ends_the_process_with_1() -> None:
    code, output = run("ending")
    assert code == 1
    assert "ending ended by itself" in output
    assert "stopped cleanly" in output


def test_a_failure_while_stopping_is_logged_and_the_stop_still_counts(start: Start) -> None:
    process = start("late_failure")
    process.terminate()
    code, output, _ = finish(process)
    assert code == 0
    assert "late_failure failed while stopping" in output


def run(mode: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), mode, "1"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout


def test_the_code_of_main_is_returned_and_the_last_resort_called_off() -> None:
    left: list[int] = []

    async def main(stop: asyncio.Event) -> int:
        return 3

    before = threading.active_count()
    assert lifecycle.run(main, shutdown_seconds=0.1, leave=left.append) == 3
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        os.sched_yield()
    assert threading.active_count() <= before
    assert left == []


def test_an_exception_out_of_main_is_logged_and_gives_1(caplog: pytest.LogCaptureFixture) -> None:
    async def main(stop: asyncio.Event) -> int:
        raise ValueError("no cluster")

    assert lifecycle.run(main, shutdown_seconds=0.1, leave=lambda code: None) == 1
    assert "no cluster" in caplog.text


async def test_every_component_sees_the_stop_that_another_ones_failure_causes() -> None:
    stop = asyncio.Event()
    seen: list[str] = []

    async def watcher(name: str) -> None:
        await stop.wait()
        seen.append(name)

    async def failing() -> None:
        raise OSError("gone")

    code = await supervise(stop, {"a": watcher("a"), "bad": failing(), "b": watcher("b")})
    assert code == 1
    assert sorted(seen) == ["a", "b"]


async def test_a_component_that_was_cancelled_from_outside_is_a_failure() -> None:
    stop = asyncio.Event()
    task = asyncio.ensure_future(asyncio.Event().wait())
    asyncio.get_running_loop().call_soon(task.cancel)
    assert await supervise(stop, {"task": task}) == 1
    assert stop.is_set()


async def test_cancelling_the_supervisor_cancels_its_components() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def component() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    work = asyncio.ensure_future(supervise(asyncio.Event(), {"component": component()}))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert cancelled.is_set()


async def test_a_stop_asked_for_before_the_start_is_a_clean_end() -> None:
    stop = asyncio.Event()
    stop.set()
    assert await supervise(stop, {"component": stop.wait()}) == 0
