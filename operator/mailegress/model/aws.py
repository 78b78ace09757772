"""Elastic IPs, NAT gateways, hosted zones and record sets, as AWS returns them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailegress.api.tags import Tags, has_tags
from mailegress.model.facts import Fault

# ---------------------------------------------------------------- EC2

_RECEIVING_SERVICES = frozenset({"alb", "nlb", "rds"})
"""Services that take connections at their addresses and open none (``ServiceManaged`` of API_Address)."""


def address_order(address: str) -> tuple[int, ...]:
    """The sort key of an IPv4 address in dotted form: by number, not by text."""
    return tuple(int(part) for part in address.split("."))


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
    tags: Tags = ()
    nat_gateway_tags: Tags = ()
    """The tags of the NAT gateway that has the address."""
    service_managed: str = ""
    """The AWS service that allocated the address, and releases it: ``rnat`` (regional NAT gateway), ``alb``, …"""

    @property
    def never_sends(self) -> bool:
        """Does the address belong to a service from which no mail leaves?"""
        return self.service_managed in _RECEIVING_SERVICES

    @property
    def attached_to(self) -> str:
        return self.nat_gateway_id or self.instance_id or self.network_interface_id


@dataclass(frozen=True, slots=True)
class NatAddress:
    allocation_id: str
    public_ip: str
    status: str
    """assigning, unassigning, associating, disassociating, succeeded, failed; only ``succeeded`` may join."""
    zone: str = ""
    """The Availability Zone whose traffic leaves from the address; regional gateways only."""
    failure: str = ""
    """Why its association failed, as AWS states it."""

    @property
    def coming(self) -> bool:
        return self.status in ("assigning", "associating")

    @property
    def serving(self) -> bool:
        """Can mail leave from it now?"""
        return self.status == "succeeded"


@dataclass(frozen=True, slots=True)
class NatGateway:
    id: str
    state: str
    addresses: tuple[NatAddress, ...] = ()
    tags: Tags = ()
    regional: bool = False
    """One gateway for several Availability Zones, each with addresses of its own (``AvailabilityMode``)."""
    automatic: bool = False
    """AWS adds and removes addresses (``AutoScalingIps``, ``AutoProvisionZones``)."""

    @property
    def ended(self) -> bool:
        return self.state in ("deleted", "deleting", "failed")

    def has(self, allocation_id: str) -> bool:
        """Does the gateway send from this address, or will it soon?"""
        return not self.ended and any(
            a.allocation_id == allocation_id and (a.serving or a.coming) for a in self.addresses
        )


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
    _by_attachment: dict[str, list[Eip]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _by_tag: dict[tuple[str, str], list[Eip]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def by_ip(self, public_ip: str) -> Eip | None:
        if len(self._by_ip) != len(self.eips):
            # Built on first use: most readings are replaced before anybody asks by address.
            self._by_ip.update({e.public_ip: e for e in self.eips.values()})
        return self._by_ip.get(public_ip)

    def attached(self, to: str) -> Sequence[Eip]:
        """The EIPs that are attached to a NAT gateway, an instance or a network interface."""
        if not self._by_attachment:
            for eip in self.eips.values():
                self._by_attachment.setdefault(eip.attached_to, []).append(eip)
        return self._by_attachment.get(to, ()) if to else ()

    def by_tags(self, wanted: Tags) -> tuple[Eip, ...]:
        """The EIPs that have all wanted tags (at least one)."""
        if not self._by_tag:
            for eip in self.eips.values():
                for pair in eip.tags:
                    self._by_tag.setdefault(pair, []).append(eip)
        candidates = min((self._by_tag.get(pair, []) for pair in wanted), key=len)
        return tuple(eip for eip in candidates if has_tags(eip.tags, wanted))


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
