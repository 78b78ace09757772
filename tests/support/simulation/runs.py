"""One scenario under one fault, from the first breath to the empty world, and the comparison with the calm run."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.aws.model.world import diff
from tests.support.simulation.facts import ready_of
from tests.support.simulation.faults import Kind, Plan, When
from tests.support.simulation.harness import NAMESPACE, Sim, Violation, simulate
from tests.support.simulation.scenarios import SCENARIOS, Scenario, ScenarioContext
from tests.support.simulation.trace import Trace, once_more

QUIET = 1800.0
"""Virtual seconds in which nothing may be written once everything is done: three periodic checks."""
READS = 12
"""Requests to AWS in that time, for a handful of objects that are right."""
RE_LOOKS = 130
"""The same where an object waits for somebody: zones (and whose they are) and addresses are read again each minute."""
ATTEMPTS = 10
"""Requests of one kind that a permission missing for 15 minutes, or 20 s of throttling, may cost (5 s, doubling, up to
5 minutes), for each thing that the story does, and at least for two."""
EFFECTS = Path(__file__).with_name("effects.json")
"""What each calm story does to records and PTRs, and how often; ``scripts/test_sim.py effects`` writes it anew."""


@dataclass(frozen=True)
class Outcome:
    """What is compared between a calm run and one with a fault."""

    world: dict[str, Any]
    """In the end, before the objects are deleted."""
    statuses: dict[str, Any]
    applied: Counter[tuple[str, ...]]
    passed: Counter[str]
    """Choke points and how often each was passed until the user was done and everything was quiet."""
    reached: frozenset[tuple[str, int, str]]
    struck: int
    trace: Trace

    @property
    def lines(self) -> list[str]:
        """The whole time line."""
        return self.trace.lines()


def play(
    scenario: Scenario,
    plan: Plan | None = None,
    *,
    also: Plan | None = None,
    impatient: bool = False,
    verbose: bool = False,
) -> Outcome:
    """``also``: a second fault. Raises :class:`Violation`."""
    kept: list[Outcome] = []

    async def story(sim: Sim) -> None:
        context = ScenarioContext(sim)
        scenario.prepare(context)
        first = copy.deepcopy(sim.world.dump())
        sim.start()
        await scenario.act(context)
        await sim.drain(scenario.still)
        struck = len(sim.schedule.struck)
        sim.schedule.heal()
        reads = sim.checks.reads
        await sim.stay_quiet(QUIET)
        reads = sim.checks.reads - reads
        allowed = READS if all(status == "True" for status, _ in context.expect.values()) else RE_LOOKS
        allowed += scenario.reads_a_minute * int(QUIET / 60)
        if reads > allowed:
            sim.checks.violated("E3", f"{reads} reads in {QUIET:g} quiet seconds, {allowed} are allowed")
        if plan is None:
            # A new process finds everything as it should be, and writes nothing.
            before = sim.checks.writes()
            await sim.restart()
            await sim.stay_quiet(QUIET)
            if sim.checks.writes() != before:
                sim.checks.violated("E3", f"a restart writes: {before} -> {sim.checks.writes()}")
        for name, (status, reason) in context.expect.items():
            if sim.condition(name) != (status, reason):
                sim.checks.violated("E1", f"{name} is {sim.condition(name)}, wanted {(status, reason)}")
        sim.checks.marks()
        world, statuses = _world(sim), _statuses(sim)
        applied, passed = Counter(sim.checks.applied), Counter(sim.schedule.passed)
        for _, name in list(sim.api.objects):
            sim.delete(name)
        await sim.drain(still=60.0)
        scenario.leftover(context, first)
        if changes := diff(first, sim.world.dump()):
            sim.checks.violated("E5", f"after deleting everything: {changes}")
        sim.checks.texts()
        for process in sim.processes:
            if process.metrics is not None:
                sim.checks.labels(process.metrics)
        if sim.exits:
            sim.checks.violated("log", f"the operator ended by itself {sim.exits} times")
        kept.append(
            Outcome(
                world,
                statuses,
                applied,
                passed,
                frozenset(sim.schedule.reached),
                struck,
                sim.trace,
            )
        )

    plans = [each for each in (plan, also) if each is not None]
    simulate(story, verbose=verbose, plans=plans, impatient=impatient, settings=scenario.settings)
    return kept[0]


ABOUT_MAIL = frozenset({"DNSSECBogus", "HeloSPF", "SenderDMARC", "SenderSPF"})


def _world(sim: Sim) -> dict[str, Any]:
    """AWS, and the DNSEndpoints if there are any."""
    endpoints = sim.api.endpoints.shown()
    return copy.deepcopy(sim.world.dump()) | ({"endpoints": endpoints} if endpoints else {})


def _statuses(sim: Sim) -> dict[str, Any]:
    """Without times and change IDs, and without what is known of mail only while the object is Ready."""
    out = {}
    for (namespace, name), body in sorted(sim.api.objects.items()):
        assert namespace == NAMESPACE
        status = copy.deepcopy(body.get("status") or {})
        for condition in status.get("conditions", []):
            condition.pop("lastTransitionTime", None)
        (status.get("forward") or {}).pop("changeID", None)
        if (ready := ready_of(body)) is None or ready["status"] != "True":
            advice = [a for a in status.get("advisories", ()) if a["code"] not in ABOUT_MAIL]
            status["advisories"] = advice
            status.get("display", {}).pop("advisories", None)
        out[name] = status
    return out


@lru_cache(maxsize=64)
def calm(name: str) -> Outcome:
    """The run without a fault. Raises :class:`Violation`, also if it does more or less than it is known to do."""
    outcome = play(SCENARIOS[name])
    known = json.loads(EFFECTS.read_text()).get(name)
    if (done := effects(outcome)) != known:
        raise Violation("\n".join([f"E6: {name} does {done}, known is {known}", *outcome.lines[-150:]]))
    return outcome


def effects(outcome: Outcome) -> dict[str, int]:
    """What took effect, in words, and how often."""
    return {" ".join(what): count for what, count in sorted(outcome.applied.items())}


def play_faulted(
    name: str, plan: Plan, *, also: Plan | None = None, impatient: bool = False, verbose: bool = False
) -> Outcome:
    """A run with one fault (or two), compared with the calm one. Raises :class:`Violation`."""
    reference = calm(name)
    outcome = play(SCENARIOS[name], plan, also=also, impatient=impatient, verbose=verbose)
    broken = []
    if changes := diff(reference.world, outcome.world):
        broken.append(f"E2: the world differs from the calm run's: {changes}")
    if changes := diff(reference.statuses, outcome.statuses):
        broken.append(f"E2: the statuses differ from the calm run's: {changes}")
    again = outcome.passed[plan.point] - reference.passed[plan.point]
    if (
        plan.kind in ("denied", "throttle")
        and also is None
        and again > ATTEMPTS * max(2, len(reference.applied))
    ):
        broken.append(f"S11: {again} more requests than in the calm run while {plan.point} is refused")
    if not impatient and reference.applied != outcome.applied:
        more, less = outcome.applied - reference.applied, reference.applied - outcome.applied
        broken.append(f"E6: other effects than in the calm run: more {dict(more)}, less {dict(less)}")
    if not outcome.struck:
        broken.append("the fault was never met")
    if broken:
        again = once_more(name, plan, impatient)
        what = f"{name}, {plan}" if also is None else f"{name}, {plan}, {also}"
        raise Violation("\n".join([f"{what}:", *broken, again, *outcome.lines[-150:]]))
    return outcome


AWS_KINDS: tuple[Kind, ...] = ("5xx", "timeout", "throttle", "denied")
KUBE_KINDS: tuple[Kind, ...] = ("5xx", "timeout", "throttle", "denied", "conflict")
AFTER_KINDS: tuple[Kind, ...] = ("5xx", "timeout")


def faults(name: str) -> Iterator[tuple[Plan, bool]]:
    """Every fault at every passage of every choke point: (plan, impatient)."""
    for point, count in sorted(calm(name).passed.items()):
        kinds = KUBE_KINDS if point.startswith("kube.") else AWS_KINDS
        for index in range(1 if SCENARIOS[name].big else count):
            sides: tuple[When, When] = ("before", "after")
            for when in sides:
                if (point, index, when) not in calm(name).reached:
                    continue  # (What AWS refuses has no effect to fail after.)
                yield Plan(point, index, when, "crash"), False
                if SCENARIOS[name].hasty:
                    yield Plan(point, index, when, "crash"), True
                for kind in kinds if when == "before" else AFTER_KINDS:
                    if kind == "conflict" and point == "kube.event":
                        continue
                    yield Plan(point, index, when, kind), False
