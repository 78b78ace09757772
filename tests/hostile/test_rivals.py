"""Thousands of objects that want one hostname, in the whole operator: claims, queue, workers, passes, status writes.

It runs in the simulation, in virtual time; what the claims cost is measured in processor time. The claim index alone:
``test_claims.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mailegress.reconcile.claim_index import ClaimIndex
from mailegress.reconcile.reconciler import Reconciler
from mailegress.reconcile.rules import claims
from tests.hostile.conftest import FULL, Bound
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST

RIVALS = 400
MANY = 4000 if FULL else RIVALS
FEW = 50
"""The cost of one object is taken from so many rivals."""
TURNS = 50_000_000
EDITS = 20
HOLDER = "holder"


@dataclass
class Meter:
    """``seconds`` of processor time for the claims, and ``passes``, so far."""

    seconds: float = 0.0
    passes: int = 0

    def timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            began = time.process_time()
            try:
                return work(*args, **more)
            finally:
                self.seconds += time.process_time() - began

        return run


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    made = Meter()
    for name in ("put", "drop", "stand", "set_blocked"):
        monkeypatch.setattr(ClaimIndex, name, made.timed(getattr(ClaimIndex, name)))
    monkeypatch.setattr(claims, "decide", made.timed(claims.decide))
    process = Reconciler.process

    async def counted(self: Reconciler, key: str) -> float | None:
        made.passes += 1
        return await process(self, key)

    monkeypatch.setattr(Reconciler, "process", counted)
    return made


@dataclass(frozen=True)
class Seen:
    """``seconds`` of all; passes and status writes of each phase."""

    seconds: float
    begin: tuple[int, int]
    quiet: tuple[int, int]
    edits: tuple[int, int]
    succession: tuple[int, int]


def played(rivals: int, meter: Meter, *, one_address: bool) -> Seen:
    """The holder becomes Ready beside its rivals, nothing happens, it is edited, and deleted until the next is Ready.

    ``one_address``: the rivals want the holder's address, too; else all of them another one.
    """
    meter.seconds, found = 0.0, []

    async def story(sim: Sim) -> None:
        sim.world.zone()
        first, second = sim.world.eips(2)
        sim.meg(HOLDER, HOST, [first])
        await sim.sleep(2.0)
        wanted = {"allocationID": (first if one_address else second).allocation_id}
        for number in range(rivals):
            spec = {"hostname": HOST, "elasticIPs": [wanted]}
            sim.api.create(f"team-{number % 50}", f"n{number}", spec)
        last = (meter.passes, 0)

        def phase() -> None:
            nonlocal last
            now = (meter.passes, sim.api.requests["PUT status"])
            found.append((now[0] - last[0], now[1] - last[1]))
            last = now

        sim.start()
        await sim.ready(HOLDER)
        await sim.until(lambda: all("status" in o for o in sim.api.objects.values()), "a word to everybody")
        phase()
        await sim.sleep(600.0)
        phase()
        for number in range(EDITS):
            sim.edit(HOLDER, deletionPolicy=("Retain", "Delete")[number % 2])
            await sim.sleep(2.0)
        phase()
        sim.delete(HOLDER)
        await sim.gone(HOLDER)
        await sim.until(lambda: any(map(ready, sim.api.objects.values())), "the next one Ready")
        phase()

    simulate(story, turns=TURNS)
    return Seen(meter.seconds, *found)


def ready(body: dict[str, Any]) -> bool:
    conditions = (body.get("status") or {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.mark.parametrize(("rivals", "one_address"), [(RIVALS, True), (MANY, False)])
def test_rivals_cost_no_more_than_their_number(
    rivals: int, one_address: bool, meter: Meter, bound: Bound
) -> None:
    each = played(FEW, meter, one_address=one_address).seconds / FEW
    seen = played(rivals, meter, one_address=one_address)
    for what, limit, found in (
        ("processor time for each, as a multiple of that with few rivals", 3, seen.seconds / rivals / each),
        ("passes for each until the holder is Ready", 10, seen.begin[0] / rivals),
        ("status writes for each until the holder is Ready", 2.2, seen.begin[1] / rivals),
        ("passes for each in ten quiet minutes", 2, seen.quiet[0] / rivals),
        ("status writes in ten quiet minutes", 0, seen.quiet[1]),
        (f"passes for {EDITS} edits of the holder", rivals / 5, seen.edits[0]),
        ("status writes for each until the next one is Ready", 1.5, seen.succession[1] / rivals),
    ):
        address = "one address" if one_address else "another address"
        bound(f"claims: {rivals} rivals for one name and {address}: {what}", limit=limit, seen=found)
