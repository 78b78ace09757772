"""Record sets as values, and the checks Route 53 makes on their values."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from .base import AwsFault, Params
from .names import normalize

ROUTING_FIELDS = (
    "Weight",
    "Region",
    "GeoLocation",
    "Failover",
    "MultiValueAnswer",
    "GeoProximityLocation",
    "CidrRoutingConfig",
)
MAX_TTL = 2_147_483_647
MAX_VALUES = 400
MAX_TXT = 4_000

Key = tuple[str, str, str]
"""Name, type, set identifier ("" for a simple set)."""


@dataclass(frozen=True, slots=True)
class Alias:
    zone_id: str
    dns_name: str
    evaluate_health: bool


@dataclass(frozen=True, slots=True)
class RecordSet:
    """One record set. `ttl` is in seconds and None for an alias; `values` keep the caller's order."""

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...]
    set_identifier: str = ""
    routing: str | None = None
    routing_value: Any = None
    alias: Alias | None = None
    health_check: str | None = None

    @property
    def key(self) -> Key:
        return (self.name, self.type, self.set_identifier)

    def same_as(self, other: RecordSet) -> bool:
        """Equal for a DELETE: everything must match, the order of the values excepted."""
        return (
            self.key == other.key
            and self.ttl == other.ttl
            and sorted(self.values) == sorted(other.values)
            and (self.routing, self.routing_value) == (other.routing, other.routing_value)
            and self.alias == other.alias
            and self.health_check == other.health_check
        )

    def to_params(self) -> dict[str, Any]:
        """As botocore's ResourceRecordSet shape."""
        out: dict[str, Any] = {"Name": self.name, "Type": self.type}
        if self.set_identifier:
            out["SetIdentifier"] = self.set_identifier
        if self.routing:
            value = self.routing_value
            out[self.routing] = dict(value) if isinstance(value, tuple) else value
        if self.ttl is not None:
            out["TTL"] = self.ttl
        if self.values:
            out["ResourceRecords"] = [{"Value": value} for value in self.values]
        if self.alias:
            out["AliasTarget"] = {
                "HostedZoneId": self.alias.zone_id,
                "DNSName": self.alias.dns_name,
                "EvaluateTargetHealth": self.alias.evaluate_health,
            }
        if self.health_check:
            out["HealthCheckId"] = self.health_check
        return out

    def label(self) -> str:
        """As in `Tried to create resource record set [name='…', type='A']`."""
        text = f"name='{self.name}', type='{self.type}'"
        return f"[{text}, set-identifier='{self.set_identifier}']" if self.set_identifier else f"[{text}]"


def from_params(action: str, params: Params) -> RecordSet:
    """Read a ResourceRecordSet shape. Raises InvalidInput for a set that is not well formed at all."""
    name = normalize(str(params["Name"]))
    rtype = str(params["Type"]).upper()
    where = (
        f"Change with [Action={action}, Name={name}, Type={rtype}, "
        f"SetIdentifier={params.get('SetIdentifier') or 'null'}]"
    )
    alias_params = params.get("AliasTarget")
    records = params.get("ResourceRecords") or []
    ttl = params.get("TTL")
    if bool(alias_params) == bool(records) or (alias_params and ttl is not None):
        raise AwsFault(
            "InvalidInput",
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], "
            f"or TrafficPolicyInstanceId], but found "
            f"{'more than one' if alias_params else 'none'} in {where}",
        )
    if records and ttl is None:
        raise AwsFault("InvalidInput", f"Invalid request: Missing field 'TTL' in {where}")
    if ttl is not None and not 0 <= int(ttl) <= MAX_TTL:
        raise AwsFault("InvalidInput", f"Invalid request: TTL {ttl} is out of range in {where}")
    used = [field for field in ROUTING_FIELDS if params.get(field) is not None]
    identifier = str(params.get("SetIdentifier") or "")
    if len(used) > 1 or bool(used) != bool(identifier):
        raise AwsFault(
            "InvalidInput",
            "Invalid request: Expected exactly one of "
            f"[Weight, Region, Failover, GeoLocation, MultiValueAnswer] with a SetIdentifier in {where}",
        )
    routing_value = params[used[0]] if used else None
    if isinstance(routing_value, dict):
        routing_value = tuple(sorted(routing_value.items()))
    alias = None
    if alias_params:
        alias = Alias(
            str(alias_params["HostedZoneId"]),
            normalize(str(alias_params["DNSName"])),
            bool(alias_params.get("EvaluateTargetHealth", False)),
        )
    return RecordSet(
        name=name,
        type=rtype,
        ttl=None if ttl is None else int(ttl),
        values=tuple(str(record["Value"]) for record in records),
        set_identifier=identifier,
        routing=used[0] if used else None,
        routing_value=routing_value,
        alias=alias,
        health_check=params.get("HealthCheckId"),
    )


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s+|$)', re.DOTALL)
_TXT_ESCAPE = re.compile(r"\\(?:[0-7]{3}|.)", re.DOTALL)


def value_problems(record_set: RecordSet) -> list[str]:
    """What is wrong with the values, in Route 53's words."""
    out: list[str] = []
    if len(record_set.values) > MAX_VALUES:
        out.append(f"Number of values limit of {MAX_VALUES} exceeded in {record_set.label()}")
    seen: set[str] = set()
    for value in record_set.values:
        if value in seen:
            out.append(f"Duplicate Resource Record: '{value}'")
        seen.add(value)
        problem = _value_problem(record_set.type, value)
        if problem:
            out.append(f"Invalid Resource Record: 'FATAL problem: {problem} encountered with '{value}''")
    if record_set.type == "CNAME" and len(record_set.values) > 1:
        out.append(
            f"RRSet of type CNAME with DNS name {record_set.name} contains more than one resource record."
        )
    return out


def _value_problem(rtype: str, value: str) -> str | None:
    if rtype in ("A", "AAAA"):
        return _address_problem(rtype, value)
    if rtype in ("TXT", "SPF"):
        return _text_problem(value)
    if rtype in ("CNAME", "NS", "PTR") and (not value.strip() or " " in value.strip()):
        return f"{rtype}RRDATANotSingleField (Value contains spaces or is empty)"
    if rtype == "MX" and not re.fullmatch(r"\d{1,5}\s+\S+", value):
        return "MXRRDATANotTwoFields (Value should be a priority and a domain name)"
    return None if value.strip() else "EmptyRDATA (Value is empty)"


def _address_problem(rtype: str, value: str) -> str | None:
    try:
        if rtype == "A":
            ipaddress.IPv4Address(value)
        else:
            ipaddress.IPv6Address(value)
    except ValueError:
        version = "4" if rtype == "A" else "6"
        return f"{rtype}RRDATAIllegalIPv{version}Address (Value is not a valid IPv{version} address)"
    return None


def _text_problem(value: str) -> str | None:
    position = 0
    while position < len(value):
        match = _QUOTED.match(value, position)
        if not match:
            return "InvalidCharacterString (Value should be enclosed in quotation marks)"
        if len(_TXT_ESCAPE.sub("x", match.group(1))) > 255:
            return "CharacterStringTooLong (Value is too long)"
        position = match.end()
    if not value:
        return "InvalidCharacterString (Value should be enclosed in quotation marks)"
    return "CharacterStringTooLong (Value is too long)" if len(value) > MAX_TXT else None
