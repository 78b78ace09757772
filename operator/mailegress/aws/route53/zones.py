"""The account's hosted zones and their delegation sets: cached, read again on request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from mailegress.api import reasons
from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import classify
from mailegress.aws.identity import Identity
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.aws.shared_reading import Reading
from mailegress.model.aws import Zone, ZoneLook
from mailegress.model.facts import Fact
from mailegress.reconcile.ports import Key


class ZoneList:
    """Implements the ``Zones`` port."""

    def __init__(self, runtime: Runtime) -> None:
        self._rt = runtime
        self._listeners: list[Callable[[], None]] = []
        self._list: Reading[tuple[Zone, ...]] = Reading(runtime, "zones", self._read, self._changed)
        self._servers: dict[str, Reading[frozenset[str]]] = {}
        self._looks: dict[str, Reading[ZoneLook]] = {}
        self._identity = Identity(runtime, Service.ROUTE53)

    def get(self) -> Fact[tuple[Zone, ...]]:
        return self._list.fact

    def request(self, key: Key, not_before: float) -> None:
        self._list.request(key, not_before)

    def name_servers(self, zone_id: str) -> Fact[frozenset[str]]:
        reading = self._servers.get(zone_id)
        return Fact() if reading is None else reading.fact

    def request_name_servers(self, key: Key, zone_id: str, not_before: float) -> None:
        reading = self._servers.get(zone_id)
        if reading is None:

            async def read() -> frozenset[str]:
                return await self._rt.read(
                    Service.ROUTE53, Priority.POLL, zone_id, lambda: self._rt.api.get_hosted_zone(zone_id)
                )

            reading = self._servers[zone_id] = Reading(self._rt, f"name-servers-{zone_id}", read)
        reading.request(key, not_before)

    def look(self, zone_id: str) -> Fact[ZoneLook]:
        reading = self._looks.get(zone_id)
        return Fact() if reading is None else reading.fact

    def request_look(self, key: Key, zone_id: str, not_before: float) -> None:
        reading = self._looks.get(zone_id)
        if reading is None:
            read = functools.partial(self._look, zone_id)
            reading = self._looks[zone_id] = Reading(self._rt, f"zone-{zone_id}", read)
        reading.request(key, not_before)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every attempt to read the list."""
        self._listeners.append(listener)

    async def _account(self) -> str:
        # Whose account is looked into decides what a missing zone means, so it is asked for each time.
        return await self._identity.account(self._rt.settings.regions[0], fresh=True)

    async def _account_if_known(self) -> str:
        try:
            return await self._account()
        except AwsError:
            # The list is worth having without it.
            return ""

    async def _look(self, zone_id: str) -> ZoneLook:
        return await self._identity.steadily(self._account, functools.partial(self._look_in, zone_id))

    async def _look_in(self, zone_id: str, account: str) -> ZoneLook:
        call = functools.partial(self._rt.api.get_hosted_zone, zone_id)
        try:
            await self._rt.read(Service.ROUTE53, Priority.POLL, zone_id, call)
        except AwsError as error:
            if error.code == "NoSuchHostedZone":
                return ZoneLook(account)
            fault = classify(error)
            if fault.reason == reasons.ACCESS_DENIED.name:
                return ZoneLook(account, denied=fault)
            raise
        return ZoneLook(account, there=True)

    async def _read(self) -> tuple[Zone, ...]:
        return await self._identity.steadily(self._account_if_known, self._read_in)

    async def _read_in(self, account: str) -> tuple[Zone, ...]:
        zones: dict[str, Zone] = {}
        marker = ""
        while True:
            list_page = functools.partial(self._rt.api.list_hosted_zones, marker)
            page = await self._rt.read(Service.ROUTE53, Priority.POLL, "zones", list_page)
            zones.update((zone.id, replace(zone, account_id=account)) for zone in page.items)
            marker = page.next
            if not marker:
                return tuple(sorted(zones.values(), key=lambda zone: (zone.name, zone.id)))

    def _changed(self) -> None:
        # A zone that is gone takes its cached delegation set with it.
        known = {zone.id for zone in self.get().value or ()}
        if self.get().fault is None:
            for zone_id in [z for z in self._servers if z not in known]:
                if self._servers[zone_id].fact.value is not None:
                    del self._servers[zone_id]
        for listener in self._listeners:
            listener()
