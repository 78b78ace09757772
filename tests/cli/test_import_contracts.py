"""The direction of imports is kept, and the contracts notice when it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT = Path(sys.executable).with_name("lint-imports")


def lint(root: Path, source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--no-cache", "--no-logo", "--config", str(root / ".importlinter")],
        env={**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package, in a place where it may be broken."""
    shutil.copytree(
        root / "operator" / "mailegress",
        tmp_path / "mailegress",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def test_the_package_keeps_every_contract(root: Path) -> None:
    result = lint(root, root / "operator")
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("reconcile", "import boto3", "Only mailegress.aws imports the AWS SDK"),
        ("engine", "from botocore import config", "Only mailegress.aws imports the AWS SDK"),
        ("reconcile", "import dns.resolver", "Only mailegress.dns imports dnspython"),
        ("engine", "import kopf", "Only mailegress.kube imports kopf"),
        ("cli", "import kubernetes", "Only mailegress.kube imports kopf"),
        ("engine", "import prometheus_client", "Only mailegress.telemetry imports prometheus_client"),
        ("cli", "import prometheus_client", "Only mailegress.telemetry imports prometheus_client"),
        ("api", "from mailegress.reconcile import result", "cli > tools > engine > aws"),
        ("api", "from mailegress.telemetry import logs", "cli > tools > engine > aws"),
        ("reconcile", "from mailegress.aws import api", "cli > tools > engine > aws"),
        ("aws", "from mailegress.dns import query", "cli > tools > engine > aws"),
        ("kube", "from mailegress.engine import planted_target", "cli > tools > engine > aws"),
        ("model", "from mailegress.telemetry import logs", "cli > tools > engine > aws"),
        ("aio", "from mailegress.api import text", "cli > tools > engine > aws"),
        ("reconcile.rules", "import time", "Rules are pure"),
        ("reconcile.rules", "from mailegress.reconcile import executor", "Rules are pure"),
        ("engine", "from mailegress.cli import settings", "cli > tools > engine > aws"),
    ],
)
def test_a_planted_violation_is_caught(root: Path, copy: Path, module: str, line: str, contract: str) -> None:
    (copy / "mailegress" / "engine" / "planted_target.py").write_text("")
    (copy / "mailegress" / module.replace(".", "/") / "planted.py").write_text(line + "\n")
    result = lint(root, copy)
    assert result.returncode != 0
    broken = [text for text in result.stdout.splitlines() if text.startswith(contract) and " BROKEN" in text]
    assert broken, result.stdout
    assert f"mailegress.{module}.planted" in result.stdout


def test_a_new_package_must_take_its_place_in_the_layers(root: Path, copy: Path) -> None:
    (copy / "mailegress" / "extras").mkdir()
    (copy / "mailegress" / "extras" / "__init__.py").write_text("")
    result = lint(root, copy)
    assert result.returncode != 0
    assert "extras" in result.stdout
