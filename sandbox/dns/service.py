"""The DNS sandbox as a running service: sockets and control over one world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.dns.control import DnsControl
from sandbox.dns.dig_shim import install
from sandbox.dns.model import DnsWorld
from sandbox.dns.outside import ask
from sandbox.dns.values import Reply
from sandbox.dns.wire import DnsSockets


class SandboxDns:
    """Serves a :class:`DnsWorld` on loopback. ``port`` 0: a free one, known after :meth:`start`."""

    def __init__(self, world: DnsWorld, port: int = 0) -> None:
        self.world = world
        self._control = DnsControl(world)
        self._sockets = DnsSockets(sorted(set(world.layout.all_servers().values())), self._answer, port)

    @property
    def port(self) -> int:
        """The port all servers share; 0 before start if none was asked for."""
        return self._sockets.port

    async def start(self) -> None:
        """Listen on all addresses. Raises OSError if that fails."""
        await self._sockets.start()
        self.world.outside = lambda address, qname, qtype: ask(address, self.port, qname, qtype)

    async def stop(self) -> None:
        """Close all sockets."""
        await self._sockets.stop()

    async def __aenter__(self) -> SandboxDns:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def endpoints(self) -> dict[str, Any]:
        """Where to point a client: ``port``, ``roots`` (name → address), ``recursors`` (addresses)."""
        layout = self.world.layout
        return {"port": self.port, "roots": dict(layout.root), "recursors": list(layout.recursors.values())}

    def control(self, op: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """One control operation, see :class:`DnsControl`."""
        return self._control.control(op, args)

    def resolve_a(self, hostname: str, via: str = "aws") -> set[str]:
        """IPv4 addresses of a name, through AWS's own resolver or any recursor."""
        return self.world.resolve_a(hostname, via)

    def install_dig(self, directory: Path) -> Path:
        """Write an executable ``dig`` into ``directory`` that asks this sandbox unless told otherwise."""
        return install(directory, self.endpoints()["recursors"][0], self.port)

    def _answer(self, address: str, qname: str, qtype: str, rd: bool, transport: str) -> Reply | None:
        return self.world.query(address, qname, qtype, rd, transport)
