"""Given a control plane that runs: it behaves as a cluster's does, for whoever may do what."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from sandbox.controlplane import ControlPlaneError, KubectlError
from sandbox.controlplane.local import LocalControlPlane

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.sandbox.example}
spec:
  group: sandbox.example
  scope: Namespaced
  names: {kind: Widget, singular: widget, plural: widgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, description: What it should be., properties: {size: {type: integer}}}
"""


def exists(plane: LocalControlPlane, *what: str) -> bool:
    return plane.kubectl("get", *what, "--ignore-not-found", "-o", "name").stdout.strip() != ""


def test_server_and_kubectl_are_the_pinned_release(plane: LocalControlPlane) -> None:
    told = json.loads(plane.kubectl("version", "-o", "json").stdout)
    assert told["serverVersion"]["gitVersion"] == plane.version
    assert (
        told["clientVersion"]["minor"].rstrip("+")
        == told["serverVersion"]["minor"]
        == plane.version.split(".")[1]
    )


def test_the_administrators_kubeconfig_is_for_this_user_only_and_says_where_the_server_is(
    plane: LocalControlPlane,
) -> None:
    assert stat.S_IMODE(plane.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(plane.directory.stat().st_mode) == 0o700
    assert plane.server.startswith("https://127.0.0.1:")


def test_a_shell_in_its_environment_sees_this_cluster_and_leaves_the_users_home_alone(
    plane: LocalControlPlane, user_home: Path
) -> None:
    before = sorted(user_home.rglob("*"))
    seen = subprocess.run(
        [
            "sh",
            "-c",
            "kubectl config view --minify -o jsonpath='{.clusters[0].cluster.server}' && kubectl get ns",
        ],
        env=plane.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.startswith(plane.server)
    assert "kube-system" in seen.stdout
    assert sorted(user_home.rglob("*")) == before


def test_a_deleted_namespace_goes_with_everything_in_it(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "namespace", "short-lived")
    plane.kubectl("create", "configmap", "inside", "-n", "short-lived", "--from-literal=a=b")
    plane.kubectl("delete", "namespace", "short-lived", "--timeout=50s")
    assert not exists(plane, "namespace", "short-lived")
    plane.kubectl("create", "namespace", "short-lived")
    assert not exists(plane, "configmap", "inside", "-n", "short-lived")


def test_what_is_owned_goes_with_its_owner(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "configmap", "owner")
    uid = plane.kubectl("get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}").stdout
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owned", "ownerReferences": [owner]},
    }
    plane.apply_text(json.dumps(owned))
    plane.kubectl("delete", "configmap", "owner")
    plane.wait_until(lambda: not exists(plane, "configmap", "owned"), 30, "the owned object to go")


def test_a_service_account_may_do_what_a_role_allows_and_nothing_before(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "serviceaccount", "clerk")
    clerk = plane.service_account_kubeconfig("default", "clerk")
    assert stat.S_IMODE(clerk.stat().st_mode) == 0o600
    assert [set(user["user"]) for user in yaml.safe_load(clerk.read_text())["users"]] == [{"token"}]

    with pytest.raises(KubectlError, match='User "system:serviceaccount:default:clerk" cannot list'):
        plane.kubectl("get", "secrets", kubeconfig=clerk)

    plane.kubectl("create", "role", "reader", "--verb=list", "--resource=secrets")
    plane.kubectl("create", "rolebinding", "clerk-reads", "--role=reader", "--serviceaccount=default:clerk")
    plane.wait_until(
        lambda: plane.kubectl("get", "secrets", kubeconfig=clerk, check=False).returncode == 0,
        10,
        "the role to count",
    )
    with pytest.raises(KubectlError, match="cannot list"):
        plane.kubectl("get", "configmaps", kubeconfig=clerk)


def test_installed_definitions_can_be_used_at_once(plane: LocalControlPlane, tmp_path: Path) -> None:
    """Also the later ones of a group: their schema joins a document that is already published."""
    for kind in ("Widget", "Gadget", "Gizmo"):
        plural = f"{kind.lower()}s"
        directory = tmp_path / plural
        directory.mkdir()
        definition = WIDGETS.replace("widget", kind.lower()).replace("Widget", kind)
        (directory / "crd.yaml").write_text(definition)
        assert plane.install_crds(directory) == [f"{plural}.sandbox.example"]
        assert "What it should be." in plane.kubectl("explain", f"{plural}.spec").stdout
        one = (
            f"{{apiVersion: sandbox.example/v1, kind: {kind}, metadata: {{name: first}}, spec: {{size: 3}}}}"
        )
        assert "created" in plane.apply_text(one)
        assert plane.install_crds(directory / "crd.yaml") == [f"{plural}.sandbox.example"]
        assert exists(plane, plural, "first")


def test_a_file_without_definitions_is_no_definition(plane: LocalControlPlane, tmp_path: Path) -> None:
    (tmp_path / "cm.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: not-a-crd}}")
    with pytest.raises(ControlPlaneError, match="defines no custom resource"):
        plane.install_crds(tmp_path / "cm.yaml")


def test_a_kustomization_is_applied_as_one(plane: LocalControlPlane, tmp_path: Path) -> None:
    (tmp_path / "cm.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}")
    (tmp_path / "kustomization.yaml").write_text("{resources: [cm.yaml], namePrefix: kustomized-}")
    plane.apply(tmp_path, namespace="default")
    assert exists(plane, "configmap", "kustomized-plain")
    assert not exists(plane, "configmap", "plain")


def test_a_restarted_api_server_has_its_address_and_its_data(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "configmap", "before-restart")
    server = plane.server
    plane.stop_apiserver()
    assert not plane.ready()
    with pytest.raises(KubectlError, match="refused"):
        plane.kubectl("get", "configmap", "before-restart")
    plane.start_apiserver()
    assert plane.server == server
    assert exists(plane, "configmap", "before-restart")
    plane.check()


def test_a_restarted_etcd_has_its_data(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "configmap", "before-etcd-restart")
    plane.restart_etcd()
    assert exists(plane, "configmap", "before-etcd-restart")
    plane.kubectl("create", "configmap", "after-etcd-restart")
    plane.check()


def test_namespaces_are_still_deleted_after_restarts(plane: LocalControlPlane) -> None:
    plane.restart_etcd()
    plane.restart_apiserver()
    plane.kubectl("create", "namespace", "after-restarts")
    plane.kubectl("delete", "namespace", "after-restarts", "--timeout=50s")
    assert not exists(plane, "namespace", "after-restarts")


def test_a_refused_command_tells_kubectls_reason(plane: LocalControlPlane) -> None:
    with pytest.raises(
        KubectlError, match=r"(?s)`kubectl get nonsense` ended with status 1.*nonsense"
    ) as error:
        plane.kubectl("get", "nonsense")
    assert error.value.returncode == 1
