"""Probes and metrics on one port: ``/livez``, ``/readyz``, ``/metrics``.

Everybody who reaches the pod may connect. So the number of connections and the time of each are bounded, one request is
answered per connection, and the exposition is made at most once a second, however many ask for it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 100
"""Open at once. One more closes the one that has been open the longest: whoever sends its request at once (the kubelet,
a scraper) is answered long before that."""
CONNECTION_SECONDS = 10.0
"""From the connection to the last byte of the answer."""
HEADER_BYTES = 4096
"""Of the request line, and of each header."""
HEADERS = 64
EXPOSITION_SECONDS = 1.0
"""For how long one exposition serves everybody who asks."""

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Check = Callable[[], Sequence[str]]
"""The reasons why not; empty = all is well. Called on the event loop, so it must not block."""


class ListenError(Exception):
    """The port cannot be listened on; the message says why and what to do."""


class _Bounded(web.Server):
    """Closes a connection when its time is up, or when it is the oldest of too many."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(
            handler,
            access_log=None,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
            lingering_time=0.0,
        )
        self._deadlines: dict[web.RequestHandler, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._deadlines) >= MOST_CONNECTIONS:
            self._close(next(iter(self._deadlines)))
        timer = asyncio.get_running_loop().call_later(CONNECTION_SECONDS, self._close, handler)
        self._deadlines[handler] = (transport, timer)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        if (found := self._deadlines.pop(handler, None)) is not None:
            found[1].cancel()
        super().connection_lost(handler, exc)

    def _close(self, handler: web.RequestHandler) -> None:
        transport, timer = self._deadlines.pop(handler)
        timer.cancel()
        transport.abort()


class HttpServer:
    """Serves until :meth:`stop`.

    A blocked event loop cannot answer, so that the kubelet's time-out is the check of the loop itself;
    ``live`` adds what else must move (workers). Readiness says that the initial list was seen; it never
    depends on AWS or DNS, whose failures a restart or a missing endpoint would not repair.
    """

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, live: Check, ready: Check
    ) -> None:
        self._host, self._port = address
        self._registry = registry
        self._live = live
        self._ready = ready
        self._pages = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        self._expositions: dict[str, tuple[float, bytes, str]] = {}
        self._runner: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        """The port in use: the system's choice when 0 was asked for."""
        return self._port

    async def start(self) -> None:
        """Listen. Errors: :class:`ListenError`."""
        runner = web.ServerRunner(_Bounded(self._answer), shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise ListenError(self._explain(error)) from error
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port; requests in flight get half a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _explain(self, error: OSError) -> str:
        where = f"{self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return f"{where} is in use by another process; set --http-address to a free port (port 0 = any)"
        if error.errno == errno.EACCES:
            return f"{where} needs privileges; set --http-address to a port from 1024 up"
        why = error.strerror or error
        return f"cannot listen on {where}: {why}; set --http-address to an address of this host"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        page = self._pages.get(request.path)
        if page is None:
            response = web.Response(status=404, text="404: Not Found\n")
        elif request.method not in ("GET", "HEAD"):
            response = web.Response(
                status=405, text="405: Method Not Allowed\n", headers={"Allow": "GET,HEAD"}
            )
        else:
            response = page(request)
        response.force_close()
        return response

    def _livez(self, request: web.BaseRequest) -> web.Response:
        return _verdict("livez", self._live)

    def _readyz(self, request: web.BaseRequest) -> web.Response:
        return _verdict("readyz", self._ready)

    def _metrics(self, request: web.BaseRequest) -> web.Response:
        # Two formats and no more: each costs a run over all metrics.
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        try:
            body, content_type = self._exposition(_OPENMETRICS if openmetrics else "")
        except Exception:
            # One gauge's reader is broken: say so in the log, and keep the probes apart from it.
            _log.exception("the metrics cannot be read")
            return web.Response(status=500, text="the metrics cannot be read; see the log\n")
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _exposition(self, accept: str) -> tuple[bytes, str]:
        now = asyncio.get_running_loop().time()
        at, body, content_type = self._expositions.get(accept, (float("-inf"), b"", ""))
        if now >= at + EXPOSITION_SECONDS:
            encode, content_type = choose_encoder(accept)
            body = encode(self._registry)
            self._expositions[accept] = (now, body, content_type)
        return body, content_type


def _verdict(name: str, check: Check) -> web.Response:
    try:
        reasons = list(check())
    except Exception as error:
        _log.exception("the check %s failed", name)
        reasons = [f"the check itself failed: {type(error).__name__}"]
    if reasons:
        return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
    return web.Response(text="ok\n")
