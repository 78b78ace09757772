"""A view of one kind of object that is not a MailEgress: a list, then a watch from its version on, then again.

kopf watches MailEgresses. It does not show when its list is complete, lists whole objects, and waits for ever for a
kind that does not exist. Policies and namespaces need the opposite: the workers start after the first list, of
namespaces only the metadata is transferred, and a kind that is missing is an error with a remedy. What cannot be read
is kept as it was known; the sink is told, and decides what that is worth.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import aiohttp

from mailegress.aio.backoff import backoff_seconds
from mailegress.api.names import GROUP, VERSION
from mailegress.api.text import clean_text
from mailegress.kube.client import JSON, KubeClient, KubeNoAnswer, KubeRefused
from mailegress.kube.credentials import CredentialsError
from mailegress.reconcile.ports import KubeError, KubeGone

_log = logging.getLogger(__name__)

_CHUNK: Final = 65_536
_METADATA: Final = "as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
_MESSAGE_LENGTH: Final = 500
_MALFORMED: Final = (KeyError, TypeError, AttributeError)
"""What comes of an event or an item that is no API object."""

Body = Mapping[str, Any]


class Sink(Protocol):
    """What takes in the objects."""

    def put(self, body: Body) -> None:
        """A new or changed object."""

    def delete(self, name: str) -> None:
        """An object is gone."""

    def known(self) -> set[str]:
        """The names of all objects taken in."""

    def heard(self, *, listed: bool = False) -> None:
        """The list or watch is current. ``listed``: a full list is complete."""

    def unheard(self, fault: str, *, missing: bool = False) -> None:
        """A list or a watch failed. ``missing``: the cluster does not have the kind."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind, or a part of it: ``path`` is that of its list, in a namespace or in all. A namespaced object is named
    ``namespace/name`` to the sink."""

    path: str
    metadata_only: bool = False
    field_selector: str = ""
    namespaced: bool = False
    kept: Callable[[Body], Body] | None = None
    """What is kept of an object; None: name, version, spec and status."""

    def url(self, query: Mapping[str, str]) -> str:
        """Of a list or a watch with these parameters."""
        selected = {"fieldSelector": self.field_selector} if self.field_selector else {}
        return f"{self.path}?{urlencode({**query, **selected})}"

    def accept(self, *, listing: bool) -> str:
        """The Accept header of a list or a watch."""
        return f"{JSON};{_METADATA.format('List' if listing else '')}" if self.metadata_only else JSON

    def trim(self, body: Any) -> Any:
        """What is kept of an object; anything else as it is."""
        meta = body.get("metadata") if isinstance(body, Mapping) else None
        if not isinstance(meta, Mapping) or "name" not in meta:
            return body
        if self.kept is not None:
            return self.kept(body)
        fields = ("name", "resourceVersion", "generation", *(("labels",) if self.metadata_only else ()))
        kept: dict[str, Any] = {"metadata": {field: meta[field] for field in fields if field in meta}}
        if not self.metadata_only:
            kept |= {part: body[part] for part in ("spec", "status") if part in body}
        return kept

    def name(self, body: Body) -> str:
        """How the sink knows the object."""
        meta = body["metadata"]
        return f"{meta['namespace']}/{meta['name']}" if self.namespaced else str(meta["name"])


POLICIES: Final = Resource(f"/apis/{GROUP}/{VERSION}/mailegresspolicies")
NAMESPACES: Final = Resource("/api/v1/namespaces", metadata_only=True)


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """Times in seconds."""

    page: int = 200
    server_timeout: int = 300
    inactivity_timeout: float = 70.0
    """The API server sends a bookmark about once a minute; a stream that is silent for longer is dead."""
    backoff_most: float = 30.0
    pause: float = 0.2
    """Between two watches that ended without an error."""


class Reflector:
    """Feeds a sink. ``clock`` and ``sleep``: seconds."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        sink: Sink,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        settings: ReflectorSettings | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._sink = sink
        self._sleep = sleep
        self._settings = settings or ReflectorSettings()
        self._version: str | None = None
        """Where the next watch begins; None: after a new list."""

    async def once(self) -> None:
        """List everything, take it in, remove what is absent. Raises :class:`KubeError`; then nothing is removed."""
        try:
            version, names = await self._list()
        except KubeError as error:
            self._sink.unheard(str(error), missing=isinstance(error, KubeGone))
            raise
        for name in self._sink.known() - names:
            self._sink.delete(name)
        self._version = version
        self._sink.heard(listed=True)

    async def run(self) -> None:
        """Watch until cancelled, and list again whenever a watch cannot continue. No failure ends it."""
        failures = 0
        while True:
            try:
                if self._version is None:
                    await self.once()
                await self._watch(self._version or "0")
                failures = 0
                await self._sleep(self._settings.pause)
            except KubeError as error:
                failures += 1
                delay = backoff_seconds(failures, 1.0, self._settings.backoff_most)
                self._sink.unheard(str(error), missing=isinstance(error, KubeGone))
                level = logging.WARNING if failures == 1 else logging.DEBUG
                _log.log(level, "%s cannot be watched error=%s", self._resource.path, error)
                # A list shows what the watch missed, whatever ended it.
                self._version = None
                await self._sleep(delay)

    # ------------------------------------------------ inside

    async def _list(self) -> tuple[str, set[str]]:
        names: set[str] = set()
        token, restarts = "", 0
        while True:
            query = {"limit": str(self._settings.page)} | ({"continue": token} if token else {})
            try:
                answer = await self._client.request(
                    "GET",
                    self._resource.url(query),
                    trim=self._resource.trim,
                    accept=self._resource.accept(listing=True),
                )
            except KubeRefused as error:
                if error.code != 410 or not token or restarts >= 3:
                    raise
                token, restarts = "", restarts + 1
                names.clear()
                continue
            meta = answer.get("metadata") or {}
            for body in answer.get("items") or ():
                try:
                    names.add(self._resource.name(body))
                except _MALFORMED:
                    raise KubeNoAnswer(f"GET {self._resource.path}: an item is no API object") from None
                self._sink.put(body)
            token = meta.get("continue") or ""
            if not token:
                return str(meta.get("resourceVersion") or "0"), names

    async def _watch(self, version: str) -> None:
        """Until the stream ends. Sets the version to None if there must be a list."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(self._settings.server_timeout),
        }
        try:
            response = await self._client.open(
                self._resource.url(query), self._resource.accept(listing=False)
            )
        except KubeRefused as error:
            if error.code != 410:
                raise
            self._version = None
            return
        try:
            self._sink.heard()
            await self._read(response.content)
        except TimeoutError:
            raise KubeNoAnswer(f"the watch was silent for {self._settings.inactivity_timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError, CredentialsError, *_MALFORMED) as error:
            text = clean_text(str(error) or type(error).__name__, _MESSAGE_LENGTH)
            raise KubeNoAnswer(f"the watch broke: {text}") from error
        finally:
            response.close()

    async def _read(self, content: Any) -> None:
        rest = b""
        chunks = content.iter_chunked(_CHUNK).__aiter__()
        while True:
            try:
                async with asyncio.timeout(self._settings.inactivity_timeout):
                    chunk = await chunks.__anext__()
            except StopAsyncIteration:
                return
            rest += chunk
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.strip() and not self._take_in(json.loads(line)):
                    return
            self._sink.heard()

    def _take_in(self, event: Any) -> bool:
        """One event. False: the stream is worth nothing any more. Raises :class:`KubeRefused`."""
        kind, body = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            self._version = None
            if body.get("code") != 410:
                text = clean_text(str(body.get("message") or "no reason given"), _MESSAGE_LENGTH)
                raise KubeRefused(f"the watch failed: {text}", int(body.get("code") or 0))
            return False
        meta = body["metadata"]
        if kind == "DELETED":
            self._sink.delete(self._resource.name(body))
        elif kind in ("ADDED", "MODIFIED"):
            self._sink.put(self._resource.trim(body))
        self._version = str(meta.get("resourceVersion") or self._version)
        return True
