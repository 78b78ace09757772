"""Whose a PTR is, is recorded with the name: a third party that sets another name of the object makes it its own."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import REVERSE_READY
from mailegress.api.status import AddressStatus, Origin
from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip, Ptr
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.result import AddFinalizer, ChangeRecords, NeedPtr, ResetPtr, SetPtr
from mailegress.reconcile.rules.adoption import changed_by_others
from tests.support.planner import OTHER_UID, REGION, UID, ZONE, PlannerHarness, mine, obj, recorded, verdict

HOST, NEW = "mta.example.com", "out.example.com"


def entry(me: MailEgress, eip: Eip) -> AddressStatus | None:
    return next((a for a in me.status.addresses if a.allocation_id == eip.allocation_id), None)


def stored(eip: Eip, ptr: str | None, update: str | None = None) -> dict[str, object]:
    """An address as a former process recorded it: its PTR is the operator's."""
    return AddressStatus(
        f"allocationID={eip.allocation_id}",
        eip.public_ip,
        eip.allocation_id,
        eip.account_id,
        eip.region,
        ptr=ptr,
        ptr_origin=Origin.MANAGED,
        ptr_update=update,
    ).to_dict()


def left(
    harness: PlannerHarness, eip: Eip, ptr: str | None, update: str | None = None, **more: object
) -> MailEgress:
    """Renamed from HOST to NEW; ``eip`` has left the spec, in which another address stays."""
    stays = harness.eip(9, NEW)
    harness.records.put(NEW, [stays.public_ip], mine())
    harness.publish(NEW)
    status = {**recorded(NEW), "addresses": [stored(eip, ptr, update)]}
    return obj(NEW, [stays], status=status, **more)


def test_a_ptr_is_not_recorded_before_the_finalizer_is_there() -> None:
    """The write comes one reconcile later, and a third party may set the same name before."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    step = harness.plan(obj(HOST, [eip], finalizer=False, status=recorded(HOST)))
    assert isinstance(step.action, AddFinalizer)
    assert step.ptrs == ()
    assert [(a.ptr_update, a.ptr_origin) for a in step.addresses] == [(None, None)]
    step = harness.plan(obj(HOST, [eip], status=recorded(HOST)))
    assert isinstance(step.action, SetPtr)
    assert step.ptrs == (step.action,)
    assert [(a.ptr_update, a.ptr_origin) for a in step.addresses] == [(HOST, Origin.MANAGED)]


def test_the_name_is_recorded_before_the_ptr_is_set_and_until_aws_shows_it() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip], status=recorded(HOST))
    step = harness.plan(me)
    assert isinstance(step.action, SetPtr)
    me = harness.written(me, step)
    found = entry(me, eip)
    assert found is not None
    assert (found.ptr, found.ptr_update, found.ptr_origin) == (None, HOST, Origin.MANAGED)
    harness.set_ptr(eip, HOST)
    me = harness.written(me, harness.plan(me))
    found = entry(me, eip)
    assert found is not None
    assert (found.ptr, found.ptr_update) == (HOST, None)


def test_a_ptr_that_a_third_party_set_on_an_address_that_left_is_not_the_operators() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    me = left(harness, eip, HOST)
    step = harness.plan(me)
    assert not isinstance(step.action, ResetPtr)
    assert entry(harness.written(me, step), eip) is None


def test_a_ptr_that_a_former_process_set_is_reset_although_its_status_shows_the_ptr_before() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    me = left(harness, eip, HOST, NEW)
    step = harness.plan(me)
    assert isinstance(step.action, ResetPtr)
    assert (step.action.region, step.action.allocation_id) == (REGION, eip.allocation_id)


def test_a_ptr_whose_status_records_no_name_yet_stays_the_operators() -> None:
    """A version that recorded no update, or a status that was written before AWS was read."""
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    me = left(harness, eip, None)
    step = harness.plan(me)
    assert isinstance(step.action, ResetPtr)


@pytest.mark.parametrize(
    ("shown", "write"),
    [(Ptr(HOST, NEW, "PENDING"), None), (Ptr(NEW), WriteState(WritePhase.IN_FLIGHT, 0.0))],
    ids=["pending in AWS", "write in flight"],
)
def test_what_is_still_being_changed_is_not_a_third_partys(shown: Ptr, write: WriteState | None) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, shown)
    if write is not None:
        harness.ptrs.states[eip.allocation_id] = write
    me = left(harness, eip, HOST)
    found = entry(harness.written(me, harness.plan(me)), eip)
    assert found is not None
    assert found.ptr_origin is Origin.MANAGED


def test_a_deletion_does_not_reset_what_a_third_party_has_just_set() -> None:
    """The same pass sees it for the first time, and the status still says Managed."""
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    me = left(harness, eip, HOST, deleting=True)
    harness.set_ptr(harness.book.eips["eipalloc-00000009"], None)
    assert not isinstance(harness.plan(me).action, ResetPtr)


def test_a_deletion_does_not_reset_what_a_third_party_set_meanwhile() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, "mail.elsewhere.net")
    me = left(harness, eip, HOST, deleting=True)
    me = harness.written(me, harness.plan(me))
    found = entry(me, eip)
    assert found is not None
    assert (found.ptr, found.ptr_origin) == ("mail.elsewhere.net", None)
    harness.set_ptr(eip, NEW)
    step = harness.plan(me)
    assert not (isinstance(step.action, ResetPtr) and step.action.allocation_id == eip.allocation_id)
    assert me.meta.uid == UID


@pytest.mark.parametrize(
    ("ptr", "update"), [(None, NEW), (NEW, None)], ids=["set meanwhile", "shown meanwhile"]
)
def test_an_address_that_left_stays_recorded_until_its_ptr_was_read_after_its_entry(
    ptr: str | None, update: str | None
) -> None:
    """Another process may have written the entry and set the PTR after this one had listed the addresses. It may set it
    for as long as its proof is valid."""
    harness = PlannerHarness(now=1000.0)
    eip = harness.eip(1)
    me = left(harness, eip, ptr, update)
    step = harness.plan(me)
    if update is not None:
        assert entry(harness.written(me, step), eip) == entry(me, eip)
        harness.now += harness.settings.gate_seconds
        harness.book.at = harness.now - 1.0
        step = harness.plan(me)
    assert eip.allocation_id in {need.allocation_id for need in step.needs if isinstance(need, NeedPtr)}
    assert entry(harness.written(me, step), eip) == entry(me, eip)
    harness.book.at = harness.now
    assert entry(harness.written(me, harness.plan(me)), eip) is None


def test_a_ptr_that_this_process_set_is_managed_although_the_status_does_not_tell_of_it() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip], status=recorded(HOST))
    memory = harness.observed(me).memory
    memory.ownership.begun = frozenset({(ZONE.id, HOST)})
    assert [a.ptr_origin for a in harness.plan(me).addresses] == [Origin.ADOPTED], "somebody else set it"
    memory.ptrs.managed[eip.allocation_id, HOST] = False
    assert [a.ptr_origin for a in harness.plan(me).addresses] == [Origin.MANAGED]
    harness.set_ptr(eip, None)
    harness.plan(me)
    harness.set_ptr(eip, HOST)
    assert [a.ptr_origin for a in harness.plan(me).addresses] == [Origin.ADOPTED], (
        "somebody else set it again"
    )


@pytest.mark.parametrize(("ptr", "update"), [(None, HOST), (HOST, None)], ids=["to be set", "set"])
def test_an_address_stays_in_the_record_until_its_ptr_was_read_after_the_status_told_of_one(
    ptr: str | None, update: str | None
) -> None:
    """Another process set the PTR a moment after this one had read it, and this one does not want the address."""
    harness = PlannerHarness()
    kept, eip = harness.eip(9, HOST), harness.eip(1)
    harness.records.put(HOST, [kept.public_ip, eip.public_ip], mine())
    harness.publish(HOST)
    told = {**recorded(HOST), "addresses": [stored(eip, None)]}
    harness.observed(obj(HOST, [kept], status=told))
    harness.now = harness.settings.gate_seconds / 2
    me = obj(HOST, [kept], status={**told, "addresses": [stored(eip, ptr, update)]})
    assert not isinstance(harness.plan(me).action, ChangeRecords)
    harness.book.at = harness.now
    if update is not None:
        assert not isinstance(harness.plan(me).action, ChangeRecords), (
            "the other may still be about to set it"
        )
        harness.now += harness.settings.gate_seconds
        harness.book.at = harness.records.at = harness.dns.at = harness.now
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_what_a_third_party_set_is_not_recorded_where_another_object_has_the_address() -> None:
    """The object was renamed to the hostname that the PTR shows now: written down, it would be the object's."""
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    harness.records.put(NEW, [eip.public_ip], mine(OTHER_UID))
    harness.publish(NEW)
    harness.take(obj(NEW, [eip], uid=OTHER_UID))
    me = obj(NEW, [eip], status={**recorded(HOST), "addresses": [stored(eip, HOST)]})
    found = entry(harness.written(me, harness.plan(me)), eip)
    assert found is not None
    assert (found.ptr, found.ptr_origin, found.reason) == (HOST, Origin.MANAGED, "AddressConflict")


@pytest.mark.parametrize("deleting", [False, True])
def test_a_reading_that_is_older_than_what_the_status_tells_is_not_written_down(deleting: bool) -> None:
    """Another process of the operator has read the PTR since."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(NEW, [eip.public_ip], mine())
    harness.publish(NEW)
    harness.now = 10.0
    told = {**recorded(NEW), "addresses": [stored(eip, NEW)]}
    me = obj(NEW, [eip], status=told, deleting=deleting)
    for at, shown in ((harness.book.at, NEW), (harness.now, HOST)):
        harness.book.at = at
        found = entry(harness.written(me, harness.plan(me)), eip)
        assert found is not None
        assert found.ptr == shown


def test_a_reading_that_is_older_than_the_status_shows_no_change_by_a_third_party() -> None:
    harness = PlannerHarness(now=10.0)
    eip = harness.eip(1, HOST)
    me = obj(NEW, [eip], status={**recorded(NEW), "addresses": [stored(eip, NEW)]})
    observed, told = harness.observed(me), entry(me, eip)
    assert told is not None
    assert not changed_by_others(observed, told, eip)
    harness.book.at = harness.now
    assert changed_by_others(observed, told, eip)


def test_a_reading_that_is_older_than_the_status_is_not_stored_where_another_object_has_the_address() -> None:
    harness = PlannerHarness(now=10.0)
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    harness.publish(HOST)
    harness.take(obj(HOST, [eip], uid=OTHER_UID))
    me = obj(NEW, [eip], status={**recorded(NEW), "addresses": [stored(eip, NEW)]})
    found = entry(harness.written(me, harness.plan(me)), eip)
    assert found is not None
    assert (found.ptr, found.reason) == (NEW, "AddressConflict")


@pytest.mark.parametrize(("name", "whose"), [(NEW, Origin.MANAGED), (HOST, None), (None, Origin.MANAGED)])
def test_a_name_that_the_object_does_not_have_any_more_is_a_third_partys_where_the_ptr_had_been_removed(
    name: str | None, whose: Origin | None
) -> None:
    """The status says that the operator's PTR is gone, and that it sets none."""
    harness = PlannerHarness()
    eip = harness.eip(1, name)
    me = obj(NEW, [eip], status={"hostname": NEW, "addresses": [stored(eip, None)]})
    [shown] = harness.plan(me).addresses
    assert (shown.ptr, shown.ptr_origin) == (name, whose)


@pytest.mark.parametrize("name", ["mail.stranger.net", None])
def test_a_ptr_that_was_never_seen_is_not_taken_back_from_a_third_party_under_observed(
    name: str | None,
) -> None:
    """The process that recorded what it would set ended before the write, or right after it: nobody knows."""
    harness = PlannerHarness()
    eip = harness.eip(1, name)
    harness.dns.answers[HOST] = frozenset({eip.public_ip})
    told = {"hostname": HOST, "addresses": [stored(eip, None, HOST)]}
    me = obj(HOST, [eip], status=told, forward={"management": "Observed"})
    harness.plan(me)
    harness.now = harness.dns.at = harness.book.at = 10.0
    plan = harness.plan(me)
    [shown] = plan.addresses
    assert isinstance(plan.action, SetPtr) == (name is None)
    assert (verdict(plan, REVERSE_READY).reason == "PTRConflict") == (name is not None)
    whose = (HOST, Origin.MANAGED) if name is None else (None, None)
    assert (shown.ptr, shown.ptr_update, shown.ptr_origin) == (name, *whose)


def test_a_ptr_that_was_found_to_be_a_third_partys_is_not_taken_back_under_observed() -> None:
    """Found before the status told of the new hostname, when the PTR of the former one was the operator's."""
    harness = PlannerHarness()
    eip = harness.eip(1, "mail.stranger.net")
    harness.dns.answers[HOST] = frozenset({eip.public_ip})
    found = {**stored(eip, "mail.stranger.net"), "reason": "PTRConflict"}
    me = obj(HOST, [eip], status={"hostname": HOST, "addresses": [found]}, forward={"management": "Observed"})
    harness.plan(me)
    harness.now = harness.dns.at = harness.book.at = 10.0
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, REVERSE_READY).reason == "PTRConflict"
