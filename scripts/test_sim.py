"""The simulation suites and the planted bugs, put together in ``build/sim.json``.

``test_sim.py quick`` takes at most five minutes on two cores and holds every story and every planted bug; ``full``
takes at most fifteen and plays more faults, pairs, fuzz and virtual days. Either fails if a promise was broken, if a
choke point of the operator was not met both before and after its effect, if an invariant has no planted bug, or if one
of them was not found. ``test_sim.py play STORY [FAULT] [hasty]`` tells one run's whole time line; ``effects`` renews
what the calm stories are known to do; ``table`` prints the planted bugs as ``docs/guarantees.md`` shows them;
``bug ID...`` plants single bugs and shows who finds them.
"""

# ruff: noqa: E402
from __future__ import annotations

import ast
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
if __name__ == "__main__" and not __package__:
    # Started as a file: only `python -m` in the repository's folder finds the tests' packages.
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "scripts.test_sim", *sys.argv[1:]])

from rich.console import Console
from rich.table import Table

from tests.support.mutants.catalogue import INVARIANTS, MUTANTS
from tests.support.mutants.mutant import Mutant
from tests.support.mutants.runner import Verdict, kill

ELSEWHERE = ("test_sim_apiserver.py", "test_sim_golden.py")
"""Suites that have one form only, which ``make test`` runs."""


def choke_points() -> set[str]:
    """The names of all choke points that the operator's code passes, as its text has them."""
    found = set()
    for path in sorted((ROOT / "operator/mailegress").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "point"
            ):
                name = node.args[0]
                if isinstance(name, ast.Name) and name.id.isupper():
                    module = ".".join(path.relative_to(ROOT / "operator").with_suffix("").parts)
                    found.add(str(getattr(importlib.import_module(module), name.id)))
    return found


def run_suites(form: str, workers: int) -> int:
    """pytest's exit code; the suites leave their records under ``build/sim``."""
    for old in (BUILD / "sim").glob("*.json"):
        old.unlink()
    suites = [str(p) for p in sorted((ROOT / "tests/sim").glob("test_*.py")) if p.name not in ELSEWHERE]
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "worksteal", *suites]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "MAILEGRESS_SIM": form}).returncode


def merge(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all records say together."""
    points: dict[str, dict[str, int]] = {}
    soaks = [record["soak"] for record in records if record["soak"]]
    for record in records:
        for name, sides in record["choke_points"].items():
            known = points.setdefault(name, {"before": 0, "after": 0})
            for side, count in sides.items():
                known[side] += count
    return {
        "scenarios": sorted({name for record in records for name in record["scenarios"]}),
        "choke_points": dict(sorted(points.items())),
        "runs": sum(record["runs"] for record in records),
        "faults_injected": sum(record["faults_injected"] for record in records),
        "violations": [text for record in records for text in record["violations"]],
        "soak": max(soaks, key=lambda s: s.get("days", 0) * s.get("crs", 0), default={}),
    }


def shortcomings(
    result: Mapping[str, Any],
    verdicts: Sequence[Verdict],
    *,
    code: int,
    points: set[str],
    invariants: Sequence[str] = INVARIANTS,
) -> Iterator[str]:
    """Why the whole is not as it should be; nothing if it is."""
    if code:
        yield f"pytest ended with {code}"
    for text in result["violations"]:
        yield f"violation: {text.splitlines()[0]}"
    for name in sorted(points | set(result["choke_points"])):
        sides = result["choke_points"].get(name, {})
        yield from (
            f"{name} was never met {side} its effect" for side in ("before", "after") if not sides.get(side)
        )
        if name not in points:
            yield f"{name} was met but is no choke point of the operator's code"
    planted = {verdict.mutant.invariant for verdict in verdicts}
    yield from (f"{name} has no planted bug" for name in invariants if name not in planted)
    for verdict in verdicts:
        if not verdict.killed_by:
            yield f"nobody found {verdict.mutant.id} ({verdict.mutant.invariant}): {'; '.join(verdict.said)[:300]}"


def show(result: Mapping[str, Any], console: Console) -> None:
    """Two tables: the counts, and who found which bug."""
    counts = Table("what", "how much", title="Simulation")
    counts.add_row("scenarios", str(len(result["scenarios"])))
    counts.add_row("runs", str(result["runs"]))
    counts.add_row("faults injected", str(result["faults_injected"]))
    for name, sides in result["choke_points"].items():
        counts.add_row(name, f"{sides['before']} before, {sides['after']} after its effect")
    for name, value in result["soak"].items():
        counts.add_row(f"soak: {name}", f"{value:g}" if isinstance(value, int | float) else str(value))
    counts.add_row("violations", str(len(result["violations"])))
    console.print(counts)
    bugs = Table("invariant", "planted bug", "found by", title="Planted bugs")
    for entry in result["mutants"]:
        bugs.add_row(entry["invariant"], entry["id"], entry["killed_by"] or "NOBODY")
    console.print(bugs)


def check(form: str, workers: int = 2) -> int:
    """Everything. The exit code."""
    console = Console(width=160, highlight=False, soft_wrap=True)
    began = time.monotonic()
    console.print(f"== suites ({form})")
    code = run_suites(form, workers)
    console.print(f"== suites took {_spent(began)}; {len(MUTANTS)} planted bugs")
    planted = time.monotonic()
    verdicts = kill(MUTANTS, workers=workers, told=lambda v: None if v.killed_by else console.print(f"! {v}"))
    console.print(f"== planted bugs took {_spent(planted)}")
    records = [json.loads(path.read_text()) for path in sorted((BUILD / "sim").glob("*.json"))]
    result = merge(records)
    result["mutants"] = [_told(v.mutant, v.killed_by) for v in verdicts]
    BUILD.mkdir(exist_ok=True)
    (BUILD / "sim.json").write_text(json.dumps(result, indent=1) + "\n")
    show(result, console)
    failures = list(shortcomings(result, verdicts, code=code, points=choke_points()))
    for text in failures:
        console.print(f"FAILED: {text}", markup=False)
    console.print(
        f"SIM {'FAILED' if failures else 'OK'} form={form} scenarios={len(result['scenarios'])} runs={result['runs']} "
        f"faults={result['faults_injected']} violations={len(result['violations'])} mutants="
        f"{sum(1 for v in verdicts if v.killed_by)}/{len(verdicts)} seconds={time.monotonic() - began:.0f}",
        markup=False,
    )
    return 1 if failures else 0


def _spent(since: float) -> str:
    """Wall time since then, and the processor time of all child processes so far, which tells of a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        f"{time.monotonic() - since:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of processor time so far)"
    )


def _told(mutant: Mutant, killed_by: str) -> dict[str, str]:
    return {"id": mutant.id, "invariant": mutant.invariant, "title": mutant.title, "killed_by": killed_by}


def play(story: str, fault: str, *, hasty: bool) -> int:
    """One run's time line. ``fault``: as a failure names it, ``crash after route53.change#0``; empty for none."""
    from tests.support.simulation import runs
    from tests.support.simulation.faults import Plan
    from tests.support.simulation.harness import Violation

    plan = None
    if fault:
        kind, when, place = fault.split()
        point, index = place.split("#")
        plan = Plan(point, int(index), when, kind)  # type: ignore[arg-type]
    try:
        # First as the suite judges it, then once more with everything that the operator logs.
        if plan is None:
            runs.calm(story)
        else:
            runs.play_faulted(story, plan, impatient=hasty)
        verdict = ""
    except Violation as violation:
        verdict = str(violation)
    try:
        lines = runs.play(runs.SCENARIOS[story], plan, impatient=hasty, verbose=True).lines
    except Violation as violation:
        lines = str(violation).splitlines()
    print("\n".join(lines))
    head = [line for line in verdict.splitlines() if not line.startswith(" ")]
    print("\n" + ("\n".join(head) or f"{story}: every promise was kept"))
    return 1 if verdict else 0


def renew_effects() -> int:
    """Write down what each calm story does to records and PTRs."""
    from tests.support.simulation import runs

    known = {name: runs.effects(runs.play(scenario)) for name, scenario in runs.SCENARIOS.items()}
    runs.EFFECTS.write_text(json.dumps(known, indent=1) + "\n")
    print(f"{runs.EFFECTS.relative_to(ROOT)} is written; look at what changed in it")
    return 0


def known_stories() -> list[str]:
    """The names of the simulator's stories."""
    return list(json.loads((ROOT / "tests/support/simulation/effects.json").read_text()))


def planted_table() -> str:
    """The planted bugs as a Markdown table, in order of the promises."""
    order = {name: place for place, name in enumerate(INVARIANTS)}
    rows = ["| | planted bug | found by |", "|---|---|---|"]
    for mutant in sorted(MUTANTS, key=lambda m: order[m.invariant]):
        finders = "; ".join([*map(str, mutant.runs), *(f"`{test}`" for test in mutant.tests)])
        rows.append(f"| {mutant.invariant} | {mutant.title} (`{mutant.id}`) | {finders} |")
    return "\n".join(rows)


def try_bugs(names: Sequence[str]) -> int:
    """Plant these bugs only. 1 if one was not found, 2 if a name is unknown."""
    known = {mutant.id: mutant for mutant in MUTANTS}
    if unknown := [name for name in names if name not in known]:
        print(
            f"no planted bug has the ID {', '.join(unknown)}; docs/guarantees.md lists them", file=sys.stderr
        )
        return 2
    verdicts = kill([known[name] for name in names], workers=1)
    for verdict in verdicts:
        print(f"{verdict.mutant.invariant} {verdict.mutant.id}: {verdict.mutant.title}")
        print(f"  found by: {verdict.killed_by or 'NOBODY'}")
        print("".join(f"  | {line.splitlines()[0]}\n" for line in verdict.said[:5]), end="")
    return 0 if all(verdict.killed_by for verdict in verdicts) else 1


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["quick" | "full" as form]:
            return check(form, int(os.environ.get("SIM_WORKERS", "2")))
        case ["play", story, *rest]:
            fault = next((text for text in rest if text not in ("", "hasty")), "")
            return play(story, fault, hasty="hasty" in rest)
        case ["bug", *names] if names:
            return try_bugs(names)
        case ["table"]:
            print(planted_table())
            return 0
        case ["effects"]:
            return renew_effects()
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
