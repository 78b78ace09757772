"""The chart as helm renders it, and the kustomizations as kustomize builds them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.tools import tool

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "mailegress"

Objects = list[dict[str, Any]]
Values = Mapping[str, Any]


@pytest.fixture(scope="session")
def helm_template() -> Callable[[Values], subprocess.CompletedProcess[str]]:
    """`helm template` with the given values, over those of the chart."""
    path = tool("helm")

    def run(values: Values) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(path), "template", "mailegress", str(CHART), "-n", "mailegress-system", "--values", "-"],
            input=json.dumps(dict(values)),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def render(
    helm_template: Callable[[Values], subprocess.CompletedProcess[str]],
) -> Callable[[Values], Objects]:
    """The objects that the chart makes of values."""

    def run(values: Values) -> Objects:
        done = helm_template(values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


@pytest.fixture(scope="session")
def refusal(helm_template: Callable[[Values], subprocess.CompletedProcess[str]]) -> Callable[[Values], str]:
    """What helm says when it refuses values."""

    def run(values: Values) -> str:
        done = helm_template(values)
        assert done.returncode != 0, f"{values} was accepted"
        return done.stderr

    return run


@pytest.fixture(scope="session")
def build() -> Callable[[str], Objects]:
    """The objects of an overlay."""
    path = tool("kustomize")

    def run(overlay: str) -> Objects:
        done = subprocess.run(
            [str(path), "build", str(ROOT / "deploy" / "overlays" / overlay)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run
