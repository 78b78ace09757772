"""Workers: take a key, let it be processed, put it back with its delay.

A pass that raises is a bug or an unforeseen answer. It must not cost more than its own object: the key comes
back after an exponential back-off, the traceback is logged when the trouble begins (not at every repetition),
and no other key waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailegress.aio.backoff import backoff_seconds
from mailegress.api.text import clean_text
from mailegress.engine.queue import KeyedQueue, Priority, QueueClosed
from mailegress.telemetry.logs import about

_log = logging.getLogger(__name__)

_MESSAGE_LENGTH = 500

Process = Callable[[str], Awaitable[float | None]]
"""One pass over a key: seconds until the next one, or None to wait until somebody wakes the key."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All times in seconds."""

    count: int = 32
    backoff_first: float = 1.0
    backoff_most: float = 300.0
    pass_timeout: float = 120.0
    """A reconcile never waits for AWS or DNS, so one that lasts this long hangs; it is cancelled and counts as
    failed.
    """
    resync_from: float = 120.0
    """A delay of at least this long is a periodic check: it yields to what a user is waiting for."""


@dataclass(slots=True)
class _Trouble:
    failures: int
    signature: str


class Workers:
    """``count`` tasks over one queue. ``clock`` gives seconds of the event loop's time."""

    def __init__(
        self,
        queue: KeyedQueue,
        *,
        clock: Callable[[], float],
        settings: WorkerSettings | None = None,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._settings = settings or WorkerSettings()
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[str, float] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._beat = clock()
        self._stopping = False

    def start(self, process: Process) -> None:
        """Begin to take work. A second call does nothing."""
        if not self._tasks and not self._stopping:
            self._beat = self._clock()
            self._tasks = [
                asyncio.create_task(self._work(process), name=f"worker-{number}")
                for number in range(self._settings.count)
            ]

    async def stop(self, timeout: float) -> int:
        """Take no more work, wait at most ``timeout`` seconds for the passes under way, then cancel the rest.

        Returns how many passes had to be cancelled. The queue is closed.
        """
        self._stopping = True
        self._queue.close()
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return 0
        _, late = await asyncio.wait(tasks, timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(late)

    # ------------------------------------------------------------ liveness

    def alive(self) -> bool:
        """Whether every worker that was started still works."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def quiet_seconds(self) -> float:
        """Seconds since a worker last took or finished a key (large on an idle operator)."""
        return self._clock() - self._beat

    def longest_pass(self) -> float:
        """Seconds for which the oldest pass under way has been running; 0 if there is none."""
        return max((self._clock() - began for began in self._running.values()), default=0.0)

    def in_trouble(self) -> int:
        """How many keys are being backed off after an exception."""
        return len(self._troubles)

    def forget(self, key: str) -> None:
        """The object is gone: so is its back-off."""
        self._troubles.pop(key, None)

    # ------------------------------------------------------------ inside

    async def _work(self, process: Process) -> None:
        while True:
            try:
                key = await self._queue.take()
            except QueueClosed:
                return
            self._beat = self._running[key] = self._clock()
            try:
                self._requeue(key, await self._one_pass(process, key))
            finally:
                self._running.pop(key, None)
                self._beat = self._clock()
                self._queue.done(key)
            # A pass that needs nothing never suspends: thousands of them in a row would stall the loop.
            await asyncio.sleep(0)

    async def _one_pass(self, process: Process, key: str) -> float | None:
        try:
            async with asyncio.timeout(self._settings.pass_timeout):
                delay = await process(key)
        except asyncio.CancelledError as error:
            # Somebody cancelled what the pass awaited, not this worker: the worker must survive it.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._failed(key, error)
        except Exception as error:
            return self._failed(key, error)
        self._troubles.pop(key, None)
        return delay

    def _requeue(self, key: str, delay: float | None) -> None:
        if delay is None:
            return
        priority = Priority.RESYNC if delay >= self._settings.resync_from else Priority.CHANGE
        self._queue.add_after(key, delay, priority)

    def _failed(self, key: str, error: BaseException) -> float:
        text = clean_text(str(error), _MESSAGE_LENGTH)
        signature = f"{type(error).__name__}: {text}"
        trouble = self._troubles.setdefault(key, _Trouble(0, ""))
        trouble.failures += 1
        settings = self._settings
        delay = backoff_seconds(trouble.failures, settings.backoff_first, settings.backoff_most)
        if trouble.signature != signature:
            trouble.signature = signature
            fields = about(object=key, error=signature, attempt=trouble.failures, retry_in_s=delay)
            _log.error("pass failed", exc_info=error, extra=fields)
        else:
            name = type(error).__name__
            fields = about(object=key, error=name, attempt=trouble.failures, retry_in_s=delay)
            _log.warning("pass failed again", extra=fields)
        return delay
