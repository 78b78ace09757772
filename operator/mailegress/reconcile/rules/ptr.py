"""The PTR of each Elastic IP: set to the hostname once the A record is verified, and again if somebody changes it (E7).

The gate (S1), the repair limit and what else delays a write are in ``ptr_gate.py``, ``ptr_repair_limit.py`` and
``ptr_write.py``. Whose a PTR is, is recorded before it is written (S2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.model.aws import Eip
from mailegress.model.facts import Fault, WriteState
from mailegress.reconcile import dns_checks
from mailegress.reconcile.confirmations import lasting
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedPtr,
    NeedPublic,
    SetPtr,
    failed,
    from_fault,
    passed,
    unknown,
)
from mailegress.reconcile.rules import ptr_gate, ptr_repair_limit, ptr_write, suspend
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.adoption import left_alone, ptr_problem
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.targets import Targets

LONG_PENDING = 600.0
"""Seconds after which the status reports that a PTR update takes long; AWS needs a minute or two."""


_FIXED_ADDRESSES = (
    "AWS allocated this address for a regional NAT gateway. Create the gateway in manual mode with Elastic IPs of your "
    "own, or send mail through a zonal NAT gateway."
)

READING = failed(reasons.PTR_PENDING, "Reading the PTR again.")


@dataclass(frozen=True, slots=True)
class PtrState:
    finding: Finding
    by_eip: dict[str, Finding]
    """By allocation ID."""
    settled: bool
    """Every wanted EIP for which AWS takes a PTR has joined and shows the hostname."""
    switched_at: float = float("-inf")
    """When the last of them was first seen to do so."""
    refused: bool = False
    """AWS takes no PTR for some of the addresses."""


def assess(
    observed: Observed, builder: PlanBuilder, targets: Targets, claims: Claims, forward: RecordState
) -> PtrState:
    """Judge every wanted EIP's PTR; propose the writes of all that are to be set now, or one reset."""
    by_eip: dict[str, Finding] = {}
    for entry in observed.recorded():
        if entry.public_ip in targets.lost:
            builder.taken_back.append((entry.region or "", entry.allocation_id or ""))
    for allocation_id, eip in targets.wanted.items():
        by_eip[allocation_id] = _judge(observed, builder, claims, forward, eip)
    # An address for which AWS takes no PTR keeps nothing of the others waiting (E8).
    able = [a for a, finding in by_eip.items() if not _takes_no_ptr(targets.wanted[a], finding)]
    settled = bool(able) and all(by_eip[a].ok for a in able)
    switched = max(
        (observed.memory.ptrs.ptr_since.get((a, observed.obj.spec.hostname), observed.now) for a in able),
        default=observed.now,
    )
    if settled:
        _reset_leaving(observed, builder, targets, forward)
    # What needs a user is reported before what continues automatically.
    finding = min((f for f in by_eip.values() if not f.ok), key=_urgency, default=None)
    if finding is None:
        finding = (
            passed(reasons.PTR_IN_SYNC, f"Every address has the PTR {observed.obj.spec.hostname}.")
            if by_eip
            else _nothing(observed, targets)
        )
    return PtrState(finding, by_eip, settled, switched, refused=len(able) < len(by_eip))


def _urgency(finding: Finding) -> tuple[bool, bool]:
    reason = reasons.ALL_REASONS.get(finding.reason)
    return (finding.inconclusive, reason is None or not reason.stalls_at_once)


def _nothing(observed: Observed, targets: Targets) -> Finding:
    if (problem := targets.problem) is not None:
        return problem
    if targets.fault is not None:
        return from_fault(targets.fault)
    return unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", inconclusive=True)


def _judge(
    observed: Observed, builder: PlanBuilder, claims: Claims, forward: RecordState, eip: Eip
) -> Finding:
    hostname = observed.obj.spec.hostname
    joined = forward.joined(eip.public_ip)
    if claims.eips.get(eip.allocation_id) is Hold.UNKNOWN or (
        not forward.known and forward.finding.inconclusive
    ):
        return unknown(reasons.PROGRESSING, "Reading the state of an address.", inconclusive=True)
    if not claims.allows(eip.allocation_id):
        # Neither which address it is nor what its PTR shows: it may be another tenant's.
        return failed(reasons.PENDING, "The PTR is set after this object has claimed the address.")
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
        return _matches(observed, builder, eip, joined=joined)
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    if write is not None and write.busy and not ptr_gate.still_allowed(forward, eip.public_ip):
        # What allowed it does not hold any more; if it was not sent yet, it is not.
        builder.taken_back.append((eip.region, eip.allocation_id))
    sent = _under_way(write, hostname, eip)
    if (waiting := ptr_write.unsettled_write(observed, builder, eip, sent, READING)) is not None:
        return waiting
    if ptr_write.unsettled_change(observed, builder, eip):
        return _changing(observed, eip)
    if not joined:
        return failed(
            reasons.WAITING_FOR_FORWARD,
            f"The PTR of {eip.public_ip} is set once the A record of {hostname} contains the address.",
        )
    return _set(observed, builder, forward, eip)


def _matches(observed: Observed, builder: PlanBuilder, eip: Eip, *, joined: bool) -> Finding:
    """AWS shows the wanted PTR. It is read again after an edit before it counts."""
    hostname, place = observed.obj.spec.hostname, (eip.region, eip.allocation_id)
    if not joined:
        return failed(
            reasons.WAITING_FOR_FORWARD,
            f"{eip.public_ip} has the PTR {hostname}; its A record does not exist yet.",
        )
    if not observed.converged and not observed.views.addresses.ptr(*place).fresh(observed.edit_floor):
        builder.need(NeedPtr(*place, observed.edit_floor))
        return unknown(reasons.PROGRESSING, f"Reading the PTR of {eip.public_ip}.", inconclusive=True)
    return passed(reasons.PTR_IN_SYNC, f"{eip.public_ip} has the PTR {hostname}.")


def _changing(observed: Observed, eip: Eip) -> Finding:
    """AWS is still changing the PTR."""
    hostname = observed.obj.spec.hostname
    if (refused := ptr_write.not_shown(observed, eip)) is not None:
        return refused
    if long := pending_since(observed, eip):
        return failed(
            reasons.PTR_PENDING,
            f"AWS has the PTR of {eip.public_ip} PENDING since at least {long}, to become "
            f"{eip.ptr.update or 'none'}. AWS is working on it; if it stays so for hours, ask AWS Support.",
        )
    if eip.ptr.update == hostname:
        return _asking(hostname, eip)
    return failed(
        reasons.PTR_PENDING, f"AWS is setting the PTR of {eip.public_ip} to {eip.ptr.update or 'none'}."
    )


def _set(observed: Observed, builder: PlanBuilder, forward: RecordState, eip: Eip) -> Finding:
    s, hostname = observed, observed.obj.spec.hostname
    write = s.views.ptr_writes.state(eip.region, eip.allocation_id)
    if (failure := ptr_write.update_failed(s, builder, eip)) is not None:
        return failure
    if write is not None and write.fault is not None:
        rejected = write.fault.reason == reasons.PTR_REJECTED.name
        pause = max(s.settings.ptr_refused_seconds, float(forward.ttl or 0)) if rejected else None
        if ptr_write.backing_off(s, builder, eip, pause):
            return _refused(write.fault, hostname, eip)
    if (contested := ptr_repair_limit.too_many_repairs(s, builder, eip)) is not None:
        return contested
    before = ptr_gate.open_until(s, builder, forward)
    if before is None:
        return failed(
            reasons.WAITING_FOR_FORWARD,
            f"The PTR of {eip.public_ip} is set once every authoritative name server returns it as an address of "
            f"{hostname}.",
        )
    repairs = ptr_repair_limit.times_after(s, eip) if ptr_repair_limit.is_repair(s, eip) else None
    builder.act(SetPtr(eip.region, eip.allocation_id, eip.public_ip, hostname, repairs, before))
    would = f"set the PTR of {eip.public_ip} from {eip.ptr.name or 'none'} to {hostname}"
    if (suspended := suspend.instead(s, would)) is not None:
        return suspended
    return _under_way(write, hostname, eip)


def _under_way(write: WriteState | None, hostname: str, eip: Eip) -> Finding:
    """The write is handed over or under way; if the attempt before failed, its failure stands meanwhile."""
    if write is None or write.fault is None or not write.attempts:
        return _asking(hostname, eip)
    return replace(_refused(write.fault, hostname, eip), inconclusive=False)


def _refused(fault: Fault, hostname: str, eip: Eip) -> Finding:
    """What AWS answered to the write. A refusal of its content concerns this one address and names it."""
    if fault.reason != reasons.PTR_REJECTED.name:
        return from_fault(fault)
    words = fault.message.removesuffix(".")
    remedy = _FIXED_ADDRESSES if eip.service_managed else reasons.PTR_REJECTED.remedy
    return failed(
        reasons.PTR_REJECTED, f"AWS rejects the PTR {hostname} of {eip.public_ip}: {words}. {remedy}"
    )


def _takes_no_ptr(eip: Eip, finding: Finding) -> bool:
    """Did AWS refuse the PTR of an address that it manages itself? Only the owner of the gateway can change that."""
    return bool(eip.service_managed) and finding.reason == reasons.PTR_REJECTED.name


def _asking(hostname: str, eip: Eip) -> Finding:
    """The same words from the moment it is wanted until AWS is done: a status less to write for each EIP."""
    return failed(reasons.PTR_PENDING, f"Setting the PTR of {eip.public_ip} to {hostname}.")


def pending_since(observed: Observed, eip: Eip) -> str:
    """Since when AWS has a change of this PTR PENDING, if that is long; as far as this process knows."""
    since, stamp = observed.memory.ptrs.pending_since.get(eip.allocation_id, (observed.now, ""))
    return stamp if observed.now - since >= LONG_PENDING else ""


def _unsupported(observed: Observed, builder: PlanBuilder, forward: RecordState, eip: Eip) -> Finding:
    """GovCloud and ISO: AWS Support sets the PTR; it counts when it is seen in DNS."""
    s, hostname = observed, observed.obj.spec.hostname
    fact = s.views.dns.public(hostname)
    reading = unknown(
        reasons.PROGRESSING, f"Querying public resolvers for the PTR of {eip.public_ip}.", inconclusive=True
    )
    confirmed = True
    if not forward.finding.ok and forward.finding.inconclusive:
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
            return passed(reasons.PTR_IN_SYNC, f"{eip.public_ip} has the PTR {hostname} in DNS.")
        streak = builder.ask_again(s, "reverse", fact, lambda due: NeedPublic(hostname, addresses, due))
        confirmed = lasting(s, streak)
    return failed(
        reasons.REVERSE_UNSUPPORTED,
        f"AWS has no API for the PTR of {eip.public_ip} in {eip.region}: ask AWS Support to set it to {hostname}.",
        inconclusive=not confirmed,
    )


def _reset_leaving(observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState) -> None:
    """The new addresses are right: the PTRs of those that leave may go, then the record shrinks."""
    if not forward.mine or not targets.known:
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
    resetting = failed(reasons.PTR_PENDING, f"Resetting the PTR of {eip.public_ip}.")
    changing = failed(reasons.PTR_PENDING, f"AWS is changing the PTR of {eip.public_ip}.")
    return ptr_write.reset(observed, builder, eip, hostname, resetting, READING, changing).finding
