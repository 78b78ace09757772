"""What conditions may say, whatever was found and whatever stood there before (kstatus, Flux's condition checker)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api import conditions as c
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.status import Condition, Status
from mailegress.api.types import MailEgress
from mailegress.reconcile import summarise
from mailegress.reconcile.confirmations import kept_condition
from mailegress.reconcile.result import Finding, Plan
from tests.support.planner import PlannerHarness, obj

NOW = "2026-11-24T10:00:00Z"
BEFORE = "2026-11-01T00:00:00Z"
HOST = "mta.example.com"

statuses = st.sampled_from([c.TRUE, c.FALSE, c.UNKNOWN])
reasons = st.sampled_from(sorted(ALL_REASONS))
texts = st.text(max_size=30)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    status = draw(statuses)
    return Finding(status, draw(reasons), draw(texts), inconclusive=status != c.TRUE and draw(st.booleans()))


@st.composite
def steps(draw: st.DrawFn) -> Plan:
    return Plan(
        findings={kind: draw(findings()) for kind in summarise.DEPENDENCE},
        hostname=HOST,
        suspended=draw(st.booleans()),
        owed=draw(st.sampled_from([(), ("old.example.com stays",)])),
    )


@st.composite
def stored(draw: st.DrawFn) -> Status:
    """Anything that may stand in a status, garbage included."""
    kinds = draw(st.lists(st.sampled_from([*c.CONDITION_ORDER, "Injected"]), unique=True))
    return Status(
        observed_generation=draw(st.integers(-1, 5)),
        hostname=draw(st.sampled_from([HOST, "old.example.com", None])),
        conditions=tuple(
            Condition(k, draw(statuses), draw(reasons), draw(texts), draw(st.integers(-1, 5)), BEFORE)
            for k in kinds
        ),
    )


def compose(plan: Plan, before: Status, generation: int, stuck: bool) -> tuple[Status, Status]:
    me = replace(_object(generation), status=before)
    found = summarise.verdicts(me, plan)
    status = summarise.compose(me, plan, found, NOW, stuck=stuck, handled=None)
    again = summarise.compose(
        replace(me, status=status),
        plan,
        summarise.verdicts(replace(me, status=status), plan),
        "2027-01-01T00:00:00Z",
        stuck=stuck,
        handled=None,
    )
    return status, again


def _object(generation: int) -> MailEgress:
    return obj(HOST, [PlannerHarness().eip(1)], generation=generation)


cases = given(steps(), stored(), st.integers(1, 4), st.booleans())


@cases
def test_the_shape_at_every_moment(plan: Plan, before: Status, generation: int, stuck: bool) -> None:
    """Positive conditions always there, Ready first, negative ones only while True and never both, one generation."""
    status, _ = compose(plan, before, generation, stuck)
    kinds = [x.type for x in status.conditions]
    assert kinds[:5] == list(c.POSITIVE)
    assert set(kinds[5:]) <= set(c.NEGATIVE)
    assert len(kinds) <= 6, "Reconciling and Stalled at once"
    assert all(x.status == c.TRUE for x in status.conditions if x.type in c.NEGATIVE)
    assert {x.observed_generation for x in status.conditions} == {generation} == {status.observed_generation}


@cases
def test_ready_excludes_every_negative_condition(
    plan: Plan, before: Status, generation: int, stuck: bool
) -> None:
    status, _ = compose(plan, before, generation, stuck)
    ready = status.condition(c.READY)
    assert ready is not None
    negative = [x for x in status.conditions if x.type in c.NEGATIVE]
    if ready.status == c.TRUE:
        assert negative == []
    elif not plan.suspended:
        [only] = negative
        assert (only.reason, only.message) == (ready.reason, ready.message)


@cases
def test_ready_means_that_all_it_depends_on_is_true(
    plan: Plan, before: Status, generation: int, stuck: bool
) -> None:
    """And it becomes True only on answers of this very pass, never on what stood before."""
    status, _ = compose(plan, before, generation, stuck)
    ready = status.condition(c.READY)
    assert ready is not None
    if ready.status != c.TRUE:
        return
    for kind in summarise.DEPENDENCE:
        detail = status.condition(kind)
        assert detail is not None
        disabled = kind == c.RESOLVED and detail.reason == "ResolversDisabled"
        assert detail.status == c.TRUE or disabled
    previous = before.condition(c.READY)
    was = previous is not None and previous.status == c.TRUE and previous.observed_generation == generation
    if not was:
        held = [k for k in summarise.DEPENDENCE if not plan.findings[k].ok]
        assert all(k == c.RESOLVED and plan.findings[k].reason == "ResolversDisabled" for k in held)


@cases
def test_the_first_blocker_speaks_for_ready(plan: Plan, before: Status, generation: int, stuck: bool) -> None:
    status, _ = compose(plan, before, generation, stuck)
    ready = status.condition(c.READY)
    assert ready is not None
    if ready.status == c.TRUE or plan.suspended:
        return
    details = [d for k in summarise.DEPENDENCE if (d := status.condition(k)) is not None]
    blockers = [
        d for d in details if d.status != c.TRUE and (d.type, d.reason) != (c.RESOLVED, "ResolversDisabled")
    ]
    if blockers:
        assert (ready.reason, ready.message) == (blockers[0].reason, blockers[0].message)


@cases
def test_time_moves_only_when_a_status_flips(
    plan: Plan, before: Status, generation: int, stuck: bool
) -> None:
    status, _ = compose(plan, before, generation, stuck)
    for condition in status.conditions:
        previous = before.condition(condition.type)
        same = previous is not None and previous.status == condition.status
        assert condition.last_transition_time == (BEFORE if same else NOW)


@cases
def test_an_answerless_reading_ends_nothing_that_stood(
    plan: Plan, before: Status, generation: int, stuck: bool
) -> None:
    """But only for the generation for which it stood."""
    status, _ = compose(plan, before, generation, stuck)
    for kind in summarise.DEPENDENCE:
        finding, previous, now = plan.findings[kind], before.condition(kind), status.condition(kind)
        assert now is not None
        if not finding.inconclusive or (
            previous is None
            or previous.observed_generation != generation
            or before.observed_generation != generation
        ):
            assert now.status == finding.status


@cases
def test_the_same_findings_twice_write_nothing(
    plan: Plan, before: Status, generation: int, stuck: bool
) -> None:
    """Once written, an unchanged world leaves the status byte for byte as it is."""
    status, again = compose(plan, before, generation, stuck)
    if all(not f.inconclusive for f in plan.findings.values()):
        assert again.to_dict() == status.to_dict()


@cases
def test_garbage_does_not_survive(plan: Plan, before: Status, generation: int, stuck: bool) -> None:
    status, _ = compose(plan, before, generation, stuck)
    assert "Injected" not in [x.type for x in status.conditions]


def test_stalled_at_once_only_for_what_a_human_must_decide() -> None:
    me = _object(1)
    for reason in ALL_REASONS.values():
        blocked = Finding(c.FALSE, reason.name, "x")
        fine = Finding(c.TRUE, "Ready", "x")
        plan = Plan(
            findings={c.ACCEPTED: blocked, c.FORWARD_READY: fine, c.REVERSE_READY: fine, c.RESOLVED: fine}
        )
        found = summarise.verdicts(me, plan)
        status = summarise.compose(me, plan, found, NOW, stuck=False, handled=None)
        assert (status.condition(c.STALLED) is not None) == reason.stalls_at_once, reason.name
        later = summarise.compose(me, plan, found, NOW, stuck=True, handled=None)
        stalled = later.condition(c.STALLED)
        assert stalled is not None
        assert stalled.reason == reason.name, "after a period without progress, with the same reason"


@pytest.mark.parametrize(
    "reason",
    ["InvalidSpec", "ManagementNotAllowed", "NamespaceLimit", "NoMatchingPolicy", "RegionNotConfigured"],
)
def test_a_reason_that_needs_no_reading_is_over_when_not_found(reason: str) -> None:
    """The list of the region that was added fails; that does not keep what the settings said before."""
    me = obj(HOST, [PlannerHarness().eip(1)])
    before = Condition(c.ACCEPTED, c.FALSE, reason, "", me.meta.generation, BEFORE)
    me = replace(me, status=Status(me.meta.generation, HOST, conditions=(before,)))
    assert kept_condition(me, c.ACCEPTED, Finding(c.TRUE, "Accepted", "", inconclusive=True)) is None
