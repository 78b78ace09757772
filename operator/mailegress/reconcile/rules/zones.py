"""Which hosted zone holds the A record.

The zone that the spec names, else the public zone with the longest name that contains the hostname. A record stays in
its zone until the parent delegates to the new one (S3). A zone that the spec names is not described unless the hostname
is within it (S12).
"""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.names import is_within
from mailegress.model.aws import Zone
from mailegress.model.facts import NEVER
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedDelegation,
    NeedNameServers,
    NeedZones,
    failed,
    from_fault,
    unknown,
)
from mailegress.reconcile.rules import unseen
from mailegress.reconcile.rules.delegation import strays
from mailegress.reconcile.rules.plan_builder import PlanBuilder


@dataclass(frozen=True, slots=True)
class Choice:
    zone: Zone | None = None
    finding: Finding | None = None
    """Why there is none, or what must happen before the wanted one is used."""
    servers: frozenset[str] | None = None
    """The chosen zone's delegation set, once known."""
    unseen: bool = False
    """The zone that holds the record cannot be read: the status keeps what it says about it."""


def choose(observed: Observed, builder: PlanBuilder) -> Choice:
    """The zone under Managed. While the zone that holds the record cannot be read, no other takes its place."""
    if not observed.managed:
        return Choice()
    place = unseen.current(observed)
    if place is not None and observed.obj.spec.forward.hosted_zone_id in (None, place.zone_id):
        hidden = unseen.place(observed, builder, place, observed.memory.first_seen)
        if hidden is not None:
            return Choice(finding=hidden.finding, unseen=True)
    return _choose(observed, builder)


def _choose(observed: Observed, builder: PlanBuilder) -> Choice:
    """The zone that the spec names, else the longest label-aligned public one; a marked zone stays chosen until its
    successor is delegated."""
    fact = observed.views.zones.get()
    if fact.value is None:
        builder.need(NeedZones(observed.shared_floor))
        if fact.fault is not None:
            return Choice(finding=from_fault(fact.fault))
        return Choice(finding=unknown(reasons.PROGRESSING, "Reading the hosted zones.", inconclusive=True))
    idle = max(observed.now - observed.settings.record_sweep_seconds, observed.request_floor)
    if not fact.fresh(idle):
        builder.need(NeedZones(idle))
    wanted = _wanted(observed, builder, fact.value)
    if (
        wanted.zone is None
        and wanted.finding is not None
        and wanted.finding.reason == reasons.ZONE_NOT_FOUND.name
    ):
        # The zone may be younger than the reading.
        if not builder.prove_absent(observed, fact, NeedZones):
            return Choice(
                finding=unknown(reasons.PROGRESSING, "Reading the hosted zones.", inconclusive=True)
            )
        builder.list_again(observed, "zones", fact, NeedZones)
    elif wanted.zone is not None and _asked_below(observed, wanted.zone):
        # Its hosted zone may be made, or be shown to the operator, at any time.
        builder.list_again(observed, "zones", fact, NeedZones)
    marked = _marked(observed, fact.value)
    if marked is None or (wanted.zone is not None and marked.id == wanted.zone.id):
        return _with_servers(observed, builder, wanted)
    if wanted.zone is None:
        return Choice(zone=marked, finding=wanted.finding, servers=_servers(observed, builder, marked.id))
    # A changed zone is a rename: move only when resolvers ask the new one.
    servers = _servers(observed, builder, wanted.zone.id)
    if _switched(observed, builder, wanted.zone, servers):
        return Choice(zone=wanted.zone, servers=servers)
    pause = observed.settings.blocked_seconds
    return Choice(
        zone=marked,
        finding=failed(
            reasons.ZONE_NOT_DELEGATED,
            f"The record stays in zone {marked.id} until zone {wanted.zone.id} ({wanted.zone.name}) is delegated at "
            f"its parent, which is checked every {pause:g} seconds. Then it is created in the new zone; until then the "
            "new zone does not have it. It is removed from the old zone when the NS TTL at the parent has passed. "
            f"{reasons.ZONE_NOT_DELEGATED.remedy}",
        ),
        servers=_servers(observed, builder, marked.id),
    )


def _asked_below(observed: Observed, zone: Zone) -> bool:
    """Does public DNS ask a zone below this one, which the spec did not name, for the hostname?"""
    report = observed.views.dns.authorities(observed.obj.spec.hostname).value
    named = observed.obj.spec.forward.hosted_zone_id
    return named is None and report is not None and report.zone.endswith(f".{zone.name}")


def _switched(observed: Observed, builder: PlanBuilder, zone: Zone, servers: frozenset[str] | None) -> bool:
    """Does the parent delegate to the zone that the spec names? From the switch on the name is missing until this is
    seen, so it is looked at as often as anything else that must change outside the operator."""
    fact = observed.views.dns.delegation(zone.name)
    floor = observed.edit_floor
    if (
        not builder.have(fact, floor, NeedDelegation(zone.name, floor))
        or fact.value is None
        or servers is None
    ):
        return False
    published = fact.value.name_servers
    if published and strays(observed, builder, published, servers) == frozenset():
        return True
    due = max(fact.at, fact.tried_at) + observed.settings.blocked_seconds
    if observed.now >= due:
        builder.need(NeedDelegation(zone.name, due))
    else:
        builder.later(due - observed.now)
    return False


def _with_servers(observed: Observed, builder: PlanBuilder, choice: Choice) -> Choice:
    if choice.zone is None:
        return choice
    return Choice(choice.zone, choice.finding, _servers(observed, builder, choice.zone.id))


def _servers(observed: Observed, builder: PlanBuilder, zone_id: str) -> frozenset[str] | None:
    fact = observed.views.zones.name_servers(zone_id)
    if fact.value is None:
        # Any reading of this process will do, also one that began before the object was seen.
        builder.need(NeedNameServers(zone_id, NEVER))
    return fact.value


def _marked(observed: Observed, zones: tuple[Zone, ...]) -> Zone | None:
    """The zone in which our mark for the spec's hostname stands; the first one if a move is under way."""
    ids = [z for z, hostname in observed.owned() if hostname == observed.obj.spec.hostname]
    status = observed.obj.status.zone
    preferred = status.id if status is not None and status.id in ids else (ids[0] if ids else None)
    return next((z for z in zones if z.id == preferred), None)


def _wanted(observed: Observed, builder: PlanBuilder, zones: tuple[Zone, ...]) -> Choice:
    spec = observed.obj.spec
    named = spec.forward.hosted_zone_id
    if named is not None:
        zone = next((z for z in zones if z.id == named), None)
        if zone is None or not is_within(spec.hostname, zone.name):
            # The same words for both, or a guessed ID would tell whether the zone exists and what its name is.
            return Choice(
                finding=failed(
                    reasons.ZONE_NOT_FOUND,
                    f"Hosted zone {named} does not exist in the operator's Route 53 account or does not contain "
                    f"{spec.hostname}. {reasons.ZONE_NOT_FOUND.remedy}",
                )
            )
        if not zone.editable:
            return Choice(finding=_not_editable(zone))
        return Choice(zone)
    fitting = [z for z in zones if not z.private and is_within(spec.hostname, z.name)]
    if not fitting:
        return Choice(
            finding=failed(
                reasons.ZONE_NOT_FOUND,
                f"No public hosted zone for {spec.hostname} in the operator's "
                f"Route 53 account. {reasons.ZONE_NOT_FOUND.remedy}",
            )
        )
    longest = max(len(z.name) for z in fitting)
    twins = [z for z in fitting if len(z.name) == longest]
    if len(twins) == 1:
        return Choice(twins[0]) if twins[0].editable else Choice(finding=_not_editable(twins[0]))
    return _delegated_twin(observed, builder, twins)


def _not_editable(zone: Zone) -> Finding:
    why = "is private" if zone.private else f"is managed by {zone.linked_service}"
    return failed(
        reasons.ZONE_NOT_EDITABLE,
        f"Hosted zone {zone.id} ({zone.name}) {why}. {reasons.ZONE_NOT_EDITABLE.remedy}",
    )


def _delegated_twin(observed: Observed, builder: PlanBuilder, twins: list[Zone]) -> Choice:
    """Several public zones of one name: resolvers ask the one whose delegation set its parent publishes."""
    name = twins[0].name
    fact = observed.views.dns.delegation(name)
    if (
        not builder.have(fact, observed.edit_floor, NeedDelegation(name, observed.edit_floor))
        or fact.value is None
    ):
        if fact.fault is not None:
            return Choice(
                finding=from_fault(fact.fault, f"Which of the zones named {name} is delegated is not known: ")
            )
        return _reading(f"Asking the parent of {name} for its name servers.")
    # The parent may turn to another twin at any time.
    builder.have(fact, floor := observed.now - observed.settings.resync_seconds, NeedDelegation(name, floor))
    chosen, unclear = [], False
    for twin in twins:
        servers = _servers(observed, builder, twin.id)
        if servers is None:
            return _reading(f"Reading the name servers of zone {twin.id}.")
        foreign = strays(observed, builder, fact.value.name_servers, servers)
        unclear |= foreign is None
        if fact.value.name_servers and foreign == frozenset():
            chosen.append(twin)
    if unclear and not chosen:
        return _reading(f"Comparing the name servers of {name} by address.")
    if len(chosen) == 1:
        return Choice(chosen[0]) if chosen[0].editable else Choice(finding=_not_editable(chosen[0]))
    ids = ", ".join(sorted(z.id for z in twins))
    builder.ask_again(observed, f"delegation:{name}", fact, lambda due: NeedDelegation(name, due))
    return Choice(
        finding=failed(
            reasons.ZONE_AMBIGUOUS,
            f"Hosted zones {ids} are all named {name}, and its parent delegates to none of them alone. "
            f"{reasons.ZONE_AMBIGUOUS.remedy}",
        )
    )


def _reading(text: str) -> Choice:
    """No zone is chosen yet, because something is being read."""
    return Choice(finding=unknown(reasons.PROGRESSING, text, inconclusive=True))
