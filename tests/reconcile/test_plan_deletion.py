"""Planning the deletion of an object."""

from __future__ import annotations

from dataclasses import replace

from mailegress.model.aws import Eip
from mailegress.reconcile.result import ChangeRecords, RemoveFinalizer, ResetPtr
from tests.support.planned import HOST, carry_out, converged
from tests.support.planner import OTHER_UID, REGION, ZONE, Desk, mine, obj


def test_deletion_resets_ptrs_then_removes_records_then_lets_go() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    seen = []
    for _ in range(4):
        plan = desk.plan(me)
        seen.append(type(plan.action))
        if isinstance(plan.action, RemoveFinalizer):
            break
        carry_out(desk, plan)
    assert seen == [ResetPtr, ChangeRecords, RemoveFinalizer]
    assert desk.records.views[(ZONE.id, HOST)].records == ()


def test_deletion_reads_first_what_it_cannot_remember() -> None:
    """A status that does not fit and a past this process did not see: zones are swept before the finalizer goes."""
    desk = Desk()
    eip = desk.eip(1)
    desk.records.swept = False
    me = obj(HOST, [eip], deleting=True)
    assert not isinstance(desk.plan(me).action, RemoveFinalizer)
    desk.records.swept = True
    assert isinstance(desk.plan(me).action, RemoveFinalizer)


def test_retain_lets_go_without_a_look() -> None:
    desk = Desk()
    desk.book.at = None
    desk.zones.zones = None
    eip = Eip("eipalloc-00000001", "203.0.113.1", "", REGION)
    plan = desk.plan(obj(HOST, [eip], deleting=True, deletionPolicy="Retain"))
    assert isinstance(plan.action, RemoveFinalizer)
    assert plan.needs == ()


def test_a_ptr_of_ours_is_reset_even_if_the_zone_is_gone() -> None:
    """The mark that was read in a zone that is deleted is still nobody else's."""
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.zones.zones = ()
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(desk.plan(gone).action, ResetPtr)


def test_a_deleted_object_leaves_the_ptr_of_whoever_took_the_name_over() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.take(obj(HOST, [eip], uid=OTHER_UID))
    desk.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(desk.plan(gone).action, RemoveFinalizer)
