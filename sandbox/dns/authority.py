"""How an authoritative server answers (RFC 1034 §4.3.2, RFC 2308, RFC 4592), without any I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.dns.values import Records, Reply, RRSet, absolute, ancestors, is_within, labels
from sandbox.dns.zones import Zone

MAX_CHAIN = 16
"""CNAME links followed in one reply; resolvers give up at about this length as well."""

ZoneFinder = Callable[[str], Zone | None]
"""The most specific zone a server holds for a name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Outcome of the walk from the apex down to one name."""

    node: Records | None
    cut: str | None = None


def answer(find: ZoneFinder, qname: str, qtype: str, rd: bool = False) -> Reply:
    """One server's reply. REFUSED where it holds no zone for the name; referrals have AA off."""
    zone = find(qname)
    if zone is None or zone.lookup(zone.apex) is None:
        return Reply(qname, qtype, "REFUSED", rd=rd)
    chain: list[RRSet] = []
    name = qname
    while True:
        found = _walk(zone, name, qtype)
        if found.cut is not None:
            referral, additional = _referral(find, zone, found.cut)
            return Reply(
                qname,
                qtype,
                aa=bool(chain),
                rd=rd,
                answer=tuple(chain),
                authority=(referral,),
                additional=additional,
            )
        if found.node is None:
            return Reply(qname, qtype, "NXDOMAIN", aa=True, rd=rd, answer=tuple(chain), authority=_soa(zone))
        cname = found.node.get("CNAME")
        if cname is not None and qtype not in ("CNAME", "ANY"):
            chain.append(RRSet(name, "CNAME", cname[0], cname[1]))
            target = absolute(cname[1][0])
            seen = any(rrset.name == target for rrset in chain)
            if not seen and len(chain) < MAX_CHAIN and is_within(target, zone.apex) and find(target) is zone:
                name = target
                continue
            return Reply(qname, qtype, aa=True, rd=rd, answer=tuple(chain))
        rrsets = [RRSet(name, t, *found.node[t]) for t in found.node if qtype in (t, "ANY")]
        if not rrsets:
            return Reply(qname, qtype, aa=True, rd=rd, answer=tuple(chain), authority=_soa(zone))
        extra = tuple(g for r in rrsets if r.rtype == "NS" for g in _glue(find, zone, r))
        return Reply(qname, qtype, aa=True, rd=rd, answer=(*chain, *rrsets), additional=extra)


def _walk(zone: Zone, name: str, qtype: str) -> _Found:
    """From below the apex to ``name``: a zone cut on the way wins, then the node, then a wildcard."""
    path = ancestors(name)[: len(labels(name)) - len(labels(zone.apex)) + 1]
    closest = zone.apex
    for step in reversed(path):
        node = zone.lookup(step)
        if node is None:
            return _Found(zone.lookup("*." + closest))
        # The parent itself answers for DS at a cut (RFC 4035 §3.1.4.1).
        if step != zone.apex and "NS" in node and not (step == name and qtype == "DS"):
            return _Found(None, cut=step)
        closest = step
        if step == name:
            return _Found({} if qtype == "DS" and "NS" in node and step != zone.apex else node)
    return _Found(None)


def _referral(find: ZoneFinder, zone: Zone, cut: str) -> tuple[RRSet, tuple[RRSet, ...]]:
    ttl, servers = (zone.lookup(cut) or {})["NS"]
    rrset = RRSet(cut, "NS", ttl, tuple(absolute(server) for server in servers))
    return rrset, tuple(_glue(find, zone, rrset))


def _glue(find: ZoneFinder, zone: Zone, rrset: RRSet) -> list[RRSet]:
    """Addresses of name servers, as far as this server knows them from this or another zone of its own."""
    found = []
    for server in dict.fromkeys(absolute(value) for value in rrset.values):
        addresses = zone.glue(server)
        if not addresses and (other := find(server)) is not None:
            addresses = other.glue(server)
        if addresses:
            found.append(RRSet(server, "A", rrset.ttl, addresses))
    return found


def _soa(zone: Zone) -> tuple[RRSet, ...]:
    """The SOA with the TTL that Route 53 and others send in negative replies: the SOA record's own."""
    record = (zone.lookup(zone.apex) or {}).get("SOA")
    return () if record is None else (RRSet(zone.apex, "SOA", record[0], record[1]),)
