"""A store and an API server with one object, for a whole reconcile over the planner's fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailegress.engine.burst import CreationBurst
from mailegress.reconcile.reconciler import Reconciler
from mailegress.telemetry.metrics import Metrics
from tests.support.planner import PlannerHarness


class OneObject:
    """``item`` as the API server stores it; ``events``: reason, and whether it is a warning."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.writes = 0
        self.events: list[tuple[str, bool]] = []

    def reconciler(self, harness: PlannerHarness) -> Reconciler:
        """It uses the harness's clock. A test replaces what hands over requests and writes."""
        ports: Any = self
        return Reconciler(
            harness.ports, ports, ports, CreationBurst(lambda: harness.now), harness.settings, Metrics(),
            wake=lambda key: None, clock=lambda: harness.now, timestamp=lambda: "2026-01-01T00:00:00Z",
        )  # fmt: skip

    def body(self, key: str) -> dict[str, Any]:
        return self.item

    def seen(self, item: Mapping[str, Any]) -> None:
        return None

    async def replace_status(self, item: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        self.writes += 1
        self.item = {**item, "status": dict(status)}
        return self.item

    async def emit(self, involved: Mapping[str, Any], *, warning: bool, reason: str, **_: Any) -> None:
        self.events.append((reason, warning))
