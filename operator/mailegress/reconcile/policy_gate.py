"""Whether a write that waits to be sent is still allowed: since it was handed over, its object may have gone (S8), and
policies may have changed (S14).

A write waits for its batch, for the rate limit, and while AWS throttles. The writers ask immediately before each
request whether it may be sent; one that may not returns to its object, as if it had not been handed over. Removals are
not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mailegress.api.policy import PolicyMode
from mailegress.api.types import MailEgress
from mailegress.model.aws import Change, Eip, Verb
from mailegress.reconcile.policy_grant import Wish, is_zone, judge
from mailegress.reconcile.ports import Allowed, Views, always
from mailegress.reconcile.result import ChangeRecords, Plan, SetPtr


class PolicyGate:
    """Answers :data:`Allowed` for the writes of objects. ``clock``: loop time."""

    def __init__(self, mode: PolicyMode, views: Views, clock: Callable[[], float]) -> None:
        self._enforced = mode is PolicyMode.ENFORCE
        self._views = views
        self._clock = clock

    def for_records(self, obj: MailEgress, plan: Plan, change: ChangeRecords) -> Allowed:
        """For a change of the records at one hostname."""
        added = added_addresses(change.changes)
        if added is None:
            return always
        wish = _wish(obj, change.hostname, change.zone_id)

        def allowed() -> bool:
            joining = (eip for eip in self._eips(plan.wanted) if eip.public_ip in added)
            return self._allows(obj.meta.uid, wish, joining)

        return allowed

    def for_ptr(self, obj: MailEgress, plan: Plan, write: SetPtr) -> Allowed:
        """For a PTR that is set."""
        wish = _wish(obj, write.hostname, plan.place[0] if plan.place is not None else None)
        return lambda: self._allows(obj.meta.uid, wish, self._eips([(write.region, write.allocation_id)]))

    def _allows(self, uid: str, wish: Wish, eips: Iterable[Eip]) -> bool:
        if not self._views.claims.live(uid):
            return False
        if not self._enforced:
            return True
        policies = self._views.policies
        if policies.current(self._clock()) is not None or policies.grant(uid).refused:
            return False
        views = self._views
        known = is_zone(wish, views.zones.get().value, views.dns.authorities(wish.hostname).value)
        zones = {wish.hostname} if known else ()
        grant = judge(policies.selected(wish.namespace), wish, zones)
        return not grant.refused and all(grant.allows(eip) for eip in eips)

    def _eips(self, places: Iterable[tuple[str, str]]) -> list[Eip]:
        """The Elastic IPs as they are known now, with their tags and NAT gateways."""
        views = ((self._views.addresses.get(region).value, each) for region, each in places)
        return [view.eips[each] for view, each in views if view is not None and each in view.eips]


def added_addresses(changes: Sequence[Change]) -> frozenset[str] | None:
    """The addresses that a change brings into an A record. None: it does nothing but remove."""
    values: dict[Verb, set[str]] = {verb: set() for verb in Verb}
    for change in changes:
        if change.record_set.type == "A":
            values[change.verb] |= set(change.record_set.values)
    created, deleted = values[Verb.CREATE], values[Verb.DELETE]
    if created < deleted or all(change.verb is Verb.DELETE for change in changes):
        return None
    return frozenset(created - deleted)


def _wish(obj: MailEgress, hostname: str, zone_id: str | None) -> Wish:
    return Wish(obj.meta.namespace, hostname, obj.spec.forward.management, zone_id)
