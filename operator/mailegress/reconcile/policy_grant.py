"""What the policies of a namespace grant to one object, before its zone and its addresses are known. Pure.

A policy grants all of its parts or nothing: it counts if it allows the hostname *and* the management, and then the
object may use the zones and addresses of that policy. So halves of two policies are never combined.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.policy import ANY, Policy, Terms
from mailegress.api.reasons import Reason
from mailegress.api.types import Management
from mailegress.model.aws import Eip, Zone
from mailegress.model.dns import AuthorityReport

SHOWN = 6
"""Allowed names in a message at most."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one object asks for."""

    namespace: str
    hostname: str
    management: Management
    zone_id: str | None = None
    """The hosted zone that its spec names."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The policies that select one namespace, in order of their names."""

    policies: tuple[Policy, ...] = ()

    @property
    def maximum(self) -> int:
        """MailEgresses that the namespace may have."""
        return max((policy.maximum for policy in self.policies), default=0)


@dataclass(frozen=True, slots=True)
class Grant:
    """Terms of the policies that allow the object; none if it is refused."""

    terms: tuple[Terms, ...] = ()
    reason: Reason | None = None
    message: str = ""

    @property
    def refused(self) -> bool:
        return self.reason is not None

    def allows(self, eip: Eip) -> bool:
        """May the object use this Elastic IP?"""
        return any(allows(terms, eip) for terms in self.terms)

    def allows_gateway(self, gateway_id: str, region: str) -> bool:
        """May the object use every Elastic IP that this NAT gateway has?"""
        return any(terms.addresses.allows("", region, gateway_id, ()) for terms in self.terms)

    def in_zone(self, zone_id: str) -> Grant:
        """The terms that allow a record in this hosted zone."""
        return replace(self, terms=tuple(t for t in self.terms if not t.zone_ids or zone_id in t.zone_ids))


NOTHING = Grant(reason=reasons.NO_MATCHING_POLICY, message="This MailEgress was not judged yet.")
"""Of an object that is not known."""


def allows(terms: Terms, eip: Eip) -> bool:
    """Do the terms of one policy allow this Elastic IP?"""
    return terms.addresses.allows(eip.allocation_id, eip.region, eip.nat_gateway_id, eip.tags)


def judge(selected: Selected, wish: Wish, zones: Collection[str] = ()) -> Grant:
    """``zones``: names of zones that are known, which only an exact name allows."""
    policies = selected.policies
    if not policies:
        return _refused(reasons.NO_MATCHING_POLICY, f"No MailEgressPolicy selects namespace {wish.namespace}")
    by_name = [policy for policy in policies if policy.hostnames.allows(wish.hostname, zones)]
    if not by_name:
        return _refused(reasons.HOSTNAME_NOT_ALLOWED, _hostname_message(policies, wish, zones))
    granted = [policy for policy in by_name if wish.management in policy.management]
    if not granted:
        given = sorted({management.value for policy in by_name for management in policy.management})
        return _refused(
            reasons.MANAGEMENT_NOT_ALLOWED,
            f"No MailEgressPolicy allows management {wish.management} for {wish.hostname} in namespace "
            f"{wish.namespace}; allowed: {', '.join(given) or 'none'}",
        )
    grant = Grant(tuple(policy.terms for policy in granted))
    if wish.zone_id is None or grant.in_zone(wish.zone_id).terms:
        return grant if wish.zone_id is None else grant.in_zone(wish.zone_id)
    return zone_refused(wish, f"hosted zone {wish.zone_id}")


def is_zone(wish: Wish, zones: Iterable[Zone] | None, seen: AuthorityReport | None) -> bool:
    """Is the hostname known to be the name of a zone: of a public hosted zone, or, under Observed, in public DNS?"""
    if any(zone.name == wish.hostname and not zone.private for zone in zones or ()):
        return True
    return wish.management is not Management.MANAGED and seen is not None and seen.zone == wish.hostname


def zone_refused(wish: Wish, where: str) -> Grant:
    """The hostname is allowed, and not in this hosted zone. ``where``: the zone in words that its owner may read."""
    return _refused(
        reasons.HOSTNAME_NOT_ALLOWED,
        f"No MailEgressPolicy allows {wish.hostname} in {where} for namespace {wish.namespace}",
    )


def limit_refused(wish: Wish, maximum: int) -> Grant:
    """Too many objects of the namespace are older."""
    return _refused(
        reasons.NAMESPACE_LIMIT,
        f"Namespace {wish.namespace} may have {maximum} MailEgresses, and at least as many are older than this one",
    )


def _refused(reason: Reason, what: str) -> Grant:
    return Grant(reason=reason, message=f"{what}. {reason.remedy}")


def _hostname_message(policies: Iterable[Policy], wish: Wish, zones: Collection[str]) -> str:
    below = sorted({suffix for policy in policies for suffix in policy.hostnames.suffixes})
    if any(policy.hostnames.every for policy in policies):
        below = [ANY, *below]
    exact = sorted({name for policy in policies for name in policy.hostnames.names})
    shown = [*(f"*.{suffix}" if suffix != ANY else suffix for suffix in below), *exact]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    unusable = [policy.name for policy in policies if policy.problem]
    text = (
        f"{wish.hostname} is the name of a zone, and no MailEgressPolicy names it exactly for namespace "
        f"{wish.namespace}"
        if wish.hostname in zones
        else f"No MailEgressPolicy allows {wish.hostname} in namespace {wish.namespace}"
    )
    text += f"; allowed: {', '.join(shown[:SHOWN]) or 'none'}{more}"
    if unusable:
        text += f"; not usable by this version of the operator: {', '.join(unusable[:SHOWN])}"
    return text
