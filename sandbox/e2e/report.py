"""What ``build/e2e.json`` holds, and how steps are told while they run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the scenario. ``seconds``: wall time; ``facts``: what was seen."""

    name: str
    seconds: float
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """One run. ``world_diff``: differences of AWS before and after; ``pod_restarts``: of all containers."""

    backend: str
    steps: tuple[Step, ...]
    world_diff: int
    pod_restarts: int

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Result:
        values = json.loads(path.read_text())
        steps = tuple(Step(**step) for step in values.pop("steps"))
        return cls(steps=steps, **values)

    def last_line(self) -> str:
        return f"E2E OK backend={self.backend} world_diff={self.world_diff}"


class Steps:
    """Tells of each step as it begins and ends, and keeps the times. ``clock``: monotonic seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self.done: list[Step] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """A step; what is put into the dictionary is told and kept with it."""
        self._say(f"== {name}")
        began = self._clock()
        facts: dict[str, object] = {}
        yield facts
        seconds = round(self._clock() - began, 1)
        told = "".join(f", {key.replace('_', ' ')} {value}" for key, value in facts.items())
        self._say(f"   {seconds:.1f} s{told}")
        self.done.append(Step(name, seconds, facts))
