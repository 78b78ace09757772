"""Shared facts: many ask, one reading serves them, all are woken."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from mailegress.aio.backoff import backoff_seconds, spread
from mailegress.aio.fair_slots import Places, Ticket
from mailegress.dns.budget import QUESTIONS, Budget, BudgetSpent
from mailegress.model.facts import NEVER, Fact, Fault
from mailegress.reconcile.ports import Key, Wake

T = TypeVar("T")

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]
OnError = Callable[[str, BaseException], None]


class ReadingFailed(Exception):
    """Nothing usable was learned; the last good value stands."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Pace:
    """Durations in seconds. The wait after failures begins with ``first`` and is at most ``longest``."""

    first: float = 1.0
    longest: float = 60.0
    forget: float = 3600.0

    def pause(self, failures: int, rng: random.Random) -> float:
        return spread(backoff_seconds(failures, self.first, self.longest), rng)


@dataclass(frozen=True, slots=True)
class _Want(Generic[T]):
    not_before: float
    detail: frozenset[str]
    expected: Callable[[T], bool] | None = None


@dataclass(slots=True)
class _Entry(Generic[T]):
    fact: Fact[T] = field(default_factory=Fact)
    wants: dict[Key, _Want[T]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    poke: asyncio.Event | None = None
    """Set while it sleeps until a request is due."""
    ticket: Ticket | None = None
    """While it waits for its place, or is read."""
    retry_at: float = NEVER
    touched: float = NEVER


class Readings(Generic[T]):
    """The facts of one kind, by name.

    ``read(name, detail)`` makes one reading, or raises :class:`ReadingFailed`; ``covers(value, detail)``
    tells whether a value answers a request that asked for ``detail``. ``places`` bounds the readings in
    progress, of all and of each namespace; one that several namespaces ask for waits in the line of each. A reading
    that spends its budget (``questions``, and the time of :data:`mailegress.dns.budget.SECONDS`) fails as
    ``broken`` tells. An unexpected exception of ``read`` is given to ``on_error`` and backed off like a failure, so
    that one bad name neither stops the others nor spins.
    """

    def __init__(
        self,
        read: Callable[[str, frozenset[str]], Coroutine[Any, Any, T]],
        *,
        wake: Wake,
        clock: Clock,
        sleep: Sleep,
        rng: random.Random,
        places: Places,
        pace: Pace,
        on_error: OnError,
        broken: Callable[[BaseException], Fault],
        covers: Callable[[T, frozenset[str]], bool] = lambda value, detail: True,
        questions: int = QUESTIONS,
    ) -> None:
        self._read = read
        self._wake = wake
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._places = places
        self._pace = pace
        self._on_error = on_error
        self._broken = broken
        self._covers = covers
        self._questions = questions
        # Least recently asked about first.
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> Fact[T]:
        entry = self._entries.get(name)
        if entry is None:
            return Fact()
        self._touch(name, entry)
        return entry.fact

    def request(
        self,
        key: Key,
        name: str,
        not_before: float,
        detail: frozenset[str] = frozenset(),
        expected: Callable[[T], bool] | None = None,
    ) -> None:
        """Ask for a reading that begins at or after ``not_before``; ``key`` is woken when it is there or
        failed. A value of which ``expected`` is true wakes nobody: to its reader it says nothing new.

        If what is known will do, ``key`` is woken at once. Requests of one key for one name merge; the newest says
        what is expected.
        """
        if self._closed:
            return
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
        self._touch(name, entry)
        self._forget_old()
        want = _Want(not_before, detail, expected)
        if self._satisfied(entry, want):
            self._wake(key)
            return
        earlier = entry.wants.get(key)
        if earlier is not None:
            want = replace(want, not_before=max(not_before, earlier.not_before))
        entry.wants[key] = want
        if entry.poke is not None:
            entry.poke.set()
        if entry.ticket is not None:
            entry.ticket.join(_namespace(key))
        if entry.task is None:
            entry.task = asyncio.get_running_loop().create_task(self._serve(name, entry), name=f"dns:{name}")

    async def close(self) -> None:
        """Stop every reading; later requests are ignored."""
        self._closed = True
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _touch(self, name: str, entry: _Entry[T]) -> None:
        entry.touched = self._clock()
        self._entries.move_to_end(name)

    def _forget_old(self) -> None:
        limit = self._clock() - self._pace.forget
        while self._entries:
            name, entry = next(iter(self._entries.items()))
            if entry.touched >= limit:
                return
            if entry.task is not None:
                self._touch(name, entry)  # somebody waits for it
                continue
            del self._entries[name]

    def _satisfied(self, entry: _Entry[T], want: _Want[T]) -> bool:
        value = entry.fact.value
        return value is not None and entry.fact.fresh(want.not_before) and self._covers(value, want.detail)

    async def _serve(self, name: str, entry: _Entry[T]) -> None:
        try:
            while entry.wants:
                await self._until_due(entry)
                with self._places.ticket(*map(_namespace, entry.wants)) as entry.ticket:
                    namespace = await entry.ticket.granted
                    # Begun only now: whatever was written while this waited for its place is seen, too.
                    at = self._clock()
                    detail = frozenset[str]().union(
                        *(w.detail for w in entry.wants.values() if w.not_before <= at)
                    )
                    failed = await self._once(name, entry, at, detail, namespace)
                self._tell(entry, at, failed)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._on_error(name, error)
        finally:
            entry.task = entry.ticket = None

    async def _until_due(self, entry: _Entry[T]) -> None:
        """Sleep until the earliest request is due and no back-off holds it; an earlier one shortens it."""
        while True:
            due = max(entry.retry_at, min(w.not_before for w in entry.wants.values()))
            delay = due - self._clock()
            if delay <= 0:
                return
            entry.poke = asyncio.Event()
            waits = [
                asyncio.ensure_future(self._sleep(delay)),
                asyncio.ensure_future(entry.poke.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                entry.poke = None
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)

    async def _once(
        self, name: str, entry: _Entry[T], at: float, detail: frozenset[str], namespace: str
    ) -> bool:
        """One reading, stored. True if it failed."""
        try:
            budget = Budget(namespace, name, self._questions)
            value = await budget.run(self._read(name, detail), self._sleep)
        except ReadingFailed as failure:
            fault = failure.fault
        except BudgetSpent as spent:
            fault = self._broken(spent)
        except Exception as error:
            with contextlib.suppress(Exception):
                self._on_error(name, error)
            fault = self._broken(error)
        else:
            entry.fact = Fact(value=value, at=at, tried_at=at)
            entry.retry_at = NEVER
            return False
        misses = entry.fact.misses + 1
        entry.fact = replace(entry.fact, fault=fault, misses=misses, tried_at=at)
        entry.retry_at = self._clock() + self._pace.pause(misses, self._rng)
        return True

    def _tell(self, entry: _Entry[T], at: float, failed: bool) -> None:
        served = {
            key: want.expected
            for key, want in entry.wants.items()
            if (want.not_before <= at if failed else self._satisfied(entry, want))
        }
        for key in served:
            del entry.wants[key]
        for key, expected in served.items():
            try:
                value = entry.fact.value
                if not failed and expected is not None and value is not None and expected(value):
                    continue
                self._wake(key)
            except Exception as error:
                self._on_error(key, error)


def _namespace(key: Key) -> str:
    return key.partition("/")[0]
