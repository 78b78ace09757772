"""A fake API server on loopback and a transport to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from mailegress.kube.transport import Transport
from tests.support.fake_api import FakeApi
from tests.support.virtual_loop import run_exactly


@pytest.fixture
async def api() -> AsyncIterator[Any]:
    """The world's side of the API server; ``api.url`` is where it answers."""
    server = FakeApi()
    async with TestServer(server.app()) as running:
        server.url = str(running.make_url("")).rstrip("/")
        yield server
        server.hanging.set()
        server.cut_watches()


@pytest.fixture
async def transport(api: Any) -> AsyncIterator[Transport]:
    async with aiohttp.ClientSession() as session:
        yield Transport(session, api.url)


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in virtual time."""
    return run_exactly
