"""Where the operator ends and its surroundings begin: network, time, chance. The defaults are production's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailegress.aws.api import AwsApi
from mailegress.aws.boto import BotoApi
from mailegress.cli import parts
from mailegress.cli.http import Check, HttpServer
from mailegress.cli.settings import Settings
from mailegress.dns.query import DnsQuery
from mailegress.dns.settings import DnsSettings
from mailegress.dns.wiring import wire_query
from mailegress.reconcile.choke import Choke, OpenChoke
from mailegress.telemetry.metrics import Metrics


class Probes(Protocol):
    """What answers probes and shows metrics."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def boto_api(settings: Settings, metrics: Metrics) -> AbstractContextManager[AwsApi]:
    """AWS over the network."""
    return contextlib.closing(BotoApi(parts.boto_settings(settings), metrics))


def http_probes(settings: Settings, metrics: Metrics, live: Check, ready: Check) -> Probes:
    """Probes on the configured port."""
    return HttpServer(settings.http_address, metrics.registry, live, ready)


def _identity() -> str:
    return os.environ.get("POD_NAME") or os.uname().nodename


@dataclass(frozen=True, slots=True)
class Seams:
    """A simulation replaces all of them. ``clock``: monotonic seconds, None = the event loop's."""

    aws: Callable[[Settings, Metrics], AbstractContextManager[AwsApi]] = boto_api
    query: Callable[[DnsSettings], DnsQuery] = wire_query
    probes: Callable[[Settings, Metrics, Check, Check], Probes] = http_probes
    clock: Callable[[], float] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    rng: random.Random = field(default_factory=random.Random)
    choke: Choke = field(default_factory=OpenChoke)
    identity: str = field(default_factory=_identity)
    """Names this replica in Events and in the Lease."""
