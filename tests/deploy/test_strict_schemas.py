"""Strict schemas from OpenAPI v2: what the API server takes passes, and a typo does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.tools.schemas import write_schemas

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
OPENAPI: dict[str, Any] = {
    "definitions": {
        "Pod": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
            "properties": {
                "spec": {"$ref": "#/definitions/Spec"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "Spec": {
            "type": "object",
            "required": ["port"],
            "properties": {
                "port": {"type": "string", "format": "int-or-string"},
                "memory": {"$ref": f"#/definitions/{QUANTITY}"},
                "nested": {"type": "array", "items": {"$ref": "#/definitions/Spec"}},
                "raw": {
                    "type": "object",
                    "properties": {"x-known": {"type": "string"}},
                    "x-kubernetes-preserve-unknown-fields": True,
                },
            },
        },
        QUANTITY: {"type": "string"},
        "Other": {"type": "object"},
        "Scale": {
            "type": "object",
            "x-kubernetes-group-version-kind": [
                {"group": "apps", "version": "v1", "kind": "Scale"},
                {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            ],
        },
    }
}


@pytest.fixture
def schemas(tmp_path: Path) -> dict[str, Any]:
    assert write_schemas(OPENAPI, tmp_path / "schemas") == 3
    return {path.name: json.loads(path.read_text()) for path in (tmp_path / "schemas").iterdir()}


def test_a_file_for_every_kind_with_all_that_it_needs(schemas: dict[str, Any]) -> None:
    assert schemas.keys() == {"v1_v1_pod.json", "apps_v1_scale.json", "autoscaling_v1_scale.json"}
    assert schemas["v1_v1_pod.json"]["definitions"].keys() == {"Pod", "Spec", QUANTITY}


@pytest.mark.parametrize(
    "pod",
    [
        {"spec": {"port": "http"}},
        {"spec": {"port": 80, "memory": 1, "nested": [{"port": 1}]}},
        {"spec": {"port": 80, "raw": {"anything": 1}}, "labels": {"a": "b"}},
    ],
)
def test_what_the_api_server_takes_is_valid(schemas: dict[str, Any], pod: dict[str, Any]) -> None:
    jsonschema.validate(pod, schemas["v1_v1_pod.json"])


@pytest.mark.parametrize(
    "pod",
    [
        {"specs": {}},
        {"spec": {}},
        {"spec": {"port": 80, "memroy": "1Gi"}},
        {"spec": {"port": 1.5}},
        {"spec": {"port": 80, "nested": [{"port": 80, "x": 1}]}},
        {"spec": {"port": 80, "raw": {"x-known": 1}}},
        {"labels": {"a": 1}},
    ],
)
def test_a_typo_is_not(schemas: dict[str, Any], pod: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pod, schemas["v1_v1_pod.json"])
