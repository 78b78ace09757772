"""A forged ownership record changes nothing: the status, which only the operator writes, must agree with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY
from mailegress.api.status import FormerRecord, Status
from mailegress.model.aws import Absence, Verb
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, Plan, RemoveFinalizer
from tests.support.planner import OTHER_UID, REGION, ZONE, PlannerHarness, mine, obj, recorded, verdict

HOST, OLD = "mta.example.com", "old.example.com"
FOREIGN = "192.0.2.77"


def touched(plan: Plan) -> set[str]:
    """The types of record sets that the step changes."""
    action = plan.action
    return {c.record_set.type for c in action.changes} if isinstance(action, ChangeRecords) else set()


def test_a_forged_ownership_record_changes_no_record() -> None:
    harness = PlannerHarness()
    me = obj(HOST, [harness.eip(1)])
    harness.records.put(HOST, [FOREIGN])
    me = harness.written(me, harness.plan(me))
    assert me.status.zone is None, "a status that named the place would confirm the record forged later"
    harness.records.put(HOST, [FOREIGN], mine())
    plan = harness.plan(me)
    found = verdict(plan, FORWARD_READY)
    assert (plan.action, found.reason) == (None, "RecordConflict")
    assert FOREIGN in found.message
    assert "203.0.113.1" in found.message
    assert harness.written(me, plan).status.zone is None


@pytest.mark.parametrize("suspend", [False, True])
def test_the_status_names_the_place_before_the_first_write_only(suspend: bool) -> None:
    harness = PlannerHarness()
    me = obj(HOST, [harness.eip(1)], suspend=suspend)
    plan = harness.plan(me)
    assert (harness.written(me, plan).status.zone is None) is suspend
    assert (touched(plan) == {"A", "TXT"}) is not suspend


def test_a_selector_that_resolves_to_nothing_does_not_confirm_a_foreign_record() -> None:
    harness = PlannerHarness()
    me = obj(HOST, [replace(harness.eip(1), allocation_id="eipalloc-0dead")])
    harness.records.put(HOST, [FOREIGN], mine())
    plan = harness.plan(me)
    assert plan.action is None
    assert plan.zone is None


def test_what_this_process_wrote_needs_no_status() -> None:
    harness = PlannerHarness()
    eip, other = harness.eip(1), harness.eip(2)
    me = obj(HOST, [eip])
    memory = harness.observed(me).memory
    memory.ownership.submitted |= {(ZONE.id, HOST)}
    harness.writer.states[ZONE.id, HOST] = WriteState(WritePhase.INSYNC, 0.0)
    harness.records.put(HOST, [eip.public_ip], mine())
    assert touched(harness.plan(obj(HOST, [other], generation=2))) == {"A", "TXT"}


def test_a_refused_write_confirms_nothing() -> None:
    harness = PlannerHarness()
    me = obj(HOST, [harness.eip(1)])
    memory = harness.observed(me).memory
    memory.ownership.submitted |= {(ZONE.id, HOST)}
    harness.writer.states[ZONE.id, HOST] = WriteState(WritePhase.FAILED, 0.0)
    harness.records.put(HOST, [FOREIGN], mine())
    assert harness.plan(me).action is None


def test_an_object_whose_status_was_lost_gets_its_records_back() -> None:
    """The record holds its own addresses only: it could be adopted, so nothing is gained by forging."""
    harness = PlannerHarness()
    eip, other = harness.eip(1, HOST), harness.eip(2)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip])
    me = harness.written(me, harness.plan(me))
    assert me.status.zone is not None
    harness.memories.clear()
    again = replace(me, spec=obj(HOST, [other]).spec)
    assert touched(harness.plan(again)) == {"A", "TXT"}


def test_of_two_that_want_a_name_a_lost_status_confirms_nothing() -> None:
    """Else the copy of the holder's spec, with a forged record, would take the name."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.take(obj(HOST, [eip], uid=OTHER_UID, created="2026-02-01T00:00:00Z"))
    harness.records.put(HOST, [eip.public_ip], mine())
    me = obj(HOST, [eip], created="2026-01-01T00:00:00Z")
    told = replace(me, status=replace(me.status, observed_generation=1))
    found = verdict(harness.plan(told), FORWARD_READY)
    assert found.reason == "RecordConflict"
    assert "another MailEgress wants the hostname, too" in found.message
    assert verdict(harness.plan(me), ACCEPTED).ok, (
        "about the older one nothing was ever written: its record is its own"
    )


def test_a_forged_record_at_another_name_is_not_removed() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.records.put("www.example.com", [FOREIGN], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip], status=recorded(HOST))
    for harness.now in (0.0, 400.0, 800.0):
        plan = harness.plan(me)
        assert "A" not in touched(plan)
        harness.dns.at = harness.dns.public_at = harness.now
        if isinstance(plan.action, ChangeRecords):
            harness.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
        me = harness.written(me, plan)
    left = harness.records.views[ZONE.id, "www.example.com"]
    assert [r.values for r in left.records] == [(FOREIGN,)]
    assert left.mark is None, "the object's turn to remove what it owns at other names came"


def test_a_forged_record_at_another_name_loses_no_lost_address() -> None:
    harness = PlannerHarness()
    eip, gone = harness.eip(1, HOST), harness.eip(2)
    harness.records.put(HOST, [eip.public_ip, gone.public_ip], mine())
    me = obj(HOST, [eip, gone], status=recorded(HOST))
    me = harness.written(me, harness.plan(me))
    del harness.book.eips[gone.allocation_id]
    harness.book.absences[gone.allocation_id] = Absence.LOST
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.records.put("www.example.com", [FOREIGN, gone.public_ip], mine())
    plan = harness.plan(me)
    assert "A" not in touched(plan), REGION


def test_former_records_stay_written_down_until_they_are_gone() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, OLD)
    harness.records.put(OLD, [eip.public_ip], mine())
    harness.publish(OLD)
    me = obj(OLD, [eip], status=recorded(OLD))
    me = harness.written(me, harness.plan(me))
    me = replace(me, spec=obj(HOST, [eip]).spec, meta=replace(me.meta, generation=2))
    plan = harness.plan(me)
    me = harness.written(me, plan)
    assert [(r.zone_id, r.hostname) for r in me.status.former_records] == [(ZONE.id, OLD)]
    assert me.status.zone is not None
    assert me.status.hostname == HOST
    assert Status.from_dict(me.status.to_dict()) == me.status
    # A new process reads neither name yet.
    harness.memories.clear()
    harness.records.unread |= {OLD, HOST}
    assert harness.written(me, harness.plan(me)).status.former_records == me.status.former_records
    harness.records.unread.clear()
    del harness.records.views[ZONE.id, OLD]
    me = harness.written(me, harness.plan(me))
    assert me.status.former_records == (FormerRecord("", OLD),), "the PTR still shows the name"
    harness.set_ptr(eip, HOST)
    assert harness.written(me, harness.plan(me)).status.former_records == ()


def test_deletion_leaves_the_record_beside_a_forged_ownership_record() -> None:
    harness = PlannerHarness()
    me = obj(HOST, [harness.eip(1)], deleting=True, generation=2)
    harness.records.put(HOST, [FOREIGN], mine())
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert [(c.verb, c.record_set.type) for c in plan.action.changes] == [(Verb.DELETE, "TXT")]
    harness.records.apply(ZONE.id, HOST, plan.action.changes)
    assert isinstance(harness.plan(me).action, RemoveFinalizer)


def test_deletion_removes_a_record_that_no_status_tells_of_if_it_holds_own_addresses() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    assert touched(harness.plan(obj(HOST, [eip], deleting=True, generation=2))) == {"A", "TXT"}
