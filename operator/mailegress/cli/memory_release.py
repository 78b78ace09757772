"""Memory at the start: fewer garbage collections while it fills, and what nobody needs any more goes back to the
system.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

SETTLED = 45.0
"""Seconds after which lists and sweeps of the start are done, also with ten thousand objects."""
AGAIN = 900.0
"""Seconds between later times: sweeps of many pages leave holes."""

GROWING = (2000, 20, 20)
"""Thresholds of the garbage collector until then. What a start allocates stays, so most collections find nothing: with
the defaults they take an eighth of the processor time of a restart with ten thousand objects."""


class Tidy:
    """Frees memory once after the start and then now and then. Needs a running loop to start."""

    def __init__(self, give_back: Callable[[], None] | None = None) -> None:
        self._give_back = give_back or _malloc_trim()
        self._timer: asyncio.TimerHandle | None = None
        self._usual = gc.get_threshold()

    def start(self) -> None:
        gc.set_threshold(*GROWING)
        self._timer = asyncio.get_running_loop().call_later(SETTLED, self._first)

    def stop(self) -> None:
        gc.set_threshold(*self._usual)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _first(self) -> None:
        gc.set_threshold(*self._usual)
        gc.collect()
        # What lives now lives long: later collections need not look at it, which kept the loop for a tenth of a second.
        gc.freeze()
        self._again()

    def _again(self) -> None:
        self._give_back()
        self._timer = asyncio.get_running_loop().call_later(AGAIN, self._again)


def _malloc_trim() -> Callable[[], None]:
    """glibc keeps what was freed below the top of its heaps (malloc_trim(3)); musl has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if trim is None else lambda: trim(0)
