"""Fixtures of the deployment stories."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import find_or_build

ROOT = Path(__file__).resolve().parents[2]

Objects = list[dict[str, Any]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def build() -> Callable[[Path], Objects]:
    """Build a kustomization with a kubectl, which carries the kustomize that users apply with."""
    kubectl = find_or_build().kubectl_path

    def run(directory: Path) -> Objects:
        done = subprocess.run(
            [str(kubectl), "kustomize", str(directory)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


@pytest.fixture(scope="session")
def everything(build: Callable[[Path], Objects]) -> Objects:
    """What ``kubectl apply -k deploy/`` applies."""
    return build(ROOT / "deploy")
