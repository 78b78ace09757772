"""The commands of docs/how-to/tenancy.md that set the operator up, run with helm and kubectl on a real API server.

Those of its sessions print what the page shows in ``tests/sandbox_shell/test_tenancy_page.py``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.tools import tool
from tests.deploy_tools.test_helm_install import CHART, CRDS, NAMESPACE, ROOT, get, is_gone, no_crd

PAGE = (ROOT / "docs/how-to/tenancy.md").read_text()
SESSION = re.compile(r"<!-- session: \w+ -->\n.*?<!-- end of session -->", re.DOTALL)
SET_UP = SESSION.sub("", PAGE)
PUBLISHED = "oci://ghcr.io/mailegress/charts/mailegress"
"""The page's chart; here it is the one of this repository."""
TEAM = ("--as=jane", "--as-group=team-a")


def blocks(language: str) -> list[str]:
    """The blocks of code of the page outside of its sessions."""
    return re.findall(rf"^```{language}\n(.*?)^```$", SET_UP, re.MULTILINE | re.DOTALL)


class Shell:
    """Runs the page's commands in a directory that has its files and the repository's ``deploy``."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self.plane = plane
        self._directory = directory
        home, environ = plane.directory / "helm-page", plane.environ()
        self._environ = environ | {
            "PATH": f"{tool('helm').parent}{os.pathsep}{environ['PATH']}",
            **{f"HELM_{name}_HOME": str(home) for name in ("CACHE", "CONFIG", "DATA")},
        }
        (directory / "deploy").symlink_to(ROOT / "deploy")
        for name, text in re.findall(
            r"^```yaml\n# ([\w-]+\.yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
        ):
            (directory / name).write_text(text)

    def run(self, command: str, *, check: bool = True) -> str:
        done = subprocess.run(
            ["sh", "-ec", command.replace(PUBLISHED, str(CHART))],
            cwd=self._directory,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def may(self, *what: str) -> bool:
        return self.plane.kubectl("auth", "can-i", *what, check=False).stdout.strip() == "yes"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with find_or_build() as plane:
        found = Shell(plane, tmp_path)
        found.run(
            f"helm install mailegress {CHART} -n {NAMESPACE} --create-namespace --set aws.region=eu-west-1"
        )
        plane.kubectl("create", "namespace", "team-a")
        try:
            yield found
        finally:
            found.run("kubectl delete -f deploy/admission/ --ignore-not-found", check=False)
            found.run("helm uninstall mailegress-team-a -n mailegress-team-a --ignore-not-found", check=False)
            found.run(f"helm uninstall mailegress -n {NAMESPACE} --ignore-not-found", check=False)
            plane.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--wait=false")
            plane.kubectl("delete", "namespace", "team-a", "--wait=false")
            plane.wait_until(lambda: no_crd(plane), 120, "the CRDs to be gone")


def mode(plane: ControlPlane, namespace: str, name: str) -> str:
    """``--policy`` of an operator that the chart installed."""
    [container] = get(plane, "-n", namespace, "deployment", name)["spec"]["template"]["spec"]["containers"]
    found = {e["name"]: e.get("value", "") for e in container.get("env", ())}
    return found.get("MAILEGRESS_POLICY", "Off")


def test_the_commands_set_up_what_the_page_says(shell: Shell) -> None:
    plane = shell.plane
    operator = f"--as=system:serviceaccount:{NAMESPACE}:mailegress"
    bind, audit, enforce, admission, own_operator = blocks("sh")

    assert not shell.may("create", "mailegresses.mailegress.io", "-n", "team-a", *TEAM)
    shell.run(bind)
    assert shell.may("create", "mailegresses.mailegress.io", "-n", "team-a", *TEAM)
    assert not shell.may("create", "mailegresses.mailegress.io", "-n", "default", *TEAM)
    assert not shell.may("create", "mailegresspolicies.mailegress.io", *TEAM)

    shell.run("kubectl apply -f policy-team-a.yaml")
    for text in blocks("yaml"):
        if "kind" in yaml.safe_load(text):
            plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)

    assert mode(plane, NAMESPACE, "mailegress") == "Off"
    assert not shell.may("list", "mailegresspolicies.mailegress.io", operator)
    for command, name in ((audit, "Audit"), (enforce, "Enforce")):
        shell.run(command)
        assert mode(plane, NAMESPACE, "mailegress") == name
        assert shell.may("list", "mailegresspolicies.mailegress.io", operator)
        assert shell.may("list", "namespaces", operator)

    shell.run(admission)
    bindings = get(plane, "validatingadmissionpolicybindings")["items"]
    assert len([b for b in bindings if "mailegress" in b["metadata"]["name"]]) == 2

    shell.run(own_operator)
    assert get(plane, "-n", "mailegress-team-a", "deployment", "mailegress-team-a")
    for name in CRDS:
        owner = get(plane, "crd", name)["metadata"]["annotations"]["meta.helm.sh/release-name"]
        assert owner == "mailegress", "the CRDs belong to the first installation"
    shell.run("helm uninstall mailegress-team-a -n mailegress-team-a")
    assert not is_gone(plane, "crd", CRDS[0])
    assert shell.may("create", "mailegresses.mailegress.io", "-n", "team-a", *TEAM)


def test_each_command_of_the_page_is_run_by_a_test() -> None:
    """In the order of the test above; what is in a session is run by the other one."""
    starts = [block.split()[:2] for block in blocks("sh")]
    assert starts == [
        ["kubectl", "create"],
        ["helm", "upgrade"],
        ["helm", "upgrade"],
        ["kubectl", "apply"],
        ["helm", "install"],
    ]
