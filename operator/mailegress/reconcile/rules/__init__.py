"""The plan: from a situation to one next step. Pure: it reads, it never writes and never waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.api.names import FINALIZER
from mailegress.api.status import AddressStatus, ForwardStatus, ZoneStatus
from mailegress.api.types import Management
from mailegress.model.aws import Eip
from mailegress.model.dns import Iprev
from mailegress.model.facts import Fact
from mailegress.reconcile import dns_checks
from mailegress.reconcile.claim_index import Standing
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    AddFinalizer,
    ChangeRecords,
    Finding,
    NeedSweep,
    Plan,
    ResetPtr,
    SetPtr,
    bad,
    from_fault,
    good,
    in_words,
    unknown,
)
from mailegress.reconcile.rules import (
    a_record,
    claims,
    deletion,
    observed_record,
    ptr,
    resolution,
    retire,
    targets,
    unseen,
    zones,
)
from mailegress.reconcile.rules.a_record import Forward
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import Reverse
from mailegress.reconcile.rules.targets import Targets


def plan(observed: Observed) -> Plan:
    """``(spec, observed, owned, memory, now) -> one next action | wait | done | blocked``."""
    obj = observed.obj
    if obj.meta.deletion_timestamp is not None:
        return deletion.plan(observed)
    builder = PlanBuilder()
    aims = targets.resolve(observed, builder)
    managed = obj.spec.forward.management is Management.MANAGED
    held = _held(observed, builder) if managed else None
    if held is not None:
        choice = zones.Choice(finding=held.finding)
    else:
        choice = zones.choose(observed, builder) if managed else zones.Choice()
    claim = claims.decide(observed, builder, aims, choice, managed=managed)
    refusal = _refusal(observed, aims)
    unswept = _remember_sweep(observed, builder)
    retire.withdraw_lost(observed, builder, aims)
    if refusal is not None:
        ahead = Forward(_pending(refusal), zone=choice.zone)
        behind = Reverse(_pending(refusal), {}, settled=False)
    else:
        if managed:
            ahead = a_record.assess(observed, builder, aims, claim, choice)
            # Before the PTRs: resolvers that follow the former delegation see the same addresses.
            retire.keep_equal(observed, builder, aims, ahead)
        else:
            ahead = observed_record.assess(observed, builder, aims, claim)
        behind = ptr.assess(observed, builder, aims, claim, ahead)
    owed = (*retire.retire(observed, builder, aims, ahead, behind), *unswept)
    if (outage := _outage(observed, ahead)) is not None:
        ahead = replace(ahead, finding=outage) if ahead.finding.ok else ahead
        behind = replace(behind, finding=outage) if behind.finding.ok else behind
    resolved = resolution.assess(observed, builder, ahead, behind)
    findings = {
        ACCEPTED: refusal or claim.finding or _accepted(observed, aims, claim),
        FORWARD_READY: ahead.finding,
        REVERSE_READY: behind.finding,
        RESOLVED: resolved,
    }
    zone = obj.status.zone if held is not None else _zone(observed, ahead)
    former = unseen.former(observed, builder, (zone.id, obj.spec.hostname) if zone is not None else None)
    _tell_unseen(observed, builder, aims, former, findings)
    # What was not read yet by this process is no news.
    told = former.unseen if observed.views.zones.get().value is not None else ()
    hidden = tuple(it.finding.message.removesuffix(".") for _, it in told)
    plan = _complete(observed, builder, aims, claim, ahead, behind, findings, (*owed, *hidden))
    if held is not None:
        plan = replace(plan, forward=obj.status.forward)
    return replace(plan, zone=zone, former_records=former.places)


def _held(observed: Observed, builder: PlanBuilder) -> unseen.Unseen | None:
    """While the zone that holds the record is out of sight, no other takes its place by itself."""
    place = unseen.current(observed)
    if place is None or observed.obj.spec.forward.hosted_zone_id not in (None, place.zone_id):
        return None
    return unseen.place(observed, builder, place, observed.memory.first_seen)


def _tell_unseen(
    observed: Observed,
    builder: PlanBuilder,
    aims: Targets,
    former: unseen.Former,
    findings: dict[str, Finding],
) -> None:
    """What is ours elsewhere and cannot be looked at keeps the object from being Ready, however right the rest is."""
    for _, hidden in former.unseen:
        if findings[FORWARD_READY].ok:
            findings[FORWARD_READY] = hidden.finding
    named = {e.eip.allocation_id for e in aims.entries if e.eip is not None}
    for _, lost in unseen.addresses(observed, builder, named):
        if findings[REVERSE_READY].ok and not lost.waits:
            findings[REVERSE_READY] = lost.finding


def refuse(observed: Observed, why: str) -> Plan:
    """The step for an object whose stored spec breaks the rules: nothing is done, and what is known of it is kept."""
    refusal = bad(reasons.INVALID_SPEC, f"{why}. {reasons.INVALID_SPEC.remedy}")
    status = observed.obj.status
    return Plan(
        findings={
            ACCEPTED: refusal,
            **dict.fromkeys((FORWARD_READY, REVERSE_READY, RESOLVED), _pending(refusal)),
        },
        wait=observed.settings.resync_seconds,
        hostname=status.hostname or "",
        addresses=status.addresses,
        public_ips=status.public_ips,
        zone=status.zone,
        forward=status.forward,
        former_records=status.former_records,
        standing=Standing(able=False),
    )


def _outage(observed: Observed, ahead: Forward) -> Finding | None:
    """A verdict stands for a few readings without an answer, not for ever.

    Only the regions and the record that this object uses count: a region that fails ends nobody else's conditions.
    """
    facts: list[Fact[Any]] = [observed.views.addresses.get(r) for r in targets.regions(observed)]
    if ahead.zone is not None:
        facts.append(observed.views.records.get(ahead.zone.id, observed.obj.spec.hostname))
    for fact in facts:
        if fact.fault is not None and fact.misses >= observed.settings.confirmations:
            return replace(from_fault(fact.fault), soft=False)
    return None


def _accepted(observed: Observed, aims: Targets, claim: Claims) -> Finding:
    accepted = good(reasons.ACCEPTED, f"This object holds {observed.obj.spec.hostname} and its addresses.")
    if claim.known and aims.known:
        return accepted
    if aims.fault is not None:
        # ForwardReady and ReverseReady tell it; a verdict that stands is not taken back for it.
        return replace(accepted, soft=True)
    # Until every address was looked up, one of them may turn out to be another's.
    return unknown(reasons.PROGRESSING, "Checking which MailEgress has the addresses.", soft=True)


def _pending(refusal: Finding) -> Finding:
    return unknown(reasons.PENDING, f"Waits until the object is accepted: {refusal.message}")


def _refusal(observed: Observed, aims: Targets) -> Finding | None:
    if aims.outside:
        regions = ", ".join(observed.views.addresses.regions)
        return bad(
            reasons.REGION_NOT_CONFIGURED,
            f"Region {', '.join(aims.outside)} is not one of the operator's regions ({regions}). "
            f"{reasons.REGION_NOT_CONFIGURED.remedy}",
        )
    if len(aims.wanted) > observed.settings.max_addresses:
        return bad(
            reasons.TOO_MANY_ADDRESSES,
            f"The selectors resolve to {len(aims.wanted)} Elastic IPs, at most {observed.settings.max_addresses} "
            f"share one name. {reasons.TOO_MANY_ADDRESSES.remedy}",
        )
    return None


def _remember_sweep(observed: Observed, builder: PlanBuilder) -> tuple[str, ...]:
    """An object that may own more than its spec names, and whose past this process did not see, costs one sweep.

    Until then its status must not say that nothing is owed: the next process would believe it.
    """
    memory = observed.memory
    if memory.complete or FINALIZER not in observed.obj.meta.finalizers or observed.fits():
        return ()
    if observed.views.records.all_swept().value:
        return ()
    builder.need(NeedSweep())
    return ("the hosted zones are searched for other names of this object",)


def _complete(
    observed: Observed,
    builder: PlanBuilder,
    aims: Targets,
    claim: Claims,
    ahead: Forward,
    behind: Reverse,
    findings: dict[str, Finding],
    owed: tuple[str, ...],
) -> Plan:
    s = observed
    action = builder.action
    external = isinstance(action, ChangeRecords | SetPtr | ResetPtr)
    if s.obj.spec.suspend and not (isinstance(action, ChangeRecords) and action.only_lost):
        # A lost address may be a third party's by now: it leaves the record all the same.
        action = None
    elif FINALIZER not in s.obj.meta.finalizers and (external or s.owned()):
        # Before the first external write; and again if somebody took it off.
        action = AddFinalizer()
    addresses = _addresses(s, builder, aims, claim, ahead, behind, findings[RESOLVED])
    leaving = _leaving(s, builder, addresses, aims, ahead)
    # An address that is only tidied up after has no part in the name any more.
    shown = [a for a in leaving if a.public_ip in ahead.values or not ahead.known]
    idle = action is None and not owed and not builder.needs
    settled = idle and all(f.ok for f in findings.values())
    # What stands without a new reading is nothing to look at again soon.
    at_rest = idle and all(f.ok or f.soft for f in findings.values())
    resync = s.settings.resync_seconds * (1 - s.settings.resync_jitter * s.spread(1.0))
    wait = min(builder.wait, resync)
    # Whoever is further back in line is not woken by what happens there, and need not look often either.
    far = bool(builder.blocked_on) and not s.views.claims.near(s.obj.meta.uid)
    if not at_rest and builder.wait == float("inf") and not far:
        wait = min(resync, s.settings.blocked_seconds)
    return Plan(
        findings=findings,
        action=action,
        needs=tuple(builder.needs),
        taken_back=tuple(builder.taken_back),
        wait=wait,
        hostname=s.obj.spec.hostname,
        addresses=(*addresses, *leaving),
        wanted=frozenset((e.region, e.allocation_id) for e in aims.wanted.values()),
        public_ips=tuple(dict.fromkeys(a.public_ip for a in (*addresses, *shown) if a.public_ip)),
        place=(ahead.zone.id, s.obj.spec.hostname) if ahead.zone is not None else None,
        forward=_forward(s, claim, ahead),
        delegated=ahead.delegated,
        notices=tuple(builder.notices),
        blocked_on=frozenset(builder.blocked_on) if claim.known and aims.known else None,
        standing=builder.standing,
        suspended=s.obj.spec.suspend and external and action is None,
        held_back=in_words(builder.action) if s.obj.spec.suspend else "",
        settled=settled,
        owed=owed,
        unsatisfied=tuple(builder.unsatisfied.items()),
        heard=tuple((question, at, said) for question, (at, said) in builder.heard.items()),
    )


def _zone(observed: Observed, ahead: Forward) -> ZoneStatus | None:
    """The zone of the object's own record. Not that of a record which is another's: see ``vouch``."""
    spec, status = observed.obj.spec, observed.obj.status
    if ahead.zone is not None and ahead.known:
        return unseen.zone_status(ahead.zone, status.zone) if ahead.held else None
    same = status.zone is not None and status.hostname == spec.hostname
    if ahead.zone is not None:
        return status.zone if same and status.zone is not None and status.zone.id == ahead.zone.id else None
    managed = spec.forward.management is Management.MANAGED
    # Not chosen yet by this process: what is written down stands until it is.
    return status.zone if managed and ahead.finding.soft and same else None


def _forward(observed: Observed, claim: Claims, ahead: Forward) -> ForwardStatus | None:
    if claim.hostname in claims.ELSEWHERE:
        return None
    if not ahead.values and ahead.change_id is None and ahead.finding.soft:
        return observed.obj.status.forward
    if not ahead.values and ahead.change_id is None:
        return None
    ordered = sorted(ahead.values, key=lambda ip: tuple(int(p) for p in ip.split(".")))
    return ForwardStatus(tuple(ordered), ahead.ttl, ahead.change_id)


def _addresses(
    observed: Observed,
    builder: PlanBuilder,
    aims: Targets,
    claim: Claims,
    ahead: Forward,
    behind: Reverse,
    resolved: Finding,
) -> tuple[AddressStatus, ...]:
    """One entry for every EIP that the spec names, and for every selector that resolved to none."""
    s = observed
    entries: dict[str, AddressStatus] = {}
    for entry in aims.entries:
        eip = entry.eip
        if eip is None:
            recorded = [
                a
                for a in s.obj.status.addresses
                if a.selector == entry.selector and (not entry.gone or a.allocation_id in entry.gone)
            ]
            keep = recorded if entry.reason is None else [a for a in recorded if a.allocation_id]
            for old in keep:
                entries.setdefault(
                    old.allocation_id or old.selector,
                    _replaced(old, entry.reason.name if entry.reason else old.reason),
                )
            if not keep:
                missing = entry.reason.name if entry.reason else reasons.PENDING.name
                entries.setdefault(
                    entry.selector, AddressStatus(entry.selector, region=entry.region, reason=missing)
                )
            continue
        if (other := _not_held(s, claim, entry, eip)) is not None:
            entries.setdefault(other.allocation_id or other.selector, other)
            continue
        finding = behind.by_eip.get(eip.allocation_id)
        reason = entry.reason.name if entry.reason else _reason(s, eip, finding)
        entries.setdefault(
            eip.allocation_id,
            AddressStatus(
                entry.selector,
                eip.public_ip,
                eip.allocation_id,
                eip.account_id,
                eip.region,
                eip.attached_to or None,
                eip.ptr.name,
                ptr.origin(s, builder, claim, ahead, eip),
                _iprev(s, eip, ahead, resolved),
                reason,
            ),
        )
    return tuple(entries.values())


def _not_held(observed: Observed, claim: Claims, entry: targets.Entry, eip: Eip) -> AddressStatus | None:
    """What is shown of an address that another object may hold: the selector and the reason, no detail of the address.

    What this object wrote down about its own PTR stays: its clean-up depends on it. None: this object holds it.
    """
    hold = claim.eips.get(eip.allocation_id, Hold.UNKNOWN)
    if hold is Hold.MINE:
        return None
    reason = {Hold.LOST: reasons.ADDRESS_CONFLICT, Hold.RELEASE: reasons.WAITING_FOR_RELEASE}.get(
        hold, reasons.PENDING
    )
    old = observed.recorded_for(eip.allocation_id)
    if old is not None and old.ptr_origin is not None:
        return _replaced(old, old.reason if hold is Hold.UNKNOWN else reason.name, ptr=eip.ptr.name)
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
    observed: Observed, builder: PlanBuilder, named: tuple[AddressStatus, ...], aims: Targets, ahead: Forward
) -> tuple[AddressStatus, ...]:
    """One entry for every old EIP that is still ours to tidy up after."""
    s = observed
    entries: dict[str | None, AddressStatus] = {}
    known = {a.allocation_id for a in named}
    tidy = ahead.values | _old_values(s)
    vanished = {a.allocation_id for a in targets.vanished(s)}
    for old in s.recorded():
        if old.allocation_id in known:
            continue
        region = old.region or ""
        if region in s.views.addresses.regions and s.views.addresses.get(region).value is None:
            # Whose its PTR is stands nowhere else; what is still wanted is not known yet.
            entries[old.allocation_id] = old
            continue
        eip = aims.find(s, old.public_ip or "")
        ours = eip is not None and retire.points_here(s, eip)
        if (hidden := unseen.address(s, builder, old)) is not None:
            entries[old.allocation_id] = _replaced(old, hidden.finding.reason)
            continue
        if (
            (old.allocation_id in vanished and old.public_ip not in aims.lost)
            or old.public_ip in tidy
            or ours
        ):
            entries[old.allocation_id] = _replaced(
                old, reasons.PROGRESSING.name, ptr=eip.ptr.name if eip else old.ptr
            )
    return tuple(entries.values())


def _reason(observed: Observed, eip: Eip, finding: Finding | None) -> str | None:
    """Why an EIP is not right; a question without an answer changes nothing of what was said of this generation."""
    if finding is None or finding.ok:
        return None
    recorded = observed.recorded_for(eip.allocation_id)
    current = observed.obj.status.observed_generation == observed.obj.meta.generation
    return recorded.reason if finding.soft and recorded is not None and current else finding.reason


def _iprev(observed: Observed, eip: Eip, ahead: Forward, resolved: Finding) -> str | None:
    """The RFC 8601 word for an address. It moves with the conditions: a single odd answer does not change it."""
    s, last = observed, _last_iprev(observed, eip)
    if resolved.ok:
        return Iprev.PASS.value
    if last is not None and resolved.soft and s.stands(RESOLVED):
        return last
    word = dns_checks.iprev_of(s.views.dns.public(s.obj.spec.hostname).value, eip.public_ip) or last
    about = eip.ptr.name == s.obj.spec.hostname
    if word != Iprev.PASS.value or not about or ahead.finding.ok or ahead.finding.soft:
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
        simple = retire.simple_a(view) if view is not None else None
        values |= set(simple.values) if simple else set()
    return frozenset(values)


def _replaced(old: AddressStatus, reason: str | None, ptr: str | None = None) -> AddressStatus:
    return AddressStatus(
        old.selector,
        old.public_ip,
        old.allocation_id,
        old.account_id,
        old.region,
        old.attached_to,
        ptr if ptr is not None else old.ptr,
        old.ptr_origin,
        old.iprev,
        reason,
    )
