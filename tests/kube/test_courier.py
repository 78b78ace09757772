"""Events travel by themselves: in order, and no failure of one holds up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mailegress.kube.event_recorder import EventRecorder

BODY = {
    "apiVersion": "mailegress.io/v1alpha1",
    "kind": "MailEgress",
    "metadata": {"name": "a", "namespace": "mail", "uid": "u"},
    "spec": {"hostname": "mta.example.com"},
}


class SlowKube:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.involved: list[Mapping[str, Any]] = []
        self.gate = asyncio.Event()
        self.broken: set[str] = set()
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def set_finalizers(self, *arguments: Any) -> Mapping[str, Any]:
        return {"finalizers": arguments}

    async def replace_status(self, body: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"status": status}

    async def emit(self, involved: Mapping[str, Any], *, reason: str, **_: Any) -> None:
        await self.gate.wait()
        if reason in self.broken:
            raise RuntimeError(reason)
        self.sent.append(reason)
        self.told.put_nowait(reason)
        self.involved.append(involved)


async def tell(courier: EventRecorder, *reasons: str) -> None:
    for reason in reasons:
        await courier.emit(BODY, warning=False, reason=reason, message="text", action="Reconcile")


async def until_sent(kube: SlowKube, wanted: Sequence[str]) -> None:
    async with asyncio.timeout(5):
        assert [await kube.told.get() for _ in wanted] == list(wanted)


async def test_telling_returns_at_once_and_events_arrive_in_order() -> None:
    kube = SlowKube()
    courier = EventRecorder(kube)
    running = asyncio.create_task(courier.run())
    await tell(courier, "ChangePending", "PTRPending", "Ready")
    assert await courier.replace_status(BODY, {"x": 1}) == {"status": {"x": 1}}, (
        "a write does not wait for them"
    )
    assert kube.sent == []
    kube.gate.set()
    await until_sent(kube, ["ChangePending", "PTRPending", "Ready"])
    assert "spec" not in kube.involved[0], "only what an Event refers to is kept while it waits"
    running.cancel()


async def test_a_bug_in_one_event_costs_that_event_alone() -> None:
    kube = SlowKube()
    kube.broken.add("PTRPending")
    kube.gate.set()
    courier = EventRecorder(kube)
    running = asyncio.create_task(courier.run())
    await tell(courier, "ChangePending", "PTRPending", "Ready")
    await until_sent(kube, ["ChangePending", "Ready"])
    running.cancel()


async def test_of_too_many_the_oldest_are_dropped() -> None:
    kube = SlowKube()
    kube.gate.set()
    courier = EventRecorder(kube, most=2)
    await tell(courier, "first", "second", "third")
    running = asyncio.create_task(courier.run())
    await until_sent(kube, ["second", "third"])
    running.cancel()


def body(namespace: str) -> dict[str, Any]:
    return {**BODY, "metadata": {**BODY["metadata"], "namespace": namespace}}  # type: ignore[dict-item]


async def test_a_flood_in_one_namespace_neither_delays_nor_drops_events_of_another() -> None:
    kube = SlowKube()
    kube.gate.set()
    courier = EventRecorder(kube, most=4)
    for namespace, reason in (("flood", "f1"), ("quiet", "q1"), ("flood", "f2"), ("flood", "f3"), ("flood", "f4"),
                              ("quiet", "q2"), ("flood", "f5")):  # fmt: skip
        await courier.emit(body(namespace), warning=False, reason=reason, message="text", action="Reconcile")
    running = asyncio.create_task(courier.run())
    await until_sent(kube, ["f4", "q1", "f5", "q2"])
    running.cancel()


async def test_a_busy_api_server_gets_rests_between_events() -> None:
    kube, now, rests = SlowKube(), 0.0, asyncio.Queue[float]()

    async def slow(*_: Any, reason: str, **__: Any) -> None:
        nonlocal now
        now += 0.2

    async def rest(seconds: float) -> None:
        rests.put_nowait(seconds)

    kube.emit = slow  # type: ignore[method-assign]
    courier = EventRecorder(kube, clock=lambda: now, sleep=rest)
    await tell(courier, "ChangePending", "Ready")
    running = asyncio.create_task(courier.run())
    async with asyncio.timeout(5):
        assert [round(await rests.get(), 6) for _ in range(2)] == [0.6, 0.6]
    running.cancel()
