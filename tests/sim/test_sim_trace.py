"""What a human gets to read when a promise is broken: one time line, and the command that plays it again."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulation import runs
from tests.support.simulation.faults import Plan
from tests.support.simulation.harness import Sim, Violation, simulate
from tests.support.simulation.runs import play_faulted
from tests.support.simulation.scenarios import HOST
from tests.support.simulation.trace import once_more

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("limits", [{"turns": 3000}, {"longest": 300.0}])
def test_a_run_that_is_not_over_in_time_leaves_no_operator_behind(limits: dict[str, Any]) -> None:
    operators: list[asyncio.Task[None]] = []

    async def story(sim: Sim) -> None:
        sim.world.zone()
        operators.append(sim.start().main)
        sim.meg("a", HOST, sim.world.eips(1))
        while True:
            await sim.sleep(1)

    with pytest.raises(Violation, match="E1"):
        simulate(story, **limits)
    assert operators[0].done()


def test_a_violation_comes_with_everything_that_happened_before_it_in_order() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.ready("a")
        await sim.drain()
        sim.world.drop_record(HOST)
        await sim.sleep(1)
        sim.checks.violated("S3", "the record is gone")

    with pytest.raises(Violation) as caught:
        simulate(story, plans=[Plan("ec2.set_ptr", 0, "after", "crash")])
    first, *lines = str(caught.value).splitlines()
    assert re.match(r"S3 violated at \d+\.\d{3}: the record is gone$", first)
    times = [float(line[:10]) for line in lines]
    assert times == sorted(times)
    kinds = {line[12:20].strip() for line in lines}
    assert kinds >= {
        "user",
        "read",
        "answer",
        "status",
        "api",
        "event",
        "aws",
        "fault",
        "process",
        "outside",
        "VIOLATED",
    }
    for told in (
        "user    create mail/a",
        "aws     ChangeResourceRecordSets CREATE mta.example.com. A 300 ['203.0.113.1']",
        "answer  mta.example.com. A at ns-1.awsdns-sandbox.org: 203.0.113.1",
        "status  mail/a g1 seen 1 Ready=False/PTRPending",
        "fault   crash after ec2.set_ptr#0",
        "process operator-1 crashed",
        "outside DELETE mta.example.com A",
    ):
        assert [line for line in lines if told in line], told


def test_a_broken_comparison_names_the_command_that_plays_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("route53.change", 0, "after", "crash")
    monkeypatch.setattr(runs, "ATTEMPTS", -1)
    with pytest.raises(Violation) as caught:
        play_faulted("delete-midway", Plan("route53.change", 0, "before", "throttle"))
    text = str(caught.value)
    assert re.search(r"^S11: \d+ more requests than in the calm run", text, re.MULTILINE)
    assert "\nmake sim-story STORY=delete-midway FAULT='throttle before route53.change#0'\n" in text
    command = shlex.split(once_more("delete-midway", plan, True))
    assert command == ["make", "sim-story", "STORY=delete-midway", f"FAULT={plan}", "HASTY=1"]
    # As the Makefile does it.
    script = [sys.executable, "scripts/test_sim.py", "play", "delete-midway", str(plan), "hasty"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"fault   {plan}" in done.stdout
    assert "log     add finalizer: done" in done.stdout
    assert done.stdout.endswith("delete-midway: every promise was kept\n")
