"""The status as typed values: written whole, in one canonical form, within the bounds of the schema; read
leniently.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from mailegress.api import conditions, limits, reasons
from mailegress.api.advisories import Severity
from mailegress.api.display import addresses_column, advisories_column, ptr_column
from mailegress.api.lenient import mapping
from mailegress.api.text import clean_text

Json = dict[str, object]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")


class Origin(StrEnum):
    """Whether the operator made an A record or a PTR (and removes it on deletion), or found it and leaves it."""

    MANAGED = "Managed"
    ADOPTED = "Adopted"


_ORIGINS = {origin.value: origin for origin in Origin}
_SEVERITIES = {severity.value: severity for severity in Severity}


def format_time(moment: datetime) -> str:
    """Return an aware `moment` as Kubernetes writes times: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `observed_generation` is -1 where it is absent; `last_transition_time` is RFC 3339
    text.
    """

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str

    def to_dict(self) -> Json:
        """Return the stored form. All required fields are always there; a negative generation is left out."""
        stored: Json = {
            "type": clean_text(self.type, limits.REASON_LENGTH),
            "status": self.status if self.status in conditions.STATUSES else conditions.UNKNOWN,
            "reason": clean_text(self.reason, limits.REASON_LENGTH) or reasons.UNEXPECTED_ERROR.name,
            "message": clean_text(self.message, limits.MESSAGE_LENGTH),
            "lastTransitionTime": self.last_transition_time
            if _is_time(self.last_transition_time)
            else conditions.PENDING_TIME,
        }
        if self.observed_generation >= 0:
            stored["observedGeneration"] = min(self.observed_generation, limits.MAX_GENERATION)
        return stored

    @classmethod
    def from_dict(cls, value: object) -> "Condition | None":
        """Read a stored condition; None if it is not one (no type, or a status that is no status)."""
        stored = mapping(value)
        kind, status = _string(stored, "type"), _string(stored, "status")
        if kind is None or status not in conditions.STATUSES:
            return None
        time = _string(stored, "lastTransitionTime")
        return cls(
            type=kind,
            status=status,
            reason=_string(stored, "reason") or "",
            message=_string(stored, "message") or "",
            observed_generation=_integer(stored, "observedGeneration", -1),
            last_transition_time=time if time is not None and _is_time(time) else conditions.PENDING_TIME,
        )


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """One Elastic IP, or one selector that resolved to none. `iprev`: pass, fail, temperror or permerror
    (RFC 8601, section 2.7.3). `ptr_update`: what the operator is setting the PTR to, until `ptr` shows it.
    """

    selector: str
    public_ip: str | None = None
    allocation_id: str | None = None
    account_id: str | None = None
    region: str | None = None
    attached_to: str | None = None
    ptr: str | None = None
    ptr_origin: Origin | None = None
    iprev: str | None = None
    reason: str | None = None
    ptr_update: str | None = None

    def to_dict(self) -> Json:
        """Return the stored form, without absent fields."""
        return _compact(
            {
                "selector": clean_text(self.selector, limits.SELECTOR_LENGTH),
                "publicIP": _cut(self.public_ip, limits.IDENTIFIER_LENGTH),
                "allocationID": _cut(self.allocation_id, limits.IDENTIFIER_LENGTH),
                "accountID": _cut(self.account_id, limits.IDENTIFIER_LENGTH),
                "region": _cut(self.region, limits.IDENTIFIER_LENGTH),
                "attachedTo": _cut(self.attached_to, limits.ATTACHED_TO_LENGTH),
                "ptr": _cut(self.ptr, limits.STATUS_NAME_LENGTH),
                "ptrUpdate": _cut(self.ptr_update, limits.STATUS_NAME_LENGTH),
                "ptrOrigin": self.ptr_origin.value if self.ptr_origin else None,
                "iprev": _cut(self.iprev, limits.WORD_LENGTH),
                "reason": _cut(self.reason, limits.REASON_LENGTH),
            }
        )

    @classmethod
    def from_dict(cls, value: object) -> "AddressStatus | None":
        """Read a stored entry; None if it is no object or empty."""
        stored = mapping(value)
        entry = cls(
            selector=_string(stored, "selector") or "",
            public_ip=_string(stored, "publicIP"),
            allocation_id=_string(stored, "allocationID"),
            account_id=_string(stored, "accountID"),
            region=_string(stored, "region"),
            attached_to=_string(stored, "attachedTo"),
            ptr=_string(stored, "ptr"),
            ptr_origin=_origin(stored, "ptrOrigin"),
            iprev=_string(stored, "iprev"),
            reason=_string(stored, "reason"),
            ptr_update=_string(stored, "ptrUpdate"),
        )
        return None if entry == cls(selector="") else entry


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """The hosted zone that holds the A record; `name` without trailing dot, `account_id` as it was listed in."""

    id: str
    name: str
    account_id: str | None = None

    def to_dict(self) -> Json:
        """Return the stored form."""
        return _compact(
            {
                "id": clean_text(self.id, limits.IDENTIFIER_LENGTH),
                "name": clean_text(self.name, limits.STATUS_NAME_LENGTH),
                "accountID": _cut(self.account_id, limits.IDENTIFIER_LENGTH),
            }
        )

    @classmethod
    def from_dict(cls, value: object) -> "ZoneStatus | None":
        """Read a stored zone; None if there is nothing in it."""
        stored = mapping(value)
        zone = cls(_string(stored, "id") or "", _string(stored, "name") or "", _string(stored, "accountID"))
        return None if zone == cls("", "") else zone


@dataclass(frozen=True, slots=True)
class FormerRecord:
    """What the object had before, under another name or in another zone, and what is still there, as far as is known.

    With a zone it is an A record; `account_id` is the account of the zone. Without one (`zone_id` is empty) only PTRs
    of this object still show the hostname.
    """

    zone_id: str
    hostname: str
    account_id: str | None = None

    def to_dict(self) -> Json:
        """Return the stored form; empty if the hostname is missing."""
        zone_id = clean_text(self.zone_id, limits.IDENTIFIER_LENGTH)
        hostname = clean_text(self.hostname, limits.DNS_NAME_LENGTH)
        account = _cut(self.account_id, limits.IDENTIFIER_LENGTH)
        return _compact({"zoneID": zone_id, "hostname": hostname, "accountID": account}) if hostname else {}

    @classmethod
    def from_dict(cls, value: object) -> "FormerRecord | None":
        """Read a stored entry; None if the hostname is missing."""
        stored = mapping(value)
        zone_id, hostname = _string(stored, "zoneID") or "", _string(stored, "hostname")
        return cls(zone_id, hostname, _string(stored, "accountID")) if hostname else None


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """The DNSEndpoint that the operator writes for the object, and the hostnames of its A records."""

    name: str
    hostnames: tuple[str, ...] = ()

    def to_dict(self) -> Json:
        """Return the stored form; nothing without a name."""
        name = clean_text(self.name, limits.DNS_NAME_LENGTH)
        hostnames = _cut_all(self.hostnames, limits.ENDPOINT_HOSTNAMES, limits.DNS_NAME_LENGTH)
        return _compact({"name": name, "hostnames": hostnames}) if name else {}

    @classmethod
    def from_dict(cls, value: object) -> "EndpointStatus | None":
        """Read a stored entry; None if it has no name."""
        stored = mapping(value)
        name = _string(stored, "name")
        return cls(name, _strings(stored, "hostnames")) if name else None


@dataclass(frozen=True, slots=True)
class ForwardStatus:
    """The A record as last read; TTL in seconds. `change_id`: the Route 53 change that is under way. `origin`: as its
    ownership record was last read.
    """

    values: tuple[str, ...] = ()
    ttl_seconds: int | None = None
    change_id: str | None = None
    origin: Origin | None = None

    def to_dict(self) -> Json:
        """Return the stored form, without absent fields."""
        ttl = self.ttl_seconds
        return _compact(
            {
                "values": _cut_all(self.values, limits.FORWARD_VALUES),
                "ttlSeconds": None if ttl is None else max(0, min(ttl, limits.MAX_STATUS_TTL_SECONDS)),
                "origin": self.origin.value if self.origin else None,
                "changeID": _cut(self.change_id, limits.IDENTIFIER_LENGTH),
            }
        )

    @classmethod
    def from_dict(cls, value: object) -> "ForwardStatus | None":
        """Read a stored record; None if there is nothing in it."""
        stored = mapping(value)
        ttl = _integer(stored, "ttlSeconds", -1)
        forward = cls(
            _strings(stored, "values"),
            ttl if ttl >= 0 else None,
            _string(stored, "changeID"),
            _origin(stored, "origin"),
        )
        return None if forward == cls() else forward


@dataclass(frozen=True, slots=True)
class Advisory:
    """One piece of advice, see ``api/advisories.py``. `addresses`: those that it is about; empty = the hostname."""

    code: str
    severity: Severity
    message: str
    addresses: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[bool, str, str]:
        """Warnings first."""
        return (self.severity is not Severity.WARNING, self.code, self.message)

    def to_dict(self) -> Json:
        """Return the stored form; empty if code or message is missing."""
        code = clean_text(self.code, limits.REASON_LENGTH)
        message = clean_text(self.message, limits.MESSAGE_LENGTH)
        addresses = _cut_all(self.addresses, limits.ADDRESSES)
        stored: Json = {
            "code": code,
            "severity": self.severity.value,
            "message": message,
            "addresses": addresses,
        }
        return _compact(stored) if code and message else {}

    @classmethod
    def from_dict(cls, value: object) -> "Advisory | None":
        """Read a stored entry; None if code, severity or message is missing."""
        stored = mapping(value)
        code, message = _string(stored, "code"), _string(stored, "message")
        severity = _SEVERITIES.get(_string(stored, "severity") or "")
        if code is None or message is None or severity is None:
            return None
        return cls(code, severity, message, _strings(stored, "addresses"))


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status. The default is that of an object nobody has looked at, without conditions."""

    observed_generation: int = -1
    hostname: str | None = None
    public_ips: tuple[str, ...] = ()
    zone: ZoneStatus | None = None
    forward: ForwardStatus | None = None
    former_records: tuple[FormerRecord, ...] = ()
    addresses: tuple[AddressStatus, ...] = ()
    last_handled_reconcile_at: str | None = None
    conditions: tuple[Condition, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    policy: str | None = None
    """The MailEgressPolicy that allows the object. Output only: never read to decide anything."""
    dns_endpoint: EndpointStatus | None = None
    """From just before its first write until it is gone. Only the operator can write it: what it does not name in the
    DNSEndpoint is not the object's."""

    def to_dict(self) -> Json:
        """Return the one stored form of this status: within every bound, conditions in order and one of each
        type, no empty fields.
        """
        stored: Json = {"observedGeneration": max(-1, min(self.observed_generation, limits.MAX_GENERATION))}
        stored.update(
            _compact(
                {
                    "hostname": _cut(self.hostname, limits.DNS_NAME_LENGTH),
                    "policy": _cut(self.policy, limits.DNS_NAME_LENGTH),
                    "publicIPs": _cut_all(self.public_ips, limits.ADDRESSES),
                    "dnsEndpoint": self.dns_endpoint.to_dict() if self.dns_endpoint else None,
                    "zone": self.zone.to_dict() if self.zone else None,
                    "forward": self.forward.to_dict() if self.forward else None,
                    "formerRecords": [
                        entry for entry in map(FormerRecord.to_dict, self.former_records) if entry
                    ][: limits.FORMER_RECORDS],
                    "addresses": [entry for entry in map(AddressStatus.to_dict, self.addresses) if entry][
                        : limits.STATUS_ADDRESSES
                    ],
                    "advisories": [entry for entry in map(Advisory.to_dict, self.advisories) if entry][
                        : limits.ADVISORIES
                    ],
                    "lastHandledReconcileAt": _cut(
                        self.last_handled_reconcile_at, limits.RECONCILE_REQUEST_LENGTH
                    ),
                    "conditions": [c.to_dict() for c in self._ordered_conditions()[: limits.CONDITIONS]],
                }
            )
        )
        stored.update(_compact({"display": _display(stored)}))
        return stored

    def matches(self, stored: object) -> bool:
        """Tell whether `stored`, the status as the API server returned it, already is this status, with
        nothing added.
        """
        return self.to_dict() == stored

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of that type, or None."""
        return next((c for c in self.conditions if c.type == condition_type), None)

    def _ordered_conditions(self) -> list[Condition]:
        by_type: dict[str, Condition] = {}
        for condition in self.conditions:
            kind = clean_text(condition.type, limits.REASON_LENGTH)
            if kind:
                by_type.setdefault(
                    kind, condition if kind == condition.type else replace(condition, type=kind)
                )
        return sorted(by_type.values(), key=lambda condition: conditions.order_of(condition.type))

    @classmethod
    def from_dict(cls, value: object) -> "Status":
        """Read a stored status. Whatever has the wrong type is treated as missing; never raises."""
        stored = mapping(value)
        return cls(
            observed_generation=_integer(stored, "observedGeneration", -1),
            hostname=_string(stored, "hostname"),
            policy=_string(stored, "policy"),
            public_ips=_strings(stored, "publicIPs"),
            dns_endpoint=EndpointStatus.from_dict(stored.get("dnsEndpoint")),
            zone=ZoneStatus.from_dict(stored.get("zone")),
            forward=ForwardStatus.from_dict(stored.get("forward")),
            former_records=tuple(
                r for r in map(FormerRecord.from_dict, _list(stored, "formerRecords")) if r is not None
            ),
            addresses=tuple(
                a for a in map(AddressStatus.from_dict, _list(stored, "addresses")) if a is not None
            ),
            advisories=tuple(
                a for a in map(Advisory.from_dict, _list(stored, "advisories")) if a is not None
            ),
            last_handled_reconcile_at=_string(stored, "lastHandledReconcileAt"),
            conditions=tuple(
                c for c in map(Condition.from_dict, _list(stored, "conditions")) if c is not None
            ),
        )


_RECORDED = ("hostname", "publicIPs", "dnsEndpoint", "zone", "forward", "formerRecords", "addresses")
"""The fields that record what the operator wrote outside the cluster."""


def is_missing(stored: object) -> bool:
    """Tell whether no operator wrote this status, or somebody deleted it since."""
    return _integer(mapping(stored), "observedGeneration", -1) < 0


def recorded(stored: object) -> Json:
    """Return the fields of a stored status that record what the operator wrote."""
    return {name: value for name, value in mapping(stored).items() if name in _RECORDED}


def initial_status() -> Status:
    """Return the status that the schema gives a new object: every positive condition Unknown, until an
    operator looks.
    """
    return Status(
        conditions=tuple(
            Condition(
                kind,
                conditions.UNKNOWN,
                reasons.PENDING.name,
                conditions.PENDING_MESSAGE,
                -1,
                conditions.PENDING_TIME,
            )
            for kind in conditions.POSITIVE
        )
    )


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _list(stored: Mapping[str, object], name: str) -> list[object]:
    value = stored.get(name)
    return value if isinstance(value, list) else []


def _origin(value: Mapping[str, object], key: str) -> Origin | None:
    found = _string(value, key)
    return _ORIGINS.get(found) if found is not None else None


def _string(stored: Mapping[str, object], name: str) -> str | None:
    value = stored.get(name)
    return value if isinstance(value, str) and value else None


def _strings(stored: Mapping[str, object], name: str) -> tuple[str, ...]:
    return tuple(value for value in _list(stored, name) if isinstance(value, str) and value)


def _integer(stored: Mapping[str, object], name: str, missing: int) -> int:
    value = stored.get(name)
    # bool is an int in Python, but `true` is no number in a status.
    return value if type(value) is int else missing


def _cut(text: str | None, limit: int) -> str | None:
    return None if text is None else clean_text(text, limit)


def _cut_all(texts: Iterable[str], items: int, limit: int = limits.IDENTIFIER_LENGTH) -> list[str]:
    cleaned = (clean_text(text, limit) for text in texts)
    return [text for text in cleaned if text][:items]


def _display(stored: Mapping[str, object]) -> Json:
    """Return the columns of `kubectl get`, from the cleaned fields of a status."""
    public_ips = _strings(stored, "publicIPs")
    entries = map(mapping, _list(stored, "addresses"))
    pointers = [(_string(e, "ptr"), _string(e, "iprev")) for e in entries if e.get("publicIP") in public_ips]
    codes = [_string(mapping(entry), "code") or "" for entry in _list(stored, "advisories")]
    return _compact(
        {
            "addresses": clean_text(addresses_column(public_ips), limits.DISPLAY_ADDRESSES_LENGTH),
            "ptr": ptr_column(_string(stored, "hostname"), pointers),
            "advisories": clean_text(advisories_column(codes), limits.DISPLAY_ADVISORIES_LENGTH),
        }
    )


def _compact(fields: Mapping[str, object]) -> Json:
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}
