"""The reader of replies says what dnspython's own says, of whatever arrives."""

from __future__ import annotations

import random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mailegress.dns import wire
from mailegress.dns.turns import Turns

NAME = "Mta.Example.com."
UNREAD = {dns.rdatatype.RRSIG, dns.rdatatype.RdataType.make(65280)}
"""Types that are kept as they are."""

RECORDS = [
    (0, f"{NAME} 300 A 203.0.113.5"),
    (0, f"{NAME} 200 A 203.0.113.6"),
    (0, f"{NAME} 300 AAAA 2001:db8::5"),
    (0, f"alias.{NAME} 60 CNAME {NAME}"),
    (0, '_mailegress.mta.example.com. 60 TXT "heritage=mailegress" "two"'),
    (0, '_mailegress.mta.example.com. 60 TXT "other"'),
    (0, f"5.113.0.203.in-addr.arpa. 60 PTR {NAME}"),
    (0, f"{NAME} 60 RRSIG A 13 3 60 20300101000000 20200101000000 12345 example.com. " + "A" * 88),
    (0, f"{NAME} 60 TYPE65280 \\# 4 01020304"),
    (1, "example.com. 3600 NS ns1.example.com."),
    (1, "example.com. 3600 NS NS1.Example.com."),
    (1, "example.com. 3600 NS ns2.example.net."),
    (1, "example.com. 4294967295 SOA ns1.example.com. root.example.com. 1 7200 900 1209600 60"),
    (2, "ns1.example.com. 3600 A 192.0.2.1"),
    (2, "ns1.example.com. 3600 AAAA 2001:db8::1"),
    (0, f"{NAME} 60 MX 10 Mx.Example.com."),
    (0, f"{NAME} 60 MX 10 mx.example.com."),
    (0, f"{NAME} 60 MX 20 mx.example.com."),
    (0, "example.net. 60 MX 0 ."),
]


def reply_with(*numbers: int, edns: bool = True) -> tuple[dns.message.Message, dns.message.Message]:
    question = dns.message.make_query(NAME, "A", use_edns=0)
    reply = dns.message.make_response(question)
    reply.flags |= dns.flags.AA
    for number in numbers:
        section, text = RECORDS[number]
        name, ttl, rtype, data = text.split(" ", 3)
        new = dns.rrset.from_text(name, min(int(ttl), 2**31 - 1), "IN", rtype, data)
        reply.find_rrset(reply.sections[section + 1], new.name, new.rdclass, new.rdtype, create=True).update(
            new
        )
    reply.use_edns(0 if edns else -1, options=[dns.edns.GenericOption(65001, b"x")])
    return question, reply


def shown(reply: dns.message.Message | None) -> object:
    """What is used of a reply."""
    if reply is None:
        return None
    sections = [
        sorted(
            (r.name.to_text(), r.rdclass, r.rdtype, r.ttl, sorted(rdata.to_text() for rdata in r))
            for r in section
            if r.rdtype not in UNREAD
        )
        for section in (reply.answer, reply.authority, reply.additional)
    ]
    # Of the others only that they are there.
    unread = [sum(len(r) for r in s if r.rdtype in UNREAD) for s in (reply.answer, reply.authority)]
    return sections, unread, reply.flags, reply.rcode(), reply.edns, reply.question


def expected(data: bytes, question: dns.message.Message) -> dns.message.Message | None:
    try:
        reply = dns.message.from_wire(data, ignore_trailing=True)
        return reply if question.is_response(reply) else None
    except Exception:
        return None


async def test_replies_are_read_as_dnspython_reads_them() -> None:
    rng = random.Random(7)
    for _ in range(300):
        numbers = rng.sample(range(len(RECORDS)), rng.randint(0, len(RECORDS)))
        question, reply = reply_with(*numbers, edns=rng.random() < 0.7)
        data = reply.to_wire()
        assert shown(await wire.parse(data, question, Turns())) == shown(expected(data, question)) != None  # noqa: E711


async def test_damaged_replies_are_refused_or_read_as_dnspython_reads_them() -> None:
    """Types that are not taken apart may be damaged inside, and so may options: then this reader reads more."""
    rng = random.Random(11)
    refused, read = 0, 0
    for _ in range(3000):
        question, reply = reply_with(*rng.sample(range(len(RECORDS)), 6), edns=rng.random() < 0.5)
        data = bytearray(reply.to_wire())
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(12, len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(12, len(data)) :]
        wanted = expected(bytes(data), question)
        found = await wire.parse(bytes(data), question, Turns())
        if wanted is None:
            refused += found is None
            continue
        read += 1
        assert found is not None, bytes(data)
    assert refused > 1000
    assert read > 200


@pytest.mark.parametrize("rcode", [dns.rcode.BADVERS, dns.rcode.NOERROR, dns.rcode.FORMERR])
async def test_the_upper_bits_of_the_response_code_are_read(rcode: dns.rcode.Rcode) -> None:
    question, reply = reply_with()
    reply.set_rcode(rcode)
    found = await wire.parse(reply.to_wire(), question, Turns())
    assert found is not None
    assert found.rcode() == rcode
