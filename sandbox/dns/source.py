"""What the DNS sandbox needs to know of the AWS sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from sandbox.dns.values import Records, is_within


class PublicZone(NamedTuple):
    """One public hosted zone: its ID, its name and the names of its (usually four) name servers."""

    zone_id: str
    name: str
    ns_names: tuple[str, ...]


class ZoneSource(Protocol):
    """Read side of the AWS model: what Route 53's servers and the reverse zones publish at this moment."""

    def public_zones(self) -> Iterable[PublicZone]:
        """All public hosted zones, oldest first."""
        ...

    def lookup(self, zone_id: str, server_name: str, qname: str) -> Records | None:
        """Record sets that ``server_name`` publishes at ``qname`` (lower case, trailing dot, plain ``*``).

        ``{}`` where the name only has names below it, ``None`` where nothing is. Lag of one server is the
        source's business: that is why the server is named.
        """
        ...

    def ptr(self, ip: str) -> tuple[str, int] | None:
        """Name and TTL in seconds of the PTR of an IPv4 address; None where there is none."""
        ...


def find_node(records: dict[str, dict[str, tuple[int, tuple[str, ...]]]], qname: str) -> Records | None:
    """The node at ``qname``; ``{}`` for an empty non-terminal, None where nothing is."""
    node = records.get(qname)
    if node:
        return node
    return {} if any(is_within(name, qname) for name in records) else None
