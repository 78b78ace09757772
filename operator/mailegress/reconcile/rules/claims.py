"""Who may write for a hostname and for an Elastic IP: exactly one MailEgress each (S9, E4).

In this order: the object whose ownership record is at the hostname (for an address: whose hostname its PTR shows); the
object whose status tells of one in a hosted zone that cannot be read; else the first in line for it, the oldest object
that can use it. ``reconcile/claim_index.py`` keeps the lines. Two objects that wait for each other both report
``ClaimCycle``. Other objects are never named in a message: they may belong to another tenant (S12).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, UNKNOWN
from mailegress.api.names import is_within
from mailegress.api.status import Origin
from mailegress.api.types import Management
from mailegress.model import ownership
from mailegress.model.aws import Eip
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile.claim_index import Claimant, Standing
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, NeedName, NeedZones, failed, from_fault, unknown
from mailegress.reconcile.rules import unseen
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.targets import Targets, giving_up
from mailegress.reconcile.rules.zones import Choice


class Hold(enum.Enum):
    MINE = "mine"
    LOST = "lost"
    """Another CR holds it and wants it."""
    RELEASE = "release"
    """Another CR holds it and does not want it any more."""
    UNKNOWN = "unknown"


ELSEWHERE = (Hold.LOST, Hold.RELEASE)

_LOOKED_AT = 8
"""Of the line for an address, by an object that may not have its hostname: thousands of them must not look at all."""


@dataclass(frozen=True, slots=True)
class Claims:
    hostname: Hold
    eips: dict[str, Hold]
    """By allocation ID, for every wanted EIP."""
    finding: Finding | None
    """What Accepted says about it, None if everything is ours."""

    @property
    def decided(self) -> bool:
        """Nothing is left to be found out about any address."""
        return Hold.UNKNOWN not in self.eips.values()

    @property
    def known(self) -> bool:
        """Nothing is left to be found out at all."""
        return self.decided and self.hostname is not Hold.UNKNOWN

    def allows(self, allocation_id: str) -> bool:
        return self.eips.get(allocation_id) is Hold.MINE


def marked_holder(observed: Observed, hostname: str, preferred: str | None = None) -> str | None:
    """UID of the live CR whose mark stands at the name, in whatever zone, or whose DNSEndpoint asks for it. By default
    ours comes first; of several DNSEndpoints that of the oldest."""
    first = preferred or observed.obj.meta.uid
    holder = None
    for _, view in observed.views.records.holder(hostname):
        mark = ownership.parse(view.mark.values) if view.mark is not None else None
        if mark is None or not observed.settings.mine(mark.owner):
            continue
        if mark.uid == first:
            return first
        if observed.views.claims.live(mark.uid):
            holder = mark.uid
    if holder is not None:
        return holder
    endpoints = observed.views.endpoints.naming(hostname)
    owners = (observed.views.claims.endpoint_holder(e, hostname) for e in endpoints)
    eldest = min((c for c in owners if c is not None), key=lambda c: c.order, default=None)
    return eldest.uid if eldest is not None else None


@dataclass(frozen=True, slots=True)
class _Shown:
    """Whose a hostname is by an ownership record."""

    uid: str | None
    """None: nobody's, as far as is known."""
    hidden: bool = False
    """Only the status of that object names the record. Its zone cannot be read, so the record may still exist."""
    waits: bool = False
    """A place that a status names was not read yet. The reading is requested."""


def _shown(observed: Observed, builder: PlanBuilder, hostname: str, preferred: str | None = None) -> _Shown:
    """Find the owner by a record that was read, else by a status that names a record in a zone that cannot be read.

    ``preferred`` as in :func:`marked_holder`.
    """
    holder = marked_holder(observed, hostname, preferred)
    if holder is not None:
        return _Shown(holder)
    first = preferred or observed.obj.meta.uid
    waits = False
    for claimant in sorted(observed.views.claims.recorded_at(hostname), key=lambda c: c.uid != first):
        places = (record for record in claimant.records if record.hostname == hostname)
        found = (unseen.of_others(observed, builder, where, claimant.uid) for where in places)
        hidden = [each for each in found if each is not None]
        if any(claimant.uid == first or not each.waits for each in hidden):
            return _Shown(claimant.uid, hidden=True)
        waits = waits or bool(hidden)
    return _Shown(None, waits=waits)


def taken_over(observed: Observed, hostname: str, address: str) -> bool:
    """Has another object taken the hostname over, with this address in its A record? Then the PTR is that object's."""
    if marked_holder(observed, hostname) in (None, observed.obj.meta.uid):
        return False
    return _leads_to(observed, hostname, address)


def _leads_to(observed: Observed, hostname: str, address: str) -> bool:
    """Is the address in an A record at the hostname, or does a DNSEndpoint ask for it there?"""
    records = [r for _, view in observed.views.records.holder(hostname) for r in view.of_type("A")]
    endpoints = observed.views.endpoints.naming(hostname)
    return any(address in r.values for r in records) or any(
        address in e.addresses(hostname) for e in endpoints
    )


def decide(
    observed: Observed, builder: PlanBuilder, targets: Targets, choice: Choice
) -> tuple[Claims, Targets]:
    """Decide every claim of this object. Other objects are never named: they may be another tenant's.

    An address that no selector resolves to any more, and that another object has, is not a target any more.
    """
    hostname_hold, holder = _hostname(observed, builder, choice)
    blockers = {holder} if hostname_hold in ELSEWHERE and holder else set()
    holds: dict[str, Hold] = {}
    contested: dict[str, Hold] = {}
    # By the selector that the user wrote: only the holder of an address may see which address it is.
    written = {e.eip.allocation_id: e.selector for e in targets.entries if e.eip is not None}
    several = {str(s) for s in observed.obj.spec.elastic_ips if s.by_tags}
    selected = {e.eip.allocation_id for e in targets.entries if e.eip is not None and not e.held}
    given_up: set[str] = set()
    for allocation_id, eip in targets.wanted.items():
        hold, owner = _eip(observed, builder, eip, hostname_hold)
        holds[allocation_id] = hold
        if hold is Hold.LOST and allocation_id not in selected:
            # The spec does not select it, so there is nothing that the user could remove.
            given_up.add(allocation_id)
        elif hold in ELSEWHERE:
            label = written.get(allocation_id, allocation_id)
            label = f"an Elastic IP with {label}" if label in several else label
            contested[label] = Hold.LOST if contested.get(label) is Hold.LOST else hold
            blockers |= {owner} if owner else set()
    builder.blocked_on = blockers
    targets = giving_up(targets, frozenset(given_up))
    builder.standing = _standing(observed, targets, hostname_hold)
    finding = _finding(observed, hostname_hold, contested, frozenset(blockers))
    if finding is None and hostname_hold is Hold.UNKNOWN:
        finding = _unclear(observed, choice)
    return Claims(hostname_hold, holds, finding), targets


def holds_hostname(observed: Observed) -> bool:
    """Does an ownership record, or a PTR that the object set, show its hostname?

    The PTR of an address that left the spec stays until the others are right, and receivers look up its name until
    then.
    """
    ours = (a for a in observed.obj.status.addresses if a.ptr_origin is Origin.MANAGED)
    shown = {name for a in ours for name in (a.ptr, a.ptr_update)}
    return observed.obj.spec.hostname in shown | observed.own_names()


def _standing(observed: Observed, targets: Targets, hostname: Hold) -> Standing | None:
    """May this object hold anything by its age? None: not known yet."""
    spec, memory = observed.obj.spec, observed.memory
    is_observed = spec.forward.management is Management.OBSERVED
    holds = holds_hostname(observed)
    holds = holds or (is_observed and spec.hostname in {eip.ptr.name for eip in targets.wanted.values()})
    # A region that was not read yet, or does not answer for now, says nothing; one that is denied holds nothing.
    waiting = targets.fault is None or targets.fault.kind is ErrorKind.TRANSIENT
    if waiting and not targets.wanted and not targets.known and not targets.outside:
        return None
    hopeless = memory.progress.stalled_generation == memory.edits.generation
    # Too many are refused: nothing can be done with any of them.
    hopeless = hopeless or targets.total > observed.settings.max_addresses
    able = bool(targets.wanted) and not hopeless
    return Standing(holds, able, hostname is not Hold.LOST, barred=targets.barred)


def _hostname(observed: Observed, builder: PlanBuilder, choice: Choice) -> tuple[Hold, str | None]:
    me, hostname = observed.obj.meta.uid, observed.obj.spec.hostname
    claims = observed.views.claims
    if choice.zone is not None:
        if observed.views.records.get(choice.zone.id, hostname).value is None:
            return Hold.UNKNOWN, None
    elif observed.managed and choice.finding is not None and choice.finding.inconclusive:
        return Hold.UNKNOWN, None
    kind = observed.views.endpoints.kind()
    if observed.views.endpoints.enabled and kind.value is None and (observed.external or kind.fault is None):
        # Where DNSEndpoints cannot be read, what does not need them goes on.
        return Hold.UNKNOWN, None
    if observed.external and not _searched(observed, builder, hostname):
        return Hold.UNKNOWN, None
    shown = _shown(observed, builder, hostname)
    if shown.waits:
        return Hold.UNKNOWN, None
    holder = shown.uid
    if holder is None:
        first = claims.first_for(hostname)
        holder = first.uid if first is not None else me
        if holder != me and claims.standing(holder) is None:
            # Not looked at yet: it may turn out to be unable to do anything with the name.
            builder.later(observed.settings.poll_seconds)
            return Hold.UNKNOWN, None
    if holder == me:
        return Hold.MINE, me
    # Whoever is further back in line has lost it to the next one, too.
    first = claims.first_for(hostname)
    if claims.wants_hostname(holder, hostname) or (first is not None and first.uid != me):
        return Hold.LOST, holder
    if choice.zone is not None:
        _look_for_release(observed, builder, choice.zone.id)
    return Hold.RELEASE, holder


def _look_for_release(observed: Observed, builder: PlanBuilder, zone_id: str) -> None:
    """Another process of the operator may remove the record, of which this one hears nothing."""
    hostname = observed.obj.spec.hostname
    builder.look_again(
        observed,
        "release",
        observed.views.records.get(zone_id, hostname),
        lambda due: NeedName(zone_id, hostname, due, patient=due > observed.absence_floor),
    )


def _eip(observed: Observed, builder: PlanBuilder, eip: Eip, hostname: Hold) -> tuple[Hold, str | None]:
    me, claims = observed.obj.meta.uid, observed.views.claims
    shown = eip.ptr.update if eip.ptr.pending and eip.ptr.update else eip.ptr.name
    if hostname is Hold.UNKNOWN and shown == observed.obj.spec.hostname:
        return Hold.UNKNOWN, None
    holder = None
    if (leaving := claims.leaving_eip(eip, observed.obj.spec.hostname)) is not None:
        # Neither a mark nor, once it is reset, the PTR tells of its claim; and it cannot tell our PTR from its own.
        holder = leaving.uid
    elif shown is not None and (setter := claims.former_at(eip, shown)) is not None:
        holder = setter
    elif shown is not None and shown not in observed.own_names():
        told = _shown(observed, builder, shown)
        if told.waits:
            return Hold.UNKNOWN, None
        holder = told.uid
        if holder is None and shown != observed.obj.spec.hostname and not _read(observed, builder, shown):
            return Hold.UNKNOWN, None
        if (
            holder is not None
            and not told.hidden
            and not claims.wants_eip(holder, eip)
            and not _leads_to(observed, shown, eip.public_ip)
        ):
            # An address leaves its record after its PTR: a third party set this PTR, or it was adopted and then left.
            holder = None
        if holder is None:
            # Under Observed there is no mark: the PTR itself is the trace of the claim.
            holder = claims.observed_at(eip, shown)
    elif shown is not None:
        holder = me
    if holder is None and (holder := _first(observed, builder, eip, hostname)) is None:
        return Hold.UNKNOWN, None
    if holder == me:
        return Hold.MINE, me
    return (Hold.LOST if _wants_eip(observed, holder, eip) else Hold.RELEASE), holder


def _wants_eip(observed: Observed, uid: str, eip: Eip) -> bool:
    """Does an object want this Elastic IP, and may it?"""
    return observed.views.claims.wants_eip(uid, eip) and observed.views.policies.may_use(uid, eip)


def _first(observed: Observed, builder: PlanBuilder, eip: Eip, hostname: Hold) -> str | None:
    """Whose is an EIP that nothing shows to be anybody's: the first in line for it that may have its hostname.

    One that may not could do nothing with it, and would keep it from all others. None: not known yet.
    """
    me, claims = observed.obj.meta.uid, observed.views.claims
    eldest = None
    entitled = (c for c in claims.in_line_for(eip) if observed.views.policies.may_use(c.uid, eip))
    for place, claimant in enumerate(entitled):
        standing = claims.standing(claimant.uid)
        # Those that have not noticed yet that their names are lost leave the front of the line by themselves.
        crowded = hostname is Hold.LOST and place == _LOOKED_AT
        if claimant.uid != me and (standing is None or crowded):
            builder.later(observed.settings.poll_seconds)
            return None
        if eldest is not None and standing is not None and not standing.named:
            # Behind it there are only others that may not have their names either.
            if hostname is not Hold.LOST and _wants_eip(observed, me, eip):
                # Among them this object, which got its name just now: it goes to the front with this pass.
                builder.later(observed.settings.poll_seconds)
                return None
            return eldest
        nameless = hostname is Hold.LOST if claimant.uid == me else _lost_name(observed, builder, claimant)
        if nameless is None:
            return None
        if not nameless:
            return claimant.uid
        eldest = eldest or claimant.uid
    return eldest or me


def _lost_name(observed: Observed, builder: PlanBuilder, other: Claimant) -> bool | None:
    """Is another object's hostname held by one that wants it too? None: not known yet."""
    claims = observed.views.claims
    if not claims.others_want(other.uid, other.hostname):
        return False
    if not _read(observed, builder, other.hostname):
        # Where nobody may look, age must do.
        return False if all(fault for _, fault in _unread(observed, other.hostname)) else None
    shown = _shown(observed, builder, other.hostname, other.uid)
    if shown.waits:
        return None
    first = claims.first_for(other.hostname)
    holder = shown.uid or (first.uid if first else other.uid)
    return holder != other.uid and claims.wants_hostname(holder, other.hostname)


def _searched(observed: Observed, builder: PlanBuilder, hostname: str) -> bool:
    """Under ExternalDNS: was a mark of another object at the name looked for, as far as Route 53 may be read?"""
    zones = observed.views.zones.get()
    if zones.value is None:
        builder.need(NeedZones(observed.memory.first_seen))
        return zones.fault is not None
    return _read(observed, builder, hostname) or all(fault for _, fault in _unread(observed, hostname))


def _read(observed: Observed, builder: PlanBuilder, hostname: str) -> bool:
    """Has the place where a mark for this hostname could stand been read? It is asked for if it was not."""
    unread = _unread(observed, hostname)
    for zone_id, _ in unread:
        builder.need(NeedName(zone_id, hostname, observed.memory.first_seen))
    return not unread


def _unread(observed: Observed, hostname: str) -> list[tuple[str, Fault | None]]:
    """The zones in which a mark for this hostname could stand unseen, and why."""
    zones = [z for z in observed.views.zones.get().value or () if z.editable and is_within(hostname, z.name)]
    longest = max((len(z.name) for z in zones), default=0)
    facts = ((z.id, observed.views.records.get(z.id, hostname)) for z in zones if len(z.name) == longest)
    return [(zone_id, fact.fault) for zone_id, fact in facts if fact.value is None]


def _finding(
    observed: Observed, hostname: Hold, contested: dict[str, Hold], blockers: frozenset[str]
) -> Finding | None:
    if not blockers:
        return None
    name = observed.obj.spec.hostname
    what = name if hostname in ELSEWHERE else ", ".join(sorted(contested))
    cycle = observed.views.claims.in_cycle(observed.obj.meta.uid, blockers)
    if cycle:
        return failed(
            reasons.CLAIM_CYCLE,
            f"{_begin(what)} belongs to another MailEgress, which waits for what this one has. "
            f"{reasons.CLAIM_CYCLE.remedy}",
        )
    # Whether they wait for each other is not known yet: what was said of the claims stands until it is.
    before = observed.obj.status.condition(ACCEPTED)
    undecided = cycle is None and before is not None and before.reason in _CONTESTED
    if hostname is Hold.LOST:
        return failed(
            reasons.HOSTNAME_CONFLICT,
            f"{name} belongs to another MailEgress; nothing is written for it. {reasons.HOSTNAME_CONFLICT.remedy}",
            inconclusive=undecided,
        )
    lost = sorted(label for label, hold in contested.items() if hold is Hold.LOST)
    if lost:
        return failed(
            reasons.ADDRESS_CONFLICT,
            f"{_begin(', '.join(lost))} belongs to another MailEgress; nothing is written for it. "
            f"{reasons.ADDRESS_CONFLICT.remedy}",
            inconclusive=undecided,
        )
    return failed(
        reasons.WAITING_FOR_RELEASE,
        f"{_begin(what)} still belongs to another MailEgress, which is about to release it.",
        inconclusive=undecided,
    )


_CONTESTED = frozenset(
    r.name
    for r in (
        reasons.CLAIM_CYCLE,
        reasons.HOSTNAME_CONFLICT,
        reasons.ADDRESS_CONFLICT,
        reasons.WAITING_FOR_RELEASE,
    )
)


def _begin(what: str) -> str:
    """At the beginning of a sentence; IDs and names stay as they are."""
    return f"An {what[3:]}" if what.startswith("an ") else what


def _unclear(observed: Observed, choice: Choice) -> Finding:
    """Who holds the hostname is not known, and why: without the mark at the name nobody can tell."""
    hostname = observed.obj.spec.hostname
    if choice.zone is None and choice.finding is not None:
        return choice.finding
    endpoints = observed.views.endpoints.kind()
    if observed.external and endpoints.value is None and endpoints.fault is not None:
        return from_fault(endpoints.fault)
    if choice.zone is not None:
        fault = observed.views.records.get(choice.zone.id, hostname).fault
        if fault is not None:
            return replace(
                from_fault(fault, f"Reading {hostname} in zone {choice.zone.id}: "), status=UNKNOWN
            )
    return unknown(reasons.PROGRESSING, f"Checking which MailEgress has {hostname}.", inconclusive=True)
