"""Planning the adoption of records and PTRs that exist already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import FORWARD_READY, REVERSE_READY
from mailegress.api.status import Origin
from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip, Ptr, Verb
from mailegress.reconcile.result import ChangeRecords, SetPtr
from tests.support.planned import HOST, NEW
from tests.support.planner import OTHER_UID, ZONE, PlannerHarness, mine, obj, stored_entry, verdict


def test_a_renamed_adopted_record_stays() -> None:
    """Of an old name that was adopted only the mark goes."""
    harness = PlannerHarness()
    eip = harness.eip(1, NEW)
    harness.records.put(HOST, [eip.public_ip], mine(adopted=True))
    harness.records.put(NEW, [eip.public_ip], mine())
    harness.publish(NEW)
    me = obj(NEW, [eip])
    harness.plan(me)
    harness.plan(me)
    harness.now += 1000
    harness.book.at = harness.records.at = harness.dns.at = harness.now
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert [(c.verb, c.record_set.type) for c in plan.action.changes] == [(Verb.DELETE, "TXT")]


def test_adoption_writes_the_mark_alone() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], ttl=77)
    plan = harness.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, ChangeRecords)
    [change] = plan.action.changes
    assert (change.verb, change.record_set.type) == (Verb.CREATE, "TXT")
    assert change.record_set.values[0].startswith('"meg1 a ')


def test_adoption_never_is_a_conflict_and_writes_nothing() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip])
    plan = harness.plan(obj(HOST, [eip], adoption="Never"))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordNotAdopted"


def test_the_first_change_of_an_adopted_set_makes_it_ours() -> None:
    harness = PlannerHarness()
    one, two = harness.eip(1), harness.eip(2)
    harness.records.put(HOST, [one.public_ip], mine(adopted=True))
    plan = harness.plan(obj(HOST, [one, two]))
    assert isinstance(plan.action, ChangeRecords)
    marks = [c.record_set.values[0] for c in plan.action.changes if c.record_set.type == "TXT"]
    assert marks[0].startswith('"meg1 a ')
    assert marks[1].startswith('"meg1 c ')


def test_the_origin_of_a_ptr_is_written_down_before_it_is_set_under_an_adopted_record() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine(adopted=True))
    harness.publish(HOST)
    plan = harness.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, SetPtr)
    assert plan.addresses[0].ptr_origin == "Managed"


def test_an_adopted_ptr_is_left_on_deletion() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine(adopted=True))
    harness.publish(HOST)
    me = obj(HOST, [eip])
    me = harness.written(me, harness.plan(me))
    assert me.status.addresses[0].ptr_origin == "Adopted"
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    plan = harness.plan(gone)
    assert isinstance(plan.action, ChangeRecords)
    assert [c.record_set.type for c in plan.action.changes] == ["TXT"]


def test_an_orphan_mark_is_taken_over_only_with_the_wanted_values() -> None:
    harness = PlannerHarness()
    eip, other = harness.eip(1), harness.eip(2)
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    plan = harness.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, ChangeRecords)
    assert {c.record_set.type for c in plan.action.changes} == {"TXT"}
    harness = PlannerHarness()
    harness.eip(1), harness.eip(2)
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    plan = harness.plan(obj(HOST, [other]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_another_operators_mark_is_a_conflict() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID, owner="cluster-b"))
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def with_entry(harness: PlannerHarness, eip: Eip, adoption: str = "Matching", **before: str) -> MailEgress:
    """The record is the object's own and holds the address. ``before``: the PTR, as the status tells of it."""
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    zone = {"id": ZONE.id, "name": ZONE.name, "accountID": ZONE.account_id}
    forward = {"origin": "Managed", "values": [eip.public_ip]}
    status = {"observedGeneration": 1, "hostname": HOST, "zone": zone, "forward": forward}
    return obj(HOST, [eip], status={**status, "addresses": [stored_entry(eip, **before)]}, adoption=adoption)


@pytest.mark.parametrize(
    ("before", "origin"),
    [
        ({"ptr": HOST}, Origin.MANAGED),
        ({}, Origin.ADOPTED),
        ({"ptr": NEW}, Origin.ADOPTED),
        ({"ptrUpdate": HOST}, Origin.MANAGED),
        ({"ptr": HOST, "reason": "PTRNotAdopted"}, Origin.ADOPTED),
    ],
)
def test_a_ptr_that_came_after_a_status_without_a_write_is_a_third_partys(
    before: dict[str, str], origin: Origin
) -> None:
    """Another process wrote the record. It records a PTR before it sets it."""
    harness = PlannerHarness()
    (shown,) = harness.plan(with_entry(harness, harness.eip(1, HOST), **before)).addresses
    assert shown.ptr_origin is origin


def test_a_ptr_that_aws_is_still_changing_proves_nothing_against_the_operator() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, Ptr(None, HOST, "PENDING"))
    (shown,) = harness.plan(with_entry(harness, eip, ptr=NEW)).addresses
    assert shown.ptr_origin is Origin.MANAGED


def test_a_status_that_was_deleted_proves_nothing_against_the_operator() -> None:
    """Who wrote the next one had read nothing yet."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    me = with_entry(harness, eip)
    harness.plan(obj(HOST, [eip]))
    (shown,) = harness.plan(me).addresses
    assert shown.ptr_origin is Origin.MANAGED


def test_a_ptr_that_was_not_adopted_before_the_record_was_written_is_left_as_it_was_found() -> None:
    """A third party set it between the reading and the write of the record."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    told = {"ptr": HOST, "reason": "PTRNotAdopted"}
    plan = harness.plan(with_entry(harness, eip, adoption="Never", **told))
    assert verdict(plan, REVERSE_READY).ok
    (shown,) = plan.addresses
    assert shown.ptr_origin is Origin.ADOPTED
