"""Plants every bug in turn and sees who finds it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.mutants.mutant import Mutant
from tests.support.mutants.warm import PROMISE
from tests.support.mutants.workspace import copy_code, plant


class Red(Exception):
    """A selection fails without a planted bug, so it proves nothing."""


@dataclass(frozen=True)
class Verdict:
    """``killed_by``: the run or test that found the bug; empty if none did. ``said``: what was reported instead."""

    mutant: Mutant
    killed_by: str
    said: tuple[str, ...] = ()


class _Bench:
    """A few warm processes; each serves one job at a time."""

    def __init__(self, count: int) -> None:
        self._idle: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        self._all = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(count)
        ]  # fmt: skip
        for process in self._all:
            self._idle.put(process)

    def run(self, folder: Path, selection: dict[str, Any]) -> dict[str, Any]:
        process = self._idle.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"folder": str(folder), **selection}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            self._idle.put(process)
        if not line:
            raise RuntimeError(f"a warm process ended with {process.wait()}")
        result: dict[str, Any] = json.loads(line)
        return result

    def close(self) -> None:
        for process in self._all:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def judge(mutant: Mutant, result: dict[str, Any]) -> Verdict:
    """Killed only by the very promise that the bug breaks, or by an assertion of the named tests."""
    said = tuple(map(str, result["said"]))
    if result["outcome"] != "red":
        return Verdict(mutant, "", said or ("nothing noticed it",))
    for line in said:
        promise = PROMISE.match(line)
        if promise is not None and promise[1] == mutant.invariant and mutant.runs:
            return Verdict(mutant, "; ".join(map(str, mutant.runs)), said)
        if line.startswith("tests/") and mutant.tests:
            return Verdict(mutant, line, said)
    return Verdict(mutant, "", said)


def kill(
    mutants: Sequence[Mutant], *, workers: int = 2, told: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """Plant each in a copy of the code. Raises :class:`Red` or :class:`Outdated`."""
    with tempfile.TemporaryDirectory(prefix="mailegress-mutants-") as scratch:
        folder = Path(scratch)
        base = folder / "base"
        copy_code(base)
        bench = _Bench(workers)
        try:
            with ThreadPoolExecutor(workers) as pool:
                _green(bench, pool, base, mutants)

                def one(mutant: Mutant) -> Verdict:
                    target = folder / mutant.id
                    plant(base, target, mutant)
                    verdict = judge(mutant, bench.run(target, mutant.selection))
                    told(verdict)
                    return verdict

                return list(pool.map(one, mutants))
        finally:
            bench.close()


def _green(bench: _Bench, pool: ThreadPoolExecutor, base: Path, mutants: Iterable[Mutant]) -> None:
    """Each selection once without a bug: also warms the compiled files that the copies share."""
    selections = {json.dumps(m.selection, sort_keys=True): m for m in mutants}

    def one(mutant: Mutant) -> None:
        result = bench.run(base, mutant.selection)
        if result["outcome"] != "green":
            raise Red(f"without mutant {mutant.id} its tests are not green: {result['said']}")

    list(pool.map(one, selections.values()))
