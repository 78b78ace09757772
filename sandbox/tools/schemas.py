"""Strict JSON schemas for kubeconform, made from what a real API server publishes at `/openapi/v2`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]

LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
"""The file names, as kubeconform's `-schema-location` below the directory; its Group of a core kind is the version."""

_REF = "#/definitions/"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def write_schemas(openapi: Mapping[str, Any], directory: Path) -> int:
    """Write one file for every kind into `directory`; how many.

    Unknown fields are refused, except where the API server keeps them. Each schema is complete in itself, because
    kubeconform follows no reference into another file.
    """
    definitions: Mapping[str, Json] = openapi["definitions"]
    strict = {name: _strict(name, definition) for name, definition in definitions.items()}
    directory.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            needed = {each: strict[each] for each in sorted(_reachable(name, strict))}
            file = f"{kind['group'] or kind['version']}_{kind['version']}_{kind['kind'].lower()}.json"
            (directory / file).write_text(json.dumps({"$ref": _REF + name, "definitions": needed}))
            count += 1
    return count


def _strict(name: str, schema: Json) -> Json:
    if name == _QUANTITY:
        # The API server takes a bare number too; OpenAPI v2 cannot say so.
        return {"type": ["string", "number"]}
    changed = {key: _strict_part(key, value) for key, value in schema.items() if not key.startswith("x-")}
    if changed.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    changed.pop("format", None)
    if "properties" in changed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        changed.setdefault("additionalProperties", False)
    return changed


def _strict_part(key: str, value: Any) -> Any:
    if key in {"properties", "definitions"}:
        return {name: _strict("", each) for name, each in value.items()}
    if key in {"items", "additionalProperties"} and isinstance(value, dict):
        return _strict("", value)
    return value


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _reachable(name: str, definitions: Mapping[str, Json]) -> Iterable[str]:
    found, todo = set[str](), [name]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += _references(definitions[each])
    return found
