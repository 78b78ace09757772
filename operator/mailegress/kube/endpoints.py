"""DNSEndpoints of external-dns over the API server: read as values, written one at a time.

What this module and its list and watch ask of RBAC, with ``--external-dns=on``:

=================  ============  =============================================  ==================================
API group          resource      verbs                                          for
=================  ============  =============================================  ==================================
externaldns.k8s.io dnsendpoints  get, list, watch, create, patch, delete        the DNSEndpoint of each MailEgress
=================  ============  =============================================  ==================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from mailegress.api import reasons
from mailegress.api.lenient import mapping
from mailegress.api.names import (
    ENDPOINT_API_VERSION,
    ENDPOINT_KIND,
    ENDPOINT_LABEL,
    ENDPOINT_PLURAL,
    normalise_name,
)
from mailegress.api.text import clean_text
from mailegress.kube.client import JSON, MERGE_PATCH, KubeClient, KubeRefused
from mailegress.kube.reflector import Resource
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint, EndpointEntry
from mailegress.model.facts import ErrorKind, Fault, WriteState
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.ports import Key, KubeConflict, KubeError, KubeGone, Wake
from mailegress.reconcile.write_guard import WriteGuard

KUBE_ENDPOINT: Final = "kube.endpoint"

_MANAGER: Final = "mailegress"
_MESSAGE_LENGTH: Final = 500
_SERVER_ERROR: Final = 500
"""The lowest HTTP status that says nothing about whether a write was carried out."""
_OWN, _OTHERS, _TARGETS = 100, 1000, 200
"""How much is kept of a DNSEndpoint, whoever wrote it: entries of one with the operator's label, and of any other;
targets of one entry. The operator writes at most 64 addresses twice, and a few former hostnames."""
_NAME_LENGTH: Final = 253


def endpoints_of(namespace: str | None) -> Resource:
    """The kind, in one namespace or in all."""
    return Resource(_collection(namespace), namespaced=True, kept=trim)


def trim(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a DNSEndpoint while it is read."""
    meta = body["metadata"]
    fields = ("name", "namespace", "uid", "resourceVersion", "generation", "labels", "managedFields")
    kept = {field: meta[field] for field in fields if field in meta}
    return {"metadata": kept, **{part: body[part] for part in ("spec", "status") if part in body}}


def parse(body: Mapping[str, Any]) -> DnsEndpoint:
    """A DNSEndpoint as a value. Whatever has the wrong type is treated as missing; only the metadata must be there."""
    meta = body["metadata"]
    labels = mapping(meta.get("labels"))
    owner = labels.get(ENDPOINT_LABEL)
    status = mapping(body.get("status"))
    return DnsEndpoint(
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        uid=str(meta.get("uid", "")),
        resource_version=str(meta.get("resourceVersion", "")),
        entries=tuple(_entries(mapping(body.get("spec")).get("endpoints"), own=isinstance(owner, str))),
        owner=owner if isinstance(owner, str) else None,
        generation=_integer(meta.get("generation")) or 0,
        observed_generation=_integer(status.get("observedGeneration")) or 0,
        changed_by=_other_manager(meta.get("managedFields")),
    )


class EndpointClient:
    """Implements :class:`mailegress.reconcile.ports.EndpointWriter`. ``clock``: monotonic seconds."""

    def __init__(
        self,
        client: KubeClient,
        index: EndpointIndex,
        guard: WriteGuard,
        wake: Wake,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._index = index
        self._guard = guard
        self._wake = wake
        self._clock = clock

    def state(self, namespace: str, name: str) -> WriteState | None:
        """The last write to this DNSEndpoint."""
        return self._index.state(namespace, name)

    async def apply(self, key: Key, change: ChangeEndpoint) -> None:
        """Carry out the change if the endpoint still is as it was read. The outcome is in the index."""
        fault: Fault | None = None
        try:
            async with self._guard.point(KUBE_ENDPOINT):
                await self._send(change)
        except KubeError as error:
            fault = await self._judge(change, error)
            if fault is None and not change.done(self._index.get(change.namespace, change.name)):
                # Another writer changed it first, and nothing was written. The new version is compared anew.
                self._wake(key)
                return
        self._index.wrote(change, self._clock(), fault)
        self._wake(key)

    async def _judge(self, change: ChangeEndpoint, error: KubeError) -> Fault | None:
        """The fault of a failed write. None: the endpoint is as wanted all the same, or others changed it."""
        if isinstance(error, KubeGone):
            if change.before is None:
                return _fault(error, reasons.EXTERNAL_DNS_MISSING.name)
            self._index.drop(change.namespace, change.name)
            return None
        if isinstance(error, KubeRefused) and error.code < _SERVER_ERROR:
            return _fault(error)
        # A conflict, an error of the server, or no answer: it may have been carried out.
        fault = await self._read_again(change)
        now = self._index.get(change.namespace, change.name)
        moved = isinstance(error, KubeConflict) and now != change.before
        return fault or (None if moved or change.done(now) else _fault(error))

    async def _send(self, change: ChangeEndpoint) -> None:
        before, path = change.before, _object(change.namespace, change.name)
        query = f"?fieldManager={_MANAGER}"
        if before is None:
            body = {"apiVersion": ENDPOINT_API_VERSION, "kind": ENDPOINT_KIND, **_body(change)}
            stored = await self._client.request("POST", f"{_collection(change.namespace)}{query}", body)
            self._index.put(parse(stored))
        elif not change.entries:
            precondition = {"uid": before.uid, "resourceVersion": before.resource_version}
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": precondition}
            await self._client.request("DELETE", path, options, JSON)
            self._index.drop(change.namespace, change.name, at_version=before.resource_version)
        else:
            body = _body(change)
            # The server refuses a patch whose resourceVersion is not the stored one.
            body["metadata"]["resourceVersion"] = before.resource_version
            stored = await self._client.request("PATCH", f"{path}{query}", body, MERGE_PATCH)
            self._index.put(parse(stored))

    async def _read_again(self, change: ChangeEndpoint) -> Fault | None:
        try:
            self._index.put(parse(await self._client.request("GET", _object(change.namespace, change.name))))
        except KubeGone:
            self._index.drop(change.namespace, change.name)
        except KubeError as error:
            return _fault(error)
        return None


def _body(change: ChangeEndpoint) -> dict[str, Any]:
    managed = {ENDPOINT_LABEL: change.owner, "app.kubernetes.io/managed-by": change.owner and _MANAGER}
    metadata = {"name": change.name, "namespace": change.namespace, "labels": managed}
    if change.owner is None:
        # Handed over: the records stay as they are.
        return {"metadata": metadata}
    endpoints = [
        {"dnsName": e.hostname, "recordType": e.type, "targets": sorted(e.targets)}
        | ({"recordTTL": e.ttl} if e.ttl is not None else {})
        for e in change.entries
    ]
    return {"metadata": metadata, "spec": {"endpoints": endpoints}}


def fault_of(message: str, *, refused: bool = True) -> Fault:
    """Why DNSEndpoints cannot be read or written."""
    remedy = reasons.EXTERNAL_DNS_UNAVAILABLE.remedy
    text = f"DNSEndpoints: {clean_text(message, _MESSAGE_LENGTH).removesuffix('.')}. {remedy}"
    kind = ErrorKind.WORLD if refused else ErrorKind.TRANSIENT
    return Fault(reasons.EXTERNAL_DNS_UNAVAILABLE.name, text, kind)


def _fault(error: KubeError, reason: str | None = None) -> Fault:
    if reason is not None:
        return Fault(reason, clean_text(str(error), _MESSAGE_LENGTH), ErrorKind.WORLD)
    return fault_of(str(error), refused=isinstance(error, KubeRefused))


def _entries(value: object, *, own: bool) -> Iterable[EndpointEntry]:
    """Of a DNSEndpoint that is not the operator's only which names and types it has: nothing else is asked of it."""
    for item in (value if isinstance(value, list) else [])[: _OWN if own else _OTHERS]:
        fields = mapping(item)
        name, kind = fields.get("dnsName"), fields.get("recordType")
        if not isinstance(name, str) or len(name) > _NAME_LENGTH + 1:
            continue
        entry = EndpointEntry(
            normalise_name(name), type=clean_text(kind, 16) if isinstance(kind, str) else ""
        )
        if not own:
            yield entry
            continue
        targets = fields.get("targets")
        texts = [t for t in (targets if isinstance(targets, list) else [])[:_TARGETS] if isinstance(t, str)]
        yield replace(
            entry,
            targets=frozenset(clean_text(text, _NAME_LENGTH) for text in texts),
            ttl=_integer(fields.get("recordTTL")),
            plain=not any(fields.get(f) for f in ("setIdentifier", "providerSpecific", "labels")),
        )


def _other_manager(value: object) -> str:
    """The field manager, not the operator's, that changed the spec last."""
    found = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in (value if isinstance(value, list) else [])
        if isinstance(entry, Mapping)
        and entry.get("manager") != _MANAGER
        and not entry.get("subresource")
        and "f:spec" in mapping(entry.get("fieldsV1"))
    ]
    return clean_text(max(found)[1], 128) if found else ""


def _integer(value: object) -> int | None:
    return value if type(value) is int else None


def _collection(namespace: str | None) -> str:
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"/apis/{ENDPOINT_API_VERSION}{scope}/{ENDPOINT_PLURAL}"


def _object(namespace: str, name: str) -> str:
    return f"{_collection(namespace)}/{quote(name, safe='')}"
