"""The MailEgressPolicy as the operator sees it: which namespaces may use which hostnames and addresses.

Policies are additive: something is allowed if one policy allows it. So a field that this version does not know may be a
restriction, and a policy that has one, or is wrong in another way, allows nothing (:attr:`Policy.problem`). It still
selects its namespaces, so that their objects can name it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailegress.api import limits
from mailegress.api.text import clean_text
from mailegress.api.types import Management
from mailegress.api.validation import InvalidObject

ANY: Final = "*"
"""Every namespace; every hostname that is not the name of a zone."""
DEFAULT_MAXIMUM: Final = 50
"""MailEgresses of one namespace, as the schema defaults it."""


class PolicyMode(StrEnum):
    """What the operator does with policies (``--policy``)."""

    OFF = "Off"
    AUDIT = "Audit"
    ENFORCE = "Enforce"


@dataclass(frozen=True, slots=True)
class NamespaceSelector:
    """Either names or labels; neither selects no namespace."""

    every: bool = False
    names: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()

    def selects(self, name: str, labels: Mapping[str, str]) -> bool:
        if self.labels:
            return all(labels.get(key) == value for key, value in self.labels)
        return self.every or name in self.names


@dataclass(frozen=True, slots=True)
class Hostnames:
    """``suffixes``: any name strictly below them. ``names``: exactly these, and the only way to the name of a zone."""

    every: bool = False
    suffixes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def allows(self, hostname: str, zones: Collection[str]) -> bool:
        """``zones``: the names of zones that are known."""
        if hostname in self.names:
            return True
        if not hostname or hostname in zones:
            return False
        if self.every:
            return True
        rest = hostname
        while "." in rest:
            rest = rest.partition(".")[2]
            if rest in self.suffixes:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Addresses:
    """Elastic IPs: any, or one of the lists; in any case only in ``regions``, if it names some."""

    every: bool = False
    allocation_ids: frozenset[str] = frozenset()
    nat_gateway_ids: frozenset[str] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()
    regions: frozenset[str] = frozenset()

    def allows(
        self, allocation_id: str, region: str, nat_gateway_id: str, tags: Collection[tuple[str, str]]
    ) -> bool:
        if self.regions and region not in self.regions:
            return False
        return (
            self.every
            or allocation_id in self.allocation_ids
            or (bool(nat_gateway_id) and nat_gateway_id in self.nat_gateway_ids)
            or (bool(self.tags) and all(pair in tags for pair in self.tags))
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy grants to the objects whose hostname it allows."""

    name: str
    """The policy's."""
    addresses: Addresses = Addresses()
    zone_ids: frozenset[str] = frozenset()
    """Hosted zones in which it allows a record; empty = all."""
    allow_retain: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """One MailEgressPolicy."""

    name: str
    namespaces: NamespaceSelector
    terms: Terms
    hostnames: Hostnames = Hostnames()
    management: frozenset[Management] = frozenset()
    maximum: int = 0
    """MailEgresses of one namespace."""
    problem: str = ""
    """Why this version cannot use it. It allows nothing then."""


_SPEC: Final = (
    "namespaces",
    "hostnames",
    "hostedZoneIDs",
    "addresses",
    "management",
    "allowRetain",
    "maxMailEgresses",
)


def parse_policy(body: Mapping[str, object]) -> Policy:
    """Read a MailEgressPolicy as the API server gives it. Never raises for a spec that breaks a rule: see
    :attr:`Policy.problem`.
    """
    meta = body.get("metadata")
    name = meta.get("name") if isinstance(meta, Mapping) else None
    name = name if isinstance(name, str) else ""
    spec = body.get("spec")
    selector = NamespaceSelector()
    try:
        fields = _fields(spec, "spec", _SPEC)
        selector = _namespaces(fields.get("namespaces"))
        return Policy(
            name,
            selector,
            Terms(
                name,
                _addresses(fields.get("addresses")),
                frozenset(_texts(fields, "hostedZoneIDs", "spec", limits.POLICY_ZONES)),
                _flag(fields, "allowRetain", "spec"),
            ),
            _hostnames(fields.get("hostnames")),
            _management(fields),
            _maximum(fields),
        )
    except InvalidObject as error:
        # Whom it selects is known if that part is right, whatever the rest is.
        if selector == NamespaceSelector() and isinstance(spec, Mapping):
            try:
                selector = _namespaces(spec.get("namespaces"))
            except InvalidObject:
                selector = NamespaceSelector()
        return Policy(name, selector, Terms(name), problem=clean_text(str(error), limits.MESSAGE_LENGTH))


def _namespaces(value: object) -> NamespaceSelector:
    field = "spec.namespaces"
    fields = _fields(value, field, ("names", "matchLabels"))
    names = _texts(fields, "names", field, limits.POLICY_NAMESPACES)
    labels = _pairs(fields, "matchLabels", field)
    if bool(names) == bool(labels):
        raise InvalidObject(field, dict(fields), "exactly one of names and matchLabels, and not empty")
    if ANY in names and len(names) > 1:
        raise InvalidObject(f"{field}.names", list(names), f"{ANY!r} alone, or names")
    return NamespaceSelector(ANY in names, frozenset(names) - {ANY}, labels)


def _hostnames(value: object) -> Hostnames:
    field = "spec.hostnames"
    fields = _fields(value, field, ("suffixes", "names"))
    suffixes = _texts(fields, "suffixes", field, limits.POLICY_SUFFIXES)
    names = _texts(fields, "names", field, limits.POLICY_NAMES)
    if not suffixes and not names:
        raise InvalidObject(field, dict(fields), "suffixes, names or both")
    for text in (*suffixes, *names):
        # A suffix in another form than that of a hostname matches none, which nobody would see.
        if text != ANY and (
            text != text.lower() or text.startswith(".") or text.endswith(".") or ANY in text
        ):
            raise InvalidObject(field, text, "a lower-case name without a dot at either end")
    if ANY in names:
        raise InvalidObject(f"{field}.names", ANY, f"exact names; {ANY!r} belongs in suffixes")
    return Hostnames(ANY in suffixes, frozenset(suffixes) - {ANY}, frozenset(names))


def _addresses(value: object) -> Addresses:
    field = "spec.addresses"
    fields = _fields(value, field, ("any", "allocationIDs", "natGatewayIDs", "matchTags", "regions"))
    every = _flag(fields, "any", field)
    allocation_ids = _texts(fields, "allocationIDs", field, limits.POLICY_ALLOCATIONS)
    gateways = _texts(fields, "natGatewayIDs", field, limits.POLICY_GATEWAYS)
    tags = _pairs(fields, "matchTags", field)
    if every == bool(allocation_ids or gateways or tags):
        raise InvalidObject(
            field, dict(fields), "either any: true, or allocationIDs, natGatewayIDs or matchTags"
        )
    regions = _texts(fields, "regions", field, limits.POLICY_REGIONS)
    return Addresses(every, frozenset(allocation_ids), frozenset(gateways), tags, frozenset(regions))


def _management(fields: Mapping[str, object]) -> frozenset[Management]:
    given = _texts(fields, "management", "spec", len(Management)) or (Management.MANAGED.value,)
    for word in given:
        if word not in {member.value for member in Management}:
            raise InvalidObject("spec.management", word, " or ".join(Management))
    return frozenset(Management(word) for word in given)


def _maximum(fields: Mapping[str, object]) -> int:
    value = fields.get("maxMailEgresses")
    if value is None:
        return DEFAULT_MAXIMUM
    if type(value) is not int or not 0 <= value <= limits.POLICY_MAXIMUM:
        raise InvalidObject("spec.maxMailEgresses", value, f"0 to {limits.POLICY_MAXIMUM}")
    return value


def _fields(value: object, field: str, known: Collection[str]) -> Mapping[str, object]:
    """An object that has no other fields than these."""
    if not isinstance(value, Mapping):
        raise InvalidObject(field, value, "an object")
    for name in value:
        if name not in known:
            raise InvalidObject(
                f"{field}.{name}", value[name], "absent: this version does not know the field"
            )
    return value


def _texts(parent: Mapping[str, object], name: str, field: str, most: int) -> tuple[str, ...]:
    value = parent.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > most or not all(isinstance(v, str) and v for v in value):
        raise InvalidObject(f"{field}.{name}", value, f"a list of at most {most} strings")
    return tuple(value)


def _pairs(parent: Mapping[str, object], name: str, field: str) -> tuple[tuple[str, str], ...]:
    value = parent.get(name)
    if value is None:
        return ()
    if not isinstance(value, Mapping) or len(value) > limits.POLICY_LABELS:
        raise InvalidObject(f"{field}.{name}", value, f"at most {limits.POLICY_LABELS} keys and values")
    pairs = tuple(sorted((key, text) for key, text in value.items() if isinstance(text, str)))
    if len(pairs) != len(value):
        raise InvalidObject(f"{field}.{name}", dict(value), "keys and values that are strings")
    return pairs


def _flag(parent: Mapping[str, object], name: str, field: str) -> bool:
    value = parent.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidObject(f"{field}.{name}", value, "true or false")
    return value
