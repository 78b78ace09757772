"""The canonical dump of a world, and the difference of two dumps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .state import Account, AwsState, Region
from .zones import Zone

World = dict[str, Any]


def dump(model: AwsState) -> World:
    """Everything that stays: record sets as the API shows them, addresses, PTRs, what they are attached to.

    No times, change IDs, association or interface IDs, counters. Equal worlds dump equal.
    """
    accounts: World = {}
    for account_id, account in sorted(model.accounts.items()):
        shown = _account(model, account)
        if shown:
            accounts[account_id] = shown
    return {"accounts": accounts}


def _account(model: AwsState, account: Account) -> World:
    zones = {f"{zone.name} {zone.id}": _zone(zone) for zone in account.route53.zones.values()}
    regions = {name: _region(model, region) for name, region in account.regions.items()}
    out: World = {}
    if zones:
        out["zones"] = dict(sorted(zones.items()))
    kept = {name: shown for name, shown in sorted(regions.items()) if shown}
    if kept:
        out["regions"] = kept
    return out


def _zone(zone: Zone) -> World:
    record_sets: World = {}
    for record_set in zone.ordered():
        shown = record_set.to_params()
        name, rtype = shown.pop("Name"), shown.pop("Type")
        identifier = shown.pop("SetIdentifier", "")
        if "ResourceRecords" in shown:
            shown["Values"] = sorted(record["Value"] for record in shown.pop("ResourceRecords"))
        record_sets[" ".join(filter(None, (name, rtype, identifier)))] = shown
    return {
        "private": zone.private,
        "name_servers": list(zone.name_servers),
        "record_sets": record_sets,
    }


def _region(model: AwsState, region: Region) -> World:
    addresses: World = {}
    for eip in region.addresses.eips.values():
        eip.settle(model.now(), model.settings.delays.release_lock)
        shown: World = {"allocation_id": eip.allocation_id, "ptr": eip.ptr}
        if eip.update is not None:
            shown["ptr_pending"] = eip.update.value or "(reset)"
        if eip.failed is not None:
            shown["ptr_failed"] = list(eip.failed)
        if eip.instance or eip.nat_gateway:
            shown["attached_to"] = eip.instance or eip.nat_gateway
        if eip.service_managed:
            shown["service_managed"] = eip.service_managed
        if eip.tags:
            shown["tags"] = dict(sorted(eip.tags.items()))
        addresses[eip.public_ip] = shown
    return {"addresses": dict(sorted(addresses.items()))} if addresses else {}


def diff(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """One line for each difference: `- path value` only in `a`, `+` only in `b`, `~` changed. [] = equal."""
    out: list[str] = []
    _walk("", a, b, out)
    return out


def _walk(path: str, a: Any, b: Any, out: list[str]) -> None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted({*a, *b}):
            place = f"{path}/{key}"
            if key not in b:
                out.append(f"- {place} {_text(a[key])}")
            elif key not in a:
                out.append(f"+ {place} {_text(b[key])}")
            else:
                _walk(place, a[key], b[key], out)
    elif a != b:
        out.append(f"~ {path} {_text(a)} -> {_text(b)}")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
