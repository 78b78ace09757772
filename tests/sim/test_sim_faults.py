"""Every story under every fault: at each choke point, before and after the effect, and what becomes of it.

A run goes from an empty world to an empty world. On the way the safety invariants are looked at with every call
and every status write; in the end world, statuses and the number of effects are compared with the calm run's.

``MAILEGRESS_SIM_FAULTS=all`` plays every fault (some 6,000 runs); otherwise a fixed choice that meets every choke point
before and after its effect in every story.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from simulation.faults import Plan
from simulation.harness import Violation
from simulation.runs import calm, faults, play_faulted
from simulation.scenarios import SCENARIOS

SHARE = 14
"""Of the faults beyond one for each choke point, side and class, every so-manieth is played."""


def choose(name: str) -> list[tuple[Plan, bool]]:
    """All faults of a story, or the fixed choice: a crash and an error for each choke point and side, and a sample."""
    everything = list(faults(name))
    if os.environ.get("MAILEGRESS_SIM_FAULTS") == "all":
        return everything
    chosen: dict[tuple[Plan, bool], None] = {}
    met: set[tuple[str, str, bool]] = set()
    for plan, impatient in _spread(everything):
        kind = (plan.point, plan.when, plan.kind == "crash")
        if kind not in met:
            met.add(kind)
            chosen[plan, impatient] = None
    rest = [each for each in everything if each not in chosen and each[0].point != "kube.event"]
    chosen.update(dict.fromkeys(rest[:: SHARE * 2]))
    return list(chosen)


def _spread(everything: list[tuple[Plan, bool]]) -> Iterable[tuple[Plan, bool]]:
    """From all over the story, not its first moments only."""
    step = 7
    for start in range(step):
        yield from everything[start * 3 % step :: step]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_calm_story(name: str) -> None:
    """Without a fault it ends as it should, stays so over a restart, and leaves nothing behind."""
    calm(name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_story_under_faults(name: str) -> None:
    broken: list[str] = []
    runs = choose(name)
    for plan, impatient in runs:
        try:
            play_faulted(name, plan, impatient=impatient)
        except Violation as violation:
            broken.append(f"{plan}{', user goes on' if impatient else ''}\n{violation}")
    assert not broken, f"{len(broken)} of {len(runs)} faults broke {name}; the first:\n{broken[0]}"


def test_every_choke_point_is_met_before_and_after_its_effect() -> None:
    """By all stories together, and by the choice that is played."""
    passed = {point for name in SCENARIOS for point, _, _ in calm(name).reached}
    assert passed == {
        "kube.status", "kube.finalizer", "kube.event", "route53.change", "ec2.set_ptr", "ec2.reset_ptr",
    }  # fmt: skip
    for name in SCENARIOS:
        chosen = {(plan.point, plan.when) for plan, _ in choose(name)}
        assert chosen == {(point, when) for point in calm(name).passed for when in ("before", "after")}, name


def test_the_same_seed_gives_the_same_trace() -> None:
    plan = Plan("route53.change", 0, "after", "crash")
    first, second = (play_faulted("rename-and-swap", plan).lines for _ in range(2))
    assert first == second
    assert len(first) > 40
