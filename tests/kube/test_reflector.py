"""The list and watch of policies and namespaces: complete, trimmed, and without an end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from mailegress.kube.client import KubeClient
from mailegress.kube.reflector import NAMESPACES, POLICIES, Reflector, ReflectorSettings, Resource
from mailegress.kube.transport import Transport
from mailegress.reconcile.ports import KubeError, KubeGone


class Answer:
    """A reply, whole or as lines of a watch; ``hang``: it never ends."""

    def __init__(
        self, body: Any = None, *, lines: list[Any] | None = None, status: int = 200, hang: bool = False
    ):
        self.status, self.headers, self.content = status, dict[str, str](), self
        self._lines = [json.dumps(body).encode()] if lines is None else [_line(each) for each in lines]
        self._hang = hang
        self.closed = False

    async def text(self) -> str:
        return self._lines[0].decode()

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line
        if self._hang:
            await asyncio.Event().wait()

    def close(self) -> None:
        self.closed = True


def _line(event: Any) -> bytes:
    return json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n"


class Server:
    """Gives its answers in order; the requests are kept."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.done = asyncio.Event()

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], **_: Any) -> Answer:
        self.requests.append((url, headers))
        if not self.answers:
            self.done.set()
            await asyncio.Event().wait()
        return self.answers.pop(0)


class Kept:
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.told: list[str] = []

    def put(self, body: Any) -> None:
        self.objects[body["metadata"]["name"]] = body

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def known(self) -> set[str]:
        return set(self.objects)

    def heard(self, *, listed: bool = False) -> None:
        self.told.append("listed" if listed else "heard")

    def unheard(self, fault: str, *, missing: bool = False) -> None:
        self.told.append(fault)


def obj(name: str, version: int = 1, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "resourceVersion": str(version), "annotations": {"big": "x" * 1000}, "uid": "u"}
    return {"metadata": meta | more.pop("metadata", {}), **more}


def listing(*objects: Any, version: int = 10, token: str = "") -> Answer:
    return Answer({"metadata": {"resourceVersion": str(version), "continue": token}, "items": list(objects)})


def gone() -> Answer:
    return Answer({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}, status=410)


def run(
    *answers: Answer, resource: Resource = POLICIES, known: tuple[str, ...] = (), settings: Any = None
) -> tuple[Kept, Server]:
    """Run until the server has no answer left."""

    async def story() -> tuple[Kept, Server]:
        server, kept = Server(*answers), Kept()
        kept.objects = dict.fromkeys(known)
        client = KubeClient(Transport(server, "http://api"), clock=asyncio.get_running_loop().time)

        async def at_once(_: float) -> None:
            await asyncio.sleep(0)

        task = asyncio.create_task(Reflector(client, resource, kept, sleep=at_once, settings=settings).run())
        async with asyncio.timeout(10):
            await server.done.wait()
        task.cancel()
        return kept, server

    return asyncio.run(story())


def test_pages_are_put_together_and_what_is_absent_is_removed() -> None:
    kept, server = run(listing(obj("a"), token="t1"), listing(obj("b"), version=12), known=("a", "old"))
    assert kept.known() == {"a", "b"}
    assert kept.told == ["listed"]
    assert "continue=t1" in server.requests[1][0]
    assert "resourceVersion=12" in server.requests[2][0]
    assert "watch=true" in server.requests[2][0]


def test_a_list_that_breaks_off_removes_nothing() -> None:
    denied = Answer({"kind": "Status", "code": 403, "message": "no"}, status=403)
    kept, _ = run(listing(obj("a"), token="t1"), denied, known=("old",))
    assert kept.known() == {"a", "old"}
    assert "403" in kept.told[0]
    assert "listed" not in kept.told


def test_events_change_what_is_kept_and_the_next_watch_goes_on_from_there() -> None:
    events = [
        ("ADDED", obj("b", 11, spec={"x": 1})),
        ("MODIFIED", obj("a", 12, spec={"x": 2})),
        ("DELETED", obj("b", 13)),
        ("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
    ]
    kept, server = run(listing(obj("a")), Answer(lines=events))
    assert kept.objects["a"]["spec"] == {"x": 2}
    assert kept.known() == {"a"}
    assert "resourceVersion=20" in server.requests[2][0]


@pytest.mark.parametrize(
    "expired", [gone, lambda: Answer(lines=[("ERROR", {"code": 410, "message": "old"})])]
)
def test_an_expired_version_leads_to_a_new_list(expired: Callable[[], Answer]) -> None:
    kept, server = run(listing(obj("a")), expired(), listing(obj("b")))
    assert kept.known() == {"b"}
    assert "watch" not in server.requests[2][0]


def test_a_watch_that_fails_leads_to_a_new_list_and_keeps_what_is_known_until_then() -> None:
    broken = Answer(lines=[("ADDED", "no object")])
    kept, server = run(listing(obj("a")), broken, Answer({}, status=500), listing(obj("a"), obj("b")))
    assert kept.known() == {"a", "b"}
    assert [told for told in kept.told if "500" in told]
    assert len(server.requests) == 5


def test_a_silent_watch_is_given_up() -> None:
    settings = ReflectorSettings(inactivity_timeout=0.05)
    kept, server = run(listing(obj("a")), Answer(lines=[], hang=True), listing(obj("a")), settings=settings)
    assert [told for told in kept.told if "silent" in told]
    assert kept.known() == {"a"}
    assert len(server.requests) == 4


def test_only_what_is_read_is_kept() -> None:
    kept, _ = run(listing(obj("a", spec={"x": 1}, status={"y": 2}, metadata={"labels": {"l": "m"}})))
    assert kept.objects["a"] == {
        "metadata": {"name": "a", "resourceVersion": "1"},
        "spec": {"x": 1},
        "status": {"y": 2},
    }


def test_of_namespaces_only_the_metadata_is_requested_and_the_labels_are_kept() -> None:
    events = [("MODIFIED", obj("a", 11, metadata={"labels": {"team": "b"}}))]
    kept, server = run(
        listing(obj("a", metadata={"labels": {"team": "a"}})), Answer(lines=events), resource=NAMESPACES
    )
    assert kept.objects["a"]["metadata"]["labels"] == {"team": "b"}
    accepted = [headers["Accept"] for _, headers in server.requests[:2]]
    assert "as=PartialObjectMetadataList;" in accepted[0]
    assert "as=PartialObjectMetadata;" in accepted[1]


def test_a_kind_that_does_not_exist_is_told_apart() -> None:
    async def story() -> None:
        server = Server(Answer({"kind": "Status", "code": 404, "message": "none"}, status=404))
        client = KubeClient(Transport(server, "http://api"), clock=asyncio.get_running_loop().time)
        with pytest.raises(KubeGone):
            await Reflector(client, POLICIES, Kept()).once()

    asyncio.run(story())
    assert issubclass(KubeGone, KubeError)
