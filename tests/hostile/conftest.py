"""Bounds under attack: each test drives the operator's code with a hostile peer and records what it saw.

``make test-hostile`` runs the full form and writes ``build/hostile.json``; ``make test`` runs the short form.
A test that takes long in its full form asks :data:`FULL`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

FULL = os.environ.get("MAILEGRESS_HOSTILE") == "full"
"""The full form: all sizes and all hostile servers."""

REPORT = os.environ.get("MAILEGRESS_HOSTILE_REPORT", "")
"""File for the recorded bounds; empty = none is written."""

Bound = Callable[..., None]

_bounds: list[dict[str, Any]] = []


@pytest.fixture(scope="session")
def full() -> bool:
    """True in the full form."""
    return FULL


@pytest.fixture
def bound() -> Bound:
    """``bound(name, limit=…, seen=…)`` records a bound and fails if ``seen`` exceeds ``limit``."""

    def record(name: str, *, limit: float, seen: float) -> None:
        holds = seen <= limit
        _bounds.append({"name": name, "limit": limit, "seen": round(seen, 4), "holds": holds})
        assert holds, f"{name}: {seen} exceeds {limit}"

    return record


class LoopLag:
    """For how long the work of this process kept the event loop, in seconds, at most, since ``worst`` was set to 0.

    A timer that is late has waited for what ran on the loop, or for the operating system, which gave the processor to
    somebody else. Only the first counts: the lateness, but no more of it than this process had of the processor in that
    time. Its other threads are included, because they keep the interpreter from the loop.
    """

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(_TICK)
            late = time.monotonic() - began - _TICK
            self.worst = max(self.worst, min(late, time.process_time() - used))


_TICK = 0.005


@pytest.fixture
async def loop_lag() -> AsyncIterator[LoopLag]:
    # A collection of what other tests left takes longer than the limit, and shows nothing about the operator.
    gc.collect()
    gc.freeze()
    lag = LoopLag()
    task = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    yield lag
    task.cancel()
    gc.unfreeze()


def kubeconfig(path: Path, url: str) -> Path:
    """The file, for a process whose API server needs no proof of who it is."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "test"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def pytest_sessionfinish(session: pytest.Session) -> None:
    if REPORT and _bounds:
        path = Path(REPORT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"bounds": sorted(_bounds, key=lambda b: b["name"])}, indent=2) + "\n")
