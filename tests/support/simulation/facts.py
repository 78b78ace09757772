"""Small questions that the checks ask of calls, EIPs and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailegress.model import ownership
from mailegress.model.ownership import Mark
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.zones import Zone
from sandbox.aws.service import Call
from tests.support.simulation.apiwire import Object

RECEIVING = frozenset({"alb", "nlb", "rds"})
"""Services that manage addresses from which no mail leaves."""


@dataclass(frozen=True)
class Batch:
    """One hostname's part of a change batch, with what stood there before."""

    zone: Zone
    hostname: str
    deletes: dict[str, tuple[str, ...]]
    creates: dict[str, tuple[str, ...]]
    mark: Mark | None
    values: frozenset[str]


def targets(call: Call) -> list[tuple[str, str]]:
    """What a write is about: ("zone", zone ID and name) or ("eip", allocation ID)."""
    if call.operation == "ChangeResourceRecordSets":
        names = {c["ResourceRecordSet"]["Name"] for c in call.params["ChangeBatch"]["Changes"]}
        return [("zone", f"{call.params['HostedZoneId']} {n}") for n in sorted(names)]
    return [("eip", str(call.params["AllocationId"]))]


def mark_of(*values: str) -> Mark | None:
    return ownership.parse([v for v in values if v])


def has_tags(held: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return wanted is not None and wanted.items() <= held.items()


def bare(name: str | None) -> str | None:
    return name.rstrip(".") if name else None


def name_of(eip: Eip) -> str | None:
    """What the PTR is or is about to be."""
    if eip.update is not None and eip.update.value is not None:
        return bare(eip.update.value)
    return bare(eip.ptr)


def ready_of(body: Object) -> dict[str, Any] | None:
    return next((c for c in (body.get("status") or {}).get("conditions", []) if c["type"] == "Ready"), None)


def as_list(values: frozenset[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)
