"""The commands for people as they are installed: what it starts, and what it says of wrong usage."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("arguments", [[], ["--resync-seconds", "45"]])
def test_the_former_meaning_is_refused_with_the_new_name(command: Command, arguments: list[str]) -> None:
    """`mailegress check` validated the operator's settings once."""
    result = command("check", *arguments, env={"AWS_REGION": "eu-west-1"})
    assert result.returncode == 2
    assert "`mailegress check-config`" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mta.example.com."], "give mta.example.com"),
        (["203.0.113.0/24"], "range"),
        (["-o", "yaml", "mta.example.com"], "text or json"),
        (["--resolvers", "one.example.com", "mta.example.com"], "--resolvers"),
        (["--sender-domain", "me@example.com", "mta.example.com"], "what follows the @"),
        (["--sender-domain", "example.com.", "mta.example.com"], "without a trailing dot"),
        (
            ["--sender-domain", "example.com", "--resolvers", "off", "mta.example.com"],
            "needs public resolvers",
        ),
        (["--roots", "192.0.2.1:0", "mta.example.com"], "--roots"),
        (["--timeout-seconds", "0", "mta.example.com"], "--timeout-seconds"),
    ],
)
def test_wrong_usage_says_what_to_give(command: Command, arguments: list[str], says: str) -> None:
    result = command("check", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("mailegress check: ")
    assert says in result.stderr


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("mailegress", ["--help"]),
        ("mailegress", ["check", "--help"]),
        ("kubectl-mailegress", ["--help"]),
        ("kubectl-mailegress", ["status", "--help"]),
        ("kubectl-mailegress", ["probe", "--help"]),
    ],
)
def test_help_comes_at_once(program: str, arguments: list[str]) -> None:
    """It takes less than half a second of processor time; on a slow machine, five times what typer's import takes.

    The fastest of five runs counts.
    """
    times, floors = [], []
    for _ in range(5):
        floors.append(_seconds([sys.executable, "-c", "import typer"])[0])
        seconds, text = _seconds([str(BIN / program), *arguments])
        times.append(seconds)
        assert "Usage" in text
    assert min(times) < max(0.5, 5 * min(floors)), (times, floors)


def test_what_the_pod_of_a_probe_runs_writes_its_report_to_a_file(command: Command, tmp_path: Path) -> None:
    """To an address that the kernel refuses to connect to; its exit code is 0 whatever it finds."""
    report = tmp_path / "report"
    told = ("smtp-probe", "255.255.255.255", "--helo", "mta.example.com")
    result = command(*told, "--report", str(report))
    assert (result.returncode, result.stdout) == (0, "")
    assert json.loads(report.read_text())["connection"] == "unreachable"
    result = command(*told)
    assert json.loads(result.stdout) == json.loads(report.read_text())
    result = command(*told, "--timeout-seconds", "0")
    assert (result.returncode, result.stdout) == (2, "")
    assert "from 1 to 120" in result.stderr
    assert "smtp-probe" not in command("--help").stdout, "it is not for people"


def _seconds(arguments: list[str]) -> tuple[float, str]:
    """The processor time of a process, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import mailegress.cli.main", {"boto3", "botocore", "kopf", "aiohttp", "dns"}),
        ("import mailegress.tools.check.command", {"boto3", "botocore", "kopf", "aiohttp", "kubernetes"}),
        ("import mailegress.tools.plugin.main", {"boto3", "botocore", "kopf", "aiohttp", "dns", "rich"}),
        ("import mailegress.tools.plugin.status", {"boto3", "botocore", "kopf", "dns", "rich"}),
        ("import mailegress.tools.plugin.probe", {"boto3", "botocore", "kopf", "dns", "rich"}),
        ("import mailegress.tools.probe.command", {"boto3", "botocore", "kopf", "kubernetes", "rich"}),
    ],
)
def test_what_is_not_asked_is_not_imported(code: str, unwanted: set[str]) -> None:
    """Neither AWS nor a cluster is needed for a check."""
    program = f"import sys; {code}; print(sorted({unwanted!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
