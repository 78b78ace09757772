"""The operator's own requests to the API server: lists, finalizers, status, Events, the owner ID. Nothing is cached.

Which RBAC verb each request needs, and what for, is written at each rule of ``deploy/base/rbac.yaml`` and
``deploy/components/policy/rbac.yaml``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

from mailegress.api.names import API_VERSION, GROUP, KIND, PLURAL, VERSION
from mailegress.api.text import clean_text
from mailegress.kube.credentials import CredentialsError
from mailegress.kube.event_body import Recent, event_body
from mailegress.kube.pages import PLAIN, Trim, read_list, slim_object
from mailegress.kube.transport import LastContact, Response, Transport
from mailegress.reconcile.ports import KubeConflict, KubeError, KubeGone
from mailegress.reconcile.write_guard import OpenGuard, WriteGuard
from mailegress.telemetry.logs import about
from mailegress.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

KUBE_STATUS: Final = "kube.status"
KUBE_FINALIZER: Final = "kube.finalizer"
KUBE_EVENT: Final = "kube.event"
KUBE_POLICY: Final = "kube.policy"

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

_LONGEST_MESSAGE = 500


class KubeRefused(KubeError):
    """Any other refusal, with its HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class KubeNoAnswer(KubeError):
    """No connection, or no answer in time: it is not known whether a write was carried out."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Times in seconds."""

    timeout: float = 30.0
    throttle_retries: int = 4
    """How often one request is repeated after a 429 (API priority and fairness)."""
    retry_after_most: float = 10.0
    """A longer Retry-After is not waited for in place: the queue's back-off takes over."""
    event_repeat: float = 300.0
    """The same Event about the same object is sent once in this time."""


class KubeClient:
    """Implements :class:`mailegress.reconcile.ports.Kube`.

    ``clock`` gives seconds, monotonic; ``wall`` the date, for Events; ``instance`` names this replica in
    Events.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        namespaces: Sequence[str] = (),
        instance: str = "mailegress",
        guard: WriteGuard | None = None,
        metrics: Metrics | None = None,
        life: LastContact | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._wall = wall
        self._namespaces = tuple(namespaces)
        self._instance = instance
        self._guard: WriteGuard = guard or OpenGuard()
        self._metrics = metrics
        self._life = life
        self._settings = settings or ClientSettings()
        self._recent = Recent(clock, self._settings.event_repeat)
        self.listed: dict[str, str] = {}
        """The resourceVersion of the newest full list of each collection, by path."""

    # ------------------------------------------------------------ requests

    async def request(
        self,
        method: str,
        path: str,
        body: object | None = None,
        content_type: str = JSON,
        *,
        trim: Trim | None = None,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Make one request and return the JSON object of the reply. ``trim`` selects what is kept of each item of a
        list, so that the reply is never held whole.

        Raises :class:`KubeConflict` (409), :class:`KubeGone` (404), :class:`KubeRefused` (any other refusal)
        and :class:`KubeNoAnswer`. A 429 is repeated as often as the settings allow.
        """
        throttled, refreshed = 0, False
        while True:
            status, headers, text = await self._once(method, path, body, content_type, trim, accept)
            if status == 429 and throttled < self._settings.throttle_retries:
                delay = _retry_after(headers, fallback=float(2**throttled))
                throttled += 1
                if delay <= self._settings.retry_after_most:
                    await self._sleep(delay)
                    continue
            elif status == 401:
                # Nothing was carried out. The token may have been replaced a moment ago: look again, once.
                self._transport.refused()
                if not refreshed:
                    refreshed = True
                    continue
            break
        if isinstance(text, dict):
            return text
        if status >= 400:
            raise _refusal(method, path, status, text)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise KubeNoAnswer(f"{method} {_where(path)}: the answer is no JSON object")
        return answer

    async def _once(
        self,
        method: str,
        path: str,
        body: object | None,
        content_type: str,
        trim: Trim | None,
        accept: str,
    ) -> tuple[int, Mapping[str, str], str | dict[str, Any]]:
        headers = {"Accept": accept} if body is None else {"Accept": accept, "Content-Type": content_type}
        if trim is not None:
            headers |= PLAIN
        try:
            async with asyncio.timeout(self._settings.timeout):
                response: Response = await self._transport.request(method, path, json=body, headers=headers)
                try:
                    if trim is not None and response.status < 400:
                        return response.status, response.headers, await read_list(response.content, trim)
                    return response.status, response.headers, await response.text()
                finally:
                    response.close()
        except TimeoutError:
            raise KubeNoAnswer(
                f"{method} {_where(path)}: no answer in {self._settings.timeout:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError, CredentialsError) as error:
            text = clean_text(str(error) or type(error).__name__, _LONGEST_MESSAGE)
            raise KubeNoAnswer(f"{method} {_where(path)}: {text}") from error

    async def open(self, path: str, accept: str) -> Response:
        """A watch, to be read and closed by the caller. Raises :class:`KubeError`."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                response: Response = await self._transport.request(
                    "GET", path, headers={"Accept": accept}, timeout=aiohttp.ClientTimeout(total=None)
                )
        except TimeoutError:
            raise KubeNoAnswer(f"GET {_where(path)}: no answer in {self._settings.timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError, CredentialsError) as error:
            text = clean_text(str(error) or type(error).__name__, _LONGEST_MESSAGE)
            raise KubeNoAnswer(f"GET {_where(path)}: {text}") from error
        if response.status < 400:
            return response
        if response.status == 401:
            self._transport.refused()
        try:
            raise _refusal("GET", path, response.status, await response.text())
        finally:
            response.close()

    # ------------------------------------------------------------ reads

    async def list_all(self, limit: int = 100) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Every MailEgress of the configured namespaces (none configured: of the cluster), slim, page by page.

        A quorum read: no resourceVersion is sent, so what was deleted before the call is absent. Raises
        :class:`KubeError`; :class:`KubeGone` means that the CRD is not installed.
        """
        for collection in [_collection(ns) for ns in self._namespaces] or [_collection(None)]:
            token, restarts = "", 0
            while True:
                query = {"limit": str(limit)} | ({"continue": token} if token else {})
                try:
                    answer = await self.request("GET", f"{collection}?{urlencode(query)}", trim=slim_object)
                except KubeRefused as error:
                    # 410: the continue token outlived etcd's history (5 minutes). What was read is good;
                    # start again.
                    if error.code != 410 or not token or restarts >= 3:
                        raise
                    token, restarts = "", restarts + 1
                    continue
                if self._life is not None:
                    self._life.beat()
                yield list(_items(answer))
                about = answer.get("metadata") or {}
                token = about.get("continue") or ""
                if not token:
                    self.listed[collection] = about.get("resourceVersion") or ""
                    break

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """One MailEgress as it is now, None if there is none. Raises :class:`KubeError`.

        A quorum read, as a list of one: it needs no right that the watch does not need.
        """
        query = urlencode({"fieldSelector": f"metadata.name={name}"})
        answer = await self.request("GET", f"{_collection(namespace)}?{query}")
        return next(_items(answer), None)

    async def get_namespace_uid(self, name: str = "kube-system") -> str:
        """The UID of a namespace; that of kube-system serves as the cluster's. Raises :class:`KubeError`."""
        answer = await self.request("GET", f"/api/v1/namespaces/{quote(name, safe='')}")
        return str(answer["metadata"]["uid"])

    # ------------------------------------------------------------ writes

    async def set_finalizers(
        self, namespace: str, name: str, resource_version: str, finalizers: Sequence[str]
    ) -> Mapping[str, Any]:
        """Replace the object's finalizers. Returns the object as stored.

        Raises :class:`KubeConflict` if it is not at ``resource_version`` any more, :class:`KubeGone` if it does not
        exist, and :class:`KubeError` for any other failure.
        """
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version},
            # `add` also replaces (RFC 6902, 4.1), and the member may be missing.
            {"op": "add", "path": "/metadata/finalizers", "value": list(finalizers)},
        ]
        async with self._guard.point(KUBE_FINALIZER):
            return await self._counted("finalizer", "PATCH", _object(namespace, name), patch, JSON_PATCH)

    async def replace_status(self, body: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace the status of the object at the version of ``body``. Returns the object as stored.

        Raises :class:`KubeConflict` if a newer version exists, :class:`KubeGone` if the object does not exist, and
        :class:`KubeError` for any other failure. Only the identity is sent: the API server takes metadata and spec from
        what it stores, and a body without managedFields leaves them as they are.
        """
        meta = body["metadata"]
        identity = {field: meta[field] for field in ("name", "namespace", "uid", "resourceVersion")}
        payload = {"apiVersion": API_VERSION, "kind": KIND, "metadata": identity, "status": dict(status)}
        path = f"{_object(identity['namespace'], identity['name'])}/status"
        async with self._guard.point(KUBE_STATUS):
            return await self._counted("status", "PUT", path, payload, JSON)

    async def emit(
        self, involved: Mapping[str, Any], *, warning: bool, reason: str, message: str, action: str
    ) -> None:
        """Create one Event about ``involved``. A failure is logged and never raised: nothing depends on an Event."""
        meta = involved["metadata"]
        namespace, name = str(meta["namespace"]), str(meta["name"])
        identity = (str(meta["uid"]), reason, message)
        if self._recent.seen(identity):
            return
        event = event_body(
            involved,
            warning=warning,
            reason=reason,
            message=message,
            action=action,
            instance=self._instance,
            now=self._wall(),
        )
        path = f"/apis/events.k8s.io/v1/namespaces/{quote(namespace, safe='')}/events"
        try:
            async with self._guard.point(KUBE_EVENT):
                await self._counted("event", "POST", path, event, JSON)
        except KubeError as error:
            # A namespace that is being deleted takes no new objects (admission plugin NamespaceLifecycle).
            ending = isinstance(error, KubeRefused) and error.code == 403 and "terminat" in str(error)
            _log.log(
                logging.DEBUG if ending else logging.WARNING,
                "event not recorded",
                extra=about(object=f"{namespace}/{name}", reason=reason, error=str(error)),
            )

    async def patch_policy_status(self, name: str, status: Mapping[str, Any]) -> None:
        """Merge ``status`` into the status of a MailEgressPolicy. Raises :class:`KubeError`."""
        path = f"/apis/{GROUP}/{VERSION}/mailegresspolicies/{quote(name, safe='')}/status"
        async with self._guard.point(KUBE_POLICY):
            await self._counted("policy", "PATCH", path, {"status": dict(status)}, MERGE_PATCH)

    async def _counted(
        self, kind: str, method: str, path: str, body: object, content_type: str
    ) -> dict[str, Any]:
        result = "error"
        try:
            answer = await self.request(method, path, body, content_type)
            result = "ok"
            return answer
        except KubeConflict:
            result = "conflict"
            raise
        except KubeGone:
            result = "gone"
            raise
        finally:
            if self._metrics is not None:
                self._metrics.api_write(kind, result)


def _items(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects of a list, which come without kind and version."""
    for item in answer.get("items") or ():
        if isinstance(item, dict):
            yield {"apiVersion": API_VERSION, "kind": KIND} | item


def _collection(namespace: str | None) -> str:
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"/apis/{GROUP}/{VERSION}{scope}/{PLURAL}"


def _object(namespace: str, name: str) -> str:
    return f"{_collection(namespace)}/{quote(name, safe='')}"


def _where(path: str) -> str:
    return path.partition("?")[0]


def _retry_after(headers: Mapping[str, str], fallback: float) -> float:
    """Seconds; the API server sends a number, a proxy may send a date (RFC 9110, 10.2.3), which is not worth
    a clock.
    """
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isdecimal() else fallback


def _refusal(method: str, path: str, status: int, text: str) -> KubeError:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    # Only a Status object is quoted: anything else may be a proxy's page, or hold what belongs in no log.
    known = isinstance(answer, dict) and answer.get("kind") == "Status"
    details = answer if known and isinstance(answer, dict) else {}
    reason = clean_text(str(details.get("reason") or "no reason given"), 100)
    said = clean_text(str(details.get("message") or ""), _LONGEST_MESSAGE)
    message = f"{method} {_where(path)}: {status} {reason}" + (f": {said}" if said else "")
    if status == 404:
        return KubeGone(message)
    if status == 409 or (status == 422 and method == "PATCH" and not _names_a_field(details)):
        # 422 to a JSON patch: its `test` failed. A validation error is a 422 too, but names fields.
        return KubeConflict(message)
    return KubeRefused(message, status)


def _names_a_field(details: Mapping[str, Any]) -> bool:
    causes = (details.get("details") or {}).get("causes") or ()
    return any(isinstance(cause, Mapping) and cause.get("field") for cause in causes)
