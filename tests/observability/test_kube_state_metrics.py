"""kube-state-metrics itself, with the shipped configuration and rights, beside a real API server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sandbox.controlplane import ControlPlane
from sandbox.ports import ReservedPort
from sandbox.tools.cache import Cache
from sandbox.tools.gotool import GoModule, GoTool, build
from sandbox.waiting import wait_until
from tests.support.observability.living import Lived

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
CONFIG = FOLDER / "kube-state-metrics.yaml"
RIGHTS = FOLDER / "kube-state-metrics-rbac.yaml"

PIN = GoTool(
    GoModule(
        "kube-state-metrics",
        "k8s.io/kube-state-metrics/v2",
        "v2.15.0",
        "h1:0qSA+hVCj5p2QSYnbz6NPNflct3C1kPAIhF8ZtMKpIk=",
    ),
    ".",
    105,
)

Sample = tuple[str, dict[str, str], float]


def say(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.fixture(scope="module")
def kubeconfig(plane: ControlPlane) -> Path:
    """Of kube-state-metrics' service account, which may do what the shipped manifest lets it do."""
    plane.kubectl("create", "namespace", "monitoring")
    plane.kubectl("-n", "monitoring", "create", "serviceaccount", "kube-state-metrics")
    plane.kubectl("apply", "-f", str(RIGHTS))
    return plane.service_account_kubeconfig("monitoring", "kube-state-metrics")


@pytest.fixture(scope="module")
def samples(
    lived: Lived, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Sample]]:
    """What it serves about the MailEgresses of the story."""
    program = build(PIN, Cache.of(os.environ, say), os.environ, say)
    reserved = [ReservedPort(), ReservedPort()]
    port, own = (each.number for each in reserved)
    log = tmp_path_factory.mktemp("ksm") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(program),
                "--custom-resource-state-only=true",
                f"--custom-resource-state-config-file={CONFIG}",
                f"--kubeconfig={kubeconfig}",
                "--host=127.0.0.1",
                f"--port={port}",
                "--telemetry-host=127.0.0.1",
                f"--telemetry-port={own}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        served: list[Sample] = []

        def complete() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"kube-state-metrics ended:\n{log.read_text()}")
            served[:] = scrape(port)
            return {labels["name"] for _, labels, _ in served} == {"outbound", "typo"}

        wait_until(complete, 60, "both MailEgresses in kube-state-metrics", log.read_text)
        yield served
        assert "invalid" not in log.read_text().lower()
    finally:
        process.terminate()
        process.wait(10)
        for each in reserved:
            each.release()


def scrape(port: int) -> list[Sample]:
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            text = reply.read().decode()
    except URLError:
        return []
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("kube_mailegress_")
    ]


def found(samples: list[Sample], metric: str, **labels: str) -> list[tuple[dict[str, str], float]]:
    return [(has, value) for name, has, value in samples if name == metric and labels.items() <= has.items()]


def test_every_metric_of_the_configuration_is_served(samples: list[Sample]) -> None:
    [resource] = yaml.safe_load(CONFIG.read_text())["spec"]["resources"]
    wanted = {f"{resource['metricNamePrefix']}_{metric['name']}" for metric in resource["metrics"]}
    assert {name.removesuffix("_info") for name, _, _ in samples} == {
        name.removesuffix("_info") for name in wanted
    }


def test_what_it_wants_is_shown(lived: Lived, samples: list[Sample]) -> None:
    [(labels, value)] = found(samples, "kube_mailegress_info", name="outbound")
    assert value == 1
    zone = lived.ready.status["zone"]
    shown = {k: v for k, v in labels.items() if not k.startswith("customresource_")}
    assert shown == {
        "name": "outbound",
        "namespace": lived.ready.namespace,
        "hostname": "mta.example.com",
        "deletion_policy": "Delete",
        "suspend": "false",
        "zone_id": zone["id"],
        "zone_name": "example.com",
    }


@pytest.mark.parametrize("which", ["ready", "stuck"])
def test_conditions_are_shown_as_the_status_has_them(which: str, lived: Lived, samples: list[Sample]) -> None:
    meg: Any = getattr(lived, which)
    stored = {
        (kind, c["status"], c["reason"]): c["lastTransitionTime"] for kind, c in meg.conditions().items()
    }
    shown = found(samples, "kube_mailegress_status_condition", name=meg.name)
    assert {(s["condition"], s["status"], s["reason"]) for s, _ in shown} == set(stored)
    assert {value for _, value in shown} == {1.0}
    times = found(samples, "kube_mailegress_status_condition_last_transition_time", name=meg.name)
    assert {s["condition"]: value for s, value in times} == {
        kind: datetime.fromisoformat(time).timestamp() for (kind, _, _), time in stored.items()
    }


def test_addresses_are_shown_as_the_status_has_them(lived: Lived, samples: list[Sample]) -> None:
    [entry] = lived.ready.status["addresses"]
    [(shown, value)] = found(samples, "kube_mailegress_status_address", name="outbound")
    assert value == 1
    for label, field in (
        ("public_ip", "publicIP"),
        ("allocation_id", "allocationID"),
        ("account_id", "accountID"),
        ("region", "region"),
        ("ptr", "ptr"),
        ("ptr_origin", "ptrOrigin"),
        ("iprev", "iprev"),
        ("selector", "selector"),
    ):
        assert shown[label] == entry[field], label


def test_generations_are_numbers(lived: Lived, samples: list[Sample]) -> None:
    for metric in ("generation", "status_observed_generation"):
        assert [value for _, value in found(samples, f"kube_mailegress_{metric}", name="outbound")] == [1.0]
    created = datetime.fromisoformat(lived.ready.get()["metadata"]["creationTimestamp"]).timestamp()
    assert [value for _, value in found(samples, "kube_mailegress_created", name="outbound")] == [created]


def test_every_path_of_the_configuration_is_one_of_the_schema() -> None:
    """A typing error in a path gives an empty label, not an error."""
    [version] = yaml.safe_load((FOLDER.parents[1] / "crds/mailegress.io_mailegresses.yaml").read_text())[
        "spec"
    ]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    metadata = {"namespace", "name", "generation", "creationTimestamp"}

    def node(path: list[str], start: dict[str, Any]) -> dict[str, Any]:
        for step in path:
            if start is root and step == "metadata":
                return {"properties": {name: {} for name in metadata}}["properties"][path[1]]
            start = (start.get("items") or start)["properties"][step]
        return start

    [resource] = yaml.safe_load(CONFIG.read_text())["spec"]["resources"]
    for path in resource["labelsFromPath"].values():
        node(path, root)
    for metric in resource["metrics"]:
        [each] = [value for key, value in metric["each"].items() if key != "type"]
        start = node(each.get("path", []), root)
        for path in [*each.get("labelsFromPath", {}).values(), each.get("valueFrom", [])]:
            node(path, start)
