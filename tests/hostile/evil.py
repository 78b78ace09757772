"""A hostile DNS server in a process of its own, on loopback addresses of one port, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

PORT_HOLDER = "127.0.1.1"
"""Also the address of the root server of :class:`Evil`."""

LONG = dns.name.from_text("a." * 118 + "long.evil.test.")


@dataclass
class State:
    """What a behaviour may keep. ``servers``: name servers of ``evil.test``."""

    servers: int
    size: int = 0
    truncate: bool = False
    """Over UDP every reply is empty and truncated."""
    fresh: int = 0
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Address, transport, name, type."""
    kept: dict[str, bytes] = field(default_factory=dict)


Behaviour = Callable[[State, dns.message.Message, str, str], "bytes | None"]


def authoritative(query: dns.message.Message, *records: str) -> bytes:
    """An answer with AA; each record is ``name ttl type value``. None = NODATA."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    for record in records:
        name, ttl, rtype, value = record.split(" ", 3)
        reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, value))
    if not records:
        soa = "ns.invalid. root.invalid. 1 7200 900 1209600 60"
        reply.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", soa))
    return reply.to_wire()


def referral(query: dns.message.Message, zone: str, glue: dict[str, str]) -> bytes:
    """``glue``: address by name server; an empty address gives no glue."""
    reply = dns.message.make_response(query)
    reply.authority.append(dns.rrset.from_text(zone, 60, "IN", "NS", *glue))
    for name, address in glue.items():
        if address:
            rtype = "AAAA" if ":" in address else "A"
            reply.additional.append(dns.rrset.from_text(name, 60, "IN", rtype, address))
    return reply.to_wire()


def address_of(number: int) -> str:
    """Address of the ``number``-th name server of ``evil.test``, from 0."""
    return f"127.0.1.{10 + number}"


def _delegate(state: State, query: dns.message.Message, address: str) -> bytes | None:
    """What leads to ``evil.test``; None if its own servers must answer."""
    name = query.question[0].name.to_text().lower()
    if address != PORT_HOLDER:
        return authoritative(query) if query.question[0].rdtype == dns.rdatatype.NS else None
    if not name.endswith("evil.test."):
        return authoritative(query)
    return referral(query, "evil.test.", {f"ns{i}.evil.test.": address_of(i) for i in range(state.servers)})


def huge(kind: str) -> Behaviour:
    """``state.size`` records (strings, options) in each answer to a question for an address."""

    def reply(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
        led = _delegate(state, query, address)
        if led is not None:
            return led
        question = _question(query)
        body = state.kept.setdefault(kind, _body(kind, state.size))
        counts = {"a": (state.size, 0), "txt": (1, 0), "options": (0, 1)}[kind]
        head = struct.pack("!HHHHHH", query.id, 0x8400, 1, counts[0], 0, counts[1])
        return (head + question + body)[: 65_507 if transport == "udp" else 65_535]

    return reply


def _question(query: dns.message.Message) -> bytes:
    asked = query.question[0]
    return bytes(asked.name.to_wire() or b"") + struct.pack("!HH", asked.rdtype, asked.rdclass)


def _body(kind: str, size: int) -> bytes:
    """Records that need no compression pointer except to the question's name."""
    if kind == "a":
        return b"".join(
            struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, 203, 0, i >> 8 & 255, i & 255) for i in range(size)
        )
    if kind == "txt":
        return struct.pack("!HHHIH", 0xC00C, 16, 1, 60, size) + b"\0" * size
    return struct.pack("!BHHIH", 0, 41, 1232, 0, 4 * size) + struct.pack("!HH", 65001, 0) * size


BEHAVIOURS: dict[str, Behaviour] = {
    "many-addresses": huge("a"),
    "many-strings": huge("txt"),
    "many-options": huge("options"),
}


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, str, str], bytes | None], address: str) -> None:
        self._answer, self._address = answer, address

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        wire = self._answer(data, self._address, "udp")
        if wire is not None:
            self._transport.sendto(wire, addr)


async def _serve(pipe: Connection, behaviour: str, state: State, addresses: list[str]) -> None:
    reply = BEHAVIOURS[behaviour]

    def answer(data: bytes, address: str, transport: str) -> bytes | None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        state.asked.append((address, transport, asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)))
        if state.truncate and transport == "udp":
            return struct.pack("!HHHHHH", query.id, 0x8600, 1, 0, 0, 0) + _question(query)
        return reply(state, query, address, transport)

    def stream(address: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):
                size = int.from_bytes(await reader.readexactly(2), "big")
                wire = answer(await reader.readexactly(size), address, "tcp")
                if wire is not None:
                    writer.write(len(wire).to_bytes(2, "big") + wire)
                    await writer.drain()
                await reader.read()
            writer.close()

        return connected

    loop = asyncio.get_running_loop()
    first = await asyncio.start_server(stream(addresses[0]), addresses[0], 0)
    port = first.sockets[0].getsockname()[1]
    for address in addresses:
        if address != addresses[0]:
            await asyncio.start_server(stream(address), address, port)
        await loop.create_datagram_endpoint(
            lambda address=address: _Udp(answer, address),  # type: ignore[misc]
            local_addr=(address, port),
        )
    pipe.send(port)
    ended = asyncio.Event()

    def command() -> None:
        try:
            pipe.recv()
            pipe.send(list(state.asked))
        except (EOFError, OSError):
            ended.set()

    loop.add_reader(pipe.fileno(), command)
    await ended.wait()


def _main(pipe: Connection, behaviour: str, state: State, addresses: list[str]) -> None:
    asyncio.run(_serve(pipe, behaviour, state, addresses))


class Evil:
    """Context manager: the running server."""

    def __init__(self, behaviour: str, servers: int = 2, size: int = 0, truncate: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        addresses = [PORT_HOLDER, *(address_of(i) for i in range(servers))]
        self._process = context.Process(
            target=_main,
            args=(theirs, behaviour, State(servers, size, truncate), addresses),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self.root = PORT_HOLDER
        self.port: int = self._pipe.recv()

    def asked(self) -> list[tuple[str, str, str, str]]:
        """Every question so far: address, transport, name, type."""
        self._pipe.send("asked")
        asked: list[tuple[str, str, str, str]] = self._pipe.recv()
        return asked

    def __enter__(self) -> Evil:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()
