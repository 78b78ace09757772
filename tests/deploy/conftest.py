"""Fixtures of the deployment stories."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

Objects = list[dict[str, Any]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def build() -> Callable[[Path], Objects]:
    """Build a kustomization with the kubectl in PATH; without one there is no proof, so that is an error."""
    kubectl = shutil.which("kubectl")
    assert kubectl is not None, (
        "kubectl is not in PATH: install it, it carries the kustomize that users apply with"
    )

    def run(directory: Path) -> Objects:
        done = subprocess.run(
            [kubectl, "kustomize", str(directory)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


@pytest.fixture(scope="session")
def everything(build: Callable[[Path], Objects]) -> Objects:
    """What ``kubectl apply -k deploy/`` applies."""
    return build(ROOT / "deploy")
