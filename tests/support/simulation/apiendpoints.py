"""DNSEndpoints of the API server in memory: list, watch, and writes as external-dns's CRD allows them.

``spec.endpoints`` is an atomic list in that CRD: whoever changes it is its only field manager from then on.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mailegress.api.names import ENDPOINT_API_VERSION, ENDPOINT_KIND
from tests.support.simulation.apiuser import gone, merged, stale
from tests.support.simulation.apiwire import ApiError, Object, Reply, Watch, event_line

GROUP = f"/apis/{ENDPOINT_API_VERSION}/"
PLURAL, DOMAIN = "dnsendpoints", "externaldns.k8s.io"
RESOURCE = f"{PLURAL}.{DOMAIN}"
OPERATOR = "mailegress"
"""The operator's field manager."""

Place = tuple[str, str]


class Server(Protocol):
    """What is used of the API server."""

    clock: Callable[[], float]
    wall: Callable[[], datetime]
    note: Callable[..., None]
    rv: int
    floor: int


@dataclass
class EndpointKind:
    server: Server
    missing: bool = False
    """The cluster does not have the kind: 404."""
    refused: bool = False
    """The operator has no right on it: 403."""
    objects: dict[Place, Object] = field(default_factory=dict)
    history: list[tuple[int, str, bytes]] = field(default_factory=list)
    watches: dict[Watch, str | None] = field(default_factory=dict)
    before_write: Callable[[Object | None, Object | None], None] = lambda old, new: None
    """Hears of the operator's writes: what was there, and what will be; None: nothing."""

    # ------------------------------------------------------------ the user's side, and external-dns's

    def put(
        self, namespace: str, name: str, entries: list[Object], manager: str = "kubectl", **labels: str
    ) -> None:
        """``kubectl apply``: what others do to a DNSEndpoint."""
        self.server.note("user", f"{manager} writes DNSEndpoint {namespace}/{name} {entries}")
        old = self.objects.get((namespace, name))
        body: Object = (
            copy.deepcopy(old) if old is not None else {"metadata": {"namespace": namespace, "name": name}}
        )
        body["spec"] = {"endpoints": entries}
        if labels:
            body["metadata"]["labels"] = labels
        self._put(old, body, manager)

    def remove(self, namespace: str, name: str) -> None:
        """``kubectl delete``."""
        self.server.note("user", f"delete DNSEndpoint {namespace}/{name}")
        self._store(self.objects[namespace, name], "DELETED")

    def observe(self, namespace: str, name: str, generation: int) -> None:
        """External-dns notes that it read this generation."""
        body = copy.deepcopy(self.objects[namespace, name])
        body["status"] = {"observedGeneration": generation}
        self._store(body, "MODIFIED")

    def uninstall(self) -> None:
        """The CRD is deleted, and every DNSEndpoint with it."""
        self.server.note("user", "delete the CRD of DNSEndpoint")
        for body in list(self.objects.values()):
            self._store(body, "DELETED")
        self.missing = True
        for watch in list(self.watches):
            watch.push(None, 0.0)

    def asked(self, hostname: str) -> frozenset[str]:
        """The targets that the DNSEndpoints of MailEgresses ask for at a hostname."""
        found = [
            e["targets"]
            for body in self.objects.values()
            if "mailegress.io/uid" in body["metadata"].get("labels", {})
            for e in body["spec"]["endpoints"]
            if e["dnsName"] == hostname
        ]
        return frozenset(ip for targets in found for ip in targets)

    def owner_at(self, hostname: str) -> str | None:
        """UID in the operator's label of a DNSEndpoint that names the hostname."""
        labels = (
            body["metadata"].get("labels", {})
            for body in self.objects.values()
            if any(e["dnsName"] == hostname for e in body["spec"]["endpoints"])
        )
        return next((each["mailegress.io/uid"] for each in labels if "mailegress.io/uid" in each), None)

    def shown(self) -> dict[str, Any]:
        """Labels and spec of each, for comparison; the label is whether it has an owner."""
        return {
            f"{namespace}/{name}": {
                "owned": "mailegress.io/uid" in body["metadata"].get("labels", {}),
                "endpoints": {
                    e["dnsName"]: {"targets": e["targets"], "ttl": e.get("recordTTL")}
                    for e in body["spec"]["endpoints"]
                },
            }
            for (namespace, name), body in sorted(self.objects.items())
        }

    # ------------------------------------------------------------ requests

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply | None:
        """The answer to an operator's request; None: it is for another kind."""
        if not path.startswith(GROUP):
            return None
        if self.missing:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if self.refused:
            raise ApiError(403, "Forbidden", f"{RESOURCE} is forbidden: no right")
        words = path.removeprefix(GROUP).split("/")
        namespace = words[1] if words[0] == "namespaces" else None
        rest = words[3:] if namespace is not None else words[1:]
        match method, rest:
            case "GET", [] if query.get("watch") == "true":
                return self._watch(namespace, query)
            case "GET", []:
                return self._list(namespace)
            case "POST", [] if namespace is not None:
                return Reply(self._create(namespace, body), 201)
            case "PUT", [name, "status"] if namespace is not None:
                self.observe(namespace, name, body["status"]["observedGeneration"])
                return Reply(copy.deepcopy(self._get(namespace, name)))
            case "GET", [name] if namespace is not None:
                return Reply(copy.deepcopy(self._get(namespace, name)))
            case "PATCH", [name] if namespace is not None:
                return Reply(self._patch(namespace, name, body, query.get("fieldManager", OPERATOR)))
            case "DELETE", [name] if namespace is not None:
                return Reply(self._delete(namespace, name, body))
        raise ApiError(405, "MethodNotAllowed", f"the simulation has no {method} {path}")

    def _get(self, namespace: str, name: str) -> Object:
        found = self.objects.get((namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{RESOURCE} "{name}" not found')
        return found

    def _create(self, namespace: str, sent: Object) -> Object:
        name = sent["metadata"]["name"]
        if (namespace, name) in self.objects:
            raise ApiError(409, "AlreadyExists", f'{RESOURCE} "{name}" already exists')
        body = copy.deepcopy(sent)
        body["metadata"] = {"namespace": namespace, **body["metadata"]}
        self.before_write(None, body)
        return self._put(None, body, OPERATOR)

    def _patch(self, namespace: str, name: str, sent: Object, manager: str) -> Object:
        old = self._get(namespace, name)
        if sent["metadata"].get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise stale(RESOURCE, name)
        body = merged(old, sent)
        if manager == OPERATOR:
            self.before_write(old, body)
        return self._put(old, body, manager)

    def _delete(self, namespace: str, name: str, options: Object) -> Object:
        old = self._get(namespace, name)
        wanted = (options or {}).get("preconditions", {})
        if any(old["metadata"][key] != value for key, value in wanted.items()):
            raise stale(f"{ENDPOINT_KIND}.{DOMAIN}", name)
        self.before_write(old, None)
        self.server.note("api", f"DNSEndpoint {namespace}/{name} is deleted")
        self._store(old, "DELETED")
        return gone(name, old["metadata"]["uid"], DOMAIN, PLURAL)

    # ------------------------------------------------------------ storage

    def _put(self, old: Object | None, body: Object, manager: str) -> Object:
        if old is not None and body == old:
            return copy.deepcopy(old)
        meta = body["metadata"]
        if old is None:
            # (Not from the generator that objects get theirs from.)
            meta |= {"uid": str(uuid.UUID(int=self.server.rv, version=4)), "generation": 1}
            meta["creationTimestamp"] = self.server.wall().strftime("%Y-%m-%dT%H:%M:%SZ")
        elif body.get("spec") != old.get("spec"):
            meta["generation"] += 1
        if old is None or body.get("spec") != old.get("spec"):
            managed = {"manager": manager, "operation": "Update", "time": f"{self.server.clock():012.3f}"}
            meta["managedFields"] = [{**managed, "fieldsV1": {"f:spec": {"f:endpoints": {}}}}]
        body |= {"apiVersion": ENDPOINT_API_VERSION, "kind": ENDPOINT_KIND}
        text = json.dumps(body["spec"]["endpoints"], sort_keys=True)
        if manager == OPERATOR:
            self.server.note("api", f"DNSEndpoint {meta['namespace']}/{meta['name']}: {text}")
        self._store(body, "ADDED" if old is None else "MODIFIED")
        return copy.deepcopy(body)

    def _store(self, body: Object, event: str) -> None:
        self.server.rv += 1
        meta = body["metadata"] = {**body["metadata"], "resourceVersion": str(self.server.rv)}
        place = (meta["namespace"], meta["name"])
        if event == "DELETED":
            self.objects.pop(place, None)
        else:
            self.objects[place] = body
        line = event_line(event, body)
        self.history.append((self.server.rv, meta["namespace"], line))
        for watch, namespace in self.watches.items():
            if namespace in (None, meta["namespace"]):
                watch.push(line)

    def _list(self, namespace: str | None) -> Reply:
        items = [copy.deepcopy(o) for (ns, _), o in sorted(self.objects.items()) if namespace in (None, ns)]
        kind = {"apiVersion": ENDPOINT_API_VERSION, "kind": f"{ENDPOINT_KIND}List"}
        meta = {"resourceVersion": str(self.server.rv), "continue": ""}
        return Reply({**kind, "metadata": meta, "items": items})

    def _watch(self, namespace: str | None, query: Mapping[str, str]) -> Reply:
        since = int(query.get("resourceVersion") or 0)
        watch = Watch(
            self.server.clock,
            float(query.get("timeoutSeconds") or 1800),
            lambda: event_line("BOOKMARK", {"metadata": {"resourceVersion": str(self.server.rv)}}),
            lambda ended: self.watches.pop(ended, None),
        )
        if since < self.server.floor:
            watch.push(event_line("ERROR", ApiError(410, "Expired", "too old resource version").body()))
            watch.push(None)
            return watch
        for rv, where, line in self.history:
            if rv > since and namespace in (None, where):
                watch.push(line)
        self.watches[watch] = namespace
        return watch
