"""Former hostnames, former zones and former addresses: kept until their successors are verified, then removed.

Make before break (S3): the new record is returned everywhere and the PTRs show the new hostname, before the old PTRs
are reset (S4), and before the old record is removed when caches cannot hold the old PTR any more. What a former process
may have left is searched for once (E2). Lost addresses leave former records first of all (S2).
"""

from __future__ import annotations

from collections.abc import Iterable

from mailegress.api.status import Origin
from mailegress.api.types import Management
from mailegress.model.aws import Eip, NameView
from mailegress.model.ownership import Mark
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import ChangeRecords, NeedAuthorities, NeedName, NeedSweep
from mailegress.reconcile.rules import policy, unseen
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.adoption import added_by_others, changed_by_others
from mailegress.reconcile.rules.claims import taken_over
from mailegress.reconcile.rules.leaving import leaving, missing, unread
from mailegress.reconcile.rules.ownership_check import own_mark, vouched
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import PtrState, reset
from mailegress.reconcile.rules.record_changes import changed, remove, simple_a, without, writing
from mailegress.reconcile.rules.targets import Targets


def retire(
    observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState, reverse: PtrState
) -> tuple[str, ...]:
    """Look after what is owned elsewhere and remove it when its successor is proved; what is still owed comes back.

    Make before break: new A, visible, PTRs switched and confirmed, the old PTR's TTL passed, then the old A goes.
    """
    hostname = observed.obj.spec.hostname
    managed = observed.obj.spec.forward.management is Management.MANAGED
    current = (forward.zone.id, hostname) if managed and forward.zone is not None else None
    owed: list[str] = []
    listed = {zone.id for zone in observed.views.zones.get().value or () if zone.editable}
    written = {(p.zone_id, p.hostname) for p in observed.obj.records_in_status() if p.zone_id in listed}
    # Another process may have written a record since it was read, and the status tells of it.
    told_at = observed.memory.ptrs.told_at
    for zone_id, name in sorted({*observed.owned(), *written}):
        if (zone_id, name) == current or (managed and current is None and name == hostname):
            continue
        fact = observed.views.records.get(zone_id, name)
        mark = own_mark(observed, zone_id, fact.value) if fact.value is not None else None
        if fact.value is None or (mark is None and not fact.fresh(told_at)):
            builder.need(NeedName(zone_id, name, told_at))
            owed.append(f"{name} (zone {zone_id}) is being read")
            continue
        if mark is None:
            continue
        owed.append(_retire_one(observed, builder, targets, forward, reverse, zone_id, fact.value, mark))
    return (*owed, *_strays(observed, builder, targets, forward, reverse))


def withdraw_lost(
    observed: Observed, builder: PlanBuilder, targets: Targets, *, everywhere: bool = False
) -> None:
    """Take lost addresses out of former names before anything else is written: they may be a third party's by now.

    The record of ``spec.hostname`` is compared with what is wanted next, and loses them there; not so under
    ``suspend``, or ``everywhere`` for a refused object, where nothing but the lost addresses may change.
    """
    current = None if everywhere or observed.obj.spec.suspend else observed.obj.spec.hostname
    if not targets.lost:
        return
    for zone_id, name in observed.owned():
        view = observed.views.records.get(zone_id, name).value
        mark = own_mark(observed, zone_id, view) if view is not None else None
        if name == current or view is None or mark is None:
            continue
        if not writing(observed, builder, zone_id, name):
            _withdraw(observed, builder, targets, zone_id, view, mark)


def keep_equal(observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState) -> None:
    """Give the record that the hostname still has in a former zone the values of the present one.

    Resolvers that follow the former delegation see it. An address whose PTR shows the hostname stays in it until that
    PTR is reset. An adopted record stays as it was found.
    """
    s, hostname = observed, observed.obj.spec.hostname
    if forward.zone is None or not (forward.mine and forward.complete):
        return
    for zone_id, name in s.owned():
        fact = s.views.records.get(zone_id, name)
        view = fact.value
        if name != hostname or zone_id == forward.zone.id or view is None:
            continue
        mark, simple = own_mark(s, zone_id, view), simple_a(view)
        if mark is None or simple is None or mark.adopted or writing(s, builder, zone_id, name):
            continue
        gone = set(simple.values) - forward.values - targets.lost
        old = leaving(s, builder, targets, gone, hostname, fact.at)
        if old.reading is not None:
            continue
        # What no policy allows in this zone stays where it is, and does not come into it.
        eips = (*targets.wanted.values(), *targets.refused.values())
        barred = policy.barred_in(s, zone_id, eips) - set(simple.values)
        new = forward.values - barred
        values = (new | old.stay) - targets.lost
        if values and values != set(simple.values):
            before, after = dns_checks.listing(simple.values), dns_checks.listing(values)
            why = f"change A from {before} to {after} in former zone {zone_id}"
            builder.act(ChangeRecords(zone_id, name, changed(s, view, simple, mark, values), why))


def _serves(observed: Observed, view: NameView, mark: Mark) -> bool:
    """Do resolvers that follow the former delegation need this record, which would be deleted?"""
    managed = observed.obj.spec.forward.management is Management.MANAGED
    same = managed and view.hostname == observed.obj.spec.hostname
    return same and simple_a(view) is not None and not mark.adopted


def _unread(observed: Observed, zone_id: str) -> str:
    """Why the record in a former zone stays while this process has not read the parent."""
    hostname = observed.obj.spec.hostname
    fault = observed.views.dns.authorities(hostname).fault
    why = f": {fault.message.removesuffix('.')}" if fault is not None else ""
    return f"{hostname} is kept in former zone {zone_id} until the NS TTL at the parent of the new zone is read{why}"


def _waits(observed: Observed, builder: PlanBuilder, zone_id: str, forward: RecordState) -> str:
    """Why the record in a former zone stays although the present one is verified; empty if it may go."""
    s, known, zone = observed, forward.delegated, forward.zone
    if zone is None or known is None or known.zone_id != zone.id:
        builder.need(NeedAuthorities(s.obj.spec.hostname, s.now))
        return _unread(s, zone_id)
    if s.now >= known.until:
        return ""
    builder.later(known.until - s.now)
    return (
        f"{s.obj.spec.hostname} is kept in former zone {zone_id} for {known.hold} seconds after the delegation to zone "
        f"{zone.id} was first read, because resolvers may cache the parent's former NS records for that long"
    )


def _withdraw(
    observed: Observed, builder: PlanBuilder, targets: Targets, zone_id: str, view: NameView, mark: Mark
) -> frozenset[str]:
    """Propose the record without lost addresses; those that are to go come back."""
    simple = simple_a(view)
    lost = frozenset(simple.values) & targets.lost if simple else frozenset()
    if simple is None or not lost or not vouched(observed, zone_id, view):
        return frozenset()
    if not (shrunk := without(observed, view, simple, mark, lost)):
        return frozenset()
    why = f"take lost addresses {dns_checks.listing(lost)} out of {view.hostname}"
    builder.act(ChangeRecords(zone_id, view.hostname, shrunk, why, urgent=True, only_lost=True))
    return lost


def _strays(
    observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState, reverse: PtrState
) -> list[str]:
    """PTRs that we set at EIPs which the spec does not name any more, and which stand in no record that would tell."""
    s, hostname, names = observed, observed.obj.spec.hostname, observed.ptr_names()
    owed: list[str] = []
    for entry in s.recorded():
        eip = targets.find(s, entry.public_ip or "")
        if eip is None and entry.allocation_id not in targets.wanted:
            hidden = unseen.address(s, builder, entry)
            # What was not read yet by this process is no news.
            if hidden is not None and (targets.known or not hidden.waits):
                owed.append(hidden.finding.message.removesuffix("."))
            continue
        if (
            eip is None
            or eip.allocation_id in targets.wanted
            or eip.allocation_id in targets.refused
            or eip.allocation_id != entry.allocation_id
            or eip.public_ip in forward.wanted
            or entry.ptr_origin is not Origin.MANAGED
            or changed_by_others(s, entry, eip)
        ):
            continue
        for name in sorted(names & {eip.ptr.name, eip.ptr.update}):
            if taken_over(s, name, eip.public_ip):
                continue
            if not (targets.known and forward.finding.ok and reverse.settled):
                owed.append(f"the PTR of {eip.public_ip} is kept until {hostname} is verified")
            elif reset(s, builder, eip, name) is not None:
                owed.append(f"the PTR of {eip.public_ip} is being reset")
    return owed


def points_here(observed: Observed, eip: Eip) -> bool:
    """Does the PTR show a name of ours, or is it not known yet what became of our write to it?"""
    if observed.ptr_names() & {eip.ptr.name, eip.ptr.update}:
        return True
    return observed.ptr_under_way(eip.region, eip.allocation_id)


def _retire_one(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    forward: RecordState,
    reverse: PtrState,
    zone_id: str,
    view: NameView,
    mark: Mark,
) -> str:
    s, hostname, name = observed, observed.obj.spec.hostname, view.hostname
    handed_over = s.obj.spec.forward.management is not Management.MANAGED and name == hostname
    # The same words before and while it is written; the zone tells it from the record that is right.
    going = (
        f"the ownership record of {name} is being removed"
        if handed_over
        else f"the former record of {name} in zone {zone_id} is being removed"
    )
    if blocked := writing(observed, builder, zone_id, name):
        write = s.views.zone_writes.state(zone_id, name)
        return going if write is not None and write.busy else blocked
    simple = simple_a(view)
    if lost := _withdraw(observed, builder, targets, zone_id, view, mark):
        return f"{name} loses {dns_checks.listing(lost)}"
    if handed_over and s.external and not (forward.finding.ok and reverse.settled):
        return f"the ownership record of {name} is kept until the record of the DNSEndpoint is verified"
    if handed_over:
        builder.act(
            ChangeRecords(
                zone_id,
                name,
                remove(view, mark, keep_record=True),
                f"hand over {name}: remove the ownership record",
            )
        )
        return going
    held = _serves(s, view, mark)
    if not (forward.finding.ok and reverse.settled):
        _restore(s, builder, targets, zone_id, view, mark)
        return _until_verified(s, builder, forward, zone_id, name, held=held)
    addresses = simple.values if simple is not None else ()
    if name != hostname and (text := in_use(s, builder, targets, reverse, name, addresses)):
        return text
    if held and (text := _waits(s, builder, zone_id, forward)):
        return text
    if not mark.adopted and (text := ptrs_unread(s, builder, targets, name, addresses, going)):
        return text
    builder.act(ChangeRecords(zone_id, name, remove(view, mark), f"retire {name}"))
    return going


def _restore(
    observed: Observed, builder: PlanBuilder, targets: Targets, zone_id: str, view: NameView, mark: Mark
) -> None:
    """Put an address whose PTR shows a former hostname back into its A record, which somebody changed or removed."""
    s, name, simple = observed, view.hostname, simple_a(view)
    foreign = simple is None and bool(view.of_type("A") or view.of_type("CNAME"))
    if mark.adopted or name == s.obj.spec.hostname or foreign:
        return
    present = frozenset(simple.values) if simple is not None else frozenset()
    if lacking := missing(s, targets, name, zone_id, present):
        why = f"put {dns_checks.listing(lacking)} back into the A record of {name}"
        builder.act(ChangeRecords(zone_id, name, changed(s, view, simple, mark, present | lacking), why))


def _until_verified(
    observed: Observed, builder: PlanBuilder, forward: RecordState, zone_id: str, name: str, *, held: bool
) -> str:
    """The former record stays until its successor is verified. All servers are asked before it is given up."""
    s, hostname = observed, observed.obj.spec.hostname
    if forward.finding.inconclusive:
        # In idle times one server at a time is asked; to give up the old name all must have been.
        floor = max(s.memory.first_seen, s.memory.edits.request_at)
        builder.have(s.views.dns.authorities(hostname), floor, NeedAuthorities(hostname, floor))
        if held:
            return _unread(s, zone_id)
    where = f" in zone {zone_id}" if name == hostname else ""
    return f"{name}{where} is kept until {hostname} is verified"


def in_use(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    reverse: PtrState,
    name: str,
    addresses: Iterable[str],
) -> str:
    """Why a former hostname stays: a PTR shows it, or receivers may still hold one that did. Empty: it may go.

    After a PTR was switched, receivers may hold the old one for ``--ptr-ttl-seconds``.
    """
    s = observed
    for address in sorted(addresses):
        eip = targets.find(s, address)
        if eip is None and (hidden := unseen.holding(s, builder, address)) is not None:
            return f"{name} stays: {hidden.finding.message.removesuffix('.')}"
        if eip is not None and s.ptr_under_way(eip.region, eip.allocation_id):
            return f"{name} stays until the PTR of {address} is known"
        if eip is None or name not in (eip.ptr.name, eip.ptr.update) or added_by_others(s, eip, name):
            continue
        step = reset(s, builder, eip, name)
        if step is not None:
            return step.message.removesuffix(".")
    if name in s.memory.ptrs.ptr_seen_for or not s.memory.ownership.complete:
        due = reverse.switched_at + s.settings.ptr_ttl_seconds
        if s.now < due:
            builder.later(due - s.now)
            return f"{name} is kept while receivers may cache the old PTR"
    return ""


def ptrs_unread(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    name: str,
    addresses: Iterable[str],
    reading: str,
) -> str:
    """Why a record stays: the PTR of one of its addresses was not read just now; ``reading`` while it is read."""
    for address in sorted(addresses):
        eip = targets.find(observed, address)
        if eip is not None and (why := unread(observed, builder, eip)) is not None:
            return reading if why.waits else f"{name} stays: {why.finding.message.removesuffix('.')}"
    return ""


def search(observed: Observed, builder: PlanBuilder) -> tuple[str, ...]:
    """An object that may own more than its spec names, and whose past this process did not see, costs one sweep.

    Until then its status must not say that nothing is owed: the next process would believe it.
    """
    if observed.searched():
        return ()
    builder.need(NeedSweep())
    return ("the hosted zones are searched for other names of this object",)
