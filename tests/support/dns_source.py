"""Zones, records and PTRs in memory, for tests of DNS that need no AWS."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.dns.source import PublicZone, ZoneSource, find_node
from sandbox.dns.values import Records, absolute


class MemorySource(ZoneSource):
    """A mutable :class:`ZoneSource`: zones with records, and PTRs."""

    def __init__(self) -> None:
        self._zones: dict[str, PublicZone] = {}
        self._records: dict[str, dict[str, dict[str, tuple[int, tuple[str, ...]]]]] = {}
        self._ptrs: dict[str, tuple[str, int]] = {}
        self._lagging: dict[tuple[str, str], dict[str, dict[str, tuple[int, tuple[str, ...]]]]] = {}

    def add_zone(self, zone_id: str, name: str, ns_names: Iterable[str]) -> PublicZone:
        """Create a zone with Route 53's default SOA and NS at its apex."""
        servers = tuple(absolute(ns) for ns in ns_names)
        zone = PublicZone(zone_id, absolute(name), servers)
        self._zones[zone_id] = zone
        soa = f"{servers[0]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        self._records[zone_id] = {zone.name: {"SOA": (900, (soa,)), "NS": (172800, servers)}}
        return zone

    def remove_zone(self, zone_id: str) -> None:
        """Delete a zone with all its records."""
        del self._zones[zone_id], self._records[zone_id]

    def put(self, zone_id: str, name: str, rtype: str, values: Iterable[str], ttl: int = 300) -> None:
        """Set one record set."""
        node = self._records[zone_id].setdefault(absolute(name), {})
        node[rtype] = (ttl, tuple(values))

    def drop(self, zone_id: str, name: str, rtype: str) -> None:
        """Remove one record set."""
        node = self._records[zone_id][absolute(name)]
        del node[rtype]
        if not node:
            del self._records[zone_id][absolute(name)]

    def freeze(self, zone_id: str, server_name: str) -> None:
        """Let one server publish the zone as it is now, until :meth:`thaw`."""
        copy = {name: dict(node) for name, node in self._records[zone_id].items()}
        self._lagging[(zone_id, absolute(server_name))] = copy

    def thaw(self, zone_id: str, server_name: str) -> None:
        """Let a frozen server catch up."""
        self._lagging.pop((zone_id, absolute(server_name)), None)

    def set_ptr(self, ip: str, name: str | None, ttl: int = 300) -> None:
        """Set or remove the PTR of an address."""
        self._ptrs.pop(ip, None)
        if name is not None:
            self._ptrs[ip] = (absolute(name), ttl)

    def public_zones(self) -> list[PublicZone]:
        return list(self._zones.values())

    def lookup(self, zone_id: str, server_name: str, qname: str) -> Records | None:
        records = self._lagging.get((zone_id, server_name)) or self._records.get(zone_id, {})
        return find_node(records, qname)

    def ptr(self, ip: str) -> tuple[str, int] | None:
        return self._ptrs.get(ip)
