"""What a planted bug is, and what is expected to find it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.mutants import anchor

ROOT = Path(__file__).resolve().parents[3]
SOURCES = "operator/mailegress"

Fault = tuple[str, int, str, str]
"""WriteGuard point, the how-manieth passage from 0, before or after its effect, kind."""


class Outdated(Exception):
    """The code that a mutant changes has changed: the mutant must be renewed."""


@dataclass(frozen=True)
class Run:
    """One story of the simulator, calm or under one fault. ``hasty``: the user goes on while the operator is down."""

    scenario: str
    fault: Fault | None = None
    hasty: bool = False

    def __str__(self) -> str:
        if self.fault is None:
            return f"simulator: {self.scenario}"
        point, index, when, kind = self.fault
        return f"simulator: {self.scenario}, {kind} {when} {point}#{index}{', user goes on' if self.hasty else ''}"


@dataclass(frozen=True)
class Mutant:
    """``invariant`` is the promise that the bug breaks; ``old`` occurs exactly once in ``file`` (below the operator's
    package) and ``new`` takes its place. ``old`` is compared token by token: line breaks, indentation and comments do
    not matter.

    A mutant counts as killed only if one of its ``runs`` reports this very invariant as violated, or if one of its
    ``tests`` (pytest's node IDs) fails by an assertion. ``tests`` are for what the simulator cannot see.
    """

    id: str
    invariant: str
    title: str
    file: str
    old: str
    new: str
    runs: tuple[Run, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{SOURCES}/{self.file}"

    @property
    def selection(self) -> dict[str, Any]:
        """What is to be run, as JSON."""
        return {"runs": [asdict(run) for run in self.runs], "tests": list(self.tests)}

    def planted(self, source: str) -> str:
        """The file's text with the bug in it. Raises :class:`Outdated`."""
        found = anchor.places(source, self.old)
        if len(found) != 1:
            raise Outdated(
                f"mutant {self.id}: its code occurs {len(found)} times in {self.path}, not once; renew it:\n{self.old}"
            )
        changed = anchor.replaced(source, found[0], self.old, self.new)
        try:
            compile(changed, self.path, "exec")
        except SyntaxError as error:
            raise Outdated(f"mutant {self.id}: {self.path} with it does not compile: {error}") from error
        return changed
