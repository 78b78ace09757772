"""Who is in line for a hostname or an address, who holds it by age, and who is woken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import ACCEPTED
from mailegress.api.types import MailEgress, parse_object, parse_remains
from mailegress.model.aws import Eip
from mailegress.reconcile import rules
from mailegress.reconcile.claim_index import ClaimIndex, Standing
from mailegress.reconcile.result import NeedName, Plan
from mailegress.reconcile.rules import claims
from tests.support.planner import REGION, UID, ZONE, PlannerHarness, body, mine, obj, stored_entry, verdict

A, B = "a.example.com", "b.example.com"
OLD, NEW = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
OBSERVED = {"management": "Observed"}


def numbered(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def suspended(item: MailEgress) -> MailEgress:
    return replace(item, spec=replace(item.spec, suspend=True))


def passed(harness: PlannerHarness, item: MailEgress) -> Plan:
    """One pass, with the claims taken down as the reconciler does."""
    plan = harness.plan(item)
    if plan.standing is not None:
        harness.claims.stand(item.meta.uid, plan.standing)
    if plan.blocked_on is not None:
        harness.claims.set_blocked(item.meta.uid, plan.blocked_on)
    return plan


def accepted(harness: PlannerHarness, item: MailEgress) -> str:
    return verdict(passed(harness, item), ACCEPTED).reason


def test_a_suspended_object_holds_nothing_by_its_age() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    old = suspended(obj(A, [eip], created=OLD))
    new = obj(A, [eip], uid=numbered(2), created=NEW)
    passed(harness, old)
    harness.take(new)
    assert accepted(harness, new) == "Accepted"
    assert accepted(harness, old) == "HostnameConflict"


def test_an_object_whose_selectors_resolve_to_nothing_holds_nothing_by_its_age() -> None:
    harness = PlannerHarness()
    there, missing = harness.eip(1), harness.eip(2)
    del harness.book.eips[missing.allocation_id]
    old = obj(A, [missing], created=OLD)
    new = obj(A, [there], uid=numbered(2), created=NEW)
    passed(harness, old)
    assert accepted(harness, new) == "Accepted"
    harness.book.eips[missing.allocation_id] = missing
    harness.records.put(A, [there.public_ip], mine(numbered(2)))
    assert accepted(harness, old) == "HostnameConflict", "what the younger one holds by now it keeps"


def test_a_hopeless_object_holds_nothing_by_its_age_until_it_is_edited() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    old = obj(A, [eip], created=OLD, forward=OBSERVED)
    new = obj(B, [eip], uid=numbered(2), created=NEW)
    passed(harness, old)
    assert accepted(harness, new) == "AddressConflict"
    harness.memories[UID].progress.stalled_generation = old.meta.generation
    passed(harness, old)
    assert accepted(harness, new) == "Accepted"
    edited = replace(old, meta=replace(old.meta, generation=old.meta.generation + 1))
    passed(harness, edited)
    passed(harness, edited)
    assert accepted(harness, new) == "AddressConflict"


def test_a_suspended_object_keeps_what_its_mark_shows() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, A)
    harness.records.put(A, [eip.public_ip], mine())
    harness.publish(A)
    old = suspended(obj(A, [eip], created=OLD))
    passed(harness, old)
    assert accepted(harness, obj(A, [eip], uid=numbered(2), created=NEW)) == "HostnameConflict"


def test_a_suspended_object_under_observed_keeps_what_its_ptr_shows() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, A)
    harness.dns.answers[A] = frozenset({eip.public_ip})
    old = suspended(obj(A, [eip], created=OLD, forward=OBSERVED))
    passed(harness, old)
    new = obj(A, [harness.eip(2)], uid=numbered(2), created=NEW, forward=OBSERVED)
    assert accepted(harness, new) == "HostnameConflict"


def having_set(eip: Eip, name: str, field: str = "ptr") -> dict[str, Any]:
    """The status of an object that set this PTR, or is setting it (``ptrUpdate``)."""
    entry = stored_entry(eip, ptrOrigin="Managed", **{field: name})
    return {"observedGeneration": 1, "hostname": name, "addresses": [entry]}


@pytest.mark.parametrize("field", ["ptr", "ptrUpdate"])
@pytest.mark.parametrize("management", ["Managed", "Observed"])
def test_a_hopeless_object_keeps_the_hostname_that_a_ptr_of_its_own_still_shows(
    management: str, field: str
) -> None:
    """The address was removed from the spec, and its PTR stays until another one is right."""
    harness = PlannerHarness()
    left, selected = harness.eip(1, A if field == "ptr" else None), harness.eip(2)
    old = obj(
        A, [selected], created=OLD, status=having_set(left, A, field), forward={"management": management}
    )
    passed(harness, old)
    harness.memories[UID].progress.stalled_generation = old.meta.generation
    passed(harness, old)
    new = obj(A, [harness.eip(3)], uid=numbered(2), created=NEW)
    assert accepted(harness, new) == "HostnameConflict"


def test_an_object_with_an_invalid_spec_keeps_the_hostname_that_a_ptr_of_its_own_shows() -> None:
    harness = PlannerHarness()
    old = parse_remains(body(A, created=OLD, status=having_set(harness.eip(1, A), A)))
    plan = rules.refuse(harness.observed(old), "spec.elasticIPs is nothing")
    assert plan.standing is not None
    harness.claims.stand(UID, plan.standing)
    new = obj(A, [harness.eip(2)], uid=numbered(2), created=NEW)
    assert accepted(harness, new) == "HostnameConflict"


def test_nobody_takes_the_place_of_an_older_one_that_was_not_looked_at_yet() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.claims.put("mail/old", obj(A, [eip], created=OLD))
    new = obj(A, [eip], uid=numbered(2), created=NEW)
    plan = passed(harness, new)
    assert verdict(plan, ACCEPTED).reason == "Progressing"
    assert plan.action is None
    assert plan.wait <= harness.settings.poll_seconds, "it looks again soon"
    harness.claims.stand(UID, Standing(able=False))
    assert accepted(harness, new) == "Accepted"


def test_of_several_that_hold_nothing_by_age_there_is_still_one_first() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    found = [
        suspended(obj(A, [eip], created=OLD)),
        suspended(obj(A, [eip], uid=numbered(2), created=NEW)),
    ]
    for item in found:
        passed(harness, item)
    assert [accepted(harness, item) for item in found] == ["Accepted", "HostnameConflict"]


def crowd(count: int) -> tuple[ClaimIndex, list[MailEgress]]:
    """Rivals for one name and one address, the first of them being the oldest."""
    harness, claims = PlannerHarness(), ClaimIndex()
    eip = harness.eip(1)
    items = []
    for number in range(count):
        item = obj(A, [eip], uid=numbered(number), created=f"2025-01-01T00:00:00.{number:06d}Z")
        items.append(replace(item, meta=replace(item.meta, name=f"n{number}")))
    return claims, items


def test_an_edit_wakes_the_first_two_in_line_whatever_the_number_of_rivals() -> None:
    claims, items = crowd(50)
    for item in items:
        assert len(claims.put(f"mail/{item.meta.name}", item)) <= 2
    for item in items:
        assert claims.stand(item.meta.uid, Standing()) <= {"mail/n0", "mail/n1"}
    last = items[-1]
    edited = replace(last, spec=replace(last.spec, hostname=B))
    assert claims.put("mail/n49", edited) == {"mail/n0", "mail/n1"}
    assert claims.drop(items[0].meta.uid) == {"mail/n1", "mail/n2"}, "the next in line is told"
    assert claims.stand(items[1].meta.uid, Standing(able=False)) == {"mail/n1", "mail/n2", "mail/n3"}


def test_thousands_that_wait_for_one_holder_do_not_wake_it() -> None:
    claims, items = crowd(50)
    for item in items:
        claims.put(f"mail/{item.meta.name}", item)
    holder = items[0].meta.uid
    claims.set_blocked(holder, frozenset())
    woken = [claims.set_blocked(item.meta.uid, frozenset({holder})) for item in items[1:]]
    assert not any(woken)


def test_who_is_further_back_in_line_looks_seldom_and_does_not_wait_for_the_release() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(A, (), mine(numbered(0)))
    holder, second, third = (
        harness.take(obj(A, [eip], uid=numbered(number), created=f"2026-01-0{number + 1}T00:00:00Z"))
        for number in range(3)
    )
    for item in (holder, second, third):
        passed(harness, item)
    assert passed(harness, second).wait <= harness.settings.blocked_seconds
    assert passed(harness, third).wait > harness.settings.resync_seconds / 2
    assert accepted(harness, second) == accepted(harness, third) == "HostnameConflict"
    harness.take(obj(B, [harness.eip(2)], uid=numbered(0), created=holder.meta.creation_timestamp))
    assert accepted(harness, second) == "WaitingForRelease"
    assert accepted(harness, third) == "HostnameConflict", "the second will have it"


def test_who_waits_for_a_release_reads_the_record_again() -> None:
    """Another process of the operator may have removed it."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(A, (), mine(numbered(0)))
    harness.take(obj(B, [harness.eip(2)], uid=numbered(0), created="2026-01-01T00:00:00Z"))
    second = harness.take(obj(A, [eip], uid=numbered(1)))
    plan = harness.plan(second)
    assert verdict(plan, ACCEPTED).reason == "WaitingForRelease"
    assert not [n for n in plan.needs if isinstance(n, NeedName)]
    harness.now += harness.settings.blocked_seconds + 1.0
    asked = [n for n in harness.plan(second).needs if isinstance(n, NeedName)]
    assert [(n.zone_id, n.hostname, n.patient) for n in asked] == [(ZONE.id, A, True)]
    assert asked[0].not_before > 0.0


def test_a_crowd_without_its_hostname_does_not_look_at_all_that_want_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = PlannerHarness()
    first, wanted = harness.eip(1), harness.eip(2)
    harness.records.put(A, (), mine(numbered(0)))
    harness.take(obj(A, [first], uid=numbered(0), created="2026-01-01T00:00:00Z"))
    rivals = [
        harness.take(obj(A, [wanted], uid=numbered(number), created=f"2026-01-02T00:00:{number:02d}Z"))
        for number in range(1, 50)
    ]
    asked = []
    real = claims._lost_name
    monkeypatch.setattr(claims, "_lost_name", lambda *args: asked.append(args) or real(*args))
    for item in rivals:
        harness.claims.stand(item.meta.uid, Standing())
    for item in [*rivals, *rivals]:
        asked.clear()
        passed(harness, item)
        assert len(asked) <= 8
    asked.clear()
    assert passed(harness, rivals[-1]).wait > harness.settings.resync_seconds / 2, (
        "it is known whose the address is"
    )
    assert len(asked) <= 1


@pytest.mark.parametrize("kind", ["allocationID", "publicIP"])
def test_an_id_without_a_region_is_in_line_in_the_default_region_only(kind: str) -> None:
    """It resolves to nothing elsewhere, and must not keep an object that names the region from its address."""
    index = ClaimIndex(REGION)
    here, there = (Eip("eipalloc-1", "203.0.113.1", "1", region) for region in (REGION, "eu-west-1"))
    value = {"allocationID": here.allocation_id, "publicIP": here.public_ip}[kind]
    for number, selector in enumerate(({kind: value}, {kind: value, "region": "eu-west-1"})):
        index.put(f"mail/{number}", parse_object(body(A, [selector], uid=numbered(number))))
    assert [c.uid for c in index.in_line_for(here)] == [numbered(0)]
    assert [c.uid for c in index.in_line_for(there)] == [numbered(1)]
    assert not index.wants_eip(numbered(0), there)
