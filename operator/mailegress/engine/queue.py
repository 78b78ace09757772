"""A keyed work queue: no key twice, no key in two hands, no namespace before the others (E8).

Kubernetes' own ``client-go/util/workqueue`` is the model (dirty and processing sets, delayed adds), with two
additions: the ready keys are served round robin by namespace, so that 5,000 objects of one tenant do not
delay the one of another, and there are two priorities, so that what a user is waiting for goes before a
resync.

Nothing here costs a task or a timer per key: delayed keys lie in one heap with one timer for its top.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import math
from collections.abc import Callable

from mailegress.aio.fair_queue import FairQueue

_FAIR_SHARE = 8
"""Every so many takes a resync goes first, so that a stream of changes cannot starve the repair of drift."""


class Priority(enum.IntEnum):
    """Smaller goes first."""

    CHANGE = 0
    """Somebody edited something, or an awaited outcome has arrived."""
    RESYNC = 1
    """Nobody is waiting: a periodic check, the first pass after a start."""


class QueueClosed(Exception):
    """No more keys will be handed out."""


class KeyedQueue:
    """Keys are ``namespace/name``. Used from one event loop only; every method but :meth:`take` returns at
    once.

    ``clock`` gives seconds and must run with the event loop's time (it is ``loop.time`` in the operator).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lanes = {priority: FairQueue[tuple[str, float]]() for priority in Priority}
        """The ready keys, and since when each is: namespaces in turn, first in, first out within a namespace."""
        self._ready: dict[str, Priority] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._due: dict[str, tuple[float, int, Priority]] = {}
        self._serial = 0
        self._processing: set[str] = set()
        self._dirty: dict[str, Priority] = {}
        self._takers: dict[asyncio.Future[None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._takes = 0
        self._closed = False

    # ------------------------------------------------------------ putting in

    def add(self, key: str, priority: Priority = Priority.CHANGE) -> None:
        """Make ``key`` ready now; a delay that it was waiting for is void. While it is processed: once more
        afterwards.
        """
        if self._closed:
            return
        self._due.pop(key, None)
        if key in self._processing:
            self._dirty[key] = min(priority, self._dirty.get(key, priority))
            return
        current = self._ready.get(key)
        if current is None:
            self._enqueue(key, priority, self._clock())
        elif priority < current:
            known = self._lanes[current].remove(key)
            self._enqueue(key, priority, self._clock() if known is None else known[1])

    def add_after(self, key: str, seconds: float, priority: Priority = Priority.CHANGE) -> None:
        """Make ``key`` ready in ``seconds``. Of several delays of one key the earliest counts."""
        if seconds <= 0:
            self.add(key, priority)
            return
        if self._closed or key in self._ready or key in self._dirty:
            return
        due = self._clock() + seconds
        known = self._due.get(key)
        if known is not None and known[0] <= due:
            return
        self._serial += 1
        self._due[key] = (due, self._serial, priority)
        heapq.heappush(self._heap, (due, self._serial, key))
        self._compact()
        self._arm()

    def forget(self, key: str) -> None:
        """Drop ``key`` wherever it waits (its object is gone). A pass under way is not disturbed."""
        self._due.pop(key, None)
        self._dirty.pop(key, None)
        priority = self._ready.pop(key, None)
        if priority is not None:
            self._lanes[priority].remove(key)

    # ------------------------------------------------------------ taking out

    async def take(self) -> str:
        """The next key; it is the caller's alone until :meth:`done`. Raises :class:`QueueClosed`."""
        while True:
            if self._closed:
                raise QueueClosed
            self._promote()
            key = self._pop()
            if key is not None:
                self._processing.add(key)
                return key
            self._arm()
            await self._wait()

    def done(self, key: str) -> None:
        """Give ``key`` back. If it was added meanwhile, it is ready again."""
        self._processing.discard(key)
        priority = self._dirty.pop(key, None)
        if priority is not None:
            self.add(key, priority)

    def close(self) -> None:
        """Hand out nothing any more; everybody who waits gets :class:`QueueClosed`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for taker in self._takers:
            if not taker.done():
                taker.set_result(None)

    # ------------------------------------------------------------ looking at

    def depth(self) -> int:
        """How many keys are ready and not taken."""
        return len(self._ready)

    def delayed(self) -> int:
        """How many keys wait for a time."""
        return len(self._due)

    def processing(self) -> int:
        """How many keys are in somebody's hands."""
        return len(self._processing)

    def oldest_age(self) -> float:
        """Seconds for which the longest-waiting ready key has been ready; 0 if there is none."""
        oldest = min((since for lane in self._lanes.values() for _, since in lane), default=math.inf)
        return max(0.0, self._clock() - oldest)

    # ------------------------------------------------------------ inside

    def _enqueue(self, key: str, priority: Priority, since: float) -> None:
        self._ready[key] = priority
        self._lanes[priority].put(_namespace(key), key, (key, since))
        self._notify()

    def _pop(self) -> str | None:
        self._takes += 1
        first, second = self._lanes[Priority.CHANGE], self._lanes[Priority.RESYNC]
        if self._takes % _FAIR_SHARE == 0:
            first, second = second, first
        for lane in (first, second):
            if lane:
                key, _ = lane.pop()
                del self._ready[key]
                return key
        return None

    def _promote(self) -> None:
        """Make every delayed key ready whose time has come."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, serial, key = heapq.heappop(self._heap)
            entry = self._due.get(key)
            if entry is None or entry[1] != serial:
                continue  # superseded
            del self._due[key]
            if key in self._processing:
                self._dirty[key] = min(entry[2], self._dirty.get(key, entry[2]))
            elif key not in self._ready:
                self._enqueue(key, entry[2], due)

    def _arm(self) -> None:
        """Keep one timer, for the earliest delay that is still valid."""
        while self._heap and self._superseded(self._heap[0]):
            heapq.heappop(self._heap)
        if self._closed or not self._heap:
            return
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._promote()
        self._arm()

    def _superseded(self, item: tuple[float, int, str]) -> bool:
        entry = self._due.get(item[2])
        return entry is None or entry[1] != item[1]

    def _compact(self) -> None:
        """Superseded entries stay in the heap until they surface; rebuild when they are the most of it."""
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._due):
            self._heap = [item for item in self._heap if not self._superseded(item)]
            heapq.heapify(self._heap)

    def _notify(self) -> None:
        for taker in self._takers:
            if not taker.done():
                taker.set_result(None)
                return

    async def _wait(self) -> None:
        taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._takers[taker] = None
        try:
            await taker
        except asyncio.CancelledError:
            if taker.done() and not taker.cancelled():
                del self._takers[taker]
                self._notify()  # the wake-up was for somebody: pass it on
            raise
        finally:
            self._takers.pop(taker, None)


def _namespace(key: str) -> str:
    return key.partition("/")[0]
