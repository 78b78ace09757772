"""A typo in the values is refused, with the name of what is wrong, before anything is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "mailegress"

FREE = {
    "commonLabels",
    "podAnnotations",
    "podLabels",
    "deploymentAnnotations",
    "nodeSelector",
    "podSecurityContext",
    "securityContext",
    "serviceAccount.annotations",
    "metrics.service.annotations",
    "metrics.serviceMonitor.labels",
    "metrics.podMonitor.labels",
    "prometheusRule.labels",
    "dashboard.labels",
    "dashboard.annotations",
    "resources.requests",
    "resources.limits",
}
"""Maps whose keys are the user's or the API's own."""


def maps(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every map of the values whose keys are the chart's."""
    if ".".join(path) not in FREE:
        yield path
        for name, value in values.items():
            if isinstance(value, dict):
                yield from maps(value, (*path, name))


def typo(path: tuple[str, ...]) -> dict[str, Any]:
    wrong: dict[str, Any] = {"enabeld": True}
    for name in reversed(path):
        wrong = {name: wrong}
    return wrong


PATHS = sorted(maps(yaml.safe_load((CHART / "values.yaml").read_text())))


@pytest.mark.parametrize("path", PATHS, ids=[".".join(path) or "top" for path in PATHS])
def test_an_unknown_name_is_refused_everywhere(
    refusal: Callable[[Mapping[str, Any]], str], path: tuple[str, ...]
) -> None:
    assert "enabeld" in refusal(typo(path))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicaCount": "2"}, "/replicaCount"),
        ({"replicaCount": -1}, "/replicaCount"),
        ({"settings": {"resyncSecond": 5}}, "resyncSecond"),
        ({"settings": {"resyncSeconds": "10m"}}, "/settings/resyncSeconds"),
        ({"settings": {"resyncSeconds": -5}}, "/settings/resyncSeconds"),
        ({"settings": {"workers": 1.5}}, "/settings/workers"),
        ({"settings": {"logLevel": "verbose"}}, "/settings/logLevel"),
        ({"settings": {"leaderElect": "yes"}}, "/settings/leaderElect"),
        # YAML's bare off is false, and would have become "off" only by luck.
        ({"settings": {"dnsResolvers": False}}, "/settings/dnsResolvers"),
        ({"settings": {"regions": [1]}}, "/settings/regions/0"),
        ({"settings": {"httpAddress": "0.0.0.0"}}, "/settings/httpAddress"),
        ({"settings": {"httpAddress": "0.0.0.0:0"}}, "fixed port"),
        ({"settings": {"shutdownSeconds": 15}}, "terminationGracePeriodSeconds"),
        ({"aws": {"region": "Frankfurt"}}, "/aws/region"),
        ({"aws": {"roleArn": "mailegress-operator"}}, "/aws/roleArn"),
        ({"image": {"digest": "0123"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"extraEnv": [{"nam": "X"}]}, "/extraEnv/0"),
        ({"extraEnv": {"X": "y"}}, "/extraEnv"),
        ({"commonLabels": {"a": 1}}, "/commonLabels/a"),
        ({"updateStrategy": {"type": "Rolling"}}, "/updateStrategy/type"),
        ({"networkPolicy": {"apiServerPorts": [70000]}}, "/networkPolicy/apiServerPorts/0"),
        ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "/metrics/serviceMonitor/interval"),
        ({"livenessProbe": {"httpGet": {"path": "/"}}}, "httpGet"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_name(
    refusal: Callable[[Mapping[str, Any]], str], values: Mapping[str, Any], named: str
) -> None:
    said = refusal(values)
    assert named.strip("/").replace("/", ".") in said or named in said
