"""What the chart makes of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress import __version__
from mailegress.cli.loading import load_settings
from mailegress.cli.settings import Spec, specs

Objects = list[dict[str, Any]]
Values = Mapping[str, Any]
Render = Callable[[Values], Objects]

ROOT = Path(__file__).resolve().parents[2]
POLICY_RBAC = ROOT / "deploy" / "components" / "policy" / "rbac.yaml"
REGION = {"AWS_REGION": "eu-west-1"}

SAMPLES: Mapping[str, tuple[Any, str]] = {
    "regions": (["eu-west-1", "us-east-1"], "eu-west-1,us-east-1"),
    "zone_role_arn": ("arn:aws:iam::111122223333:role/zone",) * 2,
    "zone_external_id": ("zone-id",) * 2,
    "eip_role_arn": ("arn:aws:iam::111122223333:role/eip",) * 2,
    "eip_external_id": ("eip-id",) * 2,
    "owner_id": ("cluster-a",) * 2,
    "accept_owner_ids": (["cluster-b", "cluster-c"], "cluster-b,cluster-c"),
    "namespaces": (["mail", "mail-b"], "mail,mail-b"),
    "dns_roots": (["192.0.2.1", "192.0.2.2:5353"], "192.0.2.1,192.0.2.2:5353"),
    "dns_extra_ranges": (["192.0.2.0/24", "2001:db8::/32"], "192.0.2.0/24,2001:db8::/32"),
    "dns_resolvers": ("off",) * 2,
    "kubeconfig": (str(ROOT / "README.md"),) * 2,
    "context": ("other",) * 2,
    "allow_unknown_regions": (True, "on"),
    "allow_http_endpoints": (True, "on"),
    "leader_elect": (True, "on"),
    "advisories": (False, "off"),
    "http_address": ("127.0.0.1:9090",) * 2,
    "log_format": ("text",) * 2,
    "log_level": ("debug",) * 2,
    "retry_seconds": (7.5, "7.5"),
    "mass_loss_percent": (12.5, "12.5"),
}
"""Settings that are no plain number: value in the chart, and as on the command line."""


def sample(spec: Spec) -> tuple[Any, str]:
    """A value other than the default."""
    if spec.name in SAMPLES:
        return SAMPLES[spec.name]
    number = int(float(spec.default)) + 1
    return number, str(number)


def camel(spec: Spec) -> str:
    first, *rest = spec.flag.removeprefix("--").split("-")
    return first + "".join(map(str.capitalize, rest))


def of(objects: Objects, kind: str, name: str | None = None) -> dict[str, Any]:
    (found,) = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found


def pod(objects: Objects) -> dict[str, Any]:
    return dict(of(objects, "Deployment")["spec"]["template"]["spec"])


def container(objects: Objects) -> dict[str, Any]:
    (one,) = pod(objects)["containers"]
    return dict(one)


def env(objects: Objects) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(objects)["env"] if "value" in each}


# ---------------------------------------------------------------- settings


def test_every_setting_reaches_the_operator_under_its_own_name(render: Render) -> None:
    """All at once, as the operator itself reads the pod's variables."""
    # --policy and --external-dns are values of their own, with which the chart grants rights.
    listed = [spec for spec in specs() if spec.name not in ("policy", "external_dns")]
    wanted = {camel(spec): sample(spec)[0] for spec in listed}
    variables = env(render({"settings": wanted}))
    for spec in listed:
        assert variables[spec.env] == sample(spec)[1], spec.name
    got = load_settings({}, variables)
    for spec in listed:
        assert getattr(got, spec.name) == spec.parse(sample(spec)[1]), spec.name
        assert getattr(got, spec.name) != getattr(load_settings({}, REGION), spec.name), spec.name


def test_a_setting_that_is_not_given_is_left_to_the_operator(render: Render) -> None:
    assert not [name for name in env(render({})) if name.startswith("MAILEGRESS_")]


def test_a_list_may_be_written_as_on_the_command_line(render: Render) -> None:
    assert env(render({"settings": {"regions": "eu-west-1,us-east-1"}}))["MAILEGRESS_REGIONS"] == (
        "eu-west-1,us-east-1"
    )


def test_the_port_follows_the_setting(render: Render) -> None:
    values = {"settings": {"httpAddress": "[::]:9090"}, "networkPolicy": {"enabled": True}}
    objects = render(values)
    assert container(objects)["ports"] == [{"name": "http", "containerPort": 9090, "protocol": "TCP"}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container(objects)[probe]["httpGet"]["port"] == "http"
    (rule,) = of(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_a_setting_from_a_secret_and_an_endpoint_of_the_sdk(render: Render) -> None:
    reference = {"secretKeyRef": {"name": "s", "key": "k"}}
    extra = [
        {"name": "MAILEGRESS_ZONE_EXTERNAL_ID", "valueFrom": reference},
        {"name": "AWS_ENDPOINT_URL", "value": "https://aws.example.com"},
    ]
    assert container(render({"extraEnv": extra}))["env"][-2:] == extra


# ---------------------------------------------------------------- AWS


def test_no_region_is_invented(render: Render) -> None:
    assert "AWS_REGION" not in env(render({}))
    assert env(render({"aws": {"region": "us-gov-west-1"}}))["AWS_REGION"] == "us-gov-west-1"


def test_the_nodes_role_is_used_only_if_it_is_asked_for(render: Render) -> None:
    assert env(render({}))["AWS_EC2_METADATA_DISABLED"] == "true"
    asked = {"aws": {"instanceMetadata": True}}
    assert env(render(asked))["AWS_EC2_METADATA_DISABLED"] == "false"


def test_a_role_becomes_the_annotation_of_irsa_beside_others(render: Render) -> None:
    role = "arn:aws-us-gov:iam::777788889999:role/path/mailegress"
    values = {"aws": {"roleArn": role}, "serviceAccount": {"annotations": {"a": "b"}}}
    account = of(render(values), "ServiceAccount")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role, "a": "b"}
    assert "annotations" not in of(render({}), "ServiceAccount")["metadata"]


def test_a_service_account_of_somebody_else(render: Render, refusal: Callable[[Values], str]) -> None:
    values = {"serviceAccount": {"create": False, "name": "mine"}}
    objects = render(values)
    assert not [o for o in objects if o["kind"] == "ServiceAccount"]
    assert pod(objects)["serviceAccountName"] == "mine"
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert of(objects, kind)["subjects"][0]["name"] == "mine"
    role = {"aws": {"roleArn": "arn:aws:iam::777788889999:role/x"}}
    assert "annotate yours" in refusal(values | role)


# ---------------------------------------------------------------- CRD and rights


@pytest.mark.parametrize("plural", ["mailegresses", "mailegresspolicies"])
def test_the_crds_are_kept_unless_that_is_not_wanted(render: Render, plural: str) -> None:
    which = ("CustomResourceDefinition", f"{plural}.mailegress.io")
    kept = of(render({}), *which)
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    crd = yaml.safe_load((ROOT / "crds" / f"mailegress.io_{plural}.yaml").read_text())
    assert kept["spec"] == crd["spec"]
    assert "annotations" not in of(render({"crds": {"keep": False}}), *which)["metadata"]
    objects = render({"crds": {"install": False}})
    assert not [o for o in objects if o["kind"] == "CustomResourceDefinition"]
    assert of(objects, "Deployment")


def aggregated(role: dict[str, Any]) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {name.removeprefix(prefix) for name in role["metadata"]["labels"] if name.startswith(prefix)}


def test_reading_is_for_all_who_may_view_and_writing_is_opt_in(render: Render) -> None:
    objects = render({})
    assert aggregated(of(objects, "ClusterRole", "mailegress-viewer")) == {"view", "edit", "admin"}
    assert aggregated(of(objects, "ClusterRole", "mailegress-editor")) == set()
    objects = render({"userRoles": {"aggregateToView": False, "aggregateToEdit": True}})
    assert aggregated(of(objects, "ClusterRole", "mailegress-viewer")) == set()
    assert aggregated(of(objects, "ClusterRole", "mailegress-editor")) == {"edit", "admin"}
    assert aggregated(of(objects, "ClusterRole", "mailegress-prober")) == set(), (
        "it is the right to run any pod"
    )


def test_rights_can_be_left_to_others(render: Render) -> None:
    kinds = {o["kind"] for o in render({"rbac": {"create": False}, "userRoles": {"create": False}})}
    assert kinds == {"CustomResourceDefinition", "Deployment", "ServiceAccount"}


@pytest.mark.parametrize("mode", ["Audit", "Enforce"])
def test_policies_come_with_their_rights(render: Render, mode: str) -> None:
    objects = render({"policy": {"mode": mode}, "serviceAccount": {"create": False, "name": "mine"}})
    assert env(objects)["MAILEGRESS_POLICY"] == mode
    (subject,) = of(objects, "ClusterRoleBinding", "mailegress-policy")["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "mine", "namespace": "mailegress-system"}
    role = of(objects, "ClusterRole", "mailegress-policy")
    assert role["rules"] == next(yaml.safe_load_all(POLICY_RBAC.read_text()))["rules"]
    assert aggregated(role) == set()


# YAML 1.1, which Helm reads, takes Off without quotes for false.
@pytest.mark.parametrize("mode", ["Off", False])
def test_without_policies_there_is_neither_their_right_nor_their_setting(
    render: Render, mode: str | bool
) -> None:
    objects = render({"policy": {"mode": mode}})
    assert "MAILEGRESS_POLICY" not in env(objects)
    names = [o["metadata"]["name"] for o in objects if o["kind"].startswith("ClusterRole")]
    assert "mailegress-policy" not in names
    assert objects == render({})


@pytest.mark.parametrize("mode", ["audit", True, "on", ""])
def test_a_mode_that_does_not_exist_is_refused(refusal: Callable[[Values], str], mode: str | bool) -> None:
    said = refusal({"policy": {"mode": mode}})
    assert "policy" in said
    assert "Enforce" in said


# ---------------------------------------------------------------- replicas


def test_several_replicas_elect_a_leader_and_may_be_drained_one_by_one(render: Render) -> None:
    objects = render({"replicaCount": 3})
    assert env(objects)["MAILEGRESS_LEADER_ELECT"] == "on"
    assert of(objects, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    budget = of(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == of(objects, "Deployment")["spec"]["selector"]
    without = render({"replicaCount": 3, "podDisruptionBudget": {"enabled": False}})
    assert not [o for o in without if o["kind"] == "PodDisruptionBudget"]


def test_one_replica_has_no_budget_which_would_only_block_drains(render: Render) -> None:
    assert not [o for o in render({}) if o["kind"] == "PodDisruptionBudget"]


def test_several_replicas_without_election_are_refused(refusal: Callable[[Values], str]) -> None:
    said = refusal({"replicaCount": 2, "settings": {"leaderElect": False}})
    assert "several replicas need it" in said


def test_the_lease_is_kept_in_the_namespace_of_the_role(render: Render) -> None:
    objects = render({"replicaCount": 2})
    variable = next(each for each in container(objects)["env"] if each["name"] == "POD_NAMESPACE")
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert of(objects, "Role")["metadata"]["namespace"] == "mailegress-system"


# ---------------------------------------------------------------- network


def test_the_network_policy_allows_aws_the_api_server_and_dns_to_the_world(render: Render) -> None:
    assert not [o for o in render({}) if o["kind"] == "NetworkPolicy"]
    objects = render({"networkPolicy": {"enabled": True, "apiServerPorts": [443, 6443]}})
    policy = of(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"] == of(objects, "Deployment")["spec"]["selector"]
    https, dns, cluster_dns, link_local = policy["egress"]
    assert https == {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert dns["ports"] == cluster_dns["ports"] == ports
    public = {block["ipBlock"]["cidr"]: block["ipBlock"]["except"] for block in dns["to"]}
    assert public.keys() == {"0.0.0.0/0", "::/0"}
    for address in (
        "10.0.0.10",
        "172.20.0.10",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.253",
        "127.0.0.1",
        "fd00::a",
    ):
        inside = [r for ranges in public.values() for r in ranges]
        assert any(ip_address(address) in ip_network(r) for r in inside), address
    (peer,) = cluster_dns["to"]
    assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    # EKS Pod Identity agent and instance metadata service (Amazon EKS User Guide, "EKS Pod Identity").
    assert {each["ipBlock"]["cidr"] for each in link_local["to"]} == {
        "169.254.170.23/32",
        "169.254.169.254/32",
        "fd00:ec2::23/128",
        "fd00:ec2::254/128",
    }


def test_the_network_policy_can_be_narrowed_and_widened(render: Render) -> None:
    who = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    more = [{"ports": [{"port": 5353, "protocol": "UDP"}]}]
    values = {"enabled": True, "metricsFrom": who, "linkLocal": False, "clusterDNS": [], "extraEgress": more}
    policy = of(render({"networkPolicy": values}), "NetworkPolicy")["spec"]
    assert policy["ingress"][0]["from"] == who
    assert policy["egress"][2:] == more


# ---------------------------------------------------------------- monitoring


def test_monitors_find_the_port_and_are_off_by_default(render: Render) -> None:
    assert not [o for o in render({}) if "monitoring.coreos.com" in o["apiVersion"]]
    objects = render({"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "p"}}}})
    service, monitor = of(objects, "Service"), of(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "p"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == [service["spec"]["ports"][0]["name"]]
    assert service["spec"]["selector"] == of(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    objects = render({"metrics": {"podMonitor": {"enabled": True, "interval": "30s"}}})
    assert not [o for o in objects if o["kind"] == "Service"]
    (endpoint,) = of(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "30s"}


def test_the_alerts_are_those_of_the_one_source_less_the_disabled(render: Render) -> None:
    source = yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yaml").read_text())["groups"]
    assert of(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")["spec"]["groups"] == source
    first = next(rule["alert"] for group in source for rule in group["rules"] if "alert" in rule)
    values = {"prometheusRule": {"enabled": True, "disabled": [first]}}
    groups = of(render(values), "PrometheusRule")["spec"]["groups"]
    left = [rule.get("alert") for group in groups for rule in group["rules"]]
    before = [rule.get("alert") for group in source for rule in group["rules"]]
    assert first not in left
    assert len(left) == len(before) - 1


def test_the_dashboard_is_that_of_the_one_source(render: Render) -> None:
    values = {"dashboard": {"enabled": True, "annotations": {"grafana_folder": "Mail"}}}
    config = of(render(values), "ConfigMap")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Mail"}
    source = (ROOT / "deploy" / "observability" / "dashboard.json").read_text()
    assert config["data"] == {"mailegress.json": source.rstrip("\n") + "\n"}


# ---------------------------------------------------------------- pod


def test_what_is_extra_stands_beside_what_is_needed(render: Render) -> None:
    values = {
        "extraArgs": ["--log-level=debug"],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
    }
    objects = render(values)
    assert container(objects)["args"] == ["run", "--log-level=debug"]
    assert [each["name"] for each in pod(objects)["volumes"]] == ["tmp", "ca"]
    assert [each["mountPath"] for each in container(objects)["volumeMounts"]] == ["/tmp", "/ca"]
    assert container(objects)["envFrom"] == [{"configMapRef": {"name": "more"}}]
    template = of(objects, "Deployment")["spec"]["template"]["metadata"]
    assert template["labels"]["a"] == "b"
    assert template["annotations"] == {"kubectl.kubernetes.io/default-container": "operator", "c": "d"}


def test_what_schedules_the_pod_is_passed_on(render: Render) -> None:
    values = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "dnsPolicy": "Default",
        "dnsConfig": {"nameservers": ["192.0.2.53"]},
        "imagePullSecrets": [{"name": "r"}],
        "resources": {"limits": {"memory": "1Gi"}},
    }
    spec = pod(render(values))
    for name in values.keys() - {"nodeSelector", "resources"}:
        assert spec[name] == values[name], name
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "disk": "ssd"}
    assert container(render(values))["resources"]["limits"] == {"memory": "1Gi"}


def test_a_spread_without_selector_means_the_operators_own_pods(render: Render) -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    own = {"labelSelector": {"matchLabels": {"x": "y"}}}
    objects = render({"topologySpreadConstraints": [spread, spread | own]})
    selector = of(objects, "Deployment")["spec"]["selector"]
    assert pod(objects)["topologySpreadConstraints"] == [spread | {"labelSelector": selector}, spread | own]


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ({"repository": "r.example.com/m"}, "r.example.com/m:{version}"),
        ({"tag": "9.9.9"}, "ghcr.io/mailegress/mailegress:9.9.9"),
        (
            {"tag": "9.9.9", "digest": "sha256:" + "0" * 64},
            "ghcr.io/mailegress/mailegress@sha256:" + "0" * 64,
        ),
    ],
)
def test_the_image(render: Render, image: dict[str, str], wanted: str) -> None:
    assert container(render({"image": image}))["image"] == wanted.format(version=__version__)


def test_names_and_labels(render: Render) -> None:
    objects = render({"fullnameOverride": "mail-dns", "commonLabels": {"team": "mail"}})
    names = {o["metadata"]["name"] for o in objects if o["kind"] != "CustomResourceDefinition"}
    assert names == {
        "mail-dns",
        "mail-dns-operator",
        "mail-dns-lease",
        "mail-dns-viewer",
        "mail-dns-editor",
        "mail-dns-prober",
    }
    for each in objects:
        assert each["metadata"]["labels"]["team"] == "mail"
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    # A selector cannot be changed, so it has nothing that a value or a release of the chart changes.
    assert of(objects, "Deployment")["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "mailegress",
        "app.kubernetes.io/instance": "mailegress",
    }


def test_extra_objects_are_templates(render: Render) -> None:
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}}
    assert of(render({"extraObjects": [one]}), "ConfigMap")["metadata"]["name"] == "mailegress-x"
