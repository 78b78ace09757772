"""Name servers that are no part of the sandbox: they listen on a loopback address, on the port that all share."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from sandbox.dns.values import Reply, RRSet

_TIMEOUT = 1.0
_LARGEST = 65535


def ask(address: str, port: int, qname: str, qtype: str) -> Reply | None:
    """What the server answers over UDP; None without an answer, or if the address is no loopback address."""
    if not ipaddress.ip_address(address).is_loopback:
        return None
    question = dns.message.make_query(qname, qtype, flags=0)
    with (
        contextlib.suppress(OSError, dns.exception.DNSException),
        socket.socket(type=socket.SOCK_DGRAM) as way,
    ):
        way.settimeout(_TIMEOUT)
        way.connect((address, port))
        way.send(question.to_wire())
        reply = dns.message.from_wire(way.recv(_LARGEST))
        if question.is_response(reply):
            return Reply(
                qname,
                qtype,
                dns.rcode.to_text(reply.rcode()),
                aa=bool(reply.flags & dns.flags.AA),
                answer=_rrsets(reply.answer),
                authority=_rrsets(reply.authority),
                additional=_rrsets(reply.additional),
            )
    return None


def _rrsets(section: Iterable[dns.rrset.RRset]) -> tuple[RRSet, ...]:
    return tuple(
        RRSet(
            rrset.name.to_text().lower(),
            dns.rdatatype.to_text(rrset.rdtype),
            rrset.ttl,
            tuple(sorted(rdata.to_text() for rdata in rrset)),
        )
        for rrset in section
    )
