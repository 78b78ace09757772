"""Ways to have an AWS inside of one process: with a virtual clock, or served from a thread."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from .client import SandboxAws
from .model import AwsModel, Settings
from .model.base import Response
from .service import AwsService, Call
from .wire.server import AwsServer

START = 1_800_000_000.0


class VirtualClock:
    """Time that only moves when told. Seconds since the epoch."""

    def __init__(self, start: float = START) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds


class LocalAws:
    """A model with a virtual clock, called without a wire: `aws.ec2("DescribeAddresses", …)`."""

    def __init__(
        self, settings: Settings | None = None, seed: int = 1, clock: VirtualClock | None = None
    ) -> None:
        self.clock = clock or VirtualClock()
        self.model = AwsModel(self.clock, settings, seed)
        self.service = AwsService(self.model)
        self.region = "ap-northeast-1"
        self.access_key = ""
        self.token: str | None = None

    def call(self, service: str, operation: str, params: dict[str, object]) -> Response:
        """Raises AwsFault, ConnectionCut or GarbageReply."""
        return self.service.handle(Call(service, operation, params, self.region, self.access_key, self.token))

    def route53(self, operation: str, **params: object) -> Response:
        return self.call("route53", operation, params)

    def ec2(self, operation: str, **params: object) -> Response:
        return self.call("ec2", operation, params)

    def sts(self, operation: str, **params: object) -> Response:
        return self.call("sts", operation, params)


class ServedAws:
    """An `AwsServer` on its own event loop in a thread; a context manager. `url` and `control` while open."""

    def __init__(self, settings: Settings | None = None, seed: int = 1) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-aws", daemon=True)
        self._server = AwsServer(settings, seed)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def control(self) -> SandboxAws:
        return SandboxAws(self.url)
