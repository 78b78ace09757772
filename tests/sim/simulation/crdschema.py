"""The shipped CRD's schema: defaulting and validation as the API server does them, CEL excepted."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from simulation.apiwire import ApiError, Object

CRD = Path(__file__).parents[3] / "crds" / "mailegress.io_mailegresses.yaml"


@lru_cache(maxsize=1)
def schema() -> Object:
    """The OpenAPI schema of the served version."""
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    found: Object = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


@lru_cache(maxsize=2)
def _validator(part: str = "") -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema()["properties"][part] if part else schema())


def validate(body: Any, part: str = "") -> None:
    """Types, bounds, required fields (of a top-level ``part`` only); a violation is the API server's 422."""
    error = next(_validator(part).iter_errors(body), None)
    if error is not None:
        where = ".".join(map(str, error.absolute_path))
        cause = {"field": where, "reason": "FieldValueInvalid", "message": error.message[:300]}
        raise ApiError(422, "Invalid", f"{where}: {error.message[:300]}", (cause,))


def apply_defaults(node: Object, value: Any) -> None:
    """Structural defaulting: missing properties with a default, from the outside in."""
    if isinstance(value, dict):
        for key, child in (node.get("properties") or {}).items():
            if key not in value and "default" in child:
                value[key] = copy.deepcopy(child["default"])
            if key in value:
                apply_defaults(child, value[key])
    elif isinstance(value, list) and "items" in node:
        for item in value:
            apply_defaults(node["items"], item)
