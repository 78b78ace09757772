"""An API server in memory, behind what the operator takes for an aiohttp session.

It keeps what controllers rely on: one resourceVersion counter, lists in pages of one snapshot, watches with history,
bookmarks and 410, a status subresource guarded by resourceVersion and schema, JSON patch with ``test``, generations
that only the spec (and a deletion) moves, finalizers and deletionTimestamp, Events, Leases. It is compared with
recorded answers of the real one (``golden``).
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp

from tests.support.simulation.apicluster import ClusterKinds
from tests.support.simulation.apiendpoints import EndpointKind
from tests.support.simulation.apisession import Session
from tests.support.simulation.apiuser import LEASES, RESOURCE, ending, merged, stale, user_reply
from tests.support.simulation.apiwire import (
    DISCOVERY,
    GROUP,
    ApiError,
    Fault,
    Object,
    Reply,
    Watch,
    event_line,
    request_name,
)
from tests.support.simulation.crdschema import apply_defaults, prune, schema, validate
from tests.support.simulation.faults import Plan

CLUSTER_UID = "5f6bb3b1-7a6d-4fb6-8b1e-0c0ffee00001"
"""Of the namespace kube-system."""
QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
"""The name of a finalizer."""


@dataclass
class ApiServer:
    """``clock``: monotonic seconds; ``wall``: the date; ``note(kind, text)`` hears of everything that happens."""

    clock: Callable[[], float]
    wall: Callable[[], datetime]
    rng: Random
    note: Callable[..., None] = lambda *_: None
    on_status: Callable[[Object, Object], None] = lambda old, new: None
    on_finalizers: Callable[[Object, Object], None] = lambda old, new: None
    rv: int = 1000
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    ever: dict[str, Object] = field(default_factory=dict)
    """By UID, the last version of every object there ever was."""
    events: list[Object] = field(default_factory=list)
    leases: dict[tuple[str, str], Object] = field(default_factory=dict)
    history: list[tuple[int, str, bytes]] = field(default_factory=list)
    """resourceVersion, namespace, event."""
    floor: int = 0
    """Watches from before this resourceVersion get 410."""
    watches: dict[Watch, str | None] = field(default_factory=dict)
    """Open ones, in order of their opening, and the namespace that each is about."""
    faults: list[Fault] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    terminating: set[str] = field(default_factory=set)
    lapsed: set[str] = field(default_factory=set)
    """UIDs of objects that a restored backup changed, brought back or made vanish."""
    stripped: set[str] = field(default_factory=set)
    """UIDs of objects whose status somebody threw away."""
    forgotten: set[str] = field(default_factory=set)
    """Those of them of which something was out of the operator's sight then, and those that came back from a backup as
    they were before the operator's first write: nothing tells of them any more."""
    unheard: set[str] = field(default_factory=set)
    """UIDs of objects whose finalizer somebody removed while watches delivered nothing."""
    deaf: bool = False
    """Watches deliver nothing (what happens meanwhile is missed for good)."""
    listed: Callable[[], None] = lambda: None
    """Called whenever somebody lists the objects."""
    _pages: dict[str, tuple[int, list[Object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster = ClusterKinds(self)
        self.endpoints = EndpointKind(self)

    def session(self, gate: Callable[[], None], take: Callable[[], Plan | None]) -> Session:
        """A session for one process; ``gate`` raises when that process is dead, ``take`` gives a task's next fault."""
        return Session(self, gate, take)

    # ------------------------------------------------------------ the user's side

    def create(
        self,
        namespace: str,
        name: str,
        spec: Mapping[str, Any],
        uid: str = "",
        finalizers: Sequence[str] = (),
    ) -> Object:
        """``kubectl create``: defaults from the CRD, status included; what the schema does not know is dropped."""
        if namespace in self.terminating:
            raise ending(f'{RESOURCE} "{name}"', namespace)
        if (known := self.objects.get((namespace, name))) is not None:
            going = "object is being deleted: " if "deletionTimestamp" in known["metadata"] else ""
            raise ApiError(409, "AlreadyExists", f'{going}{RESOURCE} "{name}" already exists')
        body: Object = {
            "apiVersion": "mailegress.io/v1alpha1",
            "kind": "MailEgress",
            "metadata": {
                "name": name, "namespace": namespace, "generation": 1,
                "uid": uid or str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
                "creationTimestamp": self.wall().strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "spec": copy.deepcopy(dict(spec)),
        }  # fmt: skip
        if finalizers:
            body["metadata"]["finalizers"] = list(finalizers)
        prune(schema(), body)
        apply_defaults(schema(), body)
        validate(body)
        self.note("user", f"create {namespace}/{name} {json.dumps(spec, sort_keys=True)}")
        return self._store(body, "ADDED")

    def edit(self, namespace: str, name: str, **fields: Any) -> Object:
        """``kubectl patch --type=merge`` of the spec; None removes a field."""
        self.note("user", f"edit {namespace}/{name} {json.dumps(fields, sort_keys=True)}")
        return self.merge(namespace, name, {"spec": fields})

    def merge(self, namespace: str, name: str, patch: Mapping[str, Any], part: str = "") -> Object:
        """A JSON merge patch (RFC 7386) of the object, or of the subresource ``status``."""
        old = self.get(namespace, name)
        body: Object = merged(old, patch)
        for member in [m for m in old if (m != part if part else m == "status")]:
            body[member] = copy.deepcopy(old[member])
        prune(schema(), body)
        apply_defaults(schema(), body)
        validate(body)
        if body == old:
            return copy.deepcopy(old)
        body["metadata"]["generation"] += body["spec"] != old["spec"]
        if "deletionTimestamp" in body["metadata"] and not body["metadata"].get("finalizers"):
            self._remove(old)
            return body
        return self._store(body, "MODIFIED")

    def meddle(self, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Anything else that somebody does to metadata or status."""
        body = copy.deepcopy(self.get(namespace, name))
        change(body)
        self.note("user", f"meddle with {namespace}/{name}")
        return self._store(body, "MODIFIED")

    def delete(self, namespace: str, name: str) -> Object | None:
        """``kubectl delete --wait=false``: what is left, or None."""
        body = copy.deepcopy(self.get(namespace, name))
        self.note("user", f"delete {namespace}/{name}")
        if not body["metadata"].get("finalizers"):
            self._remove(body)
            return None
        if "deletionTimestamp" not in body["metadata"]:
            body["metadata"]["deletionTimestamp"] = self.wall().strftime("%Y-%m-%dT%H:%M:%SZ")
            body["metadata"]["deletionGracePeriodSeconds"] = 0
            body["metadata"]["generation"] += 1
            self._store(body, "MODIFIED")
        return body

    def get(self, namespace: str, name: str) -> Object:
        found = self.objects.get((namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{RESOURCE} "{name}" not found')
        return found

    def by_uid(self, uid: str) -> Object | None:
        """The live object of that UID."""
        return next((o for o in self.objects.values() if o["metadata"]["uid"] == uid), None)

    # ------------------------------------------------------------ faults

    def break_watches(self) -> None:
        for watch in list(self.watches):
            watch.push(None, 0.0)
        self.note("fault", "watches broken")

    def expire(self) -> None:
        """Compaction: every watch that resumes from the past gets 410."""
        self.floor = self.rv + 1
        self.rv += 1
        self.note("fault", "history compacted")

    def watch_error(self, code: int) -> None:
        """An ERROR event in every open watch."""
        line = event_line("ERROR", {"kind": "Status", "code": code, "message": "injected"})
        for watch in list(self.watches):
            watch.push(line)
        self.note("fault", f"watch ERROR {code}")

    def repeat_events(self, count: int) -> None:
        """Every open watch tells the last events once more."""
        for watch in list(self.watches):
            for *_, line in self.history[-count:]:
                watch.push(line)
        self.note("fault", f"{count} watch events repeated")

    def restore(self, saved: Mapping[tuple[str, str], Object], bump: int) -> None:
        """An older state comes back; the revision moves on by ``bump``, and no watch of before goes on."""
        self.lapsed |= {o["metadata"]["uid"] for o in (*self.objects.values(), *saved.values())}
        self.forgotten |= {o["metadata"]["uid"] for o in saved.values() if _looks_new(o)}
        self.objects = copy.deepcopy(dict(saved))
        self.rv += bump
        self.history.clear()
        self._pages.clear()
        self.expire()
        self.note("fault", f"an old backup is restored: {sorted(name for _, name in saved)}")
        self.break_watches()

    # ------------------------------------------------------------ storage

    def _store(self, body: Object, kind: str) -> Object:
        meta = body["metadata"]
        self.rv += 1
        meta["resourceVersion"] = str(self.rv)
        key = (meta["namespace"], meta["name"])
        if kind == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = body
        self.ever[meta["uid"]] = body
        line = event_line(kind, body)
        self.history.append((self.rv, meta["namespace"], line))
        if not self.deaf:
            for watch, namespace in self.watches.items():
                if namespace in (None, meta["namespace"]):
                    watch.push(line)
        return body

    def _remove(self, stored: Object) -> None:
        """The event shows what was stored last, with a version of its own."""
        self.note("api", f"gone {stored['metadata']['namespace']}/{stored['metadata']['name']}")
        self._store(copy.deepcopy(stored), "DELETED")

    def bookmark(self) -> bytes:
        meta = {"resourceVersion": str(self.rv)}
        return event_line(
            "BOOKMARK", {"kind": "MailEgress", "apiVersion": "mailegress.io/v1alpha1", "metadata": meta}
        )

    # ------------------------------------------------------------ requests

    def answer(self, method: str, url: str, body: Any) -> Reply:
        """One request, carried out now."""
        parts = urlsplit(url)
        path = unquote(parts.path)
        query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        where = request_name(method, path, query)
        self.requests[where] = self.requests.get(where, 0) + 1
        fault = next((f for f in self.faults if f.method == method and f.part in url and f.times > 0), None)
        if fault is not None:
            fault.times -= 1
            if fault.applied:
                # Whatever comes of it: nobody learns of that.
                with contextlib.suppress(ApiError):
                    self._route(method, path, query, body)
            self.note("fault", f"{method} {path} {fault.code or 'connection broken'}")
            if fault.code is None:
                raise aiohttp.ServerDisconnectedError
            error = ApiError(fault.code, fault.reason, fault.message)
            headers = {"Retry-After": "1"} if fault.headers is None and fault.code == 429 else fault.headers
            return Reply(error.body(), fault.code, headers)
        try:
            return self._route(method, path, query, body)
        except ApiError as error:
            self.note("api", f"{where} {error.code} {error.message}")
            return Reply(error.body(), error.code)

    def _route(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply:
        if (cluster := self.cluster.reply(method, path, query, body)) is not None:
            return cluster
        if (endpoints := self.endpoints.reply(method, path, query, body)) is not None:
            return endpoints
        if path in DISCOVERY:
            return Reply(DISCOVERY[path])
        if path == "/api/v1/namespaces/kube-system":
            return Reply({"metadata": {"name": "kube-system", "uid": CLUSTER_UID}})
        words = path.strip("/").split("/")
        if path.startswith(GROUP):
            rest = words[3:]
            namespace = rest[1] if rest[0] == "namespaces" else None
            rest = rest[2:] if namespace is not None else rest
            if (
                namespace is not None
                and (reply := user_reply(self, method, namespace, rest[1:], body)) is not None
            ):
                return reply
            if rest == ["mailegresses"] and method == "GET":
                return (
                    self._watch(namespace, query)
                    if query.get("watch") == "true"
                    else self._list(namespace, query)
                )
            if namespace is not None and len(rest) == 2 and method == "PATCH":
                return Reply(self._patch(namespace, rest[1], body))
            if namespace is not None and len(rest) == 3 and rest[2] == "status" and method == "PUT":
                return Reply(self._put_status(namespace, rest[1], body))
        if path.startswith("/apis/events.k8s.io/v1/") and method == "POST":
            return Reply(self._event(words[4], body), 201)
        if path.startswith("/apis/coordination.k8s.io/v1/"):
            return self._lease(method, words[4], words[6] if len(words) > 6 else "", body)
        raise ApiError(404, "NotFound", f"the simulation has no {method} {path}")

    def _list(self, namespace: str | None, query: Mapping[str, str]) -> Reply:
        only = query.get("fieldSelector")
        self.listed()
        if token := query.get("continue"):
            if token not in self._pages:
                raise ApiError(410, "Expired", "the provided continue parameter is too old")
            rv, rest = self._pages.pop(token)
        else:
            rv = self.rv
            rest = [
                copy.deepcopy(o)
                for (ns, name), o in sorted(self.objects.items())
                if namespace in (None, ns) and only in (None, f"metadata.name={name}")
            ]
        limit = int(query.get("limit") or 0) or len(rest) or 1
        page, rest = rest[:limit], rest[limit:]
        meta: Object = {"resourceVersion": str(rv), "continue": ""}
        if rest:
            meta |= {"continue": f"page-{rv}-{len(rest)}", "remainingItemCount": len(rest)}
            self._pages[meta["continue"]] = (rv, rest)
        return Reply(
            {
                "kind": "MailEgressList",
                "apiVersion": "mailegress.io/v1alpha1",
                "metadata": meta,
                "items": page,
            }
        )

    def _watch(self, namespace: str | None, query: Mapping[str, str]) -> Reply:
        since = int(query.get("resourceVersion") or 0)
        watch = Watch(
            self.clock,
            float(query.get("timeoutSeconds") or 1800),
            self.bookmark if query.get("allowWatchBookmarks") == "true" else None,
            lambda ended: self.watches.pop(ended, None),
        )
        if since and since < self.floor:
            text = f"too old resource version: {since} ({self.floor})"
            watch.push(event_line("ERROR", ApiError(410, "Expired", text).body()))
            watch.push(None)
            return watch
        if not since:
            for body in sorted(self.objects.values(), key=lambda o: int(o["metadata"]["resourceVersion"])):
                if namespace in (None, body["metadata"]["namespace"]):
                    watch.push(event_line("ADDED", body))
        for rv, where, line in self.history:
            if since and rv > since and namespace in (None, where):
                watch.push(line)
        self.watches[watch] = namespace
        return watch

    def _patch(self, namespace: str, name: str, operations: list[Object]) -> Object:
        old = self.get(namespace, name)
        body = copy.deepcopy(old)
        for op in operations:
            *parents, last = op["path"].strip("/").split("/")
            target = body
            for parent in parents:
                target = target[parent]
            if op["op"] == "test" and target.get(last) != op["value"]:
                raise ApiError(
                    422, "Invalid", "the server rejected our request due to an error in our request"
                )
            if op["op"] == "add":
                target[last] = op["value"]
        before, after = old["metadata"].get("finalizers") or [], body["metadata"].get("finalizers") or []
        if not after:
            body["metadata"].pop("finalizers", None)
        if any(QUALIFIED.fullmatch(name) is None for name in after):
            cause = {
                "field": "metadata.finalizers",
                "reason": "FieldValueInvalid",
                "message": "not qualified",
            }
            raise ApiError(422, "Invalid", "metadata.finalizers: Invalid value", (cause,))
        if "deletionTimestamp" in body["metadata"] and set(after) - set(before):
            cause = {
                "field": "metadata.finalizers",
                "reason": "FieldValueForbidden",
                "message": "no new finalizers",
            }
            raise ApiError(
                422, "Invalid", "no new finalizers can be added if the object is being deleted", (cause,)
            )
        if body == old:
            return copy.deepcopy(old)
        self.note("api", f"finalizers of {namespace}/{name}: {after}")
        self.on_finalizers(old, body)
        if "deletionTimestamp" in body["metadata"] and not after:
            self._remove(old)
        else:
            self._store(body, "MODIFIED")
        return copy.deepcopy(body)

    def _put_status(self, namespace: str, name: str, sent: Object) -> Object:
        old = self.get(namespace, name)
        for member in ("uid", "resourceVersion"):
            if sent["metadata"].get(member) not in (None, old["metadata"][member]):
                raise stale(RESOURCE, name)
        body = copy.deepcopy(old)
        body["status"] = copy.deepcopy(sent.get("status") or {})
        prune(schema(), body)
        validate(body["status"], "status")
        if body == old:
            return copy.deepcopy(old)
        self.note("status", namespace, name, old, body)
        self.on_status(old, body)
        return copy.deepcopy(self._store(body, "MODIFIED"))

    def _event(self, namespace: str, body: Object) -> Object:
        body = copy.deepcopy(body)
        meta = body["metadata"]
        if not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{self.rv:05x}"
        name = meta["name"]
        if namespace in self.terminating:
            raise ending(f'events.events.k8s.io "{name}"', namespace)
        if any(
            e["metadata"]["name"] == name and e["metadata"]["namespace"] == namespace for e in self.events
        ):
            raise ApiError(409, "AlreadyExists", f'events.events.k8s.io "{name}" already exists')
        self.events.append(self._made(body))
        self.note(
            "event", f"{body['regarding']['name']}: {body['type']} {body['reason']}: {body['note'][:150]}"
        )
        return self.events[-1]

    def _made(self, body: Object) -> Object:
        """A new object of another kind, as it is stored."""
        self.rv += 1
        stored = copy.deepcopy(body)
        stored["metadata"] |= {
            # (Not from the generator that objects get theirs from: how many Events there are must not matter to them.)
            "uid": str(uuid.UUID(int=self.rv, version=4)),
            "resourceVersion": str(self.rv),
            "creationTimestamp": self.wall().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return stored

    def _lease(self, method: str, namespace: str, name: str, body: Any) -> Reply:
        name = name or body["metadata"]["name"]
        known = self.leases.get((namespace, name))
        if method == "POST":
            if known is not None:
                raise ApiError(409, "AlreadyExists", f'{LEASES} "{name}" already exists')
            self.leases[namespace, name] = self._made(body)
            self.note("lease", body["spec"]["holderIdentity"])
            return Reply(copy.deepcopy(self.leases[namespace, name]), 201)
        if method == "GET" and known is None:
            raise ApiError(404, "NotFound", f'{LEASES} "{name}" not found')
        if method == "GET":
            return Reply(copy.deepcopy(known))
        sent = body["metadata"]
        if known is None or any(sent.get(k) != known["metadata"][k] for k in ("uid", "resourceVersion")):
            raise stale(LEASES, name)
        self.rv += 1
        stored = copy.deepcopy(body)
        stored["metadata"] = {**known["metadata"], "resourceVersion": str(self.rv)}
        if known["spec"].get("holderIdentity") != stored["spec"].get("holderIdentity"):
            self.note("lease", stored["spec"].get("holderIdentity") or "released")
        self.leases[namespace, name] = stored
        return Reply(copy.deepcopy(stored))


def _looks_new(body: Object) -> bool:
    """Nobody edited it, and no operator wrote to it."""
    meta, status = body["metadata"], body.get("status") or {}
    return (
        meta["generation"] == 1 and not meta.get("finalizers") and status.get("observedGeneration", -1) == -1
    )
