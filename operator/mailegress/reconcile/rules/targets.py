"""From selectors to Elastic IPs: which are wanted, which are kept because a selector resolves to none, which are lost.

Lists are read again for what they do not show, at a rate that does not depend on how many objects wait (E8).
"""

from __future__ import annotations

import functools
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mailegress.api import reasons
from mailegress.api.reasons import Reason
from mailegress.api.tags import has_tags
from mailegress.api.text import clean_text
from mailegress.api.types import EipSelector, SelectorKind
from mailegress.model.aws import Eip, NatAddress, NatGateway, RegionView, address_order
from mailegress.model.facts import Fault
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, NeedRegion, failed
from mailegress.reconcile.rules import loss
from mailegress.reconcile.rules.plan_builder import PlanBuilder

_SHOWN_FAILURE = 200
"""Characters of AWS's reason why an address was not attached."""
_SHOWN_COUNTS = 3
"""Selectors whose number of addresses is shown when they are too many: those with the most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resolved address, or one selector that resolved to none (``eip`` is None)."""

    selector: str
    region: str
    eip: Eip | None = None
    held: bool = False
    """Not selected any more by a selector that resolves to nothing, kept until it does."""
    reason: Reason | None = None
    detail: str = ""
    gone: tuple[str, ...] = ()
    """Allocation IDs that the account does not show any more, if that is what the reason is about."""
    refused: tuple[str, ...] = ()
    """Allocation IDs that no policy allows, if that is what the reason is about."""


@dataclass(frozen=True, slots=True)
class Targets:
    entries: tuple[Entry, ...]
    wanted: dict[str, Eip]
    """By allocation ID, each once, in order of address."""
    known: bool
    """Every region concerned was read: what is missing is missing."""
    lost: frozenset[str]
    """Addresses (dotted quads) that left the account: they may belong to a third party."""
    mass: bool = False
    fault: Fault | None = None
    outside: tuple[str, ...] = ()
    """Regions named in the spec but not configured."""
    refused: Mapping[str, Eip] = field(default_factory=dict)
    """By allocation ID, those that no policy allows. They join no record, and what they have is left as it is."""
    barred: tuple[EipSelector, ...] = ()
    """Selectors of which no address is allowed."""

    @property
    def refused_ips(self) -> frozenset[str]:
        return frozenset(eip.public_ip for eip in self.refused.values())

    counts: Mapping[str, int] = field(default_factory=dict)
    """Elastic IPs of each selector, if they are too many together: then only some of them are wanted."""
    total: int = 0
    """Elastic IPs that the selectors resolve to, each counted once, if they are too many."""
    gateways: frozenset[tuple[str, str]] = frozenset()
    """(region, ID) of the regional NAT gateways that the selectors mean: AWS changes their addresses by itself."""
    given_up: frozenset[str] = frozenset()
    """Allocation IDs of addresses that no selector resolves to any more, and that another object has."""

    @property
    def problem(self) -> Finding | None:
        """Why a selector has no address that can be used; of several, the first."""
        for entry in self.entries:
            if entry.reason is not None:
                return failed(entry.reason, f"{entry.detail or entry.selector}. {entry.reason.remedy}")
        return None

    def find(self, observed: Observed, public_ip: str) -> Eip | None:
        """The EIP of the account that has this address, wanted or not."""
        for region in observed.views.addresses.regions:
            view = observed.views.addresses.get(region).value
            if view is not None and (eip := view.by_ip(public_ip)) is not None:
                return eip
        return None


def resolve(observed: Observed, builder: PlanBuilder) -> Targets:
    """Resolve every selector against the newest shared reading of its region."""
    book, spec = observed.views.addresses, observed.obj.spec
    outside = tuple(sorted({s.region for s in spec.elastic_ips if s.region and s.region not in book.regions}))
    entries: list[Entry] = []
    fault: Fault | None = None
    known, early = True, False
    gateways: set[tuple[str, str]] = set()
    for selector in spec.elastic_ips:
        region = selector.region or book.regions[0]
        if region in outside:
            entries.append(Entry(str(selector), region, reason=reasons.REGION_NOT_CONFIGURED))
            known = False
            continue
        fact = book.get(region)
        if fact.value is None:
            builder.need(NeedRegion(region, observed.shared_floor))
            known, fault = False, fault or fact.fault
            entries.append(Entry(str(selector), region))
            continue
        found = _match(selector, fact.value)
        gateways.update((region, g.id) for g in _gateways(selector, fact.value) if g.regional and not g.ended)
        if selector.by_tags and not fact.fresh(observed.memory.edits.tags_floor):
            # A tag moves without an edit: a list from before this edit may lack some that have it now.
            builder.prove_absent(observed, fact, functools.partial(NeedRegion, region))
            early = True
        if loss.unchecked(observed, str(selector), fact.value):
            # One list may lack a page: what it does not show is looked up before anything is said of it.
            known = False
            entries.append(Entry(str(selector), region))
            entries.extend(Entry(str(selector), region, eip) for eip in found.eips)
        elif not found.eips:
            # A new EIP may be younger than the reading: look again before calling it missing.
            if not builder.prove_absent(observed, fact, functools.partial(NeedRegion, region)):
                known, fault = False, fault or fact.fault
                entries.append(Entry(str(selector), region))
                continue
            entries.extend(_held(observed, selector, fact.value, found))
            look_again(observed, builder, region)
        else:
            entries.extend(Entry(str(selector), region, eip) for eip in found.eips)
            if found.reason is not None:
                look_again(observed, builder, region)
                entries.append(Entry(str(selector), region, reason=found.reason, detail=found.detail))
    _idle_reading(observed, builder)
    unique = {e.eip.allocation_id: e.eip for e in entries if e.eip is not None}
    before = {a.allocation_id for a in observed.recorded()}
    if early and (not before or before - unique.keys()):
        # Nothing leaves, and a new object does not begin with some of them, before the newer list is there.
        known = False
    if _outdated(observed, builder, unique):
        known = False
    wanted = dict(sorted(unique.items(), key=lambda item: address_order(item[1].public_ip)))
    lost, mass = loss.losses(observed)
    return Targets(tuple(entries), wanted, known, lost, mass, fault, outside, gateways=frozenset(gateways))


def _outdated(observed: Observed, builder: PlanBuilder, found: Mapping[str, Eip]) -> bool:
    """Is a list by which an address joins or leaves older than what another process has written into the status?

    Two processes with lists of different age would undo each other's changes until the older list is read again.
    """
    book, told_at = observed.views.addresses, observed.memory.ptrs.told_at
    recorded = {a.allocation_id: a.region for a in observed.recorded()}
    moving = {region for key, region in recorded.items() if key not in found}
    if told_at > observed.memory.first_seen:
        moving |= {eip.region for key, eip in found.items() if key not in recorded}
    lists = {region: book.get(region) for region in book.regions if region in moving}
    late = [region for region, fact in lists.items() if fact.value is not None and not fact.fresh(told_at)]
    for region in late:
        builder.need(NeedRegion(region, told_at))
    return bool(late)


def that_send(observed: Observed, targets: Targets) -> Targets:
    """Without the addresses of services that open no connection. What has such a PTR of ours already stays."""
    barred = {
        key: eip for key, eip in targets.wanted.items() if eip.never_sends and not _has_joined(observed, key)
    }
    if not barred:
        return targets
    kept = [e for e in targets.entries if e.eip is None or e.eip.allocation_id not in barred]
    services: dict[tuple[str, str], dict[str, Eip]] = {}
    for entry in targets.entries:
        if entry.eip is not None and entry.eip.allocation_id in barred:
            services.setdefault((entry.selector, entry.region), {})[entry.eip.allocation_id] = entry.eip
    for (selector, region), eips in services.items():
        names = ", ".join(sorted({eip.service_managed for eip in eips.values()}))
        what = f"{len(eips)} Elastic IPs with" if len(eips) > 1 else "The Elastic IP with"
        verb = "belong to services from which" if len(eips) > 1 else "belongs to a service from which"
        kept.append(
            Entry(
                selector,
                region,
                reason=reasons.ADDRESS_SERVICE_MANAGED,
                detail=f"{what} {selector} {verb} no mail leaves ({names}), and cannot be used",
                gone=tuple(eips),
            )
        )
    wanted = {key: eip for key, eip in targets.wanted.items() if key not in barred}
    return replace(targets, entries=tuple(kept), wanted=wanted)


def _has_joined(observed: Observed, allocation_id: str) -> bool:
    recorded = observed.recorded_for(allocation_id)
    return recorded is not None and recorded.ptr_origin is not None


def limited(observed: Observed, targets: Targets) -> Targets:
    """As many as one name may have, of too many: a tag may be on thousands. Those that it had before come first."""
    total, most = len(targets.wanted), observed.settings.max_addresses
    if total <= most:
        return targets
    held = [e for e in targets.entries if e.eip is not None and e.eip.allocation_id in targets.wanted]
    before = {a.allocation_id for a in observed.recorded()}
    some = dict(heapq.nsmallest(most, targets.wanted.items(), key=lambda item: item[0] not in before))
    entries = tuple(
        e
        for e in targets.entries
        if e.eip is None or e.eip.allocation_id in some or e.eip.allocation_id not in targets.wanted
    )
    wanted = {key: eip for key, eip in targets.wanted.items() if key in some}
    return replace(
        targets, entries=entries, wanted=wanted, total=total, counts=Counter(e.selector for e in held)
    )


def giving_up(targets: Targets, given_up: frozenset[str]) -> Targets:
    """Without these addresses, by allocation ID. Their selectors resolve to none."""
    if not given_up:
        return targets
    entries = tuple(
        replace(e, eip=None, held=False) if e.eip is not None and e.eip.allocation_id in given_up else e
        for e in targets.entries
    )
    wanted = {key: eip for key, eip in targets.wanted.items() if key not in given_up}
    return replace(targets, entries=entries, wanted=wanted, given_up=given_up)


def look_again(observed: Observed, builder: PlanBuilder, region: str) -> None:
    """Something is missing or still coming: do not wait for the next round to see it."""
    fact = observed.views.addresses.get(region)
    builder.list_again(observed, f"region:{region}", fact, functools.partial(NeedRegion, region))


def _idle_reading(observed: Observed, builder: PlanBuilder) -> None:
    # Rounds renew the reading; an object asks by itself only if they fail to.
    floor = max(observed.now - 2 * observed.settings.address_sweep_seconds, observed.request_floor)
    for region in regions(observed):
        fact = observed.views.addresses.get(region)
        if not fact.fresh(floor):
            builder.need(NeedRegion(region, floor))


def regions(observed: Observed) -> tuple[str, ...]:
    """The configured regions that this object uses: named in its spec, or recorded in its status."""
    book = observed.views.addresses
    named = {s.region or book.regions[0] for s in observed.obj.spec.elastic_ips}
    named |= {a.region for a in observed.recorded() if a.region}
    return tuple(r for r in book.regions if r in named)


@dataclass(frozen=True, slots=True)
class _Match:
    eips: tuple[Eip, ...] = ()
    reason: Reason | None = None
    detail: str = ""


def _match(selector: EipSelector, view: RegionView) -> _Match:
    match selector.kind:
        case SelectorKind.ALLOCATION_ID:
            eip = view.eips.get(selector.value)
            return _Match((eip,)) if eip else _Match()
        case SelectorKind.PUBLIC_IP:
            eip = view.by_ip(selector.value)
            return _Match((eip,)) if eip else _Match()
        case SelectorKind.INSTANCE_ID:
            return _Match(tuple(e for e in view.eips.values() if e.instance_id == selector.value))
        case SelectorKind.NETWORK_INTERFACE_ID:
            return _Match(_sorted(e for e in view.eips.values() if e.network_interface_id == selector.value))
        case SelectorKind.TAGS:
            return _Match(_sorted(view.by_tags(selector.tags)))
        case SelectorKind.NAT_GATEWAY_ID:
            [match] = [_match_gateway(gateway, view) for gateway in _gateways(selector, view)] or [_Match()]
            return match
        case SelectorKind.NAT_GATEWAY_TAGS:
            matches = [_match_gateway(gateway, view) for gateway in _gateways(selector, view)]
            pending = next((m for m in matches if m.reason is not None), _Match())
            detail = pending.detail or next((m.detail for m in matches if m.detail), "")
            return _Match(_sorted(e for m in matches for e in m.eips), pending.reason, detail)


def _gateways(selector: EipSelector, view: RegionView) -> list[NatGateway]:
    """The NAT gateways that a selector means."""
    if selector.kind is SelectorKind.NAT_GATEWAY_TAGS:
        return [g for g in view.nat_gateways.values() if has_tags(g.tags, selector.tags)]
    named = view.nat_gateways.get(selector.value) if selector.kind is SelectorKind.NAT_GATEWAY_ID else None
    return [named] if named is not None else []


def _sorted(eips: Iterable[Eip]) -> tuple[Eip, ...]:
    """By address: the order of AWS's lists may change from one to the next."""
    return tuple(sorted(eips, key=lambda eip: address_order(eip.public_ip)))


def _match_gateway(gateway: NatGateway, view: RegionView) -> _Match:
    if gateway.ended:
        return _Match()
    # New connections leave from `succeeded` addresses only; the others may still come or are on their way out.
    eips = tuple(
        view.eips[a.allocation_id] for a in gateway.addresses if a.serving and a.allocation_id in view.eips
    )
    if gateway.regional:
        eips = _sorted(eips)
    coming = [a for a in gateway.addresses if a.coming]
    if coming or (not eips and gateway.state == "pending"):
        what = ", ".join(_with_zone(a) for a in coming if a.public_ip) or "its addresses"
        return _Match(eips, reasons.ADDRESS_PENDING, f"NAT gateway {gateway.id} is still attaching {what}")
    if eips:
        return _Match(eips)
    failed = [a for a in gateway.addresses if a.status == "failed"]
    if failed:
        why = next((f": {clean_text(a.failure, _SHOWN_FAILURE)}" for a in failed if a.failure), "")
        what = ", ".join(_with_zone(a) for a in failed)
        return _Match(detail=f"NAT gateway {gateway.id} failed to attach {what}{why}".rstrip(". "))
    if gateway.automatic and not gateway.addresses:
        return _Match(
            reason=reasons.ADDRESS_PENDING,
            detail=f"Regional NAT gateway {gateway.id} has no address yet; AWS adds one for each Availability Zone in "
            "which its VPC has a network interface, which takes up to an hour",
        )
    return _Match()


def _with_zone(address: NatAddress) -> str:
    return f"{address.public_ip} ({address.zone})" if address.zone else address.public_ip


def _held(observed: Observed, selector: EipSelector, view: RegionView, found: _Match) -> list[Entry]:
    """A selector that resolves to none never shrinks the wanted set: hold its last addresses that still exist."""
    label = str(selector)
    last = [a for a in observed.recorded() if a.selector == label and a.allocation_id in view.eips]
    reason = found.reason or reasons.ADDRESS_NOT_FOUND
    stranger = next(
        (
            a
            for a in observed.recorded()
            if a.selector == label and a.account_id not in (None, view.account_id)
        ),
        None,
    )
    if stranger is not None:
        return [
            Entry(
                label,
                view.region,
                reason=reasons.ACCOUNT_MISMATCH,
                detail=f"{label} was in account {stranger.account_id}; the operator now works in another account",
            )
        ]
    detail = (
        found.detail or f"{label} resolves to no Elastic IP in the operator's account, region {view.region}"
    )
    missing = [
        Entry(label, view.region, reason=it.reason, detail=it.detail, gone=it.allocation_ids)
        for it in loss.explain(observed, label, view)
    ]
    held = [
        Entry(label, view.region, view.eips[a.allocation_id], held=True, reason=reason, detail=detail)
        for a in last
        if a.allocation_id
    ]
    return [*missing, *held] or [Entry(label, view.region, reason=reason, detail=detail)]


def refusal(observed: Observed, targets: Targets) -> Finding | None:
    """Why the selectors cannot be served at all, whatever AWS says."""
    if targets.outside:
        regions = ", ".join(observed.views.addresses.regions)
        return failed(
            reasons.REGION_NOT_CONFIGURED,
            f"Region {', '.join(targets.outside)} is not one of the operator's regions ({regions}). "
            f"{reasons.REGION_NOT_CONFIGURED.remedy}",
        )
    if targets.total > observed.settings.max_addresses:
        largest = sorted(targets.counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_COUNTS]
        shown = ", ".join(f"{count} by {selector}" for selector, count in largest)
        return failed(
            reasons.TOO_MANY_ADDRESSES,
            f"The selectors resolve to {targets.total} Elastic IPs ({shown}); at most "
            f"{observed.settings.max_addresses} can share one hostname. {reasons.TOO_MANY_ADDRESSES.remedy}",
        )
    return None
