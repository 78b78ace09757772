"""`kubectl mailegress status --watch` reads when something changed, and not otherwise."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.status import Wanted, show
from tests.support.http_api import HttpApi
from tests.support.simulation.apiwire import Fault

ALL = Wanted(None, None, everywhere=True)


@asynccontextmanager
async def following(api: HttpApi, directory: Path) -> AsyncIterator[asyncio.Task[int]]:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u, namespace: mail}}]\n"
        f"clusters: [{{name: k, cluster: {{server: '{api.url}'}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
    )
    task = asyncio.create_task(show(ALL, str(kubeconfig), None, watch=True, as_json=True))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def documents(text: str) -> list[list[str]]:
    """The hostnames of each document that was printed."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        found.append([item["hostname"] for item in document["items"]])
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def readings(api: HttpApi) -> int:
    """Lists of whole objects for the screen; those of the watch begin with a smaller page."""
    return api.count("GET", "limit=250")


class Screen(io.StringIO):
    """Has the test look again at each output."""

    def __init__(self, api: HttpApi) -> None:
        super().__init__()
        self._api = api

    def flush(self) -> None:
        super().flush()
        self._api.poke()


async def test_each_change_is_read_and_printed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = HttpApi()
    screen = Screen(api)
    monkeypatch.setattr(sys, "stdout", screen)

    def shown() -> list[list[str]]:
        return documents(screen.getvalue())

    api.put("one")
    async with api.serving(), following(api, tmp_path):
        await api.until(lambda: bool(api.server.watches) and shown() == [["mta.example.com"]])
        api.put("one", note="edited")
        await api.until(lambda: len(shown()) == 2)
        api.server.delete("mail", "one")
        await api.until(lambda: len(shown()) == 3)
    assert shown() == [["mta.example.com"], ["edited.example.com"], []]


async def test_without_a_change_nothing_is_read(tmp_path: Path) -> None:
    """Given more time than a poll would wait, the API server gets no request."""
    api = HttpApi()
    api.put("one")
    async with api.serving(), following(api, tmp_path):
        await api.until(lambda: bool(api.server.watches) and readings(api) >= 2)
        before = len(api.requests)
        with pytest.raises(TimeoutError):
            await api.until(lambda: len(api.requests) > before, 3.0)


async def test_an_api_server_that_refuses_ends_it_with_the_remedy(tmp_path: Path) -> None:
    api = HttpApi()
    api.server.faults += [Fault("GET", "/mailegresses", 403, reason="Forbidden", message="no")] * 4
    async with api.serving(), following(api, tmp_path) as task:
        with pytest.raises(Problem, match="mailegress-viewer"):
            await asyncio.wait_for(asyncio.shield(task), 10)
