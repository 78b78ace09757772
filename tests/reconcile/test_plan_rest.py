"""When an object is looked at again: in its turn if it is right, slowly if Route 53 refused what it wants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence
from mailegress.model.dns import AnswerKind, ServerAnswer
from mailegress.model.facts import ErrorKind, Fact, Fault, WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, NeedSampleAuthority
from tests.support.planner import ZONE, PlannerHarness, mine, obj, recorded

HOST = "mta.example.com"


def after_a_restart(uid: str) -> tuple[PlannerHarness, MailEgress]:
    """A converged object, its world as read by a new process that has asked no name server yet."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine(uid))
    harness.publish(HOST)
    me = obj(HOST, [eip], uid=uid)
    me = harness.written(me, harness.plan(me))
    harness.memories.clear()
    harness.now = harness.book.at = harness.records.at = 1000.0
    harness.dns.at = harness.dns.public_at = None
    return harness, me


def test_what_stands_is_not_looked_at_every_minute_after_a_restart() -> None:
    waits = set()
    for number in range(1, 33):
        harness, me = after_a_restart(f"00000000-0000-4000-8000-{number:012}")
        plan = harness.plan(me)
        assert plan.action is None
        assert plan.needs == ()
        waits.add(round(plan.wait))
    tenth = harness.settings.resync_seconds / 10
    assert min(waits) < 3 * tenth, "turns are spread over the whole interval"
    assert max(waits) > 7 * tenth
    assert max(waits) <= 10 * tenth


def test_in_its_turn_one_authority_is_asked() -> None:
    harness, me = after_a_restart("00000000-0000-4000-8000-000000000001")
    harness.now += harness.plan(me).wait
    assert [type(need) for need in harness.plan(me).needs] == [NeedSampleAuthority]


def test_what_one_authority_confirmed_rests_until_the_next_turn() -> None:
    harness, me = after_a_restart("00000000-0000-4000-8000-000000000001")
    harness.now += harness.plan(me).wait
    heard = ServerAnswer("ns-1.example.net", AnswerKind.ANSWER, frozenset({"203.0.113.1"}), 300)
    harness.dns.sample_authority = lambda hostname: Fact(heard, harness.now)  # type: ignore[method-assign]
    plan = harness.plan(me)
    assert plan.needs == ()
    assert plan.wait > 0.85 * harness.settings.resync_seconds, "nothing is looked at again a minute later"


@pytest.mark.parametrize(
    ("kind", "pause"), [(ErrorKind.WORLD, 60.0), (ErrorKind.HUMAN, 60.0), (ErrorKind.TRANSIENT, 5.0)]
)
def test_refused_content_is_tried_again_after_a_minute_unless_it_was_stale(
    kind: ErrorKind, pause: float
) -> None:
    harness = PlannerHarness()
    me = obj(HOST, [harness.eip(1)])
    assert isinstance(harness.plan(me).action, ChangeRecords)
    refused = Fault("ChangeRejected", "Route 53 refused the change", kind)
    harness.writer.states[ZONE.id, HOST] = WriteState(WritePhase.FAILED, 0.0, refused, attempts=1)
    harness.now = pause - 0.5
    assert not isinstance(harness.plan(me).action, ChangeRecords)
    harness.now = pause + 0.5
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_a_suspended_object_says_the_same_when_the_last_answer_grows_old() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip], suspend=True)
    first = harness.plan(me)
    assert first.suspended
    me = harness.written(me, first)
    harness.now = harness.book.at = harness.records.at = 2 * harness.settings.gate_seconds
    again = harness.plan(me)
    assert again.suspended
    assert again.needs == ()
    assert harness.written(me, again) == me


def test_a_lost_address_leaves_the_record_of_a_suspended_object_and_nothing_else_changes() -> None:
    """It may be a third party's by now. The address that the spec adds has to wait, and so has its TTL."""
    harness = PlannerHarness()
    eip, lost, more = harness.eip(1, HOST), harness.eip(2, HOST), harness.eip(3)
    harness.records.put(HOST, [eip.public_ip, lost.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip, lost], status=recorded(HOST))
    me = harness.written(me, harness.plan(me))
    spec = obj(HOST, [eip, lost, more], suspend=True, forward={"ttlSeconds": 60}).spec
    me = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    assert harness.plan(me).action is None
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    harness.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
    (record,) = harness.records.views[ZONE.id, HOST].of_type("A")
    assert (record.values, record.ttl) == ((eip.public_ip,), 300)
    plan = harness.plan(harness.written(me, plan))
    assert plan.action is None
    assert plan.suspended


def test_a_lost_address_beside_a_forged_ownership_record_stays_under_suspend() -> None:
    harness = PlannerHarness()
    eip, lost = harness.eip(1, HOST), harness.eip(2, HOST)
    harness.records.put(HOST, [eip.public_ip, lost.public_ip], mine())
    me = obj(HOST, [eip, lost], suspend=True)
    me = harness.written(me, harness.plan(me))
    me = replace(me, status=replace(me.status, zone=None))
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    harness.records.put(HOST, ["192.0.2.77", lost.public_ip], mine())
    assert harness.plan(me).action is None
