"""What the world's DNS gets to see of the model: zones as each name server serves them, and PTRs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .names import normalize, within
from .records import RecordSet
from .state import AwsState
from .zones import NS_TTL, RecordView, Zone, ancestors

ALIAS_TTL = 60
"""An alias to an AWS resource answers with the resource's TTL: 60 seconds for load balancers."""
WILDCARD = "\\052"


@dataclass(frozen=True, slots=True)
class PublicZone:
    """A public hosted zone. `name` has the final dot, `name_servers` have none."""

    id: str
    name: str
    name_servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What is at a name: rtype → (TTL in seconds, values in zone-file form).

    `exists` without `rrsets` = NODATA (other types or only names below it); not `exists` = NXDOMAIN.
    `wildcard` = the name itself does not exist, `*` above it answered (RFC 4592).
    """

    exists: bool
    rrsets: Mapping[str, tuple[int, tuple[str, ...]]]
    wildcard: bool = False


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone cut at or above a name: the server answers with a referral to these servers."""

    name: str
    ttl: int
    name_servers: tuple[str, ...]


class Publication(Protocol):
    """The read interface for DNS servers. Nothing here waits or fails; all of it is as of now."""

    def public_zones(self) -> Iterable[PublicZone]:
        """Every public hosted zone of every account, twins of one name included."""

    def lookup(self, zone_id: str, server_name: str, qname: str) -> NameAnswer:
        """What `server_name` serves for `qname` in a zone. KeyError: no such zone, or not its server."""

    def delegation(self, zone_id: str, server_name: str, qname: str) -> Delegation | None:
        """The zone cut that `qname` is at or below, seen from this zone; None = the zone answers itself."""

    def ptr(self, ip: str) -> tuple[str, int] | None:
        """Name (final dot) and TTL of an address's published PTR; None = no PTR."""


class Publisher:
    """`Publication` over the model."""

    def __init__(self, model: AwsState) -> None:
        self._model = model

    def public_zones(self) -> list[PublicZone]:
        return [
            PublicZone(zone.id, zone.name, zone.name_servers)
            for zone in self._model.zones()
            if not zone.private
        ]

    def _view(self, zone: Zone, server_name: str) -> RecordView:
        server = server_name.lower().rstrip(".")
        if server not in zone.name_servers:
            raise KeyError(server_name)
        return self._view_at(zone, zone.name_servers.index(server))

    def _view_at(self, zone: Zone, index: int) -> RecordView:
        model = self._model
        return zone.serve(index, model.now(), model.settings.delays, model.lag(zone, index))

    def lookup(self, zone_id: str, server_name: str, qname: str) -> NameAnswer:
        zone = self._model.zone(zone_id)
        return self._answer(zone, self._view(zone, server_name), normalize(qname))

    def _answer(self, zone: Zone, view: RecordView, name: str, depth: int = 0) -> NameAnswer:
        if not within(name, zone.name):
            return NameAnswer(False, {})
        if view.exists(name):
            return NameAnswer(True, self._rrsets(view.at(name), depth))
        for parent in ancestors(name, zone.name):
            if view.exists(parent):
                # Only the wildcard of the closest encloser counts (RFC 4592 3.3.1).
                star = f"{WILDCARD}.{parent}"
                if view.exists(star):
                    return NameAnswer(True, self._rrsets(view.at(star), depth), wildcard=True)
                break
        return NameAnswer(False, {})

    def _rrsets(
        self, sets: Mapping[tuple[str, str], RecordSet], depth: int
    ) -> dict[str, tuple[int, tuple[str, ...]]]:
        out: dict[str, tuple[int, tuple[str, ...]]] = {}
        for rtype, identifier in sorted(sets):
            record_set = sets[(rtype, identifier)]
            if rtype in out:
                continue  # of a routing group only the first member answers
            if record_set.alias is not None:
                values = self._alias(record_set, depth)
                if values:
                    out[rtype] = (ALIAS_TTL, values)
            else:
                out[rtype] = (record_set.ttl or 0, record_set.values)
        return out

    def _alias(self, record_set: RecordSet, depth: int) -> tuple[str, ...]:
        assert record_set.alias is not None
        target = record_set.alias.dns_name
        for zone in self._model.zones():
            if zone.id == record_set.alias.zone_id and depth < 4:
                answer = self._answer(zone, self._view_at(zone, 0), target, depth + 1)
                return answer.rrsets.get(record_set.type, (0, ()))[1]
        if record_set.type != "A":
            return ()
        settings = self._model.settings
        return settings.alias_addresses.get(target.rstrip("."), settings.alias_default)

    def delegation(self, zone_id: str, server_name: str, qname: str) -> Delegation | None:
        zone = self._model.zone(zone_id)
        view = self._view(zone, server_name)
        name = normalize(qname)
        found: Delegation | None = None
        for candidate in (name, *ancestors(name, zone.name)):
            if candidate == zone.name or not within(candidate, zone.name):
                continue
            cut = view.at(candidate).get(("NS", ""))
            if cut is not None:  # the highest cut wins: what is below it is not this zone's
                servers = tuple(value.rstrip(".").lower() for value in cut.values)
                found = Delegation(candidate, cut.ttl or NS_TTL, servers)
        return found

    def ptr(self, ip: str) -> tuple[str, int] | None:
        model = self._model
        eip = model.network.by_ip.get(ip)
        if eip is not None:
            eip.settle(model.now(), model.settings.delays.release_lock)
            if eip.ptr is not None:
                return eip.ptr, model.settings.ptr_ttl
        if eip is None or not model.settings.generic_ptr:
            return None
        place = "compute-1" if eip.region == "us-east-1" else f"{eip.region}.compute"
        return f"ec2-{ipaddress.IPv4Address(ip)}".replace(".", "-") + f".{place}.amazonaws.com.", 300

    def resolve_a(self, hostname: str) -> set[str]:
        """The addresses of a name by the published zones: the longest public zone, one of its servers at
        random, CNAMEs followed. Twin zones: the first made is taken for the delegated one."""
        name = normalize(hostname)
        for _ in range(8):
            zones = [zone for zone in self._model.zones() if not zone.private and within(name, zone.name)]
            if not zones:
                return set()
            zone = max(zones, key=lambda each: len(each.name))
            index = self._model.rng.randrange(len(zone.name_servers))
            answer = self._answer(zone, self._view_at(zone, index), name)
            if "CNAME" not in answer.rrsets:
                return set(answer.rrsets.get("A", (0, ()))[1])
            name = normalize(answer.rrsets["CNAME"][1][0])
        return set()
