"""Questions on the wire: UDP with EDNS, TCP after truncation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from mailegress.dns import budget, wire
from mailegress.dns.query import DnsTimeout, Server
from mailegress.dns.turns import Turns

EDNS_PAYLOAD = 1232
"""Octets that pass any path unfragmented (DNS Flag Day 2020)."""

_SLOW = 0.25
"""Seconds; nearly every answer has arrived by then."""

_CANDIDATES = 4
"""Replies parsed for one question; a server that sends more that do not fit counts as silent."""

# What EDNS-ignorant servers say to an OPT record (RFC 6891 section 7).
_NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})


class UdpQuery:
    """The :class:`~mailegress.dns.query.DnsQuery` of the real world.

    Every try has its own time limit of ``timeout`` seconds; waiting for a place, and reading the reply, do not count.
    ``max_queries`` are in flight at once; one that has waited for ``_SLOW`` seconds gives its place away,
    since silence costs no work and silent servers would otherwise hold up all others. How many wait, and with them
    the sockets, is bounded by who asks (:mod:`mailegress.dns.counted_query`). A reply counts only if ID, opcode,
    question and source fit (RFC 5452); anything else on the socket is ignored until the time is up. A reply that is too
    large (see :mod:`mailegress.dns.wire`) is refused unread. Questions are made, and replies are read, for a few
    milliseconds in each turn of the event loop. Nothing is cached and no resolver configuration of the host is read.
    """

    def __init__(
        self,
        *,
        timeout: float = 2.0,
        max_queries: int = 32,
        tcp_retry: bool = True,
    ) -> None:
        self._timeout = timeout
        self._tcp_retry = tcp_retry
        self._places = asyncio.Semaphore(max_queries)
        self._turns = Turns()

    async def __call__(
        self,
        server: Server,
        name: str,
        rtype: dns.rdatatype.RdataType,
        *,
        recurse: bool,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        async with self._place():
            reply = await self._ask(
                server, name, rtype, recurse, edns=True, checking_disabled=checking_disabled
            )
            if reply.rcode() in _NO_EDNS:
                budget.current().spend()
                reply = await self._ask(
                    server, name, rtype, recurse, edns=False, checking_disabled=checking_disabled
                )
            return reply

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        await self._places.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(_SLOW, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    async def _ask(
        self,
        server: Server,
        name: str,
        rtype: dns.rdatatype.RdataType,
        recurse: bool,
        *,
        edns: bool,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        question = await self._turns(
            lambda: dns.message.make_query(
                name,
                rtype,
                use_edns=0 if edns else -1,
                payload=EDNS_PAYLOAD,
                flags=(dns.flags.RD if recurse else 0) | (dns.flags.CD if checking_disabled else 0),
            )
        )
        try:
            return await self._over_udp(server, question)
        except _Truncated:
            return await self._over_tcp(server, question, "the reply over UDP was truncated")
        except (OSError, TimeoutError) as error:
            if not self._tcp_retry:
                raise DnsTimeout(f"{server} gave no answer over UDP") from error
            return await self._over_tcp(server, question, "no answer over UDP")

    async def _over_udp(self, server: Server, question: dns.message.Message) -> dns.message.Message:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        # Connected: the kernel drops what comes from elsewhere.
        async with asyncio.timeout_at(deadline):
            transport, receiver = await loop.create_datagram_endpoint(
                lambda: _Receiver(question), remote_addr=(server.address, server.port)
            )
        try:
            transport.sendto(wire.encode(question))
            for _ in range(_CANDIDATES):
                async with asyncio.timeout_at(deadline):
                    data = await receiver.next()
                if wire.truncated(data):
                    raise _Truncated
                wire.check_size(server, len(data), data)
                reply = await wire.parse(data, question, self._turns)
                if reply is not None:
                    return reply
        finally:
            transport.close()
        raise TimeoutError

    async def _over_tcp(self, server: Server, question: dns.message.Message, why: str) -> dns.message.Message:
        budget.current().spend()
        sent = await self._turns(lambda: wire.encode(question))
        try:
            async with asyncio.timeout(self._timeout):
                data = await self._through_stream(server, sent)
        except (OSError, EOFError, TimeoutError) as error:
            raise DnsTimeout(f"{server}: {why}, nor over TCP") from error
        wire.check_size(server, len(data), data)
        reply = await wire.parse(data, question, self._turns) if wire.answers(data, question) else None
        if reply is None:
            raise DnsTimeout(f"{server}: {why}, and the reply over TCP cannot be read")
        return reply

    async def _through_stream(self, server: Server, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server.address, server.port)
        try:
            writer.write(len(sent).to_bytes(2, "big") + sent)
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire.check_size(server, size)
            return await reader.readexactly(size)
        finally:
            writer.transport.abort()


class _Truncated(Exception):
    """The reply over UDP announces a longer one over TCP."""


class _Receiver(asyncio.DatagramProtocol):
    """Keeps the datagrams whose header fits the question, at most ``_CANDIDATES``."""

    def __init__(self, question: dns.message.Message) -> None:
        self._question = question
        self._arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(_CANDIDATES)

    async def next(self) -> bytes:
        """Errors: :class:`OSError` if the network reports one for the socket."""
        arrived = await self._arrived.get()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def datagram_received(self, data: bytes, addr: object) -> None:
        if wire.answers(data, self._question):
            self._put(data)

    def error_received(self, exc: Exception) -> None:
        self._put(exc)

    def _put(self, arrived: bytes | Exception) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._arrived.put_nowait(arrived)
