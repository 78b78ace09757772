"""The cluster as the person who calls sees it. Whatever fails becomes a sentence with its remedy."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from mailegress import __version__
from mailegress.api.names import GROUP, KIND, PLURAL, VERSION
from mailegress.api.text import clean_text
from mailegress.kube.client import ClientSettings, KubeClient, KubeRefused
from mailegress.kube.credentials import CredentialsError, discover
from mailegress.kube.reflector import Resource
from mailegress.kube.transport import connect
from mailegress.reconcile.ports import KubeError, KubeGone
from mailegress.tools.plugin.changed import changes

Json = Mapping[str, Any]

_MERGE_PATCH = "application/merge-patch+json"
_EVENTS = 5
"""The last so many are shown."""
_EVENTS_READ = 500

_PATIENCE = ClientSettings(timeout=15.0, throttle_retries=2)

_INSTALL = (
    "install the operator with its CRDs (helm install, or kubectl apply -f deploy/install.yaml), or choose another "
    "cluster with --context"
)


class Problem(Exception):
    """Why a command cannot do what it was asked, and what to do about it. Printable."""

    def __init__(self, message: str) -> None:
        super().__init__(clean_text(message, 2000))


class Cluster:
    """One API server and one identity. ``namespace``: the one that is meant if none is named."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def objects(self, namespace: str | None) -> list[Json]:
        """Every MailEgress of a namespace (None: of the cluster), by namespace and name. Errors: :class:`Problem`."""
        found: list[Json] = []
        token = ""
        while True:
            query = urlencode({"limit": "250"} | ({"continue": token} if token else {}))
            answer = await self._request("GET", f"{_collection(namespace)}?{query}", "list", namespace)
            found += [item for item in answer.get("items") or () if isinstance(item, dict)]
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return sorted(found, key=lambda o: (o["metadata"]["namespace"], o["metadata"]["name"]))

    async def object(self, namespace: str, name: str) -> Json:
        """One MailEgress. Errors: :class:`Problem`, with names that are near if there is none of this name."""
        query = urlencode({"fieldSelector": f"metadata.name={name}"})
        answer = await self._request("GET", f"{_collection(namespace)}?{query}", "list", namespace)
        for item in answer.get("items") or ():
            found: Json = item
            return found
        raise await self._missing(namespace, name)

    async def patch(self, namespace: str, name: str, body: Json) -> Json:
        """A merge patch. Errors: :class:`Problem`."""
        path = f"{_collection(namespace)}/{quote(name, safe='')}"
        try:
            return await self._client.request("PATCH", path, body, _MERGE_PATCH)
        except KubeGone:
            # A cluster without the CRD gives the same answer; the list that follows tells them apart.
            raise await self._missing(namespace, name) from None
        except KubeError as error:
            raise _problem(error, "patch", namespace) from None

    async def events(self, namespace: str, uid: str) -> list[Json]:
        """The last Events about an object, oldest first; none if they may not be read."""
        query = urlencode({"fieldSelector": f"involvedObject.uid={uid}", "limit": str(_EVENTS_READ)})
        try:
            answer = await self._client.request(
                "GET", f"/api/v1/namespaces/{quote(namespace, safe='')}/events?{query}"
            )
        except KubeRefused:
            return []
        except KubeError as error:
            raise _problem(error, "list", namespace) from None
        return sorted(answer.get("items") or (), key=event_time)[-_EVENTS:]

    async def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """Another request, with the answer as it comes. Errors: :class:`KubeError`."""
        return await self._client.request(method, path, body)

    def changes(self, namespace: str | None, name: str | None) -> AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set whenever one of these objects changed, or an Event about the one that is named."""
        if name is None or namespace is None:
            return changes(self._client, Resource(_collection(namespace), metadata_only=True))
        told = Resource(
            f"/api/v1/namespaces/{quote(namespace, safe='')}/events",
            metadata_only=True,
            field_selector=f"involvedObject.kind={KIND},involvedObject.name={name}",
        )
        one = Resource(_collection(namespace), metadata_only=True, field_selector=f"metadata.name={name}")
        return changes(self._client, one, (told,))

    async def uid(self) -> str:
        """The UID of namespace kube-system, which stands for the cluster. Errors: :class:`Problem`."""
        try:
            return await self._client.get_namespace_uid()
        except KubeError as error:
            raise Problem(
                f"the owner ID of this cluster cannot be found: {error}; give that of the operator with --owner-id"
            ) from None

    async def _missing(self, namespace: str, name: str) -> Problem:
        names = [str(o["metadata"]["name"]) for o in await self.objects(namespace)]
        shown = clean_text(repr(name), 80)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            return Problem(f"no {KIND} {shown} in namespace {namespace}; there is {', '.join(near)}")
        if names:
            return Problem(
                f"no {KIND} {shown} in namespace {namespace}; there are {len(names)} of other names"
            )
        return Problem(
            f"no {KIND} {shown} in namespace {namespace}, which has none at all; name another namespace with -n, or "
            "list all with `kubectl mailegress status -A`"
        )

    async def _request(self, method: str, path: str, verb: str, namespace: str | None) -> dict[str, Any]:
        try:
            return await self._client.request(method, path)
        except KubeError as error:
            raise _problem(error, verb, namespace) from None


def event_time(event: Json) -> str:
    """When an Event was last seen; RFC 3339 text, empty if it does not say."""
    series = event.get("series") or {}
    for value in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        (event.get("metadata") or {}).get("creationTimestamp"),
    ):
        if isinstance(value, str) and value:
            return value
    return ""


@asynccontextmanager
async def reach(kubeconfig: str | None, context: str | None) -> AsyncIterator[Cluster]:
    """The cluster of the kubeconfig. Errors: :class:`Problem`."""
    try:
        credentials = discover(kubeconfig, context, _environ())
        async with connect(credentials, user_agent=f"kubectl-mailegress/{__version__}") as transport:
            client = KubeClient(transport, clock=asyncio.get_running_loop().time, settings=_PATIENCE)
            yield Cluster(client, credentials.namespace)
    except CredentialsError as error:
        raise Problem(
            f"{error}; give a kubeconfig with --kubeconfig or in KUBECONFIG, and one of its contexts with --context"
        ) from None


def _environ() -> Mapping[str, str]:
    """As kubectl does: a kubeconfig that is named counts more than the service account of a pod."""
    if os.environ.get("KUBECONFIG"):
        return {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
    return os.environ


def _collection(namespace: str | None) -> str:
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"/apis/{GROUP}/{VERSION}{scope}/{PLURAL}"


def _problem(error: KubeError, verb: str, namespace: str | None) -> Problem:
    """A refusal of the API server as a sentence."""
    where = f"in namespace {namespace}" if namespace is not None else "in all namespaces"
    if isinstance(error, KubeGone):
        return Problem(f"this cluster has no {PLURAL}.{GROUP}; {_INSTALL}")
    code = error.code if isinstance(error, KubeRefused) else 0
    if code == 403:
        role = "mailegress-viewer" if verb == "list" else "mailegress-editor"
        other = "; name one namespace with -n" if namespace is None else ""
        return Problem(
            f"you may not {verb} {PLURAL} {where}: let an administrator bind the ClusterRole {role} to you{other}"
        )
    if code == 401:
        return Problem(
            f"the API server does not accept the credentials of the kubeconfig: log in again ({error})"
        )
    if code:
        return Problem(f"the API server refuses: {error}")
    return Problem(f"the API server cannot be used: {error}; see whether `kubectl version` reaches it")
