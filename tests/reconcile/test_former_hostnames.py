"""Former hostnames under Observed: no ownership record names them, so the status does, while a PTR shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY, READY, REVERSE_READY
from mailegress.api.status import FormerRecord, Origin, Status
from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip
from mailegress.reconcile.result import Plan, RemoveFinalizer, ResetPtr, SetPtr
from tests.support.planner import OTHER_UID, UID, PlannerHarness, mine, obj, verdict
from tests.support.verdicts import HOST, NEW, OBSERVED, harness_with, reading, status

THIRD = "third.example.com"


def the_eip(harness: PlannerHarness) -> Eip:
    return next(iter(harness.book.eips.values()))


def ready() -> tuple[PlannerHarness, MailEgress]:
    """A Ready object under Observed, with a PTR that the operator set."""
    harness, me = harness_with(None, observed=True)
    plan = None
    while plan is None or not isinstance(plan.action, SetPtr):
        me, plan = reading(harness, me)
    harness.set_ptr(the_eip(harness), HOST)
    me, _ = reading(harness, me)
    assert status(me, READY) == "True"
    assert me.status.addresses[0].ptr_origin is Origin.MANAGED
    return harness, me


def edited(me: MailEgress, hostname: str, eips: list[Eip], **more: Any) -> MailEgress:
    generation = me.meta.generation + 1
    spec = obj(hostname, eips, forward=OBSERVED, **more).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=generation))


def renamed() -> tuple[PlannerHarness, MailEgress]:
    """A Ready object under Observed is renamed; its PTR still shows the former hostname. The operator restarts."""
    harness, me = ready()
    assert me.status.former_records == (), "nothing is recorded while nothing was renamed"
    me, _ = reading(harness, edited(me, NEW, [the_eip(harness)]))
    harness.memories.clear()
    return harness, me


def deleted(harness: PlannerHarness, me: MailEgress) -> Plan:
    stamp, generation = "2026-01-02T00:00:00Z", me.meta.generation + 1
    gone = replace(me, meta=replace(me.meta, deletion_timestamp=stamp, generation=generation))
    harness.plan(gone)
    return reading(harness, gone)[1]


def test_a_former_hostname_is_recorded_until_no_ptr_shows_it() -> None:
    harness, me = renamed()
    assert me.status.to_dict()["formerRecords"] == [{"hostname": HOST}]
    me, _ = reading(harness, me)
    assert me.status.former_records == (FormerRecord("", HOST),), "a restart changes nothing"
    harness.set_ptr(the_eip(harness), NEW)
    me, _ = reading(harness, me)
    assert me.status.former_records == ()


def test_a_ptr_with_a_former_hostname_is_reset_at_deletion_after_a_restart() -> None:
    harness, me = renamed()
    plan = deleted(harness, me)
    assert isinstance(plan.action, ResetPtr)
    assert f"no PTR {NEW} or {HOST} for" in verdict(plan, ACCEPTED).message
    harness.set_ptr(the_eip(harness), None)
    assert isinstance(deleted(harness, me).action, RemoveFinalizer)


def test_retain_leaves_a_ptr_with_a_former_hostname() -> None:
    harness, me = renamed()
    kept = edited(me, NEW, [the_eip(harness)], deletionPolicy="Retain")
    assert isinstance(deleted(harness, kept).action, RemoveFinalizer)


def test_every_former_hostname_of_several_renames_is_recorded() -> None:
    harness, me = ready()
    first = the_eip(harness)
    second = harness.eip(2, NEW)
    me, _ = reading(harness, edited(me, NEW, [first, second]))
    harness.dns.answers[NEW] = frozenset({first.public_ip, second.public_ip})
    for _ in range(3):
        me, _ = reading(harness, me)
    harness.memories.clear()
    me, _ = reading(harness, edited(me, THIRD, [first, second]))
    assert {place.hostname for place in me.status.former_records} == {HOST, NEW}
    me, _ = reading(harness, edited(me, HOST, [first, second]))
    assert {place.hostname for place in me.status.former_records} == {NEW}, "the hostname is no former one"


def test_a_ptr_of_a_former_hostname_at_an_address_that_leaves_is_reset_after_a_restart() -> None:
    harness, me = ready()
    old, new = the_eip(harness), harness.eip(2)
    harness.dns.answers[NEW] = frozenset({new.public_ip})
    me = edited(me, NEW, [new])
    for _ in range(3):
        me, plan = reading(harness, me)
        harness.memories.clear()
    assert not isinstance(plan.action, ResetPtr), "make before break"
    harness.set_ptr(new, NEW)
    actions = []
    for _ in range(4):
        me, plan = reading(harness, me)
        actions.append(plan.action)
    assert [a.public_ip for a in actions if isinstance(a, ResetPtr)][:1] == [old.public_ip]


def test_a_ptr_of_a_third_party_is_no_former_hostname() -> None:
    harness, me = renamed()
    harness.set_ptr(the_eip(harness), "else.example.org")
    me, plan = reading(harness, me)
    assert me.status.former_records == ()
    assert verdict(plan, REVERSE_READY).reason == "PTRConflict"


def test_an_object_that_an_earlier_release_renamed_is_no_conflict() -> None:
    """That release recorded no former hostname. The status does not change, and is not written, at the upgrade."""
    harness, me = renamed()
    me = replace(me, status=replace(me.status, former_records=()))
    for _ in range(2):
        plan = harness.plan(me)
        assert verdict(plan, FORWARD_READY).reason == "WaitingForForward"
        assert verdict(plan, REVERSE_READY).reason == "WaitingForForward"
    assert plan.former_records == ()


def test_an_earlier_release_drops_what_it_does_not_know() -> None:
    """It takes an entry without a zone for none, so an entry must have no other part that it needs."""
    stored = {"formerRecords": [{"hostname": HOST}, {"zoneID": "Z1"}, {}]}
    assert Status.from_dict(stored).former_records == (FormerRecord("", HOST),)


@pytest.mark.parametrize("wants", [True, False])
def test_the_ptr_of_a_former_hostname_is_not_taken_from_its_object(wants: bool) -> None:
    """Another object has that hostname now and wants the address: it waits until the PTR is reset or switched."""
    harness, me = renamed()
    eip = the_eip(harness)
    if not wants:
        me, _ = reading(harness, edited(me, NEW, [harness.eip(2)]))
    other = obj(HOST, [eip], forward=OBSERVED, uid=OTHER_UID, created="2026-02-01T00:00:00Z")
    harness.take(me)
    other, plan = reading(harness, other)
    other, plan = reading(harness, other)
    assert verdict(plan, ACCEPTED).reason == ("AddressConflict" if wants else "WaitingForRelease")
    assert verdict(harness.plan(me), ACCEPTED).status == "True"
    assert "mail/meg-2" in harness.claims.drop(UID), "it is woken when the object is gone"
    _, plan = reading(harness, other)
    assert verdict(plan, ACCEPTED).status == "True"


def test_an_ownership_record_at_the_former_hostname_does_not_keep_the_ptr() -> None:
    """Another object made the record there, without this address."""
    harness, me = renamed()
    eip, elsewhere = the_eip(harness), harness.eip(2)
    other = harness.take(obj(HOST, [elsewhere], uid=OTHER_UID))
    harness.records.put(HOST, [elsewhere.public_ip], mine(OTHER_UID))
    assert verdict(harness.plan(me), ACCEPTED).status == "True", "nobody else has the address"
    assert isinstance(deleted(harness, me).action, ResetPtr)
    harness.records.put(HOST, [elsewhere.public_ip, eip.public_ip], mine(OTHER_UID))
    assert harness.claims.live(other.meta.uid)
    assert isinstance(deleted(harness, me).action, RemoveFinalizer), "now the PTR is the other object's"


# ---------------------------------------------------------------- addresses beside each other under Observed


def test_a_foreign_ptr_beside_a_right_one_is_not_overwritten_under_observed() -> None:
    harness, me = harness_with(observed=True)
    first, foreign = the_eip(harness), harness.eip(2, "else.example.org")
    harness.dns.answers[HOST] = frozenset({first.public_ip, foreign.public_ip})
    me = edited(me, HOST, [first, foreign])
    for _ in range(4):
        me, plan = reading(harness, me)
        assert not isinstance(plan.action, SetPtr)
    found = verdict(plan, REVERSE_READY)
    assert found.reason == "PTRConflict"
    assert foreign.public_ip in found.message


def test_an_address_that_left_the_spec_is_not_shown_because_another_dns_still_has_it() -> None:
    harness, me = ready()
    kept, left = the_eip(harness), harness.eip(2, HOST)
    harness.dns.answers[HOST] = frozenset({kept.public_ip, left.public_ip})
    me, _ = reading(harness, edited(me, HOST, [kept, left]))
    me, _ = reading(harness, me)
    assert set(me.status.public_ips) == {kept.public_ip, left.public_ip}
    me, _ = reading(harness, edited(me, HOST, [kept]))
    assert me.status.public_ips == (kept.public_ip,)
    harness.set_ptr(left, None)
    for _ in range(2):
        me, _ = reading(harness, me)
    assert [a.public_ip for a in me.status.addresses] == [kept.public_ip]
