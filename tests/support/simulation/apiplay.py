"""One set of requests for the real API server and for its double, and their answers without what varies."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from mailegress.kube.transport import Transport

GOLDEN = Path(__file__).parents[2] / "sim" / "golden"
"""The real API server's answers; ``scripts`` of no kind edit them but ``record_api.py``."""
GROUP = "/apis/mailegress.io/v1alpha1"
ONE, TWO, STILL, ENDING = NAMESPACES = ("golden-one", "golden-two", "golden-still", "golden-ending")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ACCEPT = {"Accept": "application/json"}

Object = dict[str, Any]


class Server(Protocol):
    """An API server with nothing of ours in it."""

    transport: Transport

    async def namespaces(self, *names: str) -> None:
        """Make them."""

    async def end(self, name: str) -> None:
        """Begin the deletion of a namespace in which something holds it."""


class Player:
    """Asks, and keeps the answers. Objects that come back are whole, so that a case can use what varies."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.kept: list[Object] = []
        self._names: dict[str, str] = {}
        self._statuses: dict[str, str] = {}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request. A list is a JSON patch, an object with PATCH a merge patch."""
        kind = "application/json"
        if method == "PATCH":
            kind = f"application/{'json' if isinstance(body, list) else 'merge'}-patch+json"
        headers = {**_ACCEPT, "Content-Type": kind}
        response = await self.server.transport.request(method, path, json=body, headers=headers)
        try:
            answer = json.loads(await response.text())
        finally:
            response.close()
        self._keep(f"{method} {path}", response.status, answer)
        return answer

    async def watch(self, path: str, count: int) -> list[Object]:
        """Until ``count`` events came, or the stream ended."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=90.0)
        response = await self.server.transport.request("GET", path, headers=_ACCEPT, timeout=timeout)
        events: list[Object] = []
        rest = b""
        try:
            if response.status >= 400:
                events.append(json.loads(await response.text()))
            else:
                async for chunk in response.content.iter_chunked(1 << 16):
                    *lines, rest = (rest + chunk).split(b"\n")
                    events += map(json.loads, filter(None, lines))
                    if len(events) >= count:
                        break
        finally:
            response.close()
        self._keep(f"GET {path}", response.status, {"events": events[:count]})
        return events

    def note(self, what: str, value: str) -> None:
        """Keep what the operator reads from the last answer."""
        self.kept.append({"ask": what, "answer": value})

    # ------------------------------------------------------------ what varies

    def _keep(self, asked: str, status: int, answer: Object) -> None:
        self.kept.append({"ask": self._plain(asked), "status": status, "answer": self._plain(answer)})

    def _plain(self, value: Any, field: str = "", of_all: bool = False) -> Any:
        if isinstance(value, dict):
            return self._object(value, of_all)
        if isinstance(value, list):
            return [self._plain(v, field) for v in value]
        return self._text(field, value, of_all) if isinstance(value, str) else value

    def _object(self, value: Object, of_all: bool) -> Object:
        if value.get("kind") == "Status" and value.get("status") == "Failure":
            return _refusal(value)
        if str(value.get("kind", "")).endswith("List") or value.get("type") == "BOOKMARK":
            of_all = True
        return {
            k: self._status(v)
            if k == "status" and isinstance(v, dict)
            else self._plain(v, k, of_all and k != "items")
            for k, v in sorted(value.items())
            # Who wrote which field, what an Event was in another version, and what a bookmark has for a creation.
            if k != "managedFields"
            and not k.startswith("deprecated")
            and not (k == "creationTimestamp" and v is None)
        }

    def _status(self, status: Object) -> Object | str:
        """A status is long: whole when it is first seen."""
        shown = self._plain(status)
        text = json.dumps(shown)
        if text in self._statuses:
            return self._statuses[text]
        self._statuses[text] = f"<status {len(self._statuses) + 1}>"
        return shown  # type: ignore[no-any-return]

    def _text(self, field: str, text: str, of_all: bool) -> str:
        if field == "resourceVersion" and of_all:
            # Of a list or a bookmark: it moves with whatever else happens in the server.
            return self._names.setdefault(text, "<now>")
        if field in ("uid", "resourceVersion", "continue") and text:
            known = self._names.get(text)
            if known is None or known == "<now>":
                count = len({name for name in self._names.values() if name.startswith(f"<{field} ")})
                self._names[text] = known = f"<{field} {count + 1}>"
            return known
        text = _TIME.sub("<time>", text)
        return re.sub(r"(resourceVersion|continue)=([^&]{2,})", r"\1=<\1>", text)


def _refusal(status: Object) -> Object:
    """What a client can go by. The words of a schema violation or of a lost race are the server's own affair."""
    causes = (status.get("details") or {}).get("causes") or ()
    shown = {"code": status["code"], "reason": status.get("reason", "")}
    if status["code"] == 422:
        # <nil>: rules that were not looked at.
        return shown | {"fields": sorted({c["field"] for c in causes if c.get("field", "<nil>") != "<nil>"})}
    words = status["message"] if shown["reason"] != "Conflict" else status["message"].partition(": ")[0]
    return shown | {"message": re.sub(r"\d+", "<n>", words)}


def path_of(namespace: str = "", name: str = "", part: str = "") -> str:
    """Of the collection, an object, or a subresource."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(filter(None, [f"{GROUP}{scope}/mailegresses", name, part]))


def manifest(name: str, hostname: str = "mta.example.com", **more: Any) -> Object:
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": name},
        "spec": {"hostname": hostname, "elasticIPs": [{"allocationID": "eipalloc-0abc"}], **more},
    }


Case = Callable[[Player], Awaitable[None]]


async def play(case: Case, server: Server) -> list[Object]:
    """The answers to one case's requests. The namespaces must be empty."""
    player = Player(server)
    await case(player)
    return player.kept


def text_of(answers: list[Object]) -> str:
    return json.dumps(answers, indent=1, ensure_ascii=False) + "\n"


def recorded(name: str) -> list[Object]:
    """The real API server's answers."""
    kept: list[Object] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return kept


def differences(name: str, got: list[Object]) -> list[str]:
    """Where answers differ from the recorded ones; [] = nowhere."""
    wanted = recorded(name)
    out = [] if len(wanted) == len(got) else [f"{len(got)} answers, {len(wanted)} were recorded"]
    for number, (want, have) in enumerate(zip(wanted, got, strict=False)):
        if want != have:
            out.append(
                f"{name}[{number}] {want['ask']}\n  recorded {json.dumps(want)}\n  now      {json.dumps(have)}"
            )
    return out


async def ended(watching: asyncio.Task[Any]) -> None:
    """Until a watch that runs beside the requests has seen what it waits for."""
    async with asyncio.timeout(60.0):
        await watching
