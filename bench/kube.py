"""A fast, plain client of the API server for seeding and watching; one kept-alive connection per thread."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

T = TypeVar("T")
GROUP, VERSION, PLURAL = "mailegress.io", "v1alpha1", "mailegresses"
COLLECTION = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
CONNECTIONS = 16
_IDLE = 20.0
"""Seconds after which a connection is not used again: the API server may just be closing it."""
POSITIVE = ("Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved")


def object_path(namespace: str, name: str = "") -> str:
    """The path of a namespace's MailEgresses, or of one of them."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}" + (f"/{name}" if name else "")


class Refused(Exception):
    """The API server answered 4xx or 5xx."""


class Api:
    """The administrator's requests. Raises :class:`Refused`, or OSError where nothing answers."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urlsplit(cluster["server"])
        self._address = (address.hostname or "127.0.0.1", address.port or 443)
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=ca)
        with tempfile.TemporaryDirectory() as directory:
            paths: list[str] = []
            for name in ("client-certificate-data", "client-key-data"):
                path = Path(directory) / name
                path.touch(mode=0o600)
                path.write_bytes(base64.b64decode(user[name]))
                paths.append(str(path))
            self._context.load_cert_chain(*paths)
        self._local = threading.local()

    def connect(self, timeout: float = 60.0) -> http.client.HTTPSConnection:
        """A new connection. ``timeout`` in seconds."""
        return http.client.HTTPSConnection(*self._address, timeout=timeout, context=self._context)

    def text(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> str:
        """One request on this thread's connection."""
        data = None if body is None else json.dumps(body).encode()
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None or time.monotonic() - self._local.used > _IDLE:
            connection = self._local.connection = self.connect()
        connection.request(method, path, data, {"Content-Type": kind} if data else {})
        reply = connection.getresponse()
        self._local.used = time.monotonic()
        text: str = reply.read().decode()
        if reply.status >= 400:
            raise Refused(f"{method} {path}: {reply.status} {text[:500]}")
        return text

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        return json.loads(self.text(method, path, body, kind))

    def merge(self, path: str, body: Any) -> Any:
        """A JSON merge patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def each(self, work: Callable[[T], Any], items: Iterable[T]) -> list[Any]:
        """``work`` on every item over parallel connections; the results in order."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(work, items))

    def list_all(self, namespace: str) -> tuple[list[dict[str, Any]], str]:
        """Every MailEgress of a namespace, and the resourceVersion of the list."""
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            more = f"&continue={token}" if token else ""
            answer = self.request("GET", f"{object_path(namespace)}?limit=500{more}")
            items += answer["items"]
            token = answer["metadata"].get("continue", "")
            if not token:
                return items, answer["metadata"]["resourceVersion"]


@dataclass(slots=True)
class Seen:
    """What a watch saw of one object since it began."""

    status: Any = None
    generation: int = 0
    ready: bool = False
    positive: dict[str, str] = field(default_factory=dict)


class Watcher:
    """Watches a namespace in a thread: who is Ready since when, how often a status was written, which flapped.

    A flap is a positive condition that goes from True to something else while the generation stays.
    """

    def __init__(self, api: Api, namespace: str, since: str) -> None:
        self._api, self._namespace, self._version = api, namespace, since
        self.objects: dict[str, Seen] = {}
        self.status_writes = 0
        self.other_writes = 0
        self.flaps: list[str] = []
        self.ready_at: dict[str, float] = {}
        """Name -> monotonic time at which it became Ready."""
        self._stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> int:
        """How many are Ready now."""
        if self._failure is not None:
            raise self._failure
        return sum(1 for seen in list(self.objects.values()) if seen.ready)

    def take(self, items: Iterable[dict[str, Any]]) -> None:
        """Objects that exist already: what is seen of them later is a change."""
        for item in items:
            self.objects[item["metadata"]["name"]] = _read(item)

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(10)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._follow()
        except BaseException as error:
            self._failure = error

    def _follow(self) -> None:
        connection = self._api.connect(timeout=2.0)
        try:
            path = (
                f"{object_path(self._namespace)}?watch=1&timeoutSeconds=600&resourceVersion={self._version}"
            )
            connection.request("GET", path)
            reply = connection.getresponse()
            if reply.status == 429:  # its cache of the resource is being filled
                reply.read()
                time.sleep(0.2)
                return
            if reply.status != 200:
                raise Refused(f"watch: {reply.status} {reply.read()[:500]!r}")
            while not self._stopping:
                try:
                    line = reply.readline()
                except TimeoutError:
                    return
                if not line:
                    return
                self._event(json.loads(line))
        finally:
            connection.close()

    def _event(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            raise Refused(f"watch: {event['object']}")
        item = event["object"]
        meta = item["metadata"]
        self._version, name = meta["resourceVersion"], meta["name"]
        old, new = self.objects.get(name), _read(item)
        if event["type"] == "DELETED":
            self.objects.pop(name, None)
            return
        self.objects[name] = new
        if old is None:
            return
        if new.status != old.status:
            self.status_writes += 1
        elif new.generation == old.generation:
            self.other_writes += 1
        if new.ready and not old.ready:
            self.ready_at[name] = time.monotonic()
        if new.generation == old.generation:
            dropped = [t for t, s in old.positive.items() if s == "True" and new.positive.get(t) != "True"]
            self.flaps += [f"{name} {kind}: {new.positive.get(kind)}" for kind in dropped]


def _read(item: dict[str, Any]) -> Seen:
    status = item.get("status") or {}
    generation = item["metadata"]["generation"]
    positive = {c["type"]: c["status"] for c in status.get("conditions", ()) if c["type"] in POSITIVE}
    ready = positive.get("Ready") == "True" and status.get("observedGeneration") == generation
    return Seen(status, generation, ready, positive)
