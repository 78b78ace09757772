"""Writes that wait to be sent: until when they may be, what takes them back, and what goes before them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence, Eip, Verb
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, Plan, ResetPtr, SetPtr
from tests.support.planner import ZONE, PlannerHarness, mine, obj

HOST = "mta.example.com"


def ready(harness: PlannerHarness, *eips: Eip) -> MailEgress:
    """An object that is Ready with these EIPs, its status written."""
    for eip in eips:
        harness.set_ptr(eip, HOST)
    harness.records.put(HOST, [e.public_ip for e in eips], mine())
    harness.publish(HOST)
    me = obj(HOST, eips)
    return harness.written(me, harness.plan(me))


def values(plan: Plan) -> tuple[str, ...]:
    """The A values that the step would create."""
    assert isinstance(plan.action, ChangeRecords)
    created = (c.record_set for c in plan.action.changes if c.verb is Verb.CREATE)
    return next((r.values for r in created if r.type == "A"), ())


def test_a_ptr_write_may_be_sent_for_a_minute_after_the_authorities_were_heard() -> None:
    harness = PlannerHarness(now=100.0)
    harness.book.at = harness.records.at = 100.0
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.dns.at = 70.0
    plan = harness.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, SetPtr)
    assert plan.action.before == 130.0


def test_a_reset_may_be_sent_for_a_minute_after_the_ptr_was_read() -> None:
    harness = PlannerHarness(now=100.0)
    harness.book.at = 80.0
    harness.records.at = 100.0
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    me = obj(HOST, [eip], deleting=True)
    harness.observed(me).memory.edits.deleting_at = 0.0
    plan = harness.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.before == 140.0


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT])
def test_a_waiting_ptr_write_is_taken_back_when_the_authorities_disagree(phase: WritePhase) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip])
    harness.ptrs.states[eip.allocation_id] = WriteState(phase, 0.0)
    assert not harness.plan(me).taken_back
    harness.dns.answers[HOST] = frozenset()
    for at in (5.0, 15.0, 35.0):
        harness.now = harness.dns.at = at
        plan = harness.plan(me)
    assert plan.taken_back == ((eip.region, eip.allocation_id),)


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT, WritePhase.UNKNOWN])
def test_an_address_whose_ptr_is_being_set_stays_in_the_record_although_the_spec_drops_it(
    phase: WritePhase,
) -> None:
    harness = PlannerHarness()
    kept, dropped = harness.eip(1), harness.eip(2)
    me = ready(harness, kept, dropped)
    harness.observed(me)
    me = replace(me, spec=obj(HOST, [kept]).spec, meta=replace(me.meta, generation=2))
    harness.set_ptr(dropped, None)
    harness.ptrs.states[dropped.allocation_id] = WriteState(phase, 0.0)
    harness.now = 0.5
    if phase is WritePhase.UNKNOWN:
        harness.ptrs.states[dropped.allocation_id] = WriteState(phase, 0.5)
    plan = harness.plan(me)
    assert plan.action is None
    assert not plan.taken_back, "it may be the reset"
    harness.ptrs.states.clear()
    assert values(harness.plan(me)) == (kept.public_ip,)


def test_a_lost_address_leaves_a_former_name_before_the_new_one_is_written() -> None:
    harness = PlannerHarness()
    kept, lost = harness.eip(1), harness.eip(2, HOST)
    me = ready(harness, kept, lost)
    spec = obj("out.example.com", (kept, lost)).spec
    renamed = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    plan = harness.plan(renamed)
    assert isinstance(plan.action, ChangeRecords)
    assert (plan.action.hostname, plan.action.urgent) == (HOST, True)
    assert values(plan) == (kept.public_ip,)
    assert (lost.region, lost.allocation_id) in plan.taken_back


def test_a_change_that_waits_to_be_sent_is_replaced_when_an_address_is_lost() -> None:
    harness = PlannerHarness()
    kept, lost = harness.eip(1), harness.eip(2, HOST)
    me = ready(harness, kept, lost)
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.QUEUED, 0.0)
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.urgent
    assert values(plan) == (kept.public_ip,)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.QUEUED, 0.0, urgent=True)
    assert harness.plan(me).action is None, "once is enough"
