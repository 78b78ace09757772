"""Between DNS messages and replies as values."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from sandbox.dns.values import Reply, RRSet

PLAIN_UDP = 512
"""Largest reply over UDP without EDNS (RFC 1035 §4.2.1)."""
EDNS_UDP = 1232
"""Largest UDP reply these servers send, and the size they advertise (DNS flag day 2020)."""
TCP_SIZE = 65535
_HEADER = 12


@dataclass(frozen=True, slots=True)
class Request:
    """A question that can be answered. ``limit``: largest reply over UDP in bytes."""

    ident: int
    qname: str
    qtype: str
    rd: bool
    edns: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered at once with an error; ``wire`` None: not answered at all."""

    wire: bytes | None


def decode(wire: bytes) -> Request | Refusal:
    """Read one message. Never raises: garbage is dropped, a broken request is answered with its error."""
    if len(wire) < _HEADER or wire[2] & 0x80:  # answering a response could start a loop
        return Refusal(None)
    if (wire[2] >> 3) & 0xF != dns.opcode.QUERY:
        return _refuse(wire, dns.rcode.NOTIMP)
    try:
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, struct.error, IndexError):
        return _refuse(wire, dns.rcode.FORMERR)
    if len(message.question) != 1:
        return _refuse(wire, dns.rcode.FORMERR)
    question = message.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return _refuse(wire, dns.rcode.REFUSED)
    if question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
        return _refuse(wire, dns.rcode.REFUSED)
    edns = message.edns >= 0
    return Request(
        message.id,
        question.name.to_text(),
        dns.rdatatype.to_text(question.rdtype),
        bool(message.flags & dns.flags.RD),
        edns,
        min(max(message.payload, PLAIN_UDP), EDNS_UDP) if edns else PLAIN_UDP,
    )


def encode(reply: Reply, ident: int, *, edns: bool, limit: int) -> bytes:
    """The message for a reply; TC=1 with empty sections where it is longer than ``limit`` bytes.

    Values that are no valid records (user data may be anything) become SERVFAIL.
    """
    if reply.delay:
        reply = replace(reply, delay=0.0)
    return ident.to_bytes(2, "big") + _encode(reply, edns, limit)


@lru_cache(maxsize=8192)
def _encode(reply: Reply, edns: bool, limit: int) -> bytes:
    try:
        return _message(reply, edns).to_wire(max_size=limit)[2:]
    except dns.exception.TooBig:
        short = replace(reply, tc=True, answer=(), authority=(), additional=())
        return _message(short, edns).to_wire(max_size=TCP_SIZE)[2:]
    except (dns.exception.DNSException, ValueError):
        broken = Reply(reply.qname, reply.qtype, "SERVFAIL", rd=reply.rd, ra=reply.ra)
        return _message(broken, edns).to_wire(max_size=TCP_SIZE)[2:]


def _message(reply: Reply, edns: bool) -> dns.message.QueryMessage:
    message = dns.message.QueryMessage(id=0)
    message.flags = dns.flags.QR
    for on, flag in (
        (reply.aa, dns.flags.AA),
        (reply.tc, dns.flags.TC),
        (reply.rd, dns.flags.RD),
        (reply.ra, dns.flags.RA),
    ):
        if on:
            message.flags |= flag
    if edns:
        message.use_edns(0, payload=EDNS_UDP)
    message.set_rcode(dns.rcode.from_text(reply.rcode))
    rdtype = dns.rdatatype.from_text(reply.qtype)
    message.question = [dns.rrset.RRset(dns.name.from_text(reply.qname), dns.rdataclass.IN, rdtype)]
    message.answer = _section(reply.answer)
    message.authority = _section(reply.authority)
    message.additional = _section(reply.additional)
    return message


def _section(rrsets: Iterable[RRSet]) -> list[dns.rrset.RRset]:
    return [
        dns.rrset.from_rdata_list(
            dns.name.from_text(rrset.name), rrset.ttl, [_rdata(rrset.rtype, value) for value in rrset.values]
        )
        for rrset in rrsets
        if rrset.values
    ]


@lru_cache(maxsize=32768)
def _rdata(rtype: str, value: str) -> dns.rdata.Rdata:
    kind = dns.rdatatype.from_text(rtype)
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False)


def _refuse(wire: bytes, rcode: dns.rcode.Rcode) -> Refusal:
    """Header only: same ID, opcode and RD, QR set, no sections."""
    flags = 0x8000 | ((wire[2] << 8) & 0x7900) | int(rcode)
    return Refusal(wire[:2] + flags.to_bytes(2, "big") + bytes(8))
