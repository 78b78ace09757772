"""Who holds what several objects want: one winner, or a circle that is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import ACCEPTED
from mailegress.api.status import Condition, Status
from mailegress.api.types import MailEgress
from mailegress.model.aws import NameView
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.result import ChangeRecords, NeedName
from tests.support.planner import OTHER_UID, UID, ZONE, PlannerHarness, mine, obj, verdict

A, B = "a.example.com", "b.example.com"
OLDER, YOUNGER = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"


def planned(harness: PlannerHarness, me: MailEgress) -> str:
    """What Accepted says, with the claims taken down as the reconciler does."""
    plan = harness.plan(me)
    if plan.blocked_on is not None:
        harness.claims.set_blocked(me.meta.uid, plan.blocked_on)
    return verdict(plan, ACCEPTED).reason


def held(harness: PlannerHarness, hostname: str, number: int, uid: str) -> None:
    """This object's record, mark and PTR."""
    eip = harness.eip(number, hostname)
    harness.records.put(hostname, [eip.public_ip], mine(uid))
    harness.publish(hostname)


def test_an_object_without_its_hostname_does_not_hold_an_address_by_age() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(A, (), mine(OTHER_UID))
    older = harness.take(obj(A, [eip], created=OLDER))
    younger = harness.take(obj(A, [eip], uid=OTHER_UID, created=YOUNGER))
    assert planned(harness, older) == "HostnameConflict"
    assert planned(harness, younger) == "Accepted"


def test_who_lost_a_hostname_is_known_when_its_mark_was_read() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.take(obj(A, [eip], created=OLDER))
    harness.take(obj(A, [harness.eip(2)], uid="00000000-0000-4000-8000-000000000003", created=YOUNGER))
    me = obj(B, [eip], uid=OTHER_UID, created=YOUNGER)
    harness.records.unread.add(A)
    plan = harness.plan(me)
    assert verdict(plan, ACCEPTED).reason == "Progressing"
    assert [n.hostname for n in plan.needs if isinstance(n, NeedName)] == [A]
    harness.records.unread.clear()
    assert planned(harness, me) == "AddressConflict", "the older one may have its hostname"


def test_where_nobody_may_look_age_decides() -> None:
    """One object's zone that cannot be read keeps no other object waiting."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.take(obj(A, [eip], created=OLDER))
    harness.take(obj(A, [harness.eip(2)], uid="00000000-0000-4000-8000-000000000003", created=YOUNGER))
    known = harness.records.get
    denied = Fault("AccessDenied", "not allowed", ErrorKind.HUMAN)

    def get(zone_id: str, hostname: str) -> Fact[NameView]:
        return Fact(fault=denied) if hostname == A else known(zone_id, hostname)

    harness.records.get = get  # type: ignore[method-assign]
    assert planned(harness, obj(B, [eip], uid=OTHER_UID, created=YOUNGER)) == "AddressConflict"


def test_two_that_hold_what_the_other_wants_too_are_a_circle() -> None:
    """Both want both addresses and hold one each: neither can be right before a human decides."""
    harness = PlannerHarness()
    held(harness, A, 1, UID)
    held(harness, B, 2, OTHER_UID)
    eips = list(harness.book.eips.values())
    first = harness.take(obj(A, eips, created=OLDER))
    second = harness.take(obj(B, eips, uid=OTHER_UID, created=YOUNGER))
    assert planned(harness, first) == "AddressConflict", "of the second nothing is known yet"
    assert planned(harness, second) == "ClaimCycle"
    assert planned(harness, first) == "ClaimCycle"


def test_a_restart_does_not_take_the_circle_back() -> None:
    harness = PlannerHarness()
    held(harness, A, 1, UID)
    held(harness, B, 2, OTHER_UID)
    eips = list(harness.book.eips.values())
    first = harness.take(obj(A, eips, created=OLDER))
    harness.take(obj(B, eips, uid=OTHER_UID, created=YOUNGER))
    first = harness.written(first, harness.plan(first))
    assert verdict(harness.plan(first), ACCEPTED).inconclusive, (
        "it says no more than that the other is not decided"
    )
    harness.claims.set_blocked(OTHER_UID, frozenset())
    assert not verdict(harness.plan(first), ACCEPTED).inconclusive


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Accepted", "HostnameConflict"),
        ("RegionNotConfigured", "HostnameConflict"),
        ("ClaimCycle", "ClaimCycle"),
    ],
)
def test_a_conflict_with_an_object_that_is_not_decided_replaces_what_is_over(before: str, after: str) -> None:
    """It may never be decided: it names a region that is not configured, and does not learn whom it waits for."""
    harness = PlannerHarness()
    held(harness, A, 1, OTHER_UID)
    first = harness.take(obj(A, [harness.eip(2)], created=YOUNGER))
    harness.take(obj(A, [harness.eip(1)], uid=OTHER_UID, created=OLDER))
    status = "True" if before == "Accepted" else "False"
    accepted = Condition(ACCEPTED, status, before, "", first.meta.generation, "2026-01-01T00:00:00Z")
    stored = Status(observed_generation=first.meta.generation, hostname=A, conditions=(accepted,))
    first = replace(first, status=stored)
    found = harness.written(first, harness.plan(first)).status.condition(ACCEPTED)
    assert found is not None
    assert found.reason == after


def test_a_name_that_receivers_may_hold_keeps_its_old_address() -> None:
    """Renamed and renamed back within the PTR's TTL, with another address: the old name may still be cached."""
    harness = PlannerHarness()
    gone, new = harness.eip(1, B), harness.eip(2)
    harness.records.put(A, [gone.public_ip], mine())
    harness.records.put(B, [gone.public_ip], mine())
    harness.publish(A)
    harness.publish(B)
    me = obj(A, [gone])
    me = harness.written(me, harness.plan(me))
    harness.observed(me)
    me = replace(me, spec=obj(A, [new]).spec, meta=replace(me.meta, generation=2))
    for now, union in (
        (harness.settings.gate_seconds, True),
        (harness.settings.ptr_ttl_seconds + 11.0, False),
    ):
        harness.now = harness.book.at = harness.records.at = harness.dns.at = harness.dns.public_at = now
        plan = harness.plan(me)
        assert isinstance(plan.action, ChangeRecords)
        harness.records.apply(ZONE.id, A, plan.action.changes)
        values = {v for r in harness.records.views[ZONE.id, A].of_type("A") for v in r.values}
        assert values == ({gone.public_ip, new.public_ip} if union else {new.public_ip})


def test_whoever_was_waited_for_looks_again_when_that_ends() -> None:
    """The circle is broken: the other one's ClaimCycle is not true any more."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    waiting, waited_for = harness.take(obj(A, [eip])), harness.take(obj(B, [eip], uid=OTHER_UID))
    key = f"{waited_for.meta.namespace}/{waited_for.meta.name}"
    assert harness.claims.set_blocked(waiting.meta.uid, frozenset({OTHER_UID})) == {key}
    assert harness.claims.set_blocked(waiting.meta.uid, frozenset({OTHER_UID})) == set()
    assert harness.claims.set_blocked(waiting.meta.uid, frozenset()) == {key}
