"""The tools that prove the chart, the kustomizations and the alerts, each at a pinned version.

    tool("helm")        a path to run

helm, kustomize and kubeconform are built once by the Go toolchain, promtool and knotd are taken from PATH or
unpacked from Debian's packages without installing them, checkov gets a Python environment of its own; all of them
live in the user's cache. kubectl comes with `sandbox.controlplane`.

Helm 3 rather than 4: a chart that Helm 3 renders and installs works under Helm 4 too, not the other way round,
and it builds in half the time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .cache import Cache
from .debian import knotd, promtool
from .errors import ToolError
from .gotool import PINS, PROMETHEUS_OPERATOR, build, download, find_go
from .python import checkov

__all__ = ["NAMES", "ToolError", "prometheus_operator_crds", "tool"]

NAMES = (*PINS, "promtool", "knotd", "checkov")
"""What `tool` knows."""


def _to_stderr(line: str) -> None:
    print(f"tools: {line}", file=sys.stderr, flush=True)


def tool(
    name: str, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = _to_stderr
) -> Path:
    """The path of the tool `name`, built or fetched first if this user has none.

    Raises:
        ToolError: it is not one of `NAMES`, or cannot be had here; the message says why and what to do.
    """
    variables = os.environ if environ is None else environ
    cache = Cache.of(variables, say)
    if name in PINS:
        return build(PINS[name], cache, variables, say)
    if name == "promtool":
        return promtool(cache, variables, say)
    if name == "knotd":
        return knotd(cache, variables, say)
    if name == "checkov":
        return checkov(cache, say)
    raise ToolError(f"there is no tool {name!r}; known: {', '.join(NAMES)}")


def prometheus_operator_crds(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The custom resource definitions of ServiceMonitor, PodMonitor and PrometheusRule, from the Go module.

    Raises:
        ToolError: no Go, or the module cannot be downloaded.
    """
    variables = os.environ if environ is None else environ
    source = download(PROMETHEUS_OPERATOR, find_go(PROMETHEUS_OPERATOR.name, variables), variables)
    kinds = ("podmonitors", "prometheusrules", "servicemonitors")
    folder = source / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{kind}.yaml" for kind in kinds]
