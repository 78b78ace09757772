"""One SMTP connection: banner, EHLO, QUIT. No mail is offered, and no address of a person is named.

The server is not trusted: lines, replies and times are bounded, and texts are cleaned before they are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailegress.api.text import clean_text

PORT = 25
LINE = 2048
"""Octets of one line. RFC 5321 section 4.5.3.1.5 allows 512."""
LINES = 100
"""Lines of one reply."""
TEXT = 300
"""Characters of a reply that are kept."""
QUIT_SECONDS = 2.0

_REPLY = re.compile(rb"(?P<code>[2-5][0-9]{2})(?P<more>[ -]?)(?P<text>.*)", re.DOTALL)
_IPV4 = re.compile(r"(?<![\w.:-])(?:\d{1,3}\.){3}\d{1,3}(?![\w:-]|\.\w)")


class Connection(StrEnum):
    """How the connection ended up."""

    OPEN = "open"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NOT_TRIED = "notTried"


@dataclass(frozen=True, slots=True)
class Reply:
    """The code and the first line of a reply, cleaned."""

    code: int
    text: str

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class Conversation:
    """``problem``: why it ended early, in words. ``seen``: the client's addresses that the server named."""

    connection: Connection
    banner: Reply | None = None
    ehlo: Reply | None = None
    problem: str = ""
    seen: tuple[str, ...] = ()


class _Ended(Exception):
    """The server does not continue as SMTP wants it; the message says what was seen."""


async def converse(
    address: str, helo: str, seconds: float, reply_seconds: float, port: int = PORT
) -> Conversation:
    """Connect to an IPv4 address, greet and leave. ``seconds``: for the connection; ``reply_seconds``: each reply."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, port, limit=LINE)
    except TimeoutError:
        return Conversation(Connection.TIMEOUT, problem=f"no answer in {seconds:g} s")
    except ConnectionRefusedError:
        return Conversation(Connection.REFUSED, problem="connection refused")
    except OSError as error:
        return Conversation(Connection.UNREACHABLE, problem=clean_text(error.strerror or str(error), TEXT))
    banner = ehlo = None
    problem = ""
    try:
        banner = await _reply(reader, reply_seconds)
        if banner.positive:
            ehlo = await _say(reader, writer, f"EHLO {helo}", reply_seconds)
            if 500 <= ehlo.code < 600:
                # RFC 5321 section 3.2: an old server knows HELO only.
                ehlo = await _say(reader, writer, f"HELO {helo}", reply_seconds)
    except _Ended as error:
        problem = str(error)
    except OSError as error:
        problem = clean_text(f"the connection broke: {error.strerror or error}", TEXT)
    finally:
        await _leave(reader, writer)
    seen = client_addresses(
        [r.text for r in (banner, ehlo) if r is not None and _names_client(r, banner)], address
    )
    return Conversation(Connection.OPEN, banner, ehlo, problem, seen)


def client_addresses(texts: Sequence[str], server: str) -> tuple[str, ...]:
    """The IPv4 addresses in texts about the client, but for the server's own; each once."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _IPV4.finditer(text):
            try:
                address = ipaddress.IPv4Address(match[0])
            except ValueError:
                continue
            if str(address) != server:
                found[str(address)] = None
    return tuple(found)


def _names_client(reply: Reply, banner: Reply | None) -> bool:
    """An address in a welcome may be the server's own; in any other reply it is the client's."""
    return reply is not banner or not reply.positive


async def _say(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, seconds: float
) -> Reply:
    writer.write(line.encode("ascii") + b"\r\n")
    return await _reply(reader, seconds)


async def _reply(reader: asyncio.StreamReader, seconds: float) -> Reply:
    """The time is for the whole reply, so that a server that sends a line a second gains nothing."""
    try:
        async with asyncio.timeout(seconds):
            first: Reply | None = None
            for _ in range(LINES):
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    raise _Ended(f"the server sent a line of more than {LINE} octets") from None
                except asyncio.IncompleteReadError as error:
                    said = f" after {clean_text(_text(error.partial), 80)!r}" if error.partial else ""
                    raise _Ended(f"the server closed the connection{said}") from None
                match = _REPLY.fullmatch(line.rstrip(b"\r\n"))
                if match is None:
                    raise _Ended(f"this is no SMTP reply: {clean_text(_text(line), 80)!r}")
                reply = Reply(int(match["code"]), clean_text(_text(match["text"]), TEXT))
                first = first or reply
                if match["more"] != b"-":
                    return first
            raise _Ended(f"the server sent a reply of more than {LINES} lines")
    except TimeoutError:
        raise _Ended(f"the server sent no complete reply in {seconds:g} s") from None


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", errors="replace")


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """QUIT, and wait a moment for the answer, so that the server logs an orderly end."""
    with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.LimitOverrunError):
        async with asyncio.timeout(QUIT_SECONDS):
            writer.write(b"QUIT\r\n")
            await writer.drain()
            await reader.readline()
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(QUIT_SECONDS):
            await writer.wait_closed()
