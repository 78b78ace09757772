"""Start, stop and exit codes of the process.

Exit 0 only for a stop that was asked for. Anything that ends by itself ends the process with 1, so that
Kubernetes restarts it: a half-dead operator that looks alive is the worse failure.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from mailegress.aio.backoff import backoff_seconds
from mailegress.reconcile.ports import KubeError

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CANCEL_SECONDS = 0.3
"""How long a cancelled task may take to clean up."""
_HARD_SECONDS = 0.8
"""After shutdown_seconds and this, the process is gone, whatever still runs: 4.8 s with the default of 4."""


T = TypeVar("T")


class Stopped(Exception):
    """Told to stop before the start was complete."""


class Stop(asyncio.Event):
    """Set when the process was asked to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.reclaim: Callable[[], None] = lambda: None
        """Install our signal handlers (again): a library may have put its own in their place."""


async def patiently(
    stop: asyncio.Event,
    call: Callable[[], Awaitable[T]],
    give_up: type[KubeError] | tuple[type[KubeError], ...] = (),
) -> T:
    """Try a call to the API server until it succeeds. Raises :class:`Stopped` once ``stop`` is set.

    ``give_up``: errors that are raised at once.
    """
    failures = 0
    while True:
        try:
            return await call()
        except give_up:
            raise
        except KubeError as error:
            failures += 1
            delay = backoff_seconds(failures, 1.0, 15.0)
            _log.warning("the API server is not ready for us error=%s retry_in_s=%g", error, delay)
        try:
            async with asyncio.timeout(delay):
                await stop.wait()
            raise Stopped
        except TimeoutError:
            continue


async def until(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Run something endless until ``stop``; its own failure is raised."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for pending in (task, stopping):
            pending.cancel()


async def supervise(
    stop: asyncio.Event, components: Mapping[str, Awaitable[object]], *, shutdown_seconds: float = 4.0
) -> int:
    """Run the components until ``stop`` is set; return the process's exit code.

    Every component must watch ``stop`` and return once it is set. Those that have not after
    ``shutdown_seconds`` are cancelled. A component that returns or raises before ``stop`` was set is a
    failure: the others are stopped and the code is 1. Cancelling this coroutine cancels the components.
    """
    tasks: dict[asyncio.Future[Any], str] = {
        asyncio.ensure_future(work): name for name, work in components.items()
    }
    asked: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    code = 0
    reported: set[asyncio.Future[Any]] = set()
    try:
        done, _ = await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        # A component that ends in the same turn of the loop as the stop may have seen the stop first.
        if not stop.is_set():
            code = 1
            reported = done & tasks.keys()
            for task in reported:
                _report_early_end(tasks[task], task)
            stop.set()
        pending = {task for task in tasks if not task.done()}
        if pending:
            _, pending = await asyncio.wait(pending, timeout=shutdown_seconds)
        for task in pending:
            _log.warning("%s did not stop within %g s and is abandoned", tasks[task], shutdown_seconds)
    finally:
        await _cancel({asked, *tasks})
    for task, name in tasks.items():
        error = None if task in reported or not task.done() or task.cancelled() else task.exception()
        if error is not None:
            # What one failure drags along is no news of its own.
            level = logging.WARNING if code else logging.ERROR
            _log.log(level, "%s failed while stopping", name, exc_info=error)
    return code


def _report_early_end(name: str, task: asyncio.Future[Any]) -> None:
    if task.cancelled():
        _log.error("%s was cancelled; the process ends so that it is started afresh", name)
    elif (error := task.exception()) is not None:
        _log.error("%s failed; the process ends so that it is started afresh", name, exc_info=error)
    else:
        _log.error("%s ended by itself; the process ends so that it is started afresh", name)


async def _cancel(
    tasks: Iterable[asyncio.Future[Any]],
) -> None:
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=_CANCEL_SECONDS)


class _Exit:
    """The last resort: ends the process from a daemon thread when the orderly way takes too long.

    A thread pool that waits for AWS, or a task that swallows its cancellation, would otherwise hold the
    interpreter.
    """

    def __init__(self, leave: Callable[[int], None]) -> None:
        self._leave = leave
        self._timers: list[threading.Timer] = []

    def within(self, seconds: float, code: int) -> None:
        timer = threading.Timer(seconds, self._go, (code,))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def call_off(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _go(self, code: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        self._leave(code)


def run(
    main: Callable[[Stop], Awaitable[int]],
    *,
    shutdown_seconds: float = 4.0,
    leave: Callable[[int], None] = os._exit,
) -> int:
    """Run ``main(stop)`` in a new event loop with signal handling; return the exit code.

    The first SIGTERM or SIGINT sets ``stop``; ``main`` is expected to return within ``shutdown_seconds`` (see
    :func:`supervise`) and is cancelled afterwards; the code is then 0. A second signal ends the process at
    once with 128 + its number. Once a stop was asked for, the process is gone after ``shutdown_seconds`` +
    0.8 s. An exception out of ``main`` is logged, the code is 1. Must be called from the main thread, as the
    last thing the process does.
    """
    last_resort = _Exit(leave)
    code = asyncio.run(_run(main, shutdown_seconds, last_resort))
    # Threads that are not daemons hold the interpreter at its end; without any, nothing is left to force.
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        last_resort.call_off()
    return code


async def _run(main: Callable[[Stop], Awaitable[int]], shutdown_seconds: float, last_resort: _Exit) -> int:
    loop = asyncio.get_running_loop()
    stop = Stop()
    signalled: list[int] = []
    forced = asyncio.Event()

    def on_signal(number: int) -> None:
        signalled.append(number)
        if len(signalled) == 1:
            _log.info("%s: stopping", signal.Signals(number).name)
            last_resort.within(shutdown_seconds + _HARD_SECONDS, 0)
            stop.set()
        elif not forced.is_set():
            _log.warning("%s again: leaving at once", signal.Signals(number).name)
            last_resort.within(_CANCEL_SECONDS, 128 + number)
            forced.set()

    def reclaim() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)

    stop.reclaim = reclaim
    reclaim()
    work = asyncio.ensure_future(main(stop))
    force = asyncio.ensure_future(forced.wait())
    overdue = asyncio.ensure_future(_overdue(stop, shutdown_seconds + _CANCEL_SECONDS))
    try:
        await asyncio.wait({work, force, overdue}, return_when=asyncio.FIRST_COMPLETED)
        # main sets `stop` itself when a component failed; then nobody has started the clock yet.
        if not signalled:
            last_resort.within(shutdown_seconds + _HARD_SECONDS, 1)
        finished = work.done()
        await _cancel({work, force, overdue})
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    if forced.is_set():
        return 128 + signalled[-1]
    if not finished or work.cancelled():
        return 0 if signalled else 1
    if (error := work.exception()) is not None:
        _log.error("the operator failed", exc_info=error)
        return 1
    return work.result()


async def _overdue(stop: asyncio.Event, seconds: float) -> None:
    await stop.wait()
    await asyncio.sleep(seconds)
