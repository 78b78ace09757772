"""What the suites did, kept as JSON under ``build/sim`` until ``scripts/test_sim.py`` puts it together.

Each test that plays runs keeps one :class:`Record` and saves it in the end, whether the test passes or not::

    with recording("pairs-rename") as record:
        record.run("rename", sim.schedule.reached, faults=len(sim.schedule.struck))
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

FOLDER = Path(__file__).resolve().parents[3] / "build" / "sim"
"""One file for each part; the driver empties it before it begins."""

Form = Literal["short", "quick", "full"]


def form() -> Form:
    """How much is to be played: ``short`` (``MAILEGRESS_SIM`` unset) is what ``make test`` has time for, ``quick`` what
    ``make test-sim-quick`` has (five minutes for everything), ``full`` what ``make test-sim`` has (fifteen)."""
    name = os.environ.get("MAILEGRESS_SIM") or "short"
    if name not in get_args(Form):
        raise ValueError(f"MAILEGRESS_SIM is {name!r}; it can be quick or full, or unset")
    return cast(Form, name)


@dataclass
class Record:
    """``part`` names the file: unique among all tests (a test's name and its parameter will do)."""

    part: str
    scenarios: set[str] = field(default_factory=set)
    choke_points: dict[str, dict[str, int]] = field(default_factory=dict)
    """Name -> how often it was met ``before`` and ``after`` its effect."""
    runs: int = 0
    faults_injected: int = 0
    violations: list[str] = field(default_factory=list)
    """The first line of each, with what it takes to repeat it."""
    soak: dict[str, float] = field(default_factory=dict)
    """``days`` and ``crs`` of virtual life, ``rss_growth_mb`` meanwhile; of the soak only."""

    def run(self, scenario: str, reached: Iterable[tuple[str, int, str]], faults: int) -> None:
        """One run is over. ``reached``: as :attr:`FaultSchedule.reached`; ``faults``: how many struck."""
        self.scenarios.add(scenario)
        self.runs += 1
        self.faults_injected += faults
        for point, _, when in reached:
            sides = self.choke_points.setdefault(point, {"before": 0, "after": 0})
            sides[when] += 1

    def violated(self, text: str) -> None:
        """``text``: what was broken; its first lines are kept."""
        self.violations.append("\n".join(text.splitlines()[:4]))

    def save(self) -> Path:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / (re.sub(r"[^A-Za-z0-9._-]+", "-", self.part) + ".json")
        content: dict[str, Any] = {
            "scenarios": sorted(self.scenarios),
            "choke_points": self.choke_points,
            "runs": self.runs,
            "faults_injected": self.faults_injected,
            "violations": self.violations,
            "soak": self.soak,
        }
        # Another worker may read the folder at any time: a file is there whole or not at all.
        scratch = path.with_suffix(f".{os.getpid()}.tmp")
        scratch.write_text(json.dumps(content, indent=1))
        scratch.replace(path)
        return path


@contextmanager
def recording(part: str) -> Iterator[Record]:
    """A record that is saved in the end; an assertion that goes through counts as a violation."""
    record = Record(part)
    try:
        yield record
    except AssertionError as error:
        record.violated(str(error))
        raise
    finally:
        record.save()
