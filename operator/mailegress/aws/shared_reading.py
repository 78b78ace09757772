"""One shared value that is read again on request: one reading at a time serves everybody who asked before it began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Generic, TypeVar

from mailegress.aws.api import AwsError
from mailegress.aws.errors import classify
from mailegress.aws.runtime import SENT_FROM, Runtime
from mailegress.model.facts import NEVER, Fact
from mailegress.reconcile.ports import Key

T = TypeVar("T")


class Reading(Generic[T]):
    """The value with its age, its waiting keys and its back-off."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        read: Callable[[], Awaitable[T]],
        done: Callable[[], None] | None = None,
    ) -> None:
        self.fact: Fact[T] = Fact()
        self._rt = runtime
        self._name = name
        self._read = read
        self._done = done
        self._waiting: dict[Key | None, float] = {}
        """None: the listener for all of them (:meth:`refresh`)."""
        self._refreshed: Callable[[], None] = _nobody
        self._signal = runtime.signal()
        self._backoff = runtime.backoff()
        self._not_until = NEVER
        self._running = False

    def request(self, key: Key, not_before: float) -> None:
        """Wake ``key`` once there is a reading that began at or after ``not_before``, or a reading failed."""
        self._request(key, not_before)

    def listen(self, refreshed: Callable[[], None]) -> None:
        """Call ``refreshed`` after each :meth:`refresh`."""
        self._refreshed = refreshed

    def refresh(self, not_before: float) -> None:
        """As :meth:`request`, for the listener."""
        self._request(None, not_before)

    def _request(self, key: Key | None, not_before: float) -> None:
        if self.fact.fresh(not_before):
            self._tell(key)
            return
        self._waiting[key] = max(not_before, self._waiting.get(key, NEVER))
        self._signal.set()
        if not self._running:
            self._running = True
            self._rt.tasks.spawn(self._run(), self._name)

    @property
    def newest_demand(self) -> float:
        """The newest ``not_before`` among those waiting."""
        return max(self._waiting.values(), default=NEVER)

    def edit(self, value: T) -> None:
        """Replace the value without making it younger or older."""
        self.fact = replace(self.fact, value=value)

    async def _run(self) -> None:
        try:
            while self._waiting:
                begin = self._rt.clock()
                due = max(self._not_until, min(self._waiting.values()))
                if due > begin:
                    await self._signal.wait(due - begin)
                    continue
                await self._once(begin)
        finally:
            self._running = False

    async def _once(self, begin: float) -> None:
        first: list[float] = []
        SENT_FROM.set(first)
        try:
            value = await self._read()
        except AwsError as error:
            self._not_until = self._rt.clock() + self._backoff.next()
            fact = self.fact
            self.fact = replace(fact, fault=classify(error), misses=fact.misses + 1, tried_at=begin)
            # Everybody learns of the failure; who still wants it asks again and is served when the back-off ends.
            served = list(self._waiting)
        else:
            self._backoff.reset()
            self._not_until = NEVER
            # Who asked while it was throttled is served too: all of it was read after that.
            at = first[0] if first else begin
            self.fact = Fact(value, at=at, tried_at=at)
            served = [key for key, not_before in self._waiting.items() if not_before <= at]
        for key in served:
            del self._waiting[key]
        if self._done is not None:
            self._done()
        for key in served:
            self._tell(key)

    def _tell(self, key: Key | None) -> None:
        if key is None:
            self._refreshed()
        else:
            self._rt.wake(key)


def _nobody() -> None:
    """No listener."""
