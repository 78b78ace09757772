"""A hostile zone tries to make the operator ask without end."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailegress.dns import DnsSettings, Server, build_dns, wire_query
from mailegress.model.dns import AnswerKind, AuthorityReport
from mailegress.model.facts import Fact
from tests.dns.conftest import CountingMetrics
from tests.hostile.conftest import FULL, Bound, LoopLag
from tests.support.hostile_dns import SILENT, Evil

QUESTIONS = 200
LAG = 0.25
"""Seconds."""
SERVERS = 16
HOST = "mta.evil.test"


class Client:
    """The DNS layer as the operator runs it, over sockets, pointed at one hostile server."""

    def __init__(self, evil: Evil, timeout: float) -> None:
        self.settings = DnsSettings(
            roots=(Server("root", evil.root, evil.port),),
            authority_port=evil.port,
            resolvers=(),
            timeout_seconds=timeout,
            extra_ranges=(ipaddress.ip_network("127.0.1.0/24"),),
        )
        self.metrics = CountingMetrics()
        self._woken: dict[str, asyncio.Event] = {}
        self.service = build_dns(
            self.settings,
            wire_query(self.settings),
            lambda key: self.woken(key).set(),
            self.metrics,
            time.monotonic,
            asyncio.sleep,
            random.Random(5),
        )

    def woken(self, key: str) -> asyncio.Event:
        return self._woken.setdefault(key, asyncio.Event())

    def request(self, key: str, hostname: str) -> None:
        self.service.request_authorities(key, hostname, time.monotonic())

    async def read(self, hostname: str = HOST, key: str = "evil/a") -> Fact[AuthorityReport]:
        """One reading, which must end in 70 seconds."""
        self.woken(key).clear()
        self.request(key, hostname)
        async with asyncio.timeout(70):
            await self.woken(key).wait()
        return self.service.authorities(hostname)


@asynccontextmanager
async def client(evil: Evil, timeout: float = 2.0) -> AsyncIterator[Client]:
    made = Client(evil, timeout)
    yield made
    await made.service.close()


SERVER_COUNTS = [2, 4, 13, 32] if FULL else [4]


@pytest.mark.parametrize("servers", SERVER_COUNTS)
@pytest.mark.parametrize("behaviour", ["fresh-alias", "no-edns"])
async def test_fresh_aliases_end_with_the_budget(behaviour: str, servers: int, bound: Bound) -> None:
    with Evil(behaviour, servers=servers) as evil:
        async with client(evil) as ours:
            fact = await ours.read()
        asked = len(evil.asked())

    bound(f"DNS reading: questions, {behaviour} of {servers} servers", limit=QUESTIONS, seen=asked)
    if fact.value is None:
        assert fact.fault is not None
        assert fact.fault.reason == "DNSLimitExceeded"
    else:
        kinds = {a.kind for a in fact.value.answers if not a.addresses}
        assert AnswerKind.ANSWER in kinds, "the servers disagree about the alias, and that is the verdict"
        assert not any(a.addresses for a in fact.value.answers)


@pytest.mark.parametrize("size", [1, 2, 5, 1000] if FULL else [2, 1000])
async def test_circles_and_long_chains_of_aliases_end(size: int, bound: Bound) -> None:
    with Evil("alias-circle", servers=4, size=size) as evil:
        async with client(evil) as ours:
            fact = await ours.read()
        asked = len(evil.asked())

    bound(f"DNS reading: questions, circle of {size} aliases", limit=QUESTIONS, seen=asked)
    assert fact.value is not None
    assert not any(a.addresses for a in fact.value.answers)


@pytest.mark.parametrize("servers", SERVER_COUNTS)
async def test_a_tree_of_name_servers_ends_with_the_budget(servers: int, bound: Bound) -> None:
    with Evil("server-tree", servers=servers) as evil:
        async with client(evil) as ours:
            fact = await ours.read()
        asked = len(evil.asked())

    bound(f"DNS reading: questions, tree of {servers} name servers", limit=QUESTIONS, seen=asked)
    assert fact.value is None
    assert fact.fault is not None
    # With two servers the depth ends the tree first.
    expected = "AuthoritiesUnreachable" if servers == 2 else "DNSLimitExceeded"
    assert fact.fault.reason == expected, fact.fault.message


@pytest.mark.parametrize("size", [1, 3, 1000] if FULL else [3])
async def test_a_chain_of_name_servers_ends(size: int, bound: Bound) -> None:
    with Evil("server-chain", servers=1, size=size) as evil:
        async with client(evil) as ours:
            fact = await ours.read()
        asked = len(evil.asked())

    bound(f"DNS reading: questions, chain of {size} name servers", limit=QUESTIONS, seen=asked)
    assert fact.value is None
    assert fact.fault is not None


@pytest.mark.parametrize("servers", [13, 16, 17, 32] if FULL else [13, 17])
async def test_at_most_sixteen_name_servers_are_asked_and_the_rest_is_reported(
    servers: int, bound: Bound
) -> None:
    with Evil("many-servers", servers=servers) as evil:
        async with client(evil) as ours:
            fact = await ours.read()
        asked = {address for address, _, name, rtype in evil.asked() if rtype == "A" and name == f"{HOST}."}

    bound(f"DNS reading: name servers asked of {servers}", limit=SERVERS, seen=len(asked))
    assert fact.value is not None
    kinds = [answer.kind for answer in fact.value.answers]
    assert kinds.count(AnswerKind.ANSWER) == min(servers, SERVERS)
    assert kinds.count(AnswerKind.NOT_ASKED) == max(servers - SERVERS, 0)


@pytest.mark.parametrize(("servers", "truncate"), [(13, False), (4, True)])
async def test_large_but_honest_zones_are_read(servers: int, truncate: bool) -> None:
    """13 name servers, or every reply over TCP: 8 aliases, 64 addresses, DNSSEC records."""
    with Evil("large", servers=servers, truncate=truncate) as evil:
        async with client(evil) as ours:
            fact = await ours.read("c0.evil.test")

    assert fact.value is not None, fact.fault
    assert {(a.kind, len(a.addresses)) for a in fact.value.answers} == {(AnswerKind.ANSWER, 64)}
    assert len(fact.value.answers) == 9 * servers


@pytest.mark.parametrize(
    ("behaviour", "size"), [("long-glue", 100), ("many-addresses", 230), ("many-own", 150)]
)
async def test_whole_readings_do_not_delay_the_loop(
    behaviour: str, size: int, bound: Bound, loop_lag: LoopLag
) -> None:
    """Four at once, as one namespace may have: what follows the parsing is bounded, too."""
    # What leads to a long name would leave none of the budget for the name servers' own sets.
    long = "" if behaviour == "many-own" else "a." * 100 + "x."
    hostnames = [f"h{i}.{long}evil.test" for i in range(4)]
    with Evil(behaviour, servers=16, size=size, truncate=True) as evil:
        async with client(evil, timeout=0.5) as ours:
            loop_lag.worst = 0.0
            await asyncio.gather(*(ours.read(name, f"evil/{i}") for i, name in enumerate(hostnames)))
        asked = len(evil.asked())

    assert asked > 100
    bound(f"DNS reading: loop lag in seconds, {behaviour} of 16 servers", limit=LAG, seen=loop_lag.worst)


async def test_silent_servers_of_one_namespace_do_not_delay_another(full: bool, bound: Bound) -> None:
    """Real sockets, and the default time limit of one question."""
    objects = 400 if full else 100
    with Evil("silent", servers=4) as evil:
        async with client(evil) as ours:
            quiet = statistics.median([await _took(ours, f"q{i}") for i in range(10)])
            for i in range(objects):
                ours.request(f"hostile/{i}", f"h.z{i}.dead.test")
            beside = statistics.median([await _took(ours, f"h{i}") for i in range(20)])
            waiting = sum(ours.service.authorities(f"h.z{i}.dead.test").at < 0 for i in range(objects))
        assert SILENT in {address for address, *_ in evil.asked()}
        assert waiting > objects / 2, "most of them are still waiting for their turn"

    bound(
        f"fair DNS: seconds of a reading beside {objects} objects with silent servers",
        limit=max(2 * quiet, 0.5),
        seen=beside,
    )


async def _took(ours: Client, name: str) -> float:
    began = time.monotonic()
    fact = await ours.read(f"{name}.evil.test", "good/a")
    assert fact.value is not None
    assert {a.kind for a in fact.value.answers} == {AnswerKind.ANSWER}
    return time.monotonic() - began
