"""What leaves a record, and what is removed: on a reading of the PTR made just now, never on an old list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import FORWARD_READY
from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence, Eip, Ptr
from mailegress.model.facts import ErrorKind, Fact, Fault, WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, NeedPtr, Plan, RemoveFinalizer
from tests.support.planner import REGION, UID, ZONE, PlannerHarness, mine, obj, recorded, verdict

HOST, NEW = "mta.example.com", "out.example.com"


class Readings:
    """When each PTR was read, and why it was not since."""

    def __init__(self, harness: PlannerHarness) -> None:
        self.harness = harness
        self.at: dict[str, float] = {}
        self.faults: dict[str, Fault] = {}
        harness.book.ptr = self.ptr  # type: ignore[method-assign]

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        eip = self.harness.book.eips.get(allocation_id)
        if eip is None:
            return Fact()
        at = self.at.get(allocation_id, self.harness.now)
        return Fact(eip.ptr, at, self.faults.get(allocation_id), tried_at=at)

    def age(self, eip: Eip, *, seconds: float = 700.0) -> None:
        self.at[eip.allocation_id] = self.harness.now - seconds

    def renew(self, eip: Eip, name: str | None) -> None:
        self.at.pop(eip.allocation_id, None)
        self.harness.set_ptr(eip, name)


def asked(step: Plan) -> list[str]:
    return [need.allocation_id for need in step.needs if isinstance(need, NeedPtr)]


def shrinking(harness: PlannerHarness, **more: object) -> tuple[MailEgress, Eip, Eip]:
    """Ready with two addresses; the second has left the spec, and the last list shows no PTR for it."""
    stays, leaves = harness.eip(1, HOST), harness.eip(2)
    harness.records.put(HOST, [stays.public_ip, leaves.public_ip], mine())
    harness.publish(HOST)
    return obj(HOST, [stays], status=recorded(HOST), **more), stays, leaves


def test_an_address_leaves_the_record_on_a_new_reading_of_its_ptr_only() -> None:
    harness = PlannerHarness()
    me, stays, leaves = shrinking(harness)
    readings = Readings(harness)
    readings.age(leaves)
    step = harness.plan(me)
    assert step.action is None
    assert asked(step) == [leaves.allocation_id]
    assert verdict(step, FORWARD_READY).message == f"Reading the PTR of {leaves.public_ip}."
    readings.renew(leaves, None)
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.changes[1].record_set.values == (stays.public_ip,)
    assert asked(step) == []


def test_an_address_whose_ptr_another_process_has_set_meanwhile_stays() -> None:
    harness = PlannerHarness()
    me, _, leaves = shrinking(harness)
    readings = Readings(harness)
    readings.age(leaves)
    assert harness.plan(me).action is None
    readings.renew(leaves, HOST)
    step = harness.plan(me)
    assert not isinstance(step.action, ChangeRecords)


def test_the_ptr_is_read_after_the_record_that_shows_the_address() -> None:
    """Another process may have added the address and set its PTR since the PTR was read, seconds ago."""
    harness = PlannerHarness()
    me, _, leaves = shrinking(harness)
    readings = Readings(harness)
    harness.now = harness.dns.at = harness.records.at = harness.book.at = 100.0
    readings.age(leaves, seconds=5.0)
    step = harness.plan(me)
    assert (step.action, asked(step)) == (None, [leaves.allocation_id])
    readings.renew(leaves, None)
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_an_address_stays_while_aws_does_not_show_its_ptr_and_the_reason_is_told() -> None:
    harness = PlannerHarness()
    me, _, leaves = shrinking(harness)
    readings = Readings(harness)
    readings.age(leaves)
    readings.faults[leaves.allocation_id] = Fault("EC2AccessDenied", "Denied.", ErrorKind.WORLD)
    step = harness.plan(me)
    assert step.action is None
    found = verdict(step, FORWARD_READY)
    assert (found.reason, found.message) == (
        "EC2AccessDenied", f"Reading the PTR of {leaves.public_ip}: Denied."
    )  # fmt: skip


def test_an_address_may_join_while_aws_does_not_show_the_ptr_of_one_that_leaves() -> None:
    harness = PlannerHarness()
    me, stays, leaves = shrinking(harness)
    joins = harness.eip(3)
    readings = Readings(harness)
    readings.age(leaves)
    readings.faults[leaves.allocation_id] = Fault("EC2AccessDenied", "Denied.", ErrorKind.WORLD)
    step = harness.plan(replace(me, spec=obj(HOST, [stays, joins]).spec))
    assert isinstance(step.action, ChangeRecords)
    assert step.action.changes[1].record_set.values == (stays.public_ip, leaves.public_ip, joins.public_ip)


def test_a_lost_address_leaves_at_once_although_another_ptr_is_old() -> None:
    harness = PlannerHarness()
    me, stays, leaves = shrinking(harness)
    lost = harness.eip(3, HOST)
    harness.records.put(HOST, [stays.public_ip, leaves.public_ip, lost.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [stays, lost], status=recorded(HOST))
    me = harness.written(me, harness.plan(me))
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    Readings(harness).age(leaves)
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.urgent
    assert step.action.changes[1].record_set.values == (stays.public_ip, leaves.public_ip)


def test_an_address_of_which_no_status_tells_leaves_when_its_former_name_ran_out_of_caches() -> None:
    """Its PTR shows another name of the object, since when nobody knows: not longer than the process has run."""
    harness = PlannerHarness()
    me, stays, leaves = shrinking(harness)
    harness.set_ptr(leaves, NEW)
    harness.records.put(NEW, [leaves.public_ip], mine())
    step = harness.plan(me)
    assert not isinstance(step.action, ChangeRecords)
    harness.now += harness.settings.ptr_ttl_seconds + 1
    harness.book.at = harness.records.at = harness.dns.at = harness.dns.public_at = harness.now
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.hostname == HOST
    assert step.action.changes[1].record_set.values == (stays.public_ip,)


def test_nothing_is_read_where_aws_has_no_api_for_ptrs() -> None:
    harness = PlannerHarness()
    me, _, leaves = shrinking(harness)
    harness.book.supported = False
    Readings(harness).age(leaves)
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert asked(step) == []


def test_nothing_is_read_for_a_suspended_object() -> None:
    """The write is only told, and the words do not change with the age of a reading."""
    harness = PlannerHarness()
    me, _, leaves = shrinking(harness, suspend=True)
    readings = Readings(harness)
    first = verdict(harness.plan(me), FORWARD_READY)
    readings.age(leaves)
    step = harness.plan(me)
    assert asked(step) == []
    assert verdict(step, FORWARD_READY) == first


def test_a_converged_object_reads_no_ptr() -> None:
    harness = PlannerHarness()
    one, two = harness.eip(1, HOST), harness.eip(2, HOST)
    harness.records.put(HOST, [one.public_ip, two.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [one, two], status=recorded(HOST))
    me = harness.written(me, harness.plan(me))
    readings = Readings(harness)
    readings.age(one)
    readings.age(two)
    step = harness.plan(me)
    assert (step.action, asked(step)) == (None, [])


def test_a_former_record_goes_on_a_new_reading_of_the_ptrs_only() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    harness.records.put(NEW, [eip.public_ip], mine())
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(NEW)
    former = [{"zoneID": ZONE.id, "hostname": HOST}]
    me = obj(NEW, [eip], status={**recorded(NEW), "formerRecords": former})
    for _ in range(2):
        harness.plan(me)
    harness.memories[UID].progress.ready_generation = me.meta.generation
    harness.now += harness.settings.ptr_ttl_seconds + 1
    harness.dns.at = harness.dns.public_at = harness.now
    readings = Readings(harness)
    readings.age(eip)
    step = harness.plan(me)
    assert step.action is None
    assert asked(step) == [eip.allocation_id]
    told = step.owed
    readings.renew(eip, NEW)
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.hostname == HOST
    assert step.owed == told


@pytest.mark.parametrize("phase", [WritePhase.QUEUED, WritePhase.IN_FLIGHT, WritePhase.UNKNOWN])
def test_a_former_record_stays_while_a_ptr_of_one_of_its_addresses_is_being_written(
    phase: WritePhase,
) -> None:
    harness = PlannerHarness()
    eip, dropped = harness.eip(1, NEW), harness.eip(2)
    harness.records.put(NEW, [eip.public_ip], mine())
    harness.records.put(HOST, [eip.public_ip, dropped.public_ip], mine())
    harness.publish(NEW)
    me = obj(NEW, [eip], status={**recorded(NEW), "formerRecords": [{"zoneID": ZONE.id, "hostname": HOST}]})
    for _ in range(2):
        harness.plan(me)
    harness.memories[UID].progress.ready_generation = me.meta.generation
    harness.now += harness.settings.ptr_ttl_seconds + 1
    harness.dns.at = harness.dns.public_at = harness.now
    readings = Readings(harness)
    readings.age(dropped, seconds=1.0)
    harness.ptrs.states[dropped.allocation_id] = WriteState(phase, harness.now)
    step = harness.plan(me)
    assert step.action is None
    assert step.owed == (f"{HOST} stays until the PTR of {dropped.public_ip} is known",)
    harness.ptrs.states.clear()
    readings.renew(dropped, None)
    step = harness.plan(me)
    assert isinstance(step.action, ChangeRecords)
    assert step.action.hostname == HOST


@pytest.mark.parametrize("set_meanwhile", [False, True])
def test_a_deletion_removes_the_record_on_a_new_reading_of_the_ptrs_only(set_meanwhile: bool) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine(UID))
    me = obj(HOST, [eip], status=recorded(HOST), deleting=True)
    readings = Readings(harness)
    readings.age(eip)
    step = harness.plan(me)
    assert step.action is None
    assert step.needs == (NeedPtr(REGION, eip.allocation_id, harness.now - harness.settings.gate_seconds),)
    readings.renew(eip, HOST if set_meanwhile else None)
    step = harness.plan(me)
    assert not isinstance(step.action, RemoveFinalizer)
    assert isinstance(step.action, ChangeRecords) != set_meanwhile
