"""What goes over the wire between a controller and the API server: replies, refusals, watches."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

Object = dict[str, Any]

GROUP = "/apis/mailegress.io/v1alpha1"
LATENCY = 0.002
"""Seconds for each way of a request and for a watch event."""
BOOKMARK = 55.0
"""Seconds between bookmarks; the API server sends about one a minute."""
BEFORE_END, SOON = 2.0, 10.0
"""Seconds before a stream's end of its last bookmark, if the stream is that much older then."""


class ApiError(Exception):
    """A refusal, as the API server words it."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[Object, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes

    def body(self) -> Object:
        return {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code, "reason": self.reason,
            "message": self.message, "details": {"causes": list(self.causes)} if self.causes else {},
        }  # fmt: skip


@dataclass
class Fault:
    """What the next ``times`` matching requests get: a status code, or None for a connection that breaks.

    ``applied``: the request is carried out first.
    """

    method: str
    part: str
    code: int | None
    times: int = 1
    applied: bool = False
    reason: str = "Injected"
    message: str = "injected"
    headers: Mapping[str, str] | None = None
    """None: ``Retry-After: 1`` with 429, nothing otherwise."""


class Reply:
    """What kopf and our client use of a response."""

    def __init__(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.content = self
        self.closed = False
        self._body = body

    async def json(self) -> Any:
        return json.loads(json.dumps(self._body))

    async def text(self) -> str:
        return json.dumps(self._body)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield json.dumps(self._body).encode()

    def raise_for_status(self) -> None:
        if self.status >= 400:
            raise AssertionError("the caller is expected to look at the status")

    def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Reply:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Watch(Reply):
    """One open watch: a line for each event, each with its own due time."""

    def __init__(
        self,
        clock: Callable[[], float],
        timeout: float,
        bookmark: Callable[[], bytes] | None,
        ended: Callable[[Watch], object],
    ) -> None:
        super().__init__(None)
        self._clock, self._bookmark, self._ended = clock, bookmark, ended
        self._lines: deque[tuple[float, bytes | None]] = deque()
        self._until = self._clock() + timeout
        self._waiter: asyncio.Future[None] | None = None

    def push(self, line: bytes | None, delay: float = LATENCY) -> None:
        """An event; None ends the stream."""
        due = self._clock() + delay
        if self._lines:
            due = max(due, self._lines[-1][0])
        self._lines.append((due, line))
        self._wake()

    def close(self) -> None:
        super().close()
        self._ended(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _next_bookmark(self) -> float:
        """About once a minute, and shortly before the end of a stream that is not too short."""
        if self._bookmark is None:
            return self._until
        now = self._clock()
        last = self._until - BEFORE_END
        return min(now + BOOKMARK, last if last > now + SOON else self._until)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        bookmark = self._next_bookmark()
        try:
            while True:
                if self.closed:
                    raise aiohttp.ClientConnectionError("closed")
                now = self._clock()
                if self._lines and self._lines[0][0] <= now:
                    line = self._lines.popleft()[1]
                    if line is None:
                        return
                    yield line
                    continue
                if now >= self._until:
                    return
                if now >= bookmark and self._bookmark is not None:
                    bookmark = self._next_bookmark()
                    yield self._bookmark()
                    continue
                due = min(self._until, bookmark, self._lines[0][0] if self._lines else self._until)
                await self._pause(due - now)
        finally:
            self._ended(self)

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


def event_line(kind: str, body: Object) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def request_name(method: str, path: str, query: Mapping[str, str]) -> str:
    """What a request is counted under: its method and what it is about."""
    tail = path.rsplit("/", 1)[-1]
    if "/mailegresspolicies" in path:
        tail = "policies"
    elif path.startswith(GROUP):
        tail = (
            "status"
            if path.endswith("/status")
            else "watch"
            if query.get("watch") == "true"
            else "mailegresses"
        )
    elif "/events" in path:
        tail = "events"
    return f"{method} {tail}"


# ---------------------------------------------------------------- discovery

_VERSION = {"groupVersion": "mailegress.io/v1alpha1", "version": "v1alpha1"}
_MEG = {
    "name": "mailegresses", "singularName": "mailegress", "kind": "MailEgress", "namespaced": True,
    "verbs": ["get", "list", "watch", "patch", "update", "create", "delete"], "shortNames": ["meg"],
}  # fmt: skip
_STATUS = {
    "name": "mailegresses/status",
    "singularName": "",
    "kind": "MailEgress",
    "namespaced": True,
    "verbs": ["update"],
}
_NAMESPACES = {
    "name": "namespaces",
    "singularName": "namespace",
    "kind": "Namespace",
    "namespaced": False,
    "verbs": ["get"],
}
DISCOVERY: Mapping[str, Object] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [_NAMESPACES]},
    "/apis": {"groups": [{"name": "mailegress.io", "versions": [_VERSION], "preferredVersion": _VERSION}]},
    GROUP: {"resources": [_MEG, _STATUS]},
}
