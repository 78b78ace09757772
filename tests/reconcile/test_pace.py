"""When the next pass over an object comes, and how often lists are read again for what is out of sight."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailegress.api.conditions import STALLED, TRUE
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import ZoneLook
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.executor import Executor
from mailegress.reconcile.result import NeedNameServers, NeedRegion, NeedZoneLook, NeedZones
from tests.support.one_object import OneObject
from tests.support.planner import ACCOUNT, OTHER_UID, UID, ZONE, PlannerHarness, body, mine, obj, recorded

HOST = "mta.example.com"
KEY = "mail/meg-1"


async def test_an_object_that_is_stalled_is_not_passed_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Executor, "request", lambda *_: None)
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    stored = OneObject(body(HOST, [{"allocationID": eip.allocation_id}]))
    reconciler = stored.reconciler(harness)
    passes = 0
    while harness.now < 2 * harness.settings.stalled_after_seconds:
        passes += 1
        assert passes < 1000, f"passed over and over at {harness.now:g} s"
        harness.now += await reconciler.process(KEY) or 0.0
    conditions = stored.item["status"]["conditions"]
    assert any(c["type"] == STALLED and c["status"] == TRUE for c in conditions)


# ---------------------------------------------------------------- lists that are read again

HOUR = 3600.0
OTHER_ACCOUNT = "444455556666"
DOUBLING = [60.0, 120.0, 240.0, 480.0]
"""Seconds between readings: --blocked-seconds, doubled; then --resync-seconds."""


def lived(harness: PlannerHarness, me: MailEgress, until: float) -> list[float]:
    """The moments at which the regions or the zones were read again for this object alone."""
    read: list[float] = []
    while harness.now < until:
        plan = harness.plan(me)
        due = [n for n in plan.needs if isinstance(n, NeedRegion | NeedZones)]
        if due:
            assert all(need.not_before <= harness.now for need in due)
            if not read or read[-1] < harness.now:
                read.append(harness.now)
            harness.book.at = harness.zones.at = harness.now
        elif not any(isinstance(n, NeedZoneLook) for n in plan.needs):
            harness.now += max(plan.wait, 1.0)
        harness.zones.looked_at = harness.dns.at = harness.dns.public_at = harness.records.at = harness.now
    return read


def pauses(read: list[float], since: float = 0.0) -> list[float]:
    """Seconds between readings; there was one when the object was first seen."""
    return [after - before for before, after in itertools.pairwise((since, *read))]


def no_such_address(harness: PlannerHarness) -> MailEgress:
    return parse_object(body(HOST, [{"instanceID": "i-0123456789abcdef0"}]))


def no_such_zone(harness: PlannerHarness) -> MailEgress:
    harness.zones.zones = ()
    return obj(HOST, [harness.eip(1)])


def zone_of_another_account(harness: PlannerHarness) -> MailEgress:
    status = {"hostname": HOST, "zone": {"id": ZONE.id, "name": ZONE.name, "accountID": ACCOUNT}}
    harness.zones.zones, harness.zones.looks[ZONE.id] = (), ZoneLook(OTHER_ACCOUNT)
    harness.records.unread.add(HOST)
    return obj(HOST, [harness.eip(1)], status=status)


def address_of_another_account(harness: PlannerHarness) -> MailEgress:
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = harness.written(obj(HOST, [eip]), harness.plan(obj(HOST, [eip])))
    harness.book.eips.clear()
    harness.book.account = OTHER_ACCOUNT
    return me


Hide = Callable[[PlannerHarness], MailEgress]
OUT_OF_SIGHT = [no_such_address, no_such_zone, zone_of_another_account, address_of_another_account]


@pytest.mark.parametrize("hide", OUT_OF_SIGHT)
def test_lists_are_read_again_ever_more_slowly_for_what_is_out_of_sight(hide: Hide) -> None:
    harness = PlannerHarness()
    me = hide(harness)
    read = lived(harness, me, 4 * HOUR)
    assert pauses(read)[:4] == pytest.approx(DOUBLING, abs=2)
    assert max(pauses(read)) <= 601
    assert len(read) <= 5 + 4 * HOUR / 590
    # An edit begins anew.
    edited = replace(me, meta=replace(me.meta, generation=me.meta.generation + 1))
    began = harness.now
    again = lived(harness, edited, began + HOUR)
    assert [p <= most + 2 for p, most in zip(pauses(again, began), DOUBLING, strict=False)] == [True] * 4


@pytest.mark.parametrize("hide", [zone_of_another_account, address_of_another_account])
def test_a_deletion_has_them_read_again_ever_more_slowly_too(hide: Hide) -> None:
    harness = PlannerHarness()
    me = hide(harness)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z"))
    read = lived(harness, me, 4 * HOUR)
    assert len(read) <= 6 + 4 * HOUR / 590
    assert max(pauses(read)) <= 661, "passes come once a minute"


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize(("listed_at", "asked"), [(4.0, True), (6.0, False)])
def test_zones_are_listed_once_after_a_zone_is_not_found(
    listed_at: float, asked: bool, deleting: bool
) -> None:
    """A request for what is there wakes the object at once: it would be reconciled without a pause."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = obj(HOST, [eip], status=recorded(HOST), deleting=deleting)
    fault = Fault("ZoneNotFound", "NoSuchHostedZone", ErrorKind.WORLD)
    harness.records.get = lambda zone_id, hostname: Fact(fault=fault, tried_at=5.0)  # type: ignore[method-assign]
    harness.zones.at = listed_at
    harness.now = 7.0
    assert (NeedZones(5.0) in harness.plan(me).needs) == asked


def test_objects_that_are_seen_one_after_another_need_one_reading_of_the_name_servers() -> None:
    harness = PlannerHarness()
    harness.zones.servers.clear()
    needs = set()
    for number, (name, uid) in enumerate((("mta.example.com", UID), ("out.example.com", OTHER_UID)), 1):
        harness.now = float(number)
        plan = harness.plan(obj(name, [harness.eip(number)], uid=uid))
        needs |= {need for need in plan.needs if isinstance(need, NeedNameServers)}
    assert len(needs) == 1
