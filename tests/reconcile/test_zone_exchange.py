"""Planning the exchange of a hosted zone: the former zone's record stays while resolvers may ask that zone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import READY
from mailegress.api.types import MailEgress
from mailegress.model.aws import Absence, Eip, Verb, Zone, ZoneLook
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile import summarise
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.result import (
    ChangeRecords,
    NeedAuthorities,
    Plan,
    RemoveFinalizer,
    ResetPtr,
    SetPtr,
)
from tests.support.planner import UID, ZONE, Desk, mine, obj, recorded

HOST = "mta.example.com"
NEW = Zone("Z2", "example.com", account_id=ZONE.account_id)
OTHER = frozenset({"ns-3.example.net", "ns-4.example.net"})
DAYS = 172_800


def carry_out(desk: Desk, plan: Plan) -> None:
    """Let the write take effect at once; public DNS answers what stands in the new zone."""
    match plan.action:
        case ChangeRecords(zone_id, hostname, changes, _):
            desk.records.apply(zone_id, hostname, changes)
            view = desk.records.get(NEW.id, hostname).value
            assert view is not None
            desk.dns.answers[hostname] = frozenset(v for r in view.of_type("A") for v in r.values)
        case SetPtr(_, allocation_id, _, hostname, _):
            desk.set_ptr(desk.book.eips[allocation_id], hostname)
        case ResetPtr(_, allocation_id, _, _):
            desk.set_ptr(desk.book.eips[allocation_id], None)
        case _:
            raise AssertionError(f"nothing to carry out: {plan}")


def later(desk: Desk, seconds: float) -> None:
    """Time passes, and everything is read again."""
    desk.now += seconds
    desk.book.at = desk.records.at = desk.dns.at = desk.dns.public_at = desk.zones.at = desk.now


def before(desk: Desk, *eips: Eip, adopted: bool = False) -> MailEgress:
    """Ready in the old zone, which the parent delegates to; the new one is there."""
    desk.zones.zones = (ZONE, NEW)
    desk.zones.servers[NEW.id] = OTHER
    desk.dns.ns_ttl = DAYS
    for eip in eips:
        desk.set_ptr(eip, HOST)
    desk.records.put(HOST, [e.public_ip for e in eips], mine(adopted=adopted))
    desk.publish(HOST)
    me = obj(HOST, eips, status=recorded(HOST), forward={"hostedZoneID": ZONE.id})
    return desk.written(me, desk.plan(me))


def edited(me: MailEgress, eips: tuple[Eip, ...], zone: Zone = NEW, host: str = HOST) -> MailEgress:
    spec = obj(host, eips, forward={"hostedZoneID": zone.id}).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=me.meta.generation + 1))


def act(desk: Desk, me: MailEgress) -> tuple[MailEgress, list[object]]:
    """Plan and carry out until nothing is to be written."""
    done: list[object] = []
    for _ in range(12):
        plan = desk.plan(me)
        me = desk.written(me, plan)
        if plan.action is None:
            return me, done
        done.append(plan.action)
        carry_out(desk, plan)
    raise AssertionError(done)


def exchanged(desk: Desk, *eips: Eip, **more: bool) -> MailEgress:
    """The spec names the new zone, the parent delegates to it, and its record is verified."""
    me = edited(before(desk, *eips, **more), eips)
    later(desk, 10)
    desk.dns.servers = OTHER
    me, done = act(desk, me)
    assert isinstance(done[0], ChangeRecords)
    assert done[0].zone_id == NEW.id
    return me


def held(desk: Desk, zone: Zone = ZONE) -> tuple[str, ...]:
    view = desk.records.get(zone.id, HOST).value
    assert view is not None
    return tuple(v for r in view.of_type("A") for v in r.values)


def ready(me: MailEgress) -> tuple[str, str, str]:
    found = me.status.condition(READY)
    assert found is not None
    return found.status, found.reason, found.message


def test_the_former_record_stays_for_the_ns_ttl_of_the_parent_and_ready_does_not_wait() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = exchanged(desk, eip)
    changed = desk.now
    status, reason, message = ready(me)
    assert (status, reason) == ("True", "RetiringOldName")
    assert "is kept in former zone Z1 for 172800 seconds after the delegation to zone Z2" in message
    assert [(p.zone_id, p.hostname) for p in me.status.former_records] == [(ZONE.id, HOST)]
    later(desk, changed + DAYS - 1 - desk.now)
    me, done = act(desk, me)
    assert done == []
    assert ready(me)[2] == message, "a message that changes by itself would be written again and again"
    assert desk.plan(me).wait <= 1.0
    later(desk, 1)
    me, [gone] = act(desk, me)
    assert isinstance(gone, ChangeRecords)
    assert (gone.zone_id, [c.verb for c in gone.changes]) == (ZONE.id, [Verb.DELETE, Verb.DELETE])
    assert ready(me)[1] == "Ready"
    assert held(desk, NEW) == (eip.public_ip,)
    assert me.status.former_records == ()


@pytest.mark.parametrize(("old", "new", "hold"), [(DAYS, 300, DAYS), (300, DAYS, DAYS), (300, 300, 300)])
def test_the_longer_of_the_ttls_read_before_and_after_the_change_counts(
    old: int, new: int, hold: int
) -> None:
    """The parent's owner may lower the TTL in the same edit; resolvers hold what they read before."""
    desk = Desk()
    eip = desk.eip(1)
    me = before(desk, eip)
    desk.dns.ns_ttl = old
    me = edited(me, (eip,))
    later(desk, 10)
    desk.plan(me)
    desk.dns.servers, desk.dns.ns_ttl = OTHER, new
    later(desk, 100)
    me, _ = act(desk, me)
    assert f"for {hold} seconds" in ready(me)[2]


def test_a_ttl_of_years_is_cut_to_a_week() -> None:
    desk = Desk()
    me = before(desk, eip := desk.eip(1))
    me = edited(me, (eip,))
    desk.dns.servers, desk.dns.ns_ttl = OTHER, 2**31 - 1
    later(desk, 10)
    me, _ = act(desk, me)
    assert "for 604800 seconds" in ready(me)[2]


def test_a_restart_counts_anew_from_the_first_reading() -> None:
    desk = Desk()
    me = exchanged(desk, desk.eip(1))
    later(desk, DAYS - 100)
    desk.memories.clear()
    desk.dns.at = None
    plan = desk.plan(me)
    assert plan.action is None
    assert any(isinstance(n, NeedAuthorities) for n in plan.needs)
    me = desk.written(me, plan)
    assert "until the NS TTL at the parent of the new zone is read" in ready(me)[2]
    assert ready(me)[:2] == ("True", "RetiringOldName")
    later(desk, 200)
    me, done = act(desk, me)
    assert done == []
    later(desk, DAYS)
    _, [gone] = act(desk, me)
    assert isinstance(gone, ChangeRecords)
    assert gone.zone_id == ZONE.id


def test_a_parent_that_cannot_be_read_is_named_and_the_record_stays() -> None:
    desk = Desk()
    me = exchanged(desk, desk.eip(1))
    desk.memories.clear()
    desk.now += 2 * DAYS
    desk.dns.at, desk.dns.tried_at = -1.0, desk.now
    desk.dns.fault = Fault("AuthoritiesUnreachable", "no root server answers", ErrorKind.TRANSIENT)
    desk.dns.misses = 1
    plan = desk.plan(me)
    assert plan.action is None
    assert any("is read: no root server answers" in text for text in plan.owed)


def test_a_parent_that_turns_back_starts_the_time_anew() -> None:
    """While the parent delegates to the former zone again, resolvers learn that once more."""
    desk = Desk()
    me = exchanged(desk, desk.eip(1))
    later(desk, DAYS - 10)
    desk.dns.servers = desk.zones.servers[ZONE.id]
    for _ in range(4):
        me = desk.written(me, desk.plan(me))
        later(desk, 60)
    assert ready(me)[1] == "ZoneNotDelegated"
    desk.dns.servers = OTHER
    later(desk, 60)
    for _ in range(4):
        me, done = act(desk, me)
        assert done == []
        later(desk, 60)
    later(desk, DAYS - 1000)
    _, done = act(desk, me)
    assert done == []


def test_addresses_that_change_meanwhile_change_in_the_former_zone_before_their_ptrs() -> None:
    desk = Desk()
    old, new = desk.eip(1), desk.eip(2)
    me = exchanged(desk, old)
    me = edited(me, (new,))
    later(desk, 60)
    me, done = act(desk, me)
    shape = [(type(a), getattr(a, "zone_id", None)) for a in done]
    assert shape == [
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
        (SetPtr, None),
        (ResetPtr, None),
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
    ]
    assert held(desk) == held(desk, NEW) == (new.public_ip,)
    assert ready(me)[:2] == ("True", "RetiringOldName")


def test_an_address_stays_in_the_former_zone_until_its_ptr_is_reset() -> None:
    """Zone and addresses change in one edit: the new record never held the old address."""
    desk = Desk()
    old, new = desk.eip(1), desk.eip(2)
    me = edited(before(desk, old), (new,))
    later(desk, 10)
    desk.dns.servers = OTHER
    me, done = act(desk, me)
    shape = [(type(a), getattr(a, "zone_id", None)) for a in done]
    assert shape == [
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
        (SetPtr, None),
        (ResetPtr, None),
        (ChangeRecords, ZONE.id),
    ]
    union = done[1]
    assert isinstance(union, ChangeRecords)
    assert union.changes[1].record_set.values == (old.public_ip, new.public_ip)
    assert held(desk) == held(desk, NEW) == (new.public_ip,)


def test_an_address_that_is_lost_leaves_the_former_zone_too() -> None:
    desk = Desk()
    kept, lost = desk.eip(1), desk.eip(2)
    me = exchanged(desk, kept, lost)
    del desk.book.eips[lost.allocation_id]
    desk.book.absences[lost.allocation_id] = Absence.LOST
    later(desk, 60)
    _, done = act(desk, me)
    assert {a.zone_id for a in done if isinstance(a, ChangeRecords)} == {ZONE.id, NEW.id}
    assert held(desk) == held(desk, NEW) == (kept.public_ip,)


def test_an_adopted_record_is_left_as_found_at_once() -> None:
    """Nothing is deleted there, so nothing has to wait."""
    desk = Desk()
    eip = desk.eip(1)
    me = exchanged(desk, eip, adopted=True)
    assert ready(me)[1] == "Ready"
    assert held(desk) == (eip.public_ip,)
    view = desk.records.get(ZONE.id, HOST).value
    assert view is not None
    assert view.mark is None


def test_a_deletion_takes_the_records_of_both_zones_at_once() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = exchanged(desk, eip)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=3))
    later(desk, 1)
    done = []
    for _ in range(6):
        plan = desk.plan(me)
        done.append(plan.action)
        if isinstance(plan.action, RemoveFinalizer):
            break
        carry_out(desk, plan)
    assert isinstance(done[0], ResetPtr)
    assert isinstance(done[-1], RemoveFinalizer)
    assert held(desk) == held(desk, NEW) == ()


def test_suspend_keeps_the_former_record_and_the_time_runs_on() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = exchanged(desk, eip)
    me = replace(me, spec=replace(me.spec, suspend=True), meta=replace(me.meta, generation=3))
    later(desk, DAYS)
    plan = desk.plan(me)
    assert (plan.action, plan.suspended) == (None, True)
    assert "retire mta.example.com" in plan.held_back
    me = replace(me, spec=replace(me.spec, suspend=False), meta=replace(me.meta, generation=4))
    later(desk, 60)
    _, [gone] = act(desk, me)
    assert isinstance(gone, ChangeRecords)
    assert gone.zone_id == ZONE.id


def test_a_former_zone_that_was_deleted_ends_the_wait() -> None:
    desk = Desk()
    me = exchanged(desk, desk.eip(1))
    desk.zones.zones = (NEW,)
    del desk.records.views[(ZONE.id, HOST)]
    desk.zones.looks[ZONE.id] = ZoneLook(str(ZONE.account_id))
    later(desk, 60)
    desk.memories[UID] = Memory.first(me, desk.now)
    me, done = act(desk, me)
    assert done == []
    assert me.status.former_records == ()


def test_a_rename_with_the_zone_follows_the_rule_for_names() -> None:
    """The former name in the former zone waits for the PTR's TTL only: nobody asks for it after that."""
    desk = Desk()
    eip = desk.eip(1)
    me = edited(before(desk, eip), (eip,), host="out.example.com")
    later(desk, 10)
    desk.dns.servers = OTHER
    me, _ = act(desk, me)
    assert held(desk) == (eip.public_ip,)
    later(desk, desk.settings.ptr_ttl_seconds + 1)
    me, [gone] = act(desk, me)
    assert isinstance(gone, ChangeRecords)
    assert (gone.zone_id, gone.hostname) == (ZONE.id, HOST)


def test_observed_hands_both_records_over() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = exchanged(desk, eip)
    spec = obj(HOST, [eip], forward={"management": "Observed"}).spec
    me = replace(me, spec=spec, meta=replace(me.meta, generation=3))
    later(desk, 60)
    me, done = act(desk, me)
    assert len(done) == 2
    assert held(desk) == held(desk, NEW) == (eip.public_ip,)
    assert {desk.records.views[zone.id, HOST].mark for zone in (ZONE, NEW)} == {None}
    # A record that others keep is read twice.
    later(desk, 5)
    assert summarise.verdicts(me, desk.plan(me))[READY].status == "True"
