"""What users send to the API server, answered by the double; refusals in the real one's words."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tests.support.simulation.apiwire import ApiError, Object, Reply

RESOURCE, LEASES = "mailegresses.mailegress.io", "leases.coordination.k8s.io"


class UserSide(Protocol):
    """What is used of the double."""

    def get(self, namespace: str, name: str) -> Object: ...

    def create(
        self,
        namespace: str,
        name: str,
        spec: Mapping[str, Any],
        uid: str = "",
        finalizers: Sequence[str] = (),
    ) -> Object: ...

    def merge(self, namespace: str, name: str, patch: Mapping[str, Any], part: str = "") -> Object: ...

    def delete(self, namespace: str, name: str) -> Object | None: ...


def user_reply(
    server: UserSide, method: str, namespace: str, where: Sequence[str], body: Any
) -> Reply | None:
    """The answer to a user's request; ``where``: name and subresource. None = it is an operator's."""
    match method, tuple(where):
        case "POST", ():
            meta, spec = body["metadata"], body.get("spec", {})
            finalizers = meta.get("finalizers") or ()
            return Reply(server.create(namespace, meta["name"], spec, finalizers=finalizers), 201)
        case "GET", (name,):
            return Reply(copy.deepcopy(server.get(namespace, name)))
        case "PATCH", (name, *part) if isinstance(body, dict):
            return Reply(server.merge(namespace, name, body, *part))
        case "DELETE", (name,):
            uid = server.get(namespace, name)["metadata"]["uid"]
            left = server.delete(namespace, name)
            return Reply(left if left is not None else gone(name, uid))
    return None


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    out = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
        # The API server stores no empty maps and lists of metadata.
        if key in ("annotations", "labels", "finalizers") and not out.get(key):
            out.pop(key, None)
    return out


def stale(resource: str, name: str) -> ApiError:
    text = f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; please apply your '
    return ApiError(409, "Conflict", f"{text}changes to the latest version and try again")


def ending(what: str, namespace: str) -> ApiError:
    text = f"unable to create new content in namespace {namespace} because it is being terminated"
    return ApiError(403, "Forbidden", f"{what} is forbidden: {text}")


def gone(name: str, uid: str, group: str = "mailegress.io", plural: str = "mailegresses") -> Object:
    """The answer to the deletion of an object without finalizers."""
    details = {"name": name, "group": group, "kind": plural, "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
