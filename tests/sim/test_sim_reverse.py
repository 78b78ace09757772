"""The way to Ready at shipped intervals: what the reverse zone's servers and a rotating record change, and what not."""

from __future__ import annotations

import pytest

from sandbox.dns.journal import Journal
from sandbox.dns.knobs import Knob
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST

POLL = 5.0
"""--dns-poll-seconds."""
PTR_TTL = 300.0
SERVER = "reverse-2.dns-sandbox.net"
OBSERVED = {"management": "Observed"}


def reverse_name(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def message(sim: Sim, kind: str = "Ready") -> str:
    found = sim.find("a")
    assert found is not None
    return next(str(c["message"]) for c in found["status"]["conditions"] if c["type"] == kind)


def times(sim: Sim, servers: set[str], name: str, rtype: str) -> dict[str, list[float]]:
    """When the operator asked each server for a name."""
    found: dict[str, list[float]] = {server: [] for server in servers}
    for query in sim.world.dns.journal.queries(client="client"):
        if query.server in servers and query.qname.rstrip(".") == name and query.qtype == rtype:
            found[query.server].append(query.time)
    return found


@pytest.mark.parametrize("old", ["old.example.com.", None])
def test_an_object_is_never_ready_while_a_reverse_server_is_behind(old: str | None) -> None:
    """Resolvers hit the other server, or remember its answer: by chance only would they show it."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        [eip] = sim.world.eips(1)
        records = {"PTR": (300, (old,))} if old else {}
        board = sim.world.dns.knobs
        knob = board.add(
            Knob(
                server=SERVER,
                client="client",
                name=reverse_name(eip.public_ip),
                qtype="PTR",
                records=records,
            )
        )
        ready: list[str] = []

        def heard(after: object) -> None:
            ready.append(sim.condition("a")[0])

        sim.on_status(heard)
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.reason("a", "NotPropagated")
        for text in (SERVER, eip.public_ip, "1 of 2 servers", old.rstrip(".") if old else "no PTR"):
            assert text in message(sim), message(sim)
        await sim.reason("a", "FCrDNSFail")
        await sim.sleep(4 * 3600.0)
        assert "True" not in ready
        assert SERVER in message(sim)
        assert sim.condition("a", "ReverseReady")[0] == "True"
        board.remove(knob)
        await sim.until(lambda: sim.condition("a")[0] == "True", "Ready", 300.0)

    simulate(story)


def installed(sim: Sim) -> dict[str, list[float]]:
    return times(sim, set(sim.world.dns.layout.recursors.values()), HOST, "A")


@pytest.mark.parametrize("silent", [False, True])
def test_a_first_installation_needs_one_round_of_resolvers(silent: bool) -> None:
    """Reverse servers are asked in the same round; where none of them answers, resolvers decide a few seconds later."""

    async def story(sim: Sim) -> None:
        sim.world.dns.journal = Journal()
        sim.world.zone()
        eips = sim.world.eips(4)
        if silent:
            for server in sim.world.dns.layout.reverse.values():
                sim.world.dns.knobs.add(Knob(server=server, client="client", silent=True))
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        asked = installed(sim)
        assert [len(at) for at in asked.values()] == [1, 1], asked
        own = set(sim.world.dns.layout.reverse.values())
        heard = times(sim, own, reverse_name(eips[0].public_ip), "PTR")
        assert all(heard.values()) or silent, heard
        first = min(at[0] for at in asked.values())
        assert sim.clock() - first <= (20.0 if silent else POLL)

    simulate(story)


def test_a_record_that_others_keep_is_read_twice_before_the_first_ptr() -> None:
    async def story(sim: Sim) -> None:
        sim.world.dns.journal = Journal()
        zone = sim.world.dns.add_zone("example.net")
        [eip] = sim.world.eips(1)
        zone.put("mta.example.net", "A", [eip.public_ip])
        sim.start()
        sim.meg("a", "mta.example.net", [eip], forward=OBSERVED)
        await sim.until(lambda: sim.world.ptr(eip) == "mta.example.net", "the PTR")
        for at in times(sim, set(sim.world.dns.layout.providers.values()), "mta.example.net", "A").values():
            assert len(at) == 2
            assert POLL - 1 <= at[1] - at[0] <= POLL + 1, at
        await sim.ready("a")

    simulate(story)
