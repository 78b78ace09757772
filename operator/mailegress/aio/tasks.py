"""Background tasks whose crashes are never lost, and waiting that can be cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Clock = Callable[[], float]
"""Monotonic seconds: the event loop's ``time``."""
Sleep = Callable[[float], Awaitable[None]]


class Tasks:
    """A set of tasks started as work appears. The first crash is raised by :meth:`run` and by :meth:`check`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None
        self._crashed = asyncio.Event()
        self._closed = False

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Start a task; after :meth:`close` nothing is started any more."""
        if self._closed:
            coroutine.close()
            return
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._crash is None:
            self._crash = error
            self._crashed.set()

    def check(self) -> None:
        """Raise the first crash, if there was one."""
        if self._crash is not None:
            raise self._crash

    async def run(self) -> None:
        """Wait for a crash and raise it; ends only so, or by cancellation."""
        await self._crashed.wait()
        self.check()

    async def close(self) -> None:
        """Cancel everything and wait until it is gone."""
        self._closed = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Signal:
    """An event that is waited for with a time limit, by the injected ``sleep`` only."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, limit: float) -> bool:
        """True if set within ``limit`` seconds; clears it."""
        if not self._event.is_set():
            timer = asyncio.ensure_future(self._sleep(max(0.0, limit)))
            waiter = asyncio.ensure_future(self._event.wait())
            try:
                await asyncio.wait({timer, waiter}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                waiter.cancel()
        was_set = self._event.is_set()
        self._event.clear()
        return was_set
