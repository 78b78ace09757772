"""A release on a real API server: installed, upgraded, rolled back, uninstalled, and installed again.

There is no node, so that no pod starts; what is proved is what Helm and the API server make of the chart.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.tools import tool

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "mailegress"
NAMESPACE = "mailegress-system"
CRD = "mailegresses.mailegress.io"
CRDS = (CRD, "mailegresspolicies.mailegress.io")

Helm = Callable[..., str]


def _nudged(plane: ControlPlane) -> bool:
    """False. A CRD deleted while its storage is being set up can be forgotten by the API server until it changes."""
    plane.kubectl("annotate", "crd", *CRDS, f"nudge={time.monotonic_ns()}", "--overwrite", check=False)
    return False


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with find_or_build() as plane:
        yield plane


@pytest.fixture
def helm(plane: ControlPlane) -> Iterator[Helm]:
    """helm against that API server; what it installed is gone afterwards, the CRDs too."""
    path = tool("helm")
    home = plane.directory / "helm"
    environ = plane.environ() | {f"HELM_{name}_HOME": str(home) for name in ("CACHE", "CONFIG", "DATA")}

    def run(*args: str, check: bool = True) -> str:
        done = subprocess.run(
            [str(path), "--namespace", NAMESPACE, *args],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    yield run
    run("uninstall", "mailegress", "--ignore-not-found")
    plane.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--wait=false")
    plane.wait_until(lambda: no_crd(plane) or _nudged(plane), 120, "the CRDs to be gone")


def is_gone(plane: ControlPlane, *what: str) -> bool:
    return "not found" in plane.kubectl("get", *what, check=False).stderr


def no_crd(plane: ControlPlane) -> bool:
    return all(is_gone(plane, "crd", name) for name in CRDS)


def get(plane: ControlPlane, *what: str) -> dict[str, Any]:
    return dict(json.loads(plane.kubectl("get", *what, "-o", "json").stdout))


def apply_one(plane: ControlPlane) -> None:
    """A MailEgress, as soon as the API server knows the kind."""
    one = {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": "outbound", "namespace": "default"},
        "spec": {"hostname": "mta.example.com", "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0"}]},
    }
    plane.wait_until(
        lambda: plane.kubectl("apply", "-f", "-", stdin=json.dumps(one), check=False).returncode == 0,
        30,
        "a MailEgress to be taken",
    )


def test_a_release_lives_and_leaves_the_mailegresses_behind(plane: ControlPlane, helm: Helm) -> None:
    chart = str(CHART)
    helm("install", "mailegress", chart, "--create-namespace", "--set", "aws.region=eu-west-1")
    apply_one(plane)
    uid = get(plane, "mailegress", "outbound")["metadata"]["uid"]

    helm("upgrade", "mailegress", chart, "--reuse-values", "--set", "replicaCount=2")
    assert get(plane, "-n", NAMESPACE, "deployment", "mailegress")["spec"]["replicas"] == 2
    assert get(plane, "-n", NAMESPACE, "pdb", "mailegress")

    helm("rollback", "mailegress", "1")
    spec = get(plane, "-n", NAMESPACE, "deployment", "mailegress")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert is_gone(plane, "-n", NAMESPACE, "pdb", "mailegress")

    helm("uninstall", "mailegress")
    left = get(plane, "-n", NAMESPACE, "deployments,serviceaccounts,roles,rolebindings")["items"]
    assert [o["metadata"]["name"] for o in left if "mailegress" in o["metadata"]["name"]] == []
    assert get(plane, "mailegress", "outbound")["metadata"]["uid"] == uid

    helm("install", "mailegress", chart)
    assert get(plane, "mailegress", "outbound")["metadata"]["uid"] == uid


def test_replicas_come_and_go_under_server_side_apply(
    plane: ControlPlane, render: Callable[[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    """As Flux, Argo CD and Helm 4 apply it."""
    for replicas, strategy in ((1, "Recreate"), (2, "RollingUpdate"), (1, "Recreate")):
        (wanted,) = [o for o in render({"replicaCount": replicas}) if o["kind"] == "Deployment"]
        wanted["metadata"]["namespace"] = "default"
        plane.apply_text(json.dumps(wanted), server_side=True)
        spec = get(plane, "deployment", "mailegress")["spec"]
        assert (spec["replicas"], spec["strategy"]["type"]) == (replicas, strategy)
    plane.kubectl("delete", "deployment", "mailegress")


def test_an_upgrade_brings_the_crd_up_to_date(plane: ControlPlane, helm: Helm, tmp_path: Path) -> None:
    older = tmp_path / "mailegress"
    shutil.copytree(CHART, older)
    template = older / "templates" / "crd.yaml"
    template.write_text(template.read_text().replace("    shortNames: [meg]\n", ""))
    helm("install", "mailegress", str(older), "--create-namespace")
    assert "shortNames" not in get(plane, "crd", CRD)["spec"]["names"]
    helm("upgrade", "mailegress", str(CHART))
    assert get(plane, "crd", CRD)["spec"]["names"]["shortNames"] == ["meg"]


def test_a_crd_that_kubectl_applied_is_handed_over_as_the_readme_says(
    plane: ControlPlane, helm: Helm
) -> None:
    plane.install_crds(ROOT / "crds")
    apply_one(plane)
    refused = helm("install", "mailegress", str(CHART), "--create-namespace", check=False)
    assert "cannot be imported into the current release" in refused
    readme = (CHART / "README.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^kubectl ((?:annotate|label) crd .*)$", readme, re.M)
    assert len(commands) == 2
    assert all(name in command for name in CRDS for command in commands)
    for command in commands:
        plane.kubectl(*command.split())
    helm("install", "mailegress", str(CHART), "--create-namespace")
    assert get(plane, "mailegress", "outbound")


def test_with_crds_of_others_the_release_owns_none(plane: ControlPlane, helm: Helm) -> None:
    plane.install_crds(ROOT / "crds")
    helm("install", "mailegress", str(CHART), "--create-namespace", "--set", "crds.install=false")
    assert not [name for name in CRDS if "annotations" in get(plane, "crd", name)["metadata"]]


def test_without_keep_the_crds_go_with_the_release(plane: ControlPlane, helm: Helm) -> None:
    helm("install", "mailegress", str(CHART), "--create-namespace", "--set", "crds.keep=false")
    helm("uninstall", "mailegress")
    plane.wait_until(lambda: no_crd(plane), 60, "the CRDs to be gone")


def test_the_rights_of_the_service_account_are_the_operators(plane: ControlPlane, helm: Helm) -> None:
    helm("install", "mailegress", str(CHART), "--create-namespace")

    def may(verb: str, what: str, *where: str) -> bool:
        account = f"--as=system:serviceaccount:{NAMESPACE}:mailegress"
        return (
            plane.kubectl("auth", "can-i", verb, what, *where, account, check=False).stdout.strip() == "yes"
        )

    assert may("list", "mailegresses.mailegress.io", "--all-namespaces")
    assert may("update", "mailegresses.mailegress.io", "--subresource=status", "-n", "default")
    assert may("get", "namespaces/kube-system")
    assert may("update", "leases.coordination.k8s.io/mailegress", "-n", NAMESPACE)
    assert not may("update", "leases.coordination.k8s.io/mailegress", "-n", "default")
    assert not may("delete", "mailegresses.mailegress.io", "-n", "default")
    assert not may("get", "secrets", "-n", NAMESPACE)


def test_the_notes_say_what_to_do_next(plane: ControlPlane, helm: Helm) -> None:
    notes = helm("install", "mailegress", str(CHART), "--create-namespace")
    assert "No region is set" in notes
    assert f"kubectl --namespace {NAMESPACE} rollout status deployment/mailegress" in notes
    assert "2. Give service account mailegress-system/mailegress an IAM role" in notes
    assert "3. Apply a MailEgress" in notes
    (example,) = re.findall(r"<<EOF\n(.*?)\n +EOF", notes, re.S)
    taken = plane.kubectl("create", "--dry-run=client", "-f", "-", stdin=example)
    assert "mailegress.mailegress.io/outbound created" in taken.stdout
    role = ["--set", "aws.region=eu-west-1,aws.roleArn=arn:aws:iam::777788889999:role/x"]
    notes = helm("upgrade", "mailegress", str(CHART), *role)
    assert "No region is set" not in notes
    assert "IAM role" not in notes
    assert "2. Apply a MailEgress" in notes


def test_a_cluster_that_is_too_old_is_refused() -> None:
    done = subprocess.run(
        [str(tool("helm")), "template", "mailegress", str(CHART), "--kube-version", "1.30.9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "requires kubeVersion: >=1.31.0-0" in done.stderr


def test_the_examples_of_the_readme_are_accepted(
    helm_template: Callable[[dict[str, Any]], subprocess.CompletedProcess[str]],
) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.S)
    assert len(examples) == 2
    for example in examples:
        done = helm_template(yaml.safe_load(example))
        assert done.returncode == 0, done.stderr
