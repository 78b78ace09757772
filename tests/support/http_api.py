"""The in-memory API server over HTTP on loopback, with a log of all requests.

For what a session in memory cannot show: connections, proxies, redirects, tokens, kopf on real sockets, an operator in
a process of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.simulation.apiserver import ApiServer
from tests.support.simulation.apiwire import Object, Watch


class HttpApi:
    """``server`` holds the objects and the faults. A fault without a code gets no answer until the test ends."""

    def __init__(self) -> None:
        self.server = ApiServer(time.monotonic, lambda: datetime.now(UTC), Random(1))
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        """Method and path with query, oldest first; ``tokens`` and ``bodies`` belong to them."""
        self.tokens: list[str | None] = []
        self.bodies: list[Any] = []
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with TestServer(self.app()) as running:
            self.url = str(running.make_url("")).rstrip("/")
            try:
                yield
            finally:
                self._ended.set()
                self.server.break_watches()

    # ------------------------------------------------------------ the user's side

    def put(self, name: str, namespace: str = "mail", note: str = "mta", **spec: Any) -> Object:
        """Create an object, or edit its spec. ``note``: the first label of its hostname."""
        if (namespace, name) in self.server.objects:
            return self.server.edit(namespace, name, **{"hostname": f"{note}.example.com", **spec})
        made = {
            "hostname": f"{note}.example.com",
            "elasticIPs": [{"allocationID": "eipalloc-0123456789abcdef0"}],
        }
        return self.server.create(namespace, name, made | spec)

    def object(self, name: str, namespace: str = "mail") -> Object:
        return self.server.objects[namespace, name]

    # ------------------------------------------------------------ what was requested

    def count(self, method: str, part: str) -> int:
        return sum(1 for m, path in self.requests if m == method and part in path)

    @property
    def watches(self) -> int:
        """How many watches were opened so far; ``server.watches`` has the open ones."""
        return self.count("GET", "watch=true")

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something that a request changes is true. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def poke(self) -> None:
        """Have :meth:`until` look again."""
        self._changed.set()

    # ------------------------------------------------------------ the server's side

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path_qs))
        self.tokens.append(request.headers.get("Authorization"))
        self.bodies.append(body)
        try:
            reply = self.server.answer(request.method, request.path_qs, body)
        except aiohttp.ServerDisconnectedError:
            await self._ended.wait()
            return web.Response(status=503)
        finally:
            self.poke()
        if isinstance(reply, Watch):
            return await self._stream(request, reply)
        return web.Response(
            text=await reply.text(),
            status=reply.status,
            headers=reply.headers,
            content_type="application/json",
        )

    async def _stream(self, request: web.Request, watch: Watch) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            async with aclosing(watch.iter_chunked(0)) as lines:
                async for line in lines:
                    await response.write(line)
        except ConnectionResetError:
            """The client has gone."""
        finally:
            self.poke()
        return response
