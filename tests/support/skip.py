"""A running loop whose clock can be put forward: time limits pass at once, and those of real work never do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest


def skipping(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """``skip(seconds)`` for the running loop: its next turn comes so much later. Its sockets stay real."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0

    def skip(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    return skip
