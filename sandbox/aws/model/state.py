"""What the model holds, and what everything that only reads it needs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .base import Clock, Ids
from .compute import Compute
from .ec2 import Addresses, Network
from .nat import NatGateways
from .route53 import Route53
from .settings import Settings
from .tagging import Tagging
from .zones import Zone


class Region:
    """EC2 of one account in one region."""

    def __init__(self, account: str, region: str, network: Network) -> None:
        self.addresses = Addresses(account, region, network)
        self.compute = Compute(self.addresses, network.ids)
        self.nat = NatGateways(self.addresses, self.compute, network.ids, network.settings)
        self.tagging = Tagging(self.addresses, self.compute, self.nat)
        self.operations = {
            **self.addresses.operations,
            **self.compute.operations,
            **self.nat.operations,
            **self.tagging.operations,
        }


class Account:
    def __init__(self, account: str, route53: Route53, make_region: Callable[[str], Region]) -> None:
        self.id = account
        self.route53 = route53
        self.regions: dict[str, Region] = {}
        self._make_region = make_region

    def region(self, name: str) -> Region:
        if name not in self.regions:
            self.regions[name] = self._make_region(name)
        return self.regions[name]


class AwsState:
    """Accounts with their zones and regions, and the network that they share."""

    network: Network

    def __init__(self, now: Clock, settings: Settings, rng: random.Random) -> None:
        self.now = now
        self.settings = settings
        self.rng = rng
        self.ids = Ids(rng)
        self.accounts: dict[str, Account] = {}
        self.server_lag: dict[tuple[str, str], float] = {}
        """(zone ID or "*", name server): seconds a server lags behind; inf = it stands still."""

    def zones(self) -> Iterator[Zone]:
        for account in self.accounts.values():
            yield from account.route53.zones.values()

    def zone(self, zone_id: str) -> Zone:
        """A zone of any account. Raises KeyError."""
        for account in self.accounts.values():
            if zone_id in account.route53.zones:
                return account.route53.zones[zone_id]
        raise KeyError(zone_id)

    def lag(self, zone: Zone, index: int) -> float:
        server = zone.name_servers[index]
        return max(self.server_lag.get((zone.id, server), 0.0), self.server_lag.get(("*", server), 0.0))
