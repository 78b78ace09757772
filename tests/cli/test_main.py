"""From the command line to the operator and back to the exit code."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from mailegress.cli.main import app
from mailegress.cli.settings import Settings

pytestmark = pytest.mark.usefixtures("restored_logging")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stands where the operator is started, and collects what it was started with; exit code 7."""
    seen: list[Settings] = []

    def run_operator(settings: Settings) -> int:
        seen.append(settings)
        return 7

    module = types.ModuleType("mailegress.cli.run")
    vars(module)["run_operator"] = run_operator
    monkeypatch.setitem(sys.modules, "mailegress.cli.run", module)
    return seen


def test_run_starts_the_operator_with_the_settings_and_returns_its_code(given: list[Settings]) -> None:
    result = CliRunner().invoke(
        app,
        ["run", "--resync-seconds", "30", "--dns-resolvers", "off"],
        env={"AWS_REGION": "eu-west-1", "MAILEGRESS_RESYNC_SECONDS": "60", "MAILEGRESS_WORKERS": "4"},
    )
    assert result.exit_code == 7
    (settings,) = given
    assert (settings.regions, settings.resync_seconds, settings.workers) == (("eu-west-1",), 30.0, 4)
    assert settings.dns_resolvers == ()


def test_a_wrong_setting_starts_nothing(given: list[Settings]) -> None:
    result = CliRunner().invoke(app, ["run", "--workers", "0"], env={"AWS_REGION": "eu-west-1"})
    assert result.exit_code == 2
    assert given == []


def test_an_unknown_flag_is_refused_with_2(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = command("run", "--resync", "5", env={"AWS_REGION": "eu-west-1"})
    assert result.returncode == 2
    assert "--resync" in result.stderr


def test_version_needs_no_sdk() -> None:
    """It is what a user tries first: importing boto3 and kopf takes a second."""
    code = (
        "import sys; from mailegress.cli.main import app; app(['version'], standalone_mode=False);"
        "print(sorted({'boto3', 'botocore', 'kopf', 'dns', 'aiohttp'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
