"""What may leave: an address its record, a hostname an address's PTR. A reading of the PTR made just now decides (S4).

The list of PTRs of a region is up to ``address_sweep_seconds`` old. Another process of this operator, or somebody by
hand, may have set the PTR since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.status import Origin
from mailegress.model.aws import Eip
from mailegress.model.facts import NEVER
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, NeedPtr, from_fault, unknown
from mailegress.reconcile.rules import policy, unseen
from mailegress.reconcile.rules.adoption import left_alone, says_more, unfinished
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.targets import Targets


def read_lately(observed: Observed, builder: PlanBuilder, eip: Eip, since: float = NEVER) -> bool:
    """Was the PTR read just now, and ``since`` then? What the lists say of it may have become untrue meanwhile."""
    floor = max(observed.now - observed.settings.gate_seconds, since)
    fact = observed.views.addresses.ptr(eip.region, eip.allocation_id)
    return builder.have(fact, floor, NeedPtr(eip.region, eip.allocation_id, floor))


def unread(observed: Observed, builder: PlanBuilder, eip: Eip, since: float = NEVER) -> unseen.Unseen | None:
    """Why a record that the PTR may need must stay: the PTR was not read just now. None: it was, or does not matter."""
    view = observed.views.addresses.get(eip.region).value
    if left_alone(observed, eip) or view is None or not view.ptr_supported:
        return None
    told = _told_at(observed, eip)
    if told > observed.now:
        builder.later(told - observed.now)
    elif read_lately(observed, builder, eip, max(since, told)):
        return None
    fault = observed.views.addresses.ptr(eip.region, eip.allocation_id).fault
    if fault is not None:
        return unseen.Unseen(from_fault(fault, f"Reading the PTR of {eip.public_ip}: "))
    reading = unknown(reasons.PROGRESSING, f"Reading the PTR of {eip.public_ip}.", inconclusive=True)
    return unseen.Unseen(reading, waits=True)


def _told_at(observed: Observed, eip: Eip) -> float:
    """When the PTR must be read, because the status tells of another one than this process sees.

    Another process of this operator that wrote it down sets it at once, or for as long as its proof is valid.
    """
    entry = observed.recorded_for(eip.allocation_id)
    if entry is None or not says_more(entry, eip):
        return NEVER
    coming = observed.settings.gate_seconds if unfinished(entry, eip) is not None else 0.0
    return observed.memory.ptrs.told_at + coming


@dataclass(frozen=True, slots=True)
class Leaving:
    """Of the addresses that are to leave a record: those that must stay for now."""

    stay: frozenset[str] = frozenset()
    reading: Finding | None = None
    """Some of them stay only until their PTR is read, which is under way."""
    refused: Finding | None = None
    """Some of them stay because AWS does not show their PTR."""


def missing(
    observed: Observed, targets: Targets, hostname: str, zone_id: str | None, present: frozenset[str]
) -> frozenset[str]:
    """Addresses that the A record lacks: their PTRs, which this object set, show its hostname.

    ``zone_id`` as in :func:`policy.barred_in`.
    """
    s = observed
    eips = (targets.find(s, a.public_ip or "") for a in s.recorded() if a.ptr_origin is Origin.MANAGED)
    lacking = [
        eip for eip in eips if eip is not None and eip.ptr.name == hostname and eip.public_ip not in present
    ]
    if not lacking:
        return frozenset()
    return frozenset(e.public_ip for e in lacking) - targets.lost - policy.barred_in(s, zone_id, lacking)


def leaving(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    addresses: Iterable[str],
    hostname: str,
    read_at: float,
) -> Leaving:
    """Old addresses stay whose PTR shows the hostname, did so a moment ago, or may do so soon (make before break).

    ``read_at``: when the record was read. Whoever added an address before that may have set its PTR before that too.
    Lost addresses are none of them: they may be a third party's by now.
    """
    stay: set[str] = set()
    reading: Finding | None = None
    refused: Finding | None = None
    for ip in sorted(addresses):
        eip = targets.find(observed, ip)
        if eip is None and unseen.holding(observed, builder, ip) is not None:
            # Its PTR may show the hostname still: nobody can look.
            stay.add(ip)
        if eip is None or left_alone(observed, eip):
            continue
        under_way = observed.ptr_under_way(eip.region, eip.allocation_id)
        if under_way or hostname in (eip.ptr.name, eip.ptr.update):
            stay.add(ip)
        elif cached := _cached_for(observed, eip):
            builder.later(cached)
            stay.add(ip)
        elif not observed.obj.spec.suspend and (why := unread(observed, builder, eip, read_at)) is not None:
            # While suspended the write is only reported, so an older reading is enough.
            stay.add(ip)
            if why.waits:
                reading = reading or why.finding
            else:
                refused = refused or why.finding
    return Leaving(frozenset(stay), reading, refused)


def _cached_for(observed: Observed, eip: Eip) -> float:
    """Seconds for which receivers may still hold the hostname, if another name of ours has taken its place."""
    s, shown = observed, eip.ptr.name
    if shown is None or shown not in s.own_names():
        return 0.0
    switched = s.memory.ptrs.ptr_since.get((eip.allocation_id, shown), s.memory.first_seen)
    return max(switched + s.settings.ptr_ttl_seconds - s.now, 0.0)
