"""The walk from the root to the zone cut that resolvers use for a name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from mailegress.aio.ttl_cache import AgingCache
from mailegress.dns.counted_query import Asker, kind_of
from mailegress.dns.query import DnsTimeout, Server
from mailegress.dns.replies import (
    Referral,
    authoritative,
    failure,
    intercepted,
    read_authority,
    read_own_servers,
    read_referral,
    shown,
)
from mailegress.dns.settings import DnsSettings
from mailegress.model.dns import AnswerKind
from mailegress.model.facts import NEVER

_SERVERS_TRIED = 5
"""Servers of one zone asked before a step counts as failed."""

_OWN_SERVERS_SECONDS = 60.0
"""A zone's own NS set is believed for at most this long: it is edited like any record, and shared by its names."""

_NESTING = 4
"""Walks within walks for name servers without glue."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A zone as its parent delegates it."""

    zone: dns.name.Name
    name_servers: tuple[dns.name.Name, ...]
    glue: Mapping[dns.name.Name, tuple[str, ...]] = field(default_factory=dict)
    ttl: int = 0
    """Seconds: of the NS record set as the parent publishes it; 0 for the root."""

    @property
    def is_root(self) -> bool:
        return bool(self.zone == dns.name.root)


class WalkIntercepted(DnsTimeout):
    """Something between the operator and the servers answers in their place."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a walk ended. ``trouble``: what the servers said that should have known the next step; a deeper
    cut may exist then. None = every step was answered.
    """

    cut: Cut
    trouble: AnswerKind | None = None


@dataclass(slots=True)
class _Trip:
    """Depth of one walk and of the walks it needs for its name servers."""

    resolving: frozenset[dns.name.Name] = frozenset()

    def inner(self, name: dns.name.Name) -> _Trip | None:
        """A trip for a name server's address; None if it would go in circles or too deep."""
        if name in self.resolving or len(self.resolving) >= _NESTING:
            return None
        return _Trip(resolving=self.resolving | {name})


class Walker:
    """Iterative look-ups; never asks a recursive resolver.

    One question ``label-by-label NS`` per step: a plain question for the full name would not show the cut
    where one server holds parent and child. Cuts and server addresses are believed for their TTL within
    ``min_cache_seconds`` .. ``delegation_seconds``.
    """

    def __init__(
        self, settings: DnsSettings, ask: Asker, clock: Callable[[], float], rng: random.Random
    ) -> None:
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._rng = rng
        self._cuts: AgingCache[_Folded, Cut | None] = AgingCache(clock, settings.cache_entries)
        self._addresses: AgingCache[dns.name.Name, tuple[str, ...]] = AgingCache(
            clock, settings.cache_entries
        )
        self._own_servers: AgingCache[tuple[dns.name.Name, dns.name.Name], tuple[dns.name.Name, ...]] = (
            AgingCache(clock, settings.cache_entries)
        )
        names = tuple(dns.name.from_text(f"root-{i}.invalid.") for i in range(len(settings.roots)))
        self._root_servers = dict(zip(names, settings.roots, strict=True))
        self._root = Cut(dns.name.root, names)

    async def find_cut(self, name: dns.name.Name, not_before: float = NEVER) -> Path:
        """The deepest delegation at or above ``name``; nothing read before ``not_before`` is used.

        Errors: :class:`DnsTimeout` if not even a root server answers.
        """
        return await self._walk(name, not_before, _Trip())

    async def delegation(self, zone: dns.name.Name, not_before: float) -> tuple[str, ...]:
        """The NS set the parent publishes for ``zone``, sorted; empty if the parent knows of none.

        Errors: :class:`DnsTimeout` if no server of the parent says so or otherwise.
        """
        path = await self.find_cut(zone, not_before)
        if path.cut.zone == zone:
            return tuple(sorted(shown(name) for name in path.cut.name_servers))
        if path.trouble is not None:
            error = WalkIntercepted if path.trouble is AnswerKind.INTERCEPTED else DnsTimeout
            raise error(
                f"no server of {shown(path.cut.zone)} tells whether {shown(zone)} is delegated "
                f"({path.trouble.value})"
            )
        return ()

    async def servers(self, cut: Cut, name_server: dns.name.Name) -> tuple[Server, ...]:
        """The addresses of one of the cut's name servers; empty if it has none.

        Errors: :class:`DnsTimeout` if they cannot be found out.
        """
        return await self._servers(cut, name_server, _Trip())

    async def addresses(self, name: dns.name.Name, not_before: float) -> tuple[str, ...]:
        """The addresses of a name server by its name alone; nothing read before ``not_before`` is used.

        Errors: :class:`DnsTimeout` if they cannot be found out.
        """
        return await self._resolve(name, _Trip(), not_before)

    async def own_servers(self, cut: Cut, name_server: dns.name.Name) -> tuple[dns.name.Name, ...]:
        """The NS set that one of the cut's name servers holds for the zone itself; empty if it does not answer.

        Resolvers follow it instead of the parent's as soon as they have seen it (RFC 2181 section 5.4.1).
        """
        known = self.known_own_servers(cut, name_server)
        if known is not None:
            return known
        at = self._clock()
        try:
            for server in (await self.servers(cut, name_server))[:2]:
                try:
                    reply = await self._ask("authority", server, cut.zone, dns.rdatatype.NS)
                except DnsTimeout:
                    continue
                names, ttl = read_own_servers(reply, cut.zone)
                self._ask.count("authority", AnswerKind.ANSWER if names else AnswerKind.LAME)
                if names:
                    seconds = min(self._seconds(ttl), _OWN_SERVERS_SECONDS)
                    self._own_servers.put((cut.zone, name_server), names, at, seconds)
                return names
        except DnsTimeout:
            pass  # its address cannot be found
        return ()

    def known_own_servers(self, cut: Cut, name_server: dns.name.Name) -> tuple[dns.name.Name, ...] | None:
        """The last result of :meth:`own_servers`, without a query; None if there is none."""
        kept = self._own_servers.get((cut.zone, name_server), NEVER)
        return None if kept is None else kept.value

    def server_name(self, cut: Cut, name_server: dns.name.Name) -> str:
        return str(self._root_servers[name_server]) if cut.is_root else shown(name_server)

    def learn(self, referral: Referral) -> Cut:
        """Remember a delegation that another query returned."""
        return self._keep(referral, self._clock())

    def forget(self, name: dns.name.Name, cut: Cut) -> None:
        """Drop what is believed of the way to ``name`` below the top-level domain: the servers disagree with
        it.
        """
        folded = _fold(name)
        for labels in range(3, len(name) + 1):
            self._cuts.drop(folded[-labels:])
        for name_server in cut.name_servers:
            self._addresses.drop(name_server)
            self._own_servers.drop((cut.zone, name_server))

    async def _walk(self, name: dns.name.Name, not_before: float, trip: _Trip) -> Path:
        cut = self._root
        folded = _fold(name)
        for labels in range(2, len(name) + 1):
            if labels <= len(cut.zone):
                continue
            known = self._cuts.get(folded[-labels:], not_before)
            if known is not None:
                cut = known.value or cut
                continue
            step = name.split(labels)[1]
            at = self._clock()
            reply = await self._step(cut, step, trip)
            if isinstance(reply, AnswerKind):
                if cut.is_root and reply is AnswerKind.TIMEOUT:
                    raise DnsTimeout("no root server answers the operator's questions")
                return Path(cut, reply)
            referral = read_referral(reply, step, cut.zone)
            if referral is not None:
                cut = self._keep(referral, at)
            else:
                self._cuts.put(folded[-labels:], None, at, self._settings.delegation_seconds)
        return Path(cut)

    def _keep(self, referral: Referral, at: float) -> Cut:
        cut = Cut(referral.zone, referral.name_servers, referral.glue, referral.ttl)
        self._cuts.put(_fold(cut.zone), cut, at, self._seconds(referral.ttl))
        return cut

    def _seconds(self, ttl: int) -> float:
        return min(max(ttl, self._settings.min_cache_seconds), self._settings.delegation_seconds)

    async def _step(self, cut: Cut, step: dns.name.Name, trip: _Trip) -> dns.message.Message | AnswerKind:
        """A reply of one of the cut's servers that settles whether ``step`` is a zone cut; else how they
        failed.

        One server first; if it is no help the others at once, so that a dead zone costs two time limits, not
        five.
        """
        name_servers = list(cut.name_servers)
        self._rng.shuffle(name_servers)
        # Those with known addresses first: they cost no further walk.
        name_servers.sort(key=lambda n: not (cut.is_root or n in cut.glue))
        trouble = AnswerKind.TIMEOUT
        for group in (name_servers[:1], name_servers[1:_SERVERS_TRIED]):
            tasks = [asyncio.ensure_future(self._useful(cut, n, step, trip)) for n in group]
            try:
                for done in asyncio.as_completed(tasks):
                    said = await done
                    if not isinstance(said, AnswerKind):
                        return said
                    if said is not AnswerKind.TIMEOUT:
                        trouble = said
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return trouble

    async def _useful(
        self, cut: Cut, name_server: dns.name.Name, step: dns.name.Name, trip: _Trip
    ) -> dns.message.Message | AnswerKind:
        role = "root" if cut.is_root else "parent"
        failed = AnswerKind.TIMEOUT
        try:
            for server in (await self._servers(cut, name_server, trip))[:2]:
                try:
                    reply = await self._ask(role, server, step, dns.rdatatype.NS)
                except DnsTimeout as error:
                    failed = kind_of(error)
                    continue
                kind = _step_kind(reply, step, cut.zone)
                self._ask.count(role, kind)
                return reply if kind.answered else kind
        except DnsTimeout:
            pass  # its address cannot be found, or the budget is spent
        return failed

    async def _servers(self, cut: Cut, name_server: dns.name.Name, trip: _Trip) -> tuple[Server, ...]:
        if cut.is_root:
            return (self._root_servers[name_server],)
        addresses = cut.glue.get(name_server) or await self._resolve(name_server, trip)
        label = shown(name_server)
        return tuple(Server(label, a, self._settings.authority_port) for a in addresses)

    async def _resolve(self, name: dns.name.Name, trip: _Trip, not_before: float = NEVER) -> tuple[str, ...]:
        """A name server's addresses, by a walk of their own."""
        kept = self._addresses.get(name, not_before)
        if kept is not None:
            return kept.value
        inner = trip.inner(name)
        if inner is None:
            raise DnsTimeout(f"the address of name server {shown(name)} depends on itself")
        at = self._clock()
        cut = (await self._walk(name, not_before, inner)).cut
        if name in cut.glue:
            addresses, ttl = cut.glue[name], int(self._settings.delegation_seconds)
        else:
            addresses, ttl = await self._ask_address(name, cut, inner)
        self._addresses.put(name, addresses, at, self._seconds(ttl))
        return addresses

    async def _ask_address(self, name: dns.name.Name, cut: Cut, trip: _Trip) -> tuple[tuple[str, ...], int]:
        for name_server in self._rng.sample(cut.name_servers, min(_SERVERS_TRIED, len(cut.name_servers))):
            try:
                servers = await self._servers(cut, name_server, trip)
            except DnsTimeout:
                continue
            for server in servers[:2]:
                try:
                    reply = await self._ask("parent", server, name, dns.rdatatype.A)
                except DnsTimeout:
                    continue
                # An alias is no address: NS targets must not be aliases (RFC 2181 section 10.3).
                said = read_authority(reply, name, cut.zone)
                self._ask.count("parent", said.kind)
                if said.kind.answered:
                    return said.values, said.ttl
                break
        raise DnsTimeout(f"the address of name server {shown(name)} cannot be found")


_Folded = tuple[bytes, ...]


def _fold(name: dns.name.Name) -> _Folded:
    """The labels in lower case: a key as good as the name, and cheap for each step of a long one."""
    return tuple(label.lower() for label in name.labels)


def _step_kind(reply: dns.message.Message, step: dns.name.Name, zone: dns.name.Name) -> AnswerKind:
    """What a reply to ``step NS`` is worth to a walk: any answered kind settles the step."""
    kind = failure(reply)
    if kind is not None:
        return kind
    if intercepted(reply):
        return AnswerKind.INTERCEPTED
    if read_referral(reply, step, zone) is not None:
        return AnswerKind.ANSWER
    if not authoritative(reply):
        return AnswerKind.LAME
    return AnswerKind.NXDOMAIN if reply.rcode() == dns.rcode.NXDOMAIN else AnswerKind.NODATA
