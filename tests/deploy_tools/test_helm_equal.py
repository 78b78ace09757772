"""Chart and kustomization install the same: what differs is only labels, names' origin and the namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

Objects = list[dict[str, Any]]
Render = Callable[[Mapping[str, Any]], Objects]

CI = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "mailegress" / "ci"


def values_of(overlay: str) -> dict[str, Any]:
    """The chart's values that stand for an overlay."""
    loaded = yaml.safe_load((CI / f"{overlay}-values.yaml").read_text())
    # The base has a region to replace; the chart leaves it to EKS until one is named.
    return {"aws": {"region": "us-east-1"}} | loaded if overlay == "default" else dict(loaded)


def by_kind(objects: Objects) -> dict[tuple[str, str], dict[str, Any]]:
    """Without the namespace, which helm creates, and without the Secret, which the chart leaves to others."""
    return {
        (each["kind"], each["metadata"]["name"]): each
        for each in objects
        if each["kind"] not in {"Namespace", "Secret"}
    }


def env(container: Mapping[str, Any]) -> dict[str, Any]:
    """Variables by name; a Secret's name is not compared, as kustomize puts a hash into it."""
    found = {each["name"]: {k: v for k, v in each.items() if k != "name"} for each in container["env"]}
    for each in found.values():
        each.get("valueFrom", {}).get("secretKeyRef", {}).pop("name", None)
    assert len(found) == len(container["env"])
    return found


@pytest.mark.parametrize("overlay", ["default", "irsa", "cross-account", "policy"])
class TestEqual:
    @pytest.fixture
    def chart(self, render: Render, overlay: str) -> dict[tuple[str, str], dict[str, Any]]:
        return by_kind(render(values_of(overlay)))

    @pytest.fixture
    def kustomized(
        self, build: Callable[[str], Objects], overlay: str
    ) -> dict[tuple[str, str], dict[str, Any]]:
        return by_kind(build(overlay))

    def test_the_same_objects_in_the_same_namespace(self, chart: Any, kustomized: Any) -> None:
        assert chart.keys() == kustomized.keys()
        places = [
            {k: v["metadata"].get("namespace") for k, v in each.items()} for each in (chart, kustomized)
        ]
        assert places[0] == places[1]

    def test_the_same_rights_for_the_same_subjects(self, chart: Any, kustomized: Any, overlay: str) -> None:
        compared = 0
        for key, each in chart.items():
            for part in ("rules", "roleRef", "subjects", "aggregationRule"):
                assert each.get(part) == kustomized[key].get(part), key
                compared += part in each
            if key[0] == "ClusterRole":
                marks = [
                    {k: v for k, v in one["metadata"]["labels"].items() if "aggregate" in k}
                    for one in (each, kustomized[key])
                ]
                assert marks[0] == marks[1], key
        assert compared == (12 if overlay == "policy" else 9)

    def test_the_same_pod(self, chart: Any, kustomized: Any) -> None:
        ours, theirs = (each["Deployment", "mailegress"]["spec"] for each in (chart, kustomized))
        for part in ("replicas", "strategy", "revisionHistoryLimit"):
            assert ours[part] == theirs[part], part
        pods = [each["template"]["spec"] for each in (ours, theirs)]
        (mine,), (base,) = (pod.pop("containers") for pod in pods)
        assert pods[0] == pods[1]
        assert env(mine) == env(base)
        mine.pop("env")
        base.pop("env")
        # args, image, ports, probes, resources, security context, mounts.
        assert mine == base
        notes = [each["template"]["metadata"]["annotations"] for each in (ours, theirs)]
        assert notes[0] == notes[1]

    def test_the_same_service_account(self, chart: Any, kustomized: Any) -> None:
        ours, theirs = (each["ServiceAccount", "mailegress"] for each in (chart, kustomized))
        assert ours["automountServiceAccountToken"] is theirs["automountServiceAccountToken"] is False
        assert ours["metadata"].get("annotations") == theirs["metadata"].get("annotations")

    @pytest.mark.parametrize("plural", ["mailegresses", "mailegresspolicies"])
    def test_the_same_crds(self, chart: Any, kustomized: Any, plural: str) -> None:
        key = ("CustomResourceDefinition", f"{plural}.mailegress.io")
        assert chart[key]["spec"] == kustomized[key]["spec"]
