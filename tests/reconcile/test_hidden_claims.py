"""Whose a hostname is while the hosted zone of its ownership record cannot be read: a new process has never read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import ACCEPTED
from mailegress.api.types import MailEgress
from mailegress.model.aws import NameView, Zone, ZoneLook
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.claim_index import Standing
from mailegress.reconcile.result import NeedName, NeedZoneLook, Plan
from tests.support.planner import ACCOUNT, OTHER_UID, ZONE, PlannerHarness, mine, obj, recorded, verdict

A, B = "a.example.com", "b.example.com"
OLD, NEW = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
TWIN = Zone("Z2", "example.com", account_id=ACCOUNT)
DENIED = Fault("AccessDenied", "AWS denies route53:ListResourceRecordSets", ErrorKind.HUMAN)


def holder(harness: PlannerHarness, hostname: str = A, **more: Any) -> MailEgress:
    """A younger object whose status tells of its record in the hosted zone."""
    place = recorded(hostname)
    place["zone"]["accountID"] = ACCOUNT
    return obj(A, [harness.eip(2)], uid=OTHER_UID, created=NEW, status=place, **more)


def unread(harness: PlannerHarness, fault: Fault | None = None) -> None:
    """Nothing was read in the holder's hosted zone."""
    known = type(harness.records).get

    def get(zone_id: str, hostname: str) -> Fact[NameView]:
        return Fact(fault=fault) if zone_id == ZONE.id else known(harness.records, zone_id, hostname)

    harness.records.get = get  # type: ignore[method-assign]


def hidden(harness: PlannerHarness, look: ZoneLook | None = None) -> None:
    """The list of zones shows another zone of that name only."""
    unread(harness)
    harness.zones.zones = (TWIN,)
    harness.zones.servers[TWIN.id] = harness.zones.servers[ZONE.id]
    if look is not None:
        harness.zones.looks[ZONE.id] = look


def accepted(harness: PlannerHarness, item: MailEgress) -> tuple[str, Plan]:
    plan = harness.plan(item)
    if plan.standing is not None:
        harness.claims.stand(item.meta.uid, plan.standing)
    return verdict(plan, ACCEPTED).reason, plan


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (None, "Progressing"),
        (ZoneLook(ACCOUNT, there=True), "Progressing"),
        (ZoneLook("444455556666"), "HostnameConflict"),
        (ZoneLook(ACCOUNT, denied=DENIED), "HostnameConflict"),
        (ZoneLook(ACCOUNT), "Accepted"),
    ],
)
def test_a_record_in_a_zone_that_is_not_listed_holds_the_hostname(look: ZoneLook | None, reason: str) -> None:
    """Only a zone that is known to be deleted gives its hostnames free."""
    harness = PlannerHarness()
    harness.take(holder(harness))
    hidden(harness, look)
    found, plan = accepted(harness, obj(A, [harness.eip(1)], created=OLD))
    assert found == reason
    assert (plan.action is None) is (reason != "Accepted")
    if look is None:
        assert NeedZoneLook(ZONE.id, 0.0) in plan.needs


@pytest.mark.parametrize(("fault", "reason"), [(None, "Progressing"), (DENIED, "HostnameConflict")])
def test_a_record_in_a_zone_that_was_not_read_holds_the_hostname(fault: Fault | None, reason: str) -> None:
    """The older object names another zone with the same name, which was read already."""
    harness = PlannerHarness()
    harness.take(holder(harness))
    hidden(harness)
    unread(harness, fault)
    harness.zones.zones = (ZONE, TWIN)
    older = obj(A, [harness.eip(1)], created=OLD, forward={"hostedZoneID": TWIN.id})
    found, plan = accepted(harness, older)
    assert found == reason
    assert plan.action is None
    assert NeedName(ZONE.id, A, 0.0) in plan.needs
    del harness.records.get  # type: ignore[method-assign]
    assert accepted(harness, older)[0] == "Accepted", "no ownership record stands there"


def test_what_an_object_has_at_a_former_hostname_is_waited_for() -> None:
    harness = PlannerHarness()
    away = holder(harness)
    away = replace(away, spec=replace(away.spec, hostname=B))
    harness.take(away)
    hidden(harness, ZoneLook("444455556666"))
    older = obj(A, [harness.eip(1)], created=OLD)
    assert accepted(harness, older)[0] == "WaitingForRelease"
    harness.take(replace(away, status=replace(away.status, zone=None)))
    assert accepted(harness, older)[0] == "Accepted"


def test_an_object_that_is_being_deleted_keeps_its_hostname_until_its_record_was_seen_to_be_gone() -> None:
    harness = PlannerHarness()
    harness.take(holder(harness, deleting=True))
    hidden(harness, ZoneLook("444455556666"))
    older = harness.take(obj(A, [harness.eip(1)], created=OLD))
    assert accepted(harness, older)[0] == "WaitingForRelease"
    assert harness.claims.drop(OTHER_UID) == {"mail/meg-1"}
    assert accepted(harness, older)[0] == "Accepted"


def test_the_holder_itself_is_in_nobodys_way() -> None:
    harness = PlannerHarness()
    younger = harness.take(holder(harness))
    harness.take(obj(A, [harness.eip(1)], created=OLD))
    hidden(harness, ZoneLook("444455556666"))
    assert accepted(harness, younger)[0] == "Accepted"


def test_an_address_whose_ptr_shows_such_a_hostname_is_the_holders() -> None:
    """Whether it is in the record cannot be seen, so that it is waited for also where the holder does not want it."""
    harness = PlannerHarness()
    eip = harness.eip(3, A)
    younger = harness.take(holder(harness))
    hidden(harness, ZoneLook("444455556666"))
    older = obj(B, [eip], created=OLD)
    assert accepted(harness, older)[0] == "WaitingForRelease"
    harness.take(replace(younger, spec=obj(A, [eip]).spec))
    assert accepted(harness, older)[0] == "AddressConflict"


def test_a_record_that_was_read_counts_by_its_mark_alone() -> None:
    harness = PlannerHarness()
    harness.take(holder(harness))
    older = obj(A, [harness.eip(1)], created=OLD)
    assert accepted(harness, older)[0] == "Accepted"
    harness.records.put(A, (), mine(OTHER_UID))
    assert accepted(harness, older)[0] == "HostnameConflict"


def test_a_status_that_names_a_record_keeps_what_was_found_out_about_its_object() -> None:
    """It is written between two reconciles, and the object keeps its place in the line."""
    harness = PlannerHarness()
    younger = obj(A, [harness.eip(2)], uid=OTHER_UID, created=NEW)
    harness.take(younger)
    harness.claims.stand(OTHER_UID, Standing(holds=True))
    harness.take(obj(A, [harness.eip(1)], created=OLD))
    assert harness.claims.put("mail/meg-2", holder(harness)) == {"mail/meg-1"}
    assert harness.claims.standing(OTHER_UID) == Standing(holds=True)
    assert [c.uid for c in harness.claims.recorded_at(A)] == [OTHER_UID]
    assert harness.claims.put("mail/meg-2", holder(harness)) == set()
