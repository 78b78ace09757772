"""Breadth-first over the real planner: two objects, two hostnames, two EIPs, and every order in which things happen."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.support.simulation.record import recording
from tests.support.simulation.smallstate import SPECS, Spec
from tests.support.simulation.smallworld import Walk, rested

STARTS: dict[str, tuple[tuple[Spec, ...], int, int]] = {
    "nothing": ((), 1, 1),
    "one": (((0, (0,)),), 1, 1),
    "strangers": (((0, (0,)), (1, (1,))), 1, 1),
    "one-name": (((0, (0,)), (0, (1,))), 1, 0),
    "one-name-crash": (((0, (0,)), (0, (1,))), 1, 1),
    "one-with-both": (((0, (0, 1)),), 1, 1),
    "one-address": (((0, (0,)), (1, (0, 1))), 1, 1),
    "two-actions": ((), 2, 0),
    "one-two-actions": (((0, (0,)),), 2, 0),
}
"""What is there at first, and how many actions and crashes come, in every order."""
FORMS = {"quick": 4, "full": len(STARTS)}
"""How many of them are walked."""


@pytest.mark.parametrize("start", list(STARTS)[: FORMS[os.environ["MAILEGRESS_SIM"]]])
def test_every_order_of_deeds_and_crashes(start: str) -> None:
    specs, actions, crashes = STARTS[start]
    with recording(f"small-world-{start}") as record:
        walk = Walk()
        walk.run([replace(rested(*specs), actions=actions, crashes=crashes)])
        ends = len(set(walk.resting.values()))
        print(f"{start}: {len(walk.known)} states, {walk.transitions} transitions, {ends} of them at rest")
        record.runs += len(walk.known)
    assert len(walk.known) > 500


def test_two_objects_of_any_specs_come_to_one_rest() -> None:
    """E4: whoever is there first holds what both want, however the work is interleaved."""
    with recording("small-world-pairs") as record:
        for first in SPECS[:3]:
            for second in SPECS:
                walk = Walk()
                walk.run([rested(first, second)])
                record.runs += len(walk.known)
                assert len(set(walk.resting.values())) == 1
