"""Deletion: the PTRs are reset and seen to be gone, then the records are removed, then the finalizer (S5, S8, E5).

``deletionPolicy: Retain`` leaves all records and PTRs in place: the finalizer is removed at once. Adopted records and
PTRs are left in place in any case (S2).
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.api.names import is_within
from mailegress.api.status import Origin
from mailegress.api.types import DeletionPolicy, Management
from mailegress.model.aws import Eip, NameView
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    ChangeRecords,
    Finding,
    NeedName,
    NeedRegion,
    NeedSweep,
    NeedZones,
    Notice,
    Plan,
    PolicyReport,
    RemoveFinalizer,
    failed,
    from_fault,
    under_way,
)
from mailegress.reconcile.rules import (
    external_retire,
    finalizer,
    policy,
    ptr_write,
    status_fields,
    targets,
    unseen,
)
from mailegress.reconcile.rules.adoption import added_by_others, changed_by_others, made_before
from mailegress.reconcile.rules.claims import taken_over
from mailegress.reconcile.rules.leaving import unread
from mailegress.reconcile.rules.ownership_check import own_mark
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import pending_since
from mailegress.reconcile.rules.record_changes import remove, simple_a, writes_at, writing


def plan(observed: Observed) -> Plan:
    """One step of the clean-up, or the finalizer's removal once nothing that is ours can be left."""
    builder = PlanBuilder()
    obj = observed.obj
    if not finalizer.present(observed):
        return _step(observed, builder, None, settled=True)
    if (problem := policy.retain_problem(observed)) is not None:
        return _retain_refused(observed, builder, problem)
    if obj.spec.deletion_policy is DeletionPolicy.RETAIN:
        finalizer.remove(builder, "deletionPolicy is Retain: DNS records and PTRs are left in place")
        return _step(observed, builder, None)
    blocker = _clean(observed, builder)
    if blocker is None:
        builder.notices.extend(_left(observed))
        finalizer.remove(builder, "nothing of this object is left")
    return _step(observed, builder, blocker)


def _retain_refused(observed: Observed, builder: PlanBuilder, message: str) -> Plan:
    """Neither is anything left behind without the right, nor removed against the wish of the spec."""
    step = _step(observed, builder, None)
    blocked = failed(reasons.DELETION_BLOCKED, f"Deletion waits: {message}")
    return replace(
        step,
        findings=dict.fromkeys((ACCEPTED, FORWARD_READY, REVERSE_READY, RESOLVED), blocked)
        | {ACCEPTED: failed(reasons.RETAIN_NOT_ALLOWED, message)},
        policy_report=PolicyReport(reasons.RETAIN_NOT_ALLOWED.name),
    )


def _clean(observed: Observed, builder: PlanBuilder) -> Finding | None:
    blocker = _read(observed, builder)
    if blocker is not None:
        return blocker
    ptrs = _ptrs(observed, builder)
    if ptrs is not None:
        return ptrs
    # A record outlives every PTR that may still show its name.
    if hidden := unseen.addresses(observed, builder):
        return _blocked_by([it for _, it in hidden])
    records = _records(observed, builder)
    if records is not None:
        return records
    if (hidden_place := _blocked_by(_unseen_places(observed, builder))) is not None:
        return hidden_place
    return external_retire.clean(observed, builder)


def _blocked_by(hidden: list[unseen.Unseen]) -> Finding | None:
    """A lasting obstacle is reported before one that is still being read."""
    first = min(hidden, key=lambda it: it.waits, default=None)
    if first is None or not first.waits or first.finding.reason != reasons.PROGRESSING.name:
        return first.finding if first is not None else None
    return failed(reasons.DELETING, first.finding.message)


def _unseen_places(observed: Observed, builder: PlanBuilder) -> list[unseen.Unseen]:
    since = observed.memory.edits.deleting_at
    found = (unseen.place(observed, builder, where, since) for where in observed.obj.records_in_status())
    return [it for it in found if it is not None]


def _read(observed: Observed, builder: PlanBuilder) -> Finding | None:
    """Everything that could still be ours must have been read since the deletion was seen."""
    s = observed
    since = s.memory.edits.deleting_at
    zones = s.views.zones.get()
    if zones.value is None:
        builder.need(NeedZones(s.memory.first_seen))
        return from_fault(zones.fault) if zones.fault else _reading()
    if not s.searched():
        fault = s.views.records.all_swept().fault
        builder.need(NeedSweep())
        return from_fault(fault) if fault else _reading()
    listed = {z.id for z in zones.value if z.editable}
    places = {
        *s.owned(),
        *((p.zone_id, p.hostname) for p in s.obj.records_in_status() if p.zone_id in listed),
    }
    hostname = s.obj.spec.hostname
    fitting = [z for z in zones.value if z.editable and is_within(hostname, z.name)]
    longest = max((len(z.name) for z in fitting), default=0)
    named = {s.obj.spec.forward.hosted_zone_id, s.obj.status.zone.id if s.obj.status.zone else None}
    if s.obj.spec.forward.management is Management.MANAGED:
        places |= {(z.id, hostname) for z in fitting if len(z.name) == longest or z.id in named}
    for zone_id, name in sorted(places):
        fact = s.views.records.get(zone_id, name)
        if fact.value is None or not fact.fresh(since):
            if blocked := writing(s, builder, zone_id, name):
                write = s.views.zone_writes.state(zone_id, name)
                return _reading() if write is not None and write.busy else failed(reasons.DELETING, blocked)
            builder.need(NeedName(zone_id, name, since))
            if fact.fault is not None and fact.fault.reason == reasons.ZONE_NOT_FOUND.name:
                builder.have(zones, fact.tried_at, NeedZones(fact.tried_at))
            return from_fault(fact.fault) if fact.fault else _reading()
    for region in _regions(observed):
        fact_region = s.views.addresses.get(region)
        if not fact_region.fresh(since):
            builder.need(NeedRegion(region, since))
            return from_fault(fact_region.fault) if fact_region.fault else _reading()
    return None


def _reading() -> Finding:
    """One text for all readings: they follow each other within moments."""
    return failed(reasons.DELETING, "Reading what this object has in Route 53 and EC2.")


def _resetting(observed: Observed, *, earlier: str = "") -> Finding:
    """One text from before the first reset is sent until the last PTR is gone. ``earlier``: what comes before."""
    status = observed.obj.status
    names = (status.hostname or observed.obj.spec.hostname, *(f.hostname for f in status.former_records))
    name = " or ".join(dict.fromkeys(names))
    addresses = f" for {dns_checks.listing(status.public_ips)}" if status.public_ips else ""
    return failed(
        reasons.DELETING,
        f"Waiting until AWS shows no PTR {name}{addresses}; the A record is removed after that. {earlier}To let the "
        "object go at once and leave the DNS as it is, set spec.deletionPolicy to Retain.",
    )


def _earlier(observed: Observed, eip: Eip) -> str:
    """What AWS is still doing with a PTR."""
    since = pending_since(observed, eip)
    if eip.ptr.update is None and not since:
        return ""
    what = f"a change of the PTR of {eip.public_ip} to {eip.ptr.update or 'none'} is still in progress at AWS"
    when = f" (PENDING since at least {since})" if since else ""
    return f"{what[0].upper()}{what[1:]}{when}. "


def _regions(observed: Observed) -> tuple[str, ...]:
    """All regions if addresses are known only from a record, else those of the recorded EIPs."""
    book = observed.views.addresses
    named = {selector.region or book.regions[0] for selector in observed.obj.spec.elastic_ips}
    named |= {a.region for a in observed.recorded() if a.region}
    return tuple(r for r in book.regions if r in named or not observed.memory.ownership.complete)


def _candidates(observed: Observed) -> list[tuple[Eip, str, bool]]:
    """EIPs that may hold one of our names: (EIP, name, ours unless written down otherwise)."""
    s = observed
    found: dict[tuple[str, str], tuple[Eip, str, bool]] = {}
    views = [v for r in s.views.addresses.regions if (v := s.views.addresses.get(r).value) is not None]
    for zone_id, name in s.owned():
        fact = s.views.records.get(zone_id, name)
        view = fact.value
        mark = own_mark(s, zone_id, view) if view is not None else None
        simple = simple_a(view) if view is not None else None
        if mark is None or simple is None:
            continue
        for region in views:
            for address in simple.values:
                eip = region.by_ip(address)
                if eip is not None:
                    ours = not mark.adopted and not added_by_others(s, eip, name)
                    found[(eip.allocation_id, name)] = (eip, name, ours)
    for eip, name in _unrecorded(s):
        found[(eip.allocation_id, name)] = (eip, name, True)
    # Written down as set by us: also where the record is gone or never was ours (Observed).
    names = s.ptr_names()
    for entry in s.recorded():
        for region in views:
            recorded = region.eips.get(entry.allocation_id or "")
            if recorded is None or entry.ptr_origin is None or changed_by_others(s, entry, recorded):
                continue
            for name in names:
                # Once our mark is gone another object may have taken the name over; the PTR is then that object's.
                taken = taken_over(s, name, recorded.public_ip)
                if not taken and name in (recorded.ptr.name, recorded.ptr.update):
                    found[(recorded.allocation_id, name)] = (
                        recorded,
                        name,
                        entry.ptr_origin is Origin.MANAGED,
                    )
    return [found[key] for key in sorted(found)]


def _unrecorded(observed: Observed) -> list[tuple[Eip, str]]:
    """Selected EIPs, with the name, whose PTR is ours although no status tells of it: somebody deleted the status."""
    names = observed.own_names()
    return [
        (eip, name)
        for eip in targets.resolve(observed, PlanBuilder()).wanted.values()
        if observed.recorded_for(eip.allocation_id) is None
        for name in sorted(names & {eip.ptr.name, eip.ptr.update})
        if made_before(observed, eip, name)
    ]


def _ptrs(observed: Observed, builder: PlanBuilder) -> Finding | None:
    s = observed
    blocker: Finding | None = None
    for eip, name, ours in _candidates(s):
        recorded = s.recorded_for(eip.allocation_id)
        if recorded is not None and recorded.ptr_origin is not None:
            ours = recorded.ptr_origin is Origin.MANAGED
        write = s.views.ptr_writes.state(eip.region, eip.allocation_id)
        resetting = _resetting(s)
        sent = under_way(write, resetting)
        if (waiting := ptr_write.unsettled_write(s, builder, eip, sent, resetting)) is not None:
            blocker = blocker or waiting
            continue
        if not ours or name not in (eip.ptr.name, eip.ptr.update):
            continue
        changing = under_way(write, _resetting(s, earlier=_earlier(s, eip))) if eip.ptr.pending else sent
        found = ptr_write.reset(s, builder, eip, name, resetting, resetting, changing)
        blocker = found.finding if found.lasting else blocker or found.finding
    return blocker


def _left(observed: Observed) -> list[Notice]:
    """PTRs that nobody but AWS Support can take away."""
    s, hostname = observed, observed.obj.status.hostname or observed.obj.spec.hostname
    left: dict[str, list[str]] = {}
    for entry in s.recorded():
        view = (
            s.views.addresses.get(entry.region or "").value
            if entry.region in s.views.addresses.regions
            else None
        )
        if view is not None and not view.ptr_supported and entry.allocation_id in view.eips:
            left.setdefault(view.region, []).append(entry.public_ip or "")
    return [
        Notice(
            reasons.REVERSE_UNSUPPORTED.name,
            f"The PTR of {dns_checks.listing(addresses, 64)} is left in place: AWS has no API for it in {region}. "
            f"If it still shows {hostname}, ask AWS Support to remove it.",
        )
        for region, addresses in left.items()
    ]


def _removing(name: str) -> Finding:
    return failed(reasons.DELETING, f"No PTR is left; removing the records of {name} from Route 53.")


def _records(observed: Observed, builder: PlanBuilder) -> Finding | None:
    s = observed
    blocker: Finding | None = None
    for zone_id, name in s.owned():
        if blocked := writing(s, builder, zone_id, name):
            write = s.views.zone_writes.state(zone_id, name)
            busy = write is not None and write.busy
            blocker = blocker or under_way(
                write, _removing(name) if busy else failed(reasons.DELETING, blocked)
            )
            continue
        view = s.views.records.get(zone_id, name).value
        mark = own_mark(s, zone_id, view) if view is not None else None
        if view is None or mark is None:
            continue
        blocker = blocker or under_way(s.views.zone_writes.state(zone_id, name), _removing(name))
        if not mark.adopted and (why := _unread(s, builder, view)) is not None:
            blocker = blocker if why.waits else why.finding
            continue
        builder.act(ChangeRecords(zone_id, name, remove(view, mark), f"remove {name}"))
    # A claim that is on its way may still land.
    hostname = s.obj.spec.hostname
    if any(write.busy for write in writes_at(s, hostname)):
        blocker = blocker or _removing(hostname)
    return blocker


def _unread(observed: Observed, builder: PlanBuilder, view: NameView) -> unseen.Unseen | None:
    """Why a record stays: the PTR of one of its addresses was not read just now."""
    book, simple = observed.views.addresses, simple_a(view)
    regions = [found for region in book.regions if (found := book.get(region).value) is not None]
    for address in simple.values if simple is not None else ():
        eip = next((e for region in regions if (e := region.by_ip(address)) is not None), None)
        if eip is not None and (why := unread(observed, builder, eip)) is not None:
            return why
    return None


def _step(
    observed: Observed, builder: PlanBuilder, blocker: Finding | None, *, settled: bool = False
) -> Plan:
    status = observed.obj.status
    going = blocker or _reading()
    if going.reason != reasons.DELETING.name:
        going = failed(
            reasons.DELETION_BLOCKED,
            f"Deletion waits: {going.message.rstrip('.')}. {reasons.DELETION_BLOCKED.remedy}",
        )
    return Plan(
        findings=dict.fromkeys((ACCEPTED, FORWARD_READY, REVERSE_READY, RESOLVED), going),
        action=builder.action,
        needs=tuple(builder.needs),
        wait=min(builder.wait, observed.settings.blocked_seconds),
        hostname=status.hostname or observed.obj.spec.hostname,
        addresses=status_fields.of_deleting(observed),
        public_ips=status.public_ips,
        zone=status.zone,
        forward=status.forward,
        former_records=status.former_records,
        dns_endpoint=status.dns_endpoint,
        notices=tuple(dict.fromkeys(builder.notices)) if isinstance(builder.action, RemoveFinalizer) else (),
        deleting=True,
        settled=settled,
        unsatisfied=tuple(builder.unsatisfied.items()),
    )
