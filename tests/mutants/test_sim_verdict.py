"""What ``scripts/test_sim.py`` makes of the suites' records and of the planted bugs."""

from __future__ import annotations

from typing import Any

import pytest

from scripts import test_sim as driver
from tests.support.mutants.catalogue import INVARIANTS, MUTANTS
from tests.support.mutants.runner import Verdict

POINTS = {"route53.change", "ec2.set_ptr"}
ALL_FOUND = [Verdict(m, "somebody") for m in MUTANTS]


def part(**fields: Any) -> dict[str, Any]:
    sides = {point: {"before": 2, "after": 1} for point in POINTS}
    whole = {
        "scenarios": ["rename"],
        "choke_points": sides,
        "runs": 3,
        "faults_injected": 2,
        "violations": [],
    }
    return {**whole, "soak": {}, **fields}


def failures(result: dict[str, Any], verdicts: list[Verdict] = ALL_FOUND, code: int = 0) -> list[str]:
    return list(driver.shortcomings(result, verdicts, code=code, points=POINTS))


def test_records_are_added_up() -> None:
    soak = {"days": 30.0, "crs": 100.0, "rss_growth_mb": 1.5}
    result = driver.merge([part(), part(scenarios=["delete"], soak=soak, violations=["S1 …"])])
    assert result["scenarios"] == ["delete", "rename"]
    assert result["choke_points"]["ec2.set_ptr"] == {"before": 4, "after": 2}
    assert (result["runs"], result["faults_injected"]) == (6, 4)
    assert result["soak"] == soak
    assert result["violations"] == ["S1 …"]


def test_a_whole_without_flaw_passes() -> None:
    assert failures(driver.merge([part()])) == []


@pytest.mark.parametrize(
    ("result", "verdicts", "code", "says"),
    [
        (part(), ALL_FOUND, 1, "pytest ended with 1"),
        (part(violations=["S1 violated\ntrace"]), ALL_FOUND, 0, "violation: S1 violated"),
        (
            part(choke_points={"route53.change": {"before": 1, "after": 0}, "ec2.set_ptr": {"before": 1, "after": 1}}),
            ALL_FOUND, 0, "route53.change was never met after its effect",
        ),
        (
            part(choke_points={"route53.change": {"before": 1, "after": 1}}),
            ALL_FOUND, 0, "ec2.set_ptr was never met before its effect",
        ),
        (part(), [v for v in ALL_FOUND if v.mutant.invariant != "S13"], 0, "S13 has no planted bug"),
        (part(), [*ALL_FOUND[1:], Verdict(MUTANTS[0], "", ("nothing",))], 0, f"nobody found {MUTANTS[0].id}"),
    ],
)  # fmt: skip
def test_each_flaw_fails_it(result: dict[str, Any], verdicts: list[Verdict], code: int, says: str) -> None:
    assert any(text.startswith(says) for text in failures(result, verdicts, code))


def test_the_choke_points_are_read_from_the_operators_code() -> None:
    assert driver.choke_points() == {
        "kube.status", "kube.finalizer", "kube.event", "kube.policy", "kube.endpoint",
        "route53.change", "ec2.set_ptr", "ec2.reset_ptr",
    }  # fmt: skip
    assert len(INVARIANTS) == 23
