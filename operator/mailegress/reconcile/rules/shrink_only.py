"""An object that no policy allows, or no longer: only removals remain possible (S14).

Nothing is created, repaired or set. Records and PTRs that it has stay as they are, and the status says so. A lost
address still leaves them (S2), and the cleanup of a deletion does not ask this module. An object that has nothing
causes no request to AWS and no DNS question.
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.api.status import AddressStatus, ForwardStatus
from mailegress.model.aws import address_order
from mailegress.reconcile.claim_index import Standing
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, NeedName, NeedRegion, NeedZones, Plan, unknown
from mailegress.reconcile.rules import external_retire, finalizer, loss, retire, status_fields, unseen
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.record_changes import simple_a
from mailegress.reconcile.rules.targets import Targets


def plan(observed: Observed, builder: PlanBuilder, refusal: Finding) -> Plan:
    """What remains to be done for a refused object."""
    s, stored = observed, status_fields.as_stored(observed)
    _take_back(s, builder)
    lost = _lost(s, builder)
    if lost:
        targets = Targets((), {}, known=False, lost=lost)
        retire.withdraw_lost(s, builder, targets, everywhere=True)
        external_retire.withdraw_lost(s, builder, targets, everywhere=True)
    action = finalizer.before_writes(s, builder.action)
    has = bool(
        stored.zone
        or stored.former.places
        or s.obj.status.dns_endpoint
        or any(a.ptr_origin for a in stored.addresses)
    )
    accepted = (
        replace(refusal, message=f"{refusal.message}{_KEPT}") if has and not refusal.inconclusive else refusal
    )
    waiting = unknown(
        reasons.PENDING,
        f"Waits until the object is accepted: {refusal.message}",
        inconclusive=refusal.inconclusive,
    )
    resync = s.settings.resync_seconds * (1 - s.settings.resync_jitter * s.spread(1.0))
    return Plan(
        findings={
            ACCEPTED: accepted,
            **dict.fromkeys((FORWARD_READY, REVERSE_READY, RESOLVED), waiting),
        },
        action=action,
        needs=tuple(builder.needs),
        taken_back=tuple(builder.taken_back),
        # A view that is missing comes back at any time.
        wait=min(builder.wait, s.settings.blocked_seconds if refusal.inconclusive else resync),
        hostname=s.obj.status.hostname or s.obj.spec.hostname,
        addresses=tuple(_shown(a, lost) for a in stored.addresses),
        public_ips=tuple(ip for ip in stored.public_ips if ip not in lost),
        zone=stored.zone,
        forward=_forward(s, stored.forward),
        former_records=stored.former.places,
        dns_endpoint=s.obj.status.dns_endpoint,
        standing=None if refusal.inconclusive else Standing(able=False, allowed=False),
        blocked_on=None if refusal.inconclusive else frozenset(),
        unsatisfied=tuple(builder.unsatisfied.items()),
    )


_KEPT = (
    " Its records and PTRs are left as they are and are not repaired; delete the MailEgress to remove them."
)


def _take_back(observed: Observed, builder: PlanBuilder) -> None:
    """PTR writes that wait to be sent are not sent any more."""
    used = set(observed.memory.used) | {
        (a.region, a.allocation_id) for a in observed.recorded() if a.region and a.allocation_id
    }
    for region, allocation_id in sorted(used):
        write = observed.views.ptr_writes.state(region, allocation_id)
        if write is not None and write.busy:
            builder.taken_back.append((region, allocation_id))


def _lost(observed: Observed, builder: PlanBuilder) -> frozenset[str]:
    """The lost addresses of an object that has some; what must be read to know them is asked for."""
    s = observed
    for entry in s.recorded():
        region = entry.region or ""
        if region in s.views.addresses.regions and s.views.addresses.get(region).value is None:
            builder.need(NeedRegion(region, s.memory.first_seen))
    lost, _ = loss.losses(s)
    if lost:
        if s.views.zones.get().value is None:
            builder.need(NeedZones(s.memory.first_seen))
        for where in s.obj.records_in_status():
            if s.views.records.get(where.zone_id, where.hostname).value is None:
                builder.need(NeedName(where.zone_id, where.hostname, s.memory.first_seen))
    return lost


def _shown(entry: AddressStatus, lost: frozenset[str]) -> AddressStatus:
    return replace(entry, reason=reasons.ADDRESS_LOST.name) if entry.public_ip in lost else entry


def _forward(observed: Observed, stored: ForwardStatus | None) -> ForwardStatus | None:
    """The record as it was read, if it was; else as it was stored."""
    place = unseen.current(observed)
    view = observed.views.records.get(place.zone_id, place.hostname).value if place is not None else None
    simple = simple_a(view) if view is not None else None
    if stored is None or simple is None:
        return stored
    ordered = sorted(simple.values, key=address_order)
    return ForwardStatus(tuple(ordered), simple.ttl, origin=stored.origin)
