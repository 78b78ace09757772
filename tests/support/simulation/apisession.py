"""The operator's way to the API server in memory: requests take time, and faults meet them on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from tests.support.simulation.apiwire import LATENCY, ApiError, Reply
from tests.support.simulation.faults import Plan

SERVER = "http://api.sim"
NO_ANSWER = 5.0
"""Seconds until a connection without an answer breaks."""


class Server(Protocol):
    """What answers; a test may replace ``answer`` while sessions exist."""

    def answer(self, method: str, url: str, body: Any) -> Reply: ...


class Session:
    """What the transport takes for ``aiohttp.ClientSession``."""

    def __init__(
        self,
        server: Server,
        gate: Callable[[], None],
        take: Callable[[], Plan | None],
    ) -> None:
        self._server, self._gate, self._take = server, gate, take

    async def request(self, method: str, url: str, *, json: Any = None, **_: Any) -> Reply:
        plan = self._take()
        await asyncio.sleep(LATENCY)
        self._gate()
        if plan is not None and plan.when == "before":
            return await self._fail(plan)
        reply = self._server.answer(method.upper(), url.removeprefix(SERVER), json)
        await asyncio.sleep(LATENCY)
        self._gate()
        return await self._fail(plan) if plan is not None and reply.status < 400 else reply

    async def _fail(self, plan: Plan) -> Reply:
        if plan.kind == "timeout":
            await asyncio.sleep(NO_ANSWER)
            self._gate()
            raise aiohttp.ServerDisconnectedError
        code = {"5xx": 500, "throttle": 429, "denied": 403, "conflict": 409}[plan.kind]
        error = ApiError(code, "Injected", f"injected: {plan.kind}")
        return Reply(error.body(), code, {"Retry-After": "1"} if code == 429 else None)


def now_from(start: float, clock: Callable[[], float]) -> Callable[[], datetime]:
    """A wall clock over virtual time."""
    return lambda: datetime.fromtimestamp(start + clock(), UTC)
