"""Which addresses the operator asks: a delegation may name any, and must not lead it into the cluster's network."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA IPv4 Special-Purpose Address Registry (all of its blocks), and multicast and reserved space.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
"""Global unicast (RFC 4291). Outside are loopback, link-local, unique local, IPv4-mapped, NAT64 and multicast."""

# The blocks of the IANA IPv6 Special-Purpose Address Registry within 2000::/3; 2002::/16 embeds IPv4 (6to4).
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


def is_public(address: str, extra: tuple[Network, ...] = ()) -> bool:
    """Is it a globally routable unicast address, or in one of the ``extra`` ranges? False if it is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(ip in network for network in extra):
        return True
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    return ip.scope_id is None and ip in _UNICAST_V6 and not any(ip in network for network in _SPECIAL_V6)
