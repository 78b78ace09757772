"""The watch and the client over a session that is no aiohttp, in virtual time: what a simulation needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import aiohttp

from mailegress.kube.client import KubeClient
from mailegress.kube.transport import LastContact, Transport
from mailegress.kube.watch import watch

Run = Callable[[Coroutine[Any, Any, Any]], Any]

GROUP = "/apis/mailegress.io/v1alpha1"
_VERSION = {"groupVersion": "mailegress.io/v1alpha1", "version": "v1alpha1"}


def egress(name: str, rv: int) -> dict[str, Any]:
    meta = {"name": name, "namespace": "mail", "uid": f"uid-{name}", "resourceVersion": str(rv)}
    return {"apiVersion": "mailegress.io/v1alpha1", "kind": "MailEgress", "metadata": meta, "spec": {}}


class Reply:
    """What kopf and the client use of a response."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.content = self
        self.closed = False
        self._body = body

    async def json(self) -> Any:
        return self._body

    async def text(self) -> str:
        return json.dumps(self._body)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield json.dumps(self._body).encode()

    def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Reply:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Stream(Reply):
    """A watch: an event every 40 s of the loop's time, and no end."""

    def __init__(self, first: int) -> None:
        super().__init__(None)
        self._next = first

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(40)
            if self.closed:
                raise aiohttp.ClientConnectionError
            body = {"type": "MODIFIED", "object": egress("a", self._next)}
            self._next += 1
            yield json.dumps(body).encode() + b"\n"


class Session:
    """An API server in memory."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.rv = 10

    async def request(self, method: str, url: str, **_: Any) -> Reply:
        path = url.removeprefix("http://api")
        self.log.append(f"{method.upper()} {path.partition('?')[0]}")
        await asyncio.sleep(0.01)
        if "watch=true" in path:
            return Stream(11)
        return Reply(self._answer(path.partition("?")[0]))

    def _answer(self, path: str) -> Mapping[str, Any]:
        names = {
            "name": "mailegresses",
            "singularName": "mailegress",
            "kind": "MailEgress",
            "namespaced": True,
        }
        namespaces = {
            "name": "namespaces",
            "singularName": "namespace",
            "kind": "Namespace",
            "namespaced": False,
        }
        verbs = {"verbs": ["list", "watch", "patch"]}
        answers: dict[str, Mapping[str, Any]] = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": [namespaces | verbs]},
            "/apis": {
                "groups": [{"name": "mailegress.io", "versions": [_VERSION], "preferredVersion": _VERSION}]
            },
            GROUP: {"resources": [names | verbs]},
            f"{GROUP}/mailegresses": {"metadata": {"resourceVersion": "10"}, "items": [egress("a", 10)]},
        }
        return answers[path]


def test_half_an_hour_of_watching_costs_no_time_and_no_socket(virtually: Run) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        session = Session()
        transport = Transport(session, "http://api")
        life = LastContact(loop.time)
        seen: list[tuple[str | None, str]] = []
        stop = asyncio.Event()

        def on_change(kind: str | None, body: Mapping[str, Any]) -> None:
            seen.append((kind, body["metadata"]["resourceVersion"]))

        running = asyncio.create_task(watch(transport, on_change, stop, life=life))
        await asyncio.sleep(1800)
        assert seen[0] == (None, "10")
        assert seen[1:] == [("MODIFIED", str(11 + number)) for number in range(len(seen) - 1)]
        assert 40 <= len(seen) <= 46
        assert life.age() <= 40
        client = KubeClient(transport, clock=loop.time)
        pages = [page async for page in client.list_all()]
        assert [body["metadata"]["name"] for page in pages for body in page] == ["a"]
        assert not any(line.startswith(("POST", "PUT", "PATCH")) for line in session.log)
        before = loop.time()
        stop.set()
        await running
        assert loop.time() - before < 3

    virtually(story())
