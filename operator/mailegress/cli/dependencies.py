"""Where the operator ends and its surroundings begin: network, time, chance. The defaults are production's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailegress.aio.tasks import Clock, Sleep
from mailegress.aws.api import AwsApi
from mailegress.aws.sdk.client import BotoApi
from mailegress.cli import layer_settings
from mailegress.cli.http import Check, HttpServer
from mailegress.cli.memory_release import Tidy
from mailegress.cli.settings import Settings
from mailegress.dns.query import DnsQuery
from mailegress.dns.settings import DnsSettings
from mailegress.dns.wiring import wire_query
from mailegress.reconcile.write_guard import OpenGuard, WriteGuard
from mailegress.telemetry.loop_lag import LoopLag
from mailegress.telemetry.metrics import Metrics


class Probes(Protocol):
    """What answers probes and shows metrics."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def boto_api(settings: Settings, metrics: Metrics) -> AbstractContextManager[AwsApi]:
    """AWS over the network. As whom and where it is called is logged at the start."""
    api = BotoApi(layer_settings.boto_settings(settings), metrics)
    api.introduce()
    return contextlib.closing(api)


def http_probes(settings: Settings, metrics: Metrics, live: Check, ready: Check) -> Probes:
    """Probes on the configured port."""
    return _Served(
        HttpServer(settings.http_address, metrics.registry, live, ready), LoopLag(metrics.loop_lag)
    )


class _Served:
    """The port, and what only a real process is worth: its loop's lag measured, its memory given back."""

    def __init__(self, server: HttpServer, lag: LoopLag) -> None:
        self._server = server
        self._lag = lag
        self._tidy = Tidy()

    async def start(self) -> None:
        await self._server.start()
        self._lag.start()
        self._tidy.start()

    async def stop(self) -> None:
        self._lag.stop()
        self._tidy.stop()
        await self._server.stop()


def _identity() -> str:
    # Two processes of one machine must not take each other's Lease for their own.
    return os.environ.get("POD_NAME") or f"{os.uname().nodename}-{os.getpid()}"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Dependencies:
    """A simulation replaces all of them. ``clock``: monotonic seconds."""

    aws: Callable[[Settings, Metrics], AbstractContextManager[AwsApi]] = boto_api
    query: Callable[[DnsSettings], DnsQuery] = wire_query
    probes: Callable[[Settings, Metrics, Check, Check], Probes] = http_probes
    clock: Clock = _loop_time
    sleep: Sleep = asyncio.sleep
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    rng: random.Random = field(default_factory=random.Random)
    guard: WriteGuard = field(default_factory=OpenGuard)
    identity: str = field(default_factory=_identity)
    """Names this replica in Events and in the Lease."""
