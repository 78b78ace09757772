"""Out of sight is not gone: what the status records as ours is let go of only when it is clean or known to be gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import FORWARD_READY, READY, REVERSE_READY
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, NatAddress, NatGateway, Zone, ZoneLook
from mailegress.model.facts import ErrorKind, Fault, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import (
    ChangeRecords,
    NeedName,
    NeedZoneLook,
    NeedZones,
    RemoveFinalizer,
    ResetPtr,
)
from tests.support.planner import ACCOUNT, REGION, ZONE, PlannerHarness, body, mine, verdict

HOST = "mta.example.com"
OTHER_ACCOUNT = "444455556666"
ELSEWHERE = "eu-west-1"
DENIED = Fault("AccessDenied", "AWS denies route53:GetHostedZone", ErrorKind.WORLD)


def ready(harness: PlannerHarness, **spec: Any) -> MailEgress:
    """A Ready object with an address here and one in another region, both with our PTR."""
    harness.book.regions = (REGION, ELSEWHERE)
    here, there = harness.eip(1, HOST), harness.eip(2, HOST, region=ELSEWHERE)
    harness.records.put(HOST, [here.public_ip, there.public_ip], mine())
    harness.publish(HOST)
    selectors = [{"allocationID": here.allocation_id}]
    selectors.append({"allocationID": there.allocation_id, "region": ELSEWHERE})
    me = parse_object(body(HOST, selectors, **spec))
    for _ in range(2):
        me = harness.written(me, harness.plan(me))
    condition = me.status.condition(READY)
    assert condition is not None
    assert condition.status == "True", condition
    assert {a.public_ip for a in me.status.addresses if a.ptr_origin} == {here.public_ip, there.public_ip}
    harness.memories.clear()
    return me


def deleted(me: MailEgress) -> MailEgress:
    meta = replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=me.meta.generation + 1)
    return replace(me, meta=meta)


def shown(harness: PlannerHarness, me: MailEgress) -> tuple[str, str, str]:
    """Ready's status, reason and message, as the next status would say it."""
    found = summarise.verdicts(me, harness.plan(me))[READY]
    return found.status, found.reason, found.message


def out_of_sight(harness: PlannerHarness, how: str) -> str:
    """Hide the second address; what the message must name."""
    second = harness.book.eips["eipalloc-00000002"]
    if how == "region":
        harness.book.regions = (REGION,)
        return ELSEWHERE
    del harness.book.eips[second.allocation_id]
    if how == "account":
        harness.book.account = OTHER_ACCOUNT
        return ACCOUNT
    harness.book.absences[second.allocation_id] = Absence.MASS if how == "mass" else Absence.SUSPECTED
    return second.public_ip


@pytest.mark.parametrize("how", ["region", "account", "mass", "one reading"])
def test_a_deletion_waits_for_a_ptr_that_nobody_can_look_at(how: str) -> None:
    harness = PlannerHarness()
    me = deleted(ready(harness))
    named = out_of_sight(harness, how)
    if how == "account":
        harness.book.eips.clear()
    else:
        plan = harness.plan(me)
        assert isinstance(plan.action, ResetPtr), "what can be cleaned up is"
        harness.set_ptr(harness.book.eips["eipalloc-00000001"], None)
    plan = harness.plan(me)
    assert plan.action is None, "neither record nor finalizer goes"
    told = verdict(plan, FORWARD_READY)
    assert named in told.message
    if how != "one reading":
        assert told.reason == "DeletionBlocked"
        assert "deletionPolicy" in told.message
    assert [a.ptr_origin for a in plan.addresses if a.public_ip == "203.0.113.2"] == ["Managed"]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_list_that_lacks_an_address_changes_nothing_before_the_address_was_looked_up(missing: int) -> None:
    harness = PlannerHarness()
    eips = [harness.eip(number, HOST, nat_gateway_id="nat-1") for number in (1, 2)]
    here = tuple(NatAddress(e.allocation_id, e.public_ip, "succeeded") for e in eips)
    harness.book.gateways["nat-1"] = NatGateway("nat-1", "available", here)
    harness.records.put(HOST, [e.public_ip for e in eips], mine())
    harness.publish(HOST)
    me = parse_object(body(HOST, [{"natGatewayID": "nat-1"}]))
    for _ in range(2):
        me = harness.written(me, harness.plan(me))
    for eip in eips[:missing]:
        del harness.book.eips[eip.allocation_id]
        harness.book.absences[eip.allocation_id] = Absence.UNCHECKED
    plan = harness.plan(me)
    assert plan.action is None
    assert harness.written(me, plan).status == me.status
    for eip in eips[:missing]:
        harness.book.absences[eip.allocation_id] = Absence.SUSPECTED
    assert shown(harness, me)[0] == "False"


def test_a_released_address_lets_the_deletion_go_on() -> None:
    harness = PlannerHarness()
    me = deleted(ready(harness))
    out_of_sight(harness, "one reading")
    harness.set_ptr(harness.book.eips["eipalloc-00000001"], None)
    harness.book.absences["eipalloc-00000002"] = Absence.LOST
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_retain_gives_up_what_nobody_can_look_at() -> None:
    harness = PlannerHarness()
    me = deleted(ready(harness, deletionPolicy="Retain"))
    out_of_sight(harness, "region")
    assert isinstance(harness.plan(me).action, RemoveFinalizer)


@pytest.mark.parametrize("how", ["region", "account", "mass"])
def test_a_live_object_is_not_ready_while_a_ptr_that_it_left_cannot_be_looked_at(how: str) -> None:
    harness = PlannerHarness()
    me = ready(harness)
    spec = replace(me.spec, elastic_ips=me.spec.elastic_ips[:1])
    me = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    named = out_of_sight(harness, how)
    if how == "account":
        # The address that is still named belongs to the other account by now.
        harness.eip(1, HOST, account_id=OTHER_ACCOUNT)
    for _ in range(3):
        plan = harness.plan(me)
        assert plan.action is None, "the record keeps the address"
        assert [a.ptr_origin for a in plan.addresses if a.public_ip == "203.0.113.2"] == ["Managed"]
        status, _, message = shown(harness, me)
        assert status == "False"
        assert named in message
        me = harness.written(me, plan)


def test_a_ptr_that_nobody_can_look_at_counts_although_no_record_holds_its_address() -> None:
    harness = PlannerHarness()
    me = ready(harness)
    spec = replace(me.spec, elastic_ips=me.spec.elastic_ips[:1])
    me = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    harness.records.put(HOST, ["203.0.113.1"], mine())
    harness.publish(HOST)
    out_of_sight(harness, "region")
    plan = harness.plan(me)
    assert verdict(plan, REVERSE_READY).reason == "RegionNotConfigured"
    assert shown(harness, me)[0] == "False"
    assert "203.0.113.2" in {a.public_ip for a in plan.addresses}


# ---------------------------------------------------------------- zones


def without_zone(harness: PlannerHarness, look: ZoneLook | None, *others: Zone) -> None:
    harness.zones.zones = others
    if look is not None:
        harness.zones.looks[ZONE.id] = look


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (ZoneLook(OTHER_ACCOUNT), "AccountMismatch"),
        (ZoneLook(OTHER_ACCOUNT, denied=DENIED), "AccountMismatch"),
        (ZoneLook(ACCOUNT, denied=DENIED), "AccessDenied"),
    ],
)
def test_a_zone_that_the_role_does_not_show_keeps_the_object(look: ZoneLook, reason: str) -> None:
    harness = PlannerHarness()
    me = ready(harness)
    twin = Zone("Z2", "example.com", account_id=OTHER_ACCOUNT)
    without_zone(harness, look, twin)
    harness.records.views.pop((ZONE.id, HOST))
    harness.records.unread.add(HOST)
    live = harness.plan(me)
    assert live.action is None, "the other account's zone of that name is not written to"
    assert live.zone == me.status.zone
    assert verdict(live, FORWARD_READY).reason == reason
    gone = deleted(me)
    harness.records.unread.clear()
    harness.records.views[ZONE.id, HOST] = harness.records.get(ZONE.id, HOST).value  # type: ignore[assignment]
    harness.records.put(HOST, ["203.0.113.1"], mine())
    for eip in list(harness.book.eips.values()):
        harness.set_ptr(eip, None)
    plan = harness.plan(gone)
    assert plan.action is None
    told = verdict(plan, FORWARD_READY)
    assert told.reason == "DeletionBlocked"
    assert ZONE.id in told.message
    assert plan.zone == me.status.zone


def test_a_zone_that_was_really_deleted_lets_the_object_go() -> None:
    harness = PlannerHarness()
    me = deleted(ready(harness))
    without_zone(harness, None)
    for eip in list(harness.book.eips.values()):
        harness.set_ptr(eip, None)
    plan = harness.plan(me)
    assert plan.action is None
    assert NeedZoneLook(ZONE.id, 0.0) in plan.needs
    without_zone(harness, ZoneLook(ACCOUNT))
    assert isinstance(harness.plan(me).action, RemoveFinalizer)


def test_a_live_object_forgets_a_zone_that_was_really_deleted() -> None:
    harness = PlannerHarness()
    me = ready(harness)
    harness.plan(me)
    memory = harness.memories[me.meta.uid]
    memory.ownership.written = {(ZONE.id, HOST): None}
    harness.plan(me)
    without_zone(harness, ZoneLook(ACCOUNT))
    for _ in range(3):
        me = harness.written(me, harness.plan(me))
        assert me.status.zone is None
        assert me.status.former_records == ()
    for eip in list(harness.book.eips.values()):
        harness.set_ptr(eip, None)
    assert isinstance(harness.plan(deleted(me)).action, RemoveFinalizer)


def test_a_zone_made_anew_takes_the_place_of_one_that_was_deleted() -> None:
    harness = PlannerHarness()
    me = ready(harness)
    harness.records.views.pop((ZONE.id, HOST))
    without_zone(harness, ZoneLook(ACCOUNT), Zone("Z2", "example.com", account_id=ACCOUNT))
    harness.zones.servers["Z2"] = harness.zones.servers[ZONE.id]
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.zone_id == "Z2"


def test_a_list_older_than_the_deletion_does_not_say_that_a_zone_is_missing() -> None:
    harness = PlannerHarness()
    me = deleted(ready(harness))
    without_zone(harness, ZoneLook(ACCOUNT))
    harness.now = harness.book.at = harness.records.at = 100.0
    for eip in list(harness.book.eips.values()):
        harness.set_ptr(eip, None)
    plan = harness.plan(me)
    assert plan.action is None
    assert NeedZones(100.0) in plan.needs


@pytest.mark.parametrize("look", [ZoneLook(OTHER_ACCOUNT), ZoneLook(ACCOUNT, denied=DENIED)])
def test_a_former_name_in_a_zone_out_of_sight_is_not_forgotten(look: ZoneLook) -> None:
    harness = PlannerHarness()
    me = ready(harness)
    new = "mta.example.org"
    meta = replace(me.meta, generation=2)
    me = replace(me, spec=replace(me.spec, hostname=new), meta=meta)
    without_zone(harness, look, Zone("Z9", "example.org", account_id=OTHER_ACCOUNT))
    harness.zones.servers["Z9"] = harness.dns.servers
    harness.dns.zone = "example.org"
    harness.records.views.pop((ZONE.id, HOST))
    harness.records.unread.add(HOST)
    for _ in range(6):
        plan = harness.plan(me)
        if isinstance(plan.action, ChangeRecords):
            harness.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
            view = harness.records.views["Z9", new]
            harness.dns.answers[new] = frozenset(v for r in view.of_type("A") for v in r.values)
        me = harness.written(me, plan)
        for eip in list(harness.book.eips.values()):
            harness.set_ptr(eip, new)
        assert [(p.zone_id, p.hostname) for p in me.status.former_records] == [(ZONE.id, HOST)]
    status, _, message = shown(harness, me)
    assert status == "False"
    assert ZONE.id in message


def test_a_change_of_zone_tells_the_record_that_goes_by_its_zone() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    new = Zone("Z2", "example.com", account_id=ACCOUNT)
    harness.zones.zones = (ZONE, new)
    harness.zones.servers = {ZONE.id: frozenset({"ns-9.example.net"}), new.id: harness.dns.servers}
    for zone in (ZONE, new):
        harness.records.put(HOST, [eip.public_ip], mine(), zone_id=zone.id)
    harness.publish(HOST)
    status = {"hostname": HOST, "zone": {"id": new.id, "name": "example.com"}, "observedGeneration": 1}
    status["formerRecords"] = [{"zoneID": ZONE.id, "hostname": HOST}]
    me = parse_object(body(HOST, [{"allocationID": eip.allocation_id}], status=status))
    before = harness.plan(me)
    assert isinstance(before.action, ChangeRecords)
    assert before.action.zone_id == ZONE.id
    harness.writer.states[ZONE.id, HOST] = WriteState(WritePhase.IN_FLIGHT, harness.now)
    during = harness.plan(me)
    assert before.owed == during.owed == (f"the former record of {HOST} in zone {ZONE.id} is being removed",)


def test_a_record_of_which_another_process_told_is_kept_until_it_was_read_after_that() -> None:
    """This process listed the zone before the other one wrote the record, and the object was renamed since."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    former = "former.example.com"
    harness.now = harness.book.at = 1000.0
    harness.records.at = 900.0
    told = {
        "observedGeneration": 1,
        "hostname": former,
        "zone": {"id": ZONE.id, "name": ZONE.name, "accountID": ACCOUNT},
    }
    me = parse_object(body(HOST, [{"allocationID": eip.allocation_id}], generation=2, status=told))
    plan = harness.plan(me)
    assert NeedName(ZONE.id, former, 1000.0) in plan.needs
    assert [place.hostname for place in plan.former_records] == [former]
    harness.records.at = 1000.0
    assert harness.plan(me).former_records == (), "it was read and is clean"
