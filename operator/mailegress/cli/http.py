"""Probes and metrics on one port: ``/livez``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_log = logging.getLogger(__name__)

Check = Callable[[], Sequence[str]]
"""The reasons why not; empty = all is well. Called on the event loop, so it must not block."""


class ListenError(Exception):
    """The port cannot be listened on; the message says why and what to do."""


class HttpServer:
    """Serves until :meth:`stop`.

    A blocked event loop cannot answer, so that the kubelet's time-out is the check of the loop itself;
    ``live`` adds what else must move (workers). Readiness says that the initial list was seen; it never
    depends on AWS or DNS, whose failures a restart or a missing endpoint would not heal.
    """

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, live: Check, ready: Check
    ) -> None:
        self._host, self._port = address
        self._registry = registry
        self._live = live
        self._ready = ready
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port in use: the system's choice when 0 was asked for."""
        return self._port

    async def start(self) -> None:
        """Listen. Errors: :class:`ListenError`."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
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

    async def _livez(self, request: web.Request) -> web.Response:
        return _verdict("livez", self._live)

    async def _readyz(self, request: web.Request) -> web.Response:
        return _verdict("readyz", self._ready)

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        try:
            body = encode(self._registry)
        except Exception:
            # One gauge's reader is broken: say so in the log, and keep the probes apart from it.
            _log.exception("the metrics cannot be read")
            return web.Response(status=500, text="the metrics cannot be read; see the log\n")
        return web.Response(body=body, headers={"Content-Type": content_type})


def _verdict(name: str, check: Check) -> web.Response:
    try:
        reasons = list(check())
    except Exception as error:
        _log.exception("the check %s failed", name)
        reasons = [f"the check itself failed: {type(error).__name__}"]
    if reasons:
        return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
    return web.Response(text="ok\n")
