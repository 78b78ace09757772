"""Shared readings: no namespace, zone or server delays the readings of another."""

from __future__ import annotations

import asyncio
import contextlib

import dns.rdatatype

from mailegress.dns import DnsService, Server
from mailegress.dns.budget import Budget
from mailegress.dns.counted_query import Asker
from mailegress.dns.query import DnsTimeout
from mailegress.dns.replies import absolute
from mailegress.model.dns import AnswerKind
from tests.dns.conftest import NS
from tests.support.internet import PORT, TRY, Internet, VirtualTime

HOST = "mta.example.com"
IP = frozenset({"203.0.113.5"})


async def test_a_silent_zone_delays_no_other_namespace(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    dead = {"ns1.dead.net": "192.0.2.81", "ns2.dead.net": "192.0.2.82"}
    internet.zone("dead.com", dead, parent="nearest")
    internet.zone("dead.net", dead)
    internet.moods.update(dict.fromkeys(dead.values(), "silent"))
    for i in range(100):
        service.request_authorities(f"dead/{i}", f"h{i}.dead.com", time.now)
    service.request_authorities("ns/good", HOST, time.now)

    await time.advance(0.1)
    assert woken == ["ns/good"]


async def test_a_silent_server_is_not_waited_for_by_every_reading(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    """It counts as silent for the others of the namespace for two time limits; then it is asked again."""
    internet.moods[NS["ns1.dns.net"]] = "silent"
    for i in range(8):
        internet.zones[absolute("example.com")].put(f"h{i}.example.com", "A", "203.0.113.5")
        service.request_authorities("ns/a", f"h{i}.example.com", time.now)

    await time.advance(TRY + 0.1)
    assert len(woken) == 8
    assert len(internet.asked(NS["ns1.dns.net"], "A")) == 4, "the readings that were in progress at once"
    for i in range(8):
        report = service.authorities(f"h{i}.example.com").value
        assert report is not None
        kinds = {a.server: a.kind for a in report.answers}
        assert kinds["ns1.dns.net"] is AnswerKind.TIMEOUT

    internet.moods.clear()
    await time.advance(2 * TRY)
    service.request_authorities("ns/a", "h7.example.com", time.now)
    await time.advance(0.1)
    report = service.authorities("h7.example.com").value
    assert report is not None
    assert {a.kind for a in report.answers} == {AnswerKind.ANSWER}


async def test_no_namespace_holds_all_places(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    """Four readings at once, however many name servers are silent."""
    dead = {f"ns{n}.dead.com": f"192.0.2.{80 + n}" for n in range(8)}
    internet.zone("dead.com", dead)
    internet.moods.update(dict.fromkeys(dead.values(), "silent"))
    for i in range(100):
        service.request_authorities(f"dead/{i}", f"h{i}.dead.com", time.now)

    await time.advance(TRY / 2)

    assert len([a for a in internet.log if a.server in dead.values()]) == 4, "each asks one server first"


async def test_no_namespace_holds_all_sockets(asker: Asker, time: VirtualTime, internet: Internet) -> None:
    """Sixteen questions at once, however many name servers are silent."""
    server = Server("ns1.dns.net", NS["ns1.dns.net"], PORT)
    internet.moods[server.address] = "silent"

    async def ask(namespace: str) -> None:
        with contextlib.suppress(DnsTimeout):
            await Budget(namespace, HOST).run(
                asker("authority", server, absolute(HOST), dns.rdatatype.A), time.sleep
            )

    asked = [asyncio.ensure_future(ask("dead")) for _ in range(40)]
    await time.advance(TRY / 2)
    assert len(internet.log) == 16

    asked.append(asyncio.ensure_future(ask("other")))
    await time.advance(0)
    assert len(internet.log) == 17
    await time.advance(10 * TRY)
    assert all(task.done() for task in asked)


async def test_all_namespaces_together_hold_a_bounded_number_of_sockets(
    asker: Asker, time: VirtualTime, internet: Internet
) -> None:
    server = Server("ns1.dns.net", NS["ns1.dns.net"], PORT)
    internet.moods[server.address] = "silent"

    async def ask(namespace: str) -> None:
        with contextlib.suppress(DnsTimeout):
            await Budget(namespace, HOST).run(
                asker("authority", server, absolute(HOST), dns.rdatatype.A), time.sleep
            )

    asked = [asyncio.ensure_future(ask(f"n{number % 20}")) for number in range(320)]
    await time.advance(TRY / 2)
    assert len(internet.log) == 256
    await time.advance(10 * TRY)
    assert all(task.done() for task in asked)


async def test_another_namespace_asks_for_itself_whether_a_server_is_silent(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    internet.moods[f"{NS['ns1.dns.net']} h1.example.com."] = "silent"
    internet.zones[absolute("example.com")].put("h1.example.com", "A", "203.0.113.5")
    service.request_authorities("other/a", "h1.example.com", time.now)
    await time.advance(TRY + 0.1)

    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(0.1)

    report = service.authorities(HOST).value
    assert report is not None
    assert {a.kind for a in report.answers} == {AnswerKind.ANSWER}


async def test_a_reading_that_is_asked_for_by_two_namespaces_waits_in_the_line_of_each(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    dead = {"ns1.dead.com": "192.0.2.81"}
    internet.zone("dead.com", dead)
    internet.moods.update(dict.fromkeys(dead.values(), "silent"))
    for i in range(20):
        service.request_authorities(f"dead/{i}", f"h{i}.dead.com", time.now)
    service.request_authorities("dead/host", HOST, time.now)
    await time.advance(0.1)
    assert woken == []

    service.request_authorities("ns/host", HOST, time.now)
    await time.advance(0.1)
    assert sorted(woken) == ["dead/host", "ns/host"]


async def test_a_reading_that_takes_too_long_is_given_up(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    """Each alias leads to a zone whose servers answer only after a long time."""
    example = internet.zones[absolute("example.com")]
    example.drop(HOST, "A")
    example.put(HOST, "CNAME", "h.z0.com.")
    for i in range(7):
        servers = {f"ns{n}.z{i}.com": f"192.0.2.{100 + 10 * i + n}" for n in range(3)}
        zone = internet.zone(f"z{i}.com", servers)
        zone.put(f"h.z{i}.com", "CNAME", f"h.z{i + 1}.com.")
        for address in servers.values():
            internet.delays[address] = 10.0
    service.request_authorities("ns/a", HOST, time.now)

    await time.advance(59.9)
    assert service.authorities(HOST).fault is None
    await time.advance(0.2)

    fault = service.authorities(HOST).fault
    assert fault is not None
    assert fault.reason == "DNSLimitExceeded"
    assert fault.message == "the check was given up: it takes longer than 60 seconds"
