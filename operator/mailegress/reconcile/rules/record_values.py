"""Which addresses an A record is to hold in the end, under Managed and ExternalDNS (S2, S14).

An Elastic IP joins if this object has it and its PTR is not a third party's. What is in the record already stays while
nothing shows that it must leave.
"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.model.aws import Eip
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, failed
from mailegress.reconcile.rules.adoption import ptr_problem
from mailegress.reconcile.rules.claims import Claims
from mailegress.reconcile.rules.targets import Targets


def final_values(
    observed: Observed, targets: Targets, claims: Claims, joined: frozenset[str]
) -> frozenset[str]:
    """``joined``: the addresses in our own record."""
    final = {
        e.public_ip
        for e in targets.wanted.values()
        if claims.allows(e.allocation_id) and _joins(observed, e, joined)
    }
    # What no policy allows any more stays where it is.
    final |= joined & targets.refused_ips
    if targets.mass or not targets.known or any(e.eip is None for e in targets.entries):
        # A selector that resolves to none never shrinks the set: what no Elastic IP explains stays, unless lost.
        final |= {ip for ip in joined if targets.find(observed, ip) is None}
    return frozenset(final - targets.lost)


def being_replaced(
    observed: Observed, targets: Targets, claims: Claims, values: frozenset[str], final: frozenset[str]
) -> Finding | None:
    """What remains to be done while the record holds addresses that are to leave it.

    None also if a third party's PTR keeps out an address that should replace them: ReverseReady tells that.
    """
    if values == final or any(
        claims.allows(eip.allocation_id) and not _joins(observed, eip, values)
        for eip in targets.wanted.values()
    ):
        return None
    return failed(
        reasons.PROGRESSING,
        f"{dns_checks.listing(values - final)} is removed from the A record of {observed.obj.spec.hostname} after its "
        "PTR is reset.",
    )


def may_change(targets: Targets, wanted: frozenset[str]) -> bool:
    """Not for addresses alone that no policy allows: lost ones may leave, and nothing else happens."""
    return not wanted or bool(targets.lost) or not wanted <= targets.refused_ips


def _joins(observed: Observed, eip: Eip, joined: frozenset[str]) -> bool:
    """A foreign PTR keeps an EIP from joining; once joined, its PTR is repaired instead."""
    if eip.public_ip in joined:
        return True
    return ptr_problem(observed, eip) is None
