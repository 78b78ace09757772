"""A token bucket that serves user-visible writes before polls before lists, and slows down when AWS throttles (S11)."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass

from mailegress.aio.fair_queue import FairQueue
from mailegress.aio.tasks import Clock, Signal, Sleep, Tasks


class Priority(enum.IntEnum):
    """Who is served first."""

    WRITE = 0
    POLL = 1
    SWEEP = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """``rate`` tokens a second up to ``burst``; see ``AwsSettings`` for the other three."""

    rate: float
    burst: float
    slow_down_factor: float = 0.5
    slow_down_floor: float = 0.1
    recovery_per_second: float = 0.02


@dataclass(slots=True)
class _Waiter:
    cost: float
    future: asyncio.Future[None]


class Bucket:
    """Additive increase, multiplicative decrease around one configured rate.

    Only background tasks of this layer await it, never the workers that reconcile.
    """

    def __init__(self, pace: Pace, clock: Clock, sleep: Sleep, tasks: Tasks, name: str = "bucket") -> None:
        self._pace = pace
        self._clock = clock
        self._tasks = tasks
        self._name = name
        self._tokens = pace.burst
        self._filled_at = clock()
        self._slowed_to = pace.rate
        self._slowed_at = clock()
        self._signal = Signal(sleep)
        self._queues: tuple[FairQueue[_Waiter], ...] = tuple(FairQueue() for _ in Priority)
        self._serial = 0
        self._pumping = False

    @property
    def burst(self) -> float:
        return self._pace.burst

    def rate(self) -> float:
        """Tokens per second at present."""
        gained = (self._clock() - self._slowed_at) * self._pace.recovery_per_second * self._pace.rate
        return min(self._pace.rate, self._slowed_to + gained)

    def level(self) -> float:
        """Tokens available at present; negative after a cost above the burst, until it is covered."""
        now = self._clock()
        self._tokens = min(self._pace.burst, self._tokens + (now - self._filled_at) * self.rate())
        self._filled_at = now
        return self._tokens

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._queues)

    def spend(self, cost: float) -> None:
        """Take tokens without waiting. The caller has checked :meth:`level`."""
        self.level()
        self._tokens -= cost

    def forfeit(self, seconds: float) -> None:
        """Remove the tokens of the last ``seconds``, in which a request was under way: AWS counts a request when it has
        read it, which is later than :meth:`spend` did.
        """
        self._tokens = self.level() - seconds * self.rate()

    async def take(self, priority: Priority, cost: float = 1.0, who: str = "") -> None:
        """Wait for ``cost`` tokens; callers with different ``who`` take turns within a priority.

        A cost above the burst is let through by a full bucket, which then owes the rest.
        """
        if not self.waiting and self.level() + 1e-9 >= min(cost, self._pace.burst):
            self._tokens -= cost
            return
        waiter = _Waiter(cost, asyncio.get_running_loop().create_future())
        self._serial += 1
        self._queues[priority].put(who, str(self._serial), waiter)
        self._signal.set()
        if not self._pumping:
            self._pumping = True
            self._tasks.spawn(self._pump(), f"{self._name}-pump")
        await waiter.future

    def throttled(self) -> None:
        """AWS throttled a request: reduce the rate. Refusals of requests that were sent together count once."""
        now = self._clock()
        if now - self._slowed_at < 1.0 / self._pace.rate and self._slowed_to < self._pace.rate:
            return
        floor = self._pace.rate * self._pace.slow_down_floor
        slower = max(floor, self.rate() * self._pace.slow_down_factor)
        self._tokens = min(self.level(), 0.0)
        self._slowed_to, self._slowed_at = slower, now

    async def _pump(self) -> None:
        try:
            while (queue := next((q for q in self._queues if len(q)), None)) is not None:
                waiter = queue.peek()
                if waiter.future.done():
                    queue.pop()
                    continue
                lack = min(waiter.cost, self._pace.burst) - self.level()
                if lack > 1e-9:
                    await self._signal.wait(lack / self.rate())
                    continue
                queue.pop()
                self._tokens -= waiter.cost
                waiter.future.set_result(None)
        finally:
            self._pumping = False
