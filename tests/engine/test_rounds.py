"""Rounds ask once for all objects and wake only those whose part has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from mailegress.engine.refresher import Rounds, RoundSettings
from mailegress.model.aws import Eip, NameView, Ptr, RecordSet, RegionView
from mailegress.model.facts import Fact

REGION = "ap-northeast-1"


@dataclass
class Item:
    key: str
    watched: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()
    by_tags: bool = False


@dataclass
class Addresses:
    """Requests are kept until the test answers them."""

    regions: tuple[str, ...] = (REGION,)
    eips: dict[str, Eip] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, region: str) -> Fact[RegionView]:
        return Fact(RegionView(region, "1", dict(self.eips)), 0.0)

    def refresh(self, region: str, not_before: float) -> None:
        self.asked.append(region)

    def listen(self, refreshed: Callable[[str], None]) -> None:
        self.refreshed = refreshed


@dataclass
class Names:
    """Requests are kept until the test answers them."""

    views: dict[tuple[str, str], NameView] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]:
        return Fact(self.views.get((zone_id, hostname)), 0.0)

    def refresh(self, zone_id: str, hostname: str, not_before: float) -> None:
        self.asked.append((zone_id, hostname))

    def listen(self, refreshed: Callable[[str, str], None]) -> None:
        self.refreshed = refreshed


class Stop(Exception):
    pass


async def rounds_after(
    seconds: float, addresses: Addresses, names: Names, items: Sequence[Item], woken: list[str]
) -> None:
    """Let the clock run that far and stop there."""
    now = 0.0

    async def sleep(delay: float) -> None:
        nonlocal now
        if now + delay > seconds:
            raise Stop
        now += delay

    rounds = Rounds(
        addresses, names, lambda: items, woken.append, RoundSettings(60, 100), clock=lambda: now, sleep=sleep
    )
    with pytest.raises(Stop):
        await rounds.run()


def eip(number: int, ptr: str | None = None) -> Eip:
    return Eip(f"eipalloc-{number}", f"203.0.113.{number}", "1", REGION, Ptr(name=ptr))


async def test_one_request_per_region_however_many_objects() -> None:
    addresses = Addresses(eips={e.allocation_id: e for e in (eip(1), eip(2))})
    items = [Item(f"mail/{n}", frozenset({f"eipalloc-{n}"})) for n in (1, 2)]
    await rounds_after(60, addresses, Names(), items, [])
    assert addresses.asked == [REGION]


async def test_a_changed_ptr_wakes_its_object_only() -> None:
    addresses = Addresses(
        eips={e.allocation_id: e for e in (eip(1, "a.example.com"), eip(2, "b.example.com"))}
    )
    items = [Item(f"mail/{n}", frozenset({f"eipalloc-{n}"})) for n in (1, 2)]
    woken: list[str] = []
    await rounds_after(60, addresses, Names(), items, woken)
    addresses.eips["eipalloc-2"] = eip(2, "thief.example.org")
    addresses.refreshed(REGION)
    assert woken == ["mail/2"]


async def test_a_tag_that_moves_wakes_who_selects_by_tags() -> None:
    """Whichever address has got it. Of the others, only who uses that address is woken."""
    addresses = Addresses(eips={e.allocation_id: e for e in (eip(1), eip(2))})
    items = [
        Item("mail/by-tags", frozenset({"eipalloc-1"}), by_tags=True),
        Item("mail/by-id", frozenset({"eipalloc-1"})),
    ]
    for change in ({"tags": (("use", "mail"),)}, {"nat_gateway_tags": (("use", "mail"),)}):
        woken: list[str] = []
        await rounds_after(60, addresses, Names(), items, woken)
        addresses.eips["eipalloc-2"] = replace(addresses.eips["eipalloc-2"], **change)
        addresses.refreshed(REGION)
        assert woken == ["mail/by-tags"]


async def test_unchanged_addresses_wake_nobody() -> None:
    addresses = Addresses(eips={"eipalloc-1": eip(1)})
    woken: list[str] = []
    await rounds_after(60, addresses, Names(), [Item("mail/1", frozenset({"eipalloc-1"}))], woken)
    addresses.refreshed(REGION)
    assert woken == []


async def test_a_new_address_wakes_every_object_that_may_have_waited_for_it() -> None:
    addresses = Addresses()
    woken: list[str] = []
    await rounds_after(60, addresses, Names(), [Item("mail/1"), Item("mail/2")], woken)
    addresses.eips["eipalloc-9"] = eip(9)
    addresses.refreshed(REGION)
    assert woken == ["mail/1", "mail/2"]


async def test_a_changed_record_wakes_the_objects_of_that_name() -> None:
    place = ("Z1", "a.example.com")
    view = NameView(place[1], (RecordSet(place[1], "A", 300, ("203.0.113.1",)),))
    names = Names(views={place: view})
    items = [Item("mail/1", places=frozenset({place})), Item("mail/2")]
    woken: list[str] = []
    await rounds_after(100, Addresses(), names, items, woken)
    assert names.asked == [place]
    names.views[place] = replace(view, records=())
    names.refreshed(*place)
    assert woken == ["mail/1"]


async def test_rounds_continue() -> None:
    addresses = Addresses()
    await rounds_after(300, addresses, Names(), [], [])
    assert len(addresses.asked) == 5
