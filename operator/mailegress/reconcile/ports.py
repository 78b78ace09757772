"""What the reconciler needs of AWS, DNS and the API server.

Each port has a read-only view and its commands, as separate types. The rules receive :class:`Views` and can change
nothing. The executor receives :class:`Requests` and :class:`Writers`.

A view returns what is known now (a :class:`Fact` with its age) and never waits. ``request…`` asks for a newer reading,
and a write is handed over at once. In both cases the implementation stores the outcome where the view finds it, and
then calls the wake-up that it was built with for every key that asked. So a worker never waits for a batch, a rate
limit, a poll or a look-up.

``not_before`` is a loop time: a reading that *began* at or after it satisfies the request; requests for the same thing
share one reading. A request for something that is being backed off after a failure is served when the back-off ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailegress.model.aws import Absence, Change, NameView, Ptr, RegionView, Zone, ZoneLook
from mailegress.model.dns import AuthorityReport, Delegation, ResolverReport, ServerAnswer
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.model.facts import Fact, WriteState
from mailegress.model.mail import MailReport
from mailegress.reconcile.claim_index import ClaimIndex, ClaimsView
from mailegress.reconcile.policy_index import PolicyView

Key = str
"""``namespace/name`` of a MailEgress."""

Wake = Callable[[Key], None]
Allowed = Callable[[], bool]
"""Asked immediately before a write is sent: may it be sent now?"""


def always() -> bool:
    """Of a write that nothing but its object can take back."""
    return True


# ---------------------------------------------------------------- Elastic IPs


class AddressView(Protocol):
    """EIPs, NAT gateways and PTRs of the configured account, region by region."""

    @property
    def regions(self) -> Sequence[str]:
        """The configured regions; the first is the default."""

    def get(self, region: str) -> Fact[RegionView]: ...

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        """One EIP's PTR with the age of its own reading; no value while a write's outcome is unknown."""


class AddressRequests(Protocol):
    def request(self, key: Key, region: str, not_before: float) -> None:
        """List the region (DescribeAddresses, paged DescribeAddressesAttribute, NAT gateways)."""

    def request_ptr(
        self, key: Key, region: str, allocation_id: str, not_before: float, known: Ptr | None = None
    ) -> None:
        """Read one EIP's PTR again; pending ones of a region are polled together. A reading that shows ``known``
        again wakes nobody, and the poll goes on."""


class Absences(Protocol):
    """EIPs that an object used and the newest list does not show. The rule about them is ``rules/loss.py``.

    Commands with an answer: the reconciler calls them before the rules run, and the rules receive the answers.
    """

    def watch_absence(self, key: Key, region: str, allocation_id: str, attached_to: str = "") -> Absence:
        """What is known of the missing EIP. Asking starts look-ups for it alone, until its absence is explained.

        ``attached_to``: what had the EIP when it was last seen.
        """

    def forget_absence(self, region: str, allocation_ids: Iterable[str]) -> None:
        """The object that used these was edited or deleted: its owner confirms the loss (ends ``MASS`` for them)."""


class Addresses(AddressView, AddressRequests, Absences, Protocol):
    """Everything about Elastic IPs except the writes."""


class PtrWriteView(Protocol):
    def state(self, region: str, allocation_id: str) -> WriteState | None:
        """The newest PTR write to this EIP."""


class PtrWriter(PtrWriteView, Protocol):
    """ModifyAddressAttribute and ResetAddressAttribute. Choke points ``ec2.set_ptr`` and ``ec2.reset_ptr``."""

    def set_ptr(
        self,
        key: Key,
        region: str,
        allocation_id: str,
        hostname: str,
        before: float,
        allowed: Allowed = always,
    ) -> None:
        """Hand over a write to be sent before that loop time. A write that waits longer, or is not ``allowed`` when its
        turn comes, is not sent: its state is ``returned``, and the keys are woken."""

    def reset_ptr(self, key: Key, region: str, allocation_id: str, before: float) -> None: ...

    def take_back(self, region: str, allocation_id: str) -> None:
        """Return the write that waits for this EIP, if it was not sent yet."""


# ---------------------------------------------------------------- hosted zones and record sets


class ZoneView(Protocol):
    """Hosted zones of the configured account."""

    def get(self) -> Fact[tuple[Zone, ...]]: ...

    def name_servers(self, zone_id: str) -> Fact[frozenset[str]]:
        """The zone's delegation set (GetHostedZone)."""

    def look(self, zone_id: str) -> Fact[ZoneLook]:
        """Whether a zone that the list does not show still exists (GetHostedZone), and in which account."""


class ZoneRequests(Protocol):
    def request(self, key: Key, not_before: float) -> None: ...

    def request_name_servers(self, key: Key, zone_id: str, not_before: float) -> None: ...

    def request_look(self, key: Key, zone_id: str, not_before: float) -> None: ...


class Zones(ZoneView, ZoneRequests, Protocol):
    """Hosted zones: view and requests."""


class RecordView(Protocol):
    """Record sets at hostnames and their ownership names."""

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]: ...

    def marked(self, uid: str) -> Sequence[tuple[str, str]]:
        """``(zone_id, hostname)`` of every name read so far whose ownership TXT carries this CR UID."""

    def holder(self, hostname: str) -> Sequence[tuple[str, NameView]]:
        """``(zone_id, view)`` of every reading of this hostname that shows a mark, whatever the zone."""

    def all_swept(self) -> Fact[bool]:
        """Whether every editable public zone was listed since the process started."""


class RecordRequests(Protocol):
    def request(
        self, key: Key, zone_id: str, hostname: str, not_before: float, *, patient: bool = False
    ) -> None:
        """A list of the zone or a point look-up, whichever costs fewer calls for all that wait.

        ``patient``: the calls of all such requests together are limited, however many there are.
        """

    def request_all_swept(self, key: Key) -> None: ...


class Records(RecordView, RecordRequests, Protocol):
    """Record sets: view and requests."""


class ZoneWriteView(Protocol):
    def state(self, zone_id: str, hostname: str) -> WriteState | None:
        """The newest change of this hostname."""


class ZoneWriter(ZoneWriteView, Protocol):
    """ChangeResourceRecordSets, batched per hosted zone. Choke point ``route53.change``."""

    def submit(
        self,
        key: Key,
        zone_id: str,
        hostname: str,
        changes: Sequence[Change],
        *,
        urgent: bool = False,
        allowed: Allowed = always,
    ) -> None:
        """Hand over the changes of one hostname; they travel in one atomic batch and are never split.

        ``urgent``: before all others that wait for the zone. Changes that are not ``allowed`` when they would be sent
        are not sent: the state before them is back, ``returned``, and the keys are woken.
        """


# ---------------------------------------------------------------- external-dns


class EndpointWriteView(Protocol):
    def state(self, namespace: str, name: str) -> WriteState | None:
        """The operator's last write to this DNSEndpoint."""


class EndpointView(EndpointWriteView, Protocol):
    """The DNSEndpoints of the cluster. A list and a watch feed it; nothing is requested."""

    @property
    def enabled(self) -> bool:
        """The setting ``--external-dns``."""

    def kind(self) -> Fact[bool]:
        """True: every DNSEndpoint is known. False: the cluster does not have the kind. No value: not read yet."""

    def get(self, namespace: str, name: str) -> DnsEndpoint | None:
        """One DNSEndpoint, whoever it belongs to."""

    def naming(self, hostname: str) -> Sequence[DnsEndpoint]:
        """Every DNSEndpoint with a record at this hostname, in a fixed order."""

    def changed_at(self, namespace: str, name: str, hostname: str) -> float:
        """When the operator last changed the record of a hostname in it, or may have; if never, minus infinity."""


class EndpointWriter(EndpointWriteView, Protocol):
    """Choke point ``kube.endpoint``."""

    async def apply(self, key: Key, change: ChangeEndpoint) -> None:
        """Carry out the change if the endpoint still is as it was read. Never raises: the outcome is in the view, and
        the key is woken."""


# ---------------------------------------------------------------- public DNS


class DnsView(Protocol):
    """What name servers and public resolvers answer. Nothing here uses the pod's own resolver."""

    @property
    def resolvers(self) -> Sequence[str]:
        """The configured public resolvers; empty = switched off."""

    def authorities(self, hostname: str) -> Fact[AuthorityReport]: ...

    def sample_authority(self, hostname: str) -> Fact[ServerAnswer]:
        """One authority's answer, in rotation: the idle drift check."""

    def delegation(self, zone: str) -> Fact[Delegation]: ...

    def server_addresses(self, name: str) -> Fact[frozenset[str]]:
        """The addresses of a name server, as iterative look-ups find them; empty if it has none."""

    def public(self, hostname: str) -> Fact[ResolverReport]: ...

    def mail(self, hostname: str) -> Fact[MailReport]:
        """What only advice depends on."""


class DnsRequests(Protocol):
    def request_authorities(self, key: Key, hostname: str, not_before: float) -> None: ...

    def request_sample_authority(
        self, key: Key, hostname: str, not_before: float, expected: Callable[[ServerAnswer], bool]
    ) -> None:
        """``key`` is woken only by an answer that is not expected, and if there is none."""

    def request_delegation(self, key: Key, zone: str, not_before: float) -> None: ...

    def request_server_addresses(self, key: Key, name: str, not_before: float) -> None: ...

    def request_public(
        self,
        key: Key,
        hostname: str,
        addresses: frozenset[str],
        not_before: float,
        expected: Callable[[ResolverReport], bool] | None = None,
    ) -> None:
        """``key`` is not woken by a report that is expected."""

    def request_mail(
        self,
        key: Key,
        hostname: str,
        addresses: frozenset[str],
        domains: frozenset[str],
        not_before: float,
        expected: Callable[[MailReport], bool] | None = None,
    ) -> None:
        """``key`` is not woken by a report that is expected."""


class Dns(DnsView, DnsRequests, Protocol):
    """Public DNS: view and requests."""


# ---------------------------------------------------------------- all of them


@dataclass(frozen=True, slots=True)
class Views:
    """What the rules may read. Nothing that they reach from here has an effect."""

    addresses: AddressView
    ptr_writes: PtrWriteView
    zones: ZoneView
    records: RecordView
    zone_writes: ZoneWriteView
    dns: DnsView
    claims: ClaimsView
    policies: PolicyView
    endpoints: EndpointView


@dataclass(frozen=True, slots=True)
class Requests:
    """The commands that ask for readings."""

    addresses: AddressRequests
    zones: ZoneRequests
    records: RecordRequests
    dns: DnsRequests


@dataclass(frozen=True, slots=True)
class Writers:
    """The commands that write outside the object itself: to AWS, and to its DNSEndpoint."""

    ptrs: PtrWriter
    records: ZoneWriter
    endpoints: EndpointWriter


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port as it is implemented, and the bundles in which its users receive them."""

    addresses: Addresses
    ptrs: PtrWriter
    zones: Zones
    records: Records
    writer: ZoneWriter
    dns: Dns
    claims: ClaimIndex
    policies: PolicyView
    endpoints: EndpointView
    endpoint_writer: EndpointWriter
    views: Views = field(init=False)
    requests: Requests = field(init=False)
    writers: Writers = field(init=False)

    def __post_init__(self) -> None:
        views = Views(
            self.addresses,
            self.ptrs,
            self.zones,
            self.records,
            self.writer,
            self.dns,
            self.claims,
            self.policies,
            self.endpoints,
        )
        object.__setattr__(self, "views", views)
        object.__setattr__(self, "requests", Requests(self.addresses, self.zones, self.records, self.dns))
        object.__setattr__(self, "writers", Writers(self.ptrs, self.writer, self.endpoint_writer))


# ---------------------------------------------------------------- the API server


MANY = 10
"""So many new objects at once are a burst: a Git commit, a restored cluster."""


class Burst(Protocol):
    """New objects that have not had their first change yet."""

    @property
    def many(self) -> bool:
        """Are there :data:`MANY` or more?"""

    def handed_over(self, uid: str) -> None:
        """The object's change waits for its batch."""


class Kube(Protocol):
    """What passes ask of the API server. Choke points ``kube.status``, ``kube.finalizer`` and ``kube.event``.

    Errors: :class:`KubeConflict` for a stale resourceVersion, :class:`KubeGone` for an object that is not there,
    :class:`KubeError` for anything else.
    """

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object as it is now; None if it is gone."""

    async def set_finalizers(
        self, namespace: str, name: str, resource_version: str, finalizers: Sequence[str]
    ) -> Mapping[str, Any]:
        """JSON patch with a test on the resourceVersion; the object as stored comes back."""

    async def replace_status(self, body: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        """PUT …/status of ``body`` (its metadata and spec) with the resourceVersion it was computed from."""

    async def emit(
        self, involved: Mapping[str, Any], *, warning: bool, reason: str, message: str, action: str
    ) -> None:
        """One Event. Failures are logged, never raised: an Event is a courtesy."""


class KubeError(Exception):
    """The API server refused or did not answer."""


class KubeConflict(KubeError):
    """409: the object moved on; a newer one is on its way."""


class KubeGone(KubeError):
    """404: the object is not there any more."""


class ObjectStore(Protocol):
    """The store of objects, as far as a pass needs it."""

    def body(self, key: str) -> dict[str, Any] | None:
        """A fresh copy of the newest version known."""

    def seen(self, body: Mapping[str, Any]) -> None:
        """A version that the API server returned to a write of ours."""

    def mark(self) -> int:
        """This moment, for :meth:`read`."""

    def read(self, body: Mapping[str, Any], since: int) -> None:
        """What the API server answered to a reading that began at a :meth:`mark`."""

    def gone(self, key: str, uid: str) -> None:
        """The API server says that the object is no more."""
