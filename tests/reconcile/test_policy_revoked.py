"""What remains possible for what policies refuse: after a revocation, at a deletion, and without a view of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.status import Origin
from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.policy_index import STALE_SECONDS, Source
from mailegress.reconcile.result import ChangeRecords, RemoveFinalizer, ResetPtr, SetPtr
from tests.support.planned import HOST, NEW, converged, edited, values
from tests.support.planner import (
    REGION,
    ZONE,
    PlannerHarness,
    mine,
    obj,
    policy,
    verdict,
)

ONLY = {"hostnames": {"suffixes": ["other.example.com"]}}
RETAIN = {"deletionPolicy": "Retain"}


@pytest.fixture
def harness() -> PlannerHarness:
    return PlannerHarness()


# ---------------------------------------------------------------- revoked


def revoked(harness: PlannerHarness, *numbers: int) -> MailEgress:
    """An object that was Ready under a policy which does not allow its hostname any more."""
    harness.enforce(policy())
    me = converged(harness, *(harness.eip(n) for n in numbers))
    assert me.status.policy == "mail"
    harness.change(policy(**ONLY))
    return me


def test_revoked_means_that_nothing_is_repaired_and_that_the_status_says_so(harness: PlannerHarness) -> None:
    me = revoked(harness, 1)
    harness.records.put(HOST, ["203.0.113.77"], mine())
    harness.set_ptr(harness.book.eips["eipalloc-00000001"], None)
    plan = harness.plan(me)
    assert (plan.action, plan.needs) == (None, ())
    accepted = verdict(plan, "Accepted")
    assert accepted.reason == "HostnameNotAllowed"
    assert "left as they are" in accepted.message
    after = harness.written(me, plan)
    assert after.status.zone == me.status.zone
    assert after.status.addresses == me.status.addresses
    assert after.status.policy is None


def test_revoked_while_a_ptr_write_waits_takes_it_back(harness: PlannerHarness) -> None:
    me = revoked(harness, 1)
    harness.ptrs.states["eipalloc-00000001"] = WriteState(WritePhase.QUEUED, 0.0)
    assert harness.plan(me).taken_back == ((REGION, "eipalloc-00000001"),)


def test_revoked_in_the_middle_of_a_rename_keeps_both_names(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    eip = harness.eip(1)
    me = edited(converged(harness, eip), (eip,), NEW)
    harness.records.put(NEW, [eip.public_ip], mine())
    harness.publish(NEW)
    me = harness.written(me, harness.plan(me))
    harness.change(policy(hostnames={"names": [HOST]}))
    plan = harness.plan(me)
    assert (plan.action, plan.needs) == (None, ())
    assert plan.former_records == me.status.former_records
    assert plan.former_records


def test_a_lost_address_leaves_the_records_of_a_revoked_object(harness: PlannerHarness) -> None:
    me = revoked(harness, 1, 2)
    del harness.book.eips["eipalloc-00000002"]
    harness.book.absences["eipalloc-00000002"] = Absence.LOST
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.only_lost
    assert values(plan) == ("203.0.113.1",)
    assert [a.reason for a in plan.addresses if a.allocation_id == "eipalloc-00000002"] == ["AddressLost"]


def test_the_deletion_of_a_revoked_object_cleans_up(harness: PlannerHarness) -> None:
    me = revoked(harness, 1)
    going = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(harness.plan(going).action, ResetPtr)
    harness.set_ptr(harness.book.eips["eipalloc-00000001"], None)
    assert isinstance(harness.plan(going).action, ChangeRecords)


def test_a_revoked_address_stays_and_is_not_repaired_while_the_others_are(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1), harness.eip(2))
    harness.change(policy(addresses={"allocationIDs": ["eipalloc-00000001"]}))
    for eip in tuple(harness.book.eips.values()):
        harness.set_ptr(eip, None)
    plan = harness.plan(me)
    assert verdict(plan, "Accepted").reason == "AddressNotAllowed"
    assert isinstance(plan.action, SetPtr)
    assert plan.action.allocation_id == "eipalloc-00000001"
    kept = next(a for a in plan.addresses if a.allocation_id == "eipalloc-00000002")
    assert (kept.reason, kept.ptr_origin) == ("AddressNotAllowed", me.status.addresses[1].ptr_origin)
    harness.set_ptr(harness.book.eips["eipalloc-00000001"], HOST)
    assert harness.plan(me).action is None
    assert harness.records.views[ZONE.id, HOST].of_type("A")[0].values == ("203.0.113.1", "203.0.113.2")


def test_a_record_that_was_removed_comes_back_without_the_revoked_address(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1), harness.eip(2))
    harness.change(policy(addresses={"allocationIDs": ["eipalloc-00000001"]}))
    harness.records.put(HOST)
    assert values(harness.plan(me)) == ("203.0.113.1",)


def test_with_no_address_allowed_any_more_the_record_is_left_alone(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1))
    harness.change(policy(addresses={"allocationIDs": ["eipalloc-0000beef"]}))
    assert harness.plan(me).action is None
    edited_ttl = replace(me, spec=replace(me.spec, forward=replace(me.spec.forward, ttl_seconds=60)))
    assert harness.plan(edited_ttl).action is None
    harness.records.put(HOST)
    assert harness.plan(me).action is None


def test_a_write_to_a_revoked_address_that_waits_is_taken_back(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1))
    harness.change(policy(addresses={"allocationIDs": ["eipalloc-0000beef"]}))
    assert (REGION, "eipalloc-00000001") in harness.plan(me).taken_back


def test_the_origin_of_a_ptr_is_recorded_before_it_is_revoked(harness: PlannerHarness) -> None:
    me = revoked(harness, 1)
    assert me.status.addresses[0].ptr_origin in (Origin.MANAGED, Origin.ADOPTED)


# ---------------------------------------------------------------- Retain


def deleting(me: MailEgress) -> MailEgress:
    return replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))


def test_retain_without_the_right_blocks_the_deletion_and_removes_nothing(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1), **RETAIN)
    assert "Retain" in verdict(harness.plan(me), "Accepted").message
    plan = harness.plan(deleting(me))
    assert (plan.action, plan.needs) == (None, ())
    assert verdict(plan, "Accepted").reason == "RetainNotAllowed"
    assert verdict(plan, "ForwardReady").reason == "DeletionBlocked"
    harness.change(policy(allowRetain=True))
    assert isinstance(harness.plan(deleting(me)).action, RemoveFinalizer)


def test_the_right_to_retain_must_cover_every_hostname_that_would_stay(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1), **RETAIN)
    harness.change(policy("new", hostnames={"names": [NEW]}, allowRetain=True), policy("old"))
    going = deleting(replace(me, spec=replace(me.spec, hostname=NEW)))
    assert verdict(harness.plan(going), "Accepted").reason == "RetainNotAllowed"


def test_retain_and_the_hostname_must_be_granted_by_the_same_policy(harness: PlannerHarness) -> None:
    harness.enforce(policy("a"), policy("b", allowRetain=True, **ONLY))
    me = converged(harness, harness.eip(1), **RETAIN)
    assert verdict(harness.plan(deleting(me)), "Accepted").reason == "RetainNotAllowed"


# ---------------------------------------------------------------- no view


def test_without_a_view_nothing_is_written_and_nothing_that_stood_falls(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = converged(harness, harness.eip(1))
    harness.set_ptr(harness.book.eips["eipalloc-00000001"], None)
    harness.now += STALE_SECONDS + 1
    harness.policies.unheard(Source.POLICIES, "403 Forbidden")
    plan = harness.plan(me)
    assert plan.action is None
    finding = verdict(plan, "Accepted")
    assert finding.inconclusive
    assert "403 Forbidden" in finding.message
    after = harness.written(me, plan)
    assert [c.status for c in after.status.conditions] == [c.status for c in me.status.conditions]
    for source in Source:
        harness.policies.heard(source, harness.now)
    harness.dns.at = harness.now
    assert harness.plan(me).action is not None


def test_before_the_first_list_nothing_is_allowed(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    harness.policies._contacts[Source.NAMESPACES].listed = False
    plan = harness.plan(obj(HOST, [harness.eip(1)]))
    assert (plan.action, plan.needs) == (None, ())
    assert "not listed yet" in verdict(plan, "Accepted").message


def test_without_a_view_retain_is_not_granted(harness: PlannerHarness) -> None:
    harness.enforce(policy(allowRetain=True))
    me = converged(harness, harness.eip(1), **RETAIN)
    harness.now += STALE_SECONDS + 1
    assert harness.plan(deleting(me)).action is None
