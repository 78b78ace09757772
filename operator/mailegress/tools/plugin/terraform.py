"""What ``terraform show -json`` says of Elastic IPs, their PTRs and Route 53 record sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mailegress.api.lenient import mapping, mappings
from mailegress.api.names import normalise_name
from mailegress.api.text import clean_text
from mailegress.model.aws import RecordSet, Zone
from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.inventory import Address, Inventory, Record

_LARGEST = 200_000_000
"""Bytes of a state that is read."""

_REMEDY = "write one with `terraform show -json > state.json`"


def read(path: Path, region: str) -> Inventory:
    """The state in a file. ``region``: of addresses whose region the state does not have. Errors: :class:`Problem`."""
    try:
        if path.stat().st_size > _LARGEST:
            raise Problem(f"{path} has more than {_LARGEST} bytes; {_REMEDY}")
        document = json.loads(path.read_text())
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise Problem(f"{path} is no JSON; {_REMEDY}") from None
    module = mapping(mapping(mapping(document).get("values")).get("root_module"))
    if not module:
        raise Problem(f"{path} has no `values.root_module`: it is no state, or an empty one; {_REMEDY}")
    return _inventory(list(_resources(module)), region)


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Address, type and values of every managed resource and of zones that are only looked up, in modules too."""
    waiting = [module]
    while waiting:
        found = waiting.pop()
        for resource in mappings(found.get("resources")):
            if resource.get("mode") == "managed" or resource.get("type") == "aws_route53_zone":
                yield (
                    str(resource.get("address")),
                    str(resource.get("type")),
                    mapping(resource.get("values")),
                )
        waiting += mappings(found.get("child_modules"))


def _inventory(resources: list[tuple[str, str, Mapping[str, Any]]], region: str) -> Inventory:
    pointers = {
        _text(values, "allocation_id"): (_name(values, "domain_name"), address)
        for address, kind, values in resources
        if kind == "aws_eip_domain_name"
    }
    addresses = []
    for _, kind, values in resources:
        allocation = _text(values, "allocation_id") or _text(values, "id")
        if kind != "aws_eip" or not allocation:
            continue
        ptr, resource = pointers.get(allocation, ("", ""))
        addresses.append(
            Address(
                allocation,
                _text(values, "public_ip"),
                _region(values) or region,
                ptr,
                (resource,) if resource else (),
            )
        )
    known = [values for _, kind, values in resources if kind == "aws_route53_zone"]
    private = {_text(v, "zone_id") for v in known if v.get("vpc") or v.get("private_zone") is True}
    zones = {_text(v, "zone_id"): Zone(_text(v, "zone_id"), _name(v, "name")) for v in known}
    records = []
    for address, kind, values in resources:
        zone_id = _text(values, "zone_id")
        if (
            kind != "aws_route53_record"
            or zone_id in private
            or values.get("type") not in ("A", "CNAME", "TXT")
        ):
            continue
        records.append(Record(zone_id, _record(values), address))
    # Often only the ID of a zone is in the state: what its records have in common is its name or below it.
    for zone_id in {r.zone_id for r in records} - zones.keys():
        zones[zone_id] = Zone(zone_id, _common([r.record_set.name for r in records if r.zone_id == zone_id]))
    public = tuple(zone for zone_id, zone in zones.items() if zone_id not in private)
    return Inventory(tuple(addresses), public, tuple(records))


def _common(names: list[str]) -> str:
    """The labels at the end that all names have."""
    first, *others = [name.split(".")[::-1] for name in names]
    kept = 0
    while kept < len(first) and all(other[: kept + 1] == first[: kept + 1] for other in others):
        kept += 1
    return ".".join(first[:kept][::-1])


def _record(values: Mapping[str, Any]) -> RecordSet:
    name = _name(values, "fqdn") or _name(values, "name")
    ttl = values.get("ttl")
    texts = values.get("records")
    return RecordSet(
        name,
        str(values.get("type")),
        ttl if isinstance(ttl, int) else None,
        tuple(sorted(str(v) for v in texts)) if isinstance(texts, list) else (),
        _text(values, "set_identifier") or None,
        alias=bool(values.get("alias")),
    )


def _region(values: Mapping[str, Any]) -> str:
    """Since version 6 of the provider a field; before it a part of the ARN."""
    parts = _text(values, "arn").split(":")
    return _text(values, "region") or (parts[3] if len(parts) > 3 else "")


def _name(values: Mapping[str, Any], field: str) -> str:
    return normalise_name(_text(values, field))


def _text(values: Mapping[str, Any], field: str) -> str:
    value = values.get(field)
    return clean_text(value, 1024) if isinstance(value, str) else ""
