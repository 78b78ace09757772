"""The A record under management Observed: another DNS holds it; the operator waits for it and never writes it (S2)."""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.api.conditions import FORWARD_READY
from mailegress.model.aws import Eip
from mailegress.model.dns import AuthorityReport, Expected
from mailegress.model.facts import NEVER
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, failed, from_fault, unknown
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.adoption import never_seen, nobody_joins, pointed, ptr_problem
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.propagation import prove
from mailegress.reconcile.rules.record_changes import writes_at
from mailegress.reconcile.rules.targets import Targets


def assess(observed: Observed, builder: PlanBuilder, targets: Targets, claims: Claims) -> RecordState:
    """The record must contain every address that may join; more values, and a CNAME in between, are fine."""
    if claims.hostname is not Hold.MINE:
        return RecordState(
            claims.finding or unknown(reasons.PROGRESSING, "Checking which MailEgress has the hostname.")
        )
    if not targets.known:
        fault = targets.fault
        return RecordState(
            from_fault(fault)
            if fault
            else unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", inconclusive=True)
        )
    joining = _joining(observed, targets, claims)
    if not joining:
        return RecordState(nobody_joins(observed, targets, claims))
    has_ptrs = pointed(observed, targets)
    written = NEVER if has_ptrs else _written(observed)
    if written is None:
        builder.later(observed.settings.poll_seconds)
        what = (
            f"Route 53 is publishing a change of {observed.obj.spec.hostname} that this operator made before."
        )
        return RecordState(failed(reasons.CHANGE_PENDING, what))
    expected = Expected(joining, exact=False)
    proof = prove(observed, builder, expected, written, pointed=has_ptrs)
    finding = proof.finding
    holds = finding.ok
    report = observed.views.dns.authorities(observed.obj.spec.hostname).value
    stands = proof.stands
    # A selector without an address is known whatever DNS answers, and also before it is asked again.
    if holds or stands or (not finding.inconclusive and _lacks_only_held(report, targets, joining)):
        stands = stands and targets.problem is None
        finding = targets.problem or finding
    seen, ttl = _seen(observed, report, expected, finding)
    return RecordState(
        finding,
        values=seen,
        ttl=ttl,
        mine=holds or finding.inconclusive,
        barred=frozenset(e.public_ip for e in targets.wanted.values()) - joining,
        adopted=True,
        complete=holds,
        verified=proof.verified and holds,
        wanted=joining,
        final=joining,
        known=report is not None or finding.inconclusive,
        stands=stands,
    )


def _written(observed: Observed) -> float | None:
    """When the operator's own last change of the hostname was published; None while it is not.

    It may have removed the record of an object that held the hostname before: until then servers still return that
    record, and no PTR may be set on it.
    """
    writes = writes_at(observed, observed.obj.spec.hostname)
    if any(write.busy or write.publishing for write in writes):
        return None
    return max((write.at for write in writes), default=NEVER)


def _lacks_only_held(report: AuthorityReport | None, targets: Targets, joining: frozenset[str]) -> bool:
    """Nobody has to add an address that is only kept until its selector resolves to one again."""
    held = {e.eip.public_ip for e in targets.entries if e.eip is not None and e.held}
    return report is not None and joining - held <= report.agreed()


def _joining(observed: Observed, targets: Targets, claims: Claims) -> frozenset[str]:
    """The addresses that the record must contain."""
    return (
        frozenset(
            e.public_ip
            for e in targets.wanted.values()
            if claims.allows(e.allocation_id) and (_had(observed, e) or ptr_problem(observed, e) is None)
        )
        - targets.lost
    )


def _seen(
    observed: Observed, report: AuthorityReport | None, expected: Expected, finding: Finding
) -> tuple[frozenset[str], int | None]:
    """The addresses that every server returns, and the TTL in seconds."""
    seen: frozenset[str] = frozenset()
    ttl: int | None = None
    if report is not None:
        seen = report.agreed()
        ttl = max((a.ttl for a in report.answers if expected.record_in(a)), default=None)
    previous = observed.obj.status.forward
    same = observed.obj.status.hostname == observed.obj.spec.hostname
    if (
        previous is not None
        and same
        and (report is None or (finding.inconclusive and observed.stands(FORWARD_READY)))
    ):
        # Until an answer against it is confirmed, the record holds what it held.
        return frozenset(previous.values), previous.ttl_seconds
    return seen, ttl


def _had(observed: Observed, eip: Eip) -> bool:
    """Has it joined under this hostname? Not if its PTR was found to be a third party's."""
    recorded = observed.recorded_for(eip.allocation_id)
    return (
        recorded is not None
        and recorded.ptr_origin is not None
        and recorded.reason != reasons.PTR_CONFLICT.name
        and observed.obj.status.hostname == observed.obj.spec.hostname
        and not never_seen(observed, recorded, eip)
    )
