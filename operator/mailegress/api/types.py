"""The custom resource as the operator sees it: metadata and spec as typed values, read from API objects."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NoReturn, TypeVar

from mailegress.api import limits, validation
from mailegress.api.names import FINALIZER, RECONCILE_ANNOTATION
from mailegress.api.slim import FOREIGN_FINALIZERS
from mailegress.api.status import FormerRecord, Origin, Status
from mailegress.api.tags import Tags, tags_label, tags_of
from mailegress.api.text import clean_text
from mailegress.api.validation import InvalidObject

_E = TypeVar("_E", bound=StrEnum)


class SelectorKind(StrEnum):
    """What an entry of `spec.elasticIPs` goes by; the values are the names of its fields."""

    ALLOCATION_ID = "allocationID"
    PUBLIC_IP = "publicIP"
    NAT_GATEWAY_ID = "natGatewayID"
    INSTANCE_ID = "instanceID"
    NETWORK_INTERFACE_ID = "networkInterfaceID"
    TAGS = "tags"
    NAT_GATEWAY_TAGS = "natGatewayTags"


class Management(StrEnum):
    """Who writes the A record: the operator (Route 53), or a third party in another DNS."""

    MANAGED = "Managed"
    OBSERVED = "Observed"
    EXTERNAL_DNS = "ExternalDNS"


class Adoption(StrEnum):
    """What to do with an A record or PTR that is already there and already right."""

    NEVER = "Never"
    MATCHING = "Matching"


class DeletionPolicy(StrEnum):
    """What deleting the object does to the DNS."""

    DELETE = "Delete"
    RETAIN = "Retain"


@dataclass(frozen=True, slots=True)
class EipSelector:
    """One entry of `spec.elasticIPs`: an ID or address (`value`), or tags. `region` None: the operator's default
    region.
    """

    kind: SelectorKind
    value: str
    region: str | None = None
    tags: Tags = ()

    @property
    def by_tags(self) -> bool:
        """Does it go by tags, which may move from one resource to another without an edit of the object?"""
        return bool(self.tags)

    def __str__(self) -> str:
        """As shown in `status.addresses[].selector`."""
        if self.tags:
            return tags_label(self.kind.value, self.tags, self.region)
        return f"{self.kind.value}={self.value}" + (f"@{self.region}" if self.region else "")


@dataclass(frozen=True, slots=True)
class Forward:
    """Where the A record lives. None: the operator finds the zone, and uses its default TTL (in seconds)."""

    management: Management = Management.MANAGED
    hosted_zone_id: str | None = None
    ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """What is wanted."""

    hostname: str
    elastic_ips: tuple[EipSelector, ...]
    forward: Forward = Forward()
    adoption: Adoption = Adoption.MATCHING
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    suspend: bool = False
    sender_domains: tuple[str, ...] = ()
    """Domains of envelope senders, only for advice."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The metadata that the operator uses. Timestamps are RFC 3339 text as the API server wrote it."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    creation_timestamp: str
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    foreign_finalizers: int = 0
    """How many finalizers are not ours; a slim copy does not name them."""
    reconcile_requested_at: str | None = None
    """Value of the annotation, printable and cut as `status.lastHandledReconcileAt` is, so that the two
    compare equal.
    """


@dataclass(frozen=True, slots=True)
class MailEgress:
    """One custom resource. `status` is what is stored: output of an earlier pass or anyone's, to be trusted
    with nothing.
    """

    meta: Meta
    spec: Spec
    status: Status

    @property
    def untouched(self) -> bool:
        """Was nothing outside the cluster written for it? The finalizer comes before the first write (S8); somebody may
        have removed it since, so what the status records as written, or about to be written, counts as well."""
        return FINALIZER not in self.meta.finalizers and self.records_no_write

    @property
    def records_no_write(self) -> bool:
        """Does the status tell of nothing that was written, or is about to be written, outside the cluster?"""
        forward = self.status.forward
        return not (
            (forward is not None and forward.origin is not None)
            or self.status.zone is not None
            or self.status.dns_endpoint is not None
            or self.status.former_records
            or any(entry.ptr_origin is Origin.MANAGED for entry in self.status.addresses)
        )

    def former_hostnames(self) -> frozenset[str]:
        """The hostnames that the status records and the spec does not name any more."""
        names = {former.hostname for former in self.status.former_records}
        names |= {self.status.hostname} if self.status.hostname is not None else set()
        names |= set(self.status.dns_endpoint.hostnames) if self.status.dns_endpoint is not None else set()
        return frozenset(names - {self.spec.hostname})

    def records_in_status(self) -> tuple[FormerRecord, ...]:
        """Where records of this object may stand, as the status says: at its hostname, and at former places."""
        if self.untouched:
            return ()
        status = self.status
        places = {(p.zone_id, p.hostname): p for p in status.former_records if p.zone_id}
        if status.zone is not None and status.zone.id and status.hostname:
            place = FormerRecord(status.zone.id, status.hostname, status.zone.account_id)
            places[place.zone_id, place.hostname] = place
        return tuple(places[key] for key in sorted(places))

    def former_ptrs(self) -> frozenset[tuple[str, str, str]]:
        """(former hostname, region, allocation ID) of the PTRs that were set for this object, as the status records."""
        former = self.former_hostnames()
        return frozenset(
            (name, entry.region or "", entry.allocation_id or "")
            for entry in self.status.addresses
            if entry.ptr_origin is Origin.MANAGED
            for name in (entry.ptr, entry.ptr_update)
            if name in former
        )


_SELECTOR_RULES: Final[Mapping[SelectorKind, tuple[Callable[[str], bool], str]]] = {
    SelectorKind.ALLOCATION_ID: (
        validation.is_allocation_id,
        "an allocation ID, e.g. eipalloc-0123456789abcdef0",
    ),
    SelectorKind.PUBLIC_IP: (validation.is_public_ipv4, "a public IPv4 address, e.g. 203.0.113.10"),
    SelectorKind.NAT_GATEWAY_ID: (
        validation.is_nat_gateway_id,
        "a NAT gateway ID, e.g. nat-0123456789abcdef0",
    ),
    SelectorKind.INSTANCE_ID: (validation.is_instance_id, "an instance ID, e.g. i-0123456789abcdef0"),
    SelectorKind.NETWORK_INTERFACE_ID: (
        validation.is_network_interface_id,
        "a network interface ID, e.g. eni-0123456789abcdef0",
    ),
}


def parse_object(body: Mapping[str, object]) -> MailEgress:
    """Read a MailEgress as the API server gives it. Raises InvalidObject for metadata or spec; any status is
    taken leniently.
    """
    spec = parse_spec(body.get("spec"))
    return MailEgress(parse_meta(body), spec, _disowned(spec.hostname, Status.from_dict(body.get("status"))))


def _disowned(hostname: str, status: Status) -> Status:
    """The status without PTRs that had this hostname before the object had it.

    The operator manages such an address and wrote down what a third party set there, under another hostname. What it
    was about to set itself is still its own.
    """
    known = {status.hostname, *(former.hostname for former in status.former_records)}
    known |= set(status.dns_endpoint.hostnames) if status.dns_endpoint is not None else set()
    if hostname in known or all(entry.ptr != hostname for entry in status.addresses):
        return status
    entries = (
        (replace(entry, ptr=None) if entry.ptr_update else replace(entry, ptr_origin=None))
        if entry.ptr_origin is Origin.MANAGED and entry.ptr == hostname != entry.ptr_update
        else entry
        for entry in status.addresses
    )
    return replace(status, addresses=tuple(entries))


def parse_remains(body: Mapping[str, object]) -> MailEgress:
    """Read what is left of an object whose spec breaks the rules: enough to say so, and to clean up after it.

    The hostname is the one last written down, or empty; of the spec itself only the wish to let go counts. Raises
    InvalidObject for metadata.
    """
    status = Status.from_dict(body.get("status"))
    spec = body.get("spec")
    retain = isinstance(spec, Mapping) and spec.get("deletionPolicy") == DeletionPolicy.RETAIN.value
    hostname = status.hostname if status.hostname and validation.is_hostname(status.hostname) else ""
    policy = DeletionPolicy.RETAIN if retain else DeletionPolicy.DELETE
    return MailEgress(parse_meta(body), Spec(hostname, (), deletion_policy=policy), status)


def parse_meta(body: Mapping[str, object]) -> Meta:
    """Read the metadata alone, which an object with an unusable spec still has. Raises InvalidObject."""
    meta = _mapping(body.get("metadata"), "metadata")
    annotations = meta.get("annotations")
    requested = annotations.get(RECONCILE_ANNOTATION) if isinstance(annotations, Mapping) else None
    listed = meta.get("finalizers")
    finalizers = tuple(f for f in listed if isinstance(f, str)) if isinstance(listed, list) else ()
    left_out = meta.get(FOREIGN_FINALIZERS)
    deletion_timestamp = meta.get("deletionTimestamp")
    generation = meta.get("generation")
    if type(generation) is not int:
        raise InvalidObject("metadata.generation", generation, "a number")
    return Meta(
        namespace=_text(meta, "namespace", "metadata"),
        name=_text(meta, "name", "metadata"),
        uid=_text(meta, "uid", "metadata"),
        generation=generation,
        resource_version=_text(meta, "resourceVersion", "metadata"),
        creation_timestamp=_text(meta, "creationTimestamp", "metadata"),
        deletion_timestamp=deletion_timestamp
        if isinstance(deletion_timestamp, str) and deletion_timestamp
        else None,
        finalizers=finalizers,
        foreign_finalizers=left_out
        if isinstance(left_out, int)
        else sum(1 for f in finalizers if f != FINALIZER),
        reconcile_requested_at=(clean_text(requested, limits.RECONCILE_REQUEST_LENGTH) or None)
        if isinstance(requested, str)
        else None,
    )


def parse_spec(value: object) -> Spec:
    """Read a spec. Raises InvalidObject naming the first field that breaks a rule of the schema."""
    spec = _mapping(value, "spec")
    hostname = _text(spec, "hostname", "spec")
    if not validation.is_hostname(hostname):
        raise InvalidObject(
            "spec.hostname",
            hostname,
            "a lower-case host name of at most 241 characters, e.g. mta.example.com",
        )
    suspend = spec.get("suspend")
    if suspend is None:
        suspend = False
    if not isinstance(suspend, bool):
        raise InvalidObject("spec.suspend", suspend, "true or false")
    return Spec(
        hostname=hostname,
        elastic_ips=_parse_selectors(spec.get("elasticIPs")),
        forward=_parse_forward(spec.get("forward")),
        adoption=_choice(spec, "adoption", "spec", Adoption.MATCHING),
        deletion_policy=_choice(spec, "deletionPolicy", "spec", DeletionPolicy.DELETE),
        suspend=suspend,
        sender_domains=_parse_domains(spec.get("senderDomains")),
    )


def _parse_domains(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    field = "spec.senderDomains"
    if not isinstance(value, list) or len(value) > limits.SENDER_DOMAINS:
        raise InvalidObject(field, value, f"a list of at most {limits.SENDER_DOMAINS} domains")
    for index, domain in enumerate(value):
        if not isinstance(domain, str) or not validation.is_hostname(domain):
            raise InvalidObject(f"{field}[{index}]", domain, "a lower-case domain, e.g. example.com")
    duplicate = validation.first_duplicate(value)
    if duplicate is not None:
        again = value.index(duplicate, value.index(duplicate) + 1)
        raise InvalidObject(f"{field}[{again}]", duplicate, "named once only")
    return tuple(value)


def _parse_selectors(value: object) -> tuple[EipSelector, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= limits.SELECTORS:
        raise InvalidObject("spec.elasticIPs", value, f"a list of 1 to {limits.SELECTORS} entries")
    selectors = tuple(
        _parse_selector(entry, f"spec.elasticIPs[{index}]") for index, entry in enumerate(value)
    )
    # The same thing in two regions is one thing as well: IDs and public addresses are unique over all
    # regions. Tags are not, and tags that are named twice do no harm.
    duplicate = validation.first_duplicate([s.value for s in selectors if not s.by_tags])
    if duplicate is not None:
        raise InvalidObject("spec.elasticIPs", duplicate, "named by one entry only")
    return selectors


def _parse_selector(value: object, field: str) -> EipSelector:
    entry = _mapping(value, field)
    kinds = [kind for kind in SelectorKind if kind.value in entry]
    if len(kinds) != 1:
        raise InvalidObject(field, dict(entry), "exactly one of " + ", ".join(SelectorKind))
    kind = kinds[0]
    region = _optional_text(entry, "region", field)
    if region is not None and not validation.is_region(region):
        raise InvalidObject(f"{field}.region", region, "an AWS region, e.g. eu-west-1")
    if kind not in _SELECTOR_RULES:
        return EipSelector(kind, "", region, _parse_tags(entry[kind.value], f"{field}.{kind.value}"))
    text = _text(entry, kind.value, field)
    fits, wanted = _SELECTOR_RULES[kind]
    if not fits(text):
        raise InvalidObject(f"{field}.{kind.value}", text, wanted)
    return EipSelector(kind, text, region)


def _parse_tags(value: object, field: str) -> Tags:
    tags = _mapping(value, field)
    if not 1 <= len(tags) <= limits.SELECTOR_TAGS:
        raise InvalidObject(field, dict(tags), f"a map of 1 to {limits.SELECTOR_TAGS} tags, e.g. use: mail")
    found: dict[str, str] = {}
    for key, text in tags.items():
        if not 1 <= len(key) <= limits.TAG_KEY_LENGTH:
            raise InvalidObject(
                field, key, f"a map whose keys have 1 to {limits.TAG_KEY_LENGTH} characters, as those of AWS"
            )
        if not isinstance(text, str) or len(text) > limits.TAG_VALUE_LENGTH:
            raise InvalidObject(
                f"{field}[{key}]", text, f"a string of at most {limits.TAG_VALUE_LENGTH} characters"
            )
        found[key] = text
    return tags_of(found)


def _parse_forward(value: object) -> Forward:
    if value is None:
        return Forward()
    forward = _mapping(value, "spec.forward")
    management = _choice(forward, "management", "spec.forward", Management.MANAGED)
    zone = _optional_text(forward, "hostedZoneID", "spec.forward")
    if zone is not None and not validation.is_hosted_zone_id(zone):
        raise InvalidObject("spec.forward.hostedZoneID", zone, "a hosted zone ID, e.g. Z0123456789ABCDEFGHIJ")
    ttl = forward.get("ttlSeconds")
    if ttl is not None and not (type(ttl) is int and limits.MIN_TTL_SECONDS <= ttl <= limits.MAX_TTL_SECONDS):
        raise InvalidObject(
            "spec.forward.ttlSeconds", ttl, f"{limits.MIN_TTL_SECONDS} to {limits.MAX_TTL_SECONDS} seconds"
        )
    if management is Management.OBSERVED:
        for name, given in (("hostedZoneID", zone), ("ttlSeconds", ttl)):
            if given is not None:
                raise InvalidObject(f"spec.forward.{name}", given, "absent under management Observed")
    if management is Management.EXTERNAL_DNS and zone is not None:
        raise InvalidObject("spec.forward.hostedZoneID", zone, "absent under management ExternalDNS")
    return Forward(management, zone, ttl if isinstance(ttl, int) else None)


def _mapping(value: object, field: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise InvalidObject(field, value, "an object")


def _text(parent: Mapping[str, object], name: str, field: str) -> str:
    return _optional_text(parent, name, field) or _missing(f"{field}.{name}", parent.get(name))


def _missing(field: str, value: object) -> NoReturn:
    raise InvalidObject(field, value, "given")


def _optional_text(parent: Mapping[str, object], name: str, field: str) -> str | None:
    value = parent.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidObject(f"{field}.{name}", value, "a string")


def _choice(parent: Mapping[str, object], name: str, field: str, default: _E) -> _E:
    value = parent.get(name)
    if value is None:
        return default
    kind = type(default)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return kind(value)
    raise InvalidObject(f"{field}.{name}", value, " or ".join(kind))
