"""What one reconcile decides, as values: the readings needed, at most one write, and what the status reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mailegress.api.conditions import FALSE, TRUE, UNKNOWN
from mailegress.api.reasons import Reason
from mailegress.api.status import (
    AddressStatus,
    Advisory,
    EndpointStatus,
    FormerRecord,
    ForwardStatus,
    ZoneStatus,
)
from mailegress.model.aws import Change, Ptr
from mailegress.model.dns import Delegated, Expected, ResolverReport
from mailegress.model.endpoints import ChangeEndpoint
from mailegress.model.facts import NO_LIMIT, ErrorKind, Fault, WriteState
from mailegress.model.mail import MailReport
from mailegress.reconcile.claim_index import Standing

# ---------------------------------------------------------------- readings wanted


@dataclass(frozen=True, slots=True)
class NeedRegion:
    region: str
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedPtr:
    region: str
    allocation_id: str
    not_before: float
    known: Ptr | None = None
    """AWS is changing it: as long as it is as here, it is read again and the object is not woken."""


@dataclass(frozen=True, slots=True)
class NeedZones:
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedNameServers:
    zone_id: str
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedZoneLook:
    """Is a zone that the list does not show still there?"""

    zone_id: str
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedName:
    zone_id: str
    hostname: str
    not_before: float
    patient: bool = False
    """Somebody else must change the record: may wait for its turn when thousands ask."""


@dataclass(frozen=True, slots=True)
class NeedSweep:
    """Every editable public zone, once since the process started."""


@dataclass(frozen=True, slots=True)
class NeedAuthorities:
    hostname: str
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedSampleAuthority:
    hostname: str
    not_before: float
    expected: Expected
    """An answer like this changes nothing, so it does not wake the object."""


@dataclass(frozen=True, slots=True)
class NeedDelegation:
    zone: str
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedServerAddresses:
    name: str
    """A name server."""
    not_before: float


@dataclass(frozen=True, slots=True)
class NeedPublic:
    hostname: str
    addresses: frozenset[str]
    not_before: float
    known: ResolverReport | None = field(default=None, compare=False)
    """A report that says the same changes nothing, so it does not wake the object."""


@dataclass(frozen=True, slots=True)
class NeedMail:
    """Only advice depends on it, so it is not among the needs of a plan."""

    hostname: str
    addresses: frozenset[str]
    domains: frozenset[str]
    not_before: float
    known: MailReport | None = field(default=None, compare=False)
    """An equal report does not wake the object."""


Need = (
    NeedRegion
    | NeedPtr
    | NeedZones
    | NeedNameServers
    | NeedZoneLook
    | NeedName
    | NeedSweep
    | NeedAuthorities
    | NeedSampleAuthority
    | NeedDelegation
    | NeedServerAddresses
    | NeedPublic
)

# ---------------------------------------------------------------- writes


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Before the first external write."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Nothing that is ours can be left."""

    why: str


@dataclass(frozen=True, slots=True)
class ChangeRecords:
    zone_id: str
    hostname: str
    changes: tuple[Change, ...]
    why: str
    urgent: bool = False
    """It takes a lost address out of a record: before all other writes."""
    only_lost: bool = False
    """It does nothing else, so that it is carried out under ``suspend`` too."""


@dataclass(frozen=True, slots=True)
class SetPtr:
    region: str
    allocation_id: str
    public_ip: str
    hostname: str
    repairs: tuple[float, ...] | None = None
    """If it is a repair: when the PTR was repaired within the last hour, with this one."""
    before: float = field(default=NO_LIMIT, compare=False)
    """Loop time at which the authorities' answers are too old: not sent from then on (S1)."""

    @property
    def repair(self) -> bool:
        """Does it count against the hourly limit of repairs?"""
        return self.repairs is not None


@dataclass(frozen=True, slots=True)
class ResetPtr:
    region: str
    allocation_id: str
    public_ip: str
    hostname: str
    before: float = field(default=NO_LIMIT, compare=False)
    """Loop time at which the reading of the PTR is too old: not sent from then on."""


Action = AddFinalizer | RemoveFinalizer | ChangeRecords | ChangeEndpoint | SetPtr | ResetPtr


def in_words(action: Action | None) -> str:
    """What an action does outside, in the infinitive."""
    match action:
        case ChangeRecords(_, hostname, _, why):
            return why if hostname in why else f"{why} for {hostname}"
        case ChangeEndpoint(_, name, _, _, why):
            return f"{why} in DNSEndpoint {name}"
        case SetPtr(_, _, public_ip, hostname, _):
            return f"set the PTR of {public_ip} to {hostname}"
        case ResetPtr(_, _, public_ip, hostname):
            return f"reset the PTR of {public_ip}, {hostname}"
        case _:
            return ""


# ---------------------------------------------------------------- verdicts


@dataclass(frozen=True, slots=True)
class Finding:
    """One aspect's verdict. ``inconclusive``: no answer, or a DNS answer yet to be confirmed; a condition that was
    True for this generation stands."""

    status: str
    reason: str
    message: str
    inconclusive: bool = False

    @property
    def ok(self) -> bool:
        return self.status == TRUE


def passed(reason: Reason, message: str) -> Finding:
    return Finding(TRUE, reason.name, message)


def failed(reason: Reason, message: str, *, inconclusive: bool = False) -> Finding:
    return Finding(FALSE, reason.name, message, inconclusive)


def unknown(reason: Reason, message: str, *, inconclusive: bool = False) -> Finding:
    return Finding(UNKNOWN, reason.name, message, inconclusive)


def from_fault(fault: Fault, prefix: str = "") -> Finding:
    """No answer is Unknown and never ends a True condition by itself; a refusal is False."""
    text = f"{prefix}{fault.message}"
    if fault.kind is ErrorKind.TRANSIENT:
        return Finding(UNKNOWN, fault.reason, text, inconclusive=True)
    return Finding(FALSE, fault.reason, text)


def under_way(write: WriteState | None, default: Finding) -> Finding:
    """A write is handed over or under way: ``default``, unless the attempt before failed. Then its failure stands, so
    that no retry makes a condition flap or counts as progress."""
    if write is None or write.fault is None or not write.attempts:
        return default
    return replace(from_fault(write.fault), inconclusive=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event that no condition carries."""

    reason: str
    message: str
    warning: bool = True


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What is counted of an object: why policies refuse it (empty: they do not), and the policies that allow it."""

    refused: str = ""
    allowed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of planning: at most one write, the readings wanted, and everything the status says."""

    findings: Mapping[str, Finding]
    """By condition type, in order of dependence; ``Ready`` and the negative ones are the summariser's."""
    action: Action | None = None
    ptrs: tuple[SetPtr, ...] = ()
    """All PTRs that are set, if that is the action: it is the first of them."""
    needs: tuple[Need, ...] = ()
    taken_back: tuple[tuple[str, str], ...] = ()
    """(region, allocation ID) whose queued PTR write is not wanted any more."""
    wait: float = 0.0
    """Seconds until the next reconcile if nothing wakes the object earlier."""
    hostname: str = ""
    addresses: tuple[AddressStatus, ...] = ()
    public_ips: tuple[str, ...] = ()
    zone: ZoneStatus | None = None
    """Named in the status only while the object's own ownership record stands there, or is about to be written."""
    wanted: frozenset[tuple[str, str]] = frozenset()
    """(region, allocation ID) of every address that the selectors resolve to, held or not."""
    refused: frozenset[str] = frozenset()
    """Allocation IDs of those that they resolve to and no policy allows: a change of its tags may allow one."""
    gateways: frozenset[tuple[str, str]] = frozenset()
    """(region, ID) of the regional NAT gateways that the selectors mean."""
    place: tuple[str, str] | None = None
    """(zone ID, hostname) of the record that the spec asks for, ours or not."""
    forward: ForwardStatus | None = None
    dns_endpoint: EndpointStatus | None = None
    """Named in the status while the object's own DNSEndpoint exists, or is about to be written."""
    delegated: Delegated | None = None
    """What is known of the parent now; None: nothing new."""
    former_records: tuple[FormerRecord, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    """Advice about mail delivery. No condition depends on it."""
    policy: str | None = None
    """The policy that allows the object; None: none does, or policies are off."""
    policy_report: PolicyReport | None = None
    """None: policies are off or not known."""
    advice_need: NeedMail | None = None
    """The reading for it. The plan is complete without it."""
    notices: tuple[Notice, ...] = ()
    blocked_on: frozenset[str] | None = frozenset()
    """UIDs of the CRs whose release this one waits for; None while the claims are still being looked into."""
    standing: Standing | None = None
    """What this reconcile found about the object's right to hold something by age; None: nothing."""
    suspended: bool = False
    """``suspend`` holds a write back; ``held_back`` says in words which."""
    held_back: str = ""
    deleting: bool = False
    settled: bool = False
    """Nothing is under way and nothing is wanted."""
    owed: tuple[str, ...] = ()
    """What is still owned besides what the spec asks for."""
    unsatisfied: tuple[tuple[str, float], ...] = ()
    """Question -> when the reading that did not satisfy began; paces the next one."""
    heard: tuple[tuple[str, float, str], ...] = ()
    """Question, when its reading began, what it said (empty: as wanted)."""
