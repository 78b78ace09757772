"""``python -m bench [SCENARIO[:N] …]``: run scenarios, print the table, write the results."""

from __future__ import annotations

import argparse
import sys
import time
from functools import lru_cache
from pathlib import Path

from bench import report
from bench.common import Bench
from bench.kube import Api
from bench.rig import Pace
from bench.scenarios import SCENARIOS
from bench.seeding import Template
from sandbox.controlplane import find_or_build
from sandbox.local import prepare

FULL = (
    "created_at_start:1000",
    "created_while_running:1000",
    "one_bad:300",
    "throttled:300",
    "converged:10",
    "converged:500",
    "converged:10000",
)
QUICK = ("created_at_start", "created_while_running", "one_bad", "throttled", "converged")
QUICK_N = 200
QUICK_SCALE = 1 / 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO[:N]", help=f"of {', '.join(SCENARIOS)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small populations, time scaled, only counts decide"
    )
    parser.add_argument("--window", type=float, help="seconds of each idle window (600; quick 15)")
    parser.add_argument("--edits", type=int, help="single edits measured (100; quick none)")
    parser.add_argument(
        "--out", type=Path, help="file of the results (bench/results.json; quick build/bench-quick.json)"
    )
    arguments = parser.parse_args()
    quick: bool = arguments.quick
    wanted = arguments.scenarios or ([f"{name}:{QUICK_N}" for name in QUICK] if quick else list(FULL))
    jobs = [
        (name, int(n or (QUICK_N if quick else 1000)))
        for name, _, n in (each.partition(":") for each in wanted)
    ]
    for name, _ in jobs:
        if name not in SCENARIOS:
            parser.error(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    default = Path("build/bench-quick.json") if quick else Path(__file__).parent / "results.json"
    return run(
        jobs,
        quick=quick,
        window=arguments.window or (15.0 if quick else 600.0),
        edits=(0 if quick else 100) if arguments.edits is None else arguments.edits,
        out=arguments.out or default,
    )


def run(jobs: list[tuple[str, int]], *, quick: bool, window: float, edits: int, out: Path) -> int:
    """The exit code: 1 if a scenario fails."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {line}", flush=True)

    results: list[report.Result] = []
    plane = find_or_build(say=say, optimised=not quick)
    with plane:
        prepare(plane)
        api = Api(plane.kubeconfig)
        learn = lru_cache(lambda: Template.learn(plane, api, "bench-template"))
        bench = Bench(plane, Pace(QUICK_SCALE if quick else 1.0), learn, say, window, edits)
        for name, n in jobs:
            say(f"{name} with {n}")
            for result in SCENARIOS[name](bench, n):
                results.append(result)
                say(report.table([result], quick))
                out.parent.mkdir(parents=True, exist_ok=True)
                report.write(out, [result], quick)
    print()
    print(report.table(results, quick))
    failed = [f"{each.scenario}:{each.n}" for each in results if not each.passes(quick)]
    print(
        f"\n{len(results) - len(failed)} of {len(results)} pass"
        + (f"; not: {', '.join(failed)}" if failed else "")
    )
    print(f"results in {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
