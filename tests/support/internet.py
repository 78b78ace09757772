"""A small scripted internet behind the DnsQuery seam, and a clock that only moves when everybody waits."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailegress.dns.query import DnsTimeout, Server

T = TypeVar("T")

ROOTS = {"a.root.": "192.0.2.1", "b.root.": "192.0.2.2"}
RESOLVERS = (Server("one", "192.0.2.201"), Server("two", "192.0.2.202"))
PORT = 5353
TRY = 2.0


class VirtualTime:
    """Time passes only while every task waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), future))
        await future

    async def settle(self) -> None:
        """Let every task run until it waits."""
        ready: Any = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        while ready:  # noqa: ASYNC110 - the loop's own queue has no event to wait for
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            await self._next()
        self.now = end
        await self.settle()

    async def run(self, work: Coroutine[Any, Any, T], limit: float = 600.0) -> T:
        """The outcome of ``work``, however much time it needs up to ``limit`` seconds."""
        task = asyncio.ensure_future(work)
        end = self.now + limit
        await self.settle()
        while not task.done():
            assert self._sleepers, "the work waits for something that is not time"
            assert self._sleepers[0][0] <= end, "the work takes too long"
            await self._next()
        return await task

    async def _next(self) -> None:
        due, _, future = heapq.heappop(self._sleepers)
        if not future.done():
            self.now = max(self.now, due)
            future.set_result(None)
        await self.settle()


@dataclass
class Zone:
    apex: dns.name.Name
    servers: dict[str, str]
    records: dict[tuple[dns.name.Name, str], tuple[int, list[str]]] = field(default_factory=dict)
    minimum: int = 900
    soa_ttl: int = 3600

    def put(self, name: str, rtype: str, *values: str, ttl: int = 300) -> None:
        self.records[(absolute(name), rtype)] = (ttl, list(values))

    def drop(self, name: str, rtype: str) -> None:
        del self.records[(absolute(name), rtype)]


@dataclass(frozen=True)
class Asked:
    server: str
    port: int
    name: str
    rtype: str
    recurse: bool


def absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name, origin=dns.name.root)


class Internet:
    """A :class:`~mailegress.dns.query.DnsQuery`.

    ``moods`` by server address, or by ``address name.``: silent, servfail, refused, lame, intercepted,
    referral-up.
    ``delays`` by server address: seconds before it answers.
    ``overlays`` by server address: what it answers instead of the zone's data.
    """

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.zones: dict[dns.name.Name, Zone] = {}
        self.twins: list[Zone] = []
        self.moods: dict[str, str] = {}
        self.delays: dict[str, float] = {}
        self.overlays: dict[str, dict[tuple[dns.name.Name, str], tuple[int, list[str]] | None]] = {}
        self.log: list[Asked] = []
        self.zone(".", ROOTS, parent=None)
        for tld in ("com", "net", "arpa"):
            self.zone(tld, {f"a.{tld}-servers.{tld}": f"192.0.2.1{len(self.zones)}"})

    # -- building

    def zone(
        self,
        apex: str,
        servers: dict[str, str],
        *,
        parent: str | None = "nearest",
        glue: bool = True,
        ttl: int = 3600,
        minimum: int = 900,
        twin: bool = False,
    ) -> Zone:
        zone = Zone(absolute(apex), servers, minimum=minimum)
        if twin:
            self.twins.append(zone)
        else:
            self.zones[zone.apex] = zone
        zone.put(apex, "NS", *(f"{n.rstrip('.')}." for n in servers))
        if parent is not None and not twin:
            self.delegate(apex, servers, glue=glue, ttl=ttl)
        return zone

    def delegate(self, apex: str, servers: dict[str, str], *, glue: bool = True, ttl: int = 3600) -> None:
        name = absolute(apex)
        holder = self._deepest(self.zones.values(), name.parent())
        assert holder is not None
        holder.put(apex, "NS", *(f"{n.rstrip('.')}." for n in servers), ttl=ttl)
        for server, address in servers.items():
            if glue and absolute(server).is_subdomain(holder.apex):
                holder.put(server, "A", address)

    def undelegate(self, apex: str) -> None:
        name = absolute(apex)
        holder = self._deepest(self.zones.values(), name.parent())
        assert holder is not None
        holder.drop(apex, "NS")

    def overlay(self, server: str, name: str, rtype: str, *values: str, ttl: int = 300) -> None:
        """``server`` answers these values (none: it does not know the name) whatever the zone holds."""
        answer = (ttl, list(values)) if values else None
        self.overlays.setdefault(server, {})[(absolute(name), rtype)] = answer

    # -- looking at what was asked

    def asked(self, server: str | None = None, rtype: str | None = None) -> list[Asked]:
        return [a for a in self.log if server in (None, a.server) and rtype in (None, a.rtype)]

    # -- answering

    async def __call__(
        self,
        server: Server,
        name: str,
        rtype: dns.rdatatype.RdataType,
        *,
        recurse: bool,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        text = dns.rdatatype.to_text(rtype)
        self.log.append(Asked(server.address, server.port, name.lower(), text, recurse))
        resolver = any(server.address == r.address for r in RESOLVERS)
        assert resolver == recurse, "recursion is desired of resolvers and of nobody else"
        assert server.port == (53 if resolver else PORT)
        mood = self.moods.get(f"{server.address} {name.lower()}") or self.moods.get(server.address, "")
        if mood == "silent":
            await self.time.sleep(TRY)
            raise DnsTimeout(f"{server} is silent")
        if server.address in self.delays:
            await self.time.sleep(self.delays[server.address])
        await asyncio.sleep(0)
        reply = dns.message.make_response(dns.message.make_query(name, rtype))
        reply.flags = dns.flags.QR
        if mood == "bogus" and not checking_disabled:
            mood = "servfail"
        if mood in ("servfail", "refused"):
            reply.set_rcode(dns.rcode.from_text(mood))
            return reply
        if mood == "intercepted":
            reply.flags |= dns.flags.RA
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "198.18.0.1"))
            return reply
        if mood == "referral-up":
            reply.authority.append(dns.rrset.from_text(".", 60, "IN", "NS", *ROOTS))
            return reply
        qname = absolute(name)
        if resolver:
            reply.flags |= dns.flags.RA
            self._resolve(reply, server.address, qname, text)
        else:
            self._authority(reply, server.address, qname, text)
        if mood == "lame":
            reply.flags &= ~dns.flags.AA
        return reply

    def _deepest(self, zones: Iterable[Zone], name: dns.name.Name) -> Zone | None:
        holding = [z for z in zones if name.is_subdomain(z.apex)]
        return max(holding, key=lambda z: len(z.apex), default=None)

    def _data(self, zone: Zone, server: str, name: dns.name.Name, rtype: str) -> tuple[int, list[str]] | None:
        overlay = self.overlays.get(server, {})
        key = (name, rtype)
        return overlay[key] if key in overlay else zone.records.get(key)

    def _authority(self, reply: dns.message.Message, server: str, name: dns.name.Name, rtype: str) -> None:
        everything = [*self.zones.values(), *self.twins]
        zone = self._deepest((z for z in everything if server in z.servers.values()), name)
        if zone is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        for labels in range(len(zone.apex) + 1, len(name) + 1):
            cut = name.split(labels)[1]
            delegation = self._data(zone, server, cut, "NS")
            if delegation is not None:
                reply.authority.append(_rrset(cut, "NS", delegation))
                for target in delegation[1]:
                    glue = zone.records.get((absolute(target), "A"))
                    if glue is not None:
                        reply.additional.append(_rrset(absolute(target), "A", glue))
                return
        reply.flags |= dns.flags.AA
        alias = self._data(zone, server, name, "CNAME")
        data = self._data(zone, server, name, rtype)
        if alias is not None:
            reply.answer.append(_rrset(name, "CNAME", alias))
        elif data is not None:
            reply.answer.append(_rrset(name, rtype, data))
        else:
            self._negative(reply, zone, server, name)

    def _negative(self, reply: dns.message.Message, zone: Zone, server: str, name: dns.name.Name) -> None:
        exists = any(
            owner.is_subdomain(name) and self._data(zone, server, owner, rtype) is not None
            for owner, rtype in zone.records
        )
        if not exists:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.invalid. root.invalid. 1 7200 900 1209600 {zone.minimum}"
        reply.authority.append(dns.rrset.from_text(zone.apex, zone.soa_ttl, "IN", "SOA", soa))

    def _resolve(self, reply: dns.message.Message, server: str, name: dns.name.Name, rtype: str) -> None:
        for _ in range(9):
            zone = self._deepest(self.zones.values(), name)
            assert zone is not None
            alias = self._data(zone, server, name, "CNAME")
            data = self._data(zone, server, name, rtype)
            if alias is not None:
                reply.answer.append(_rrset(name, "CNAME", alias))
                name = absolute(alias[1][0])
                continue
            if data is not None:
                reply.answer.append(_rrset(name, rtype, data))
            else:
                self._negative(reply, zone, server, name)
            return


def _rrset(name: dns.name.Name, rtype: str, data: tuple[int, list[str]]) -> dns.rrset.RRset:
    ttl, values = data
    return dns.rrset.from_text(name, ttl, "IN", rtype, *values)
