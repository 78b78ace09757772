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
from mailegress.reconcile.result import ChangeRecords, NeedZoneLook, NeedZones, RemoveFinalizer, ResetPtr
from tests.support.planner import ACCOUNT, REGION, ZONE, Desk, body, mine, verdict

HOST = "mta.example.com"
OTHER_ACCOUNT = "444455556666"
ELSEWHERE = "eu-west-1"
DENIED = Fault("AccessDenied", "AWS denies route53:GetHostedZone", ErrorKind.WORLD)


def ready(desk: Desk, **spec: Any) -> MailEgress:
    """A Ready object with an address here and one in another region, both with our PTR."""
    desk.book.regions = (REGION, ELSEWHERE)
    here, there = desk.eip(1, HOST), desk.eip(2, HOST, region=ELSEWHERE)
    desk.records.put(HOST, [here.public_ip, there.public_ip], mine())
    desk.publish(HOST)
    selectors = [{"allocationID": here.allocation_id}]
    selectors.append({"allocationID": there.allocation_id, "region": ELSEWHERE})
    me = parse_object(body(HOST, selectors, **spec))
    for _ in range(2):
        me = desk.written(me, desk.plan(me))
    condition = me.status.condition(READY)
    assert condition is not None
    assert condition.status == "True", condition
    assert {a.public_ip for a in me.status.addresses if a.ptr_origin} == {here.public_ip, there.public_ip}
    desk.memories.clear()
    return me


def deleted(me: MailEgress) -> MailEgress:
    meta = replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=me.meta.generation + 1)
    return replace(me, meta=meta)


def shown(desk: Desk, me: MailEgress) -> tuple[str, str, str]:
    """Ready's status, reason and message, as the next status would say it."""
    found = summarise.verdicts(me, desk.plan(me))[READY]
    return found.status, found.reason, found.message


def out_of_sight(desk: Desk, how: str) -> str:
    """Hide the second address; what the message must name."""
    second = desk.book.eips["eipalloc-00000002"]
    if how == "region":
        desk.book.regions = (REGION,)
        return ELSEWHERE
    del desk.book.eips[second.allocation_id]
    if how == "account":
        desk.book.account = OTHER_ACCOUNT
        return ACCOUNT
    desk.book.absences[second.allocation_id] = Absence.MASS if how == "mass" else Absence.SUSPECTED
    return second.public_ip


@pytest.mark.parametrize("how", ["region", "account", "mass", "one reading"])
def test_a_deletion_waits_for_a_ptr_that_nobody_can_look_at(how: str) -> None:
    desk = Desk()
    me = deleted(ready(desk))
    named = out_of_sight(desk, how)
    if how == "account":
        desk.book.eips.clear()
    else:
        plan = desk.plan(me)
        assert isinstance(plan.action, ResetPtr), "what can be cleaned up is"
        desk.set_ptr(desk.book.eips["eipalloc-00000001"], None)
    plan = desk.plan(me)
    assert plan.action is None, "neither record nor finalizer goes"
    told = verdict(plan, FORWARD_READY)
    assert named in told.message
    if how != "one reading":
        assert told.reason == "DeletionBlocked"
        assert "deletionPolicy" in told.message
    assert [a.ptr_origin for a in plan.addresses if a.public_ip == "203.0.113.2"] == ["Managed"]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_list_that_lacks_an_address_changes_nothing_before_the_address_was_looked_up(missing: int) -> None:
    desk = Desk()
    eips = [desk.eip(number, HOST, nat_gateway_id="nat-1") for number in (1, 2)]
    here = tuple(NatAddress(e.allocation_id, e.public_ip, "succeeded") for e in eips)
    desk.book.gateways["nat-1"] = NatGateway("nat-1", "available", here)
    desk.records.put(HOST, [e.public_ip for e in eips], mine())
    desk.publish(HOST)
    me = parse_object(body(HOST, [{"natGatewayID": "nat-1"}]))
    for _ in range(2):
        me = desk.written(me, desk.plan(me))
    for eip in eips[:missing]:
        del desk.book.eips[eip.allocation_id]
        desk.book.absences[eip.allocation_id] = Absence.UNCHECKED
    plan = desk.plan(me)
    assert plan.action is None
    assert desk.written(me, plan).status == me.status
    for eip in eips[:missing]:
        desk.book.absences[eip.allocation_id] = Absence.SUSPECTED
    assert shown(desk, me)[0] == "False"


def test_a_released_address_lets_the_deletion_go_on() -> None:
    desk = Desk()
    me = deleted(ready(desk))
    out_of_sight(desk, "one reading")
    desk.set_ptr(desk.book.eips["eipalloc-00000001"], None)
    desk.book.absences["eipalloc-00000002"] = Absence.LOST
    assert isinstance(desk.plan(me).action, ChangeRecords)


def test_retain_gives_up_what_nobody_can_look_at() -> None:
    desk = Desk()
    me = deleted(ready(desk, deletionPolicy="Retain"))
    out_of_sight(desk, "region")
    assert isinstance(desk.plan(me).action, RemoveFinalizer)


@pytest.mark.parametrize("how", ["region", "account", "mass"])
def test_a_live_object_is_not_ready_while_a_ptr_that_it_left_cannot_be_looked_at(how: str) -> None:
    desk = Desk()
    me = ready(desk)
    spec = replace(me.spec, elastic_ips=me.spec.elastic_ips[:1])
    me = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    named = out_of_sight(desk, how)
    if how == "account":
        # The address that is still named belongs to the other account by now.
        desk.eip(1, HOST, account_id=OTHER_ACCOUNT)
    for _ in range(3):
        plan = desk.plan(me)
        assert plan.action is None, "the record keeps the address"
        assert [a.ptr_origin for a in plan.addresses if a.public_ip == "203.0.113.2"] == ["Managed"]
        status, _, message = shown(desk, me)
        assert status == "False"
        assert named in message
        me = desk.written(me, plan)


def test_a_ptr_that_nobody_can_look_at_counts_although_no_record_holds_its_address() -> None:
    desk = Desk()
    me = ready(desk)
    spec = replace(me.spec, elastic_ips=me.spec.elastic_ips[:1])
    me = replace(me, spec=spec, meta=replace(me.meta, generation=2))
    desk.records.put(HOST, ["203.0.113.1"], mine())
    desk.publish(HOST)
    out_of_sight(desk, "region")
    plan = desk.plan(me)
    assert verdict(plan, REVERSE_READY).reason == "RegionNotConfigured"
    assert shown(desk, me)[0] == "False"
    assert "203.0.113.2" in {a.public_ip for a in plan.addresses}


# ---------------------------------------------------------------- zones


def without_zone(desk: Desk, look: ZoneLook | None, *others: Zone) -> None:
    desk.zones.zones = others
    if look is not None:
        desk.zones.looks[ZONE.id] = look


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (ZoneLook(OTHER_ACCOUNT), "AccountMismatch"),
        (ZoneLook(OTHER_ACCOUNT, denied=DENIED), "AccountMismatch"),
        (ZoneLook(ACCOUNT, denied=DENIED), "AccessDenied"),
    ],
)
def test_a_zone_that_the_role_does_not_show_keeps_the_object(look: ZoneLook, reason: str) -> None:
    desk = Desk()
    me = ready(desk)
    twin = Zone("Z2", "example.com", account_id=OTHER_ACCOUNT)
    without_zone(desk, look, twin)
    desk.records.views.pop((ZONE.id, HOST))
    desk.records.unread.add(HOST)
    live = desk.plan(me)
    assert live.action is None, "the other account's zone of that name is not written to"
    assert live.zone == me.status.zone
    assert verdict(live, FORWARD_READY).reason == reason
    gone = deleted(me)
    desk.records.unread.clear()
    desk.records.views[ZONE.id, HOST] = desk.records.get(ZONE.id, HOST).value  # type: ignore[assignment]
    desk.records.put(HOST, ["203.0.113.1"], mine())
    for eip in list(desk.book.eips.values()):
        desk.set_ptr(eip, None)
    plan = desk.plan(gone)
    assert plan.action is None
    told = verdict(plan, FORWARD_READY)
    assert told.reason == "DeletionBlocked"
    assert ZONE.id in told.message
    assert plan.zone == me.status.zone


def test_a_zone_that_was_really_deleted_lets_the_object_go() -> None:
    desk = Desk()
    me = deleted(ready(desk))
    without_zone(desk, None)
    for eip in list(desk.book.eips.values()):
        desk.set_ptr(eip, None)
    plan = desk.plan(me)
    assert plan.action is None
    assert NeedZoneLook(ZONE.id, 0.0) in plan.needs
    without_zone(desk, ZoneLook(ACCOUNT))
    assert isinstance(desk.plan(me).action, RemoveFinalizer)


def test_a_live_object_forgets_a_zone_that_was_really_deleted() -> None:
    desk = Desk()
    me = ready(desk)
    desk.plan(me)
    memory = desk.memories[me.meta.uid]
    memory.ownership.written = {(ZONE.id, HOST): None}
    desk.plan(me)
    without_zone(desk, ZoneLook(ACCOUNT))
    for _ in range(3):
        me = desk.written(me, desk.plan(me))
        assert me.status.zone is None
        assert me.status.former_records == ()
    for eip in list(desk.book.eips.values()):
        desk.set_ptr(eip, None)
    assert isinstance(desk.plan(deleted(me)).action, RemoveFinalizer)


def test_a_zone_made_anew_takes_the_place_of_one_that_was_deleted() -> None:
    desk = Desk()
    me = ready(desk)
    desk.records.views.pop((ZONE.id, HOST))
    without_zone(desk, ZoneLook(ACCOUNT), Zone("Z2", "example.com", account_id=ACCOUNT))
    desk.zones.servers["Z2"] = desk.zones.servers[ZONE.id]
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.zone_id == "Z2"


def test_a_list_older_than_the_deletion_does_not_say_that_a_zone_is_missing() -> None:
    desk = Desk()
    me = deleted(ready(desk))
    without_zone(desk, ZoneLook(ACCOUNT))
    desk.now = desk.book.at = desk.records.at = 100.0
    for eip in list(desk.book.eips.values()):
        desk.set_ptr(eip, None)
    plan = desk.plan(me)
    assert plan.action is None
    assert NeedZones(100.0) in plan.needs


@pytest.mark.parametrize("look", [ZoneLook(OTHER_ACCOUNT), ZoneLook(ACCOUNT, denied=DENIED)])
def test_a_former_name_in_a_zone_out_of_sight_is_not_forgotten(look: ZoneLook) -> None:
    desk = Desk()
    me = ready(desk)
    new = "mta.example.org"
    meta = replace(me.meta, generation=2)
    me = replace(me, spec=replace(me.spec, hostname=new), meta=meta)
    without_zone(desk, look, Zone("Z9", "example.org", account_id=OTHER_ACCOUNT))
    desk.zones.servers["Z9"] = desk.dns.servers
    desk.dns.zone = "example.org"
    desk.records.views.pop((ZONE.id, HOST))
    desk.records.unread.add(HOST)
    for _ in range(6):
        plan = desk.plan(me)
        if isinstance(plan.action, ChangeRecords):
            desk.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
            view = desk.records.views["Z9", new]
            desk.dns.answers[new] = frozenset(v for r in view.of_type("A") for v in r.values)
        me = desk.written(me, plan)
        for eip in list(desk.book.eips.values()):
            desk.set_ptr(eip, new)
        assert [(p.zone_id, p.hostname) for p in me.status.former_records] == [(ZONE.id, HOST)]
    status, _, message = shown(desk, me)
    assert status == "False"
    assert ZONE.id in message


def test_a_change_of_zone_tells_the_record_that_goes_by_its_zone() -> None:
    desk = Desk()
    eip = desk.eip(1, HOST)
    new = Zone("Z2", "example.com", account_id=ACCOUNT)
    desk.zones.zones = (ZONE, new)
    desk.zones.servers = {ZONE.id: frozenset({"ns-9.example.net"}), new.id: desk.dns.servers}
    for zone in (ZONE, new):
        desk.records.put(HOST, [eip.public_ip], mine(), zone_id=zone.id)
    desk.publish(HOST)
    status = {"hostname": HOST, "zone": {"id": new.id, "name": "example.com"}, "observedGeneration": 1}
    status["formerRecords"] = [{"zoneID": ZONE.id, "hostname": HOST}]
    me = parse_object(body(HOST, [{"allocationID": eip.allocation_id}], status=status))
    before = desk.plan(me)
    assert isinstance(before.action, ChangeRecords)
    assert before.action.zone_id == ZONE.id
    desk.writer.states[ZONE.id, HOST] = WriteState(WritePhase.IN_FLIGHT, desk.now)
    during = desk.plan(me)
    assert before.owed == during.owed == (f"the former record of {HOST} in zone {ZONE.id} is being removed",)
