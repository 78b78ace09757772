"""Planning changes of what exists: swap, rename, drift, loss, claims."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.conditions import ACCEPTED, FORWARD_READY, READY, REVERSE_READY
from mailegress.api.status import PtrOrigin
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, Eip, Ptr, RecordSet, Verb
from mailegress.model.facts import Fact, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import ChangeRecords, NeedPtr, ResetPtr, SetPtr
from tests.support.planned import HOST, NEW, carry_out, converged, edited, values
from tests.support.planner import OTHER_UID, REGION, UID, ZONE, Desk, body, mine, obj, verdict


def test_a_swap_is_union_then_ptr_then_reset_then_shrink() -> None:
    desk = Desk()
    old, new = desk.eip(1), desk.eip(2)
    me = edited(converged(desk, old), (new,))
    seen = []
    for _ in range(8):
        plan = desk.plan(me)
        me = desk.written(me, plan)
        if plan.action is None:
            break
        seen.append(plan.action)
        carry_out(desk, plan)
    kinds = [type(a) for a in seen]
    assert kinds == [ChangeRecords, SetPtr, ResetPtr, ChangeRecords]
    assert desk.records.views[(ZONE.id, HOST)].records[0].values == (new.public_ip,)
    first = seen[0]
    assert isinstance(first, ChangeRecords)
    assert first.changes[1].record_set.values == (old.public_ip, new.public_ip)


def test_a_rename_makes_before_it_breaks_and_waits_for_receivers() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = edited(converged(desk, eip), (eip,), NEW)
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.hostname == NEW
    carry_out(desk, plan)
    me = desk.written(me, plan)
    plan = desk.plan(me)
    assert isinstance(plan.action, SetPtr)
    carry_out(desk, plan)
    me = desk.written(me, plan)
    me = desk.written(me, desk.plan(me))
    plan = desk.plan(me)
    assert plan.action is None, "receivers may still hold the old PTR"
    assert plan.owed
    found = summarise.verdicts(me, plan)
    assert (found[READY].status, found[READY].reason) == ("True", "RetiringOldName")
    desk.now += desk.settings.ptr_ttl_seconds + 1
    desk.book.at = desk.records.at = desk.dns.at = desk.now
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.hostname == HOST
    assert {(c.verb, c.record_set.type) for c in plan.action.changes} == {
        (Verb.DELETE, "A"),
        (Verb.DELETE, "TXT"),
    }


def test_a_foreign_ptr_keeps_one_address_out_and_the_others_in() -> None:
    desk = Desk()
    good, foreign = desk.eip(1), desk.eip(2, "somebody.example.org")
    plan = desk.plan(obj(HOST, [good, foreign]))
    assert values(plan) == (good.public_ip,)
    assert verdict(plan, REVERSE_READY).reason == "PTRConflict"


def test_a_joined_address_is_healed_and_then_contested() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    for _ in range(desk.settings.heals_per_hour):
        desk.set_ptr(eip, "thief.example.org")
        plan = desk.plan(me)
        assert isinstance(plan.action, SetPtr)
        assert plan.action.heal
        desk.memories[UID].ptrs.repairs.record(eip.allocation_id, desk.now, None)
    plan = desk.plan(me)
    assert plan.action is None
    assert verdict(plan, REVERSE_READY).reason == "PTRContested"
    assert plan.wait <= 3600


def test_a_lost_address_leaves_the_record_at_once() -> None:
    desk = Desk()
    one, two = desk.eip(1), desk.eip(2)
    me = converged(desk, one, two)
    del desk.book.eips[two.allocation_id]
    assert desk.plan(me).action is None, "missing once proves nothing"
    desk.book.absences[two.allocation_id] = Absence.MASS
    assert desk.plan(me).action is None, "a mass loss is not believed"
    desk.book.absences[two.allocation_id] = Absence.LOST
    assert values(desk.plan(me)) == (one.public_ip,)


def test_a_selector_that_resolves_to_none_holds_its_last_addresses() -> None:
    desk = Desk()
    eip = desk.eip(1, instance_id="i-0123456789abcdef0")
    desk.set_ptr(eip, HOST)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    me = parse_object(body(HOST, [{"instanceID": "i-0123456789abcdef0"}]))
    me = desk.written(me, desk.plan(me))
    desk.book.eips[eip.allocation_id] = replace(desk.book.eips[eip.allocation_id], instance_id="")
    plan = desk.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "AddressNotFound"


def test_the_older_object_wins_and_the_loser_is_not_told_who() -> None:
    desk = Desk()
    eip = desk.eip(1)
    other = desk.eip(2)
    desk.take(obj(HOST, [eip], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    plan = desk.plan(obj(HOST, [other]))
    found = verdict(plan, ACCEPTED)
    assert plan.action is None
    assert found.reason == "HostnameConflict"
    assert "meg-2" not in found.message


def test_the_holder_of_the_mark_beats_age() -> None:
    desk = Desk()
    eip, other = desk.eip(1), desk.eip(2)
    desk.take(obj(HOST, [other], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    me = converged(desk, eip)
    assert verdict(desk.plan(me), ACCEPTED).ok


def test_claims_are_not_judged_before_the_marks_are_read() -> None:
    """At a restart the younger holder must not be told that it lost."""
    desk = Desk()
    eip, other = desk.eip(1), desk.eip(2)
    desk.take(obj(HOST, [other], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    me = converged(desk, eip)
    desk.memories.clear()
    desk.zones.zones = None
    plan = desk.plan(me)
    assert summarise.verdicts(me, plan)[READY].ok
    desk.zones.zones = (ZONE,)
    desk.records.unread.add(HOST)
    plan = desk.plan(me)
    assert summarise.verdicts(me, plan)[READY].ok
    assert plan.action is None


def test_a_foreign_record_that_took_the_place_of_ours_is_not_overwritten() -> None:
    """A and mark deleted, another A put there: what we remember gives no right to it."""
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.plan(me)
    desk.records.put(HOST, ["198.51.100.9"])
    plan = desk.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_a_deleted_mark_is_restored_as_it_was() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.plan(me)
    desk.records.put(HOST, [eip.public_ip])
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    [change] = plan.action.changes
    assert change.record_set.values[0].startswith('"meg1 c ')


def test_a_cname_in_the_place_of_our_record_is_a_conflict() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    view = desk.records.views[(ZONE.id, HOST)]
    desk.records.views[(ZONE.id, HOST)] = replace(
        view, records=(RecordSet(HOST, "CNAME", 60, ("x.example.org",)),)
    )
    plan = desk.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_whose_a_ptr_is_stays_written_down_while_nothing_is_read() -> None:
    """A new process, and the selector written another way meanwhile."""
    desk = Desk()
    eip = desk.eip(1, HOST)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    me = converged(desk, eip)
    adopted = replace(me.status.addresses[0], ptr_origin=PtrOrigin.ADOPTED)
    spec = parse_object(body(HOST, [{"publicIP": eip.public_ip}])).spec
    me = replace(
        me,
        spec=spec,
        meta=replace(me.meta, generation=2),
        status=replace(me.status, addresses=(adopted,)),
    )
    desk.memories.clear()
    desk.records.put(HOST, (), mine())
    desk.book.at = None
    me = desk.written(me, desk.plan(me))
    desk.book.at = 0.0
    plan = desk.plan(me)
    assert [(a.allocation_id, a.ptr_origin) for a in plan.addresses] == [
        (eip.allocation_id, PtrOrigin.ADOPTED)
    ]


def test_under_our_own_mark_a_ptr_is_ours_also_when_somebody_took_the_record_away() -> None:
    desk = Desk()
    eip = desk.eip(1, HOST)
    desk.records.put(HOST, (), mine())
    assert desk.plan(obj(HOST, [eip])).addresses[0].ptr_origin is PtrOrigin.MANAGED
    desk.records.put(HOST, (), mine(adopted=True))
    assert desk.plan(obj(HOST, [eip])).addresses[0].ptr_origin is PtrOrigin.ADOPTED


def test_the_ptr_of_an_address_that_no_record_tells_of_is_reset_when_its_successor_is_right() -> None:
    """Taken out of the spec, and out of the record by somebody else, while AWS was setting it."""
    desk = Desk()
    old, new = desk.eip(1), desk.eip(2)
    desk.records.put(HOST, [old.public_ip], mine())
    desk.publish(HOST)
    me = obj(HOST, [old])
    me = desk.written(me, desk.plan(me))
    desk.eip(1, Ptr(None, HOST, "PENDING"))
    desk.records.put(HOST, (), mine())
    me = edited(me, (new,))
    plan = desk.plan(me)
    assert [(a.public_ip, a.ptr_origin) for a in plan.addresses if a.ptr_origin] == [
        (old.public_ip, PtrOrigin.MANAGED)
    ], "it stays written down"
    assert isinstance(plan.action, ChangeRecords), "first the new one"
    me = desk.written(me, plan)
    desk.records.put(HOST, [new.public_ip], mine())
    desk.publish(HOST)
    desk.set_ptr(old, HOST)
    desk.set_ptr(new, HOST)
    plan = desk.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.allocation_id == old.allocation_id
    assert summarise.verdicts(me, plan)[READY].reason == "RetiringOldName"
    carry_out(desk, plan)
    me = desk.written(me, plan)
    plan = desk.plan(me)
    assert plan.owed == ()
    assert [a.public_ip for a in plan.addresses] == [new.public_ip]


def test_a_ptr_is_read_again_before_it_is_reset() -> None:
    """On an old reading a stranger's PTR would go with it: AWS resets whatever is there."""
    desk = Desk()
    old, new = desk.eip(1), desk.eip(2, HOST)
    me = edited(converged(desk, old, new), (new,))
    deleted = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z"))
    read: dict[str, float] = {}
    desk.book.ptr = lambda _, allocation_id: Fact(  # type: ignore[method-assign]
        desk.book.eips[allocation_id].ptr, read.get(allocation_id, desk.now)
    )
    for told in (me, deleted):
        desk.memories.clear()
        read[old.allocation_id] = desk.now - desk.settings.gate_seconds - 1
        plan = desk.plan(told)
        assert plan.action is None or plan.action.allocation_id == new.allocation_id
        assert [n for n in plan.needs if isinstance(n, NeedPtr)] == [
            NeedPtr(REGION, old.allocation_id, desk.now - desk.settings.gate_seconds)
        ]
        read.clear()
        plan = desk.plan(told)
        assert isinstance(plan.action, ResetPtr)
        assert plan.action.allocation_id == old.allocation_id


def leaving(desk: Desk) -> tuple[MailEgress, Eip]:
    """Right with a new EIP; the status still tells of the PTR of the old one, which stands in no record any more."""
    old, new = desk.eip(1), desk.eip(2)
    me = edited(converged(desk, old), (new,))
    desk.records.put(HOST, [new.public_ip], mine())
    desk.publish(HOST)
    desk.set_ptr(new, HOST)
    return me, old


def test_a_name_that_another_object_took_over_keeps_its_ptr() -> None:
    """Observed: no mark of ours says that the name is still ours."""
    desk = Desk()
    me, old = leaving(desk)
    assert isinstance(desk.plan(me).action, ResetPtr)
    desk.records.put(HOST, [old.public_ip], mine(OTHER_UID))
    desk.take(obj(HOST, [old], uid=OTHER_UID))
    observed = parse_object(
        body(HOST, [{"allocationID": "eipalloc-00000002"}], forward={"management": "Observed"}, generation=2)
    )
    desk.memories.clear()
    plan = desk.plan(replace(observed, status=me.status))
    assert not isinstance(plan.action, ResetPtr)
    assert not any("203.0.113.1" in text for text in plan.owed)


def test_an_address_stays_written_down_until_its_ptr_write_is_answered() -> None:
    desk = Desk()
    me, old = leaving(desk)
    desk.set_ptr(old, None)
    assert old.public_ip not in [a.public_ip for a in desk.plan(me).addresses]
    for phase in (WritePhase.IN_FLIGHT, WritePhase.UNKNOWN):
        desk.ptrs.states[old.allocation_id] = WriteState(phase, 1.0)
        plan = desk.plan(me)
        assert old.public_ip in [a.public_ip for a in plan.addresses], phase
        assert old.public_ip not in plan.public_ips, "it has no part in the name"
