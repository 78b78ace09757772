"""Rounds: shared readings are refreshed at fixed intervals, and only the objects whose part has changed are woken.

If every object asked when its own reading grows old, ten thousand objects would cost ten thousand look-ups where one
list is enough. A round asks for everything at once, so that the layers below can choose the list.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailegress.api.tags import Tags
from mailegress.model.aws import Eip, NameView, NatGateway, RegionView
from mailegress.model.facts import Fact
from mailegress.reconcile.ports import Key


class RegionReadings(Protocol):
    """The addresses of each region, with a subscription of its own for the rounds."""

    @property
    def regions(self) -> Sequence[str]: ...

    def get(self, region: str) -> Fact[RegionView]: ...

    def refresh(self, region: str, not_before: float) -> None: ...

    def listen(self, refreshed: Callable[[str], None]) -> None: ...

    def compare_gateways(self, region: str, ids: Sequence[str], differ: Callable[[], None]) -> None:
        """Read these NAT gateways in one request, and call ``differ`` if they are not as the reading shows them."""


class NameReadings(Protocol):
    """The record sets at each hostname, with a subscription of its own for the rounds."""

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]: ...

    def refresh(self, zone_id: str, hostname: str, not_before: float) -> None: ...

    def listen(self, refreshed: Callable[[str, str], None]) -> None: ...


class Watched(Protocol):
    """What one object deals with."""

    @property
    def key(self) -> Key: ...

    @property
    def watched(self) -> frozenset[str]:
        """Allocation IDs."""

    @property
    def by_tags(self) -> bool:
        """Does it select addresses by tags?"""

    @property
    def gateways(self) -> frozenset[tuple[str, str]]:
        """(region, ID) of the regional NAT gateways that it selects."""

    @property
    def places(self) -> Collection[tuple[str, str]]:
        """(zone ID, hostname)."""


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """Seconds between rounds."""

    addresses: float
    records: float
    gateways: float
    """For regional NAT gateways that an object selects: AWS changes their addresses by itself."""

    @property
    def slack(self) -> float:
        """A region's reading of this age is as good as a new one. More than a minute: a demand for the very moment
        would have the NAT gateways read with it (``AwsSettings.fresh_window``), which change with the associations."""
        return min(61.0, self.addresses / 2)


class Rounds:
    """``wake`` wakes objects."""

    def __init__(
        self,
        book: RegionReadings,
        records: NameReadings,
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
        self._before: dict[str, tuple[dict[str, Eip], Mapping[str, NatGateway]]] = {}
        """Addresses and NAT gateways of each region that is being read, as they were."""
        self._views: dict[tuple[str, str], NameView] = {}
        book.listen(self._compare_region)
        records.listen(self._compare_name)

    async def run(self) -> None:
        """For ever."""
        now = self._clock()
        addresses, records = now + self._settings.addresses, now + self._settings.records
        gateways = now + self._settings.gateways
        while True:
            await self._sleep(max(min(addresses, records, gateways) - self._clock(), 0.0))
            now = self._clock()
            if now >= gateways:
                gateways = now + self._settings.gateways
                self._ask_gateways()
            if now >= addresses:
                addresses = now + self._settings.addresses
                self._ask_addresses(now)
            if now >= records:
                records = now + self._settings.records
                self._ask_records(now)

    # ------------------------------------------------ inside

    def _ask_addresses(self, now: float) -> None:
        for region in self._book.regions:
            self._refresh(region, now - self._settings.slack)

    def _ask_gateways(self) -> None:
        selected: dict[str, set[str]] = {}
        for item in self._objects():
            for region, gateway_id in item.gateways:
                selected.setdefault(region, set()).add(gateway_id)
        for region, ids in sorted(selected.items()):
            self._book.compare_gateways(region, sorted(ids), functools.partial(self._read_now, region))

    def _read_now(self, region: str) -> None:
        self._refresh(region, self._clock())

    def _refresh(self, region: str, not_before: float) -> None:
        view = self._book.get(region).value
        if view is not None:
            # What was there before a reading that is still under way is what its result is compared with.
            self._before.setdefault(region, (dict(view.eips), view.nat_gateways))
            self._book.refresh(region, not_before)

    def _ask_records(self, now: float) -> None:
        for zone_id, hostname in {place for item in self._objects() for place in item.places}:
            view = self._records.get(zone_id, hostname).value
            if view is not None:
                self._views[zone_id, hostname] = view
                self._records.refresh(zone_id, hostname, now)

    def _compare_region(self, region: str) -> None:
        known, view = self._before.pop(region, None), self._book.get(region).value
        if known is None or view is None:
            return
        before, gateways = known
        moved = {
            (region, g) for g in gateways if gateways[g].regional and gateways[g] != view.nat_gateways.get(g)
        }
        differing = {a for a in before.keys() | view.eips.keys() if before.get(a) != view.eips.get(a)}
        if differing or moved:
            # Who selects by tags must look at any address that has got or lost one.
            retagged = any(_tags(before.get(a)) != _tags(view.eips.get(a)) for a in differing)
            # An address that nobody watches may be the one that a NAT gateway just got.
            grown = bool(differing - before.keys())
            for item in self._objects():
                touched = item.watched & differing or item.gateways & moved
                if grown or (retagged and item.by_tags) or touched:
                    self._wake(item.key)

    def _compare_name(self, zone_id: str, hostname: str) -> None:
        before = self._views.pop((zone_id, hostname), None)
        if before is not None and self._records.get(zone_id, hostname).value != before:
            for item in self._objects():
                if (zone_id, hostname) in item.places:
                    self._wake(item.key)


def _tags(eip: Eip | None) -> tuple[Tags, Tags]:
    return (eip.tags, eip.nat_gateway_tags) if eip is not None else ((), ())
