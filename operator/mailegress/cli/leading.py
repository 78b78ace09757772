"""When this replica may act: always, or while it holds the Lease (``--leader-elect``)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from mailegress.cli.dependencies import Dependencies
from mailegress.cli.settings import Settings
from mailegress.kube.client import KubeClient
from mailegress.kube.lease import LeaderGuard, LeaseElector, LeaseSettings
from mailegress.reconcile.write_guard import WriteGuard


class AlwaysActive:
    """The only replica; see :class:`mailegress.kube.lease.LeaseElector`."""

    async def run(
        self, on_started: Callable[[], None], finish: Callable[[], Awaitable[object]], stop: asyncio.Event
    ) -> None:
        on_started()
        await stop.wait()
        await finish()


def guard(settings: Settings, dependencies: Dependencies) -> WriteGuard:
    """What every write passes: with leader election, only while the Lease is held."""
    if settings.leader_elect:
        return LeaderGuard(dependencies.guard, dependencies.clock)
    return dependencies.guard


def elector(kube: KubeClient, guard: WriteGuard, dependencies: Dependencies) -> LeaseElector | AlwaysActive:
    """The elector that belongs to a :func:`guard`."""
    if not isinstance(guard, LeaderGuard):
        return AlwaysActive()
    return LeaseElector(
        kube,
        LeaseSettings(namespace=os.environ.get("POD_NAMESPACE", "mailegress-system")),
        dependencies.identity,
        guard,
        clock=dependencies.clock,
        rng=dependencies.rng,
        wall=dependencies.wall,
    )
