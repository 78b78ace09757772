"""A simulation that is led step by step from ordinary code: between the steps its time stands still."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tests.support.simulation.harness import Sim, Violation, logging_of
from tests.support.virtual_loop import Deadlock, Runaway, VirtualLoop

T = TypeVar("T")

LONGEST = 400 * 86400.0
TURNS = 5_000_000


class Stepped:
    """Owns a virtual loop and one :class:`Sim` in it. :meth:`close` must be called."""

    def __init__(self, seed: int = 1, settings: Mapping[str, str] | None = None) -> None:
        self._log = logging_of(None)
        self.errors = self._log.__enter__()
        loop = VirtualLoop(longest=LONGEST, turns=TURNS)
        self._runner = asyncio.Runner(loop_factory=lambda: loop)
        # A collection in the midst of a run costs as much as the run.
        gc.disable()
        self.sim: Sim = self._runner.run(self._make(seed, settings))

    @staticmethod
    async def _make(seed: int, settings: Mapping[str, str] | None) -> Sim:
        return Sim(seed, settings=settings)

    def do(self, act: Callable[[Sim], T]) -> T:
        """Something that happens at this very moment."""

        async def now() -> T:
            return act(self.sim)

        return self._runner.run(now())

    def run(self, story: Callable[[Sim], Awaitable[T]]) -> T:
        """Something that takes time. Raises :class:`Violation`, with the time line."""

        async def whole() -> T:
            return await story(self.sim)

        try:
            return self._runner.run(whole())
        except (Violation, Runaway, Deadlock) as error:
            raise Violation(
                "\n".join([str(error), *self.sim.checks.violations, self.sim.trace.tail()])
            ) from None

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.run(lambda sim: asyncio.sleep(seconds))

    def check(self) -> None:
        """Nothing was violated so far."""
        broken = [*self.sim.checks.violations, *(f"log: {text}" for text in self.errors.seen)]
        if broken:
            raise Violation("\n".join([*broken, self.sim.trace.tail()]))

    def close(self) -> None:
        try:
            self._runner.run(self.sim.close())
        finally:
            self._runner.close()
            self._log.__exit__(None, None, None)
            gc.enable()
