"""A caching recursor: iteration from the root, positive and negative caches (RFC 1034, RFC 2308)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.dns.authority import MAX_CHAIN
from sandbox.dns.layout import Timing
from sandbox.dns.values import ROOT, Reply, RRSet, absolute, ancestors, is_within, negative_ttl

MAX_QUERIES = 64
"""Queries and look-ups of servers for one question; BIND's ``max-recursion-queries`` is of this order."""
MAX_DEPTH = 6
"""Nested look-ups of name-server addresses."""
MAX_ENTRIES = 100_000
"""Entries kept; the oldest go first."""

Ask = Callable[[str, str, str, str], Reply | None]
"""(server address, name, type, transport) → reply, or None if there is none."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of one (name, type). ``rrset`` None: known not to exist, or to fail (``rcode``)."""

    rcode: str
    rrset: RRSet | None
    soa: RRSet | None
    expires: float


@dataclass(slots=True)
class _Budget:
    """What one question may still cost, and the server names whose addresses are being looked up for it."""

    queries: int = 0
    delay: float = 0.0
    resolving: set[str] = field(default_factory=set)


class Recursor:
    """``caching`` off makes it forget everything between two questions."""

    def __init__(
        self,
        name: str,
        ask: Ask,
        roots: Mapping[str, str],
        clock: Callable[[], float],
        timing: Timing,
        *,
        caching: bool = True,
    ) -> None:
        self.name = name
        self.caching = caching
        self.ttl_scale = timing.ttl_scale
        self._ask, self._roots, self._clock, self._timing = ask, roots, clock, timing
        self._cache: dict[tuple[str, str], _Entry] = {}
        self._cuts: dict[str, _Entry] = {}
        self._turn = 0

    # -- the question -------------------------------------------------------------------------------------

    def resolve(self, qname: str, qtype: str, rd: bool = True) -> Reply:
        """Answer as a recursor does: RA=1, AA=0. Without RD only from the cache."""
        if not self.caching:
            self.flush()
        if qtype == "ANY":
            return Reply(qname, qtype, "NOTIMP", rd=rd, ra=True)  # RFC 8482 lets a server decline
        budget = _Budget()
        chain: list[RRSet] = []
        name, rcode = qname, "NOERROR"
        authority: tuple[RRSet, ...] = ()
        for _ in range(MAX_CHAIN):
            entry = self._cached(name, qtype) or (self._fetch(name, qtype, budget, 0) if rd else None)
            if entry is None:
                return self._from_cache_only(qname, qtype, chain)
            rcode = entry.rcode
            if entry.rrset is None:
                authority = (self._aged(entry.soa, entry),) if entry.soa is not None else ()
                break
            chain.append(self._aged(entry.rrset, entry))
            if entry.rrset.rtype == qtype or entry.rrset.rtype != "CNAME":
                break
            name = absolute(entry.rrset.values[0])
        else:
            rcode = "SERVFAIL"
        if rcode == "SERVFAIL":
            chain, authority = [], ()
        return Reply(
            qname, qtype, rcode, rd=rd, ra=True, answer=tuple(chain), authority=authority, delay=budget.delay
        )

    def flush(self, name: str | None = None) -> int:
        """Forget everything, or one name and all below it. Returns the number of entries dropped."""
        if name is None:
            count = len(self._cache) + len(self._cuts)
            self._cache.clear()
            self._cuts.clear()
            return count
        apex = absolute(name)
        keys = [key for key in self._cache if is_within(key[0], apex)]
        cuts = [cut for cut in self._cuts if is_within(cut, apex)]
        for key in keys:
            del self._cache[key]
        for cut in cuts:
            del self._cuts[cut]
        return len(keys) + len(cuts)

    def cached(self) -> list[dict[str, object]]:
        """Live cache entries with their remaining seconds."""
        now = self._clock()
        rows: list[dict[str, object]] = []
        for (name, rtype), entry in sorted(self._cache.items()):
            if entry.expires > now:
                values = list(entry.rrset.values) if entry.rrset else []
                kind = entry.rrset.rtype if entry.rrset else rtype
                left = round(entry.expires - now, 3)
                rows.append(
                    {"name": name, "type": kind, "rcode": entry.rcode, "values": values, "expires_in": left}
                )
        return rows

    # -- caches -------------------------------------------------------------------------------------------

    def _cached(self, name: str, qtype: str) -> _Entry | None:
        now = self._clock()
        # An NXDOMAIN covers every type (RFC 2308 §5), a CNAME every type but its own.
        for key in ((name, qtype), (name, "NXDOMAIN"), (name, "CNAME")):
            entry = self._cache.get(key)
            if entry is None:
                continue
            if entry.expires <= now:
                del self._cache[key]
            elif key[1] != "CNAME" or entry.rrset is not None:
                return entry
        return None

    def _store(self, key: tuple[str, str], entry: _Entry) -> _Entry:
        while len(self._cache) >= MAX_ENTRIES:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = entry
        return entry

    def _until(self, ttl: float) -> float:
        return self._clock() + ttl * self.ttl_scale

    def _aged(self, rrset: RRSet, entry: _Entry) -> RRSet:
        left = max(0, math.ceil(entry.expires - self._clock()))
        return RRSet(rrset.name, rrset.rtype, min(rrset.ttl, left), rrset.values)

    def _from_cache_only(self, qname: str, qtype: str, chain: list[RRSet]) -> Reply:
        roots = RRSet(ROOT, "NS", self._timing.delegation_ttl, tuple(self._roots))
        return Reply(qname, qtype, ra=True, answer=tuple(chain), authority=() if chain else (roots,))

    # -- iteration ----------------------------------------------------------------------------------------

    def _fetch(self, name: str, qtype: str, budget: _Budget, depth: int) -> _Entry:
        """Walk from the deepest known zone cut towards ``name`` and cache what is learnt."""
        cut, servers = self._start(name, qtype)
        while True:
            reply = self._ask_any(cut, servers, name, qtype, budget, depth)
            if reply is None:
                return self._fail(name, qtype)
            lower = _referral(reply, cut, name)
            if lower is not None:
                self._learn_cut(lower, reply)
                cut, servers = lower.name, lower.values
                continue
            return self._learn(name, qtype, reply)

    def _start(self, name: str, qtype: str) -> tuple[str, tuple[str, ...]]:
        now = self._clock()
        above = ancestors(name)
        for cut in above[1:] if qtype == "DS" and name != ROOT else above:
            entry = self._cuts.get(cut)
            if entry is not None and entry.rrset is not None and entry.expires > now:
                return cut, entry.rrset.values
        return ROOT, tuple(self._roots)

    def _ask_any(
        self, cut: str, servers: tuple[str, ...], name: str, qtype: str, budget: _Budget, depth: int
    ) -> Reply | None:
        """The first usable reply of a zone's servers, starting at a different one each time."""
        self._turn += 1
        for i in range(len(servers)):
            server = servers[(self._turn + i) % len(servers)]
            for address in self._addresses(server, cut, budget, depth):
                if budget.queries >= MAX_QUERIES:
                    return None
                reply = self._send(address, name, qtype, budget)
                if reply is not None and (
                    (reply.aa and reply.rcode in ("NOERROR", "NXDOMAIN")) or _referral(reply, cut, name)
                ):
                    return reply
        return None

    def _send(self, address: str, name: str, qtype: str, budget: _Budget) -> Reply | None:
        for transport in ("udp", "tcp"):
            budget.queries += 1
            reply = self._ask(address, name, qtype, transport)
            if reply is None:
                budget.delay += self._timing.upstream_timeout
                return None
            budget.delay += reply.delay
            if not reply.tc:
                return reply
        return None

    def _addresses(self, server: str, cut: str, budget: _Budget, depth: int) -> tuple[str, ...]:
        if cut == ROOT and server in self._roots:
            return (self._roots[server],)
        entry = self._cached(server, "A")
        may = depth < MAX_DEPTH and budget.queries < MAX_QUERIES and server not in budget.resolving
        if entry is None and may:
            # Servers inside their own zone without glue would lead in circles, each a little different.
            budget.queries += 1
            budget.resolving.add(server)
            entry = self._fetch(server, "A", budget, depth + 1)
            budget.resolving.discard(server)
        if entry is None or entry.rrset is None or entry.rrset.rtype != "A":
            return ()
        return entry.rrset.values

    # -- learning -----------------------------------------------------------------------------------------

    def _learn_cut(self, rrset: RRSet, reply: Reply) -> None:
        self._cuts[rrset.name] = _Entry("NOERROR", rrset, None, self._until(rrset.ttl))
        for extra in reply.additional:
            # Glue is taken only for the servers just named, and never over something better known.
            if extra.rtype == "A" and extra.name in rrset.values and self._cached(extra.name, "A") is None:
                self._store((extra.name, "A"), _Entry("NOERROR", extra, None, self._until(extra.ttl)))

    def _learn(self, name: str, qtype: str, reply: Reply) -> _Entry:
        own = [rrset for rrset in reply.answer if rrset.name == name]
        direct = next((r for r in own if r.rtype == qtype), None)
        alias = next((r for r in own if r.rtype == "CNAME"), None)
        for rrset in (direct, alias):
            if rrset is not None:
                entry = _Entry("NOERROR", rrset, None, self._until(rrset.ttl))
                return self._store((name, rrset.rtype), entry)
        soa = next((r for r in reply.authority if r.rtype == "SOA"), None)
        # Without a SOA the answer must not be cached (RFC 2308 §2.2).
        ttl = 0 if soa is None else negative_ttl(soa)
        if soa is not None:
            soa = RRSet(soa.name, "SOA", ttl, soa.values)
        entry = _Entry(reply.rcode, None, soa, self._until(ttl))
        return self._store((name, "NXDOMAIN" if reply.rcode == "NXDOMAIN" else qtype), entry)

    def _fail(self, name: str, qtype: str) -> _Entry:
        ttl = self._timing.failure_ttl
        return self._store((name, qtype), _Entry("SERVFAIL", None, None, self._until(ttl)))


def _referral(reply: Reply, cut: str, name: str) -> RRSet | None:
    """The NS set of a zone below ``cut`` on the way to ``name``; anything else is no progress and ignored."""
    if reply.aa or reply.answer or reply.rcode != "NOERROR":
        return None
    for rrset in reply.authority:
        if (
            rrset.rtype == "NS"
            and rrset.name != cut
            and is_within(rrset.name, cut)
            and is_within(name, rrset.name)
        ):
            return rrset
    return None
