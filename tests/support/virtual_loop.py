"""Virtual time: an event loop without a selector that jumps to its next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

TICK = 1e-6
"""Seconds that one turn of the loop takes at least, so that no two events of the whole operator share a time."""
TURNS = 60_000
"""More of them mean that something turns in circles: a story of an hour takes some 5,000."""


class Deadlock(Exception):
    """Nothing is ready and no timer is set."""


class Runaway(Exception):
    """Virtual time, or the work done in it, went past its limit."""


class _Jumping(selectors.BaseSelector):
    """Nothing is ever readable: the only source of events is the clock."""

    def __init__(self, begin: float, longest: float, turns: int, tick: float) -> None:
        self.now = begin
        self._all = 0
        self._longest, self._most = longest, turns
        self._begin_again()
        self._tick = tick

    def _begin_again(self) -> None:
        """After a failure the loop has the same time once more, in which its tasks are cancelled and end.

        A task that is dropped instead runs its ``finally`` blocks when it is collected, without a loop.
        """
        self._end, self._turns = self.now + self._longest, self._all + self._most

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("a simulation opens no sockets")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self._all += 1
        if self._all > self._turns:
            self._begin_again()
            raise Runaway(f"{self._all} turns of the loop, now at {self.now:g} virtual seconds")
        # A clock never stands still: what is due in less than it can tell would else be waited for for ever.
        self.now += max(timeout, self._tick)
        if self.now > self._end:
            self._begin_again()
            raise Runaway(f"not over after {self._longest:g} virtual seconds")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``begin``: its first time; ``longest``: virtual seconds until it fails; ``turns``: of the loop until it fails;
    ``tick``: seconds that a turn takes at least.
    """

    def __init__(
        self, begin: float = 0.0, longest: float = 40 * 86400.0, turns: int = TURNS, tick: float = TICK
    ) -> None:
        self._jumping = _Jumping(begin, longest, turns, tick)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def _make_self_pipe(self) -> None:
        """No other thread wakes this loop."""
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        return

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Signals are not simulated: a crash is a crash."""

    def remove_signal_handler(self, sig: int) -> bool:
        return False


def run_virtually(story: Coroutine[Any, Any, T], loop: VirtualLoop | None = None) -> T:
    """Run a coroutine in virtual time and close its loop."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(story)


def run_exactly(story: Coroutine[Any, Any, T]) -> T:
    """The same with a clock that stands still while anything can run: for tests that compare times exactly."""
    return run_virtually(story, VirtualLoop(tick=0.0))
