"""One reply off the wire: what is refused unread, and where the rest is parsed."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.rdatatype

from mailegress.dns.query import ReplyTooLarge, Server

MAX_BYTES = 4096
"""A longer reply is refused before it is parsed. 64 addresses under one name need about 1,100 bytes."""

MAX_RECORDS = 256
"""A reply whose header announces more records, all sections together, is refused before it is parsed."""

_ON_LOOP = 512
"""Bytes. A longer reply is parsed in a thread. The worst reply of this length takes about 6 ms; one of 4,096 bytes
takes up to 100 ms, and many can arrive at once.
"""

_HEADER = 12
_QR, _OPCODE, _TC = 0x80, 0x78, 0x02

_parsers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dns-parser")
"""One thread: several would compete with the event loop for the interpreter."""


def encode(question: dns.message.Message) -> bytes:
    """The question as it is sent. dnspython's own encoder needs 8 ms for a name of 120 labels."""
    asked = question.question[0]
    edns = question.edns >= 0
    header = struct.pack("!HHHHHH", question.id, question.flags, 1, 0, 0, int(edns))
    data = header + bytes(asked.name.to_wire() or b"") + struct.pack("!HH", asked.rdtype, asked.rdclass)
    return data + struct.pack("!BHHIH", 0, dns.rdatatype.OPT, question.payload, 0, 0) if edns else data


def answers(data: bytes, question: dns.message.Message) -> bool:
    """Do ID, direction and opcode of the header fit the question? The rest of the reply is not read."""
    return (
        len(data) >= _HEADER
        and int.from_bytes(data[:2], "big") == question.id
        and bool(data[2] & _QR)
        and not data[2] & _OPCODE
    )


def truncated(data: bytes) -> bool:
    return bool(data[2] & _TC)


def check_size(server: Server, size: int, header: bytes = b"") -> None:
    """Errors: :class:`ReplyTooLarge` if the reply must not be parsed."""
    if size > MAX_BYTES:
        raise ReplyTooLarge(f"{server} sent a reply of {size} bytes; at most {MAX_BYTES} are read")
    records = sum(int.from_bytes(header[at : at + 2], "big") for at in range(6, min(len(header), _HEADER), 2))
    if records > MAX_RECORDS:
        raise ReplyTooLarge(f"{server} sent a reply of {records} records; at most {MAX_RECORDS} are read")


async def parse(data: bytes, question: dns.message.Message) -> dns.message.Message | None:
    """The reply; None if it cannot be read or is not about the question. Long ones are parsed in a thread."""
    if len(data) <= _ON_LOOP:
        return _parse(data, question)
    return await asyncio.get_running_loop().run_in_executor(_parsers, _parse, data, question)


def _parse(data: bytes, question: dns.message.Message) -> dns.message.Message | None:
    # dnspython raises more than its own exceptions on some malformed records.
    with contextlib.suppress(Exception):
        reply = dns.message.from_wire(data, ignore_trailing=True)
        if question.is_response(reply):
            return reply
    return None
