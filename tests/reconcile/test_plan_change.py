"""Planning changes of what exists: swap, rename, drift, loss, claims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY, READY, REVERSE_READY
from mailegress.api.status import Origin
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, Eip, Ptr, RecordSet, Verb
from mailegress.model.facts import Fact, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import ChangeRecords, NeedPtr, ResetPtr, SetPtr
from tests.support.planned import HOST, NEW, carry_out, converged, edited, values
from tests.support.planner import (
    OTHER_UID,
    REGION,
    UID,
    ZONE,
    PlannerHarness,
    body,
    mine,
    obj,
    policy,
    verdict,
)


def test_a_swap_is_union_then_ptr_then_reset_then_shrink() -> None:
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2)
    me = edited(converged(harness, old), (new,))
    seen = []
    for _ in range(8):
        plan = harness.plan(me)
        me = harness.written(me, plan)
        if plan.action is None:
            break
        seen.append(plan.action)
        carry_out(harness, plan)
    kinds = [type(a) for a in seen]
    assert kinds == [ChangeRecords, SetPtr, ResetPtr, ChangeRecords]
    assert harness.records.views[(ZONE.id, HOST)].records[0].values == (new.public_ip,)
    first = seen[0]
    assert isinstance(first, ChangeRecords)
    assert first.changes[1].record_set.values == (old.public_ip, new.public_ip)


@pytest.mark.parametrize("found", [("192.0.2.66",), (), None], ids=["replaced", "emptied", "removed"])
def test_an_address_that_somebody_took_out_of_the_record_is_put_back_until_its_ptr_is_reset(
    found: tuple[str, ...] | None,
) -> None:
    """It leaves the spec at the same time. Receivers see its PTR for as long as the new record is not verified."""
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2)
    me = edited(converged(harness, old), (new,))
    if found is None:
        harness.records.views.pop((ZONE.id, HOST))
    else:
        harness.records.put(HOST, found, mine())
    assert values(harness.plan(me)) == (old.public_ip, new.public_ip)
    harness.set_ptr(old, "mail.stranger.net")
    assert values(harness.plan(me)) == (new.public_ip,), "that PTR needs no record of ours"


def test_an_address_that_no_policy_allows_any_more_is_not_put_back() -> None:
    harness = PlannerHarness()
    harness.enforce(policy())
    old, new = harness.eip(1), harness.eip(2)
    me = edited(converged(harness, old), (new,))
    harness.records.put(HOST, ("192.0.2.66",), mine())
    assert values(harness.plan(me)) == (old.public_ip, new.public_ip)
    harness.change(policy(addresses={"allocationIDs": [new.allocation_id]}))
    assert values(harness.plan(me)) == (new.public_ip,)


def test_a_rename_makes_before_it_breaks_and_waits_for_receivers() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = edited(converged(harness, eip), (eip,), NEW)
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.hostname == NEW
    carry_out(harness, plan)
    me = harness.written(me, plan)
    plan = harness.plan(me)
    assert isinstance(plan.action, SetPtr)
    carry_out(harness, plan)
    me = harness.written(me, plan)
    me = harness.written(me, harness.plan(me))
    plan = harness.plan(me)
    assert plan.action is None, "receivers may still hold the old PTR"
    assert plan.owed
    found = summarise.verdicts(me, plan)
    assert (found[READY].status, found[READY].reason) == ("True", "RetiringOldName")
    harness.now += harness.settings.ptr_ttl_seconds + 1
    harness.book.at = harness.records.at = harness.dns.at = harness.now
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.hostname == HOST
    assert {(c.verb, c.record_set.type) for c in plan.action.changes} == {
        (Verb.DELETE, "A"),
        (Verb.DELETE, "TXT"),
    }


def test_a_foreign_ptr_keeps_one_address_out_and_the_others_in() -> None:
    harness = PlannerHarness()
    good, foreign = harness.eip(1), harness.eip(2, "somebody.example.org")
    plan = harness.plan(obj(HOST, [good, foreign]))
    assert values(plan) == (good.public_ip,)
    assert verdict(plan, REVERSE_READY).reason == "PTRConflict"


def test_a_joined_address_is_healed_and_then_contested() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    for _ in range(harness.settings.heals_per_hour):
        harness.set_ptr(eip, "thief.example.org")
        plan = harness.plan(me)
        assert isinstance(plan.action, SetPtr)
        assert plan.action.repairs is not None
        harness.memories[UID].ptrs.repairs[eip.allocation_id] = plan.action.repairs
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, REVERSE_READY).reason == "PTRContested"
    assert plan.wait <= 3600


def test_with_a_limit_of_no_repairs_none_is_made() -> None:
    harness = PlannerHarness()
    harness.settings = replace(harness.settings, heals_per_hour=0)
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.set_ptr(eip, "thief.example.org")
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, REVERSE_READY).reason == "PTRContested"


def test_a_lost_address_leaves_the_record_at_once() -> None:
    harness = PlannerHarness()
    one, two = harness.eip(1), harness.eip(2)
    me = converged(harness, one, two)
    del harness.book.eips[two.allocation_id]
    assert harness.plan(me).action is None, "missing once proves nothing"
    harness.book.absences[two.allocation_id] = Absence.MASS
    assert harness.plan(me).action is None, "a mass loss is not believed"
    harness.book.absences[two.allocation_id] = Absence.LOST
    assert values(harness.plan(me)) == (one.public_ip,)


def test_a_selector_that_resolves_to_none_holds_its_last_addresses() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, instance_id="i-0123456789abcdef0")
    harness.set_ptr(eip, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = parse_object(body(HOST, [{"instanceID": "i-0123456789abcdef0"}]))
    me = harness.written(me, harness.plan(me))
    harness.book.eips[eip.allocation_id] = replace(harness.book.eips[eip.allocation_id], instance_id="")
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "AddressNotFound"


def test_the_older_object_wins_and_the_loser_is_not_told_who() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    other = harness.eip(2)
    harness.take(obj(HOST, [eip], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    plan = harness.plan(obj(HOST, [other]))
    found = verdict(plan, ACCEPTED)
    assert plan.action is None
    assert found.reason == "HostnameConflict"
    assert "meg-2" not in found.message


def test_the_holder_of_the_mark_beats_age() -> None:
    harness = PlannerHarness()
    eip, other = harness.eip(1), harness.eip(2)
    harness.take(obj(HOST, [other], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    me = converged(harness, eip)
    assert verdict(harness.plan(me), ACCEPTED).ok


def test_claims_are_not_judged_before_the_marks_are_read() -> None:
    """At a restart the younger holder must not be told that it lost."""
    harness = PlannerHarness()
    eip, other = harness.eip(1), harness.eip(2)
    harness.take(obj(HOST, [other], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    me = converged(harness, eip)
    harness.memories.clear()
    harness.zones.zones = None
    plan = harness.plan(me)
    assert summarise.verdicts(me, plan)[READY].ok
    harness.zones.zones = (ZONE,)
    harness.records.unread.add(HOST)
    plan = harness.plan(me)
    assert summarise.verdicts(me, plan)[READY].ok
    assert plan.action is None


def test_a_foreign_record_that_took_the_place_of_ours_is_not_overwritten() -> None:
    """A and mark deleted, another A put there: what we remember gives no right to it."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.plan(me)
    harness.records.put(HOST, ["198.51.100.9"])
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_a_deleted_mark_is_restored_as_it_was() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    harness.plan(me)
    harness.records.put(HOST, [eip.public_ip])
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    [change] = plan.action.changes
    assert change.record_set.values[0].startswith('"meg1 c ')


def test_a_cname_in_the_place_of_our_record_is_a_conflict() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = converged(harness, eip)
    view = harness.records.views[(ZONE.id, HOST)]
    harness.records.views[(ZONE.id, HOST)] = replace(
        view, records=(RecordSet(HOST, "CNAME", 60, ("x.example.org",)),)
    )
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_whose_a_ptr_is_stays_written_down_while_nothing_is_read() -> None:
    """A new process, and the selector written another way meanwhile."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = converged(harness, eip)
    adopted = replace(me.status.addresses[0], ptr_origin=Origin.ADOPTED)
    spec = parse_object(body(HOST, [{"publicIP": eip.public_ip}])).spec
    me = replace(
        me,
        spec=spec,
        meta=replace(me.meta, generation=2),
        status=replace(me.status, addresses=(adopted,)),
    )
    harness.memories.clear()
    harness.records.put(HOST, (), mine())
    harness.book.at = None
    me = harness.written(me, harness.plan(me))
    harness.book.at = 0.0
    plan = harness.plan(me)
    assert [(a.allocation_id, a.ptr_origin) for a in plan.addresses] == [(eip.allocation_id, Origin.ADOPTED)]


def test_under_our_own_mark_a_ptr_is_ours_also_when_somebody_took_the_record_away() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, (), mine())
    assert harness.plan(obj(HOST, [eip])).addresses[0].ptr_origin is Origin.MANAGED
    harness.records.put(HOST, (), mine(adopted=True))
    assert harness.plan(obj(HOST, [eip])).addresses[0].ptr_origin is Origin.ADOPTED


def test_the_ptr_of_an_address_that_no_record_tells_of_is_reset_when_its_successor_is_right() -> None:
    """Taken out of the spec, and out of the record by somebody else, while AWS was setting it."""
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2)
    harness.records.put(HOST, [old.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [old])
    me = harness.written(me, harness.plan(me))
    harness.eip(1, Ptr(None, HOST, "PENDING"))
    harness.records.put(HOST, (), mine())
    me = edited(me, (new,))
    plan = harness.plan(me)
    assert [(a.public_ip, a.ptr_origin) for a in plan.addresses if a.ptr_origin] == [
        (old.public_ip, Origin.MANAGED)
    ], "it stays written down"
    assert isinstance(plan.action, ChangeRecords), "first the new one"
    me = harness.written(me, plan)
    harness.records.put(HOST, [new.public_ip], mine())
    harness.publish(HOST)
    harness.set_ptr(old, HOST)
    harness.set_ptr(new, HOST)
    plan = harness.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.allocation_id == old.allocation_id
    assert summarise.verdicts(me, plan)[READY].reason == "RetiringOldName"
    carry_out(harness, plan)
    me = harness.written(me, plan)
    plan = harness.plan(me)
    assert plan.owed == ()
    assert [a.public_ip for a in plan.addresses] == [new.public_ip]


def test_a_ptr_is_read_again_before_it_is_reset() -> None:
    """On an old reading a stranger's PTR would go with it: AWS resets whatever is there."""
    harness = PlannerHarness()
    old, new = harness.eip(1), harness.eip(2, HOST)
    me = edited(converged(harness, old, new), (new,))
    deleted = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z"))
    read: dict[str, float] = {}
    harness.book.ptr = lambda _, allocation_id: Fact(  # type: ignore[method-assign]
        harness.book.eips[allocation_id].ptr, read.get(allocation_id, harness.now)
    )
    for told in (me, deleted):
        harness.memories.clear()
        read[old.allocation_id] = harness.now - harness.settings.gate_seconds - 1
        plan = harness.plan(told)
        assert plan.action is None or plan.action.allocation_id == new.allocation_id
        assert [n for n in plan.needs if isinstance(n, NeedPtr)] == [
            NeedPtr(REGION, old.allocation_id, harness.now - harness.settings.gate_seconds)
        ]
        read.clear()
        plan = harness.plan(told)
        assert isinstance(plan.action, ResetPtr)
        assert plan.action.allocation_id == old.allocation_id


def leaving(harness: PlannerHarness) -> tuple[MailEgress, Eip]:
    """Right with a new EIP; the status still tells of the PTR of the old one, which stands in no record any more."""
    old, new = harness.eip(1), harness.eip(2)
    me = edited(converged(harness, old), (new,))
    harness.records.put(HOST, [new.public_ip], mine())
    harness.publish(HOST)
    harness.set_ptr(new, HOST)
    return me, old


def test_a_name_that_another_object_took_over_keeps_its_ptr() -> None:
    """Observed: no mark of ours says that the name is still ours."""
    harness = PlannerHarness()
    me, old = leaving(harness)
    assert isinstance(harness.plan(me).action, ResetPtr)
    harness.records.put(HOST, [old.public_ip], mine(OTHER_UID))
    harness.take(obj(HOST, [old], uid=OTHER_UID))
    observed = parse_object(
        body(HOST, [{"allocationID": "eipalloc-00000002"}], forward={"management": "Observed"}, generation=2)
    )
    harness.memories.clear()
    plan = harness.plan(replace(observed, status=me.status))
    assert not isinstance(plan.action, ResetPtr)
    assert not any("203.0.113.1" in text for text in plan.owed)


def test_an_address_stays_written_down_until_its_ptr_write_is_answered() -> None:
    harness = PlannerHarness()
    me, old = leaving(harness)
    harness.set_ptr(old, None)
    assert old.public_ip not in [a.public_ip for a in harness.plan(me).addresses]
    for phase in (WritePhase.IN_FLIGHT, WritePhase.UNKNOWN):
        harness.ptrs.states[old.allocation_id] = WriteState(phase, 1.0)
        plan = harness.plan(me)
        assert old.public_ip in [a.public_ip for a in plan.addresses], phase
        assert old.public_ip not in plan.public_ips, "it has no part in the name"
