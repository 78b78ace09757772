"""What the world looks like to the reconciler: values only, no I/O.

Names are stored normalised everywhere: lower case, no trailing dot, Route 53's octal escapes undone. Times are
seconds of the event loop's clock (monotonic), never wall clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

NEVER = float("-inf")


NO_LIMIT = float("inf")


class ErrorKind(enum.Enum):
    """How an error is met; the single classification lives in ``aws.errors``."""

    TRANSIENT = "transient"
    """No answer, or a promise to answer later (timeout, 5xx, throttle): changes no positive condition by itself."""
    WORLD = "world"
    """Heals when somebody else's work completes (permissions, a zone that is missing)."""
    HUMAN = "human"
    """A person must decide."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error, classified once. ``message`` is cleaned: no request ID, no control character, bounded."""

    reason: str
    message: str
    kind: ErrorKind
    unknown_outcome: bool = False
    """The request may have been carried out: the world must be read again before it is written again."""
    answered: bool = False
    """DNS only: a server replied, although with a failure (SERVFAIL); False = all were silent."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A shared observation with its age.

    ``at`` is when the read that produced ``value`` *began*: whatever was written before that moment is seen in it.
    ``fault`` is the last failure if the last read failed, and ``misses`` counts failures in a row since ``value``.
    """

    value: T | None = None
    at: float = NEVER
    fault: Fault | None = None
    misses: int = 0
    tried_at: float = NEVER

    def fresh(self, not_before: float) -> bool:
        """True if the value is there and its read began at or after ``not_before``."""
        return self.value is not None and self.at >= not_before


# ---------------------------------------------------------------- EC2


@dataclass(frozen=True, slots=True)
class Ptr:
    """Reverse DNS of one EIP as DescribeAddressesAttribute tells it (absent = all empty)."""

    name: str | None = None
    update: str | None = None
    status: str = ""
    reason: str = ""

    @property
    def pending(self) -> bool:
        """``PENDING`` is the only in-flight state known (Terraform's waiter knows no other)."""
        return self.status.upper() == "PENDING"

    @property
    def failed(self) -> bool:
        """Any other non-empty state is a failure to be shown verbatim."""
        return bool(self.status) and not self.pending

    def settled_to(self, name: str | None) -> bool:
        return not self.status and self.name == name


@dataclass(frozen=True, slots=True)
class Eip:
    """An Elastic IP, from DescribeAddresses joined with DescribeAddressesAttribute."""

    allocation_id: str
    public_ip: str
    account_id: str
    region: str
    ptr: Ptr = Ptr()
    instance_id: str = ""
    network_interface_id: str = ""
    nat_gateway_id: str = ""

    @property
    def attached_to(self) -> str:
        return self.nat_gateway_id or self.instance_id or self.network_interface_id


@dataclass(frozen=True, slots=True)
class NatAddress:
    allocation_id: str
    public_ip: str
    status: str
    """assigning, unassigning, associating, disassociating, succeeded, failed; only ``succeeded`` may join."""


@dataclass(frozen=True, slots=True)
class NatGateway:
    id: str
    state: str
    addresses: tuple[NatAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionView:
    """One sweep of an account's region."""

    region: str
    account_id: str
    eips: Mapping[str, Eip] = field(default_factory=dict)
    """By allocation ID."""
    nat_gateways: Mapping[str, NatGateway] = field(default_factory=dict)
    ptr_supported: bool = True
    """False where the region's partition has no API for PTRs (GovCloud, ISO)."""
    _by_ip: dict[str, Eip] = field(default_factory=dict, init=False, repr=False, compare=False)

    def by_ip(self, public_ip: str) -> Eip | None:
        if len(self._by_ip) != len(self.eips):
            # Built on first use: most readings are replaced before anybody asks by address.
            self._by_ip.update({e.public_ip: e for e in self.eips.values()})
        return self._by_ip.get(public_ip)


class Absence(enum.Enum):
    """What two filtered look-ups say of an EIP that a sweep no longer shows."""

    PRESENT = "present"
    UNCHECKED = "unchecked"
    """Missing from one list, which may lack a page; the first look-up is under way."""
    SUSPECTED = "suspected"
    """A look-up does not show it either; the second look-up is due later."""
    LOST = "lost"
    MASS = "mass"
    """So much of the account is missing at once that nothing is believed."""


# ---------------------------------------------------------------- Route 53


@dataclass(frozen=True, slots=True)
class Zone:
    """A hosted zone of ListHostedZones."""

    id: str
    """Without the ``/hostedzone/`` prefix."""
    name: str
    private: bool = False
    linked_service: str = ""
    record_count: int = 0
    account_id: str = ""
    """The account that lists it; empty = not known."""

    @property
    def editable(self) -> bool:
        return not self.private and not self.linked_service


@dataclass(frozen=True, slots=True)
class ZoneLook:
    """What GetHostedZone says of one zone, and the account to which it says so.

    Neither ``there`` nor ``denied``: NoSuchHostedZone. Route 53 may say either of a zone of another account.
    """

    account_id: str
    there: bool = False
    denied: Fault | None = None


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A record set; TXT values keep their quotes, A values are dotted quads, both sorted."""

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...]
    set_identifier: str | None = None
    alias: bool = False

    @property
    def simple(self) -> bool:
        return self.set_identifier is None and not self.alias


@dataclass(frozen=True, slots=True)
class NameView:
    """Every record set at a hostname, and the TXT set at its ownership name ``_mailegress.<hostname>``."""

    hostname: str
    records: tuple[RecordSet, ...] = ()
    mark: RecordSet | None = None

    def of_type(self, rtype: str) -> tuple[RecordSet, ...]:
        return tuple(r for r in self.records if r.type == rtype)


class Verb(enum.Enum):
    """UPSERT is not among them: CREATE claims, DELETE+CREATE is compare-and-swap, DELETE removes exactly."""

    CREATE = "CREATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Change:
    verb: Verb
    record_set: RecordSet


class WritePhase(enum.Enum):
    """Where an external write handed to a writer stands."""

    QUEUED = "queued"
    IN_FLIGHT = "in-flight"
    APPLIED = "applied"
    """Accepted by AWS; a Route 53 change is still PENDING, a PTR update may be."""
    INSYNC = "insync"
    """Route 53 only: GetChange said INSYNC."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Sent, no answer: read again before writing again."""


@dataclass(frozen=True, slots=True)
class WriteState:
    """The newest write to one name or EIP. ``at`` is when the phase was entered.

    FAILED and UNKNOWN carry the fault; it stands while the write is tried again, so that a retry is not told as news.
    APPLIED with a fault: GetChange is refused or unanswered.
    """

    phase: WritePhase
    at: float
    fault: Fault | None = None
    change_id: str = ""
    attempts: int = 0
    """Failures in a row on this target, for the caller's back-off."""
    returned: bool = False
    """The last write that was handed over was not sent; all else is about the one before it."""
    urgent: bool = False
    """Queued before all others: it takes a lost address out of a record."""

    @property
    def busy(self) -> bool:
        return self.phase in (WritePhase.QUEUED, WritePhase.IN_FLIGHT)

    @property
    def publishing(self) -> bool:
        """Route 53 accepted the change, has not reported it INSYNC, and answers when it is asked."""
        return self.phase is WritePhase.APPLIED and bool(self.change_id) and self.fault is None


# ---------------------------------------------------------------- DNS


class AnswerKind(enum.Enum):
    """What one server said."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    LAME = "lame"
    """An answer without AA from a server that should be authoritative."""
    INTERCEPTED = "intercepted"
    """RA set and AA clear: something else answered on port 53."""
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    """The reply was refused unread: more than 4,096 bytes or 256 records."""
    NOT_PUBLIC = "not-public"
    """The server was not asked, because none of its addresses is globally routable."""
    NOT_ASKED = "not-asked"
    """The server was not asked, because the zone has more than 16 name servers."""

    @property
    def answered(self) -> bool:
        """A statement about the name's data, as opposed to no answer."""
        return self in (AnswerKind.ANSWER, AnswerKind.NODATA, AnswerKind.NXDOMAIN)


class Listed(enum.Enum):
    """Which NS record sets name a server: resolvers follow the parent's, and the zone's own once they know it."""

    BOTH = "both"
    """Both of them, or the zone's own is not known."""
    PARENT = "parent"
    """Only the parent's (the delegation)."""
    ZONE = "zone"
    """Only the zone's own."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server's answer to ``hostname A`` (CNAMEs chased to their own authorities)."""

    server: str
    kind: AnswerKind
    addresses: frozenset[str] = frozenset()
    ttl: int = 0
    """Seconds: the record's TTL, or the negative TTL of RFC 2308."""
    cname: str = ""
    mark: tuple[str, ...] | None = None
    """Values of the ownership TXT beside the name, quoted, if the server was asked for it and answered."""
    listed: Listed = Listed.BOTH


@dataclass(frozen=True, slots=True)
class AuthorityReport:
    """Every authoritative server's answer, found by walking down from the root.

    ``zone`` is the zone cut that the *world* uses for the hostname and ``name_servers`` its NS set as the parent
    publishes it: comparing them with a hosted zone tells whether that zone is delegated. ``answers`` also holds those
    of servers that only the zone's own NS set names.
    """

    hostname: str
    zone: str
    name_servers: frozenset[str]
    answers: tuple[ServerAnswer, ...]
    ns_ttl: int
    """Seconds: the TTL of the parent's NS record set."""


@dataclass(frozen=True, slots=True)
class Delegated:
    """To which hosted zone the parent delegates, as the readings of this process show it."""

    zone_id: str
    """Empty = not, or not only, to the chosen zone."""
    since: float
    """When the first of the readings in a row that show it began."""
    hold: int
    """Seconds after ``since`` for which resolvers may follow the NS record set before it."""
    ttl: int
    """Of the NS record set, as last read."""

    @property
    def until(self) -> float:
        """Loop time from which no resolver follows the delegation before this one."""
        return self.since + self.hold


@dataclass(frozen=True, slots=True)
class Delegation:
    """The NS set the parent publishes for a zone; empty = not delegated."""

    zone: str
    name_servers: frozenset[str]


class Iprev(enum.Enum):
    """RFC 8601 section 2.7.3."""

    PASS = "pass"
    FAIL = "fail"
    """A PTR exists, and its forward look-up does not show the address."""
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    """No PTR is published."""


@dataclass(frozen=True, slots=True)
class IprevResult:
    result: Iprev
    names: tuple[str, ...] = ()
    """PTR names seen, sorted."""
    ttl: int = 0
    cause: AnswerKind | None = field(default=None, compare=False)
    """What was answered instead of an answer, where the result is TEMPERROR."""


@dataclass(frozen=True, slots=True)
class ResolverAnswer:
    """What one public resolver says of the hostname and of each address."""

    resolver: str
    forward: ServerAnswer
    reverse: Mapping[str, IprevResult]


@dataclass(frozen=True, slots=True)
class PointerAnswer:
    """What one server of an address's reverse zone answers for its PTR."""

    server: str
    kind: AnswerKind
    names: tuple[str, ...] = ()
    """PTR names, sorted."""


@dataclass(frozen=True, slots=True)
class ResolverReport:
    hostname: str
    addresses: frozenset[str]
    """The addresses whose PTR was asked for."""
    answers: tuple[ResolverAnswer, ...]
    pointers: Mapping[str, tuple[PointerAnswer, ...]] = field(default_factory=dict)
    """What each server of an address's reverse zone answers; nothing where they could not be asked."""
