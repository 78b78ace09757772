"""Strangers at the port of probes and metrics: half-sent requests and many scrapers."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import aiohttp
import pytest

from mailegress.cli import http
from mailegress.cli.http import HttpServer
from mailegress.telemetry.metrics import Metrics
from tests.hostile.conftest import Bound, LoopLag

HALF_OPEN = 900
SCRAPERS = 30
PROBES = 20
LAG = 0.1
"""Seconds by which the loop may be late."""
ATTEMPTS = 3
"""A process that had no processor for a while has a crowd of connections to accept at once; a missing bound delays the
loop each time.
"""
KUBELET = 5.0
"""Seconds after which the kubelet counts a probe as failed (deploy/base)."""


def _half_open(port: int, count: int, ready: object, until: object) -> None:
    """Connections with the beginning of a request, each followed by one more header line a second."""
    sockets = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        sockets.append(connection)
        if number % 50 == 49:
            time.sleep(0.01)
    ready.set()  # type: ignore[attr-defined]
    while not until.wait(1.0):  # type: ignore[attr-defined]
        for connection in sockets:
            try:
                connection.sendall(b"X-More: x\r\n")
            except OSError:
                continue


def _scrape(port: int, until: object) -> None:
    """One scraper after the other, as fast as they are answered."""
    while not until.is_set():  # type: ignore[attr-defined]
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
                while connection.recv(65_536):
                    pass
        except OSError:
            continue


class Slow:
    """A registry whose reading takes as long as that of a large operator."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self) -> float:
        self.read += 1
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        return float(self.read)


@contextmanager
def strangers(port: int) -> Iterator[object]:
    """Half-open connections and scrapers in processes of their own; yields what says that all are there."""
    context = multiprocessing.get_context("spawn")
    ready, until = context.Event(), context.Event()
    crowd = [context.Process(target=_half_open, args=(port, HALF_OPEN, ready, until), daemon=True)]
    crowd += [context.Process(target=_scrapers, args=(port, SCRAPERS, until), daemon=True)]
    for each in crowd:
        each.start()
    try:
        yield ready
    finally:
        until.set()
        for each in crowd:
            each.join(10)
            if each.is_alive():
                each.kill()


def _scrapers(port: int, count: int, until: object) -> None:
    import threading

    threads = [threading.Thread(target=_scrape, args=(port, until), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def test_half_open_connections_and_scrapers_do_not_delay_the_loop(
    bound: Bound, loop_lag: LoopLag
) -> None:
    metrics, slow = Metrics(), Slow()
    metrics.gauge("mailegress_slow", "Takes its time.", slow)
    server = HttpServer(("127.0.0.1", 0), metrics.registry, lambda: (), lambda: ())
    await server.start()
    try:
        with strangers(server.port) as ready:
            assert await asyncio.to_thread(ready.wait, 60)  # type: ignore[attr-defined]
            for _ in range(ATTEMPTS):
                loop_lag.worst, longest, slow.read = 0.0, 0.0, 0
                began = time.monotonic()
                for _ in range(PROBES):
                    longest = max(longest, await probe(server.port))
                spent = time.monotonic() - began
                if loop_lag.worst <= LAG:
                    break
        bound(
            "HTTP: loop lag in seconds, 900 half-open connections and 30 scrapers",
            limit=LAG,
            seen=loop_lag.worst,
        )
        bound("HTTP: seconds until a probe is answered meanwhile", limit=KUBELET, seen=longest)
        bound("HTTP: expositions made in a second", limit=1.0, seen=max(slow.read - 1, 0) / spent)
    finally:
        await server.stop()


async def probe(port: int) -> float:
    """Seconds until ``/livez`` is answered on a new connection, as the kubelet asks."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/livez") as response:
        assert response.status == 200
    return time.monotonic() - began


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTION_SECONDS", 0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "sent", [b"", b"GET /livez HTTP/1.1\r\nX: y\r\n", b"POST /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_request_that_is_never_finished_is_cut_off(sent: bytes) -> None:
    server = HttpServer(("127.0.0.1", 0), Metrics().registry, lambda: (), lambda: ())
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        async with asyncio.timeout(10):
            try:
                while await reader.read(1000):
                    pass
            except ConnectionResetError:
                pass
        writer.close()
    finally:
        await server.stop()


async def test_no_more_connections_than_the_bound_stay_open(bound: Bound) -> None:
    server = HttpServer(("127.0.0.1", 0), Metrics().registry, lambda: (), lambda: ())
    await server.start()
    try:
        pairs = [
            await asyncio.open_connection("127.0.0.1", server.port) for _ in range(http.MOST_CONNECTIONS + 50)
        ]
        await probe(server.port)
        closed = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                for reader, _ in pairs[:51]:
                    with suppress(ConnectionResetError):
                        assert await reader.read() == b""
                    closed += 1
        bound("HTTP: connections open at once", limit=http.MOST_CONNECTIONS, seen=len(pairs) + 1 - closed)
        for _, writer in pairs:
            writer.close()
    finally:
        await server.stop()


@pytest.mark.parametrize("header", [b"X: " + b"y" * 10_000, b"\r\n".join(b"X%d: y" % n for n in range(200))])
async def test_headers_of_unusual_size_are_refused(header: bytes) -> None:
    server = HttpServer(("127.0.0.1", 0), Metrics().registry, lambda: (), lambda: ())
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        async with asyncio.timeout(10):
            assert b" 400 " in await reader.readline()
        writer.close()
    finally:
        await server.stop()
