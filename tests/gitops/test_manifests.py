"""The examples for Argo CD and Flux: taken by a real API server that has their kinds, and naming what exists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as k8s

from mailegress import __version__
from mailegress.api.names import FINALIZER
from sandbox.controlplane import ControlPlane, KubectlError
from sandbox.tools import tool
from tests.support.gitops.gotool import crds
from tests.support.gitops.live import Live

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
ARGOCD, FLUX = ROOT / "deploy" / "argocd", ROOT / "deploy" / "flux"
CHART = ROOT / "deploy" / "helm" / "mailegress"
EXAMPLES = [
    ARGOCD / "applications.yaml",
    ARGOCD / "predelete.yaml",
    *sorted((ARGOCD / "example").glob("*.yaml")),
    *sorted(FLUX.rglob("*.yaml")),
]
NAMESPACES = ("argocd-examples", "flux-system", "mailegress-system")


def documents(path: Path) -> list[Json]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def only(path: Path, kind: str, name: str | None = None) -> Json:
    [found] = [d for d in documents(path) if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    return found


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> ControlPlane:
    """The API server with the kinds of Argo CD and Flux."""
    for path in crds():
        plane.install_crds(path)
    for name in NAMESPACES:
        plane.kubectl("create", "namespace", name)
    return plane


def dry_run(plane: ControlPlane, *documents: Json) -> None:
    text = yaml.safe_dump_all(documents)
    plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: str(p.relative_to(ROOT / "deploy")))
def test_the_api_server_takes_it(path: Path, cluster: ControlPlane) -> None:
    found = documents(path)
    assert found
    for document in found:
        if document["kind"] == "Application":
            # This namespace exists from another test or not; which one it is, is of no consequence here.
            document["metadata"]["namespace"] = "argocd-examples"
    dry_run(cluster, *found)


@pytest.mark.parametrize(
    ("path", "kind", "slip"),
    [
        (ARGOCD / "applications.yaml", "Application", {"syncpolicy": {}}),
        (FLUX / "cluster.yaml", "Kustomization", {"wait": "yes"}),
        (FLUX / "operator" / "operator.yaml", "HelmRelease", {"chrt": {}}),
        (FLUX / "operator" / "operator.yaml", "GitRepository", {"url": "example"}),
    ],
    ids=["Application", "Kustomization", "HelmRelease", "GitRepository"],
)
def test_a_slip_would_be_noticed(path: Path, kind: str, slip: Json, cluster: ControlPlane) -> None:
    document = next(d for d in documents(path) if d["kind"] == kind)
    document["metadata"]["namespace"] = "flux-system"
    document["spec"] |= slip
    with pytest.raises(KubectlError):
        dry_run(cluster, document)


# ---------------------------------------------------------------- what they name


def values() -> Iterator[tuple[str, Json]]:
    """Where the chart's values are shown, and which."""
    source = only(ARGOCD / "applications.yaml", "Application", "mailegress")["spec"]["source"]
    yield "argocd", source["helm"]["valuesObject"]
    yield "flux", only(FLUX / "operator" / "operator.yaml", "HelmRelease")["spec"]["values"]
    for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "gitops.md").read_text(), re.DOTALL):
        yield "docs", yaml.safe_load(text)["spec"]["values"]


@pytest.mark.parametrize("shown", [v for _, v in values()], ids=[n for n, _ in values()])
def test_the_chart_takes_the_values(shown: Json, tmp_path: Path) -> None:
    """By Helm itself; and the values reach the operator's pod or its service account."""

    def template(values: Json) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump(values))
        command = [str(tool("helm")), "template", "mailegress", str(CHART), "--values", str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    done = template(shown)
    assert done.returncode == 0, done.stderr
    for leaf in leaves(shown):
        assert leaf in done.stdout
    assert template(shown | {"awz": {}}).returncode != 0, "a slip is refused"


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    else:
        yield str(value)


def test_chart_path_and_version_exist() -> None:
    source = only(ARGOCD / "applications.yaml", "Application", "mailegress")["spec"]["source"]
    assert (ROOT / source["path"] / "Chart.yaml").is_file()
    assert source["targetRevision"] == f"v{__version__}"
    operator = FLUX / "operator" / "operator.yaml"
    assert (ROOT / only(operator, "HelmRelease")["spec"]["chart"]["spec"]["chart"] / "Chart.yaml").is_file()
    assert only(operator, "GitRepository")["spec"]["ref"] == {"tag": f"v{__version__}"}


def test_waves_go_operator_then_names_then_mail() -> None:
    """And deletion the other way round: both Applications wait for what they delete."""

    def wave(document: Json) -> int:
        return int(document["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])

    operator, mail = (only(ARGOCD / "applications.yaml", "Application", n) for n in ("mailegress", "mail"))
    assert wave(operator) < wave(mail)
    for app in (operator, mail):
        assert app["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    example = ARGOCD / "example"
    egress = only(example / "mailegress.yaml", "MailEgress")
    assert wave(egress) < wave(only(example / "mta.yaml", "Deployment"))


def test_flux_waits_at_every_step() -> None:
    steps = {d["metadata"]["name"]: d["spec"] for d in documents(FLUX / "cluster.yaml")}
    assert [s.get("dependsOn", []) for s in steps.values()] == [
        [],
        [{"name": "mailegress-operator"}],
        [{"name": "mail-egress"}],
    ]
    assert all(s["wait"] for s in steps.values())
    assert steps["mail-egress"]["deletionPolicy"] == "WaitForTermination"
    for folder in ("operator", "egress"):
        assert (FLUX / folder).is_dir()
        assert f"./{folder}" in {s["path"] for s in steps.values()}


# ---------------------------------------------------------------- the hook before a deletion


def test_the_hook_waits_until_every_object_is_gone(cluster: ControlPlane) -> None:
    """With the hook's own rights and its own arguments: it ends well only when the operator has let go."""
    for document in documents(ARGOCD / "predelete.yaml"):
        if document["kind"] != "Job":
            cluster.apply_text(yaml.safe_dump(document))
    job = only(ARGOCD / "predelete.yaml", "Job")["spec"]["template"]["spec"]
    kubeconfig = cluster.service_account_kubeconfig("mailegress-system", job["serviceAccountName"])
    [container] = job["containers"]
    *args, timeout = container["args"]
    assert timeout.startswith("--timeout=")
    cluster.kubectl("create", "namespace", "hook")
    scene = Live(cluster, "last-one", "hook")
    scene.apply(scene.harness.eip(1))
    assert scene.body["metadata"]["finalizers"] == [FINALIZER]

    def hook(limit: str) -> int:
        # The other tests' objects stay: they are in another namespace.
        narrowed = [a for a in args if a != "--all-namespaces"]
        done = cluster.kubectl(
            "-n", "hook", *narrowed, f"--timeout={limit}", kubeconfig=kubeconfig, check=False
        )
        return done.returncode

    assert hook("1s") != 0, "the operator has not cleaned up yet"
    assert scene.body["metadata"]["deletionTimestamp"]
    scene.release()
    assert hook("30s") == 0
    with pytest.raises(k8s.ApiException) as gone:
        _ = scene.body
    assert gone.value.status == 404
