"""What the API server does to an operator: conflicts, silence, broken and lying watches, a second operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mailegress.api.names import FINALIZER
from tests.support.simulation.apiwire import Fault
from tests.support.simulation.harness import NAMESPACE, Sim, simulate
from tests.support.simulation.scenarios import HOST, OTHER

Trouble = Callable[[Sim], None]


def _status(code: int | None, times: int, *, applied: bool = False) -> Trouble:
    return lambda sim: sim.api.faults.append(Fault("PUT", "/status", code, times, applied))


def _patch(code: int | None, times: int, *, applied: bool = False) -> Trouble:
    return lambda sim: sim.api.faults.append(Fault("PATCH", "mailegresses", code, times, applied))


def _lists(code: int | None, times: int) -> Trouble:
    return lambda sim: sim.api.faults.append(Fault("GET", "mailegresses?", code, times))


def _compacted(sim: Sim) -> None:
    sim.api.expire()
    sim.api.break_watches()


TROUBLES: dict[str, Trouble] = {
    "status-409": _status(409, 3),
    "status-429": _status(429, 12),
    "status-500": _status(500, 6),
    "status-lost-reply": _status(None, 2, applied=True),
    "finalizer-409": _patch(409, 2),
    "finalizer-500": _patch(500, 4),
    "finalizer-lost-reply": _patch(None, 1, applied=True),
    "watch-broken": lambda sim: sim.api.break_watches(),
    "watch-error": lambda sim: sim.api.watch_error(500),
    "watch-410": _compacted,
    "lists-429": _lists(429, 5),
    "lists-500": _lists(500, 30),
}


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("moment", [0.0, 0.3, 40.0, 170.0, 260.0])
def test_a_trouble_in_the_midst_of_a_rename_passes(name: str, moment: float) -> None:
    """At any moment: in the end the new name is right, the old one is gone, and nobody writes any more."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        eips = sim.world.eips(1)
        first = sim.world.dump()
        sim.start()
        sim.meg("a", HOST, eips)
        began = sim.clock()
        edited = False
        await sim.until(lambda: sim.clock() >= began + moment, "the moment")
        TROUBLES[name](sim)
        while not edited:
            await sim.ready("a")
            sim.edit("a", hostname=OTHER)
            edited = True
        await sim.ready("a")
        await sim.drain()
        sim.api.faults.clear()
        await sim.stay_quiet(1800.0)
        assert sim.condition("a") == ("True", "Ready")
        assert sim.world.record(zone, HOST, "A") is None
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.dump() == first

    simulate(story)


def test_a_deletion_that_no_watch_told_is_found_by_the_periodic_list() -> None:
    """A restored backup, an etcd accident: the object is gone, and no event said so. Its name is free for another."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        first, second = sim.world.eips(2)
        sim.start()
        sim.meg("a", HOST, [first])
        await sim.ready("a")
        await sim.drain()
        sim.meg("b", HOST, [second])
        await sim.reason("b", "HostnameConflict")
        sim.api.deaf = True
        sim.api.meddle(NAMESPACE, "a", lambda body: body["metadata"].pop("finalizers"))
        sim.api.delete(NAMESPACE, "a")
        sim.api.deaf = False
        # The mark of an object that is gone, with another set of addresses: reported, never overwritten.
        await sim.reason("b", "RecordConflict")

    simulate(story)


def test_an_edit_that_no_watch_told_is_found_by_the_next_write() -> None:
    """The write meets a newer version; when no event tells of it, the operator looks, and does not hammer."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        eips = sim.world.eips(2)
        sim.start()
        sim.meg("a", HOST, eips[:1])
        await sim.ready("a")
        await sim.drain()
        sim.api.deaf = True
        sim.edit("a", hostname=OTHER)
        before, began = sim.api.requests["PUT status"], sim.clock()
        sim.world.force_ptr(eips[0], None)
        await sim.until(lambda: sim.world.record(zone, OTHER, "A") is not None, "the edit to be carried out")
        assert sim.clock() - began < 1000.0, "long before the hourly list"
        assert sim.api.requests["PUT status"] - before < 10

    simulate(story)


def test_a_conflict_that_stays_is_backed_off() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.api.faults.append(Fault("PUT", "/status", 409, 10**6, False))
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await asyncio.sleep(600.0)
        assert 5 < sim.api.requests["PUT status"] < 20

    simulate(story)


def test_finalizer_and_status_that_somebody_removed_come_back() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        await sim.drain()
        before = sim.find("a")
        assert before is not None
        sim.api.meddle(NAMESPACE, "a", lambda body: body["metadata"].pop("finalizers"))
        await sim.until(lambda: "finalizers" in (sim.find("a") or {})["metadata"], "the finalizer")
        sim.api.meddle(NAMESPACE, "a", lambda body: body.pop("status"))
        await sim.ready("a")
        await sim.drain()
        after = sim.find("a")
        assert after is not None
        assert after["status"]["addresses"] == before["status"]["addresses"]
        assert sim.checks.applied["CREATE", "A", HOST] == 1
        assert sim.checks.applied["set", eips[0].public_ip, HOST] == 1

    simulate(story)


def test_finalizers_of_others_stay_as_they_are() -> None:
    """The operator keeps only its own finalizer in memory; those of others survive its writes."""
    others = ["example.com/first", "example.com/second"]

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        sim.api.meddle(NAMESPACE, "a", lambda body: body["metadata"].update(finalizers=list(others)))
        await sim.ready("a")
        await sim.drain()
        assert (sim.find("a") or {})["metadata"]["finalizers"] == [*others, FINALIZER]
        sim.delete("a")
        await sim.until(lambda: (sim.find("a") or {})["metadata"]["finalizers"] == others, "ours to go")
        await sim.sleep(60.0)
        assert (sim.find("a") or {})["metadata"]["finalizers"] == others

    simulate(story)


@pytest.mark.parametrize("moment", [0.05, 0.5, 31.0, 100.0, 169.0])
def test_two_operators_at_once_do_no_harm(moment: float) -> None:
    """An old pod that was cut off, or a careless rollout: neither undoes what the other does."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(2)
        first = sim.world.dump()
        sim.start()
        sim.meg("a", HOST, eips[:1])
        await sim.sleep(moment)
        sim.start()
        await sim.ready("a")
        sim.edit("a", hostname=OTHER)
        await sim.sleep(moment)
        sim.edit("a", eips=eips[1:])
        await sim.ready("a")
        await sim.drain()
        await sim.stay_quiet(1800.0)
        sim.delete("a")
        await sim.gone("a")
        await sim.drain(still=200.0)
        assert sim.world.dump() == first

    simulate(story)
