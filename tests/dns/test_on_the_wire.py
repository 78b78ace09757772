"""The whole layer over real sockets, in the DNS sandbox."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from mailegress.dns import DnsService, DnsSettings, build_dns, named_server, wire_query
from mailegress.dns.lookups import Lookups
from mailegress.model.dns import AnswerKind, AuthorityReport, Delegation, Iprev, ResolverReport
from mailegress.model.facts import Fact
from mailegress.model.mail import SpfResult
from sandbox.dns.knobs import Knob
from sandbox.dns.model import DnsWorld
from sandbox.dns.service import SandboxDns
from tests.dns.conftest import CountingMetrics
from tests.support.dns_source import MemorySource

T = TypeVar("T")

HOST = "mta.example.com"
IP = "203.0.113.5"
SERVERS = tuple(f"ns-{i}.awsdns-sandbox.org." for i in range(1, 5))


@dataclass
class Bed:
    source: MemorySource
    sandbox: SandboxDns
    service: DnsService
    woken: asyncio.Queue[str]
    settings: DnsSettings

    async def authorities(self, name: str = HOST) -> Fact[AuthorityReport]:
        self.service.request_authorities("ns/a", name, asyncio.get_running_loop().time())
        return await self._read(lambda: self.service.authorities(name))

    async def delegation(self, zone: str) -> Fact[Delegation]:
        self.service.request_delegation("ns/a", zone, asyncio.get_running_loop().time())
        return await self._read(lambda: self.service.delegation(zone))

    async def public(self) -> Fact[ResolverReport]:
        self.service.request_public("ns/a", HOST, frozenset({IP}), asyncio.get_running_loop().time())
        return await self._read(lambda: self.service.public(HOST))

    async def _read(self, get: Callable[[], Fact[T]]) -> Fact[T]:
        async with asyncio.timeout(20):
            await self.woken.get()
        return get()


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    source = MemorySource()
    source.add_zone("ZONE", "example.com", SERVERS)
    source.put("ZONE", HOST, "A", [IP])
    loop = asyncio.get_running_loop()
    async with SandboxDns(DnsWorld(source, loop.time)) as sandbox:
        ends = sandbox.endpoints()
        settings = DnsSettings(
            roots=tuple(named_server(a, ends["port"]) for a in ends["roots"].values()),
            authority_port=ends["port"],
            resolvers=tuple(named_server(a, ends["port"]) for a in ends["recursors"]),
            timeout_seconds=0.5,
            extra_ranges=(ipaddress.ip_network("127.0.0.0/8"),),
        )
        woken: asyncio.Queue[str] = asyncio.Queue()
        service = build_dns(
            settings,
            wire_query(settings),
            woken.put_nowait,
            CountingMetrics(),
            loop.time,
            asyncio.sleep,
            random.Random(3),
        )
        yield Bed(source, sandbox, service, woken, settings)
        await service.close()


async def test_every_authority_answers_and_the_parent_delegates(bed: Bed) -> None:
    report = (await bed.authorities()).value
    delegated = (await bed.delegation("example.com")).value

    assert report is not None
    assert delegated is not None
    assert report.zone == "example.com"
    assert report.name_servers == delegated.name_servers == {s.rstrip(".") for s in SERVERS}
    assert [(a.kind, a.addresses) for a in report.answers] == [(AnswerKind.ANSWER, frozenset({IP}))] * 4


async def test_zone_that_is_not_delegated(bed: Bed) -> None:
    delegated = (await bed.delegation("absent.com")).value
    assert delegated is not None
    assert delegated.name_servers == frozenset()


async def test_truncation_everywhere_is_answered_over_tcp(bed: Bed) -> None:
    bed.sandbox.world.knobs.add(Knob(truncate=True))

    report = (await bed.authorities()).value

    assert report is not None
    assert {a.kind for a in report.answers} == {AnswerKind.ANSWER}


@pytest.mark.parametrize(
    ("knob", "kind"),
    [
        (Knob(server="ns-2", silent=True), AnswerKind.TIMEOUT),
        (Knob(server="ns-2", rcode="SERVFAIL"), AnswerKind.SERVFAIL),
        (Knob(server="ns-2", rcode="REFUSED"), AnswerKind.REFUSED),
        (Knob(server="ns-2", lame=True), AnswerKind.LAME),
        (Knob(server="ns-2", intercept=True), AnswerKind.INTERCEPTED),
    ],
)
async def test_one_bad_server(bed: Bed, knob: Knob, kind: AnswerKind) -> None:
    bed.sandbox.world.knobs.add(knob)

    report = (await bed.authorities()).value

    assert report is not None
    assert {a.server: a.kind for a in report.answers} == {
        s.rstrip("."): kind if s.startswith("ns-2.") else AnswerKind.ANSWER for s in SERVERS
    }


async def test_public_resolvers_see_forward_and_reverse(bed: Bed) -> None:
    bed.source.set_ptr(IP, HOST)

    report = (await bed.public()).value

    assert report is not None
    assert len(report.answers) == 2
    assert {a.forward.addresses for a in report.answers} == {frozenset({IP})}
    assert {a.reverse[IP].result for a in report.answers} == {Iprev.PASS}


async def test_spf_that_permits_mail_servers(bed: Bed) -> None:
    bed.source.put("ZONE", HOST, "TXT", ['"v=spf1 mx -all"'])
    bed.source.put("ZONE", HOST, "MX", ["20 none.example.com.", f"10 {HOST}."])
    loop = asyncio.get_running_loop()
    lookups = Lookups(bed.settings, wire_query(bed.settings), loop.time, asyncio.sleep, random.Random(3))
    report = await lookups.mail(HOST, frozenset({IP}), frozenset())
    assert report.helo[IP].result is SpfResult.PASS


async def test_alias_into_another_providers_zone(bed: Bed) -> None:
    bed.source.put("ZONE", "www.example.com", "CNAME", ["host.other.net."])
    bed.sandbox.world.add_zone("other.net").put("host.other.net.", "A", [IP])

    report = (await bed.authorities("www.example.com")).value

    assert report is not None
    assert len(report.answers) == 6
    assert {(a.kind, a.addresses) for a in report.answers} == {(AnswerKind.ANSWER, frozenset({IP}))}
