"""When the next pass over an object comes, as the reconciler asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fakes import Desk, body, mine

from mailegress.api.conditions import STALLED, TRUE
from mailegress.reconcile.act import Actor
from mailegress.reconcile.crowd import Crowd
from mailegress.reconcile.reconciler import Reconciler
from mailegress.telemetry.metrics import Metrics

HOST = "mta.example.com"
KEY = "mail/meg-1"


class Stored:
    """A store and an API server with one object."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.writes = 0

    def body(self, key: str) -> dict[str, Any]:
        return self.item

    def seen(self, item: Mapping[str, Any]) -> None:
        return None

    async def replace_status(self, item: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        self.writes += 1
        self.item = {**item, "status": dict(status)}
        return self.item

    async def emit(self, involved: Mapping[str, Any], **event: Any) -> None:
        return None

    @property
    def stalled(self) -> bool:
        conditions = self.item["status"].get("conditions", ())
        return any(c["type"] == STALLED and c["status"] == TRUE for c in conditions)


async def test_an_object_that_is_stalled_is_not_passed_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Actor, "request", lambda *_: None)
    desk = Desk()
    eip = desk.eip(1)
    desk.records.put(HOST, [eip.public_ip], mine())
    stored = Stored(body(HOST, [{"allocationID": eip.allocation_id}]))
    ports: Any = stored
    reconciler = Reconciler(
        desk.world, ports, ports, Crowd(lambda: desk.now), desk.settings, Metrics(),
        wake=lambda key: None, clock=lambda: desk.now, timestamp=lambda: "2026-01-01T00:00:00Z",
    )  # fmt: skip
    passes = 0
    while desk.now < 2 * desk.settings.stalled_after_seconds:
        passes += 1
        assert passes < 1000, f"passed over and over at {desk.now:g} s"
        desk.now += await reconciler.process(KEY) or 0.0
    assert stored.stalled
