"""How late the event loop is: what every probe, watch and timer waits for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVERY = 0.1
"""Seconds between two measurements: ten wake-ups a second cost a thousandth of a core."""


class LoopLag:
    """Tells ``observe`` the seconds by which a timer was late, ten times a second. Needs a running loop to start."""

    def __init__(self, observe: Callable[[float], None], every: float = EVERY) -> None:
        self._observe = observe
        self._every = every
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure until :meth:`stop`."""
        loop = asyncio.get_running_loop()
        self._arm(loop, loop.time() + self._every)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = loop.call_at(due, self._ring, loop, due)

    def _ring(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._observe(max(0.0, now - due))
        self._arm(loop, now + self._every)
