"""One object that is asked to reconcile, or edited, every two seconds: what that costs in AWS calls.

The whole operator runs in the simulation, in virtual time. More about storms: ``tests/sim/test_sim_bounds.py``.
"""

from __future__ import annotations

import pytest

from tests.hostile.conftest import FULL, Bound
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST
from tests.support.simulation.storms import WINDOW, Meter, Storm, edits, requests

WINDOWS = 6 if FULL else 2
"""Of ten minutes each, without the storm and in it."""
CALLS_A_MINUTE = 1.0


@pytest.mark.parametrize("storm", [requests, edits])
def test_a_storm_on_one_object_costs_at_most_a_call_a_minute(storm: Storm, bound: Bound) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.ready("a")
        await sim.drain()
        meter = Meter(sim)
        quiet = max([await meter.window(sim) for _ in range(6)])
        stormy = max([await meter.window(sim, storm(sim)) for _ in range(WINDOWS)])
        bound(
            f"requests: AWS calls a minute that {storm.__name__} every two seconds cost",
            limit=CALLS_A_MINUTE,
            seen=max(stormy - quiet, 0) / (WINDOW / 60),
        )
        await sim.ready("a")

    simulate(story)
