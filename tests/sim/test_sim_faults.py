"""Every story under every fault: at each choke point, before and after the effect, and what becomes of it.

A run goes from an empty world to an empty world. On the way the safety invariants are looked at with every call
and every status write; in the end world, statuses and the number of effects are compared with the calm run's.

How many faults are played depends on the form of the suite (``MAILEGRESS_SIM``, see ``simulation.record``):
``short`` two for each story, ``quick`` and ``full`` each choke point before and after its effect in every story, and a
sample of the others. ``MAILEGRESS_SIM_FAULTS=all`` plays them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from tests.support.simulation import record
from tests.support.simulation.faults import Plan
from tests.support.simulation.harness import Violation
from tests.support.simulation.record import recording
from tests.support.simulation.runs import calm, faults, play_faulted
from tests.support.simulation.scenarios import SCENARIOS
from tests.support.simulation.trace import once_more

SHARE = {"quick": 40, "full": 6}
"""Of the faults beyond one for each choke point, side and class, every so-manieth is played."""


def choose(name: str) -> list[tuple[Plan, bool]]:
    """The fixed choice of a story's faults."""
    everything = list(faults(name))
    if os.environ.get("MAILEGRESS_SIM_FAULTS") == "all":
        return everything
    form = record.form()
    chosen: dict[tuple[Plan, bool], None] = {}
    met: set[tuple[str, str, bool]] = set()
    for plan, impatient in _spread(everything):
        kind = (plan.point, plan.when, plan.kind == "crash")
        if kind not in met:
            met.add(kind)
            chosen[plan, impatient] = None
    if form == "short":
        # Other ones for each story, so that all stories together meet every choke point.
        place = 2 * list(SCENARIOS).index(name)
        return [list(chosen)[(place + offset) % len(chosen)] for offset in (0, 1)]
    rest = [each for each in everything if each not in chosen and each[0].point != "kube.event"]
    chosen.update(dict.fromkeys(rest[:: SHARE[form]]))
    return list(chosen)


def _spread(everything: list[tuple[Plan, bool]]) -> Iterable[tuple[Plan, bool]]:
    """From all over the story, not its first moments only."""
    step = 7
    for start in range(step):
        yield from everything[start * 3 % step :: step]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_story(name: str) -> None:
    """It ends as it should, stays so over a restart, and leaves nothing behind: without a fault and with each."""
    broken: list[str] = []
    with recording(f"story-{name}") as kept:
        kept.run(name, calm(name).reached, 0)
        runs = choose(name)
        for plan, impatient in runs:
            try:
                outcome = play_faulted(name, plan, impatient=impatient)
            except Violation as violation:
                kept.violated(f"{once_more(name, plan, impatient)}: {violation}")
                broken.append(f"{violation}\n{once_more(name, plan, impatient)}")
            else:
                kept.run(name, outcome.reached, outcome.struck)
    if record.form() != "short":
        chosen = {(plan.point, plan.when) for plan, _ in runs}
        assert chosen == {(plan.point, plan.when) for plan, _ in faults(name)}
    assert not broken, f"{len(broken)} of {len(runs)} faults broke {name}; the first:\n{broken[0]}"


def test_the_same_seed_gives_the_same_trace() -> None:
    plan = Plan("route53.change", 0, "after", "crash")
    first, second = (play_faulted("rename-and-swap", plan).lines for _ in range(2))
    assert first == second
    assert len(first) > 40
