"""A DNS world on a virtual clock: example.com at four Route 53 servers, delegated by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sandbox.dns.layout import Timing
from sandbox.dns.model import DnsWorld
from sandbox.dns.values import Reply
from tests.support.dns_source import MemorySource

RECURSOR = "127.0.53.101"


def four(first: int) -> tuple[str, ...]:
    """A delegation set: four name servers from number ``first`` on."""
    return tuple(f"ns-{i}.awsdns-sandbox.org." for i in range(first, first + 4))


@dataclass
class Stage:
    """The world and the hands that move it."""

    timing: Timing = field(default_factory=Timing)
    now: float = 1000.0
    source: MemorySource = field(default_factory=MemorySource)
    world: DnsWorld = field(init=False)

    def __post_init__(self) -> None:
        self.source.add_zone("ZONE", "example.com", four(1))
        self.world = DnsWorld(self.source, lambda: self.now, timing=self.timing)

    def ask(self, server: str, name: str, rtype: str = "A", *, rd: bool = False) -> Reply:
        """A reply that must come."""
        reply = self.world.query(server, name, rtype, rd)
        assert reply is not None, f"{server} stays silent about {name} {rtype}"
        return reply

    def recurse(self, name: str, rtype: str = "A", server: str = RECURSOR) -> Reply:
        """What a recursor says."""
        return self.ask(server, name, rtype, rd=True)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def make_stage() -> type[Stage]:
    """For worlds with other timing."""
    return Stage


@pytest.fixture
def servers() -> Callable[[int], tuple[str, ...]]:
    """``servers(n)``: a delegation set that starts at name server n."""
    return four
