"""One reply off the wire: what is refused unread, and how the rest is read."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Generator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.mxbase
import dns.rdtypes.nsbase
import dns.rrset
import dns.wire

from mailegress.dns.query import ReplyTooLarge, Server
from mailegress.dns.turns import Turns

MAX_BYTES = 4096
"""A longer reply is refused before it is parsed. 64 addresses under one name need about 1,100 bytes."""

MAX_RECORDS = 256
"""A reply whose header announces more records, all sections together, is refused before it is parsed."""

_PIECE = 0.002
"""Seconds for which records of one reply are read before another one's turn; the last one may take longer.

Replies are read on the loop and not in a thread: a busy thread keeps the interpreter for 5 ms after each system call
of the loop, and the loop makes several for each question.
"""

_TEXT_BYTES = 1024
"""A longer TXT record is kept as it is, not split into its strings: no ownership record is so long."""

_HEADER = 12
_QR, _OPCODE, _TC = 0x80, 0x78, 0x02
_LONGEST_TTL = 0x7FFFFFFF
_POINTER = 0xC0
_LABEL = 63
_PLAIN = frozenset({dns.rdatatype.A, dns.rdatatype.AAAA})
_TARGETS = frozenset({dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.PTR})


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


async def parse(data: bytes, question: dns.message.Message, turns: Turns) -> dns.message.Message | None:
    """The reply; None if it cannot be read or is not about the question. Read in pieces; other replies come between."""
    records = _read(data)
    while not (read := await turns(lambda: _some(records))):
        pass
    # dnspython raises more than its own exceptions on some malformed records.
    with contextlib.suppress(Exception):
        if read[0] is not None and question.is_response(read[0]):
            return read[0]
    return None


def _some(records: Generator[None, None, dns.message.Message]) -> tuple[dns.message.Message | None] | None:
    """Read a few more records: the reply at its end (None in it: malformed), None before."""
    until = time.perf_counter() + _PIECE
    try:
        while time.perf_counter() < until:
            next(records)
    except StopIteration as end:
        return (end.value,)
    except Exception:
        return (None,)
    return None


def _read(data: bytes) -> Generator[None, None, dns.message.Message]:
    """Read one record at a time.

    dnspython's own reader cannot be interrupted, and takes 1.8 s for the worst reply of ``MAX_BYTES``. Here types that
    nobody asks for are not taken apart.
    """
    parser = dns.wire.Parser(data)
    names = _Names(parser)
    ident, flags, questions, *counts = parser.get_struct("!HHHHHH")
    reply = dns.message.QueryMessage(id=ident)
    reply.flags = dns.flags.Flag(flags)
    if questions > 1:
        raise dns.exception.FormError  # RFC 9619
    for _ in range(questions):
        name = names.read()
        number, in_class = parser.get_struct("!HH")
        rdclass, rdtype = dns.rdataclass.RdataClass.make(in_class), dns.rdatatype.RdataType.make(number)
        reply.find_rrset(reply.question, name, rdclass, rdtype, create=True)
    for section, count in zip((reply.answer, reply.authority, reply.additional), counts, strict=True):
        for _ in range(count):
            _read_record(parser, names, reply, section)
            yield
    return reply


def _read_record(
    parser: dns.wire.Parser, names: _Names, reply: dns.message.Message, section: list[dns.rrset.RRset]
) -> None:
    name = names.read()
    number, in_class, ttl, size = parser.get_struct("!HHIH")
    rdtype = dns.rdatatype.RdataType.make(number)
    if rdtype == dns.rdatatype.OPT:
        if section is not reply.additional or reply.opt is not None or name != dns.name.root:
            raise dns.message.BadEDNS
        # Its options are of no use; what counts are the bits of the response code.
        parser.get_bytes(size)
        reply.use_edns(ttl >> 16 & 0xFF, ttl, in_class)
        return
    if rdtype == dns.rdatatype.TSIG:
        raise dns.message.UnknownTSIGKey  # no question is signed
    rdclass = dns.rdataclass.RdataClass.make(in_class)
    with parser.restrict_to(size):
        rdata = _read_data(parser, names, rdclass, rdtype)
    rrset = reply.find_rrset(section, name, rdclass, rdtype, create=True)
    rrset.add(rdata, ttl if ttl <= _LONGEST_TTL else 0)


def _read_data(
    parser: dns.wire.Parser,
    names: _Names,
    rdclass: dns.rdataclass.RdataClass,
    rdtype: dns.rdatatype.RdataType,
) -> dns.rdata.Rdata:
    if rdclass == dns.rdataclass.IN:
        if rdtype in _PLAIN:
            return dns.rdata.from_wire_parser(rdclass, rdtype, parser)
        if rdtype in _TARGETS:
            return _Target(rdclass, rdtype, names.read())  # type: ignore[no-untyped-call]
        if rdtype == dns.rdatatype.MX:
            (preference,) = parser.get_struct("!H")
            return _Exchange(rdclass, rdtype, preference, names.read())  # type: ignore[no-untyped-call]
        if rdtype == dns.rdatatype.SOA:
            both = names.read(), names.read()
            return _Soa(rdclass, rdtype, *both, *parser.get_struct("!IIIII"))  # type: ignore[no-untyped-call]
        if rdtype == dns.rdatatype.TXT and parser.remaining() <= _TEXT_BYTES:
            return _Text.from_wire_parser(rdclass, rdtype, parser)
    return dns.rdata.GenericRdata(rdclass, rdtype, parser.get_remaining())


class _Names:
    """Reads names; what a compression pointer leads to is read once for the whole reply."""

    def __init__(self, parser: dns.wire.Parser) -> None:
        self._parser = parser
        self._known: dict[int, dns.name.Name] = {}

    def read(self) -> dns.name.Name:
        parser, start = self._parser, self._parser.current
        labels: list[bytes] = []
        while True:
            size = parser.get_uint8()
            if size & _POINTER == _POINTER:
                target = (size & ~_POINTER) << 8 | parser.get_uint8()
                if target >= start:
                    raise dns.name.BadPointer
                known = self._at(target)
                return dns.name.Name((*labels, *known.labels)) if labels else known
            if size > _LABEL:
                raise dns.name.BadLabelType
            labels.append(parser.get_bytes(size))
            if not size:
                return dns.name.Name(labels)

    def _at(self, target: int) -> dns.name.Name:
        if target not in self._known:
            with self._parser.restore_furthest():
                self._parser.seek(target)
                self._known[target] = self._parser.get_name(decompress=True)
        return self._known[target]


# A record set compares its records by their digest. dnspython's takes 5 ms for a name of 120 labels, these 0.05.


class _Target(dns.rdtypes.nsbase.NSBase):
    """A record that is one name: NS, CNAME, PTR."""

    def to_digestable(self, origin: dns.name.Name | None = None) -> bytes:
        return self.target.to_digestable(origin)


class _Exchange(dns.rdtypes.mxbase.MXBase):
    """An MX record."""

    def to_digestable(self, origin: dns.name.Name | None = None) -> bytes:
        return struct.pack("!H", self.preference) + self.exchange.to_digestable(origin)


class _Soa(dns.rdtypes.ANY.SOA.SOA):
    def to_digestable(self, origin: dns.name.Name | None = None) -> bytes:
        numbers = (self.serial, self.refresh, self.retry, self.expire, self.minimum)
        names = self.mname.to_digestable(origin) + self.rname.to_digestable(origin)
        return names + struct.pack("!IIIII", *numbers)


class _Text(dns.rdtypes.ANY.TXT.TXT):
    def to_digestable(self, origin: dns.name.Name | None = None) -> bytes:
        return b"".join(bytes([len(text)]) + text for text in self.strings)
