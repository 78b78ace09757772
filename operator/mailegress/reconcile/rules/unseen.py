"""What the status records as this object's and no list shows: not seen does not mean gone (S4, S5, S8).

A region can be removed from the configuration, credentials can become those of another account, a zone can be missing
from the list, one reading can lack an address. What is recorded is released only when it was read and holds nothing of
this object, or is known to be gone in the account in which it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.status import AddressStatus, FormerRecord, Origin, ZoneStatus
from mailegress.model import ownership
from mailegress.model.aws import Absence, NameView, Zone, ZoneLook
from mailegress.model.facts import Fact
from mailegress.reconcile.confirmations import lasting
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedName,
    NeedRegion,
    NeedZoneLook,
    NeedZones,
    failed,
    from_fault,
    unknown,
)
from mailegress.reconcile.rules import targets
from mailegress.reconcile.rules.plan_builder import PlanBuilder


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something of ours that cannot be looked at, and why. ``waits``: it is being found out and ends by itself."""

    finding: Finding
    waits: bool = False


def _marked(observed: Observed, view: NameView, uid: str) -> bool:
    """Does an ownership record of that object stand there?"""
    mark = ownership.parse(view.mark.values) if view.mark is not None else None
    return mark is not None and mark.uid == uid and observed.settings.mine(mark.owner)


# ---------------------------------------------------------------- PTRs


def address(observed: Observed, builder: PlanBuilder, entry: AddressStatus) -> Unseen | None:
    """Why a recorded PTR of ours cannot be looked at. None: it can be, or it is gone for good, or it is not ours."""
    if entry.ptr_origin is not Origin.MANAGED:
        return None
    book, region = observed.views.addresses, entry.region or ""
    what = f"{entry.public_ip} ({entry.allocation_id})"
    if region not in book.regions:
        return Unseen(
            failed(
                reasons.REGION_NOT_CONFIGURED,
                f"The PTR of {what} is this object's, and its region {region} is not one of the operator's regions: it "
                f"can be neither read nor reset. Add {region} to --regions.",
            )
        )
    fact = book.get(region)
    view = fact.value
    if view is None:
        builder.need(NeedRegion(region, observed.edit_floor))
        reading = unknown(reasons.PROGRESSING, f"Reading the Elastic IPs in {region}.", inconclusive=True)
        return Unseen(from_fault(fact.fault) if fact.fault is not None else reading, waits=True)
    if entry.allocation_id in view.eips:
        return None
    if entry.account_id not in (None, view.account_id):
        targets.look_again(observed, builder, region)
        return Unseen(
            failed(
                reasons.ACCOUNT_MISMATCH,
                f"The PTR of {what} in {region} was set in account {entry.account_id}; the operator now works in "
                f"another account: it cannot be read or reset. {reasons.ACCOUNT_MISMATCH.remedy}",
            )
        )
    return _missing(observed, entry, region, what)


def _missing(observed: Observed, entry: AddressStatus, region: str, what: str) -> Unseen | None:
    """Why the PTR of an address that the newest list lacks cannot be looked at. None: the address is lost."""
    missing = f"{what} is missing from the operator's account, region {region}"
    absence = observed.absences.get((region, entry.allocation_id or ""))
    if absence is Absence.LOST:
        return None
    if absence is Absence.MASS:
        return Unseen(
            failed(
                reasons.MASS_LOSS_SUSPECTED,
                f"{missing}, together with so many others that a fault is more likely than a release. "
                f"{reasons.MASS_LOSS_SUSPECTED.remedy}",
            )
        )
    return Unseen(
        unknown(
            reasons.PROGRESSING,
            f"{missing}; it counts as released once a second lookup confirms it.",
            inconclusive=True,
        ),
        waits=True,
    )


def addresses(
    observed: Observed, builder: PlanBuilder, besides: Iterable[str] = ()
) -> list[tuple[AddressStatus, Unseen]]:
    """Every recorded PTR of ours that cannot be looked at. ``besides``: allocation IDs dealt with otherwise."""
    skipped = frozenset(besides)
    found = []
    for entry in observed.recorded():
        if entry.allocation_id not in skipped and (unseen := address(observed, builder, entry)) is not None:
            found.append((entry, unseen))
    return found


def holding(observed: Observed, builder: PlanBuilder, public_ip: str) -> Unseen | None:
    """Why an address that no view shows may still have a PTR of ours."""
    for entry in observed.recorded():
        if entry.public_ip == public_ip and (unseen := address(observed, builder, entry)) is not None:
            return unseen
    return None


# ---------------------------------------------------------------- records


def current(observed: Observed) -> FormerRecord | None:
    """The recorded place of the hostname that the spec names."""
    status, hostname = observed.obj.status, observed.obj.spec.hostname
    if status.zone is None or status.hostname != hostname:
        return None
    here = (status.zone.id, hostname)
    return next((p for p in observed.obj.records_in_status() if (p.zone_id, p.hostname) == here), None)


def of_others(observed: Observed, builder: PlanBuilder, where: FormerRecord, uid: str) -> Unseen | None:
    """Why it is not known whether the record of another object, of which its status tells, still stands.

    None: the place was read, or it is gone for good.
    """
    zones = observed.views.zones.get().value or ()
    listed = next((zone for zone in zones if zone.id == where.zone_id), None)
    if listed is None:
        return place(observed, builder, where, observed.memory.first_seen, uid)
    fact = observed.views.records.get(where.zone_id, where.hostname)
    if fact.value is not None or not listed.editable:
        return None
    builder.need(NeedName(where.zone_id, where.hostname, observed.memory.first_seen))
    if fact.fault is not None:
        return Unseen(from_fault(fact.fault))
    return Unseen(unknown(reasons.PROGRESSING, f"Reading {where.hostname}.", inconclusive=True), waits=True)


def place(
    observed: Observed, builder: PlanBuilder, where: FormerRecord, floor: float, uid: str | None = None
) -> Unseen | None:
    """Why a recorded place cannot be looked at. None: its zone is listed, or gone for good, or it is clean.

    ``floor``: how new the list of zones must be to say that one is missing. ``uid``: whose place, by default this
    object's.
    """
    zones = observed.views.zones.get()
    if zones.value is None:
        builder.need(NeedZones(observed.edit_floor))
        reading = unknown(reasons.PROGRESSING, "Reading the hosted zones.", inconclusive=True)
        return Unseen(from_fault(zones.fault) if zones.fault is not None else reading, waits=True)
    if any(zone.id == where.zone_id for zone in zones.value):
        return None
    view = observed.views.records.get(where.zone_id, where.hostname).value
    if view is not None and not _marked(observed, view, uid or observed.obj.meta.uid):
        return None
    name = f"hosted zone {where.zone_id}"
    looking = Unseen(
        unknown(
            reasons.PROGRESSING,
            f"Looking for {name}, which holds records of {where.hostname}.",
            inconclusive=True,
        ),
        waits=True,
    )
    if not zones.fresh(floor):
        builder.need(NeedZones(floor))
        return looking
    fact = observed.views.zones.look(where.zone_id)
    if not fact.fresh(zones.at):
        builder.need(NeedZoneLook(where.zone_id, zones.at))
    found = _verdict(observed, where, fact, looking)
    if found is not None:
        # Credentials may come back at any time.
        builder.list_again(observed, "zones", zones, NeedZones)
    return found


def _verdict(observed: Observed, where: FormerRecord, fact: Fact[ZoneLook], looking: Unseen) -> Unseen | None:
    look, account = fact.value, where.account_id
    if look is None:
        if fact.fault is None:
            return looking
        long = lasting(observed, fact.misses)
        asked = from_fault(fact.fault, f"Looking for hosted zone {where.zone_id}: ")
        return Unseen(replace(asked, inconclusive=asked.inconclusive and not long), waits=not long)
    if look.there:
        return looking
    what = f"Hosted zone {where.zone_id} holds records of {where.hostname}"
    if account not in (None, look.account_id):
        return Unseen(
            failed(
                reasons.ACCOUNT_MISMATCH,
                f"{what} and is in account {account}; the operator's Route 53 credentials now belong to another "
                f"account. {reasons.ACCOUNT_MISMATCH.remedy}",
            )
        )
    if look.denied is not None:
        return Unseen(from_fault(look.denied, f"{what} and cannot be read: "))
    if account is None:
        return Unseen(
            failed(
                reasons.ZONE_NOT_FOUND,
                f"{what} and does not exist in the operator's account; in which account it was is not recorded. "
                "Give the operator the Route 53 role of the account that has the zone.",
            )
        )
    return None


@dataclass(frozen=True, slots=True)
class Former:
    """Places other than the present one that may still hold records of ours, and former hostnames of PTRs."""

    places: tuple[FormerRecord, ...] = ()
    """All that is not known to be clean or gone."""
    unseen: tuple[tuple[FormerRecord, Unseen], ...] = ()


def former(observed: Observed, builder: PlanBuilder, present: tuple[str, str] | None) -> Former:
    """What is recorded or was written elsewhere than at ``present``, (zone ID, hostname)."""
    s = observed
    listed = {z.id: z for z in s.views.zones.get().value or ()}
    places = {(p.zone_id, p.hostname): p for p in s.obj.records_in_status()}
    # An ownership record that neither status nor memory knows is not written down: that would confirm a forged one.
    for written, account in s.memory.ownership.written.items():
        places.setdefault(written, FormerRecord(*written, account))
    for (zone_id, hostname), known in tuple(places.items()):
        account = listed[zone_id].account_id if zone_id in listed else None
        places[zone_id, hostname] = FormerRecord(zone_id, hostname, account or known.account_id)
    kept: list[FormerRecord] = []
    hidden: list[tuple[FormerRecord, Unseen]] = []
    for (zone_id, hostname), where in sorted(places.items()):
        if (zone_id, hostname) == present:
            continue
        if zone_id in listed:
            fact = s.views.records.get(zone_id, hostname)
            view = fact.value if fact.fresh(s.memory.ptrs.told_at) else None
            if listed[zone_id].editable and (view is None or _marked(s, view, s.obj.meta.uid)):
                kept.append(where)
        elif (unseen := place(s, builder, where, s.memory.first_seen)) is not None:
            kept.append(where)
            hidden.append((where, unseen))
    return Former(tuple(kept), tuple(hidden))


def zone_status(zone: Zone, before: ZoneStatus | None) -> ZoneStatus:
    """A zone as it is written down; the account as it was, where the list was read without knowing it."""
    account = zone.account_id or (before.account_id if before is not None and before.id == zone.id else None)
    return ZoneStatus(zone.id, zone.name, account)
