"""The one seam to AWS: every call the operator makes goes through :class:`AwsApi`.

Sweeps, batches, rate limits and writers are above this line, so that they run unchanged in tests and simulations; the
boto3 implementation below it sends exactly one request per call (``total_max_attempts=1``: the SDK's own retry would
report "already exists" about our own record).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from mailegress.api.tags import Tags
from mailegress.model.aws import Change, NatGateway, Ptr, RecordSet, Zone

T = TypeVar("T")


class Service(enum.Enum):
    ROUTE53 = "route53"
    EC2 = "ec2"
    STS = "sts"


class AwsError(Exception):
    """A refused or unanswered call. ``code`` is AWS's, or ``Timeout``/``ConnectionError`` when nothing came back."""

    def __init__(
        self,
        service: Service,
        operation: str,
        code: str,
        message: str,
        http_status: int = 0,
        *,
        sent: bool = True,
    ) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.service = service
        self.operation = operation
        self.code = code
        self.message = message
        self.http_status = http_status
        self.sent = sent
        """False only when it is certain that the request never reached AWS (no credentials, connection refused)."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    next: str = ""
    """The next page's token or marker; empty = this was the last page."""


@dataclass(frozen=True, slots=True)
class RecordCursor:
    """StartRecordName, StartRecordType, StartRecordIdentifier."""

    name: str
    type: str = ""
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class RecordPage:
    items: tuple[RecordSet, ...]
    next: RecordCursor | None = None


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One item of DescribeAddresses."""

    allocation_id: str
    public_ip: str
    instance_id: str = ""
    network_interface_id: str = ""
    tags: Tags = ()
    service_managed: str = ""


@dataclass(frozen=True, slots=True)
class PtrRow:
    """One item of DescribeAddressesAttribute; names are normalised."""

    allocation_id: str
    public_ip: str
    ptr: Ptr


@dataclass(frozen=True, slots=True)
class ChangeInfo:
    id: str
    """Without the ``/change/`` prefix."""
    status: str
    """``PENDING`` or ``INSYNC``."""


@runtime_checkable
class RenewsCredentials(Protocol):
    """An ``AwsApi`` whose credentials can change while it is used."""

    def on_renewal(self, service: Service, listener: Callable[[], None]) -> None:
        """Call ``listener``, from any thread, when the service's calls begin to be made with other credentials."""


class AwsApi(Protocol):
    """One request per call. Every method raises :class:`AwsError` on failure. Names are normalised, values sorted.

    Methods that return a page read one page: ``token`` or ``marker`` is that of the page before, empty for the first.
    """

    async def get_caller_identity(self, service: Service, region: str) -> str:
        """The 12-digit account in which that service's calls are made."""

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        """All Elastic IPs of the region, or those with the given IDs; an ID that does not exist is left out."""

    async def describe_addresses_attribute(
        self, region: str, allocation_ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[PtrRow]:
        """A page of at most 1,000 PTRs. With IDs, one that does not exist makes the whole call fail."""

    async def describe_nat_gateways(
        self, region: str, ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[NatGateway]:
        """A page of the NAT gateways of the region, with their addresses and tags."""

    async def modify_address_attribute(self, region: str, allocation_id: str, domain_name: str) -> Ptr:
        """Set the PTR. AWS changes it within minutes: the reply shows the state at the time of the call."""

    async def reset_address_attribute(self, region: str, allocation_id: str) -> Ptr:
        """Remove the PTR, whatever it shows. AWS changes it within minutes."""

    async def list_hosted_zones(self, marker: str = "") -> Page[Zone]:
        """A page of the account's hosted zones, public and private."""

    async def get_hosted_zone(self, zone_id: str) -> frozenset[str]:
        """The names of the zone's name servers (its delegation set)."""

    async def list_resource_record_sets(
        self, zone_id: str, start: RecordCursor | None, max_items: int
    ) -> RecordPage:
        """A page of at most ``max_items`` record sets, from ``start`` on; None: from the first."""

    async def change_resource_record_sets(self, zone_id: str, changes: Sequence[Change]) -> ChangeInfo:
        """Carry out all changes of the batch, or none."""

    async def get_change(self, change_id: str) -> ChangeInfo:
        """Whether a change is ``INSYNC``: Route 53 has published it to all its name servers."""
