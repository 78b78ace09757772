"""The cluster-scoped kinds of the API server in memory: MailEgressPolicies, and namespaces as metadata."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.support.simulation.apiuser import merged
from tests.support.simulation.apiwire import GROUP, ApiError, Object, Reply, Watch, event_line

PATHS: Mapping[str, str] = {
    f"{GROUP}/mailegresspolicies": "mailegresspolicies",
    "/api/v1/namespaces": "namespaces",
}


class Server(Protocol):
    """What is used of the API server."""

    clock: Callable[[], float]
    note: Callable[..., None]
    rv: int
    floor: int
    deaf: bool


@dataclass
class Kind:
    """The objects of one kind by name, and the open watches."""

    objects: dict[str, Object] = field(default_factory=dict)
    history: list[tuple[int, bytes]] = field(default_factory=list)
    watches: dict[Watch, None] = field(default_factory=dict)


@dataclass
class ClusterKinds:
    server: Server
    kinds: dict[str, Kind] = field(default_factory=lambda: {name: Kind() for name in PATHS.values()})
    missing: set[str] = field(default_factory=set)
    """Kinds that the cluster does not have: 404."""
    refused: set[str] = field(default_factory=set)
    """Kinds that the operator may not read: 403."""
    status_writes: list[tuple[float, str, Object]] = field(default_factory=list)

    # ------------------------------------------------------------ the user's side

    def put(self, kind: str, name: str, **body: Any) -> None:
        """``kubectl apply``. ``labels``: of a namespace."""
        labels = body.pop("labels", None)
        old = self.kinds[kind].objects.get(name)
        meta = old["metadata"] if old is not None else {"name": name, "generation": 0}
        changed = old is None or old.get("spec") != body.get("spec")
        meta = {**meta, "generation": meta["generation"] + changed, **({"labels": labels} if labels else {})}
        stored: Object = {"metadata": meta, **copy.deepcopy(body)}
        if old is not None and "status" in old:
            stored["status"] = old["status"]
        self.server.note("user", f"{kind} {name} {body.get('spec', labels)}")
        self._store(kind, name, stored, "MODIFIED" if old is not None else "ADDED")

    def delete(self, kind: str, name: str) -> None:
        """``kubectl delete``."""
        self.server.note("user", f"delete {kind} {name}")
        self._store(kind, name, self.kinds[kind].objects[name], "DELETED")

    def policy(self, name: str, **spec: Any) -> None:
        """A policy that allows namespace ``mail`` everything, with other fields."""
        base = {
            "namespaces": {"names": ["mail"]},
            "hostnames": {"suffixes": ["*"]},
            "addresses": {"any": True},
        }
        self.put("mailegresspolicies", name, spec=base | spec)

    def break_watches(self) -> None:
        """Every open watch ends."""
        for kind in self.kinds.values():
            for watch in list(kind.watches):
                watch.push(None, 0.0)

    # ------------------------------------------------------------ requests

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply | None:
        """The answer to a request for one of these kinds; None: it is for another."""
        words = path.rstrip("/").rsplit("/", 2)
        if method == "PATCH" and words[0] in PATHS and words[2] == "status":
            return Reply(self._patch(PATHS[words[0]], words[1], body))
        kind = PATHS.get(path)
        if kind is None or method != "GET":
            return None
        if kind in self.missing:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if kind in self.refused:
            raise ApiError(403, "Forbidden", f"{kind} is forbidden: cannot list resource {kind}")
        return self._watch(kind, query) if query.get("watch") == "true" else self._list(kind)

    # ------------------------------------------------------------ inside

    def _store(self, kind: str, name: str, body: Object, event: str) -> None:
        self.server.rv += 1
        body["metadata"] = {**body["metadata"], "resourceVersion": str(self.server.rv)}
        known = self.kinds[kind]
        if event == "DELETED":
            known.objects.pop(name, None)
        else:
            known.objects[name] = body
        line = event_line(event, body)
        known.history.append((self.server.rv, line))
        if not self.server.deaf:
            for watch in known.watches:
                watch.push(line)

    def _patch(self, kind: str, name: str, patch: Object) -> Object:
        old = self.kinds[kind].objects.get(name)
        if old is None:
            raise ApiError(404, "NotFound", f'{kind} "{name}" not found')
        body: Object = copy.deepcopy(old)
        body["status"] = merged(old.get("status") or {}, patch["status"])
        self.status_writes.append((self.server.clock(), name, body["status"]))
        self._store(kind, name, body, "MODIFIED")
        return copy.deepcopy(body)

    def _list(self, kind: str) -> Reply:
        items = [copy.deepcopy(body) for _, body in sorted(self.kinds[kind].objects.items())]
        return Reply({"kind": "List", "metadata": {"resourceVersion": str(self.server.rv)}, "items": items})

    def _watch(self, kind: str, query: Mapping[str, str]) -> Reply:
        known, since = self.kinds[kind], int(query.get("resourceVersion") or 0)
        watch = Watch(
            self.server.clock,
            float(query.get("timeoutSeconds") or 1800),
            lambda: event_line("BOOKMARK", {"metadata": {"resourceVersion": str(self.server.rv)}}),
            lambda ended: known.watches.pop(ended, None),
        )
        if since < self.server.floor:
            watch.push(event_line("ERROR", ApiError(410, "Expired", "too old resource version").body()))
            watch.push(None)
            return watch
        for rv, line in known.history:
            if rv > since:
                watch.push(line)
        known.watches[watch] = None
        return watch
