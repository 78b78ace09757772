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
from tests.support.planner import UID, ZONE, PlannerHarness, mine, obj, policy, recorded

HOST = "mta.example.com"
NEW = Zone("Z2", "example.com", account_id=ZONE.account_id)
OTHER = frozenset({"ns-3.example.net", "ns-4.example.net"})
DAYS = 172_800


def carry_out(harness: PlannerHarness, plan: Plan) -> None:
    """Let the write take effect at once; public DNS answers what stands in the new zone."""
    match plan.action:
        case ChangeRecords(zone_id, hostname, changes, _):
            harness.records.apply(zone_id, hostname, changes)
            view = harness.records.get(NEW.id, hostname).value
            assert view is not None
            harness.dns.answers[hostname] = frozenset(v for r in view.of_type("A") for v in r.values)
        case SetPtr(_, allocation_id, _, hostname, _):
            harness.set_ptr(harness.book.eips[allocation_id], hostname)
        case ResetPtr(_, allocation_id, _, _):
            harness.set_ptr(harness.book.eips[allocation_id], None)
        case _:
            raise AssertionError(f"nothing to carry out: {plan}")


def later(harness: PlannerHarness, seconds: float) -> None:
    """Time passes, and everything is read again."""
    harness.now += seconds
    harness.book.at = harness.records.at = harness.dns.at = harness.dns.public_at = harness.zones.at = (
        harness.now
    )


def before(harness: PlannerHarness, *eips: Eip, adopted: bool = False) -> MailEgress:
    """Ready in the old zone, which the parent delegates to; the new one is there."""
    harness.zones.zones = (ZONE, NEW)
    harness.zones.servers[NEW.id] = OTHER
    harness.dns.ns_ttl = DAYS
    for eip in eips:
        harness.set_ptr(eip, HOST)
    harness.records.put(HOST, [e.public_ip for e in eips], mine(adopted=adopted))
    harness.publish(HOST)
    me = obj(HOST, eips, status=recorded(HOST), forward={"hostedZoneID": ZONE.id})
    return harness.written(me, harness.plan(me))


def edited(me: MailEgress, eips: tuple[Eip, ...], zone: Zone = NEW, host: str = HOST) -> MailEgress:
    spec = obj(host, eips, forward={"hostedZoneID": zone.id}).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=me.meta.generation + 1))


def act(harness: PlannerHarness, me: MailEgress) -> tuple[MailEgress, list[object]]:
    """Plan and carry out until nothing is to be written."""
    done: list[object] = []
    for _ in range(12):
        plan = harness.plan(me)
        me = harness.written(me, plan)
        if plan.action is None:
            return me, done
        done.append(plan.action)
        carry_out(harness, plan)
    raise AssertionError(done)


def exchanged(harness: PlannerHarness, *eips: Eip, **more: bool) -> MailEgress:
    """The spec names the new zone, the parent delegates to it, and its record is verified."""
    me = edited(before(harness, *eips, **more), eips)
    later(harness, 10)
    harness.dns.servers = OTHER
    me, done = act(harness, me)
    assert isinstance(done[0], ChangeRecords)
    assert done[0].zone_id == NEW.id
    return me


def held(harness: PlannerHarness, zone: Zone = ZONE) -> tuple[str, ...]:
    view = harness.records.get(zone.id, HOST).value
    assert view is not None
    return tuple(v for r in view.of_type("A") for v in r.values)


def ready(me: MailEgress) -> tuple[str, str, str]:
    found = me.status.condition(READY)
    assert found is not None
    return found.status, found.reason, found.message


def test_the_former_record_stays_for_the_ns_ttl_of_the_parent_and_ready_does_not_wait() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = exchanged(harness, eip)
    changed = harness.now
    status, reason, message = ready(me)
    assert (status, reason) == ("True", "RetiringOldName")
    assert "is kept in former zone Z1 for 172800 seconds after the delegation to zone Z2" in message
    assert [(p.zone_id, p.hostname) for p in me.status.former_records] == [(ZONE.id, HOST)]
    later(harness, changed + DAYS - 1 - harness.now)
    me, done = act(harness, me)
    assert done == []
    assert ready(me)[2] == message, "a message that changes by itself would be written again and again"
    assert harness.plan(me).wait <= 1.0
    later(harness, 1)
    me, [gone] = act(harness, me)
    assert isinstance(gone, ChangeRecords)
    assert (gone.zone_id, [c.verb for c in gone.changes]) == (ZONE.id, [Verb.DELETE, Verb.DELETE])
    assert ready(me)[1] == "Ready"
    assert held(harness, NEW) == (eip.public_ip,)
    assert me.status.former_records == ()


@pytest.mark.parametrize(("old", "new", "hold"), [(DAYS, 300, DAYS), (300, DAYS, DAYS), (300, 300, 300)])
def test_the_longer_of_the_ttls_read_before_and_after_the_change_counts(
    old: int, new: int, hold: int
) -> None:
    """The parent's owner may lower the TTL in the same edit; resolvers hold what they read before."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = before(harness, eip)
    harness.dns.ns_ttl = old
    me = edited(me, (eip,))
    later(harness, 10)
    harness.plan(me)
    harness.dns.servers, harness.dns.ns_ttl = OTHER, new
    later(harness, 100)
    me, _ = act(harness, me)
    assert f"for {hold} seconds" in ready(me)[2]


def test_a_ttl_of_years_is_cut_to_a_week() -> None:
    harness = PlannerHarness()
    me = before(harness, eip := harness.eip(1))
    me = edited(me, (eip,))
    harness.dns.servers, harness.dns.ns_ttl = OTHER, 2**31 - 1
    later(harness, 10)
    me, _ = act(harness, me)
    assert "for 604800 seconds" in ready(me)[2]


def test_a_restart_counts_anew_from_the_first_reading() -> None:
    harness = PlannerHarness()
    me = exchanged(harness, harness.eip(1))
    later(harness, DAYS - 100)
    harness.memories.clear()
    harness.dns.at = None
    plan = harness.plan(me)
    assert plan.action is None
    assert any(isinstance(n, NeedAuthorities) for n in plan.needs)
    me = harness.written(me, plan)
    assert "until the NS TTL at the parent of the new zone is read" in ready(me)[2]
    assert ready(me)[:2] == ("True", "RetiringOldName")
    later(harness, 200)
    me, done = act(harness, me)
    assert done == []
    later(harness, DAYS)
    _, [gone] = act(harness, me)
    assert isinstance(gone, ChangeRecords)
    assert gone.zone_id == ZONE.id


def test_a_parent_that_cannot_be_read_is_named_and_the_record_stays() -> None:
    harness = PlannerHarness()
    me = exchanged(harness, harness.eip(1))
    harness.memories.clear()
    harness.now += 2 * DAYS
    harness.dns.at, harness.dns.tried_at = -1.0, harness.now
    harness.dns.fault = Fault("AuthoritiesUnreachable", "no root server answers", ErrorKind.TRANSIENT)
    harness.dns.misses = 1
    plan = harness.plan(me)
    assert plan.action is None
    assert any("is read: no root server answers" in text for text in plan.owed)


def test_a_parent_that_turns_back_starts_the_time_anew() -> None:
    """While the parent delegates to the former zone again, resolvers learn that once more."""
    harness = PlannerHarness()
    me = exchanged(harness, harness.eip(1))
    later(harness, DAYS - 10)
    harness.dns.servers = harness.zones.servers[ZONE.id]
    for _ in range(4):
        me = harness.written(me, harness.plan(me))
        later(harness, 60)
    assert ready(me)[1] == "ZoneNotDelegated"
    harness.dns.servers = OTHER
    later(harness, 60)
    for _ in range(4):
        me, done = act(harness, me)
        assert done == []
        later(harness, 60)
    later(harness, DAYS - 1000)
    _, done = act(harness, me)
    assert done == []


def test_addresses_that_change_meanwhile_change_in_the_former_zone_before_their_ptrs() -> None:
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2)
    me = exchanged(harness, old)
    me = edited(me, (new,))
    later(harness, 60)
    me, done = act(harness, me)
    shape = [(type(a), getattr(a, "zone_id", None)) for a in done]
    assert shape == [
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
        (SetPtr, None),
        (ResetPtr, None),
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
    ]
    assert held(harness) == held(harness, NEW) == (new.public_ip,)
    assert ready(me)[:2] == ("True", "RetiringOldName")


@pytest.mark.parametrize("former", ["named", "not-named", "other-addresses"])
def test_nothing_comes_into_a_former_zone_that_no_policy_allows(former: str) -> None:
    """What is in its record may still leave it."""
    harness = PlannerHarness()
    both = {"hostedZoneIDs": [NEW.id, ZONE.id]}
    harness.enforce(policy(**both))
    first, second, third = harness.eip(1), harness.eip(2), harness.eip(3)
    me = exchanged(harness, first, second)
    only_new = policy(hostedZoneIDs=[NEW.id])
    by_id = policy(
        "former",
        hostedZoneIDs=[ZONE.id],
        addresses={"allocationIDs": [first.allocation_id, second.allocation_id]},
    )
    harness.change(
        *{"named": [policy(**both)], "not-named": [only_new], "other-addresses": [only_new, by_id]}[former]
    )
    me = edited(me, (second, third))
    later(harness, 60)
    me, done = act(harness, me)
    assert set(held(harness, NEW)) == {second.public_ip, third.public_ip}
    wanted = {second.public_ip, third.public_ip} if former == "named" else {second.public_ip}
    assert set(held(harness)) == wanted
    if former == "not-named":
        written = [a for a in done if isinstance(a, ChangeRecords) and a.zone_id == ZONE.id]
        assert len(written) == 1, "one removal"


def test_an_address_stays_in_the_former_zone_until_its_ptr_is_reset() -> None:
    """Zone and addresses change in one edit: both records hold the old address and the new one until then."""
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2)
    me = edited(before(harness, old), (new,))
    later(harness, 10)
    harness.dns.servers = OTHER
    me, done = act(harness, me)
    shape = [(type(a), getattr(a, "zone_id", None)) for a in done]
    assert shape == [
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
        (SetPtr, None),
        (ResetPtr, None),
        (ChangeRecords, NEW.id),
        (ChangeRecords, ZONE.id),
    ]
    for union in done[:2]:
        assert isinstance(union, ChangeRecords)
        made = {c.record_set.type: c.record_set.values for c in union.changes if c.verb is Verb.CREATE}
        assert made["A"] == (old.public_ip, new.public_ip)
    assert held(harness) == held(harness, NEW) == (new.public_ip,)


def test_an_address_that_is_lost_leaves_the_former_zone_too() -> None:
    harness = PlannerHarness()
    kept, lost = harness.eip(1), harness.eip(2)
    me = exchanged(harness, kept, lost)
    del harness.book.eips[lost.allocation_id]
    harness.book.absences[lost.allocation_id] = Absence.LOST
    later(harness, 60)
    _, done = act(harness, me)
    assert {a.zone_id for a in done if isinstance(a, ChangeRecords)} == {ZONE.id, NEW.id}
    assert held(harness) == held(harness, NEW) == (kept.public_ip,)


def test_an_adopted_record_is_left_as_found_at_once() -> None:
    """Nothing is deleted there, so nothing has to wait."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = exchanged(harness, eip, adopted=True)
    assert ready(me)[1] == "Ready"
    assert held(harness) == (eip.public_ip,)
    view = harness.records.get(ZONE.id, HOST).value
    assert view is not None
    assert view.mark is None


def test_a_deletion_takes_the_records_of_both_zones_at_once() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = exchanged(harness, eip)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=3))
    later(harness, 1)
    done = []
    for _ in range(6):
        plan = harness.plan(me)
        done.append(plan.action)
        if isinstance(plan.action, RemoveFinalizer):
            break
        carry_out(harness, plan)
    assert isinstance(done[0], ResetPtr)
    assert isinstance(done[-1], RemoveFinalizer)
    assert held(harness) == held(harness, NEW) == ()


def test_suspend_keeps_the_former_record_and_the_time_runs_on() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = exchanged(harness, eip)
    me = replace(me, spec=replace(me.spec, suspend=True), meta=replace(me.meta, generation=3))
    later(harness, DAYS)
    plan = harness.plan(me)
    assert (plan.action, plan.suspended) == (None, True)
    assert "retire mta.example.com" in plan.held_back
    me = replace(me, spec=replace(me.spec, suspend=False), meta=replace(me.meta, generation=4))
    later(harness, 60)
    _, [gone] = act(harness, me)
    assert isinstance(gone, ChangeRecords)
    assert gone.zone_id == ZONE.id


def test_a_former_zone_that_was_deleted_ends_the_wait() -> None:
    harness = PlannerHarness()
    me = exchanged(harness, harness.eip(1))
    harness.zones.zones = (NEW,)
    del harness.records.views[(ZONE.id, HOST)]
    harness.zones.looks[ZONE.id] = ZoneLook(str(ZONE.account_id))
    later(harness, 60)
    harness.memories[UID] = Memory.first(me, harness.now)
    me, done = act(harness, me)
    assert done == []
    assert me.status.former_records == ()


def test_a_rename_with_the_zone_follows_the_rule_for_names() -> None:
    """The former name in the former zone waits for the PTR's TTL only: nobody asks for it after that."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = edited(before(harness, eip), (eip,), host="out.example.com")
    later(harness, 10)
    harness.dns.servers = OTHER
    me, _ = act(harness, me)
    assert held(harness) == (eip.public_ip,)
    later(harness, harness.settings.ptr_ttl_seconds + 1)
    me, [gone] = act(harness, me)
    assert isinstance(gone, ChangeRecords)
    assert (gone.zone_id, gone.hostname) == (ZONE.id, HOST)


def test_observed_hands_both_records_over() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = exchanged(harness, eip)
    spec = obj(HOST, [eip], forward={"management": "Observed"}).spec
    me = replace(me, spec=spec, meta=replace(me.meta, generation=3))
    later(harness, 60)
    me, done = act(harness, me)
    assert len(done) == 2
    assert held(harness) == held(harness, NEW) == (eip.public_ip,)
    assert {harness.records.views[zone.id, HOST].mark for zone in (ZONE, NEW)} == {None}
    # A record that others keep is read twice.
    later(harness, 5)
    assert summarise.verdicts(me, harness.plan(me))[READY].status == "True"
