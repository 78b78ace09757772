"""What one reading may cost, whoever asks its questions: the walk, the aliases, the look-up of name servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from mailegress.dns.query import DnsTimeout

T = TypeVar("T")

QUESTIONS = 200
"""Questions of one reading, repetitions over TCP or without EDNS included. Without this bound a delegation or an
alias can multiply them (NXNSAttack, CVE-2020-12667). A chain of 8 aliases with 4 name servers each needs about 150.
"""

SECONDS = 60.0


class BudgetSpent(DnsTimeout):
    """The reading needs more questions or more time than one reading may use."""


class Budget:
    """Of one reading. ``namespace``: for whom it is made; ``name``: what is read."""

    def __init__(self, namespace: str = "", name: str = "", questions: int = QUESTIONS) -> None:
        self.namespace = namespace
        self.name = name
        self._questions = questions
        self._left = questions
        self._spent: BudgetSpent | None = None

    @property
    def left(self) -> int:
        """Questions that are not spent."""
        return self._left

    def spend(self) -> None:
        """Pay for one question. Errors: :class:`BudgetSpent`."""
        if self._left <= 0:
            self._spent = BudgetSpent(f"it needs more than {self._questions} DNS questions")
            raise self._spent
        self._left -= 1

    async def run(
        self,
        work: Coroutine[Any, Any, T],
        sleep: Callable[[float], Awaitable[None]],
        seconds: float = SECONDS,
    ) -> T:
        """The outcome of ``work``, whose questions are paid from this budget.

        Errors: :class:`BudgetSpent`, also if ``work`` took an unpaid question for silence and has an outcome.
        """
        token = _current.set(self)
        task = asyncio.ensure_future(work)
        _current.reset(token)
        limit = asyncio.ensure_future(sleep(seconds))
        try:
            await asyncio.wait((task, limit), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise BudgetSpent(f"it takes longer than {seconds:g} seconds")
            if self._spent is not None:
                raise self._spent
            return task.result()
        finally:
            task.cancel()
            limit.cancel()
            await asyncio.gather(task, limit, return_exceptions=True)


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


def current() -> Budget:
    """The budget of the reading that asks; outside a reading a new one."""
    return _current.get() or Budget()
