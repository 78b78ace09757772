"""All accounts together: the world that the services show parts of."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from typing import Any

from .base import AwsFault, Clock
from .calllog import CallLog
from .ec2 import Network, PtrFailure, ResolveA
from .eip import Eip, fqdn
from .faults import Faults
from .nat import NatGateway, NatGateways
from .policy import Policy
from .publish import Publisher
from .records import RecordSet
from .route53 import Route53
from .settings import Settings
from .state import Account, AwsState, Region
from .sts import Sts
from .throttle import Buckets
from .world import dump
from .zones import SERVERS

POOL = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "100.128.0.0/14")
"""RFC 5737's documentation ranges, then a large public one for worlds of many addresses."""
POOL_RESERVED = frozenset({"192.0.2.250"})
DELEGATION_SETS = tuple(
    tuple(f"ns-{number}.awsdns-sandbox.org" for number in range(first, first + SERVERS))
    for first in range(1, 4 * SERVERS, SERVERS)
)


class AwsModel(AwsState):
    """The model. `now` gives seconds since the epoch; equal seeds and calls make equal worlds."""

    def __init__(
        self,
        now: Clock,
        settings: Settings | None = None,
        seed: int = 1,
        delegation_sets: tuple[tuple[str, ...], ...] = DELEGATION_SETS,
    ) -> None:
        super().__init__(now, settings or Settings(), random.Random(seed))
        self.buckets = Buckets()
        self.policy = Policy()
        self.faults = Faults()
        self.log = CallLog(self.settings.log_size)
        self.sts = Sts(self.settings, self.ids)
        self.resolve_a: ResolveA | None = None
        """How ModifyAddressAttribute resolves a name; None = by the published zones."""
        self.ptr_failure: PtrFailure | None = None
        self.ptr_failures: list[tuple[str, str]] = []
        """Status and Reason that the next PTR updates end with, first in first out."""
        self._delegation_sets = delegation_sets
        self._zones_made = 0
        self.network = Network(self.settings, self.ids, self.rng, self._resolve, self._ptr_failure, _pool())

    def account(self, account: str | None = None) -> Account:
        """An account by its 12 digits, made at first use; the default one without."""
        name = account or self.settings.default_account
        if not (name.isdigit() and len(name) == 12):
            raise ValueError(f"account ID {name!r} is not 12 digits")
        if name not in self.accounts:
            route53 = Route53(
                name, self.settings, self.ids, self.buckets, self._choose_servers, self._has_zone
            )
            self.accounts[name] = Account(name, route53, lambda region: Region(name, region, self.network))
        return self.accounts[name]

    def _has_zone(self, zone_id: str) -> bool:
        return any(zone.id == zone_id for zone in self.zones())

    def _choose_servers(self, name: str) -> tuple[str, ...]:
        """The next delegation set in turn that no other zone of this name has."""
        taken = {zone.name_servers for zone in self.zones() if zone.name == name}
        sets = self._delegation_sets
        for step in range(len(sets)):
            candidate = sets[(self._zones_made + step) % len(sets)]
            if candidate not in taken:
                self._zones_made += 1
                return candidate
        raise AwsFault("DelegationSetNotAvailable", "No delegation set is left for this domain name")

    # -- publication --------------------------------------------------------------------------------------

    def _resolve(self, hostname: str) -> set[str]:
        if self.resolve_a is not None:
            return set(self.resolve_a(hostname))
        return Publisher(self).resolve_a(hostname)

    def published_records(self, zone_id: str, server_index: int) -> list[RecordSet]:
        """Every record set that one of the zone's four servers serves now. Raises KeyError."""
        zone = self.zone(zone_id)
        view = zone.serve(server_index, self.now(), self.settings.delays, self.lag(zone, server_index))
        return view.all()

    # -- addresses ----------------------------------------------------------------------------------------

    def _ptr_failure(self, eip: Eip, value: str | None) -> tuple[str, str] | None:
        if self.ptr_failures:
            return self.ptr_failures.pop(0)
        return self.ptr_failure(eip, value) if self.ptr_failure else None

    def eip(self, key: str) -> Eip:
        """An address of any account by allocation ID or IP, settled. Raises KeyError."""
        found = self.network.by_ip.get(key)
        if found is None:
            for account in self.accounts.values():
                for region in account.regions.values():
                    found = found or region.addresses.eips.get(key)
        if found is None:
            raise KeyError(key)
        found.settle(self.now(), self.settings.delays.release_lock)
        return found

    def _region_of(self, eip: Eip) -> Region:
        return self.account(eip.account).region(eip.region)

    def lose_eip(self, key: str) -> None:
        """Release an address by force: attached or not, with or without a PTR."""
        eip = self.eip(key)
        region = self._region_of(eip)
        region.nat.forget_eip(eip)
        region.addresses.forget(eip)

    def hide_eip(self, key: str) -> None:
        """Let no EC2 call show or know an address any more; mail still flows and its PTR stays. Raises KeyError."""
        eip = self.eip(key)
        addresses = self._region_of(eip).addresses
        addresses.hidden[eip.allocation_id] = addresses.eips.pop(eip.allocation_id)

    def show_eip(self, key: str) -> None:
        """Take :meth:`hide_eip` back. Raises KeyError."""
        eip = self.eip(key)
        addresses = self._region_of(eip).addresses
        addresses.eips[eip.allocation_id] = addresses.hidden.pop(eip.allocation_id)

    def transfer_eip(self, key: str, account: str) -> Eip:
        """Move an address to another account, same region; there it has a new allocation ID and no PTR."""
        eip = self.eip(key)
        self.lose_eip(key)
        return self.account(account).region(eip.region).addresses.allocate(eip.public_ip)

    def force_ptr(self, key: str, name: str | None) -> None:
        """Set or remove a PTR at once, past every rule."""
        eip = self.eip(key)
        eip.ptr, eip.update, eip.failed = (fqdn(name) if name else None), None, None

    def tags_of(self, key: str) -> dict[str, str]:
        """The tags of an address (allocation ID or IP) or of a NAT gateway of any account, to be changed.

        Raises KeyError.
        """
        if not key.startswith("nat-"):
            return self.eip(key).tags
        for account in self.accounts.values():
            for region in account.regions.values():
                if key in region.nat.gateways:
                    return region.nat.gateways[key].tags
        raise KeyError(key)

    def replace_nat_address(self, gateway_id: str, old: str, new: str, status: str | None = None) -> None:
        """Swap an address of a NAT gateway, as a regional gateway does by itself. Raises KeyError."""
        eip = self.eip(old)
        nat = self._region_of(eip).nat
        gateway = nat.gateways[gateway_id]
        nat.detach(gateway, eip.allocation_id)
        nat.attach(gateway, self.eip(new), self.now(), status)

    def gateway(self, gateway_id: str) -> tuple[NatGateways, NatGateway]:
        """A NAT gateway of any account, and the region's gateways. Raises KeyError."""
        for account in self.accounts.values():
            for region in account.regions.values():
                if gateway_id in region.nat.gateways:
                    return region.nat, region.nat.gateways[gateway_id]
        raise KeyError(gateway_id)

    def add_nat_address(self, gateway_id: str, zone: str, status: str | None = None) -> Eip:
        """AWS adds an address of its own to a regional gateway. Raises KeyError, ValueError."""
        nat, gateway = self.gateway(gateway_id)
        return nat.grow(gateway, self.now(), zone, status)

    def remove_nat_address(self, gateway_id: str, key: str) -> None:
        """A gateway loses an address; if AWS allocated it, AWS releases it. Raises KeyError."""
        nat, gateway = self.gateway(gateway_id)
        nat.shrink(gateway, self.eip(key))

    def set_nat_address_status(self, gateway_id: str, key: str, status: str | None) -> None:
        """Hold the status of a gateway's address; None = let time decide. Raises KeyError."""
        eip = self.eip(key)
        for address in self._region_of(eip).nat.gateways[gateway_id].addresses:
            if address.eip is eip:
                address.status = status

    def dump(self) -> dict[str, Any]:
        """The world as JSON: record sets, addresses and PTRs; nothing that changes by itself."""
        return dump(self)


def _pool() -> Iterator[str]:
    for text in POOL:
        for address in ipaddress.IPv4Network(text).hosts():
            if str(address) not in POOL_RESERVED:
                yield str(address)
