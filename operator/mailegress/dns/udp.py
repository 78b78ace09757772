"""Questions on the wire: UDP with EDNS, TCP after truncation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from mailegress.dns.query import DnsTimeout, Server

EDNS_PAYLOAD = 1232
"""Octets that pass any path unfragmented (DNS Flag Day 2020)."""

_SLOW = 0.25
"""Seconds; nearly every answer in the world is there by then."""

# What EDNS-ignorant servers say to an OPT record (RFC 6891 section 7).
_NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})


class UdpQuery:
    """The :class:`~mailegress.dns.query.DnsQuery` of the real world.

    Every try has its own time limit of ``timeout`` seconds; waiting for a place does not count.
    ``max_queries`` are in flight at once; one that has waited for ``_SLOW`` seconds gives its place away,
    since silence costs no work and silent servers would otherwise hold up all others; ``max_waiting`` bounds
    the sockets. A reply counts only if ID, opcode, question and source fit (RFC 5452); anything else on the
    socket is ignored until the time is up. Nothing is cached and no resolver configuration of the host is
    read.
    """

    def __init__(
        self,
        *,
        timeout: float = 2.0,
        max_queries: int = 32,
        max_waiting: int = 256,
        tcp_retry: bool = True,
    ) -> None:
        self._timeout = timeout
        self._tcp_retry = tcp_retry
        self._places = asyncio.Semaphore(max_queries)
        self._sockets = asyncio.Semaphore(max(max_waiting, max_queries))

    async def __call__(
        self, server: Server, name: str, rtype: dns.rdatatype.RdataType, *, recurse: bool
    ) -> dns.message.Message:
        async with self._sockets, self._place():
            reply = await self._ask(server, name, rtype, recurse, edns=True)
            if reply.rcode() in _NO_EDNS:
                reply = await self._ask(server, name, rtype, recurse, edns=False)
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
        self, server: Server, name: str, rtype: dns.rdatatype.RdataType, recurse: bool, *, edns: bool
    ) -> dns.message.Message:
        question = dns.message.make_query(
            name,
            rtype,
            use_edns=0 if edns else -1,
            payload=EDNS_PAYLOAD,
            flags=dns.flags.RD if recurse else 0,
        )
        try:
            return await dns.asyncquery.udp(
                question,
                server.address,
                timeout=self._timeout,
                port=server.port,
                ignore_unexpected=True,
                ignore_trailing=True,
                raise_on_truncation=True,
                ignore_errors=True,
            )
        except dns.message.Truncated:
            return await self._over_tcp(server, question, "the reply over UDP was truncated")
        except (dns.exception.DNSException, OSError, EOFError) as error:
            if not self._tcp_retry:
                raise DnsTimeout(f"{server} gave no answer over UDP") from error
            return await self._over_tcp(server, question, "no answer over UDP")

    async def _over_tcp(self, server: Server, question: dns.message.Message, why: str) -> dns.message.Message:
        try:
            # dnspython counts its timeout per step (connect, send, receive); the outer one bounds their sum.
            async with asyncio.timeout(self._timeout):
                return await dns.asyncquery.tcp(
                    question, server.address, timeout=self._timeout, port=server.port, ignore_trailing=True
                )
        except (dns.exception.DNSException, OSError, EOFError, TimeoutError) as error:
            raise DnsTimeout(f"{server}: {why}, nor over TCP") from error
