"""Writes that wait to be sent: until when they may be, what takes them back, and what goes before them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence, Eip, Verb
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, Plan, ResetPtr, SetPtr
from tests.support.planner import ZONE, Desk, mine, obj

HOST = "mta.example.com"


def ready(desk: Desk, *eips: Eip) -> MailEgress:
    """An object that is Ready with these EIPs, its status written."""
    for eip in eips:
        desk.set_ptr(eip, HOST)
    desk.records.put(HOST, [e.public_ip for e in eips], mine())
    desk.publish(HOST)
    me = obj(HOST, eips)
    return desk.written(me, desk.plan(me))


def values(plan: Plan) -> tuple[str, ...]:
    """The A values that the step would create."""
    assert isinstance(plan.action, ChangeRecords)
    created = (c.record_set for c in plan.action.changes if c.verb is Verb.CREATE)
    return next((r.values for r in created if r.type == "A"), ())


def test_a_ptr_write_may_be_sent_for_a_minute_after_the_authorities_were_heard() -> None:
    desk = Desk(now=100.0)
    desk.book.at = desk.records.at = 100.0
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    desk.dns.at = 70.0
    plan = desk.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, SetPtr)
    assert plan.action.before == 130.0


def test_a_reset_may_be_sent_for_a_minute_after_the_ptr_was_read() -> None:
    desk = Desk(now=100.0)
    desk.book.at = 80.0
    desk.records.at = 100.0
    eip = desk.eip(1, HOST)
    desk.records.put(HOST, [eip.public_ip], mine())
    me = obj(HOST, [eip], deleting=True)
    desk.observed(me).memory.edits.deleting_at = 0.0
    plan = desk.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.before == 140.0


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT])
def test_a_waiting_ptr_write_is_taken_back_when_the_authorities_disagree(phase: WritePhase) -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    me = obj(HOST, [eip])
    desk.ptrs.states[eip.allocation_id] = WriteState(phase, 0.0)
    assert not desk.plan(me).taken_back
    desk.dns.answers[HOST] = frozenset()
    for at in (5.0, 15.0, 35.0):
        desk.now = desk.dns.at = at
        plan = desk.plan(me)
    assert plan.taken_back == ((eip.region, eip.allocation_id),)


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT, WritePhase.UNKNOWN])
def test_an_address_whose_ptr_is_being_set_stays_in_the_record_although_the_spec_drops_it(
    phase: WritePhase,
) -> None:
    desk = Desk()
    kept, dropped = desk.eip(1), desk.eip(2)
    me = ready(desk, kept, dropped)
    me = replace(me, spec=obj(HOST, [kept]).spec, meta=replace(me.meta, generation=2))
    desk.set_ptr(dropped, None)
    desk.ptrs.states[dropped.allocation_id] = WriteState(phase, 0.0)
    desk.now = 0.5
    if phase is WritePhase.UNKNOWN:
        desk.ptrs.states[dropped.allocation_id] = WriteState(phase, 0.5)
    plan = desk.plan(me)
    assert plan.action is None
    assert not plan.taken_back, "it may be the reset"
    desk.ptrs.states.clear()
    assert values(desk.plan(me)) == (kept.public_ip,)


def test_a_lost_address_leaves_a_former_name_before_the_new_one_is_written() -> None:
    desk = Desk()
    kept, lost = desk.eip(1), desk.eip(2, HOST)
    me = ready(desk, kept, lost)
    spec = obj("out.example.com", (kept, lost)).spec
    renamed = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    del desk.book.eips[lost.allocation_id]
    desk.book.absences[lost.allocation_id] = Absence.LOST
    plan = desk.plan(renamed)
    assert isinstance(plan.action, ChangeRecords)
    assert (plan.action.hostname, plan.action.urgent) == (HOST, True)
    assert values(plan) == (kept.public_ip,)
    assert (lost.region, lost.allocation_id) in plan.taken_back


def test_a_change_that_waits_to_be_sent_is_replaced_when_an_address_is_lost() -> None:
    desk = Desk()
    kept, lost = desk.eip(1), desk.eip(2, HOST)
    me = ready(desk, kept, lost)
    del desk.book.eips[lost.allocation_id]
    desk.book.absences[lost.allocation_id] = Absence.LOST
    desk.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.QUEUED, 0.0)
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.urgent
    assert values(plan) == (kept.public_ip,)
    desk.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.QUEUED, 0.0, urgent=True)
    assert desk.plan(me).action is None, "once is enough"
