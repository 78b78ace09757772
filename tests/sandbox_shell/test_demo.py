"""``make demo``: the story it shows, the figures it leaves, and how it fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sandbox.demo import DemoError, Result, Transition, fail, manifest_text, transitions
from tests.support.shell_commands import Commands


def test_the_demo_shows_the_way_from_unknown_to_ready_to_gone(commands: Commands, tmp_path: Path) -> None:
    target = tmp_path / "demo.json"
    done = commands.run("demo", "--json", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"DEMO OK ready_s=\d+(\.\d+)? world_diff=0", done.stdout.splitlines()[-1])
    assert "\x1b" not in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  nat-gateway")]
    assert "Unknown" in rows[0]
    assert "Ready" in [word for row in rows for word in row]
    figures = json.loads(target.read_text())
    assert sorted(figures) == ["ready_s", "transitions", "world_diff"]
    assert done.stdout.endswith(f"ready_s={figures['ready_s']:g} world_diff=0\n")
    assert figures["transitions"][0]["status"] == "Unknown"
    assert [t["at_s"] for t in figures["transitions"] if t["status"] == "True"] == [figures["ready_s"]]
    assert figures["transitions"][-1]["reason"] == "Deleting"
    commands.assert_nothing_left()


def test_the_demo_of_external_dns_leaves_no_record_and_no_ptr(commands: Commands) -> None:
    done = commands.run("demo-external-dns")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "DEMO OK"
    assert '"dnsName":"mta.example.net"' in done.stdout
    commands.assert_nothing_left()


def test_a_failed_demo_says_why_and_leaves_no_figures(commands: Commands, tmp_path: Path) -> None:
    target = tmp_path / "demo.json"
    target.write_text("{}")
    done = commands.run("demo", "--json", str(target), KUBEBUILDER_ASSETS="/nowhere")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("DEMO FAILED: KUBEBUILDER_ASSETS names /nowhere")
    assert "DEMO OK" not in done.stdout
    assert not target.exists()


def test_a_failure_ends_with_one_clear_line_after_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(DemoError("waited 60 s in vain"), "first line\nlast line") == 1
    assert capsys.readouterr().err.strip().splitlines() == [
        "The end of the operator's log:",
        "first line",
        "last line",
        "",
        "DEMO FAILED: waited 60 s in vain",
    ]


def test_only_a_change_of_status_or_reason_is_a_transition() -> None:
    lines = [
        (0.04, "||"),
        (0.1, "Unknown|Pending|Waiting."),
        (0.2, "False|ChangePending|Writing a|b."),
        (0.3, "False|ChangePending|Still writing."),
        (1.26, "True|Ready|Both agree."),
    ]
    assert transitions(lines) == (
        Transition(0.1, "Unknown", "Pending", "Waiting."),
        Transition(0.2, "False", "ChangePending", "Writing a|b."),
        Transition(1.3, "True", "Ready", "Both agree."),
    )


def test_the_figures_are_written_as_promised(tmp_path: Path) -> None:
    result = Result(12.0, 0, (Transition(12.0, "True", "Ready", "Both agree."),))
    result.write(tmp_path / "build" / "demo.json")
    assert json.loads((tmp_path / "build" / "demo.json").read_text()) == {
        "ready_s": 12.0,
        "world_diff": 0,
        "transitions": [{"at_s": 12.0, "status": "True", "reason": "Ready", "message": "Both agree."}],
    }
    assert result.last_line() == "DEMO OK ready_s=12 world_diff=0"


def test_a_manifest_is_shown_without_its_comments(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# why\nkind: A\n  # more\nspec: {}\n")
    assert manifest_text(tmp_path / "a.yaml") == "  kind: A\n  spec: {}"
