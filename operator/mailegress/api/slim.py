"""An object cut down to what the operator reads of it, before anything else touches it.

Annotations, labels, foreign finalizers and managedFields are other people's, and together may take more than a
megabyte of each object (the API server's limit is that of one etcd request, 1.5 MiB).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailegress.api.limits import RECONCILE_REQUEST_LENGTH
from mailegress.api.names import FINALIZER, RECONCILE_ANNOTATION

FOREIGN_FINALIZERS = "foreignFinalizers"
"""How many finalizers of others were left out. The API server knows no such field, so nobody else can set it."""

_META = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    FOREIGN_FINALIZERS,
)


def slim(body: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata`` (only what the operator reads), ``spec`` and ``status`` of ``body``. Slimming twice changes nothing.

    Of the annotations only ``mailegress.io/reconcile-requested-at`` is kept, cut; of the finalizers only our own. Spec
    and status have the bounds of their schema.
    """
    meta = body["metadata"]
    kept: dict[str, Any] = {field: meta[field] for field in _META if meta.get(field) is not None}
    finalizers = meta.get("finalizers")
    if isinstance(finalizers, list) and finalizers:
        if FINALIZER in finalizers:
            kept["finalizers"] = [FINALIZER]
        if foreign := sum(1 for name in finalizers if name != FINALIZER):
            kept[FOREIGN_FINALIZERS] = foreign
    annotations = meta.get("annotations")
    requested = annotations.get(RECONCILE_ANNOTATION) if isinstance(annotations, Mapping) else None
    if isinstance(requested, str):
        kept["annotations"] = {RECONCILE_ANNOTATION: requested[:RECONCILE_REQUEST_LENGTH]}
    return {"metadata": kept, **{part: body[part] for part in ("spec", "status") if part in body}}
