"""AWS and the world's DNS over one model, served on loopback from a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.aws.client import SandboxAws
from sandbox.aws.model import AwsModel, Settings
from sandbox.aws.model.publish import Publisher
from sandbox.aws.wire.server import AwsServer
from sandbox.dns.aws_source import AwsSource
from sandbox.dns.layout import Layout, Timing
from sandbox.dns.model import DnsWorld
from sandbox.dns.service import SandboxDns

REGION = "ap-northeast-1"
ACCESS_KEY = "AKIASANDBOXSANDBOX00"
OPERATOR_KEY = "AKIASANDBOXOPERATOR0"
OPERATOR_USER = "mailegress"
OPERATOR_ARN = f"arn:aws:iam::{Settings().default_account}:user/{OPERATOR_USER}"
"""The operator is somebody else than the world's user: its permissions are its own."""

Populate = Callable[[AwsModel, DnsWorld], None]


class Cloud:
    """A context manager. ``scale`` shrinks every delay and TTL of the world (1 = like AWS).

    ``populate`` fills both sides before anything is served. ``host`` and ``layout``: where AWS and the DNS
    servers listen, for clients that this machine's loopback does not reach. ``dns_port``: of all DNS servers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        scale: float = 1.0,
        seed: int = 1,
        port: int = 0,
        populate: Populate | None = None,
        host: str = "127.0.0.1",
        layout: Layout | None = None,
        dns_port: int = 0,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-cloud", daemon=True)
        self._host, self._port = host, port
        self._server = AwsServer(settings or Settings(), seed)
        model = self._server.model
        self.world = DnsWorld(
            AwsSource(Publisher(model)),
            self._loop.time,
            layout=layout,
            timing=Timing(ttl_scale=scale),
            aws_resolver_caches=False,
        )
        model.sts.register_key(OPERATOR_KEY, model.settings.default_account, OPERATOR_USER)
        model.resolve_a = self.world.resolve_a
        if populate is not None:
            populate(model, self.world)
        self._dns = SandboxDns(self.world, dns_port)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> None:
        self.url = await self._server.start(self._host, self._port)
        await self._dns.start()

    async def _stop(self) -> None:
        await self._dns.stop()
        await self._server.stop()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @property
    def aws(self) -> SandboxAws:
        """Commands to the AWS side: worlds, faults, the call log, dumps."""
        return SandboxAws(self.url)

    def dns(self, op: str, **arguments: Any) -> dict[str, Any]:
        """One control operation of the DNS side, see :class:`sandbox.dns.control.DnsControl`."""

        async def run() -> dict[str, Any]:
            return self._dns.control(op, arguments)

        result: dict[str, Any] = self._call(run())
        return result

    @property
    def dns_port(self) -> int:
        return self._dns.port

    @property
    def recursors(self) -> list[str]:
        return [f"{address}:{self.dns_port}" for address in self._dns.endpoints()["recursors"]]

    @property
    def roots(self) -> list[str]:
        return [f"{address}:{self.dns_port}" for address in self._dns.endpoints()["roots"].values()]

    @property
    def dns_ranges(self) -> list[str]:
        """The ranges of all name servers; none of them is public."""
        addresses = self.world.layout.all_servers().values()
        return sorted({f"{address.rpartition('.')[0]}.0/24" for address in addresses})

    def install_dig(self, directory: Path) -> Path:
        """A ``dig`` that asks this sandbox unless told otherwise."""
        return self._dns.install_dig(directory)

    def aws_environ(self, access_key: str = ACCESS_KEY) -> Mapping[str, str]:
        """What the AWS SDKs and the aws CLI need to find this AWS, and nothing of the user's own."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def operator_environ(self) -> Mapping[str, str]:
        """What the operator needs to see this AWS and this DNS."""
        return {
            **self.aws_environ(OPERATOR_KEY),
            "MAILEGRESS_REGIONS": REGION,
            "MAILEGRESS_DNS_ROOTS": ",".join(self.roots),
            "MAILEGRESS_DNS_RESOLVERS": ",".join(self.recursors),
            "MAILEGRESS_DNS_AUTHORITY_PORT": str(self.dns_port),
            "MAILEGRESS_DNS_EXTRA_RANGES": ",".join(self.dns_ranges),
        }
