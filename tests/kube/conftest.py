"""The API server double on loopback and a transport to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest

from mailegress.kube.transport import Transport
from tests.support.http_api import HttpApi
from tests.support.virtual_loop import run_exactly


@pytest.fixture
async def api() -> AsyncIterator[HttpApi]:
    """The world's side of the API server; ``api.url`` is where it answers."""
    server = HttpApi()
    async with server.serving():
        yield server


@pytest.fixture
async def transport(api: HttpApi) -> AsyncIterator[Transport]:
    async with aiohttp.ClientSession() as session:
        yield Transport(session, api.url)


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in virtual time."""
    return run_exactly
