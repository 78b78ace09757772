"""`kubectl mailegress`, run by kubectl as a user has it, against a real API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.stories.test_dns_gate import HOST
from tests.support.stories.story import Story

BIN = Path(sys.executable).parent


def environ(story: Story, kubeconfig: Path | None = None) -> dict[str, str]:
    found = story.plane.environ(kubeconfig)
    found["PATH"] = os.pathsep.join([found["PATH"], str(BIN)])
    return {**found, "COLUMNS": "200"}


def plugin(
    story: Story, *arguments: str, kubeconfig: Path | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """kubectl finds the program on PATH."""
    done = subprocess.run(
        ["kubectl", "mailegress", *arguments],
        env=environ(story, kubeconfig),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def status_of(story: Story, name: str) -> dict[str, Any]:
    shown = json.loads(plugin(story, "status", name, "-n", story.namespace, "-o", "json").stdout)
    [item] = shown["items"]
    found: dict[str, Any] = item
    return found


def user(story: Story, role: str | None) -> Path:
    """The kubeconfig of somebody to whom an administrator bound a ClusterRole of deploy/ in the namespace."""
    name = role or "nobody"
    story.plane.kubectl("create", "serviceaccount", name, "-n", story.namespace)
    if role is not None:
        story.plane.kubectl(
            "create", "rolebinding", name, f"--clusterrole={role}",
            f"--serviceaccount={story.namespace}:{name}", "-n", story.namespace,
        )  # fmt: skip
    return story.plane.service_account_kubeconfig(story.namespace, name)


def test_a_person_reads_suspends_and_resumes(story: Story) -> None:
    """Given a MailEgress, then its state is shown in one sentence with each address, its conditions and Events; it is
    suspended, resumed and reconciled by name, with the rights of the ClusterRoles that ship, and completed by name."""
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    meg.told("Normal", "Ready")
    viewer, editor = user(story, "mailegress-viewer"), user(story, "mailegress-editor")
    shown = plugin(story, "status", "outbound", kubeconfig=viewer).stdout
    assert shown.startswith(f"{story.namespace}/outbound is Ready for ")
    for text in (
        "agree for 1 address.\nTo do: Nothing. ",
        eip.public_ip,
        f"in zone example.com ({zone.id})",
        "Normal",
    ):
        assert text in shown, shown
    assert "\x1b" not in shown
    item = status_of(story, "outbound")
    assert (item["ready"], item["reason"], item["hostname"]) == ("True", "Ready", HOST)
    [address] = item["addresses"]
    assert (address["publicIP"], address["wanted"], address["aws"]) == (eip.public_ip, HOST, HOST)
    assert "Ready" in {e["reason"] for e in item["events"]}
    everything = plugin(story, "status", "-A").stdout
    assert f"{story.namespace}   outbound" in everything

    refused = plugin(story, "suspend", "outbound", kubeconfig=viewer, code=1).stderr
    assert "ClusterRole mailegress-editor" in refused
    assert "is suspended" in plugin(story, "suspend", "outbound", kubeconfig=editor).stdout
    meg.until(lambda: "suspended" in status_of(story, "outbound")["summary"], "the suspension to be shown")
    assert (
        "kubectl mailegress resume outbound" in plugin(story, "status", "outbound", kubeconfig=viewer).stdout
    )
    plugin(story, "resume", "outbound", kubeconfig=editor)
    meg.until(lambda: meg.get()["spec"].get("suspend") is False, "the suspension to end")
    plugin(story, "reconcile", "outbound", "-n", story.namespace)
    asked = meg.get()["metadata"]["annotations"]["mailegress.io/reconcile-requested-at"]
    meg.until(lambda: meg.status.get("lastHandledReconcileAt") == asked, "the request to be answered")

    completed = subprocess.run(
        [BIN / "kubectl_complete-mailegress", "status", "-n", story.namespace, "out"],
        env=environ(story), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert completed.stdout == "outbound\n:4\n"


def test_errors_name_the_remedy(bare_story: Story) -> None:
    """Given a name that does not exist, a person without rights, or no kubeconfig, then one line on standard error says
    what is wrong and what to do."""
    story = bare_story
    [eip] = story.eips()
    story.meg("outbound", HOST, [eip])
    missing = plugin(story, "status", "outbond", "-n", story.namespace, code=1).stderr
    assert missing == (
        f"kubectl mailegress: no MailEgress 'outbond' in namespace {story.namespace}; there is outbound\n"
    )
    assert "there is outbound" in plugin(story, "suspend", "outbuond", "-n", story.namespace, code=1).stderr
    assert "name another namespace with -n" in plugin(story, "status", "outbound", code=1).stderr
    nobody = user(story, None)
    for command in (["status"], ["status", "-A"], ["status", "outbound"]):
        refused = plugin(story, *command, kubeconfig=nobody, code=1).stderr
        assert "ClusterRole mailegress-viewer" in refused
    absent = plugin(story, "status", "--kubeconfig", "/nowhere/config", code=1).stderr
    assert "--kubeconfig" in absent
    assert "the context" in plugin(story, "status", "--context", "elsewhere", code=1).stderr.replace(
        "has no context", "the context"
    )
    assert "-A" in plugin(story, "status", "outbound", "-A", code=2).stderr


def test_a_change_is_shown_while_it_happens(bare_story: Story) -> None:
    """Given `status --watch`, when the object becomes Ready, then each state is printed once until it is ended."""
    story = bare_story
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip])
    process = subprocess.Popen(
        [BIN / "kubectl-mailegress", "status", "outbound", "-n", story.namespace, "--watch", "-o", "json"],
        env=environ(story),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        story.start_operator()
        meg.wait()
        assert process.stdout is not None
        seen: list[str] = []
        for line in process.stdout:
            if line.startswith('      "ready": '):
                seen.append(line.split('"')[3])
                if seen[-1] == "True":
                    break
        assert seen[0] == "Unknown"
        process.send_signal(signal.SIGINT)
        # Its output is read to the end, so that it does not wait for a reader.
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
