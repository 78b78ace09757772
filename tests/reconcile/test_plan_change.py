"""Planning changes of what is: swap, rename, adoption, drift, loss, deletion, claims."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.conditions import ACCEPTED, FORWARD_READY, READY, REVERSE_READY
from mailegress.api.status import PtrOrigin
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, Eip, Ptr, RecordSet, Verb
from mailegress.model.facts import Fact, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import ChangeRecords, NeedPtr, Plan, RemoveFinalizer, ResetPtr, SetPtr
from tests.support.planner import OTHER_UID, REGION, UID, ZONE, Desk, body, mine, obj, recorded, verdict

HOST, NEW = "mta.example.com", "out.example.com"


def converged(desk: Desk, *eips: Eip, host: str = HOST, **more: object) -> MailEgress:
    """An object that was Ready with these EIPs, its status written."""
    for eip in eips:
        desk.set_ptr(eip, host)
    desk.records.put(host, [e.public_ip for e in eips], mine())
    desk.publish(host)
    me = obj(host, eips, **{"status": recorded(host), **more})
    return desk.written(me, desk.plan(me))


def edited(me: MailEgress, eips: tuple[Eip, ...], host: str = HOST) -> MailEgress:
    """The same object with another spec, one generation on."""
    spec = obj(host, eips).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=me.meta.generation + 1))


def values(plan: Plan) -> tuple[str, ...]:
    """The A values that the step would create."""
    assert isinstance(plan.action, ChangeRecords)
    return next(
        (
            c.record_set.values
            for c in plan.action.changes
            if c.verb is Verb.CREATE and c.record_set.type == "A"
        ),
        (),
    )


def carry_out(desk: Desk, plan: Plan) -> None:
    """Let the write take effect at once, in Route 53 and DNS, or in EC2."""
    match plan.action:
        case ChangeRecords(zone_id, hostname, changes, _):
            desk.records.apply(zone_id, hostname, changes)
            desk.publish(hostname)
        case SetPtr(_, allocation_id, _, hostname, _):
            desk.set_ptr(desk.book.eips[allocation_id], hostname)
        case ResetPtr(_, allocation_id, _, _):
            desk.set_ptr(desk.book.eips[allocation_id], None)
        case _:
            raise AssertionError(f"nothing to carry out: {plan}")


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


def test_a_renamed_adopted_record_stays() -> None:
    """Of an old name that was adopted only the mark goes."""
    desk = Desk()
    eip = desk.eip(1, NEW)
    desk.records.put(HOST, [eip.public_ip], mine(adopted=True))
    desk.records.put(NEW, [eip.public_ip], mine())
    desk.publish(NEW)
    me = obj(NEW, [eip])
    desk.plan(me)
    desk.plan(me)
    desk.now += 1000
    desk.book.at = desk.records.at = desk.dns.at = desk.now
    plan = desk.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert [(c.verb, c.record_set.type) for c in plan.action.changes] == [(Verb.DELETE, "TXT")]


def test_adoption_writes_the_mark_alone() -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], ttl=77)
    plan = desk.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, ChangeRecords)
    [change] = plan.action.changes
    assert (change.verb, change.record_set.type) == (Verb.CREATE, "TXT")
    assert change.record_set.values[0].startswith('"meg1 a ')


def test_adoption_never_is_a_conflict_and_writes_nothing() -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip])
    plan = desk.plan(obj(HOST, [eip], adoption="Never"))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordNotAdopted"


def test_the_first_change_of_an_adopted_set_makes_it_ours() -> None:
    desk = Desk()
    one, two = desk.eip(1), desk.eip(2)
    desk.records.put(HOST, [one.public_ip], mine(adopted=True))
    plan = desk.plan(obj(HOST, [one, two]))
    assert isinstance(plan.action, ChangeRecords)
    marks = [c.record_set.values[0] for c in plan.action.changes if c.record_set.type == "TXT"]
    assert marks[0].startswith('"meg1 a ')
    assert marks[1].startswith('"meg1 c ')


def test_the_origin_of_a_ptr_is_written_down_before_it_is_set_under_an_adopted_record() -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine(adopted=True))
    desk.publish(HOST)
    plan = desk.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, SetPtr)
    assert plan.addresses[0].ptr_origin == "Managed"


def test_an_adopted_ptr_is_left_on_deletion() -> None:
    desk = Desk()
    eip = desk.eip(1, HOST)
    desk.records.put(HOST, [eip.public_ip], mine(adopted=True))
    desk.publish(HOST)
    me = obj(HOST, [eip])
    me = desk.written(me, desk.plan(me))
    assert me.status.addresses[0].ptr_origin == "Adopted"
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    plan = desk.plan(gone)
    assert isinstance(plan.action, ChangeRecords)
    assert [c.record_set.type for c in plan.action.changes] == ["TXT"]


def test_an_orphan_mark_is_taken_over_only_with_the_wanted_values() -> None:
    desk = Desk()
    eip, other = desk.eip(1), desk.eip(2)
    desk.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    plan = desk.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, ChangeRecords)
    assert {c.record_set.type for c in plan.action.changes} == {"TXT"}
    desk = Desk()
    desk.eip(1), desk.eip(2)
    desk.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    plan = desk.plan(obj(HOST, [other]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


def test_another_operators_mark_is_a_conflict() -> None:
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine(OTHER_UID, owner="cluster-b"))
    plan = desk.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "RecordConflict"


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


def test_deletion_resets_ptrs_then_removes_records_then_lets_go() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    me = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    seen = []
    for _ in range(4):
        plan = desk.plan(me)
        seen.append(type(plan.action))
        if isinstance(plan.action, RemoveFinalizer):
            break
        carry_out(desk, plan)
    assert seen == [ResetPtr, ChangeRecords, RemoveFinalizer]
    assert desk.records.views[(ZONE.id, HOST)].records == ()


def test_deletion_reads_first_what_it_cannot_remember() -> None:
    """A status that does not fit and a past this process did not see: zones are swept before the finalizer goes."""
    desk = Desk()
    eip = desk.eip(1)
    desk.records.swept = False
    me = obj(HOST, [eip], deleting=True)
    assert not isinstance(desk.plan(me).action, RemoveFinalizer)
    desk.records.swept = True
    assert isinstance(desk.plan(me).action, RemoveFinalizer)


def test_retain_lets_go_without_a_look() -> None:
    desk = Desk()
    desk.book.at = None
    desk.zones.zones = None
    eip = Eip("eipalloc-00000001", "203.0.113.1", "", REGION)
    plan = desk.plan(obj(HOST, [eip], deleting=True, deletionPolicy="Retain"))
    assert isinstance(plan.action, RemoveFinalizer)
    assert plan.needs == ()


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


def test_a_ptr_of_ours_is_reset_even_if_the_zone_is_gone() -> None:
    """The mark that was read in a zone that is deleted is still nobody else's."""
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.zones.zones = ()
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(desk.plan(gone).action, ResetPtr)


def test_a_deleted_object_leaves_the_ptr_of_whoever_took_the_name_over() -> None:
    desk = Desk()
    eip = desk.eip(1)
    me = converged(desk, eip)
    desk.take(obj(HOST, [eip], uid=OTHER_UID))
    desk.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    gone = replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=2))
    assert isinstance(desk.plan(gone).action, RemoveFinalizer)


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
