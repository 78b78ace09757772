"""Does the parent delegate a zone to the name servers of a hosted zone? Compared by name, then by address (S1).

It also keeps since when the delegation is known, for the record in a former zone (S3).
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.model.aws import Zone
from mailegress.model.dns import Delegated
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import NeedServerAddresses
from mailegress.reconcile.rules.plan_builder import PlanBuilder

_NAMES = 16
"""Published names whose addresses are looked up; a delegation with more foreign ones is not white-labelled."""

_LONGEST_TTL = 604_800
"""A longer TTL is not believed: resolvers keep nothing for more than a week (RFC 8767 section 4)."""


def strays(
    observed: Observed, builder: PlanBuilder, published: frozenset[str], servers: frozenset[str]
) -> frozenset[str] | None:
    """The published name servers that are not ``servers`` of the hosted zone; None while addresses are looked up.

    White-label name servers are other names for the same servers (Amazon Route 53 Developer Guide, "Configuring
    white-label name servers"): a name all of whose addresses are addresses of ``servers`` is one of them. A server
    holds at most one zone of a name, so the address tells which zone answers.
    """
    foreign = published - servers
    if not foreign or len(foreign) > _NAMES:
        return foreign
    s = observed
    # Read again at the pace of what must change outside the operator; matching addresses are read seldom.
    kept = _addresses(s, foreign | servers)
    floor = max(s.edit_floor, s.now - s.settings.public_seconds)
    odd = _odd(kept, foreign, servers)
    if odd:
        floor = max(floor, s.now - s.settings.blocked_seconds)
        builder.later(s.settings.blocked_seconds)
    known = True
    for name in sorted(foreign | servers):
        fact = s.views.dns.server_addresses(name)
        tried = max(fact.at, fact.tried_at)
        if not fact.fresh(floor) and tried < floor:
            builder.need(NeedServerAddresses(name, floor))
        known &= fact.value is not None or fact.fault is not None
    return odd if known else None


def delegated(
    observed: Observed, builder: PlanBuilder, zone: Zone, servers: frozenset[str]
) -> Delegated | None:
    """What is known of the parent after the newest reading: whether it delegates to this zone, and since when.

    Only readings of this process count: after a restart the first of them is taken for the moment of the change. None:
    the parent was not read yet.
    """
    before = observed.memory.dns.delegated
    fact = observed.views.dns.authorities(observed.obj.spec.hostname)
    report = fact.value
    if report is None:
        return before
    zone_id = ""
    if report.zone == zone.name:
        odd = strays(observed, builder, report.name_servers, servers)
        if odd is None:
            return before
        zone_id = "" if odd else zone.id
    ttl = min(report.ns_ttl, _LONGEST_TTL)
    if before is not None and before.zone_id == zone_id:
        return replace(before, ttl=ttl)
    return Delegated(zone_id, fact.at, max(ttl, before.ttl if before is not None else 0), ttl)


def _addresses(observed: Observed, names: frozenset[str]) -> dict[str, frozenset[str]]:
    """What is known of each; a name whose address cannot be found has none."""
    return {name: observed.views.dns.server_addresses(name).value or frozenset() for name in names}


def _odd(
    addresses: dict[str, frozenset[str]], foreign: frozenset[str], servers: frozenset[str]
) -> frozenset[str]:
    ours = frozenset[str]().union(*(addresses[name] for name in servers))
    return frozenset(name for name in foreign if not addresses[name] or not addresses[name] <= ours)
