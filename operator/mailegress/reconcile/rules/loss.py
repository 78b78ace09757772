"""Elastic IPs that the account does not show any more: lost, or a fault?

A released address is soon assigned to a third party, so the A record must not keep it (S2). But an account that shows
nothing is more likely the wrong account than a mass release, and believing it would take every record down. The rule:

1. A recorded EIP of the same account that the newest list of its region does not show is missing (:func:`vanished`).
   Nothing is said of it before it was looked up by itself (:func:`unchecked`).
2. Missing becomes lost when two look-ups for it alone, in the account that the list was read in and at least
   ``lost_confirm_seconds`` apart, do not show it either (:func:`confirmed`).
3. Not while a mass loss is suspected: more EIPs in use than ``mass_count``, and more than ``mass_share`` of them, are
   missing from the region at once (:func:`is_mass_loss`). An edit or a deletion of an object ends that for its
   addresses; so does a list that shows them again, or shows so many of the others that the rest is no mass loss.
   EIPs that AWS removed from a regional NAT gateway are not counted: the gateway shows that they left
   (:func:`removed_by_aws`).
4. What is lost leaves the records, also under ``suspend`` (``retire.withdraw_lost``, ``a_record``). What is missing
   without being lost stays.

The look-ups themselves, and which of these states each EIP is in, are in ``aws/ec2/absence.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.reasons import Reason
from mailegress.api.status import AddressStatus
from mailegress.api.types import Management
from mailegress.model.aws import Absence, NatGateway, RegionView
from mailegress.reconcile.observe import Observed


@dataclass(frozen=True, slots=True)
class Loss:
    """Recorded EIPs of one selector that the account does not show, and why."""

    reason: Reason
    detail: str
    allocation_ids: tuple[str, ...]


def is_mass_loss(missing: int, used: int, *, count: int, share: float) -> bool:
    """Are so many of the EIPs in use in a region missing at once that no loss is believed?"""
    return missing > count and missing > share * used


def removed_by_aws(allocation_id: str, gateway: NatGateway | None) -> bool:
    """Did AWS take this missing EIP off the regional NAT gateway that had it? ``gateway``: as the newest list shows it.

    Credentials of another account would not show the gateway, and a list that lacks a page would not change it.
    """
    return gateway is not None and gateway.regional and not gateway.has(allocation_id)


def confirmed(first: float, now: float, confirm_seconds: float) -> bool:
    """Does a look-up at ``now`` that does not show the EIP confirm the one at ``first``?"""
    return now - first >= confirm_seconds


def vanished(observed: Observed) -> tuple[AddressStatus, ...]:
    """Recorded EIPs of the same account that the newest reading of their region does not show."""
    gone = []
    for entry in observed.recorded():
        view = (
            observed.views.addresses.get(entry.region or "").value
            if entry.region in observed.views.addresses.regions
            else None
        )
        if view is None or entry.allocation_id in view.eips:
            continue
        if entry.account_id in (None, view.account_id):
            gone.append(entry)
    return tuple(gone)


def unchecked(observed: Observed, label: str, view: RegionView) -> bool:
    """Is an address that the selector had missing from the newest list, and not looked up yet?"""
    return any(
        observed.absences.get((view.region, a.allocation_id or "")) is Absence.UNCHECKED
        for a in observed.recorded()
        if a.selector == label and a.region == view.region and a.allocation_id not in view.eips
    )


def losses(observed: Observed) -> tuple[frozenset[str], bool]:
    """The addresses that are lost, and whether a mass loss is suspected."""
    lost: set[str] = set()
    mass = False
    for entry in observed.recorded():
        absence = observed.absences.get((entry.region or "", entry.allocation_id or ""))
        if absence is Absence.LOST and entry.public_ip:
            lost.add(entry.public_ip)
        mass = mass or absence is Absence.MASS
    return frozenset(lost), mass


def explain(observed: Observed, label: str, view: RegionView) -> list[Loss]:
    """The recorded EIPs of a selector that are lost, or whose loss is not believed."""
    hostname = observed.obj.spec.hostname
    is_observed = observed.obj.spec.forward.management is Management.OBSERVED
    found: dict[Reason, list[AddressStatus]] = {}
    for entry in observed.recorded():
        if entry.selector != label or entry.allocation_id in view.eips:
            continue
        absence = observed.absences.get((entry.region or "", entry.allocation_id or ""))
        if absence is Absence.MASS:
            found.setdefault(reasons.MASS_LOSS_SUSPECTED, []).append(entry)
        elif absence is Absence.LOST or entry.reason == reasons.ADDRESS_LOST.name:
            # Once lost it is said until it returns, also while a restarted process looks twice again.
            found.setdefault(reasons.ADDRESS_LOST, []).append(entry)
    said = {
        reasons.MASS_LOSS_SUSPECTED: f"missing from account {view.account_id}, region {view.region}, together with so "
        "many others that a fault is likelier than a release; nothing is removed",
        reasons.ADDRESS_LOST: f"no longer in account {view.account_id}, region {view.region}, and may have been "
        + (
            f"reassigned: remove it from the A record of {hostname}"
            if is_observed
            else f"reassigned; it is removed from the A record of {hostname}"
        ),
    }
    return [
        Loss(
            reason,
            f"{', '.join(f'{a.public_ip} ({a.allocation_id})' for a in entries)} is {said[reason]}",
            tuple(a.allocation_id for a in entries if a.allocation_id),
        )
        for reason, entries in found.items()
    ]
