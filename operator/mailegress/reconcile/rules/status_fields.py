"""What the status shows besides the conditions: addresses, public IPs, the zone, the record, former records.

Nothing here decides about a write. An address that another object may hold is shown by its selector only (S12). What is
recorded about the PTRs and former records of this object stays until it is known to be gone: the cleanup depends on it
(S8). Where this process has no reading yet, the field stays as it was stored (E3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.conditions import RESOLVED
from mailegress.api.status import AddressStatus, FormerRecord, ForwardStatus, Origin, ZoneStatus
from mailegress.api.types import Management
from mailegress.model.aws import Eip, address_order
from mailegress.model.dns import Iprev
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding
from mailegress.reconcile.rules import loss, unseen
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.adoption import (
    changed_by_others,
    origin,
    outdated,
    ptr_update,
    says_more,
    unfinished,
)
from mailegress.reconcile.rules.claims import ELSEWHERE, Claims, Hold, taken_over
from mailegress.reconcile.rules.leaving import unread
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import PtrState
from mailegress.reconcile.rules.record_changes import simple_a
from mailegress.reconcile.rules.retire import points_here
from mailegress.reconcile.rules.targets import Entry, Targets
from mailegress.reconcile.rules.zones import Choice


@dataclass(frozen=True, slots=True)
class StatusFields:
    addresses: tuple[AddressStatus, ...]
    public_ips: tuple[str, ...]
    zone: ZoneStatus | None
    forward: ForwardStatus | None
    former: unseen.Former


def of_live(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    claims: Claims,
    choice: Choice,
    record: RecordState,
    ptrs: PtrState,
    resolved: Finding,
) -> StatusFields:
    """The fields of an object that is not being deleted."""
    s, status = observed, observed.obj.status
    zone = status.zone if choice.unseen else _zone(s, record)
    place = (zone.id, s.obj.spec.hostname) if zone is not None else None
    former = unseen.former(s, builder, place)
    addresses = _addresses(s, builder, targets, claims, record, ptrs, resolved)
    leaving = _leaving(s, builder, addresses, targets, record)
    shown_still = _former_ptrs(s, former, addresses, leaving)
    # An address that is only cleaned up after has no part in the name any more. Under Observed none waits for a record.
    shown = [a for a in leaving if s.decides_record and (a.public_ip in record.values or not record.known)]
    return StatusFields(
        addresses=(*addresses, *leaving),
        public_ips=tuple(dict.fromkeys(a.public_ip for a in (*addresses, *shown) if a.public_ip)),
        zone=zone,
        forward=status.forward if choice.unseen else _forward(s, claims, record),
        former=replace(former, places=(*shown_still, *former.places)),
    )


def as_stored(observed: Observed) -> StatusFields:
    """The fields of an object that is not looked at: as they were stored."""
    status = observed.obj.status
    return StatusFields(
        status.addresses, status.public_ips, status.zone, status.forward, unseen.Former(status.former_records)
    )


def _zone(observed: Observed, record: RecordState) -> ZoneStatus | None:
    """The zone of the object's own record. Not that of a record which is another's: see ``vouch``."""
    spec, status = observed.obj.spec, observed.obj.status
    if record.zone is not None and record.known:
        return unseen.zone_status(record.zone, status.zone) if record.held else None
    same = status.zone is not None and status.hostname == spec.hostname
    if record.zone is not None:
        return status.zone if same and status.zone is not None and status.zone.id == record.zone.id else None
    managed = spec.forward.management is Management.MANAGED
    # Not chosen yet by this process: what is written down stands until it is.
    return status.zone if managed and record.finding.inconclusive and same else None


def _forward(observed: Observed, claims: Claims, record: RecordState) -> ForwardStatus | None:
    if claims.hostname in ELSEWHERE:
        return None
    values = record.values if record.answered is None else record.answered
    if not values and record.change_id is None and record.finding.inconclusive:
        return observed.obj.status.forward
    if not values and record.change_id is None:
        return None
    ordered = sorted(values, key=address_order)
    return ForwardStatus(tuple(ordered), record.ttl, record.change_id, record.origin)


def _addresses(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    claims: Claims,
    record: RecordState,
    ptrs: PtrState,
    resolved: Finding,
) -> tuple[AddressStatus, ...]:
    """One entry for every EIP that the spec names, and for every selector that resolved to none."""
    s = observed
    entries: dict[str, AddressStatus] = {}
    for entry in targets.entries:
        eip = entry.eip
        if entry.reason is reasons.ADDRESS_NOT_ALLOWED:
            for shown in _not_allowed(s, entry):
                entries.setdefault(shown.allocation_id or shown.selector, shown)
            continue
        if eip is None:
            for shown in _unresolved(s, targets, entry):
                entries.setdefault(shown.allocation_id or shown.selector, shown)
            continue
        if (other := _not_held(s, claims, entry, eip)) is not None:
            entries.setdefault(other.allocation_id or other.selector, other)
            continue
        finding = ptrs.by_eip.get(eip.allocation_id)
        reason = entry.reason.name if entry.reason else _reason(s, eip, finding)
        whose = origin(s, builder, claims, record.zone, eip, joined=record.joined(eip.public_ip))
        update = ptr_update(s, builder, eip) if whose is not None else None
        shown = _address(entry.selector, eip, whose, update, _iprev(s, eip, record, resolved), reason)
        old = s.recorded_for(eip.allocation_id)
        if old is not None and outdated(s, old, eip):
            shown = replace(shown, ptr=old.ptr, ptr_update=update or old.ptr_update)
        entries.setdefault(eip.allocation_id, shown)
    return tuple(entries.values())


def _unresolved(observed: Observed, targets: Targets, entry: Entry) -> list[AddressStatus]:
    """What the status recorded of a selector that resolves to nothing now; if nothing, an entry with the reason."""
    recorded = [
        a
        for a in observed.obj.status.addresses
        if a.selector == entry.selector
        and (not entry.gone or a.allocation_id in entry.gone)
        and a.allocation_id not in targets.given_up
    ]
    keep = recorded if entry.reason is None else [a for a in recorded if a.allocation_id]
    if keep:
        return [_replaced(old, entry.reason.name if entry.reason else old.reason) for old in keep]
    missing = entry.reason.name if entry.reason else reasons.PENDING.name
    return [AddressStatus(entry.selector, region=entry.region, reason=missing)]


def _address(
    selector: str,
    eip: Eip,
    whose: Origin | None,
    update: str | None = None,
    iprev: str | None = None,
    reason: str | None = None,
) -> AddressStatus:
    """The entry of an Elastic IP as EC2 shows it."""
    return AddressStatus(
        selector,
        eip.public_ip,
        eip.allocation_id,
        eip.account_id,
        eip.region,
        eip.attached_to or None,
        eip.ptr.name,
        whose,
        iprev,
        reason,
        update,
    )


def _not_allowed(observed: Observed, entry: Entry) -> list[AddressStatus]:
    """What is shown of addresses that no policy allows: the selector and the reason, no detail of any address.

    What this object wrote down about its own PTRs stays as it was: its clean-up depends on it.
    """
    reason = reasons.ADDRESS_NOT_ALLOWED.name
    kept = [
        _replaced(old, reason)
        for old in observed.recorded()
        if old.allocation_id in entry.refused and old.ptr_origin is not None
    ]
    return kept or [AddressStatus(entry.selector, region=entry.region, reason=reason)]


def _not_held(observed: Observed, claims: Claims, entry: Entry, eip: Eip) -> AddressStatus | None:
    """What is shown of an address that another object may hold: the selector and the reason, no detail of the address.

    What this object wrote down about its own PTR stays: its clean-up depends on it. None: this object holds it.
    """
    hold = claims.eips.get(eip.allocation_id, Hold.UNKNOWN)
    old = observed.recorded_for(eip.allocation_id)
    own = old if old is not None and old.ptr_origin is not None else None
    # What somebody else set instead is not shown as this object's.
    replaced = own is not None and changed_by_others(observed, own, eip)
    if hold is Hold.MINE:
        return None
    reason = {Hold.LOST: reasons.ADDRESS_CONFLICT, Hold.RELEASE: reasons.WAITING_FOR_RELEASE}.get(
        hold, reasons.PENDING
    )
    if own is not None:
        stays = replaced or outdated(observed, own, eip)
        return _replaced(own, reason.name if hold in ELSEWHERE else own.reason, None if stays else eip)
    if hold is Hold.UNKNOWN:
        # A new process has not decided yet; what was shown of the selector stands until it has.
        shown = old or next(
            (
                a
                for a in observed.obj.status.addresses
                if a.selector == entry.selector and not a.allocation_id
            ),
            None,
        )
        if shown is not None:
            return shown
    return AddressStatus(entry.selector, region=entry.region, reason=reason.name)


def _leaving(
    observed: Observed,
    builder: PlanBuilder,
    named: tuple[AddressStatus, ...],
    targets: Targets,
    record: RecordState,
) -> tuple[AddressStatus, ...]:
    """One entry for every old EIP that is still ours to tidy up after."""
    s = observed
    entries: dict[str | None, AddressStatus] = {}
    known = {a.allocation_id for a in named}
    tidy = (record.values if s.decides_record else frozenset()) | _old_values(s)
    vanished = {a.allocation_id for a in loss.vanished(s)}
    for old in s.recorded():
        if old.allocation_id in known:
            continue
        region = old.region or ""
        if region in s.views.addresses.regions and s.views.addresses.get(region).value is None:
            # Whose its PTR is stands nowhere else; what is still wanted is not known yet.
            entries[old.allocation_id] = old
            continue
        eip = targets.find(s, old.public_ip or "")
        # Which names are the object's is not known before the zones were searched for its ownership records.
        unsearched = old.ptr_origin is Origin.MANAGED and not s.searched()
        ours = unsearched or (eip is not None and points_here(s, eip))
        if (hidden := unseen.address(s, builder, old)) is not None:
            entries[old.allocation_id] = _replaced(old, hidden.finding.reason)
            continue
        if eip is not None and says_more(old, eip) and unread(s, builder, eip) is not None:
            entries[old.allocation_id] = old
            continue
        if eip is not None and changed_by_others(s, old, eip):
            if old.public_ip in tidy:
                entries[old.allocation_id] = _address(
                    old.selector, eip, None, reason=reasons.PROGRESSING.name
                )
            continue
        if (
            (old.allocation_id in vanished and old.public_ip not in targets.lost)
            or old.public_ip in tidy
            or ours
        ):
            entries[old.allocation_id] = _replaced(old, reasons.PROGRESSING.name, eip)
    return tuple(entries.values())


def _former_ptrs(
    observed: Observed,
    former: unseen.Former,
    named: tuple[AddressStatus, ...],
    leaving: tuple[AddressStatus, ...],
) -> tuple[FormerRecord, ...]:
    """Former hostnames that PTRs still show and no former record names: under Observed nothing else tells of them.

    An adopted PTR of an address that the spec does not name any more is left as it was found.
    """
    ours = [a for a in named if a.ptr_origin is not None]
    ours += [a for a in leaving if a.ptr_origin is Origin.MANAGED]
    shown = {
        name
        for a in ours
        for name in observed.obj.former_hostnames() & {a.ptr, a.ptr_update}
        if not taken_over(observed, name, a.public_ip or "")
    }
    names = shown - {place.hostname for place in former.places}
    return tuple(FormerRecord("", name) for name in sorted(names))


def _reason(observed: Observed, eip: Eip, finding: Finding | None) -> str | None:
    """Why an EIP is not right; a question without an answer changes nothing of what was said of this generation."""
    if finding is None or finding.ok:
        return None
    recorded = observed.recorded_for(eip.allocation_id)
    current = observed.obj.status.observed_generation == observed.obj.meta.generation
    return recorded.reason if finding.inconclusive and recorded is not None and current else finding.reason


def _iprev(observed: Observed, eip: Eip, record: RecordState, resolved: Finding) -> str | None:
    """The RFC 8601 word for an address. It moves with the conditions: a single odd answer does not change it."""
    s, last = observed, _last_iprev(observed, eip)
    if resolved.ok:
        return Iprev.PASS.value
    if last is not None and resolved.inconclusive and s.stands(RESOLVED):
        return last
    word = dns_checks.iprev_of(s.views.dns.public(s.obj.spec.hostname).value, eip.public_ip) or last
    about = eip.ptr.name == s.obj.spec.hostname
    if word != Iprev.PASS.value or not about or record.finding.ok or record.finding.inconclusive:
        return word
    return (
        dns_checks.iprev_at_authorities(s.views.dns.authorities(s.obj.spec.hostname), eip.public_ip) or word
    )


def _last_iprev(observed: Observed, eip: Eip) -> str | None:
    """What public resolvers said before this process asked them, if it was about the same PTR."""
    recorded = observed.recorded_for(eip.allocation_id)
    same = recorded is not None and recorded.ptr == eip.ptr.name
    unchanged = observed.obj.status.hostname == observed.obj.spec.hostname
    return recorded.iprev if recorded is not None and same and unchanged else None


def _old_values(observed: Observed) -> frozenset[str]:
    values: set[str] = set()
    for zone_id, name in observed.owned():
        view = observed.views.records.get(zone_id, name).value
        simple = simple_a(view) if view is not None else None
        values |= set(simple.values) if simple else set()
    own = observed.endpoint
    values |= {ip for entry in own.entries for ip in entry.targets} if own is not None else set()
    return frozenset(values)


def _replaced(old: AddressStatus, reason: str | None, eip: Eip | None = None) -> AddressStatus:
    """The entry with another reason, and with the PTR as EC2 shows it now. None: EC2 shows nothing of the address."""
    if eip is None:
        return replace(old, reason=reason)
    return replace(old, reason=reason, ptr=eip.ptr.name or old.ptr, ptr_update=unfinished(old, eip))


def of_deleting(observed: Observed) -> tuple[AddressStatus, ...]:
    """Origins stay recorded until the end; what AWS shows now replaces what it showed."""
    kept = []
    for entry in observed.obj.status.addresses:
        view = (
            observed.views.addresses.get(entry.region or "").value
            if entry.region in observed.views.addresses.regions
            else None
        )
        eip = view.eips.get(entry.allocation_id or "") if view is not None else None
        if eip is None or outdated(observed, entry, eip):
            kept.append(entry)
        elif changed_by_others(observed, entry, eip):
            kept.append(_address(entry.selector, eip, None))
        else:
            kept.append(_address(entry.selector, eip, entry.ptr_origin, unfinished(entry, eip)))
    return tuple(kept)
