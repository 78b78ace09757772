"""The ports of the reconciler.

Reads are shared: ``x.get(...)`` returns what is known now (a :class:`Fact` with its age) without waiting, and
``x.request(key, ...)`` asks for a newer reading. Writes are handed over: ``submit`` returns at once. In both cases the
implementation stores the outcome where ``get``/``state`` find it and then calls the wake-up it was built with for every
key that asked, so that a worker never waits for a batch, a token, a poll or a look-up.

``not_before`` is a loop time: a reading that *began* at or after it satisfies the request; requests for the same thing
share one reading. A request for something that is being backed off after a failure is served when the back-off ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mailegress.model.aws import Absence, Change, NameView, Ptr, RegionView, Zone, ZoneLook
from mailegress.model.dns import AuthorityReport, Delegation, ResolverReport, ServerAnswer
from mailegress.model.facts import Fact, WriteState
from mailegress.reconcile.claim_index import ClaimIndex

Key = str
"""``namespace/name`` of a MailEgress."""

Wake = Callable[[Key], None]


class AddressBook(Protocol):
    """EIPs, NAT gateways and PTRs of the configured account, region by region."""

    @property
    def regions(self) -> Sequence[str]:
        """The configured regions; the first is the default."""

    def get(self, region: str) -> Fact[RegionView]: ...

    def request(self, key: Key, region: str, not_before: float) -> None:
        """Sweep the region (DescribeAddresses, paged DescribeAddressesAttribute, NAT gateways)."""

    def request_ptr(self, key: Key, region: str, allocation_id: str, not_before: float) -> None:
        """Re-read one EIP's PTR; pending ones of a region are polled together."""

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        """One EIP's PTR with the age of its own reading; no value while a write's outcome is unknown."""

    def watch_absence(self, key: Key, region: str, allocation_id: str) -> Absence:
        """What is known of an EIP that this CR used and the newest sweep does not show.

        Asking makes the book look twice, filtered, at least ``lost_confirm_seconds`` apart.
        """

    def forget_absence(self, region: str, allocation_ids: Iterable[str]) -> None:
        """The CR that used these was edited or deleted: its owner believes the loss (ends ``MASS`` for them)."""


class PtrWriter(Protocol):
    """ModifyAddressAttribute and ResetAddressAttribute. Choke points ``ec2.set_ptr`` and ``ec2.reset_ptr``."""

    def set_ptr(self, key: Key, region: str, allocation_id: str, hostname: str, before: float) -> None:
        """Hand over a write to be sent before that loop time. A write that waits longer is not sent: its state is
        ``returned``, and the keys are woken."""

    def reset_ptr(self, key: Key, region: str, allocation_id: str, before: float) -> None: ...

    def take_back(self, region: str, allocation_id: str) -> None:
        """Return the write that waits for this EIP, if it was not sent yet."""

    def state(self, region: str, allocation_id: str) -> WriteState | None: ...


class Zones(Protocol):
    """Hosted zones of the configured account."""

    def get(self) -> Fact[tuple[Zone, ...]]: ...

    def request(self, key: Key, not_before: float) -> None: ...

    def name_servers(self, zone_id: str) -> Fact[frozenset[str]]:
        """The zone's delegation set (GetHostedZone)."""

    def request_name_servers(self, key: Key, zone_id: str, not_before: float) -> None: ...

    def look(self, zone_id: str) -> Fact[ZoneLook]:
        """Whether a zone that the list does not show is still there (GetHostedZone), and in which account."""

    def request_look(self, key: Key, zone_id: str, not_before: float) -> None: ...


class Records(Protocol):
    """Record sets at hostnames and their ownership names."""

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]: ...

    def request(
        self, key: Key, zone_id: str, hostname: str, not_before: float, *, patient: bool = False
    ) -> None:
        """A sweep of the zone or a point look-up, whichever costs fewer calls for all that wait.

        ``patient``: the calls of all such requests together are limited, however many there are.
        """

    def marked(self, uid: str) -> Sequence[tuple[str, str]]:
        """``(zone_id, hostname)`` of every name read so far whose ownership TXT carries this CR UID."""

    def holder(self, hostname: str) -> Sequence[tuple[str, NameView]]:
        """``(zone_id, view)`` of every reading of this hostname that shows a mark, whatever the zone."""

    def all_swept(self) -> Fact[bool]:
        """Whether every editable public zone was swept since the process started."""

    def request_all_swept(self, key: Key) -> None: ...


class ZoneWriter(Protocol):
    """ChangeResourceRecordSets, batched per hosted zone. Choke point ``route53.change``."""

    def submit(
        self, key: Key, zone_id: str, hostname: str, changes: Sequence[Change], *, urgent: bool = False
    ) -> None:
        """Hand over the changes of one hostname; they travel in one atomic batch and are never split.

        ``urgent``: before all others that wait for the zone.
        """

    def state(self, zone_id: str, hostname: str) -> WriteState | None: ...


class Dns(Protocol):
    """The world's view. Nothing here uses the pod's own resolver."""

    @property
    def resolvers(self) -> Sequence[str]:
        """The configured public resolvers; empty = switched off."""

    def authorities(self, hostname: str) -> Fact[AuthorityReport]: ...

    def request_authorities(self, key: Key, hostname: str, not_before: float) -> None: ...

    def spot(self, hostname: str) -> Fact[ServerAnswer]:
        """One authority's answer, in rotation: the idle drift check."""

    def request_spot(self, key: Key, hostname: str, not_before: float) -> None: ...

    def delegation(self, zone: str) -> Fact[Delegation]: ...

    def request_delegation(self, key: Key, zone: str, not_before: float) -> None: ...

    def server_addresses(self, name: str) -> Fact[frozenset[str]]:
        """The addresses of a name server, as iterative look-ups find them; empty if it has none."""

    def request_server_addresses(self, key: Key, name: str, not_before: float) -> None: ...

    def public(self, hostname: str) -> Fact[ResolverReport]: ...

    def request_public(
        self, key: Key, hostname: str, addresses: frozenset[str], not_before: float
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class World:
    """The ports; planning only reads from them."""

    book: AddressBook
    ptrs: PtrWriter
    zones: Zones
    records: Records
    writer: ZoneWriter
    dns: Dns
    claims: ClaimIndex


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
