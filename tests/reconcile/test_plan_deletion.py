"""Planning the deletion of an object."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.conditions import REVERSE_READY
from mailegress.api.status import FormerRecord, Status
from mailegress.model.aws import Eip
from mailegress.reconcile.result import ChangeRecords, RemoveFinalizer, ResetPtr
from tests.support.planned import HOST, carry_out, converged
from tests.support.planner import OTHER_UID, REGION, ZONE, PlannerHarness, mine, obj, verdict


def test_deletion_resets_ptrs_then_removes_records_then_lets_go() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    seen = []
    for _ in range(4):
        plan = harness.plan(me)
        seen.append(type(plan.action))
        if isinstance(plan.action, RemoveFinalizer):
            break
        carry_out(harness, plan)
    assert seen == [ResetPtr, ChangeRecords, RemoveFinalizer]
    assert harness.records.views[(ZONE.id, HOST)].records == ()


def test_deletion_reads_first_what_it_cannot_remember() -> None:
    """A status that does not fit and a past this process did not see: zones are swept before the finalizer goes."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.swept = False
    me = obj(HOST, [eip], deleting=True)
    assert not isinstance(harness.plan(me).action, RemoveFinalizer)
    harness.records.swept = True
    assert isinstance(harness.plan(me).action, RemoveFinalizer)


def test_retain_lets_go_without_a_look() -> None:
    harness = PlannerHarness()
    harness.book.at = None
    harness.zones.zones = None
    eip = Eip("eipalloc-00000001", "203.0.113.1", "", REGION)
    plan = harness.plan(obj(HOST, [eip], deleting=True, deletionPolicy="Retain"))
    assert isinstance(plan.action, RemoveFinalizer)
    assert plan.needs == ()


def test_a_ptr_of_ours_is_reset_even_if_the_zone_is_gone() -> None:
    """The mark that was read in a zone that is deleted is still nobody else's."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.zones.zones = ()
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(harness.plan(gone).action, ResetPtr)


def test_a_deleted_object_leaves_the_ptr_of_whoever_took_the_name_over() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.take(obj(HOST, [eip], uid=OTHER_UID))
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(harness.plan(gone).action, RemoveFinalizer)


def test_deletion_leaves_the_ptr_of_an_address_that_others_put_into_the_record() -> None:
    """The status names every address that the operator gave the record, unless somebody deleted the status."""
    harness = PlannerHarness()
    me = converged(harness, harness.eip(1))
    added = harness.eip(2, HOST)
    harness.records.put(HOST, [added.public_ip], mine())
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    resets = []
    while not isinstance((plan := harness.plan(gone)).action, RemoveFinalizer):
        carry_out(harness, plan)
        resets += [plan.action.allocation_id] if isinstance(plan.action, ResetPtr) else []
    assert resets == ["eipalloc-00000001"]
    assert harness.book.eips[added.allocation_id].ptr.name == HOST


def test_deletion_resets_a_ptr_beside_the_record_of_an_object_that_lost_its_status() -> None:
    harness = PlannerHarness()
    me = converged(harness, harness.eip(1))
    former = harness.eip(2, HOST)
    harness.records.put(HOST, [former.public_ip], mine())
    harness.memories.clear()
    harness.plan(replace(me, status=Status.from_dict({})))
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    plan = harness.plan(gone)
    assert isinstance(plan.action, ResetPtr)
    carry_out(harness, plan)
    last = harness.plan(gone)
    assert isinstance(last.action, ResetPtr)
    assert {plan.action.allocation_id, last.action.allocation_id} == {
        "eipalloc-00000001",
        former.allocation_id,
    }


def test_a_deletion_names_the_former_hostname_that_a_ptr_still_shows() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.records.put("old.example.com", [eip.public_ip], mine())
    harness.set_ptr(eip, "old.example.com")
    former = (FormerRecord(ZONE.id, "old.example.com"),)
    me = replace(me, status=replace(me.status, former_records=former))
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    plan = harness.plan(gone)
    assert isinstance(plan.action, ResetPtr)
    assert verdict(plan, REVERSE_READY).message.startswith(
        f"Waiting until AWS shows no PTR {HOST} or old.example.com for {eip.public_ip}; "
    )


def test_deletion_leaves_the_ptr_that_a_retained_object_left_at_a_hostname_that_this_one_never_held() -> None:
    """The other object is gone, and its ownership record stands: nobody took it over."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine(uid=OTHER_UID))
    me = obj(HOST, [eip], deleting=True)
    assert isinstance(harness.plan(me).action, RemoveFinalizer)
