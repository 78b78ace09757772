"""What leaves a record, and what is removed: on a reading of the PTR made just now, never on an old list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import FORWARD_READY
from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence, Eip, Ptr
from mailegress.model.facts import ErrorKind, Fact, Fault, WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, NeedPtr, Plan, RemoveFinalizer
from tests.support.planner import REGION, UID, ZONE, Desk, mine, obj, recorded, verdict

HOST, NEW = "mta.example.com", "out.example.com"


class Readings:
    """When each PTR was read, and why it was not since."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.at: dict[str, float] = {}
        self.faults: dict[str, Fault] = {}
        desk.book.ptr = self.ptr  # type: ignore[method-assign]

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        eip = self.desk.book.eips.get(allocation_id)
        if eip is None:
            return Fact()
        at = self.at.get(allocation_id, self.desk.now)
        return Fact(eip.ptr, at, self.faults.get(allocation_id), tried_at=at)

    def age(self, eip: Eip, *, seconds: float = 700.0) -> None:
        self.at[eip.allocation_id] = self.desk.now - seconds

    def renew(self, eip: Eip, name: str | None) -> None:
        self.at.pop(eip.allocation_id, None)
        self.desk.set_ptr(eip, name)


def asked(step: Plan) -> list[str]:
    return [need.allocation_id for need in step.needs if isinstance(need, NeedPtr)]


def shrinking(desk: Desk, **more: object) -> tuple[MailEgress, Eip, Eip]:
    """Ready with two addresses; the second has left the spec, and the last list shows no PTR for it."""
    stays, leaves = desk.eip(1, HOST), desk.eip(2)
    desk.records.put(HOST, [stays.public_ip, leaves.public_ip], mine())
    desk.publish(HOST)
    return obj(HOST, [stays], status=recorded(HOST), **more), stays, leaves


def test_an_address_leaves_the_record_on_a_new_reading_of_its_ptr_only() -> None:
    desk = Desk()
    me, stays, leaves = shrinking(desk)
    readings = Readings(desk)
    readings.age(leaves)
    step = desk.plan(me)
    assert step.action is None
    assert asked(step) == [leaves.allocation_id]
    assert verdict(step, FORWARD_READY).message == f"Reading the PTR of {leaves.public_ip}."
    readings.renew(leaves, None)
    step = desk.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.changes[1].record_set.values == (stays.public_ip,)
    assert asked(step) == []


def test_an_address_whose_ptr_another_process_has_set_meanwhile_stays() -> None:
    desk = Desk()
    me, _, leaves = shrinking(desk)
    readings = Readings(desk)
    readings.age(leaves)
    assert desk.plan(me).action is None
    readings.renew(leaves, HOST)
    step = desk.plan(me)
    assert not isinstance(step.action, ChangeRecords)


def test_the_ptr_is_read_after_the_record_that_shows_the_address() -> None:
    """Another process may have added the address and set its PTR since the PTR was read, seconds ago."""
    desk = Desk()
    me, _, leaves = shrinking(desk)
    readings = Readings(desk)
    desk.now = desk.dns.at = desk.records.at = desk.book.at = 100.0
    readings.age(leaves, seconds=5.0)
    step = desk.plan(me)
    assert (step.action, asked(step)) == (None, [leaves.allocation_id])
    readings.renew(leaves, None)
    assert isinstance(desk.plan(me).action, ChangeRecords)


def test_an_address_stays_while_aws_does_not_show_its_ptr_and_the_reason_is_told() -> None:
    desk = Desk()
    me, _, leaves = shrinking(desk)
    readings = Readings(desk)
    readings.age(leaves)
    readings.faults[leaves.allocation_id] = Fault("EC2AccessDenied", "Denied.", ErrorKind.WORLD)
    step = desk.plan(me)
    assert step.action is None
    found = verdict(step, FORWARD_READY)
    assert (found.reason, found.message) == (
        "EC2AccessDenied", f"Reading the PTR of {leaves.public_ip}: Denied."
    )  # fmt: skip


def test_an_address_may_join_while_aws_does_not_show_the_ptr_of_one_that_leaves() -> None:
    desk = Desk()
    me, stays, leaves = shrinking(desk)
    joins = desk.eip(3)
    readings = Readings(desk)
    readings.age(leaves)
    readings.faults[leaves.allocation_id] = Fault("EC2AccessDenied", "Denied.", ErrorKind.WORLD)
    step = desk.plan(replace(me, spec=obj(HOST, [stays, joins]).spec))
    assert isinstance(step.action, ChangeRecords)
    assert step.action.changes[1].record_set.values == (stays.public_ip, leaves.public_ip, joins.public_ip)


def test_a_lost_address_leaves_at_once_although_another_ptr_is_old() -> None:
    desk = Desk()
    me, stays, leaves = shrinking(desk)
    lost = desk.eip(3, HOST)
    desk.records.put(HOST, [stays.public_ip, leaves.public_ip, lost.public_ip], mine())
    desk.publish(HOST)
    me = obj(HOST, [stays, lost], status=recorded(HOST))
    me = desk.written(me, desk.plan(me))
    del desk.book.eips[lost.allocation_id]
    desk.book.absences[lost.allocation_id] = Absence.LOST
    Readings(desk).age(leaves)
    step = desk.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.urgent
    assert step.action.changes[1].record_set.values == (stays.public_ip, leaves.public_ip)


def test_nothing_is_read_where_aws_has_no_api_for_ptrs() -> None:
    desk = Desk()
    me, _, leaves = shrinking(desk)
    desk.book.supported = False
    Readings(desk).age(leaves)
    step = desk.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert asked(step) == []


def test_nothing_is_read_for_a_suspended_object() -> None:
    """The write is only told, and the words do not change with the age of a reading."""
    desk = Desk()
    me, _, leaves = shrinking(desk, suspend=True)
    readings = Readings(desk)
    first = verdict(desk.plan(me), FORWARD_READY)
    readings.age(leaves)
    step = desk.plan(me)
    assert asked(step) == []
    assert verdict(step, FORWARD_READY) == first


def test_a_converged_object_reads_no_ptr() -> None:
    desk = Desk()
    one, two = desk.eip(1, HOST), desk.eip(2, HOST)
    desk.records.put(HOST, [one.public_ip, two.public_ip], mine())
    desk.publish(HOST)
    me = obj(HOST, [one, two], status=recorded(HOST))
    me = desk.written(me, desk.plan(me))
    readings = Readings(desk)
    readings.age(one)
    readings.age(two)
    step = desk.plan(me)
    assert (step.action, asked(step)) == (None, [])


def test_a_former_record_goes_on_a_new_reading_of_the_ptrs_only() -> None:
    desk = Desk()
    eip = desk.eip(1, NEW)
    desk.records.put(NEW, [eip.public_ip], mine())
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(NEW)
    former = [{"zoneID": ZONE.id, "hostname": HOST}]
    me = obj(NEW, [eip], status={**recorded(NEW), "formerRecords": former})
    for _ in range(2):
        desk.plan(me)
    desk.memories[UID].progress.ready_generation = me.meta.generation
    desk.now += desk.settings.ptr_ttl_seconds + 1
    desk.dns.at = desk.dns.public_at = desk.now
    readings = Readings(desk)
    readings.age(eip)
    step = desk.plan(me)
    assert step.action is None
    assert asked(step) == [eip.allocation_id]
    told = step.owed
    readings.renew(eip, NEW)
    step = desk.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.hostname == HOST
    assert step.owed == told


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT, WritePhase.UNKNOWN])
def test_a_former_record_stays_while_a_ptr_of_one_of_its_addresses_is_being_written(
    phase: WritePhase,
) -> None:
    desk = Desk()
    eip, dropped = desk.eip(1, NEW), desk.eip(2)
    desk.records.put(NEW, [eip.public_ip], mine())
    desk.records.put(HOST, [eip.public_ip, dropped.public_ip], mine())
    desk.publish(NEW)
    me = obj(NEW, [eip], status={**recorded(NEW), "formerRecords": [{"zoneID": ZONE.id, "hostname": HOST}]})
    for _ in range(2):
        desk.plan(me)
    desk.memories[UID].progress.ready_generation = me.meta.generation
    desk.now += desk.settings.ptr_ttl_seconds + 1
    desk.dns.at = desk.dns.public_at = desk.now
    readings = Readings(desk)
    readings.age(dropped, seconds=1.0)
    desk.ptrs.states[dropped.allocation_id] = WriteState(phase, desk.now)
    step = desk.plan(me)
    assert step.action is None
    assert step.owed == (f"{HOST} stays until the PTR of {dropped.public_ip} is known",)
    desk.ptrs.states.clear()
    readings.renew(dropped, None)
    step = desk.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.hostname == HOST


@pytest.mark.parametrize("set_meanwhile", [False, True])
def test_a_deletion_removes_the_record_on_a_new_reading_of_the_ptrs_only(set_meanwhile: bool) -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine(UID))
    me = obj(HOST, [eip], status=recorded(HOST), deleting=True)
    readings = Readings(desk)
    readings.age(eip)
    step = desk.plan(me)
    assert step.action is None
    assert step.needs == (NeedPtr(REGION, eip.allocation_id, desk.now - desk.settings.gate_seconds),)
    readings.renew(eip, HOST if set_meanwhile else None)
    step = desk.plan(me)
    assert not isinstance(step.action, RemoveFinalizer)
    assert isinstance(step.action, ChangeRecords) != set_meanwhile
