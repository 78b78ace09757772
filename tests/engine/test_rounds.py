"""Rounds ask once for all objects and wake only those whose part has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from mailegress.engine.refresher import Rounds, RoundSettings
from mailegress.model.aws import Eip, NameView, NatAddress, NatGateway, Ptr, RecordSet, RegionView
from mailegress.model.facts import Fact

REGION = "ap-northeast-1"


@dataclass
class Item:
    key: str
    watched: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()
    by_tags: bool = False
    gateways: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Addresses:
    """Requests are kept until the test answers them."""

    regions: tuple[str, ...] = (REGION,)
    eips: dict[str, Eip] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gateways: dict[str, NatGateway] = field(default_factory=dict)
    compared: list[tuple[str, list[str]]] = field(default_factory=list)
    differ: Callable[[], None] | None = None
    """The answer to the last comparison, if the gateways are not as they were."""

    def get(self, region: str) -> Fact[RegionView]:
        return Fact(RegionView(region, "1", dict(self.eips), dict(self.gateways)), 0.0)

    def compare_gateways(self, region: str, ids: Sequence[str], differ: Callable[[], None]) -> None:
        self.compared.append((region, list(ids)))
        self.differ = differ

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
        addresses,
        names,
        lambda: items,
        woken.append,
        RoundSettings(60, 100, gateways=60),
        clock=lambda: now,
        sleep=sleep,
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


# ---------------------------------------------------------------- regional NAT gateways


def regional(gateway_id: str, *addresses: int, status: str = "succeeded") -> NatGateway:
    has = tuple(NatAddress(f"eipalloc-{n}", f"203.0.113.{n}", status) for n in addresses)
    return NatGateway(gateway_id, "available", has, regional=True, automatic=True)


async def test_nobody_selects_a_regional_gateway_and_none_is_read() -> None:
    addresses = Addresses(gateways={"nat-1": regional("nat-1", 1)})
    await rounds_after(600, addresses, Names(), [Item("mail/a", frozenset({"eipalloc-1"}))], [])
    assert addresses.compared == []


async def test_selected_gateways_are_read_once_a_minute_however_many_objects_select_them() -> None:
    items = [Item(f"mail/{n}", gateways=frozenset({(REGION, f"nat-{n % 2}")})) for n in range(10)]
    addresses = Addresses()
    await rounds_after(185, addresses, Names(), items, [])
    assert addresses.compared == [(REGION, ["nat-0", "nat-1"])] * 3


async def test_a_gateway_that_differs_has_its_region_listed_and_wakes_who_selects_it() -> None:
    addresses = Addresses(
        eips={"eipalloc-1": eip(1)},
        gateways={"nat-1": regional("nat-1", 1), "nat-2": regional("nat-2", 2)},
    )
    items = [
        Item("mail/a", gateways=frozenset({(REGION, "nat-1")})),
        Item("mail/b", gateways=frozenset({(REGION, "nat-2")})),
    ]
    woken: list[str] = []
    await rounds_after(60, addresses, Names(), items, woken)
    asked = len(addresses.asked)
    assert addresses.differ is not None
    addresses.differ()
    assert len(addresses.asked) == asked + 1
    addresses.gateways["nat-1"] = regional("nat-1", 1, status="disassociating")
    addresses.refreshed(REGION)
    assert woken == ["mail/a"]


async def test_a_change_during_a_reading_is_compared_with_what_was_there_before_it() -> None:
    """The first list shows the change; the second one, which was asked for meanwhile, shows the same."""
    addresses = Addresses(gateways={"nat-1": regional("nat-1", 1)})
    woken: list[str] = []
    items = [Item("mail/a", gateways=frozenset({(REGION, "nat-1")}))]
    await rounds_after(60, addresses, Names(), items, woken)
    addresses.gateways["nat-1"] = regional("nat-1", 1, 2)
    assert addresses.differ is not None
    addresses.differ()
    addresses.refreshed(REGION)
    assert woken == ["mail/a"]
