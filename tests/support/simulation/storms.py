"""Storms of edits and of requests on one object, and what they cost in AWS calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.simulation.harness import NAMESPACE, Sim

WINDOW = 600.0
EVERY = 2.0
Storm = Callable[[Sim], Callable[[int], None]]
"""What is done at each turn."""


def touch(sim: Sim, value: str) -> None:
    """Ask for a reconcile, as ``kubectl annotate`` does."""

    def annotate(body: dict[str, Any]) -> None:
        body["metadata"].setdefault("annotations", {})["mailegress.io/reconcile-requested-at"] = value

    sim.api.meddle(NAMESPACE, "a", annotate)


def handled(sim: Sim) -> object:
    return (sim.find("a") or {})["status"].get("lastHandledReconcileAt")


class Meter:
    """AWS calls sent so far."""

    def __init__(self, sim: Sim) -> None:
        self.count = 0
        told = sim.world.calls.sent

        def sent(call: Any) -> None:
            self.count += 1
            told(call)

        sim.world.calls.sent = sent

    async def window(self, sim: Sim, act: Callable[[int], None] = lambda number: None) -> int:
        """Calls in ten minutes in which ``act`` is done every two seconds."""
        before = self.count
        for number in range(int(WINDOW / EVERY)):
            act(number)
            await sim.sleep(EVERY)
        return self.count - before


def requests(sim: Sim) -> Callable[[int], None]:
    return lambda number: touch(sim, f"{sim.clock():.0f}-{number}")


def edits(sim: Sim) -> Callable[[int], None]:
    def edit(number: int) -> None:
        known = (sim.find("a") or {})["metadata"]["generation"]
        assert (sim.find("a") or {})["status"]["observedGeneration"] == known, "an edit is seen at once"
        sim.edit("a", deletionPolicy=("Retain", "Delete")[number % 2])

    return edit
