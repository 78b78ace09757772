"""Planning the deletion of an object."""

from __future__ import annotations

from dataclasses import replace

from mailegress.model.aws import Eip
from mailegress.reconcile.result import ChangeRecords, RemoveFinalizer, ResetPtr
from tests.support.planned import HOST, carry_out, converged
from tests.support.planner import OTHER_UID, REGION, ZONE, PlannerHarness, mine, obj


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
