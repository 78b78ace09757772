"""Which EIPs may join an A record, and whose their PTRs are."""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.api.status import PtrOrigin
from mailegress.api.types import Adoption
from mailegress.model import ownership
from mailegress.model.aws import Eip
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, bad, unknown
from mailegress.reconcile.rules.claims import Claims
from mailegress.reconcile.rules.targets import Targets


def nobody_joins(observed: Observed, targets: Targets, contest: Claims) -> Finding:
    """Why no address may be in the A record: the cause itself, for Ready carries the first blocker."""
    entry = targets.problem
    if entry is not None and entry.reason is not None:
        return bad(entry.reason, f"{entry.detail}. {entry.reason.remedy}")
    if contest.finding is not None:
        return contest.finding
    problems = (ptr_problem(observed, eip) for eip in targets.wanted.values())
    return next(
        (p for p in problems if p is not None),
        unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", soft=True),
    )


def ptr_problem(observed: Observed, eip: Eip) -> Finding | None:
    """Why an EIP that has not joined may not: its PTR is somebody else's, or may not be adopted."""
    hostname = observed.obj.spec.hostname
    shown = eip.ptr.update if eip.ptr.pending and eip.ptr.update else eip.ptr.name
    if shown is None or shown in observed.own_names() - {hostname} or _former(observed, eip, shown):
        return None
    if shown == hostname:
        if observed.obj.spec.adoption is Adoption.NEVER and not known_origin(observed, eip):
            return bad(
                reasons.PTR_NOT_ADOPTED,
                f"{eip.public_ip} already has the PTR {hostname}, which this operator did not set. "
                f"{reasons.PTR_NOT_ADOPTED.remedy}",
            )
        return None
    return bad(
        reasons.PTR_CONFLICT,
        f"{eip.public_ip} has the PTR {shown}, which this operator did not set. {reasons.PTR_CONFLICT.remedy}",
    )


def _former(observed: Observed, eip: Eip, shown: str) -> bool:
    """Is it the PTR of a former hostname of this object? Under Observed there is no mark that says so."""
    s, recorded = observed, observed.recorded_for(eip.allocation_id)
    if shown == s.obj.spec.hostname or recorded is None or recorded.ptr_origin is None:
        return False
    if shown in s.memory.edits.hostnames:
        return True
    # Renamed before this process started: the status still shows the PTR as it was, and nobody called it foreign.
    foreign = (reasons.PTR_CONFLICT.name, reasons.PTR_CONTESTED.name)
    return not s.memory.edits.edited and recorded.ptr == shown and recorded.reason not in foreign


def pointed(observed: Observed, targets: Targets) -> bool:
    """Does every wanted address that AWS can give a PTR have the hostname as its PTR?"""
    hostname, book = observed.obj.spec.hostname, observed.views.addresses
    for eip in targets.wanted.values():
        view = book.get(eip.region).value
        if (view is None or view.ptr_supported) and not eip.ptr.settled_to(hostname):
            return False
    return bool(targets.wanted)


def known_origin(observed: Observed, eip: Eip) -> bool:
    recorded = observed.recorded_for(eip.allocation_id)
    return (recorded is not None and recorded.ptr_origin is not None) or made_before(observed, eip)


def made_before(observed: Observed, eip: Eip) -> bool:
    """An A record under a mark that says it was created by us, or by an object that is gone, already holds the address.

    AWS takes a PTR only after the A, and the A was ours: the PTR beside it is ours too (lost status, restored cluster).
    Where the mark is ours and somebody took the A away, it is taken to have held the address.
    """
    s = observed
    for _, view in s.views.records.holder(s.obj.spec.hostname):
        mark = ownership.parse(view.mark.values) if view.mark is not None else None
        if mark is None or mark.adopted or not s.settings.mine(mark.owner):
            continue
        if mark.uid != s.obj.meta.uid and s.views.claims.live(mark.uid):
            continue
        records = view.of_type("A")
        if any(eip.public_ip in r.values for r in records if r.simple):
            return True
        if not records and mark.uid == s.obj.meta.uid:
            return True
    return False


def left_alone(observed: Observed, eip: Eip) -> bool:
    """A PTR that was adopted is left as it was found."""
    recorded = observed.recorded_for(eip.allocation_id)
    return recorded is not None and recorded.ptr_origin is PtrOrigin.ADOPTED
