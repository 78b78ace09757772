"""Who listens where. Every server has its own loopback address; all of them share one port.

On Linux the whole of 127.0.0.0/8 is local without any set-up, so that no privilege is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INFRA_ZONE = "dns-sandbox.net."
"""Holds the addresses of root, parent, reverse and foreign servers."""

DEFAULT_TLDS = ("com.", "net.", "org.", "io.", "dev.", "uk.", "de.", "jp.", "test.", "example.", "arpa.")


def _default_pool() -> dict[str, str]:
    return {f"ns-{i}.awsdns-sandbox.org.": f"127.0.53.{10 + i}" for i in range(1, 33)}


def _default_providers() -> dict[str, str]:
    return {f"ns{i}.otherdns-sandbox.net.": f"127.0.53.{200 + i}" for i in (1, 2)}


@dataclass(frozen=True, slots=True)
class Layout:
    """Names (absolute, lower case) and addresses of all servers.

    ``route53`` maps name-server names to addresses: the pool that delegation sets are drawn from.
    ``providers`` are authorities of another DNS company, for zones that are not in Route 53.
    """

    root: dict[str, str] = field(default_factory=lambda: {f"root.{INFRA_ZONE}": "127.0.53.1"})
    parents: dict[str, str] = field(
        default_factory=lambda: {f"tld-{i}.{INFRA_ZONE}": f"127.0.53.{1 + i}" for i in (1, 2)}
    )
    reverse: dict[str, str] = field(
        default_factory=lambda: {f"reverse-{i}.{INFRA_ZONE}": f"127.0.53.{4 + i}" for i in (1, 2)}
    )
    route53: dict[str, str] = field(default_factory=_default_pool)
    recursors: dict[str, str] = field(
        default_factory=lambda: {f"recursor-{i}.{INFRA_ZONE}": f"127.0.53.{100 + i}" for i in (1, 2)}
    )
    providers: dict[str, str] = field(default_factory=_default_providers)

    def all_servers(self) -> dict[str, str]:
        """Every server's name → address."""
        return {
            **self.root,
            **self.parents,
            **self.reverse,
            **self.route53,
            **self.recursors,
            **self.providers,
        }

    @classmethod
    def within(cls, network: str) -> Layout:
        """The usual servers in another /24, written ``a.b.c``, for clients that loopback does not reach."""

        def moved(servers: Mapping[str, str]) -> dict[str, str]:
            return {name: f"{network}.{address.rpartition('.')[2]}" for name, address in servers.items()}

        usual = cls()
        return cls(
            root=moved(usual.root),
            parents=moved(usual.parents),
            reverse=moved(usual.reverse),
            route53=moved(usual.route53),
            recursors=moved(usual.recursors),
            providers=moved(usual.providers),
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """All times in seconds.

    ``delegation_ttl``: NS sets in parents (two days at the real .com; short here so that a changed delegation
    is seen in one sitting). ``parent_negative_ttl``: both SOA TTL and minimum of parents, 900 as at .com.
    ``reverse_negative_ttl``: assumption, AWS documents none. ``ttl_scale`` shortens every caching time of the
    recursors without touching the TTLs in authoritative answers. ``failure_ttl``: RFC 9520 §3.2 asks for at
    least one second. ``upstream_timeout``: what a recursor loses on a silent server.
    ``zone_refresh``: how old the list of hosted zones may be; 0 looks at every query, which costs time where
    there are many zones.
    """

    delegation_ttl: int = 300
    parent_negative_ttl: int = 900
    reverse_negative_ttl: int = 300
    ttl_scale: float = 1.0
    failure_ttl: float = 1.0
    upstream_timeout: float = 0.4
    zone_refresh: float = 0.0
