"""The whole DNS world without I/O: ask any server by its address, at the time the clock shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from sandbox.dns.authority import answer
from sandbox.dns.journal import OUTSIDE, Journal, Query
from sandbox.dns.knobs import Knob, KnobBoard
from sandbox.dns.layout import DEFAULT_TLDS, INFRA_ZONE, Layout, Timing
from sandbox.dns.recursor import Recursor
from sandbox.dns.registry import Registry
from sandbox.dns.source import PublicZone, ZoneSource
from sandbox.dns.values import ROOT, Reply, RRSet, absolute, ancestors
from sandbox.dns.zones import (
    REVERSE,
    HostedZone,
    ParentZone,
    ReverseParentZone,
    ReverseZone,
    RootZone,
    StaticZone,
    Zone,
    reverse_apex,
)

AWS_RESOLVER = "aws"
"""The resolver inside AWS that checks a name before its PTR is set; it has no address of its own."""


class DnsWorld:
    """Root, parents, reverse zones, Route 53's servers, another provider's servers, and recursors.

    ``clock`` gives seconds and never goes back. ``journal_size``: queries remembered.
    """

    def __init__(
        self,
        source: ZoneSource,
        clock: Callable[[], float],
        *,
        layout: Layout | None = None,
        timing: Timing | None = None,
        auto_delegate: bool = True,
        aws_resolver_caches: bool = False,
        journal_size: int = 50_000,
    ) -> None:
        self.layout = layout or Layout()
        self.timing = timing or Timing()
        self._source, self._clock = source, clock
        self._zones: tuple[PublicZone, ...] = ()
        self._zones_until = float("-inf")
        self.registry = Registry(self._public_zones, DEFAULT_TLDS, auto_delegate=auto_delegate)
        self.knobs = KnobBoard()
        self.journal = Journal(journal_size)
        self.outside: Callable[[str, str, str], Reply | None] = lambda address, qname, qtype: None
        """What a server that is no part of this world answers (address, name, type)."""
        self._names = {address: name for name, address in self.layout.all_servers().items()}
        self._ids = {a: frozenset((a, name, name.partition(".")[0])) for a, name in self._names.items()}
        self._root = RootZone(self.registry, self.layout.root, self.layout.parents, self.timing)
        self._infra = _infra_zones(self.layout)
        self._static: dict[str, tuple[StaticZone, frozenset[str]]] = {}
        self._hosted: dict[str, dict[str, Zone]] = {}
        self._hosted_from: tuple[PublicZone, ...] | None = None
        self._recursors = {a: self._recursor(name, True) for name, a in self.layout.recursors.items()}
        self._recursors[AWS_RESOLVER] = self._recursor(AWS_RESOLVER, aws_resolver_caches)
        self._ids[AWS_RESOLVER] = frozenset((AWS_RESOLVER,))
        self._finders = self._find_by_role()

    # -- asking -------------------------------------------------------------------------------------------

    def query(
        self,
        server: str,
        qname: str,
        qtype: str,
        rd: bool = False,
        transport: str = "udp",
        client: str = OUTSIDE,
    ) -> Reply | None:
        """What ``server`` (address, or name) answers; None if it stays silent. The qname's case is kept.

        Raises KeyError for an address where nobody listens.
        """
        address = self.address_of(server)
        name, qtype = absolute(qname), qtype.upper()
        reply = self._knobbed(address, name, qtype, rd, transport, client)
        rcode = "TIMEOUT" if reply is None else reply.rcode
        self.journal.add(Query(self._clock(), address, client, transport, name, qtype, rcode))
        if reply is None:
            return None
        return reply.in_case_of(qname if qname.endswith(".") else qname + ".")

    def resolve_a(self, hostname: str, via: str = AWS_RESOLVER) -> set[str]:
        """IPv4 addresses of a name as a recursor (address or name; default: AWS's own) sees them.

        A truncated reply is asked for again over TCP. Empty if there are none or the look-up fails.
        """
        reply = self.query(via, hostname, "A", rd=True)
        if reply is not None and reply.tc:
            reply = self.query(via, hostname, "A", rd=True, transport="tcp")
        return set() if reply is None else set(reply.values("A"))

    def address_of(self, server: str) -> str:
        """Address of a server given by address, full name or first label (``recursor-1``, ``ns-3``)."""
        if server in self._ids:
            return server
        for address, ids in self._ids.items():
            if server in ids or absolute(server) in ids:
                return address
        raise KeyError(f"no DNS server {server!r} in the sandbox")

    def recursor(self, server: str) -> Recursor:
        """One recursor by address or name (``aws`` for AWS's own). Raises KeyError if it is none."""
        return self._recursors[self.address_of(server)]

    def recursors(self) -> dict[str, Recursor]:
        """All recursors by address (AWS's own under ``aws``)."""
        return dict(self._recursors)

    # -- zones of another provider ------------------------------------------------------------------------

    def add_zone(
        self, apex: str, servers: Iterable[str] | None = None, *, delegate: bool = True
    ) -> StaticZone:
        """A zone that is not in Route 53, on the other provider's servers (or those named here).

        Replaces an earlier one of the same name. It is delegated at the registry unless told otherwise.
        """
        names = [absolute(s) for s in servers] if servers is not None else list(self.layout.providers)
        zone = StaticZone(apex, names)
        addresses = frozenset(self.address_of(name) for name in names)
        self._static[zone.apex] = (zone, addresses)
        if delegate:
            self.registry.delegate(zone.apex, names)
        return zone

    def zone(self, apex: str) -> StaticZone:
        """A zone made by :meth:`add_zone`. Raises KeyError if there is none."""
        return self._static[absolute(apex)][0]

    def remove_zone(self, apex: str) -> None:
        """Remove a zone made by :meth:`add_zone`, and its delegation."""
        del self._static[absolute(apex)]
        self.registry.undelegate(apex)

    # -- how one server answers ---------------------------------------------------------------------------

    def _knobbed(
        self, address: str, qname: str, qtype: str, rd: bool, transport: str, client: str
    ) -> Reply | None:
        knobs = self.knobs.take(self._ids[address], qname, qtype, transport, client)
        if not knobs:
            return self._plain(address, qname, qtype, rd)
        if any(knob.silent for knob in knobs):
            return None
        delay = sum(knob.delay for knob in knobs)
        if any(knob.truncate for knob in knobs) and transport == "udp":
            return Reply(qname, qtype, aa=address not in self._recursors, tc=True, rd=rd, delay=delay)
        rcode = next((knob.rcode for knob in knobs if knob.rcode is not None), None)
        records = next((knob.records for knob in knobs if knob.records is not None), None)
        intercepted = client == OUTSIDE and any(knob.intercept for knob in knobs)
        if rcode is not None:
            is_recursor = address in self._recursors
            reply = Reply(qname, qtype, rcode, rd=rd, ra=is_recursor)
        elif records is not None:
            reply = self._override(address, qname, qtype, rd, records)
        elif intercepted:
            reply = next(iter(self._recursors.values())).resolve(qname, qtype)
        else:
            reply = self._plain(address, qname, qtype, rd)
        if intercepted:
            reply = replace(reply, aa=False, ra=True, rd=rd)
        if any(knob.lame for knob in knobs):
            reply = replace(reply, aa=False)
        return replace(reply, delay=reply.delay + delay)

    def _plain(self, address: str, qname: str, qtype: str, rd: bool) -> Reply:
        recursor = self._recursors.get(address)
        if recursor is not None:
            return recursor.resolve(qname, qtype, rd)
        if address in self.layout.parents.values() or address in self.layout.root.values():
            self.registry.sync()
        find = self._finders[address]
        if qtype == "DS":
            # A server with both sides of a cut answers for DS from the parent's side (RFC 4035 §3.1.4.1).
            return answer(
                lambda name: find(ancestors(name)[1] if name == qname != ROOT else name), qname, qtype, rd
            )
        return answer(find, qname, qtype, rd)

    def _override(
        self,
        address: str,
        qname: str,
        qtype: str,
        rd: bool,
        records: Mapping[str, tuple[int, tuple[str, ...]]],
    ) -> Reply:
        recursor = address in self._recursors
        found = tuple(RRSet(qname, t, *records[t]) for t in records if qtype in (t, "ANY"))
        return Reply(qname, qtype, aa=not recursor, rd=rd, ra=recursor, answer=found)

    # -- which zones a server holds -----------------------------------------------------------------------

    def _find_by_role(self) -> dict[str, Callable[[str], Zone | None]]:
        finders: dict[str, Callable[[str], Zone | None]] = {}
        layout = self.layout
        for address in layout.root.values():
            finders[address] = lambda name: self._root
        for address in layout.parents.values():
            finders[address] = self._find_at_parent
        for address in layout.reverse.values():
            finders[address] = self._find_reverse
        for name, address in layout.route53.items():
            finders[address] = lambda qname, a=address, n=name: self._find_hosted(a, n, qname)  # type: ignore[misc]
        for address in layout.providers.values():
            finders[address] = lambda qname, a=address: self._find_static(a, qname)  # type: ignore[misc]
        return finders

    def _find_at_parent(self, name: str) -> Zone | None:
        above = ancestors(name)
        for apex in above:
            if apex in self._infra:
                return self._infra[apex]
        if REVERSE in above:
            return ReverseParentZone(self.registry, self.layout.parents, self.layout.reverse, self.timing)
        tld = above[-2] if len(above) > 1 else None
        if tld is None or tld not in self.registry.tlds():
            return None
        return ParentZone(tld, self.registry, self.layout.parents, self.timing)

    def _find_reverse(self, name: str) -> Zone | None:
        apex = reverse_apex(name)
        return None if apex is None else ReverseZone(apex, self._source, self.layout.reverse, self.timing)

    def _find_static(self, address: str, name: str) -> Zone | None:
        for apex in ancestors(name):
            held = self._static.get(apex)
            if held is not None and address in held[1]:
                return held[0]
        return None

    def _public_zones(self) -> tuple[PublicZone, ...]:
        now = self._clock()
        if now >= self._zones_until:
            self._zones = tuple(self._source.public_zones())
            self._zones_until = now + self.timing.zone_refresh
        return self._zones

    def _find_hosted(self, address: str, server: str, name: str) -> Zone | None:
        zones = self._public_zones()
        if zones is not self._hosted_from and zones != self._hosted_from:
            self._hosted, self._hosted_from = {}, zones
            for zone_id, apex, servers in zones:
                for ns in servers:
                    held = HostedZone(self._source, zone_id, absolute(apex), absolute(ns))
                    self._hosted.setdefault(absolute(ns), {}).setdefault(held.apex, held)
        mine = self._hosted.get(server, {})
        return next((mine[a] for a in ancestors(name) if a in mine), self._find_static(address, name))

    def _recursor(self, name: str, caching: bool) -> Recursor:
        def ask(address: str, qname: str, qtype: str, transport: str) -> Reply | None:
            if address not in self._names:
                return self.outside(address, qname, qtype)
            return self.query(address, qname, qtype, transport=transport, client=name.partition(".")[0])

        return Recursor(name, ask, self.layout.root, self._clock, self.timing, caching=caching)


def _infra_zones(layout: Layout) -> dict[str, StaticZone]:
    """The zones that hold the name servers' own addresses; the parents serve them."""
    zones: dict[str, StaticZone] = {}
    for name, address in layout.all_servers().items():
        apex = ".".join(name.split(".")[-3:])
        zones.setdefault(apex, StaticZone(apex, layout.parents)).put(name, "A", [address], 3600)
    zones.setdefault(INFRA_ZONE, StaticZone(INFRA_ZONE, layout.parents))
    return zones


__all__ = ["AWS_RESOLVER", "DnsWorld", "Knob"]
