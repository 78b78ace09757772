"""The shipped CRD's schema: pruning, defaulting and validation as the API server does them.

Its CEL rules are not evaluated: the operator's own reading of a spec, which refuses the same, stands for them.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mailegress.api.types import parse_spec
from mailegress.api.validation import InvalidObject
from tests.support.simulation.apiwire import ApiError, Object

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
    found = [(_place(error), error.message[:300]) for error in _validator(part).iter_errors(body)]
    if not found and not part:
        try:
            parse_spec(body["spec"])
        except InvalidObject as error:
            found.append((error.field, str(error)[:300]))
    if found:
        causes = [{"field": f, "reason": "FieldValueInvalid", "message": text} for f, text in found]
        if part:
            causes = [cause | {"field": f"{part}.{cause['field']}"} for cause in causes]
        raise ApiError(422, "Invalid", "; ".join(f"{f}: {text}" for f, text in found), tuple(causes))


def _place(error: jsonschema.ValidationError) -> str:
    """As the API server writes it: ``spec.elasticIPs[0].region``; what is missing by its own name."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    if error.validator == "required":
        where += f".{next(name for name in error.validator_value if name not in error.instance)}"
    return where.lstrip(".")


def prune(node: Object, value: Any) -> None:
    """Drop what a structural schema does not know; of the root, metadata is nobody's to prune."""
    if isinstance(value, dict) and "properties" in node:
        for key in [
            k for k in value if k not in node["properties"] and k not in ("apiVersion", "kind", "metadata")
        ]:
            del value[key]
        for key, child in node["properties"].items():
            if key in value:
                prune(child, value[key])
    elif isinstance(value, list) and "items" in node:
        for item in value:
            prune(node["items"], item)


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
