"""Reading one reply: pure functions from a message to what it states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from mailegress.model.dns import AnswerKind

NAME_LENGTH = 255
"""Characters of a name as shown; escaped octets can make it longer than any legal one."""

TEXTS, TEXT_LENGTH = 4, 255
"""TXT values of one name, and characters of each, that are kept: an ownership record is a single short one."""

_CHAIN = 16
"""Links of a CNAME chain read from one reply; a longer one ends in no address."""


@dataclass(frozen=True, slots=True)
class Referral:
    """A delegation as a parent publishes it."""

    zone: dns.name.Name
    name_servers: tuple[dns.name.Name, ...]
    ttl: int
    glue: Mapping[dns.name.Name, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one reply says of ``name A`` or ``name PTR``."""

    kind: AnswerKind
    values: tuple[str, ...] = ()
    """Addresses, or PTR targets as absolute escaped text."""
    ttl: int = 0
    alias: dns.name.Name | None = None
    """Target of the first CNAME."""
    referral: Referral | None = None


def absolute(name: str) -> dns.name.Name:
    """The absolute name of a text that may lack its trailing dot. Errors: dnspython's for malformed names."""
    return dns.name.from_text(name, origin=dns.name.root)


def shown(name: dns.name.Name) -> str:
    r"""Lower case, no trailing dot, control and non-ASCII octets as ``\DDD``; the root is ``.``."""
    return name.to_text(omit_final_dot=True).lower()[:NAME_LENGTH]


def in_order(names: Iterable[dns.name.Name]) -> tuple[dns.name.Name, ...]:
    """The names in canonical order (RFC 4034 section 6.1), each once. Sorting long ones as they are takes 20 times as
    long.
    """
    found = {tuple(label.lower() for label in reversed(name.labels)): name for name in names}
    return tuple(found[key] for key in sorted(found))


def failure(reply: dns.message.Message) -> AnswerKind | None:
    """The kind of a reply whose response code states nothing about the name, else None."""
    rcode = reply.rcode()
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return AnswerKind.REFUSED if rcode in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) else AnswerKind.SERVFAIL


def authoritative(reply: dns.message.Message) -> bool:
    return bool(reply.flags & dns.flags.AA)


def intercepted(reply: dns.message.Message) -> bool:
    """Did a resolver answer in place of the authoritative server? Its answers have the flag RA and lack AA."""
    return bool(reply.flags & dns.flags.RA) and not authoritative(reply) and failure(reply) is None


def read_referral(reply: dns.message.Message, asked: dns.name.Name, zone: dns.name.Name) -> Referral | None:
    """The delegation that a server of ``zone`` refers to, strictly below it and at or above ``asked``.

    Upward and sideways referrals are those of lame servers and are ignored. A server that holds parent and
    child answers for the child itself; its NS set is taken then, since no other is to be had from it.
    """
    if failure(reply) is not None or intercepted(reply) or reply.rcode() == dns.rcode.NXDOMAIN:
        return None
    sections: list[Iterable[dns.rrset.RRset]] = []
    if authoritative(reply):
        sections.append(r for r in reply.answer if r.name == asked)
    if not reply.answer and not any(r.rdtype == dns.rdatatype.SOA for r in reply.authority):
        sections.append(reply.authority)
    for section in sections:
        for rrset in section:
            below = rrset.name != zone and rrset.name.is_subdomain(zone)
            if _is(rrset, dns.rdatatype.NS) and below and asked.is_subdomain(rrset.name):
                names = in_order(rdata.target for rdata in rrset)
                return Referral(rrset.name, names, rrset.ttl, _glue(reply, names, zone))
    return None


def read_own_servers(
    reply: dns.message.Message, zone: dns.name.Name
) -> tuple[tuple[dns.name.Name, ...], int]:
    """The NS set that an authoritative server holds for its zone itself, sorted, and its TTL; empty without AA."""
    if failure(reply) is not None or not authoritative(reply):
        return (), 0
    rrset = _find(reply.answer, zone, dns.rdatatype.NS)
    return ((), 0) if rrset is None else (in_order(rdata.target for rdata in rrset), rrset.ttl)


def _glue(
    reply: dns.message.Message, names: Iterable[dns.name.Name], zone: dns.name.Name
) -> dict[dns.name.Name, tuple[str, ...]]:
    """Addresses of those name servers that the answering zone may speak for (RFC 2181 section 5.4.1)."""
    glue: dict[dns.name.Name, tuple[str, ...]] = {}
    # By name, because comparing each name server with each record is slow for long names.
    known: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[dns.rrset.RRset]] = {}
    for rrset in reply.additional:
        known.setdefault((rrset.name, rrset.rdtype), []).append(rrset)
    for name in names:
        if not name.is_subdomain(zone):
            continue
        # IPv6 only where there is no IPv4: many clusters have no IPv6 route to the outside.
        for rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            found = _values(known.get((name, rdtype), ()), name, rdtype)
            if found:
                glue[name] = found
                break
    return glue


def read_authority(
    reply: dns.message.Message,
    name: dns.name.Name,
    zone: dns.name.Name,
    rdtype: dns.rdatatype.RdataType = dns.rdatatype.A,
) -> Statement:
    """What a server that should be authoritative for ``zone`` says of ``name A`` (or PTR); only AA makes it a
    statement.

    The chain behind a first CNAME is not read: the server need not be authoritative for its target.
    """
    kind = failure(reply)
    if kind is not None:
        return Statement(kind)
    if intercepted(reply):
        return Statement(AnswerKind.INTERCEPTED)
    if not authoritative(reply):
        return Statement(AnswerKind.LAME, referral=read_referral(reply, name, zone))
    alias = _find(reply.answer, name, dns.rdatatype.CNAME)
    if alias is not None:
        return Statement(AnswerKind.ANSWER, ttl=alias.ttl, alias=next(iter(alias)).target)
    return _data(reply, name, rdtype, None)


def read_recursive(
    reply: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> Statement:
    """What a resolver says of ``name rdtype``, CNAMEs (RFC 2317 included) followed within its answer."""
    kind = failure(reply)
    if kind is not None:
        return Statement(kind)
    if not reply.answer and not reply.flags & (dns.flags.RA | dns.flags.AA):
        return Statement(AnswerKind.LAME)  # a referral: whoever this is, it does not resolve
    first: dns.name.Name | None = None
    limit: int | None = None
    for _ in range(_CHAIN):
        link = _find(reply.answer, name, dns.rdatatype.CNAME)
        if link is None:
            break
        name = next(iter(link)).target
        first = first or name
        limit = link.ttl if limit is None else min(limit, link.ttl)
    found = _data(reply, name, rdtype, first)
    ttl = found.ttl if limit is None else min(limit, found.ttl)
    return Statement(found.kind, found.values, ttl, first)


def _data(
    reply: dns.message.Message,
    name: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    alias: dns.name.Name | None,
) -> Statement:
    values = _values(reply.answer, name, rdtype)
    if values:
        rrset = _find(reply.answer, name, rdtype)
        return Statement(AnswerKind.ANSWER, values, rrset.ttl if rrset is not None else 0, alias)
    kind = AnswerKind.NXDOMAIN if reply.rcode() == dns.rcode.NXDOMAIN else AnswerKind.NODATA
    return Statement(kind, ttl=negative_ttl(reply), alias=alias)


def negative_ttl(reply: dns.message.Message) -> int:
    """RFC 2308 section 5: the lesser of the SOA's TTL and its MINIMUM field; 0 without an SOA."""
    for rrset in reply.authority:
        if _is(rrset, dns.rdatatype.SOA):
            return min(rrset.ttl, *(int(rdata.minimum) for rdata in rrset))
    return 0


def read_text(reply: dns.message.Message, name: dns.name.Name) -> tuple[str, ...] | None:
    """The TXT values at a name, quoted as Route 53 lists them; empty = there are none, None = no statement."""
    if failure(reply) is not None or not authoritative(reply):
        return None
    rrset = _find(reply.answer, name, dns.rdatatype.TXT)
    if rrset is None:
        # An alias or a referral says nothing of the TXT set itself.
        return None if reply.answer else ()
    return tuple(sorted({rdata.to_text()[:TEXT_LENGTH] for rdata in rrset})[:TEXTS])


def _is(rrset: dns.rrset.RRset, rdtype: dns.rdatatype.RdataType) -> bool:
    return rrset.rdclass == dns.rdataclass.IN and rrset.rdtype == rdtype and len(rrset) > 0


def _find(
    section: Iterable[dns.rrset.RRset], name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    return next((r for r in section if r.name == name and _is(r, rdtype)), None)


def _values(
    section: Iterable[dns.rrset.RRset], name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> tuple[str, ...]:
    rrset = _find(section, name, rdtype)
    if rrset is None:
        return ()
    if rdtype == dns.rdatatype.PTR:
        return tuple(sorted({rdata.target.canonicalize().to_text() for rdata in rrset}))
    if rdtype == dns.rdatatype.TXT:
        return tuple(sorted(b"".join(rdata.strings).decode("latin-1") for rdata in rrset))
    if rdtype == dns.rdatatype.MX:
        ordered = sorted(rrset, key=lambda rdata: int(rdata.preference))
        return tuple(rdata.exchange.canonicalize().to_text() for rdata in ordered)
    return tuple(sorted({rdata.address for rdata in rrset}))
