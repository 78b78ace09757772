"""A forged ownership record changes nothing: the status, which only the operator writes, must agree with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY
from mailegress.api.status import Status
from mailegress.model.aws import Absence, Verb
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, Plan, RemoveFinalizer
from tests.support.planner import OTHER_UID, REGION, ZONE, Desk, mine, obj, recorded, verdict

HOST, OLD = "mta.example.com", "old.example.com"
FOREIGN = "192.0.2.77"


def touched(plan: Plan) -> set[str]:
    """The types of record sets that the step changes."""
    action = plan.action
    return {c.record_set.type for c in action.changes} if isinstance(action, ChangeRecords) else set()


def test_a_forged_ownership_record_changes_no_record() -> None:
    desk = Desk()
    me = obj(HOST, [desk.eip(1)])
    desk.records.put(HOST, [FOREIGN])
    me = desk.written(me, desk.plan(me))
    assert me.status.zone is None, "a status that named the place would confirm the record forged later"
    desk.records.put(HOST, [FOREIGN], mine())
    plan = desk.plan(me)
    found = verdict(plan, FORWARD_READY)
    assert (plan.action, found.reason) == (None, "RecordConflict")
    assert FOREIGN in found.message
    assert "203.0.113.1" in found.message
    assert desk.written(me, plan).status.zone is None


@pytest.mark.parametrize("suspend", [False, True])
def test_the_status_names_the_place_before_the_first_write_only(suspend: bool) -> None:
    desk = Desk()
    me = obj(HOST, [desk.eip(1)], suspend=suspend)
    plan = desk.plan(me)
    assert (desk.written(me, plan).status.zone is None) is suspend
    assert (touched(plan) == {"A", "TXT"}) is not suspend


def test_a_selector_that_resolves_to_nothing_does_not_confirm_a_foreign_record() -> None:
    desk = Desk()
    me = obj(HOST, [replace(desk.eip(1), allocation_id="eipalloc-0dead")])
    desk.records.put(HOST, [FOREIGN], mine())
    plan = desk.plan(me)
    assert plan.action is None
    assert plan.zone is None


def test_what_this_process_wrote_needs_no_status() -> None:
    desk = Desk()
    eip, other = desk.eip(1), desk.eip(2)
    me = obj(HOST, [eip])
    memory = desk.observed(me).memory
    memory.ownership.submitted |= {(ZONE.id, HOST)}
    desk.writer.states[ZONE.id, HOST] = WriteState(WritePhase.INSYNC, 0.0)
    desk.records.put(HOST, [eip.public_ip], mine())
    assert touched(desk.plan(obj(HOST, [other], generation=2))) == {"A", "TXT"}


def test_a_refused_write_confirms_nothing() -> None:
    desk = Desk()
    me = obj(HOST, [desk.eip(1)])
    memory = desk.observed(me).memory
    memory.ownership.submitted |= {(ZONE.id, HOST)}
    desk.writer.states[ZONE.id, HOST] = WriteState(WritePhase.FAILED, 0.0)
    desk.records.put(HOST, [FOREIGN], mine())
    assert desk.plan(me).action is None


def test_an_object_whose_status_was_lost_gets_its_records_back() -> None:
    """The record holds its own addresses only: it could be adopted, so nothing is gained by forging."""
    desk = Desk()
    eip, other = desk.eip(1, HOST), desk.eip(2)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    me = obj(HOST, [eip])
    me = desk.written(me, desk.plan(me))
    assert me.status.zone is not None
    desk.memories.clear()
    again = replace(me, spec=obj(HOST, [other]).spec)
    assert touched(desk.plan(again)) == {"A", "TXT"}


def test_of_two_that_want_a_name_a_lost_status_confirms_nothing() -> None:
    """Else the copy of the holder's spec, with a forged record, would take the name."""
    desk = Desk()
    eip = desk.eip(1, HOST)
    desk.take(obj(HOST, [eip], uid=OTHER_UID, created="2026-02-01T00:00:00Z"))
    desk.records.put(HOST, [eip.public_ip], mine())
    me = obj(HOST, [eip], created="2026-01-01T00:00:00Z")
    told = replace(me, status=replace(me.status, observed_generation=1))
    assert verdict(desk.plan(told), FORWARD_READY).reason == "RecordConflict"
    assert verdict(desk.plan(me), ACCEPTED).ok, (
        "about the older one nothing was ever written: its record is its own"
    )


def test_a_forged_record_at_another_name_is_not_removed() -> None:
    desk = Desk()
    eip = desk.eip(1, HOST)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.records.put("www.example.com", [FOREIGN], mine())
    desk.publish(HOST)
    me = obj(HOST, [eip], status=recorded(HOST))
    for desk.now in (0.0, 400.0, 800.0):
        plan = desk.plan(me)
        assert "A" not in touched(plan)
        desk.dns.at = desk.dns.public_at = desk.now
        if isinstance(plan.action, ChangeRecords):
            desk.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
        me = desk.written(me, plan)
    left = desk.records.views[ZONE.id, "www.example.com"]
    assert [r.values for r in left.records] == [(FOREIGN,)]
    assert left.mark is None, "the object's turn to remove what it owns at other names came"


def test_a_forged_record_at_another_name_loses_no_lost_address() -> None:
    desk = Desk()
    eip, gone = desk.eip(1, HOST), desk.eip(2)
    desk.records.put(HOST, [eip.public_ip, gone.public_ip], mine())
    me = obj(HOST, [eip, gone], status=recorded(HOST))
    me = desk.written(me, desk.plan(me))
    del desk.book.eips[gone.allocation_id]
    desk.book.absences[gone.allocation_id] = Absence.LOST
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    desk.records.put("www.example.com", [FOREIGN, gone.public_ip], mine())
    plan = desk.plan(me)
    assert "A" not in touched(plan), REGION


def test_former_records_stay_written_down_until_they_are_gone() -> None:
    desk = Desk()
    eip = desk.eip(1, OLD)
    desk.records.put(OLD, [eip.public_ip], mine())
    desk.publish(OLD)
    me = obj(OLD, [eip], status=recorded(OLD))
    me = desk.written(me, desk.plan(me))
    me = replace(me, spec=obj(HOST, [eip]).spec, meta=replace(me.meta, generation=2))
    plan = desk.plan(me)
    me = desk.written(me, plan)
    assert [(r.zone_id, r.hostname) for r in me.status.former_records] == [(ZONE.id, OLD)]
    assert me.status.zone is not None
    assert me.status.hostname == HOST
    assert Status.from_dict(me.status.to_dict()) == me.status
    # A new process reads neither name yet.
    desk.memories.clear()
    desk.records.unread |= {OLD, HOST}
    assert desk.written(me, desk.plan(me)).status.former_records == me.status.former_records
    desk.records.unread.clear()
    del desk.records.views[ZONE.id, OLD]
    assert desk.written(me, desk.plan(me)).status.former_records == ()


def test_deletion_leaves_the_record_beside_a_forged_ownership_record() -> None:
    desk = Desk()
    me = obj(HOST, [desk.eip(1)], deleting=True, generation=2)
    desk.records.put(HOST, [FOREIGN], mine())
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert [(c.verb, c.record_set.type) for c in plan.action.changes] == [(Verb.DELETE, "TXT")]
    desk.records.apply(ZONE.id, HOST, plan.action.changes)
    assert isinstance(desk.plan(me).action, RemoveFinalizer)


def test_deletion_removes_a_record_that_no_status_tells_of_if_it_holds_own_addresses() -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine())
    assert touched(desk.plan(obj(HOST, [eip], deleting=True, generation=2))) == {"A", "TXT"}
