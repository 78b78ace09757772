"""What ``kubectl apply -k deploy/`` installs: complete, restricted, with no more rights than are used."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mailegress import __version__
from mailegress.api.policy import PolicyMode
from mailegress.cli.loading import load_settings
from mailegress.cli.settings import specs

Objects = list[dict[str, Any]]
NAMESPACE = "mailegress-system"


def only(objects: Objects, kind: str, name: str | None = None) -> dict[str, Any]:
    (found,) = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found


def pod(objects: Objects) -> dict[str, Any]:
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container(objects: Objects) -> dict[str, Any]:
    (one,) = pod(objects)["containers"]
    assert isinstance(one, dict)
    return one


def test_it_installs_the_crds_and_everything_the_operator_needs(everything: Objects) -> None:
    found = sorted((o["kind"], o["metadata"]["name"]) for o in everything)
    assert found == [
        ("ClusterRole", "mailegress-editor"),
        ("ClusterRole", "mailegress-operator"),
        ("ClusterRole", "mailegress-prober"),
        ("ClusterRole", "mailegress-viewer"),
        ("ClusterRoleBinding", "mailegress-operator"),
        ("CustomResourceDefinition", "mailegresses.mailegress.io"),
        ("CustomResourceDefinition", "mailegresspolicies.mailegress.io"),
        ("Deployment", "mailegress"),
        ("Namespace", NAMESPACE),
        ("Role", "mailegress-lease"),
        ("RoleBinding", "mailegress-lease"),
        ("ServiceAccount", "mailegress"),
    ]


def test_the_base_alone_leaves_the_crd_to_others(root: Path, build: Callable[[Path], Objects]) -> None:
    assert not [o for o in build(root / "deploy" / "base") if o["kind"] == "CustomResourceDefinition"]


def test_an_overlay_elsewhere_can_set_the_region_and_the_role(
    root: Path, tmp_path: Path, build: Callable[[Path], Objects]
) -> None:
    base = Path("..", *[".."] * len(tmp_path.parts[1:]), *root.parts[1:], "deploy")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(f"""
resources: [{base}]
images: [{{name: ghcr.io/mailegress/mailegress, newTag: 9.9.9}}]
patches:
  - patch: |
      apiVersion: v1
      kind: ServiceAccount
      metadata:
        name: mailegress
        namespace: {NAMESPACE}
        annotations: {{eks.amazonaws.com/role-arn: "arn:aws:iam::777788889999:role/mailegress-operator"}}
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: mailegress, namespace: {NAMESPACE}}}
      spec:
        template:
          spec:
            containers:
              - name: operator
                env: [{{name: AWS_REGION, value: ap-northeast-1}}]
""")
    objects = build(overlay)
    assert container(objects)["image"] == "ghcr.io/mailegress/mailegress:9.9.9"
    env = {entry["name"]: entry.get("value") for entry in container(objects)["env"]}
    assert env["AWS_REGION"] == "ap-northeast-1"
    assert "POD_NAMESPACE" in env
    assert only(objects, "ServiceAccount")["metadata"]["annotations"]


def test_the_install_manifest_is_what_the_default_overlay_builds(
    root: Path, everything: Objects, build: Callable[[Path], Objects]
) -> None:
    shipped = [each for each in yaml.safe_load_all((root / "deploy" / "install.yaml").read_text()) if each]
    assert shipped == build(root / "deploy" / "overlays" / "default") == everything


def variables(objects: Objects) -> dict[str, str]:
    """The container's variables, those from Secrets included, as the operator reads them."""
    secrets = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Secret"}
    found = {}
    for entry in container(objects)["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if reference:
            data = secrets[reference["name"]]["data"][reference["key"]]
            found[entry["name"]] = base64.b64decode(data).decode()
        elif "value" in entry:
            found[entry["name"]] = entry["value"]
    return found


def test_the_irsa_overlay_sets_the_role_and_the_region(
    root: Path, build: Callable[[Path], Objects], everything: Objects
) -> None:
    objects = build(root / "deploy" / "overlays" / "irsa")
    notes = only(objects, "ServiceAccount")["metadata"]["annotations"]
    assert re.fullmatch(r"arn:aws:iam::\d{12}:role/[\w-]+", notes["eks.amazonaws.com/role-arn"])
    assert variables(objects) == variables(everything) | {"AWS_REGION": "eu-west-1"}
    assert len(objects) == len(everything)


def test_the_policy_component_adds_its_rights_and_the_mode_and_nothing_else(
    root: Path, build: Callable[[Path], Objects], everything: Objects
) -> None:
    objects = build(root / "deploy" / "overlays" / "policy")
    assert "MAILEGRESS_POLICY" not in variables(everything)
    assert variables(objects) == variables(everything) | {"MAILEGRESS_POLICY": "Audit"}
    assert load_settings({}, variables(objects)).policy is PolicyMode.AUDIT
    more = {(o["kind"], o["metadata"]["name"]) for o in objects if o not in everything}
    assert more == {
        ("ClusterRole", "mailegress-policy"),
        ("ClusterRoleBinding", "mailegress-policy"),
        ("Deployment", "mailegress"),
    }
    for role in (
        o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] != "mailegress-policy"
    ):
        assert "mailegresspolicies" not in str(role), (
            "policies are for nobody but who may administer the cluster"
        )


def test_the_nodes_role_is_not_used(everything: Objects) -> None:
    assert variables(everything)["AWS_EC2_METADATA_DISABLED"] == "true"


def test_the_cross_account_overlay_is_accepted_by_the_operator(
    root: Path, build: Callable[[Path], Objects]
) -> None:
    objects = build(root / "deploy" / "overlays" / "cross-account")
    settings = load_settings({}, variables(objects))
    assert settings.zone_role_arn.endswith(":role/mailegress-zone")
    assert settings.eip_role_arn.endswith(":role/mailegress-eip")
    assert settings.zone_role_arn.split(":")[4] != settings.eip_role_arn.split(":")[4]
    trust = json.loads((root / "deploy" / "iam" / "trust-cross-account.json").read_text())
    (statement,) = trust["Statement"]
    wanted = statement["Condition"]["StringEquals"]["sts:ExternalId"]
    assert (settings.zone_external_id, settings.eip_external_id) == (wanted, wanted)
    assert only(objects, "ServiceAccount")["metadata"]["annotations"]


def test_reading_is_for_all_who_may_view_and_writing_is_opt_in(everything: Objects) -> None:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    into = {
        o["metadata"]["name"]: {
            name.removeprefix(prefix) for name in o["metadata"]["labels"] if name.startswith(prefix)
        }
        for o in everything
        if o["kind"] == "ClusterRole"
    }
    assert into == {
        "mailegress-viewer": {"view", "edit", "admin"},
        "mailegress-editor": set(),
        "mailegress-prober": set(),
        "mailegress-operator": set(),
    }


def test_every_namespaced_object_and_subject_is_in_the_operators_namespace(everything: Objects) -> None:
    for o in everything:
        if o["kind"] in {"ServiceAccount", "Deployment", "Role", "RoleBinding"}:
            assert o["metadata"]["namespace"] == NAMESPACE
        for subject in o.get("subjects", ()):
            assert subject == {"kind": "ServiceAccount", "name": "mailegress", "namespace": NAMESPACE}


def test_the_namespace_enforces_restricted_pods_and_the_pod_is_one(everything: Objects) -> None:
    labels = only(everything, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    # Pod Security Standards, profile "restricted", and the NSA/CISA guidance's read-only root file system.
    spec, one = pod(everything), container(everything)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert [sorted(volume) for volume in spec["volumes"]] == [["emptyDir", "name"]]
    assert "hostPort" not in one["ports"][0]


def test_the_token_is_mounted_in_the_operators_pod_only(everything: Objects) -> None:
    assert only(everything, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod(everything)["automountServiceAccountToken"] is True


def test_one_replica_is_replaced_not_doubled(everything: Objects) -> None:
    spec = only(everything, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert (
        pod(everything)["terminationGracePeriodSeconds"]
        > load_settings({}, {"AWS_REGION": "eu-west-1"}).shutdown_seconds
    )


def test_the_probes_ask_the_paths_and_the_port_that_the_operator_serves(everything: Objects) -> None:
    one = container(everything)
    (port,) = one["ports"]
    assert port["containerPort"] == load_settings({}, {"AWS_REGION": "eu-west-1"}).http_address[1]
    paths = {name: one[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {name: probe["path"] for name, probe in paths.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {probe["port"] for probe in paths.values()} == {port["name"]}


def test_requests_and_a_memory_limit_are_set(everything: Objects) -> None:
    resources = container(everything)["resources"]
    assert resources["requests"] == {"cpu": "100m", "memory": "128Mi"}
    assert "memory" in resources["limits"]


def test_the_image_is_this_version_and_the_command_line_of_the_pod_is_accepted(everything: Objects) -> None:
    one = container(everything)
    assert one["image"] == f"ghcr.io/mailegress/mailegress:{__version__}"
    assert one["args"] == ["run"]
    env = {entry["name"]: entry["value"] for entry in one["env"] if "value" in entry}
    known = {spec.env for spec in specs()}
    assert all(name in known for name in env if name.startswith("MAILEGRESS_"))
    assert load_settings({}, env).regions == (env["AWS_REGION"],)
    shown = subprocess.run(
        [sys.executable, "-m", "mailegress", *one["args"], "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0


Rule = tuple[str, str, str, str]


def rules(role: dict[str, Any]) -> set[Rule]:
    """Each permission: API group, resource, verb, the names it is limited to."""
    return {
        (group, resource, verb, ",".join(rule.get("resourceNames", ())))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operators_rights_are_exactly_those_it_uses(everything: Objects) -> None:
    assert rules(only(everything, "ClusterRole", "mailegress-operator")) == {
        ("mailegress.io", "mailegresses", "list", ""),
        ("mailegress.io", "mailegresses", "watch", ""),
        ("mailegress.io", "mailegresses", "patch", ""),
        ("mailegress.io", "mailegresses/status", "update", ""),
        ("events.k8s.io", "events", "create", ""),
        ("", "namespaces", "get", "kube-system"),
    }
    assert rules(only(everything, "Role")) == {
        ("coordination.k8s.io", "leases", "create", ""),
        ("coordination.k8s.io", "leases", "get", "mailegress"),
        ("coordination.k8s.io", "leases", "update", "mailegress"),
    }


def test_no_role_has_a_wildcard_and_no_user_role_writes_the_status(everything: Objects) -> None:
    for role in (o for o in everything if o["kind"] in {"Role", "ClusterRole"}):
        for group, resource, verb, _ in rules(role):
            assert "*" not in group + resource + verb
            if role["metadata"]["name"] in {"mailegress-viewer", "mailegress-editor"}:
                assert resource != "mailegresses/status" or verb in {"get", "list", "watch"}
    viewer = rules(only(everything, "ClusterRole", "mailegress-viewer"))
    assert {verb for _, _, verb, _ in viewer} == {"get", "list", "watch"}


def test_who_probes_may_start_jobs_and_read_no_secret_and_no_log(everything: Objects) -> None:
    assert rules(only(everything, "ClusterRole", "mailegress-prober")) == {
        ("mailegress.io", "mailegresses", "list", ""),
        ("batch", "jobs", "create", ""),
        ("batch", "jobs", "get", ""),
        ("batch", "jobs", "delete", ""),
        ("", "pods", "list", ""),
        ("", "events", "list", ""),
    }


def test_the_dockerfile_ends_as_a_numeric_user_without_a_shell(root: Path) -> None:
    text = (root / "Dockerfile").read_text()
    _, build, final = text.split("\nFROM ")[1:]
    assert build.startswith("${BUILD_IMAGE} AS build")
    assert "--require-hashes" in build
    assert "requirements/run.txt" in build
    (user,) = re.findall(r"^USER (.*)$", final, re.M)
    assert user == "65532:65532"
    assert "COPY --from=build /opt/mailegress /opt/mailegress" in final
    # The base has nothing that could run a line of text.
    assert all(line.startswith("RUN [") for line in final.splitlines() if line.startswith("RUN"))
    assert 'ENTRYPOINT ["python", "-m", "mailegress"]\nCMD ["run"]\n' in final
