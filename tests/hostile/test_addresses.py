"""A delegation names name servers inside the network of the operator."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailegress.dns.public import is_public
from mailegress.model.dns import AnswerKind
from tests.hostile.conftest import FULL, Bound
from tests.hostile.test_readings import client
from tests.support.hostile_dns import Evil

# IANA IPv4 and IPv6 Special-Purpose Address Registries, all blocks, and multicast.
REGISTRY_V4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32",
    "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32", "224.0.0.0/4",
]  # fmt: skip
REGISTRY_V6 = [
    "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
    "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48",
    "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32",
    "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8",
    "fec0::/10",
]  # fmt: skip

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def edges(block: str) -> list[Address]:
    network = ipaddress.ip_network(block)
    first, last = int(network[0]), int(network[-1])
    return [network[0], network[(last - first) // 2], network[-1]]


def embedded(address: Address) -> list[Address]:
    """An IPv4 address in IPv6: mapped, NAT64, 6to4."""
    number = int(address)
    return [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ]


V4 = [address for block in REGISTRY_V4 for address in edges(block)]
V6 = [address for block in REGISTRY_V6 for address in edges(block)]
V6 += [address for v4 in V4 for address in embedded(v4)]
SPECIAL = tuple(
    dict.fromkeys(str(address) for address in (*V4, *V6) if not str(address).startswith("127.0.1."))
)

_sent: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _sent is not None and event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        destination = arguments[1]
        if isinstance(destination, tuple):
            _sent.append(str(destination[0]))


sys.addaudithook(_audit)


@contextmanager
def destinations() -> Iterator[list[str]]:
    """The addresses to which this process connects or sends meanwhile."""
    global _sent
    _sent = []
    try:
        yield _sent
    finally:
        _sent = None


@pytest.mark.parametrize("kind", ["glue", "away"])
async def test_no_packet_goes_to_an_address_that_is_not_public(kind: str, bound: Bound) -> None:
    inside = SPECIAL if kind == "glue" else tuple(a for a in SPECIAL if ":" not in a)
    inside = inside if FULL else inside[::3]
    kinds = []
    with Evil("inside", servers=1, inside=inside) as evil:
        async with client(evil) as ours:
            with destinations() as sent:
                for i in range(len(inside)):
                    fact = await ours.read(f"mta.{kind}{i}.test")
                    assert fact.value is not None, (inside[i], fact.fault)
                    kinds.append((inside[i], fact.value.answers[0].kind))

    assert [wrong for wrong in kinds if wrong[1] is not AnswerKind.NOT_PUBLIC] == []
    assert evil.root in sent, "the questions to the parent are seen"
    unwanted = {address for address in sent if not address.startswith("127.0.1.")}
    bound(f"whom it asks: {kind} in {len(inside)} special-purpose addresses", limit=0, seen=len(unwanted))


@pytest.mark.parametrize(
    "address",
    ["205.251.192.1", "8.8.8.8", "1.0.0.1", "172.15.255.255", "172.32.0.1", "100.63.0.1", "100.128.0.1",
     "191.255.255.255", "223.255.255.254", "2600:9000:5300::1", "2a00:1450:4001::1", "2606:4700:4700::1111"],
)  # fmt: skip
def test_public_addresses_are_asked(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", SPECIAL)
def test_special_purpose_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_a_named_range_is_asked() -> None:
    extra = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))
    assert is_public("192.0.2.7", extra)
    assert is_public("2001:db8::7", extra)
    assert not is_public("198.51.100.7", extra)
    assert not is_public("::ffff:192.0.2.7", extra)
    assert not is_public("no address", extra)
