"""Zones as the authority algorithm sees them: an apex and nodes below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from sandbox.dns.layout import INFRA_ZONE, Timing
from sandbox.dns.registry import Registry
from sandbox.dns.source import ZoneSource, find_node
from sandbox.dns.values import ROOT, Records, absolute, is_within, labels, soa

REVERSE = "in-addr.arpa."


class Zone(Protocol):
    """One zone on one server."""

    @property
    def apex(self) -> str: ...

    def lookup(self, name: str) -> Records | None:
        """Records at ``name`` (within the apex); ``{}`` for an empty non-terminal, None where nothing is."""
        ...

    def glue(self, host: str) -> tuple[str, ...]:
        """IPv4 addresses this zone can add for a name server in a referral."""
        ...


def infra_soa(ttl: int) -> tuple[int, tuple[str, ...]]:
    """SOA of a zone of the sandbox's own: TTL and minimum both ``ttl`` seconds."""
    value = soa(
        f"tld-1.{INFRA_ZONE}", f"hostmaster.{INFRA_ZONE}", refresh=1800, retry=900, expire=604800, minimum=ttl
    )
    return ttl, (value,)


class StaticZone:
    """A zone whose records are set by hand."""

    def __init__(self, apex: str, ns_names: Iterable[str], *, negative_ttl: int = 300) -> None:
        self.apex = absolute(apex)
        self.ns_names = tuple(absolute(ns) for ns in ns_names)
        self._nodes: dict[str, dict[str, tuple[int, tuple[str, ...]]]] = {
            self.apex: {"SOA": infra_soa(negative_ttl), "NS": (3600, self.ns_names)}
        }

    def put(self, name: str, rtype: str, values: Iterable[str], ttl: int = 300) -> None:
        """Set one record set. Raises ValueError for a name outside the zone."""
        owner = absolute(name)
        if not is_within(owner, self.apex):
            raise ValueError(f"{owner} is not within zone {self.apex}")
        self._nodes.setdefault(owner, {})[rtype.upper()] = (int(ttl), tuple(values))

    def drop(self, name: str, rtype: str | None = None) -> bool:
        """Remove one record set, or all of a name. True if something was there."""
        owner = absolute(name)
        node = self._nodes.get(owner)
        if node is None:
            return False
        gone = bool(node) if rtype is None else rtype.upper() in node
        for key in list(node) if rtype is None else [rtype.upper()]:
            node.pop(key, None)
        if not node:
            del self._nodes[owner]
        return gone

    def lookup(self, name: str) -> Records | None:
        return find_node(self._nodes, name)

    def glue(self, host: str) -> tuple[str, ...]:
        return self._nodes.get(host, {}).get("A", (0, ()))[1]


class HostedZone:
    """A Route 53 zone as one of its name servers publishes it."""

    __slots__ = ("_server", "_source", "_zone_id", "apex")

    def __init__(self, source: ZoneSource, zone_id: str, apex: str, server: str) -> None:
        self.apex = apex
        self._source, self._zone_id, self._server = source, zone_id, server

    def lookup(self, name: str) -> Records | None:
        return self._source.lookup(self._zone_id, self._server, name)

    def glue(self, host: str) -> tuple[str, ...]:
        if not is_within(host, self.apex):
            return ()
        return (self.lookup(host) or {}).get("A", (0, ()))[1]


class RootZone:
    """The root: every top-level domain is delegated to the parents."""

    apex = ROOT

    def __init__(
        self, registry: Registry, root: Mapping[str, str], parents: Mapping[str, str], timing: Timing
    ) -> None:
        self._registry, self._root, self._parents, self._timing = registry, root, parents, timing

    def lookup(self, name: str) -> Records | None:
        if name == ROOT:
            return {
                "SOA": infra_soa(self._timing.parent_negative_ttl),
                "NS": (self._timing.delegation_ttl, tuple(self._root)),
            }
        if name in self._registry.tlds():
            return {"NS": (self._timing.delegation_ttl, tuple(self._parents))}
        return None

    def glue(self, host: str) -> tuple[str, ...]:
        address = self._parents.get(host) or self._root.get(host)
        return (address,) if address else ()


class ParentZone:
    """A top-level domain: delegations from the registry, nothing else."""

    __slots__ = ("_parents", "_registry", "_timing", "apex")

    def __init__(self, apex: str, registry: Registry, parents: Mapping[str, str], timing: Timing) -> None:
        self.apex = apex
        self._registry, self._parents, self._timing = registry, parents, timing

    def lookup(self, name: str) -> Records | None:
        if name == self.apex:
            return {
                "SOA": infra_soa(self._timing.parent_negative_ttl),
                "NS": (self._timing.delegation_ttl, tuple(self._parents)),
            }
        delegation = self._registry.get(name)
        if delegation is not None:
            ttl = self._timing.delegation_ttl if delegation.ttl is None else delegation.ttl
            return {"NS": (ttl, delegation.ns_names)}
        return {} if self._registry.below(name) else None

    def glue(self, host: str) -> tuple[str, ...]:
        for delegation in self._registry.delegations().values():
            if host in delegation.glue:
                return delegation.glue[host]
        return ()


class ReverseParentZone(ParentZone):
    """in-addr.arpa: every /24 belongs to AWS, unless the registry says otherwise for it or a block above."""

    __slots__ = ("_aws",)

    def __init__(
        self, registry: Registry, parents: Mapping[str, str], aws: Mapping[str, str], timing: Timing
    ) -> None:
        super().__init__(REVERSE, registry, parents, timing)
        self._aws = aws

    def lookup(self, name: str) -> Records | None:
        found = super().lookup(name)
        if found:
            return found
        octets = labels(name)[:-2]
        if not _are_octets(octets) or len(octets) > 3:
            return None
        if len(octets) < 3:
            return {}
        return {"NS": (self._timing.delegation_ttl, tuple(self._aws))}


class ReverseZone:
    """The reverse zone of one /24, answered from the PTRs of Elastic IPs."""

    __slots__ = ("_servers", "_source", "_timing", "apex")

    def __init__(self, apex: str, source: ZoneSource, servers: Mapping[str, str], timing: Timing) -> None:
        self.apex = apex
        self._source, self._servers, self._timing = source, servers, timing

    def lookup(self, name: str) -> Records | None:
        if name == self.apex:
            return {
                "SOA": infra_soa(self._timing.reverse_negative_ttl),
                "NS": (self._timing.delegation_ttl, tuple(self._servers)),
            }
        octets = labels(name)[:-2]
        if len(octets) != 4 or not _are_octets(octets):
            return None
        found = self._source.ptr(".".join(reversed(octets)))
        return None if found is None else {"PTR": (found[1], (absolute(found[0]),))}

    def glue(self, host: str) -> tuple[str, ...]:
        return ()


def reverse_apex(name: str) -> str | None:
    """The /24 reverse zone that holds ``name``; None if it is outside in-addr.arpa or above a /24."""
    if not name.endswith("." + REVERSE):
        return None
    octets = labels(name)[:-2][-3:]
    return ".".join(octets) + "." + REVERSE if len(octets) == 3 and _are_octets(octets) else None


def _are_octets(parts: list[str]) -> bool:
    return all(p.isascii() and p.isdigit() and int(p) < 256 and str(int(p)) == p for p in parts)
