"""Every server, interval and limit of the DNS layer. ``cli.values.server`` parses the addresses that users write."""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.dns.public import Network
from mailegress.dns.query import Server

DNS_PORT = 53

# IANA, "Root Files" (named.root): IPv4 addresses of a to m. B moved to this address in 2023.
_ROOT_ADDRESSES = (
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
)
ROOT_HINTS = tuple(
    Server(f"{letter}.root-servers.net", address)
    for letter, address in zip("abcdefghijklm", _ROOT_ADDRESSES, strict=True)
)

PUBLIC_RESOLVERS = (
    Server("Cloudflare 1.1.1.1", "1.1.1.1"),
    Server("Google 8.8.8.8", "8.8.8.8"),
    Server("Quad9 9.9.9.9", "9.9.9.9"),
)

_KNOWN = {server.address: server.name for server in PUBLIC_RESOLVERS}


class SettingError(ValueError):
    """A DNS setting cannot be used; the message names the value."""


def named_server(address: str, port: int) -> Server:
    """A server with its name for messages: that of a well-known public resolver, else its address."""
    name = _KNOWN.get(address, address)
    if port != DNS_PORT:
        name = f"[{address}]:{port}" if ":" in address else f"{name}:{port}"
    return Server(name, address, port)


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Durations in seconds. Errors on construction: :class:`SettingError`."""

    roots: tuple[Server, ...] = ROOT_HINTS
    """Where every walk begins."""
    authority_port: int = DNS_PORT
    """Port of every server below the root; other than 53 only in a DNS test bed."""
    extra_ranges: tuple[Network, ...] = ()
    """Ranges whose addresses are asked although they are not globally routable; only in a DNS test bed."""
    resolvers: tuple[Server, ...] = PUBLIC_RESOLVERS
    """Independent public resolvers; empty switches them off."""
    timeout_seconds: float = 2.0
    """Per try. A server that is silent over UDP is tried once more over TCP."""
    tcp_retry: bool = True
    max_queries: int = 32
    """Questions in flight at once; more make the event loop late (measured: p99 28 ms at 20, 258 ms at 200).
    """
    max_waiting: int = 256
    """Sockets open at once, those of silent servers included."""
    sockets_per_namespace: int = 16
    readings_per_namespace: int = 4
    """Of ``max_readings``: name servers that one namespace's objects use must not hold up another's."""
    max_readings: int = 128
    """Readings (of one hostname, one zone) in progress at once; most wait for a silent server when it is
    reached.
    """
    delegation_seconds: float = 600.0
    """A zone cut and its servers' addresses are believed for their TTL, but no longer than this."""
    min_cache_seconds: float = 10.0
    """A zone cut with a shorter TTL is believed for this long all the same."""
    cache_entries: int = 20_000
    backoff_seconds: float = 1.0
    """Pause after a first failed reading; doubles up to ``max_backoff_seconds``."""
    max_backoff_seconds: float = 60.0
    forget_seconds: float = 3600.0
    """What nobody asked about for this long is dropped."""

    def __post_init__(self) -> None:
        if not self.roots:
            raise SettingError(
                "the list of root servers is empty; leave it out to use the built-in root hints"
            )
        if not 1 <= self.authority_port <= 65535:
            raise SettingError(f"port of authoritative servers {self.authority_port} is not from 1 to 65535")
        for name in (
            "timeout_seconds",
            "max_queries",
            "max_waiting",
            "max_readings",
            "sockets_per_namespace",
            "readings_per_namespace",
            "delegation_seconds",
            "cache_entries",
            "backoff_seconds",
            "forget_seconds",
        ):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be greater than 0")
        if not 0 <= self.min_cache_seconds <= self.delegation_seconds:
            raise SettingError(
                f"min_cache_seconds is {self.min_cache_seconds}; "
                f"it must be from 0 to delegation_seconds ({self.delegation_seconds})"
            )
        if self.max_backoff_seconds < self.backoff_seconds:
            raise SettingError(
                f"max_backoff_seconds is {self.max_backoff_seconds}; "
                f"it must not be less than backoff_seconds ({self.backoff_seconds})"
            )
