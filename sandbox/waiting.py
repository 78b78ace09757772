"""Waiting on a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


class Overdue(AssertionError):
    """A condition did not come true in time; the message says what was seen instead."""


def wait_until(
    condition: Callable[[], object],
    timeout: float,
    what: str,
    seen: Callable[[], str] | None = None,
    every: float = 0.1,
) -> None:
    """Return when ``condition()`` is true. Seconds. :class:`Overdue` names ``what`` and what ``seen`` tells."""
    deadline = time.monotonic() + timeout
    pause = min(0.02, every)
    while not condition():
        if time.monotonic() > deadline:
            detail = f"; seen last:\n{seen()}" if seen is not None else ""
            raise Overdue(f"waited {timeout:g} s in vain for {what}{detail}")
        time.sleep(pause)
        pause = min(pause * 1.5, every)
