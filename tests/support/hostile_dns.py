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

SILENT = "127.0.1.2"
"""Takes questions and never answers (behaviour ``silent``)."""

LONG = dns.name.from_text("a." * 118 + "long.evil.test.")


@dataclass
class State:
    """What a behaviour may keep. ``servers``: name servers of ``evil.test``."""

    servers: int
    size: int = 0
    inside: tuple[str, ...] = ()
    """Addresses of name servers (behaviour ``inside``)."""
    truncate: bool = False
    """Over UDP every reply is empty and truncated."""
    together: float = 0.0
    """Seconds after the first question at which all replies over UDP are sent at once."""
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
        if query.question[0].rdtype != dns.rdatatype.NS:
            return None
        own = [f"evil.test. 60 NS ns{i}.evil.test." for i in range(state.servers)]
        return authoritative(query, *(own if name == "evil.test." else ()))
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
        counts = {
            "a": (state.size, 0, 0), "txt": (1, 0, 0), "names": (0, state.size, 0), "options": (0, 0, 1)
        }[kind]  # fmt: skip
        head = struct.pack("!HHHHHH", query.id, 0x8400, 1, *counts)
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
    if kind == "names":
        # Each with an owner and a target of its own; all but the first label of both are the question's.
        own = [bytes([1, i, 0xC0, 0x0E]) for i in range(size)]
        return b"".join(name + struct.pack("!HHIH", 2, 1, 60, len(name)) + name for name in own)
    return struct.pack("!BHHIH", 0, 41, 1232, 0, 4 * size) + struct.pack("!HH", 65001, 0) * size


def fresh_alias(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Every answer is an alias that was never named before."""
    led = _delegate(state, query, address)
    if led is not None:
        return led
    state.fresh += 1
    return authoritative(query, f"{query.question[0].name} 60 CNAME f{state.fresh}.evil.test.")


def alias_circle(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """``size`` names, each the alias of the next, the last of the first."""
    led = _delegate(state, query, address)
    if led is not None:
        return led
    first = query.question[0].name.labels[0].decode()
    number = int(first[1:]) if first[1:].isdigit() else 0
    return authoritative(query, f"{query.question[0].name} 60 CNAME c{(number + 1) % state.size}.evil.test.")


def server_tree(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Every zone is delegated to name servers in zones that were never named before, without their addresses."""
    labels = query.question[0].name.labels
    if len(labels) < 3:
        return authoritative(query)
    zone = f"{labels[-3].decode()}.test."
    servers = {}
    for _ in range(state.servers):
        state.fresh += 1
        servers[f"ns.z{state.fresh}.test."] = ""
    return referral(query, zone, servers)


def server_chain(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """The name server of each zone is in the next one, ``size`` zones in a circle."""
    labels = query.question[0].name.labels
    if len(labels) < 3:
        return authoritative(query)
    first = labels[-3].decode()
    number = int(first[1:]) if first[1:].isdigit() else 0
    return referral(query, f"{first}.test.", {f"ns.z{(number + 1) % state.size}.test.": ""})


def many_servers(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """All name servers agree; there are too many."""
    led = _delegate(state, query, address)
    return authoritative(query, f"{query.question[0].name} 60 A 203.0.113.5") if led is None else led


def large(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """No attack: a chain of 8 aliases to 64 addresses, with DNSSEC records."""
    led = _delegate(state, query, address)
    if led is not None:
        return led
    number = int(query.question[0].name.labels[0][1:])
    signature = "13 3 60 20300101000000 20200101000000 12345 evil.test. " + "A" * 88
    name = query.question[0].name
    if number < 8:
        return authoritative(
            query, f"{name} 60 CNAME c{number + 1}.evil.test.", f"{name} 60 RRSIG CNAME {signature}"
        )
    reply = dns.message.from_wire(authoritative(query, f"{name} 60 RRSIG A {signature}"))
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *(f"203.0.113.{i}" for i in range(64))))
    return reply.to_wire()


def long_glue(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Each name is delegated once more, to as many name servers with long names and glue as a reply may hold."""
    led = _delegate(state, query, address)
    if led is not None and query.question[0].name.to_text().count(".") < 4:
        return led
    question = _question(query)
    servers, glue, at = b"", b"", 12 + len(question)
    for i in range(state.size):
        target = bytes([4]) + b"n%03d" % i + b"\xc0\x0c"
        at += 12
        servers += struct.pack("!HHHIH", 0xC00C, 2, 1, 60, len(target)) + target
        address_of_it = bytes([127, 0, 1, 10 + i % state.servers])
        glue += struct.pack("!HHHIH", 0xC000 | at, 1, 1, 60, 4) + address_of_it
        at += len(target)
    return struct.pack("!HHHHHH", query.id, 0x8000, 1, 0, state.size, state.size) + question + servers + glue


def many_own(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Each name server names ``size`` others with long names for its zone, which no other names."""
    if address == PORT_HOLDER or query.question[0].rdtype != dns.rdatatype.NS:
        return many_servers(state, query, address, transport)
    if query.question[0].name.to_text().lower() != "evil.test.":
        return authoritative(query)
    question = _question(query)
    rest = struct.pack("!H", 0xC000 | 12 + len(question) + 12 + 6)
    server = b"%02x" % int(address.rpartition(".")[2])
    body = b""
    for i in range(state.size):
        target = b"\x05" + server + b"%03d" % i + (rest if body else bytes(LONG.to_wire() or b"")[6:])
        body += struct.pack("!HHHIH", 0xC00C, 2, 1, 60, len(target)) + target
    return struct.pack("!HHHHHH", query.id, 0x8400, 1, state.size, 0, 0) + question + body


def silent(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Every name below ``dead`` is delegated to servers that do not answer; ``evil.test`` works."""
    labels = query.question[0].name.labels
    if address == SILENT:
        return None
    if address == PORT_HOLDER and b"dead" in labels:
        if len(labels) < 4:
            return authoritative(query)
        zone = query.question[0].name.split(4)[1].to_text()
        return referral(query, zone, {f"ns{i}.{zone}": SILENT for i in range(16)})
    return many_servers(state, query, address, transport)


def no_edns(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """Every question is refused as malformed, with EDNS and without, so that it is repeated."""
    led = _delegate(state, query, address)
    if led is not None:
        return led
    if query.edns >= 0:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.FORMERR)
        return reply.to_wire()
    return fresh_alias(state, query, address, transport)


def inside(state: State, query: dns.message.Message, address: str, transport: str) -> bytes | None:
    """``glueN.test`` has glue with the N-th address; the name server of ``awayN.test`` has it in another zone."""
    labels = query.question[0].name.labels
    if len(labels) < 3 or address != PORT_HOLDER:
        name = query.question[0].name
        number = labels[-3][4:].decode() if len(labels) > 2 else ""
        if len(labels) < 4 or query.question[0].rdtype != dns.rdatatype.A or not number:
            return authoritative(query)
        return authoritative(query, f"{name} 60 A {state.inside[int(number)]}")
    zone = labels[-3].decode()
    kind, number = zone[:4], zone[4:]
    if kind == "glue":
        return referral(query, f"{zone}.test.", {f"ns.{zone}.test.": state.inside[int(number)]})
    if kind == "away":
        return referral(query, f"{zone}.test.", {f"ns.host{number}.test.": ""})
    return referral(query, f"{zone}.test.", {f"ns0.{zone}.test.": address_of(0)})


BEHAVIOURS: dict[str, Behaviour] = {
    "fresh-alias": fresh_alias,
    "alias-circle": alias_circle,
    "server-tree": server_tree,
    "server-chain": server_chain,
    "many-servers": many_servers,
    "no-edns": no_edns,
    "large": large,
    "long-glue": long_glue,
    "many-own": many_own,
    "silent": silent,
    "inside": inside,
    "many-addresses": huge("a"),
    "many-names": huge("names"),
    "many-strings": huge("txt"),
    "many-options": huge("options"),
}


class _Udp(asyncio.DatagramProtocol):
    def __init__(
        self, answer: Callable[[bytes, str, str], bytes | None], address: str, together: float
    ) -> None:
        self._answer, self._address, self._together = answer, address, together
        self._held: list[tuple[bytes, Any]] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        wire = self._answer(data, self._address, "udp")
        if wire is None:
            return
        if not self._together:
            self._transport.sendto(wire, addr)
            return
        if not self._held:
            asyncio.get_running_loop().call_later(self._together, self._send_held)
        self._held.append((wire, addr))

    def _send_held(self) -> None:
        for wire, addr in self._held:
            self._transport.sendto(wire, addr)
        self._held.clear()


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
            lambda address=address: _Udp(answer, address, state.together),  # type: ignore[misc]
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

    def __init__(
        self,
        behaviour: str,
        servers: int = 2,
        size: int = 0,
        truncate: bool = False,
        inside: tuple[str, ...] = (),
        together: float = 0.0,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        addresses = [PORT_HOLDER, SILENT, *(address_of(i) for i in range(servers))]
        self._process = context.Process(
            target=_main,
            args=(theirs, behaviour, State(servers, size, inside, truncate, together), addresses),
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
