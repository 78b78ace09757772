"""UDP and TCP sockets for every server of a world: one port, one loopback address each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable

from sandbox.dns.codec import TCP_SIZE, Refusal, Request, decode, encode
from sandbox.dns.values import Reply

log = logging.getLogger(__name__)

Answer = Callable[[str, str, str, bool, str], Reply | None]
"""(server address, name, type, RD, transport) → reply; None = stay silent."""

_DRAIN = 32
"""Datagrams taken per readiness event: asyncio's own datagram transport takes one, at half the speed."""
_BUFFER = 1 << 20
_IDLE = 10.0
"""Seconds an idle TCP connection is kept (RFC 7766 §6.2.3 asks for a few)."""
_ATTEMPTS = 20


class DnsSockets:
    """Listens on all ``addresses``. ``port`` 0 picks a free one that all addresses share."""

    def __init__(self, addresses: list[str], answer: Answer, port: int = 0) -> None:
        self.port = port
        self._addresses, self._answer = addresses, answer
        self._udp: list[socket.socket] = []
        self._tcp: list[asyncio.Server] = []
        self._late: set[asyncio.TimerHandle] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open all sockets. Raises OSError if the port is taken, or none is free after 20 attempts."""
        for attempt in range(_ATTEMPTS):
            try:
                await self._open(self.port)
                return
            except OSError as error:
                await self.stop()
                if self.port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                    raise

    async def stop(self) -> None:
        """Close everything; replies that were still delayed are not sent."""
        loop = asyncio.get_running_loop()
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        for sock in self._udp:
            loop.remove_reader(sock)
            sock.close()
        self._udp.clear()
        for server in self._tcp:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for server in self._tcp:
            await server.wait_closed()
        self._tcp.clear()

    async def _open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for address in self._addresses:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            sock.bind((address, port))
            port = sock.getsockname()[1]

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: str = address
            ) -> None:
                await self._connection(at, reader, writer)

            self._tcp.append(await asyncio.start_server(serve, address, port))
        for address, sock in zip(self._addresses, self._udp, strict=True):
            loop.add_reader(sock, self._readable, address, sock)
        self.port = port

    # -- UDP ----------------------------------------------------------------------------------------------

    def _readable(self, address: str, sock: socket.socket) -> None:
        for _ in range(_DRAIN):
            try:
                wire, peer = sock.recvfrom(TCP_SIZE)
            except OSError:  # nothing left, or an ICMP error of an earlier send
                return
            wire_out, delay = self._respond(address, wire, "udp")
            if wire_out is None:
                continue
            if delay > 0:
                self._send_later(sock, wire_out, peer, delay)
            else:
                _send(sock, wire_out, peer)

    def _send_later(self, sock: socket.socket, wire: bytes, peer: tuple[str, int], delay: float) -> None:
        def send() -> None:
            self._late.discard(timer)
            _send(sock, wire, peer)

        timer = asyncio.get_running_loop().call_later(delay, send)
        self._late.add(timer)

    # -- TCP ----------------------------------------------------------------------------------------------

    async def _connection(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            while True:
                async with asyncio.timeout(_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    wire = await reader.readexactly(size)
                wire_out, delay = self._respond(address, wire, "tcp")
                if delay > 0:
                    await asyncio.sleep(delay)
                if wire_out is not None:
                    writer.write(len(wire_out).to_bytes(2, "big") + wire_out)
                    await writer.drain()
        writer.close()

    # -- both ---------------------------------------------------------------------------------------------

    def _respond(self, address: str, wire: bytes, transport: str) -> tuple[bytes | None, float]:
        """The reply and the seconds to wait before sending it."""
        request = decode(wire)
        if isinstance(request, Refusal):
            return request.wire, 0.0
        limit = request.limit if transport == "udp" else TCP_SIZE
        try:
            reply = self._answer(address, request.qname, request.qtype, request.rd, transport)
        except Exception:  # one odd name must not stop the server; the trace tells what is wrong with it
            log.exception("no answer for %s %s at %s", request.qname, request.qtype, address)
            reply = _failure(request)
        if reply is None:
            return None, 0.0
        return encode(reply, request.ident, edns=request.edns, limit=limit), reply.delay


def _failure(request: Request) -> Reply:
    return Reply(request.qname, request.qtype, "SERVFAIL", rd=request.rd)


def _send(sock: socket.socket, wire: bytes, peer: tuple[str, int]) -> None:
    # A full buffer or a client that has gone loses the datagram, which is what UDP promises.
    with contextlib.suppress(OSError):
        sock.sendto(wire, peer)
