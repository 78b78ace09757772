"""Two operators and one Lease: only its holder acts, and whoever held it does no harm when it comes back to life."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.simulation.harness import Process, Sim, simulate
from tests.support.simulation.owners import Owners
from tests.support.simulation.record import Record, recording
from tests.support.simulation.scenarios import HOST, OTHER

LED = {"leader_elect": "on"}
DURATION, DEADLINE, RETRY = 15.0, 10.0, 2.4
"""The Lease's times, in seconds; a look takes place every 2 to 2.4 s."""


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    with recording(request.node.name) as kept:
        yield kept


def holder(sim: Sim) -> str:
    """Who the Lease names; empty if nobody."""
    return next((str(lease["spec"]["holderIdentity"]) for lease in sim.api.leases.values()), "")


def leader(sim: Sim) -> Process:
    return next(p for p in sim.processes if f"operator-{p.number}" == holder(sim))


async def led_by_another(sim: Sim, before: str) -> float:
    """Until another one holds the Lease; virtual seconds."""
    began = sim.clock()
    while holder(sim) in ("", before):
        assert sim.clock() - began < 60.0, "nobody takes over"
        await asyncio.sleep(0.05)
    return sim.clock() - began


@pytest.mark.parametrize("moment", [0.05, 31.0, 100.0, 169.0])
def test_a_standby_takes_over_from_a_leader_that_crashed(moment: float, record: Record) -> None:
    """Whenever the leader dies: within the Lease and two looks another one goes on with what it finds, and the whole
    life costs the writes that it costs without a crash."""
    seconds: list[float] = []

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        first = sim.world.dump()
        sim.start()
        await sim.until(lambda: holder(sim) == "operator-1", "a leader")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.sleep(moment)
        await sim.retire(leader(sim))
        seconds.append(await led_by_another(sim, "operator-1"))
        await sim.ready("a")
        await sim.drain()
        await sim.stay_quiet(1800.0)
        assert sim.checks.applied["CREATE", "A", HOST] == 1
        assert sim.checks.applied["set", eips[0].public_ip, HOST] == 1
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.dump() == first
        record.run("leader crashed", sim.schedule.reached, faults=1)

    simulate(story, settings=LED)
    assert DURATION - RETRY < seconds[0] < DURATION + 2 * RETRY


def test_a_leader_that_is_told_to_stop_hands_over_at_once(record: Record) -> None:
    """The Lease is released when its holder's work has ended; the next one sees that at its next look."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.start()
        await sim.until(lambda: holder(sim) == "operator-1", "a leader")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        sim.edit("a", hostname=OTHER)
        await sim.sleep(0.5)
        leader(sim).stop.set()
        assert await led_by_another(sim, "operator-1") <= 3.0
        await sim.ready("a")
        await sim.drain()
        record.run("leader stopped", sim.schedule.reached, faults=1)

    simulate(story, settings=LED)


@pytest.mark.parametrize("moment", [0.05, 31.0, 169.0])
@pytest.mark.parametrize("asleep", [5.0, 12.0, 40.0])
def test_a_leader_that_was_frozen_writes_nothing_that_it_may_not(
    moment: float, asleep: float, record: Record
) -> None:
    """A node that hangs, a process that is stopped: for less than the deadline it goes on as if nothing had been; for
    longer it writes nothing more, neither to AWS nor to the API server, and ends."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(2)
        first = sim.world.dump()
        sim.start()
        await sim.until(lambda: holder(sim) == "operator-1", "a leader")
        sim.start()
        sim.meg("a", HOST, eips[:1])
        await sim.ready("a")
        sim.edit("a", hostname=OTHER)
        await sim.sleep(moment)
        frozen, owners = leader(sim), Owners(sim)
        owners.freeze(frozen)
        await sim.sleep(1.0)
        sim.edit("a", eips=eips)
        await sim.sleep(asleep - 1.0)
        before = owners.wrote[frozen.number]
        owners.thaw()
        if asleep > DEADLINE:
            await sim.until(lambda: frozen not in sim.processes, "the end of what was frozen", patience=60.0)
            assert owners.wrote[frozen.number] == before
        await sim.ready("a")
        await sim.drain()
        await sim.stay_quiet(1800.0)
        assert sim.exits == (asleep > DEADLINE)
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.dump() == first
        record.run("leader frozen", sim.schedule.reached, faults=1)

    simulate(story, settings=LED)


def test_without_the_api_server_nobody_leads_for_long(record: Record) -> None:
    """A leader that cannot renew its Lease ends before another may begin."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.start()
        await sim.until(lambda: holder(sim) == "operator-1", "a leader")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        gone = leader(sim)
        began = sim.clock()
        Owners(sim).cut_off(gone)
        await sim.until(lambda: gone not in sim.processes, "the end of the leader", patience=60.0)
        # (A process takes four seconds at most to end.)
        assert sim.clock() - began < DURATION
        assert await led_by_another(sim, "operator-1") > 0
        await sim.ready("a")
        await sim.drain()
        record.run("leader cut off", sim.schedule.reached, faults=1)

    simulate(story, settings=LED)
