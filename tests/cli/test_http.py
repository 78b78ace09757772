"""Probes and metrics over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from mailegress.cli.http import HttpServer, ListenError
from mailegress.telemetry.metrics import Metrics


class World:
    """The answers of the injected checks."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.not_live: Sequence[str] = ()
        self.not_ready: Sequence[str] = ("the initial list of MailEgresses was not seen yet",)
        self.broken = False

    def live(self) -> Sequence[str]:
        if self.broken:
            raise RuntimeError("secret detail")
        return self.not_live

    def ready(self) -> Sequence[str]:
        return self.not_ready


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    server = HttpServer(("127.0.0.1", 0), world.metrics.registry, world.live, world.ready)
    await server.start()
    assert server.port
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_readiness_follows_the_initial_list_and_gives_its_reasons(world: World, url: str) -> None:
    status, text, _ = await get(url + "/readyz")
    assert (status, text) == (503, "the initial list of MailEgresses was not seen yet\n")
    world.not_ready = ()
    assert (await get(url + "/readyz"))[:2] == (200, "ok\n")


async def test_liveness_fails_when_the_workers_stand_still(world: World, url: str) -> None:
    assert (await get(url + "/livez"))[:2] == (200, "ok\n")
    world.not_live = ("worker 3 has been on one pass for 130 s", "worker 4 has been on one pass for 140 s")
    status, text, _ = await get(url + "/livez")
    assert status == 503
    assert text.splitlines() == list(world.not_live)


async def test_a_check_that_raises_is_a_failure_without_its_details(world: World, url: str) -> None:
    world.broken = True
    status, text, _ = await get(url + "/livez")
    assert status == 503
    assert "RuntimeError" in text
    assert "secret detail" not in text


async def test_metrics_in_the_format_that_the_scraper_asks_for(world: World, url: str) -> None:
    world.metrics.aws_call("ec2", "DescribeAddresses", "OK", 0.1)
    status, text, content_type = await get(url + "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    assert 'mailegress_aws_calls_total{code="OK",operation="DescribeAddresses",service="ec2"} 1.0' in text
    assert not text.endswith("# EOF\n")

    status, text, content_type = await get(
        url + "/metrics", Accept="application/openmetrics-text; version=1.0.0"
    )
    assert status == 200
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


async def test_one_exposition_serves_everybody_for_a_second(world: World, url: str) -> None:
    reads: list[float] = []

    def read() -> float:
        reads.append(0.0)
        return 1.0

    world.metrics.gauge("mailegress_counted", "A gauge that counts its readings.", read)
    async with asyncio.TaskGroup() as scrapers:
        for _ in range(10):
            scrapers.create_task(get(url + "/metrics"))
    made = len(reads)
    assert 1 <= made <= 2, "ten scrapers at once, on a machine that may be slow"
    async with asyncio.timeout(10):
        while len(reads) == made:
            await get(url + "/metrics")


async def test_a_broken_gauge_breaks_the_scrape_but_no_probe(world: World, url: str) -> None:
    def read() -> float:
        raise RuntimeError("no value")

    world.metrics.gauge("mailegress_broken", "A gauge whose reader fails.", read)
    assert (await get(url + "/metrics"))[0] == 500
    assert (await get(url + "/livez"))[0] == 200


async def test_only_the_three_paths_exist(url: str) -> None:
    assert (await get(url + "/"))[0] == 404
    assert (await get(url + "/debug/pprof"))[0] == 404


async def test_a_port_in_use_is_said_plainly_with_the_remedy(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HttpServer(("127.0.0.1", port), world.metrics.registry, world.live, world.ready)
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port} is in use .*--http-address"):
            await server.start()
    await server.stop()


async def test_an_address_of_another_host_is_said_plainly(world: World) -> None:
    server = HttpServer(("192.0.2.1", 0), world.metrics.registry, world.live, world.ready)
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:0: .*--http-address"):
        await server.start()


async def test_after_stop_the_port_is_free_again(world: World) -> None:
    server = HttpServer(("127.0.0.1", 0), world.metrics.registry, world.live, world.ready)
    await server.start()
    await server.stop()
    again = HttpServer(("127.0.0.1", server.port), world.metrics.registry, world.live, world.ready)
    await again.start()
    await again.stop()
