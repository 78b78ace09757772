"""Idle rounds: shared readings are renewed on a clock, and only those are woken whose part of the world changed.

Left to the objects, every one of them would ask by itself when its reading grows old, and each for its own name: ten
thousand point look-ups where one sweep does. A round asks for everything in one breath, so that the layers below see
what a sweep would save.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from mailegress.model.aws import Eip, NameView
from mailegress.reconcile.ports import Addresses, Key, Records

PREFIX = "//rounds/"
"""No key of an object begins so: those are ``namespace/name``."""


class Watched(Protocol):
    """What one object deals with."""

    @property
    def key(self) -> Key: ...

    @property
    def watched(self) -> frozenset[str]:
        """Allocation IDs."""

    @property
    def places(self) -> frozenset[tuple[str, str]]:
        """(zone ID, hostname)."""


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """Seconds between rounds."""

    addresses: float
    records: float

    @property
    def slack(self) -> float:
        """A region's reading of this age is as good as a new one. More than a minute: a demand for the very moment
        would have the NAT gateways read with it (``AwsSettings.fresh_window``), which change with the associations."""
        return min(61.0, self.addresses / 2)


class Rounds:
    """``wake`` wakes objects; :meth:`woken` must be told of the wake-ups of keys that begin with ``PREFIX``."""

    def __init__(
        self,
        book: Addresses,
        records: Records,
        objects: Callable[[], Iterable[Watched]],
        wake: Callable[[Key], None],
        settings: RoundSettings,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._book = book
        self._records = records
        self._objects = objects
        self._wake = wake
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._eips: dict[str, dict[str, Eip]] = {}
        self._views: dict[tuple[str, str], NameView] = {}

    async def run(self) -> None:
        """For ever."""
        now = self._clock()
        addresses, records = now + self._settings.addresses, now + self._settings.records
        while True:
            await self._sleep(max(min(addresses, records) - self._clock(), 0.0))
            now = self._clock()
            if now >= addresses:
                addresses = now + self._settings.addresses
                self._ask_addresses(now)
            if now >= records:
                records = now + self._settings.records
                self._ask_records(now)

    def woken(self, key: Key) -> None:
        """A reading that a round asked for is there."""
        kind, _, name = key.removeprefix(PREFIX).partition("/")
        if kind == "region":
            self._compare_region(name)
        else:
            zone, _, hostname = name.partition("/")
            self._compare_name(zone, hostname)

    # ------------------------------------------------ inside

    def _ask_addresses(self, now: float) -> None:
        for region in self._book.regions:
            view = self._book.get(region).value
            if view is not None:
                self._eips[region] = dict(view.eips)
                self._book.request(f"{PREFIX}region/{region}", region, now - self._settings.slack)

    def _ask_records(self, now: float) -> None:
        for zone_id, hostname in {place for item in self._objects() for place in item.places}:
            view = self._records.get(zone_id, hostname).value
            if view is not None:
                self._views[zone_id, hostname] = view
                self._records.request(f"{PREFIX}name/{zone_id}/{hostname}", zone_id, hostname, now)

    def _compare_region(self, region: str) -> None:
        before, view = self._eips.pop(region, None), self._book.get(region).value
        if before is None or view is None:
            return
        changed = {a for a in before.keys() | view.eips.keys() if before.get(a) != view.eips.get(a)}
        if changed:
            # An address that nobody watches may be the one that a NAT gateway just got.
            grown = not changed <= before.keys()
            for item in self._objects():
                if grown or item.watched & changed:
                    self._wake(item.key)

    def _compare_name(self, zone_id: str, hostname: str) -> None:
        before = self._views.pop((zone_id, hostname), None)
        if before is not None and self._records.get(zone_id, hostname).value != before:
            for item in self._objects():
                if (zone_id, hostname) in item.places:
                    self._wake(item.key)
