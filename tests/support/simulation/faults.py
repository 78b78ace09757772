"""Faults at choke points: which occurrence, before or after the effect, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

When = Literal["before", "after"]
Kind = Literal["crash", "5xx", "timeout", "throttle", "denied", "conflict"]

DENIED_FOR = 900.0
"""Virtual seconds for which a permission stays away."""
RATE_FOR = 20.0
"""Virtual seconds of throttling."""


@dataclass(frozen=True)
class Plan:
    """``index``: the how-manieth passage of the choke point since the start of the story, from 0."""

    point: str
    index: int
    when: When
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind} {self.when} {self.point}#{self.index}"


@dataclass
class FaultSchedule:
    """All choke points of all operators of one simulation."""

    clock: Callable[[], float]
    note: Callable[..., None]
    plans: list[Plan] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    """By point: how often it was entered."""
    reached: set[tuple[str, int, str]] = field(default_factory=set)
    struck: list[Plan] = field(default_factory=list)
    armed: dict[asyncio.Task[object] | None, Plan] = field(default_factory=dict)
    """What the next request of a task meets: the choke point is entered around exactly one."""
    lasting: dict[str, tuple[float, Kind]] = field(default_factory=dict)

    def take(self) -> Plan | None:
        """The fault that the running task's request meets, once."""
        return self.armed.pop(asyncio.current_task(), None)

    @property
    def ailing(self) -> bool:
        """Whether a fault that lasts for a while still does."""
        return any(until > self.clock() for until, _ in self.lasting.values())

    def heal(self) -> None:
        """Whatever was still to come does not."""
        self.plans.clear()
        self.lasting.clear()

    def guard(self, crash: Callable[[], None], gate: Callable[[], None]) -> SimGuard:
        return SimGuard(self, crash, gate)

    def due(self, point: str, index: int, when: When) -> Plan | None:
        return next((p for p in self.plans if (p.point, p.index, p.when) == (point, index, when)), None)

    def find(self, point: str, index: int, when: When) -> Plan | None:
        plan = self.due(point, index, when)
        if plan is not None:
            self.plans.remove(plan)
            self.struck.append(plan)
            self.note("fault", plan)
            if plan.kind in ("denied", "throttle"):
                length = DENIED_FOR if plan.kind == "denied" else RATE_FOR
                self.lasting[point] = (self.clock() + length, plan.kind)
            return plan
        if when == "before" and point in self.lasting:
            until, kind = self.lasting[point]
            if self.clock() < until:
                return Plan(point, index, when, kind)
            del self.lasting[point]
        return None


@dataclass
class SimGuard:
    """The ``Choke`` of one process. ``crash`` marks the process dead; ``gate`` raises once it is."""

    schedule: FaultSchedule
    crash: Callable[[], None]
    gate: Callable[[], None]

    def point(self, name: str) -> AbstractAsyncContextManager[None]:
        return self._point(name)

    @asynccontextmanager
    async def _point(self, name: str) -> AsyncIterator[None]:
        schedule = self.schedule
        self.gate()
        index = schedule.passed[name]
        schedule.passed[name] += 1
        plan = schedule.find(name, index, "before")
        after = None
        if plan is None:
            after = schedule.due(name, index, "after")
            if after is not None and after.kind != "crash":
                # A reply that goes wrong after the effect is the request's own affair, too.
                plan, after = schedule.find(name, index, "after"), None
        schedule.reached.add((name, index, "before"))
        if plan is not None and plan.kind == "crash":
            await self._die()
        if plan is not None:
            schedule.armed[asyncio.current_task()] = plan
        try:
            yield
        finally:
            schedule.armed.pop(asyncio.current_task(), None)
        schedule.reached.add((name, index, "after"))
        if after is not None:
            schedule.find(name, index, "after")
            await self._die()

    async def _die(self) -> None:
        self.crash()
        await asyncio.get_running_loop().create_future()
