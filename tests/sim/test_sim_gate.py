"""S1 when the write is sent: many PTR writes wait for the rate limit, and what was proved may not hold any more."""

from __future__ import annotations

from typing import Any

from sandbox.dns.knobs import Knob
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST, OTHER

GATE = 60.0
"""Seconds for which the answers of the authorities open the gate."""


def sends(sim: Sim, operation: str = "ModifyAddressAttribute") -> list[tuple[float, str]]:
    """When each write of a PTR is sent, and to which allocation; filled while the story runs."""
    found: list[tuple[float, str]] = []
    told = sim.world.calls.sent

    def sent(call: Any) -> None:
        if call.operation == operation:
            found.append((sim.clock(), str(call.params["AllocationId"])))
        told(call)

    sim.world.calls.sent = sent
    return found


def test_no_ptr_is_sent_on_answers_of_more_than_a_minute_ago() -> None:
    """Sixteen writes at one in 50 s; a name server falls silent after the first. Then none is sent until it answers."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        eips = sim.world.eips(16)
        sent = sends(sim)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.until(lambda: sent, "the first write", 300.0)
        server = sorted(zone.name_servers)[2]
        knob = sim.world.dns.knobs.add(Knob(server=server, silent=True))
        muted = sim.world.ailing[server] = sim.clock()
        await sim.sleep(900)
        late = [at - muted for at, _ in sent if at > muted + GATE]
        assert not late, late
        assert len(sent) < 16
        sim.world.dns.knobs.remove(knob)
        del sim.world.ailing[server]
        await sim.ready("a")
        assert sorted(a for _, a in sent) == sorted(e.allocation_id for e in eips), "each is sent once"

    simulate(story, settings={"ec2_write_rate": "0.02"})


def test_a_repair_that_was_not_sent_in_time_does_not_count_as_contested() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(16)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        await sim.sleep(1000)
        for eip in eips:
            sim.world.force_ptr(eip, None)
        sent = sends(sim)
        await sim.until(
            lambda: all(sim.world.ptr(eip) == HOST for eip in eips), "every PTR to be back", 3600.0
        )
        assert len(sent) == 16
        assert sent[-1][0] - sent[0][0] > 5 * GATE, "the last ones waited for longer than their gate"
        await sim.ready("a")

    simulate(story, settings={"ec2_write_rate": "0.02"})


def test_a_waiting_write_is_taken_back_when_the_name_is_given_up() -> None:
    """Renamed while most of its PTR writes wait: none of them sets the old name afterwards."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(16)
        names: list[tuple[float, str]] = []
        told = sim.world.calls.sent

        def sent(call: Any) -> None:
            if call.operation == "ModifyAddressAttribute":
                names.append((sim.clock(), str(call.params["DomainName"]).rstrip(".")))
            told(call)

        sim.world.calls.sent = sent
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.until(lambda: len(names) >= 8, "the first writes", 300.0)
        sim.edit("a", hostname=OTHER)
        edited = sim.clock()
        await sim.ready("a")
        assert {name for at, name in names if at > edited + 5} == {OTHER}

    simulate(story, settings={"ec2_write_rate": "0.02"})
