"""What the bench writes and when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import report
from bench.report import Demand, Result

KEYS = {
    "scenario",
    "n",
    "calls_by_op",
    "floor",
    "ratio",
    "status_writes",
    "rss_mb",
    "cpu_s",
    "wall_s",
    "p99_edit_to_wire_s",
    "limits_on",
    "must",
    "pass",
}


def result(*demands: Demand) -> Result:
    return Result(
        "created_at_start", 200, True, {"GetChange": 3}, {"calls": 2.0}, {"calls": 1.5}, demands=demands
    )


def test_a_count_above_its_bound_fails_in_either_mode() -> None:
    broken = result(Demand("change calls", 5, 4))
    assert not broken.passes(counts_only=True)
    assert not broken.passes(counts_only=False)


def test_a_slow_machine_fails_the_whole_bench_but_not_the_quick_one() -> None:
    slow = result(Demand("change calls", 4, 4), Demand("seconds", 31.0, 30.0, is_count=False))
    assert slow.passes(counts_only=True)
    assert not slow.passes(counts_only=False)


def test_the_file_holds_every_documented_field(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    report.write(path, [result(Demand("change calls", 5, 4))], counts_only=False)
    [row] = json.loads(path.read_text())
    assert row.keys() >= KEYS
    assert row["pass"] is False
    assert row["must"] == [{"what": "change calls", "seen": 5, "most": 4, "holds": False, "count": True}]
    assert row["calls_by_op"] == {"GetChange": 3}
    assert row["ratio"] == {"calls": 1.5}


@pytest.mark.parametrize(("seen", "verdict"), [(4, "pass"), (5, "FAIL")])
def test_the_table_names_the_scenario_its_verdict_and_the_demand(seen: int, verdict: str) -> None:
    lines = report.table([result(Demand("change calls", seen, 4))], counts_only=False).splitlines()
    assert lines[0].startswith(f"{verdict}  created_at_start  n=200  (AWS limits on)")
    assert lines[1].strip().startswith(f"change calls {seen} <= 4")
    assert ("NO" in lines[1]) == (verdict == "FAIL")


def test_a_run_of_one_scenario_keeps_the_rows_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    report.write(path, [result(), Result("idle", 500, True)], counts_only=False)
    report.write(path, [Result("idle", 500, True, rss_mb=99.0)], counts_only=False)
    rows = json.loads(path.read_text())
    assert [(row["scenario"], row["rss_mb"]) for row in rows] == [("created_at_start", None), ("idle", 99.0)]
