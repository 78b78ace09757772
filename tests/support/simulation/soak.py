"""Many objects for many virtual days: what grows, what is called, what is written although nothing happens."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sandbox.aws.service import Call
from tests.support.simulation.harness import Process, Sim
from tests.support.simulation.world import forget_answers

DAY = 86400.0
HOUR = 3600.0
WARM_UP = 6 * HOUR
"""Every periodic thing has happened several times: the slowest comes each 75 minutes."""
KEPT = 500
"""Entries of the time line."""
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Size:
    """What is held at one moment."""

    rss: int
    """Bytes."""
    objects: int
    """Containers that the garbage collector follows."""
    tasks: int
    queue: float
    store: float


@dataclass(frozen=True)
class Soak:
    days: float
    crs: int
    before: Size
    after: Size
    calls: Counter[str]
    """Requests to AWS by service, after the warm-up."""
    writes: tuple[tuple[int, ...], tuple[int, ...]]
    versions: tuple[dict[str, str], dict[str, str]]
    """Name -> resourceVersion, before and after."""

    @property
    def hours(self) -> float:
        return self.days * DAY / HOUR

    def an_hour(self, service: str) -> float:
        return self.calls[service] / self.hours

    @property
    def rss_growth_mb(self) -> float:
        return (self.after.rss - self.before.rss) / 2**20


async def soak(sim: Sim, crs: int, days: float) -> Soak:
    """Create that many objects, let them become Ready, warm up, then let the days pass."""
    world = sim.world
    world.zone()
    eips = world.eips(crs)
    process = sim.start()
    for number, eip in enumerate(eips):
        sim.meg(f"meg-{number:04}", f"mta{number:04}.example.com", [eip])
    await sim.ready(*(name for _, name in sorted(sim.api.objects)))
    await sim.drain()
    await _pass(sim, WARM_UP)
    calls: Counter[str] = Counter()
    sent = world.calls.sent

    def counted(call: Call) -> None:
        calls[call.service] += 1
        sent(call)

    world.calls.sent = counted
    before, writes, versions = _size(sim, process), sim.checks.writes(), _versions(sim)
    await _pass(sim, days * DAY)
    return Soak(
        days,
        crs,
        before,
        _size(sim, process),
        calls,
        (writes, sim.checks.writes()),
        (versions, _versions(sim)),
    )


async def _pass(sim: Sim, seconds: float) -> None:
    """Time passes; what the simulation itself writes down of calls is thrown away now and then."""
    until = sim.clock() + seconds
    while sim.clock() < until:
        await asyncio.sleep(min(6 * HOUR, until - sim.clock()))
        sim.world.control.reset_log()
        sim.world.dns.journal.clear()
        sim.trace.forget(KEPT)
        forget_answers()
        # (The harness switches automatic collection off.)
        gc.collect()


def _versions(sim: Sim) -> dict[str, str]:
    return {name: o["metadata"]["resourceVersion"] for (_, name), o in sim.api.objects.items()}


def _size(sim: Sim, process: Process) -> Size:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE
    return Size(
        resident,
        len(gc.get_objects()),
        len(process.tasks),
        _gauge(process, "mailegress_queue_depth"),
        _gauge(process, "mailegress_objects"),
    )


def _gauge(process: Process, name: str) -> float:
    """The sum over all its labels."""
    assert process.metrics is not None
    metrics = [m for m in process.metrics.registry.collect() if m.name == name]
    return sum(sample.value for metric in metrics for sample in metric.samples)
