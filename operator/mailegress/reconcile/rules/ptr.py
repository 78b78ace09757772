"""The PTRs: each EIP's reverse DNS is to be the hostname, once the A record is proved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.status import PtrOrigin
from mailegress.api.types import Management
from mailegress.model import ownership
from mailegress.model.aws import Eip
from mailegress.model.facts import ErrorKind, Fault, WriteState
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedAuthorities,
    NeedPtr,
    NeedPublic,
    ResetPtr,
    SetPtr,
    bad,
    from_fault,
    good,
    under_way,
    unknown,
)
from mailegress.reconcile.rules import suspend
from mailegress.reconcile.rules.a_record import Forward
from mailegress.reconcile.rules.adoption import left_alone, made_before, ptr_problem
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.leaving import read_lately, reset_before
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.targets import Targets

HOUR = 3600.0
LONG_PENDING = 600.0
"""Seconds after which a PTR update is told to take long; AWS needs a minute or two."""


@dataclass(frozen=True, slots=True)
class Reverse:
    finding: Finding
    by_eip: dict[str, Finding]
    """By allocation ID."""
    settled: bool
    """Every wanted EIP has joined and shows the hostname."""
    switched_at: float = float("-inf")
    """When the last of them was first seen to do so."""


def assess(
    observed: Observed, builder: PlanBuilder, targets: Targets, contest: Claims, forward: Forward
) -> Reverse:
    """Judge every wanted EIP's PTR; propose at most one write."""
    by_eip: dict[str, Finding] = {}
    for entry in observed.recorded():
        if entry.public_ip in targets.lost:
            builder.taken_back.append((entry.region or "", entry.allocation_id or ""))
    for allocation_id, eip in targets.wanted.items():
        by_eip[allocation_id] = _judge(observed, builder, contest, forward, eip)
    settled = bool(by_eip) and all(f.ok for f in by_eip.values())
    switched = max(
        (observed.memory.ptrs.ptr_since.get((a, observed.obj.spec.hostname), observed.now) for a in by_eip),
        default=observed.now,
    )
    if settled:
        _reset_leaving(observed, builder, targets, forward)
    # What needs a human is told before what goes on by itself.
    finding = min((f for f in by_eip.values() if not f.ok), key=_urgency, default=None)
    if finding is None:
        finding = (
            good(reasons.PTR_IN_SYNC, f"Every address has the PTR {observed.obj.spec.hostname}.")
            if by_eip
            else _nothing(observed, targets)
        )
    return Reverse(finding, by_eip, settled, switched)


def _urgency(finding: Finding) -> tuple[bool, bool]:
    reason = reasons.ALL_REASONS.get(finding.reason)
    return (finding.soft, reason is None or not reason.stalls_at_once)


def _nothing(observed: Observed, targets: Targets) -> Finding:
    entry = targets.problem
    if entry is not None and entry.reason is not None:
        return bad(entry.reason, f"{entry.detail or entry.selector}. {entry.reason.remedy}")
    if targets.fault is not None:
        return from_fault(targets.fault)
    return unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", soft=True)


def _judge(observed: Observed, builder: PlanBuilder, contest: Claims, forward: Forward, eip: Eip) -> Finding:
    hostname = observed.obj.spec.hostname
    joined = forward.mine and eip.public_ip in forward.values
    if contest.eips.get(eip.allocation_id) is Hold.UNKNOWN or (not forward.known and forward.finding.soft):
        return unknown(reasons.PROGRESSING, "Reading the state of an address.", soft=True)
    if not contest.allows(eip.allocation_id):
        # Neither which address it is nor what its PTR shows: it may be another tenant's.
        return bad(reasons.PENDING, "The PTR is set after this object has claimed the address.")
    if not joined and (problem := ptr_problem(observed, eip)) is not None:
        place = (eip.region, eip.allocation_id)
        builder.look_again(
            observed,
            f"ptr:{eip.allocation_id}",
            observed.views.addresses.ptr(*place),
            lambda due: NeedPtr(*place, due),
        )
        return problem
    view = observed.views.addresses.get(eip.region).value
    if view is not None and not view.ptr_supported:
        return _unsupported(observed, builder, forward, eip)
    if eip.ptr.settled_to(hostname) and observed.doubted(eip.region, eip.allocation_id) is None:
        if not joined:
            return bad(
                reasons.WAITING_FOR_FORWARD,
                f"{eip.public_ip} has the PTR {hostname}; its A record does not exist yet.",
            )
        if not observed.converged and not observed.views.addresses.ptr(eip.region, eip.allocation_id).fresh(
            observed.edit_floor
        ):
            builder.need(NeedPtr(eip.region, eip.allocation_id, observed.edit_floor))
            return unknown(reasons.PROGRESSING, f"Reading the PTR of {eip.public_ip}.", soft=True)
        return good(reasons.PTR_IN_SYNC, f"{eip.public_ip} has the PTR {hostname}.")
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    if write is not None and write.busy:
        if not joined or not (forward.verified or forward.finding.ok or forward.finding.soft):
            # What justified it does not hold any more; if it was not sent yet, it is not.
            builder.taken_back.append((eip.region, eip.allocation_id))
        return _under_way(write, hostname, eip)
    if (since := observed.doubted(eip.region, eip.allocation_id)) is not None:
        builder.need(NeedPtr(eip.region, eip.allocation_id, since))
        return _unanswered(write)
    if eip.ptr.pending:
        builder.need(NeedPtr(eip.region, eip.allocation_id, observed.now))
        if (refused := not_shown(observed, eip)) is not None:
            return refused
        if long := pending_since(observed, eip):
            return bad(
                reasons.PTR_PENDING,
                f"AWS has the PTR of {eip.public_ip} PENDING since at least {long}, to become "
                f"{eip.ptr.update or 'none'}. AWS is working on it; if it stays so for hours, ask AWS Support.",
            )
        if eip.ptr.update == hostname:
            return _asking(hostname, eip)
        return bad(
            reasons.PTR_PENDING, f"AWS is setting the PTR of {eip.public_ip} to {eip.ptr.update or 'none'}."
        )
    if not joined:
        return bad(
            reasons.WAITING_FOR_FORWARD,
            f"The PTR of {eip.public_ip} is set once the A record of {hostname} contains the address.",
        )
    return _set(observed, builder, forward, eip)


def _unanswered(write: WriteState | None) -> Finding:
    fault = write.fault if write is not None else None
    return from_fault(fault) if fault is not None else bad(reasons.PTR_PENDING, "Reading the PTR again.")


def _set(observed: Observed, builder: PlanBuilder, forward: Forward, eip: Eip) -> Finding:
    s, hostname = observed, observed.obj.spec.hostname
    write = s.views.ptr_writes.state(eip.region, eip.allocation_id)
    if (failed := update_failed(s, builder, eip, write)) is not None:
        return failed
    if write is not None and write.fault is not None:
        refused = write.fault.reason == reasons.PTR_REJECTED.name
        pause = max(s.settings.ptr_refused_seconds, float(forward.ttl or 0)) if refused else None
        if rest := s.rest_of(write, pause):
            builder.later(rest)
            return _refused(write.fault, hostname, eip)
    shown = eip.ptr.name or "none"
    heal = _was_right(s, eip)
    if heal:
        recent = [t for t in s.memory.ptrs.repairs.get(eip.allocation_id, ()) if t > s.now - HOUR]
        if len(recent) >= s.settings.heals_per_hour:
            builder.later(min(recent) + HOUR - s.now)
            return bad(
                reasons.PTR_CONTESTED,
                f"The PTR of {eip.public_ip} was changed to {shown} again; the operator repaired it {len(recent)} "
                f"times within an hour. {reasons.PTR_CONTESTED.remedy}",
            )
    if not forward.verified:
        heard = s.views.dns.authorities(hostname)
        stale = s.now - s.settings.gate_seconds
        if forward.complete and max(heard.at, heard.tried_at) < stale:
            builder.need(NeedAuthorities(hostname, stale))
        return bad(
            reasons.WAITING_FOR_FORWARD,
            f"The PTR of {eip.public_ip} is set once every authoritative name server returns it as an address of "
            f"{hostname}.",
        )
    before = s.views.dns.authorities(hostname).at + s.settings.gate_seconds
    builder.act(SetPtr(eip.region, eip.allocation_id, eip.public_ip, hostname, heal, before))
    would = f"set the PTR of {eip.public_ip} from {shown} to {hostname}"
    if (suspended := suspend.instead(s, would)) is not None:
        return suspended
    return _under_way(write, hostname, eip)


def _under_way(write: WriteState | None, hostname: str, eip: Eip) -> Finding:
    """The write is handed over or under way; if the attempt before failed, its failure stands meanwhile."""
    if write is None or write.fault is None or not write.attempts:
        return _asking(hostname, eip)
    return replace(_refused(write.fault, hostname, eip), soft=False)


def _refused(fault: Fault, hostname: str, eip: Eip) -> Finding:
    """What AWS answered to the write. A refusal of its content concerns this one address and names it."""
    if fault.reason != reasons.PTR_REJECTED.name:
        return from_fault(fault)
    words = fault.message.removesuffix(".")
    return bad(
        reasons.PTR_REJECTED,
        f"AWS rejects the PTR {hostname} of {eip.public_ip}: {words}. {reasons.PTR_REJECTED.remedy}",
    )


def _asking(hostname: str, eip: Eip) -> Finding:
    """The same words from the moment it is wanted until AWS is done: a status less to write for each EIP."""
    return bad(reasons.PTR_PENDING, f"Setting the PTR of {eip.public_ip} to {hostname}.")


def not_shown(observed: Observed, eip: Eip) -> Finding | None:
    """AWS refuses to show what became of this PTR: nobody knows when its change is done."""
    fault = observed.views.addresses.ptr(eip.region, eip.allocation_id).fault
    if fault is None or fault.kind is ErrorKind.TRANSIENT:
        return None
    return from_fault(fault, f"AWS does not show whether the PTR of {eip.public_ip} is set: ")


def pending_since(observed: Observed, eip: Eip) -> str:
    """Since when AWS has a change of this PTR PENDING, if that is long; as far as this process knows."""
    since, stamp = observed.memory.ptrs.pending_since.get(eip.allocation_id, (observed.now, ""))
    return stamp if observed.now - since >= LONG_PENDING else ""


def update_failed(
    observed: Observed, builder: PlanBuilder, eip: Eip, write: WriteState | None
) -> Finding | None:
    """AWS took the last update of a PTR and reports that it failed: the finding until it may be tried again."""
    if not eip.ptr.failed:
        return None
    since = write.at if write is not None else observed.memory.first_seen
    rest = observed.rest(since, observed.settings.ptr_refused_seconds)
    if not rest:
        return None
    builder.later(rest)
    said = eip.ptr.reason or "no reason given"
    return bad(
        reasons.PTR_REJECTED,
        f"AWS reports the PTR update of {eip.public_ip} as {eip.ptr.status}: {said}. {reasons.PTR_REJECTED.remedy}",
    )


def _was_right(observed: Observed, eip: Eip) -> bool:
    """It showed the hostname before and does not any more: somebody else's act."""
    recorded = observed.recorded_for(eip.allocation_id)
    memory = observed.memory
    return (
        eip.allocation_id in memory.ptrs.repairs
        or (eip.allocation_id, observed.obj.spec.hostname) in memory.ptrs.matched_since_edit
        or (
            recorded is not None
            and recorded.ptr_origin is not None
            and recorded.ptr == observed.obj.spec.hostname
            and observed.obj.status.hostname == observed.obj.spec.hostname
        )
    )


def _unsupported(observed: Observed, builder: PlanBuilder, forward: Forward, eip: Eip) -> Finding:
    """GovCloud and ISO: AWS Support sets the PTR; it counts when it is seen in DNS."""
    s, hostname = observed, observed.obj.spec.hostname
    fact = s.views.dns.public(hostname)
    reading = unknown(
        reasons.PROGRESSING, f"Querying public resolvers for the PTR of {eip.public_ip}.", soft=True
    )
    streak = s.settings.confirmations
    if not forward.finding.ok and forward.finding.soft:
        return reading
    if forward.finding.ok and s.views.dns.resolvers:
        addresses = frozenset(forward.wanted)
        asked = max(s.memory.edits.edit_at, s.memory.edits.request_at)
        floor = max(asked, s.now - s.settings.public_seconds)
        report = fact.value if fact.fresh(asked) else None
        if report is None or not fact.fresh(floor) or not addresses <= report.addresses:
            builder.need(NeedPublic(hostname, addresses, floor))
        if report is None or eip.public_ip not in report.addresses:
            return reading
        if dns_checks.ptr_seen(report, eip.public_ip, hostname):
            return good(reasons.PTR_IN_SYNC, f"{eip.public_ip} has the PTR {hostname} in DNS.")
        streak = builder.ask_again(s, "reverse", fact, lambda due: NeedPublic(hostname, addresses, due))
    return bad(
        reasons.REVERSE_UNSUPPORTED,
        f"AWS has no API for the PTR of {eip.public_ip} in {eip.region}: ask AWS Support to set it to {hostname}.",
        soft=streak < s.settings.confirmations,
    )


def _reset_leaving(observed: Observed, builder: PlanBuilder, targets: Targets, forward: Forward) -> None:
    """The new addresses are right: the PTRs of those that leave may go, then the record shrinks."""
    if not forward.mine:
        return
    for address in sorted(forward.wanted - forward.final):
        eip = targets.find(observed, address)
        if eip is not None:
            reset(observed, builder, eip, observed.obj.spec.hostname)


def reset(observed: Observed, builder: PlanBuilder, eip: Eip, hostname: str) -> Finding | None:
    """Take our name off an EIP. None once it is gone (or was never ours to take)."""
    if left_alone(observed, eip) or hostname not in (eip.ptr.name, eip.ptr.update):
        return None
    view = observed.views.addresses.get(eip.region).value
    if view is not None and not view.ptr_supported:
        return None
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    text = f"Resetting the PTR of {eip.public_ip}."
    if write is not None and write.busy:
        return under_way(write, bad(reasons.PTR_PENDING, text))
    if (since := observed.doubted(eip.region, eip.allocation_id)) is not None:
        builder.need(NeedPtr(eip.region, eip.allocation_id, since))
        return _unanswered(write)
    if eip.ptr.pending:
        builder.need(NeedPtr(eip.region, eip.allocation_id, observed.now))
        if (refused := not_shown(observed, eip)) is not None:
            return refused
        return bad(reasons.PTR_PENDING, f"AWS is changing the PTR of {eip.public_ip}.")
    if (failed := update_failed(observed, builder, eip, write)) is not None:
        return failed
    rest = observed.rest_of(write)
    if rest and write is not None and write.fault is not None:
        builder.later(rest)
        return from_fault(write.fault)
    if read_lately(observed, builder, eip):
        builder.act(
            ResetPtr(eip.region, eip.allocation_id, eip.public_ip, hostname, reset_before(observed, eip))
        )
    return under_way(write, bad(reasons.PTR_PENDING, text))


def origin(
    observed: Observed, builder: PlanBuilder, claim: Claims, forward: Forward, eip: Eip
) -> PtrOrigin | None:
    """Whose PTR it is, to be written down before it is touched."""
    hostname = observed.obj.spec.hostname
    recorded = observed.recorded_for(eip.allocation_id)
    known = recorded.ptr_origin if recorded is not None else None
    action = builder.action
    if isinstance(action, SetPtr) and action.allocation_id == eip.allocation_id:
        # What was adopted and is put back stays as it was found; all else that we set is ours.
        return known if action.heal and known is not None else PtrOrigin.MANAGED
    if known is not None:
        return known
    if claim.hostname is not Hold.MINE or not claim.allows(eip.allocation_id):
        # What another object's PTR shows is not adopted by looking at it.
        return None
    if hostname in (eip.ptr.name, eip.ptr.update):
        if observed.obj.spec.forward.management is Management.MANAGED:
            zone = forward.zone
            view = observed.views.records.get(zone.id, hostname).value if zone is not None else None
            if view is None:
                return None  # Whose it is stands in the mark, which was not read yet.
            mark = ownership.parse(view.mark.values) if view.mark is not None else None
            if mark is not None and not observed.settings.mine(mark.owner):
                # Another operator's. Accepted later as a predecessor, it leaves us what it had made or adopted.
                return None
        if made_before(observed, eip):
            return PtrOrigin.MANAGED
        return PtrOrigin.ADOPTED if ptr_problem(observed, eip) is None else None
    return None
