"""From events and full lists to keys in the queue, to claims, and to what is forgotten."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from mailegress.engine.controller import Controller
from mailegress.engine.relist import Relister, RelistSettings
from mailegress.engine.workers import WorkerSettings
from mailegress.reconcile.ports import KubeError

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def egress(
    name: str, rv: str, uid: str | None = None, hostname: str = "", created: str = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": "mail",
        "uid": uid or f"uid-{name}",
        "resourceVersion": rv,
        "generation": 1,
        "creationTimestamp": created,
    }
    allocation_id = f"eipalloc-{int.from_bytes(name.encode()):017x}"
    spec = {"hostname": hostname or f"{name}.example.com", "elasticIPs": [{"allocationID": allocation_id}]}
    return {"metadata": meta, "spec": spec}


class World:
    """A store with its queue, and a server whose lists can be made to fail."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.controller = Controller(self.loop.time, WorkerSettings(count=0))
        self.controller.start(self)
        self.store = self.controller.store
        self.queue = self.controller.queue
        self.forgotten: list[str] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.lists: list[float] = []
        self.failing = False
        self.during: Callable[[], None] = lambda: None

    async def pages(self) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        self.lists.append(self.loop.time())
        if self.failing:
            raise KubeError("no answer")
        bodies = list(self.objects.values())
        for start in range(0, len(bodies), 2):
            yield bodies[start : start + 2]
        self.during()

    def relister(self, jitter: float = 0.0) -> Relister:
        return Relister(
            self.pages,
            self.controller,
            sleep=asyncio.sleep,
            rng=random.Random(1),
            settings=RelistSettings(interval=3600, jitter=jitter, retry=30),
        )

    async def process(self, key: str) -> float | None:
        return None

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)

    async def ready(self) -> list[str]:
        keys = []
        while self.queue.depth():
            key = await self.queue.take()
            self.queue.done(key)
            keys.append(key)
        return keys


def test_news_is_queued_and_an_echo_is_not(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        world.controller.on_event("ADDED", egress("a", "1"))
        assert await world.ready() == ["mail/a"]
        world.controller.on_event("MODIFIED", egress("a", "1"))
        world.controller.on_event(None, egress("a", "1"))
        assert await world.ready() == []
        world.controller.on_event("MODIFIED", egress("a", "2"))
        assert await world.ready() == ["mail/a"]
        world.queue.add_after("mail/a", 5)
        world.controller.on_event("DELETED", egress("a", "3"))
        assert world.forgotten == ["uid-a"]
        assert world.queue.delayed() == 0

    virtually(story())


def test_edits_go_before_the_initial_list(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        for name in "abc":
            world.controller.on_event(None, egress(name, "1"))
        world.controller.on_event("MODIFIED", egress("c", "2"))
        assert await world.ready() == ["mail/c", "mail/a", "mail/b"]

    virtually(story())


def test_a_full_list_finds_missed_objects_and_missed_deletions(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        world.objects = {name: egress(name, "1") for name in "abc"}
        relister = world.relister()
        assert await relister.once() == 3
        assert sorted(await world.ready()) == ["mail/a", "mail/b", "mail/c"]
        del world.objects["b"]
        world.objects["d"] = egress("d", "9")
        world.during = lambda: world.controller.on_event("ADDED", egress("young", "10"))
        assert await relister.once() == 3
        assert await world.ready() == ["mail/young", "mail/d"]
        assert world.forgotten == ["uid-b"]
        assert sorted(world.store.keys()) == ["mail/a", "mail/c", "mail/d", "mail/young"]

    virtually(story())


def test_a_list_that_fails_removes_nothing_and_is_tried_again(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        world.objects = {"a": egress("a", "1")}
        relister = world.relister()
        await relister.once()
        world.failing = True
        world.objects.clear()
        with pytest.raises(KubeError):
            await relister.once()
        running = asyncio.create_task(relister.run())
        await asyncio.sleep(3600 + 31)
        assert world.lists[2:] == [3600, 3630]
        assert len(world.store) == 1
        world.failing = False
        await asyncio.sleep(30)
        assert len(world.store) == 0
        await asyncio.sleep(3600)
        assert world.lists[4:] == [3660, 7260]
        running.cancel()

    virtually(story())


def test_lists_of_several_replicas_drift_apart(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        running = asyncio.create_task(world.relister(jitter=0.1).run())
        await asyncio.sleep(10 * 3960)
        gaps = [after - before for before, after in zip(world.lists, world.lists[1:], strict=False)]
        assert all(3600 <= gap <= 3960 for gap in gaps)
        assert len(set(gaps)) == len(gaps)
        running.cancel()

    virtually(story())


def test_a_full_list_heals_a_store_that_an_api_server_restored_from_a_backup_contradicts(
    virtually: Run,
) -> None:
    """Otherwise each write would name a version that the server does not know, and be refused for ever."""

    async def story() -> None:
        world = World()
        world.controller.on_event("ADDED", egress("a", "900"))
        await world.ready()
        world.objects = {"a": egress("a", "120")}
        await world.relister().once()
        stored = world.store.get("mail/a")
        assert stored is not None
        assert stored.resource_version == "120"
        assert await world.ready() == ["mail/a"]

    virtually(story())


def test_an_object_that_was_deleted_and_is_listed_again_is_looked_into_at_once(virtually: Run) -> None:
    """A backup from before the deletion was restored."""

    async def story() -> None:
        world = World()
        world.objects = {"a": egress("a", "5")}
        relister = world.relister()
        await relister.once()
        await world.ready()
        running = asyncio.create_task(relister.run())
        world.controller.on_event("DELETED", egress("a", "6"))
        await asyncio.sleep(60)
        world.controller.on_event("MODIFIED", egress("a", "5"))
        await asyncio.sleep(60)
        assert len(world.lists) == 1, "a late event raises no doubt"
        world.controller.on_event(None, egress("a", "5"))
        assert await world.ready() == []
        await asyncio.sleep(31)
        assert len(world.lists) == 2
        assert await world.ready() == ["mail/a"]
        running.cancel()

    virtually(story())


def test_versions_that_went_back_are_looked_into_at_once(virtually: Run) -> None:
    """The watch starts anew after a restore and lists what is older than what is known."""

    async def story() -> None:
        world = World()
        world.objects = {name: egress(name, "5") for name in "ab"}
        relister = world.relister()
        await relister.once()
        await world.ready()
        running = asyncio.create_task(relister.run())
        await asyncio.sleep(1)
        world.controller.on_event(None, egress("a", "5"))
        world.controller.on_event("MODIFIED", egress("a", "4"))
        await asyncio.sleep(60)
        assert len(world.lists) == 1, "neither what is known nor a late event raises a doubt"
        world.objects = {name: egress(name, "3") for name in "ab"}
        for body in world.objects.values():
            world.controller.on_event(None, body)
        assert await world.ready() == []
        await asyncio.sleep(31)
        assert len(world.lists) == 2
        assert sorted(await world.ready()) == ["mail/a", "mail/b"]
        await asyncio.sleep(3500)
        assert len(world.lists) == 2
        running.cancel()

    virtually(story())


def test_the_reply_to_a_write_of_the_operator_is_known_and_not_queued(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        world.controller.on_event("ADDED", egress("a", "1"))
        await world.ready()
        world.controller.seen(egress("a", "2"))
        body = world.controller.body("mail/a")
        assert body is not None
        assert body["metadata"]["resourceVersion"] == "2"
        assert await world.ready() == []

    virtually(story())


@pytest.mark.parametrize("left", ["deleted", "renamed", "replaced", "unlisted"])
def test_an_object_that_gives_up_its_hostname_wakes_the_next_in_line(virtually: Run, left: str) -> None:
    async def story() -> None:
        world = World()
        controller = world.controller
        controller.on_event("ADDED", egress("a", "1", hostname="mta.example.com"))
        controller.on_event(
            "ADDED", egress("b", "2", hostname="mta.example.com", created="2026-01-02T00:00:00Z")
        )
        await world.ready()
        if left == "deleted":
            controller.on_event("DELETED", egress("a", "3", hostname="mta.example.com"))
        elif left == "renamed":
            controller.on_event("MODIFIED", egress("a", "3"))
        elif left == "replaced":
            controller.on_event("ADDED", egress("a", "3", uid="another"))
        else:
            assert controller.on_list({"mail/b"}, controller.mark()) == ["mail/a"]
        assert "mail/b" in await world.ready()
        assert world.forgotten == ([] if left == "renamed" else ["uid-a"])

    virtually(story())


def test_new_objects_count_as_a_burst_until_their_status_is_written_or_they_are_gone(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        controller = world.controller
        for number in range(3):
            controller.on_event("ADDED", egress(f"e{number}", str(number + 1)))
        await asyncio.sleep(2)
        assert len(controller.burst) == 3
        controller.seen({**egress("e0", "10"), "status": {"observedGeneration": 1}})
        controller.gone("mail/e1", "uid-e1")
        assert len(controller.burst) == 1

    virtually(story())


def test_the_first_complete_list_makes_the_operator_ready(virtually: Run) -> None:
    async def story() -> None:
        world = World()
        world.failing = True
        with pytest.raises(KubeError):
            await world.relister().once()
        assert not world.controller.listed
        world.failing = False
        await world.relister().once()
        assert world.controller.listed

    virtually(story())
