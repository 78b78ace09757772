"""Names, record sets and replies as plain values.

Names are absolute text (trailing dot) in lower case; ``.`` is the root. Values of records are in master-file
form (RFC 1035 §5), so that both a simulation and the wire server can use the same reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

ROOT = "."
_UNESCAPED_DOT = re.compile(r"(?<!\\)(?:\\\\)*\.")

Records = Mapping[str, tuple[int, tuple[str, ...]]]
"""Record type → (TTL in seconds, values). An empty mapping is an empty non-terminal (RFC 8020)."""


def absolute(name: str) -> str:
    """``name`` in lower case with a trailing dot; empty text is the root."""
    name = name.lower()
    return name if name.endswith(".") and not name.endswith("\\.") else name + "."


def labels(name: str) -> list[str]:
    """The labels of an absolute name, leftmost first, without the root's empty label."""
    if name == ROOT:
        return []
    if "\\" not in name:
        return name[:-1].split(".")
    found, start = [], 0
    for match in _UNESCAPED_DOT.finditer(name):
        found.append(name[start : match.end() - 1])
        start = match.end()
    return found


def ancestors(name: str) -> list[str]:
    """``name`` and every name above it, longest first, ending in the root."""
    if "\\" in name:
        parts = labels(name)
        return [".".join(parts[i:]) + "." for i in range(len(parts))] + [ROOT]
    found = []
    rest = name
    while rest and rest != ROOT:
        found.append(rest)
        rest = rest.partition(".")[2]
    found.append(ROOT)
    return found


def is_within(name: str, apex: str) -> bool:
    """Whether ``name`` equals ``apex`` or lies below it (label-aligned)."""
    return apex == ROOT or name == apex or name.endswith("." + apex)


@dataclass(frozen=True, slots=True)
class RRSet:
    """All records of one name and type. ``ttl`` in seconds."""

    name: str
    rtype: str
    ttl: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one server answers. ``delay`` is how long it takes, in seconds, and is no part of the message.

    ``rcode`` is the mnemonic of the IANA registry (``NOERROR``, ``NXDOMAIN``, ``SERVFAIL``, …).
    """

    qname: str
    qtype: str
    rcode: str = "NOERROR"
    aa: bool = False
    tc: bool = False
    rd: bool = False
    ra: bool = False
    answer: tuple[RRSet, ...] = ()
    authority: tuple[RRSet, ...] = ()
    additional: tuple[RRSet, ...] = ()
    delay: float = 0.0

    def values(self, rtype: str | None = None) -> frozenset[str]:
        """Values of all answer records of ``rtype`` (default: the type asked for), whatever their owner."""
        wanted = rtype or self.qtype
        return frozenset(value for rrset in self.answer if rrset.rtype == wanted for value in rrset.values)

    def in_case_of(self, qname: str) -> Reply:
        """The same reply with the question's own spelling of the name (RFC 1035 §2.3.3, RFC 4343)."""
        if qname == self.qname:
            return self
        low = self.qname
        answer = tuple(replace(r, name=qname) if r.name == low else r for r in self.answer)
        return replace(self, qname=qname, answer=answer)


def soa(mname: str, rname: str, *, refresh: int, retry: int, expire: int, minimum: int) -> str:
    """SOA value with serial 1, which is what Route 53 always serves ("SOA and NS records")."""
    return f"{mname} {rname} 1 {refresh} {retry} {expire} {minimum}"


def negative_ttl(rrset: RRSet) -> int:
    """How long "no such record" may be cached: the lesser of SOA TTL and SOA minimum (RFC 2308 §5)."""
    return min(rrset.ttl, int(rrset.values[0].split()[-1]))
