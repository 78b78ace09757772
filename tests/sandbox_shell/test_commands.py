"""``make sandbox`` and ``make sandbox-exec`` as their user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import IO

import pytest

from sandbox.seed import INSTANCE_EIPS, NAT_EIPS
from tests.support.shell_commands import Commands


def test_the_command_gets_the_world_and_gives_its_status(commands: Commands) -> None:
    """All samples are Ready before CMD runs; kubectl, aws and dig agree; what it left in the background goes."""
    command = """
        kubectl get meg -o json &&
        echo --- && dig +short mta.example.com A &&
        echo --- && dig +short -x 203.0.113.30 &&
        echo --- && aws ec2 describe-addresses-attribute --attribute domain-name --output text \
            --query 'Addresses[].[PublicIp,PtrRecord]' &&
        (kubectl get meg --watch >/dev/null 2>&1 &) && exit 7
    """
    done = commands.run("exec", command, SANDBOX_SAMPLES="all")
    assert done.returncode == 7, done.stderr
    objects, forward, reverse, ptrs = done.stdout.split("---\n")
    ready = {
        item["metadata"]["name"]: condition["status"]
        for item in json.loads(objects)["items"]
        for condition in item["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert ready == dict.fromkeys(["instance", "nat-gateway", "observed", "several-eips", "tags"], "True")
    assert set(forward.split()) == set(NAT_EIPS.values())
    assert reverse == "smtp.example.com.\n"
    in_aws = dict(line.split() for line in ptrs.splitlines())
    assert {in_aws[ip] for ip in NAT_EIPS.values()} == {"mta.example.com."}
    assert {in_aws[ip] for ip in INSTANCE_EIPS.values()} == {"smtp.example.com."}
    commands.assert_nothing_left()


def test_sigterm_ends_the_command_and_the_sandbox(commands: Commands) -> None:
    process = commands.start("exec", "echo started; kubectl get meg --watch")
    _read_until(process.stdout, "started")
    process.send_signal(signal.SIGTERM)
    commands.end(process)
    assert process.returncode == 128 + signal.SIGTERM
    commands.assert_nothing_left()


def test_ctrl_c_ends_the_sandbox_without_a_trace(commands: Commands) -> None:
    """Ctrl-C reaches every process of the terminal's foreground group at once."""
    process = commands.start("up")
    text = _read_until(process.stdout, "Ctrl-C here ends the sandbox")
    assert f"export KUBECONFIG={commands.directory}" in text
    assert "kubectl apply -f deploy/samples/nat-gateway.yaml" in text
    assert any(each.startswith("process") for each in commands.left()), "the marker finds what runs"
    os.killpg(process.pid, signal.SIGINT)
    commands.end(process)
    assert process.returncode == 0
    commands.assert_nothing_left()


def test_sigterm_while_it_starts_leaves_no_trace(commands: Commands) -> None:
    process = commands.start("up")
    _read_until(process.stderr, "starting the control plane")
    process.send_signal(signal.SIGTERM)
    commands.end(process)
    assert process.returncode == 0
    commands.assert_nothing_left()


def test_the_end_of_the_operator_is_told_with_its_log(commands: Commands) -> None:
    process = commands.start("up")
    _read_until(process.stdout, "Ctrl-C here ends the sandbox")
    os.kill(commands.process("mailegress run"), signal.SIGKILL)
    _, errors = commands.end(process)
    assert process.returncode == 1
    assert "sandbox: the operator has ended" in errors
    assert "started version=" in errors
    commands.assert_nothing_left()


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["exec", " "], {}, "CMD is empty"),
        (["up"], {"SANDBOX_SCALE": "5"}, "SANDBOX_SCALE=5 is not a number from 0.01 to 1"),
        (["up"], {"SANDBOX_SCALE": "fast"}, "SANDBOX_SCALE=fast"),
        (
            ["up"],
            {"SANDBOX_SAMPLES": "nat"},
            "SANDBOX_SAMPLES names nat; there are: all, instance, nat-gateway",
        ),
        (["up"], {"SANDBOX_POLICY": "Strict"}, "SANDBOX_POLICY=Strict is not one of Off, Audit, Enforce"),
        (["up"], {"KUBEBUILDER_ASSETS": "/nowhere"}, "KUBEBUILDER_ASSETS names /nowhere"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    commands: Commands, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    done: subprocess.CompletedProcess[str] = commands.run(*arguments, **variables)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    commands.assert_nothing_left()


def _read_until(stream: IO[str] | None, text: str) -> str:
    """What the stream says up to the line with ``text``."""
    assert stream is not None
    seen = ""
    for line in stream:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} was never printed; seen:\n{seen}")
