"""Two faults in one short story: the second meets an operator that is still busy with the first.

``MAILEGRESS_SIM_PAIRS``: how many pairs of each story, or ``all``; without it a few in the short form, and more in the
long one. The choice is the same every time.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest

from tests.support.simulation.faults import Plan
from tests.support.simulation.harness import Violation
from tests.support.simulation.record import recording
from tests.support.simulation.runs import faults, play_faulted

SHORT = ("create-instance", "delete", "delete-midway", "adopt", "observed", "rename", "eip-swap")
COUNTS = {"quick": 10, "full": 100}


def pairs(name: str) -> list[tuple[Plan, Plan]]:
    """Pairs of different faults in the order in which the list of faults has them, or the other way round."""
    single = [plan for plan, impatient in faults(name) if not impatient and plan.point != "kube.event"]
    everything = [
        (a, b)
        for a, b in itertools.permutations(single, 2)
        if (a.point, a.index, a.when) != (b.point, b.index, b.when)
    ]
    wanted = os.environ.get("MAILEGRESS_SIM_PAIRS", "") or str(COUNTS[os.environ["MAILEGRESS_SIM"]])
    if wanted == "all":
        return everything
    return random.Random(name).sample(everything, min(int(wanted), len(everything)))


@pytest.mark.parametrize("name", SHORT)
def test_the_story_under_two_faults(name: str) -> None:
    broken: list[str] = []
    chosen = pairs(name)
    with recording(f"pairs-{name}") as record:
        for first, second in chosen:
            try:
                outcome = play_faulted(name, first, also=second)
                record.run(name, outcome.reached, outcome.struck)
            except Violation as violation:
                broken.append(f"{first}, then {second}\n{violation}")
        assert not broken, f"{len(broken)} of {len(chosen)} pairs broke {name}; the first:\n{broken[0]}"
