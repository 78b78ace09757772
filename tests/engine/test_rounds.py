"""Idle rounds ask once for everybody and wake only those whose part of the world changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailegress.engine.refresher import PREFIX, Rounds, RoundSettings
from mailegress.model.aws import Eip, NameView, Ptr, RecordSet, RegionView
from mailegress.model.facts import Fact

REGION = "ap-northeast-1"


@dataclass
class Item:
    key: str
    watched: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()


@dataclass
class World:
    """Both read ports; requests are kept until the test answers them."""

    regions: tuple[str, ...] = (REGION,)
    eips: dict[str, Eip] = field(default_factory=dict)
    views: dict[tuple[str, str], NameView] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, *place: str) -> Fact:  # type: ignore[type-arg]
        if len(place) == 1:
            return Fact(RegionView(place[0], "1", dict(self.eips)), 0.0)
        return Fact(self.views.get((place[0], place[1])), 0.0)

    def request(self, key: str, *rest: object) -> None:
        self.asked.append(key)


class Stop(Exception):
    pass


async def rounds_after(world: World, items: list[Item], woken: list[str], seconds: float) -> Rounds:
    """Let the clock run that far and stop there."""
    now = 0.0

    async def sleep(delay: float) -> None:
        nonlocal now
        if now + delay > seconds:
            raise Stop
        now += delay

    rounds = Rounds(
        world,
        world,
        lambda: items,
        woken.append,
        RoundSettings(60, 100),
        clock=lambda: now,
        sleep=sleep,  # type: ignore[arg-type]
    )
    try:
        await rounds.run()
    except Stop:
        return rounds
    raise AssertionError("rounds never end by themselves")


def eip(number: int, ptr: str | None = None) -> Eip:
    return Eip(f"eipalloc-{number}", f"203.0.113.{number}", "1", REGION, Ptr(name=ptr))


async def test_one_request_per_region_however_many_objects() -> None:
    world = World(eips={e.allocation_id: e for e in (eip(1), eip(2))})
    items = [Item(f"mail/{n}", frozenset({f"eipalloc-{n}"})) for n in (1, 2)]
    await rounds_after(world, items, [], 60)
    assert world.asked == [f"{PREFIX}region/{REGION}"]


async def test_a_changed_ptr_wakes_its_object_only() -> None:
    world = World(eips={e.allocation_id: e for e in (eip(1, "a.example.com"), eip(2, "b.example.com"))})
    items = [Item(f"mail/{n}", frozenset({f"eipalloc-{n}"})) for n in (1, 2)]
    woken: list[str] = []
    rounds = await rounds_after(world, items, woken, 60)
    world.eips["eipalloc-2"] = eip(2, "thief.example.org")
    rounds.woken(world.asked[0])
    assert woken == ["mail/2"]


async def test_an_unchanged_world_wakes_nobody() -> None:
    world = World(eips={"eipalloc-1": eip(1)})
    woken: list[str] = []
    rounds = await rounds_after(world, [Item("mail/1", frozenset({"eipalloc-1"}))], woken, 60)
    rounds.woken(world.asked[0])
    assert woken == []


async def test_a_new_address_wakes_everybody_who_may_have_been_waiting_for_it() -> None:
    world = World()
    woken: list[str] = []
    rounds = await rounds_after(world, [Item("mail/1"), Item("mail/2")], woken, 60)
    world.eips["eipalloc-9"] = eip(9)
    rounds.woken(world.asked[0])
    assert woken == ["mail/1", "mail/2"]


async def test_a_changed_record_wakes_the_objects_of_that_name() -> None:
    place = ("Z1", "a.example.com")
    view = NameView(place[1], (RecordSet(place[1], "A", 300, ("203.0.113.1",)),))
    world = World(views={place: view})
    items = [Item("mail/1", places=frozenset({place})), Item("mail/2")]
    woken: list[str] = []
    rounds = await rounds_after(world, items, woken, 100)
    [key] = [k for k in world.asked if "name" in k]
    world.views[place] = replace(view, records=())
    rounds.woken(key)
    assert woken == ["mail/1"]


async def test_rounds_go_on() -> None:
    world = World()
    await rounds_after(world, [], [], 300)
    assert len(world.asked) == 5
