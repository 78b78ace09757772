"""Rows of results: the table for people, the file for programs, the verdict for CI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing that a scenario must show: ``seen`` at most ``most``."""

    what: str
    seen: float
    most: float
    is_count: bool = True
    """Counts are the same on a slow machine; times, CPU and memory are not."""

    @property
    def holds(self) -> bool:
        return self.seen <= self.most

    def __str__(self) -> str:
        return f"{self.what} {self.seen:.4g} <= {self.most:.4g}{'' if self.holds else ' NO'}"


@dataclass(slots=True)
class Result:
    """One scenario. Missing figures were not measured in it. Seconds, megabytes (10^6 bytes)."""

    scenario: str
    n: int
    limits_on: bool
    calls_by_op: Mapping[str, int] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)
    """The least possible of some figures, by name."""
    ratio: Mapping[str, float] = field(default_factory=dict)
    """What was measured, over its floor."""
    status_writes: int | None = None
    rss_mb: float | None = None
    cpu_s: float | None = None
    wall_s: float | None = None
    p99_edit_to_wire_s: float | None = None
    demands: Sequence[Demand] = ()
    notes: Mapping[str, float | str] = field(default_factory=dict)

    def passes(self, counts_only: bool) -> bool:
        """Whether every demand holds; with ``counts_only`` those on times and sizes are only shown."""
        return all(demand.holds for demand in self.demands if demand.is_count or not counts_only)

    def to_json(self, counts_only: bool) -> dict[str, Any]:
        out = {k: _rounded(v) for k, v in asdict(self).items() if k != "demands"}
        out["must"] = [
            {"what": d.what, "seen": _rounded(d.seen), "most": d.most, "holds": d.holds, "count": d.is_count}
            for d in self.demands
        ]
        out["pass"] = self.passes(counts_only)
        return out


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def write(path: Path, results: Iterable[Result], counts_only: bool) -> None:
    """The results as a JSON list; what the file holds of other scenarios and sizes stays."""
    rows = [each.to_json(counts_only) for each in results]
    new = {(row["scenario"], row["n"]) for row in rows}
    old = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in old if (row["scenario"], row["n"]) not in new] + rows
    path.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def table(results: Iterable[Result], counts_only: bool) -> str:
    """Lines for a terminal."""
    lines = []
    for each in results:
        verdict = "pass" if each.passes(counts_only) else "FAIL"
        shown = [
            f"{name}={value:.4g}"
            for name, value in (
                ("status_writes", each.status_writes),
                ("rss_mb", each.rss_mb),
                ("cpu_s", each.cpu_s),
                ("wall_s", each.wall_s),
                ("p99_edit_to_wire_s", each.p99_edit_to_wire_s),
            )
            if value is not None
        ]
        limits = "AWS limits on" if each.limits_on else "scaled delays, no quotas"
        lines.append(f"{verdict}  {each.scenario}  n={each.n}  ({limits})  {' '.join(shown)}")
        lines += [f"        {demand}" for demand in each.demands]
        calls = ", ".join(f"{name} {count}" for name, count in sorted(each.calls_by_op.items()))
        lines.append(f"      calls: {calls or 'none'}")
        floors = ", ".join(
            f"{k} {v:.4g} (x{each.ratio[k]:.2f})" for k, v in each.floor.items() if k in each.ratio
        )
        if floors:
            lines.append(f"      floor: {floors}")
        if each.notes:
            notes = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in each.notes.items())
            lines.append(f"      also: {', '.join(notes)}")
    return "\n".join(lines)
