"""Questions over real sockets, against a server that does one thing wrong at a time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mailegress.dns import udp
from mailegress.dns.query import DnsTimeout, Server
from mailegress.dns.udp import UdpQuery
from tests.support.skip import skipping

Reply = Callable[[dns.message.Message], list[bytes]]

NAME = "mta.example.com."
A = dns.rdatatype.A
LIMIT = 30.0
"""Seconds of one try, where the test puts the clock forward: no machine is so slow that an answer takes longer."""


def answer(query: dns.message.Message, address: str = "203.0.113.5") -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", address))
    return reply


class Wire(asyncio.DatagramProtocol):
    """One server on a free loopback port: ``udp`` and ``tcp`` make the replies (none: silence)."""

    def __init__(self) -> None:
        self.udp: Reply = lambda query: [answer(query).to_wire()]
        self.tcp: Reply = lambda query: [answer(query).to_wire()]
        self.seen: list[tuple[str, dns.message.Message]] = []
        self.server = Server("test", "127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.seen.append(("udp", query))
        assert self._transport is not None
        for wire in self.udp(query):
            self._transport.sendto(wire, addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            size = int.from_bytes(await reader.readexactly(2), "big")
            query = dns.message.from_wire(await reader.readexactly(size))
            self.seen.append(("tcp", query))
            for wire in self.tcp(query):
                writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
            await reader.read()  # until the client has gone
        writer.close()

    def transports(self) -> list[str]:
        return [transport for transport, _ in self.seen]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    loop = asyncio.get_running_loop()
    while True:
        stream = await asyncio.start_server(wire.connected, "127.0.0.1", 0)
        port = stream.sockets[0].getsockname()[1]
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: wire, local_addr=("127.0.0.1", port))
        except OSError as error:
            # Another process has the same port over UDP.
            stream.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            break
    wire.server = Server("test", "127.0.0.1", port)
    yield wire
    transport.close()
    stream.close()


@pytest.fixture
async def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return skipping(monkeypatch)


def addresses(reply: dns.message.Message) -> list[str]:
    return [rdata.address for rrset in reply.answer for rdata in rrset]


@pytest.mark.parametrize("recurse", [False, True])
async def test_question_as_it_is_sent(wire: Wire, recurse: bool) -> None:
    reply = await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=recurse)

    assert addresses(reply) == ["203.0.113.5"]
    (transport, query), *more = wire.seen
    assert (transport, more) == ("udp", [])
    assert (query.edns, query.payload) == (0, 1232)
    assert bool(query.flags & dns.flags.RD) is recurse
    assert query.question[0].name == dns.name.from_text(NAME)


async def test_truncated_reply_is_fetched_over_tcp(wire: Wire) -> None:
    def truncated(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    wire.udp = truncated
    reply = await UdpQuery(timeout=LIMIT, tcp_retry=False)(wire.server, NAME, A, recurse=False)

    assert addresses(reply) == ["203.0.113.5"]
    assert wire.transports() == ["udp", "tcp"]


async def test_replies_that_do_not_fit_the_question_are_ignored(wire: Wire) -> None:
    def forged(query: dns.message.Message) -> list[bytes]:
        wrong_id = answer(query, "198.51.100.1")
        wrong_id.id = query.id ^ 1
        other = dns.message.make_query("other.example.com.", A, id=query.id)
        not_a_reply = answer(query, "198.51.100.3")
        not_a_reply.flags &= ~dns.flags.QR
        forgeries = [wrong_id, answer(other, "198.51.100.2"), not_a_reply]
        return [b"junk", *(m.to_wire() for m in forgeries), answer(query).to_wire()]

    wire.udp = forged
    reply = await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)

    assert addresses(reply) == ["203.0.113.5"]
    assert wire.transports() == ["udp"]


async def test_only_forgeries_are_no_answer(wire: Wire) -> None:
    def forged(query: dns.message.Message) -> list[bytes]:
        return [answer(dns.message.make_query("other.example.com.", A, id=query.id)).to_wire()]

    wire.udp = wire.tcp = forged
    with pytest.raises(DnsTimeout):
        await UdpQuery(timeout=0.1)(wire.server, NAME, A, recurse=False)


async def test_server_silent_over_udp_is_asked_over_tcp(wire: Wire, skip: Callable[[float], None]) -> None:
    def silent(query: dns.message.Message) -> list[bytes]:
        skip(LIMIT)
        return []

    wire.udp = silent
    reply = await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)
    assert addresses(reply) == ["203.0.113.5"]
    assert wire.transports() == ["udp", "tcp"]

    wire.seen.clear()
    with pytest.raises(DnsTimeout):
        await UdpQuery(timeout=LIMIT, tcp_retry=False)(wire.server, NAME, A, recurse=False)
    assert wire.transports() == ["udp"]


async def test_silence_ends_within_two_time_limits(wire: Wire, skip: Callable[[float], None]) -> None:
    def silent(query: dns.message.Message) -> list[bytes]:
        skip(LIMIT)
        return []

    wire.udp = wire.tcp = silent
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DnsTimeout, match="test"):
        await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)
    assert wire.transports() == ["udp", "tcp"]
    assert 2 * LIMIT <= loop.time() - began < 3 * LIMIT


async def test_nobody_listens(wire: Wire) -> None:
    async with await asyncio.start_server(wire.connected, "127.0.0.1", 0) as closed:
        port = closed.sockets[0].getsockname()[1]
    with pytest.raises(DnsTimeout):
        await UdpQuery(timeout=0.1)(Server("closed", "127.0.0.1", port), NAME, A, recurse=False)


@pytest.mark.parametrize("rcode", ["FORMERR", "NOTIMP", "BADVERS"])
async def test_server_that_does_not_know_edns_is_asked_without(wire: Wire, rcode: str) -> None:
    def old(query: dns.message.Message) -> list[bytes]:
        if query.edns < 0:
            return [answer(query).to_wire()]
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.from_text(rcode))
        return [reply.to_wire()]

    wire.udp = old
    reply = await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)

    assert addresses(reply) == ["203.0.113.5"]
    assert [query.edns for _, query in wire.seen] == [0, -1]


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NXDOMAIN"])
async def test_any_other_response_code_is_the_callers_business(wire: Wire, rcode: str) -> None:
    def refuse(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.from_text(rcode))
        return [reply.to_wire()]

    wire.udp = refuse
    reply = await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)
    assert dns.rcode.to_text(reply.rcode()) == rcode


async def test_questions_in_flight_are_bounded(
    wire: Wire, skip: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_SLOW", 10 * LIMIT)  # none gives its place away
    three, six = asyncio.Event(), asyncio.Event()
    held: list[dns.message.Message] = []

    def hold(query: dns.message.Message) -> list[bytes]:
        if str(query.question[0].name) == NAME:
            return [answer(query).to_wire()]
        held.append(query)
        if len(held) >= 3:
            three.set()
        if len(held) == 6:
            six.set()
        return []

    wire.udp = wire.tcp = hold
    query = UdpQuery(timeout=LIMIT, max_queries=3, tcp_retry=False)
    asked = [asyncio.ensure_future(query(wire.server, f"h{i}.test.", A, recurse=False)) for i in range(6)]
    await three.wait()
    # Whatever was sent with the third has arrived before this one is answered.
    await UdpQuery(timeout=LIMIT)(wire.server, NAME, A, recurse=False)
    assert len(held) == 3
    skip(LIMIT)
    await six.wait()
    assert [task.done() for task in asked] == [True] * 3 + [False] * 3
    skip(LIMIT)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, DnsTimeout) for outcome in outcomes)


async def test_silent_servers_do_not_hold_up_the_others(wire: Wire) -> None:
    full = asyncio.Event()

    def picky(query: dns.message.Message) -> list[bytes]:
        if not str(query.question[0].name).startswith("dead"):
            return [answer(query).to_wire()]
        if len(wire.seen) == 2:
            full.set()
        return []

    wire.udp = wire.tcp = picky
    query = UdpQuery(timeout=30, max_queries=2, tcp_retry=False)
    dead = [asyncio.ensure_future(query(wire.server, f"dead{i}.test.", A, recurse=False)) for i in range(4)]
    async with asyncio.timeout(10):
        await full.wait()
        reply = await query(wire.server, NAME, A, recurse=False)
    assert addresses(reply) == ["203.0.113.5"]
    assert not any(task.done() for task in dead)
    for task in dead:
        task.cancel()
    await asyncio.gather(*dead, return_exceptions=True)
