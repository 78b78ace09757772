"""A small API server for faults that a real one shows rarely: in memory, over HTTP, with a log of all
requests.

It keeps what the adapter relies on: resourceVersions from one counter, paged lists of one snapshot, watches
with history and bookmarks, a status subresource, JSON patch with ``test``, finalizers, Leases, Events.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GROUP = "/apis/mailegress.io/v1alpha1"
Object = dict[str, Any]


@dataclass
class Fault:
    """What the next ``times`` matching requests get instead of their answer."""

    method: str
    path: str
    status: int
    times: int = 1
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)


def status(
    code: int, message: str, reason: str = "", causes: list[Object] | None = None, **more: Any
) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    names = {404: "NotFound", 409: "Conflict", 422: "Invalid", 429: "TooManyRequests", 403: "Forbidden"}
    body["reason"] = reason or names.get(code, "Unknown")
    body["details"] = {"causes": causes} if causes else {}
    return web.json_response(body, status=code, **more)


class FakeApi:
    def __init__(self) -> None:
        self.url = ""
        self.rv = 100
        self.objects: dict[tuple[str, str], Object] = {}
        self.leases: dict[tuple[str, str], Object] = {}
        self.events: list[Object] = []
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.bodies: list[Any] = []
        self.faults: list[Fault] = []
        self.snapshots: dict[str, tuple[str, list[Object]]] = {}
        self.history: list[tuple[int, str, Object]] = []
        self.streams: list[asyncio.Queue[Object | None]] = []
        self.watches = 0
        self.hanging = asyncio.Event()
        self._changed = asyncio.Event()

    # ------------------------------------------------------------ the world's side

    def put(self, name: str, namespace: str = "mail", **spec: Any) -> Object:
        """Create an object, or edit its spec."""
        known = self.objects.get((namespace, name))
        if known is None:
            obj: Object = {
                "apiVersion": "mailegress.io/v1alpha1",
                "kind": "MailEgress",
                "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{self.rv}", "generation": 1},
                "spec": {"hostname": "mta.example.com", **spec},
            }
        else:
            obj = copy.deepcopy(known)
            obj["spec"] |= spec
            obj["metadata"]["generation"] += 1
        return self.store(obj, "MODIFIED" if known else "ADDED")

    def store(self, obj: Object, kind: str = "MODIFIED") -> Object:
        self.rv += 1
        obj["metadata"]["resourceVersion"] = str(self.rv)
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        if kind == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        self.history.append((self.rv, kind, copy.deepcopy(obj)))
        self.send({"type": kind, "object": obj})
        return obj

    def delete(self, name: str, namespace: str = "mail") -> None:
        self.store(copy.deepcopy(self.objects[namespace, name]), "DELETED")

    def send(self, event: Object) -> None:
        """Into every open watch."""
        for stream in self.streams:
            stream.put_nowait(copy.deepcopy(event))

    def error_in_watch(self, code: int) -> None:
        self.send({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "injected"}})

    def cut_watches(self) -> None:
        for stream in self.streams:
            stream.put_nowait(None)

    def count(self, method: str, part: str) -> int:
        return sum(1 for m, path in self.requests if m == method and part in path)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something that a request changes is true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def poke(self) -> None:
        """Have :meth:`until` look again."""
        self._changed.set()

    # ------------------------------------------------------------ the server's side

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._gate])
        objects, one = GROUP + "/mailegresses", GROUP + "/namespaces/{ns}/mailegresses/{name}"
        leases = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
        app.add_routes(
            [
                web.get("/api", self._json({"versions": ["v1"]})),
                web.get("/api/v1", self._json({"resources": _CORE})),
                web.get("/api/v1/namespaces/{name}", self._json({"metadata": {"uid": "cluster-uid"}})),
                web.get("/apis", self._json({"groups": [_GROUP_INFO]})),
                web.get(GROUP, self._json({"resources": _RESOURCES})),
                web.get(objects, self._list),
                web.get(GROUP + "/namespaces/{ns}/mailegresses", self._list),
                web.patch(one, self._patch),
                web.put(one + "/status", self._put_status),
                web.post("/apis/events.k8s.io/v1/namespaces/{ns}/events", self._event),
                web.post(leases, self._lease_create),
                web.get(leases + "/{name}", self._lease_get),
                web.put(leases + "/{name}", self._lease_put),
            ]
        )
        return app

    def _json(self, body: Object) -> Any:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(body)

        return handler

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        self.tokens.append(request.headers.get("Authorization"))
        self.bodies.append(await request.json() if request.can_read_body else None)
        self.poke()
        for fault in self.faults:
            if fault.method == request.method and fault.path in request.path_qs and fault.times > 0:
                fault.times -= 1
                if fault.status == 0:
                    await self.hanging.wait()
                return status(fault.status, fault.message, headers=fault.headers)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        namespace = request.match_info.get("ns")
        token = request.query.get("continue", "")
        if token:
            rv, rest = self.snapshots.pop(token)
        else:
            only = request.query.get("fieldSelector")
            chosen = [
                o
                for (ns, name), o in sorted(self.objects.items())
                if namespace in (None, ns) and only in (None, f"metadata.name={name}")
            ]
            rv, rest = str(self.rv), copy.deepcopy(chosen)
        limit = int(request.query.get("limit", "0")) or len(rest) or 1
        page, rest = rest[:limit], rest[limit:]
        meta = {"resourceVersion": rv, "continue": ""}
        if rest:
            meta["continue"] = f"token-{len(self.requests)}"
            self.snapshots[meta["continue"]] = (rv, rest)
        items = [{k: v for k, v in item.items() if k not in ("kind", "apiVersion")} for item in page]
        info = {"kind": "MailEgressList", "apiVersion": "mailegress.io/v1alpha1"}
        return web.json_response({**info, "metadata": meta, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        since = int(request.query.get("resourceVersion", "0"))
        stream: asyncio.Queue[Object | None] = asyncio.Queue()
        for rv, kind, obj in self.history:
            if rv > since:
                stream.put_nowait({"type": kind, "object": copy.deepcopy(obj)})
        self.streams.append(stream)
        self.watches += 1
        self.poke()
        try:
            while (event := await stream.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        except ConnectionResetError:
            pass
        finally:
            self.streams.remove(stream)
            self.poke()
        return response

    async def _patch(self, request: web.Request) -> web.Response:
        key = (request.match_info["ns"], request.match_info["name"])
        if key not in self.objects:
            return status(404, f"{key[1]} not found")
        obj = copy.deepcopy(self.objects[key])
        for op in await request.json():
            *parents, last = op["path"].strip("/").split("/")
            target = obj
            for parent in parents:
                target = target[parent]
            if op["op"] == "test" and target.get(last) != op["value"]:
                return status(422, "the server rejected our request due to an error in our request")
            if op["op"] == "add":
                target[last] = op["value"]
        if any("/" not in name for name in obj["metadata"].get("finalizers", [])):
            cause = {
                "reason": "FieldValueInvalid",
                "message": "not qualified",
                "field": "metadata.finalizers",
            }
            return status(422, "metadata.finalizers: Invalid value", causes=[cause])
        gone = obj["metadata"].get("deletionTimestamp") and not obj["metadata"].get("finalizers")
        return web.json_response(self.store(obj, "DELETED" if gone else "MODIFIED"))

    async def _put_status(self, request: web.Request) -> web.Response:
        key, body = (request.match_info["ns"], request.match_info["name"]), await request.json()
        if key not in self.objects:
            return status(404, f"{key[1]} not found")
        obj = copy.deepcopy(self.objects[key])
        for member in ("uid", "resourceVersion"):
            if body["metadata"][member] != obj["metadata"][member]:
                return status(409, f"the object has been modified ({member})")
        obj["status"] = body["status"]
        return web.json_response(self.store(obj))

    async def _event(self, request: web.Request) -> web.Response:
        self.events.append(await request.json())
        return web.json_response(self.events[-1], status=201)

    async def _lease_get(self, request: web.Request) -> web.Response:
        lease = self.leases.get((request.match_info["ns"], request.match_info["name"]))
        return web.json_response(lease) if lease else status(404, "no such lease")

    async def _lease_create(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = (request.match_info["ns"], body["metadata"]["name"])
        if key in self.leases:
            return status(409, "already exists", "AlreadyExists")
        return web.json_response(self._keep(key, body), status=201)

    async def _lease_put(self, request: web.Request) -> web.Response:
        key, body = (request.match_info["ns"], request.match_info["name"]), await request.json()
        if body["metadata"]["resourceVersion"] != self.leases[key]["metadata"]["resourceVersion"]:
            return status(409, "the object has been modified")
        return web.json_response(self._keep(key, body))

    def _keep(self, key: tuple[str, str], body: Object) -> Object:
        self.rv += 1
        body["metadata"]["resourceVersion"] = str(self.rv)
        self.leases[key] = body
        return body


_VERSION = {"groupVersion": "mailegress.io/v1alpha1", "version": "v1alpha1"}
_GROUP_INFO = {"name": "mailegress.io", "versions": [_VERSION], "preferredVersion": _VERSION}
_CORE = [
    {
        "name": "namespaces",
        "singularName": "namespace",
        "kind": "Namespace",
        "namespaced": False,
        "verbs": ["get"],
    },
    {"name": "events", "singularName": "event", "kind": "Event", "namespaced": True, "verbs": ["create"]},
]
_RESOURCES = [
    {
        "name": "mailegresses",
        "singularName": "mailegress",
        "kind": "MailEgress",
        "namespaced": True,
        "verbs": ["get", "list", "watch", "patch", "update", "create", "delete"],
        "shortNames": ["meg"],
    },
    {
        "name": "mailegresses/status",
        "singularName": "",
        "kind": "MailEgress",
        "namespaced": True,
        "verbs": ["update"],
    },
]
