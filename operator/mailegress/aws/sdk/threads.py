"""Threads for blocking calls that never keep the process from exiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonPool(Executor):
    """Like ``ThreadPoolExecutor``, but with daemon threads.

    The standard pool's threads are joined at interpreter exit, so that one request that waits for its read timeout
    would hold up an exit that has to come within seconds of SIGTERM.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._most, self._name = threads, name
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = 0
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._queue.put(work)
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._loop, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def _loop(self) -> None:
        while (work := self._queue.get()) is not None:
            work()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> Any:
        """Let the threads end after what is queued; never waits for them, and cancels nothing."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._queue.put(None)
