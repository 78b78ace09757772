from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from mailegress.dns import DnsService, DnsSettings, Server, build_dns
from mailegress.dns.authorities import Authorities
from mailegress.dns.counted_query import Asker
from mailegress.dns.resolvers import Resolvers
from mailegress.dns.walk import Walker
from tests.support.internet import PORT, RESOLVERS, ROOTS, Internet, VirtualTime

TEST_RANGES = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))
"""Of the name servers in these tests."""


class CountingMetrics:
    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def dns_query(self, role: str, result: str) -> None:
        self.counts[(role, result)] += 1


@pytest.fixture
def metrics() -> CountingMetrics:
    return CountingMetrics()


@pytest.fixture
async def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def settings() -> DnsSettings:
    return DnsSettings(
        roots=tuple(Server(name.rstrip("."), address, PORT) for name, address in ROOTS.items()),
        authority_port=PORT,
        resolvers=RESOLVERS,
        extra_ranges=TEST_RANGES,
    )


NS = {"ns1.dns.net": "192.0.2.31", "ns2.dns.net": "192.0.2.32", "ns3.dns.net": "192.0.2.33"}


def silence(internet: Internet, mood: str = "silent") -> None:
    internet.moods.update(dict.fromkeys(NS.values(), mood))


@pytest.fixture
def internet(time: VirtualTime) -> Internet:
    """example.com on three servers under dns.net, whose own servers have glue; mta.example.com is there."""
    net = Internet(time)
    dns_net = net.zone("dns.net", {"a.dns.net": "192.0.2.21"})
    for name, address in NS.items():
        dns_net.put(name, "A", address, ttl=600)
    example = net.zone("example.com", NS)
    example.put("mta.example.com", "A", "203.0.113.5")
    return net


@pytest.fixture
def asker(internet: Internet, metrics: CountingMetrics, settings: DnsSettings, time: VirtualTime) -> Asker:
    return Asker(internet, metrics, settings, time.clock)


@pytest.fixture
def walker(settings: DnsSettings, asker: Asker, time: VirtualTime) -> Walker:
    return Walker(settings, asker, time.clock, random.Random(7))


@pytest.fixture
def authorities(walker: Walker, asker: Asker) -> Authorities:
    return Authorities(walker, asker)


@pytest.fixture
def resolvers(settings: DnsSettings, asker: Asker) -> Resolvers:
    return Resolvers(settings.resolvers, asker)


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
async def service(
    internet: Internet,
    settings: DnsSettings,
    time: VirtualTime,
    metrics: CountingMetrics,
    woken: list[str],
) -> AsyncIterator[DnsService]:
    errors: list[BaseException] = []
    service = build_dns(
        settings,
        internet,
        woken.append,
        metrics,
        time.clock,
        time.sleep,
        random.Random(11),
        on_error=lambda name, error: errors.append(error),
    )
    yield service
    await service.close()
    assert errors == []
