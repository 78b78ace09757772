"""How a MailEgress behaves under kubectl and GitOps before any operator has looked at it."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailegress.api.advisories import Severity
from mailegress.api.names import CATEGORY
from mailegress.api.status import (
    AddressStatus,
    Advisory,
    Condition,
    ForwardStatus,
    Origin,
    Status,
    ZoneStatus,
    initial_status,
)
from mailegress.api.types import parse_object
from sandbox.controlplane import ControlPlane

SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"

MANIFEST = """
apiVersion: mailegress.io/v1alpha1
kind: MailEgress
metadata: {name: outbound}
spec:
  hostname: mta.example.com
  elasticIPs:
    - natGatewayID: nat-0123456789abcdef0
      region: eu-west-1
"""


def read(api: ControlPlane, namespace: str, name: str = "outbound") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(api.kubectl("get", "meg", name, "-n", namespace, "-o", "json").stdout)
    return body


def put_status(api: ControlPlane, namespace: str, status: object, check: bool = True) -> str:
    """Replace the whole status, as the operator does."""
    body = read(api, namespace) | {"status": status}
    path = f"/apis/mailegress.io/v1alpha1/namespaces/{namespace}/mailegresses/outbound/status"
    done = api.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(body), check=check)
    return done.stdout + done.stderr


def table(api: ControlPlane, namespace: str, *args: str) -> list[list[str]]:
    output = api.kubectl("get", "meg", "-n", namespace, *args).stdout
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]


def test_applying_twice_changes_nothing(api: ControlPlane, namespace: str) -> None:
    assert "created" in api.apply_text(MANIFEST, namespace=namespace)
    version = read(api, namespace)["metadata"]["resourceVersion"]
    assert "unchanged" in api.apply_text(MANIFEST, namespace=namespace)
    assert read(api, namespace)["metadata"]["resourceVersion"] == version


def test_an_object_nobody_looked_at_is_unknown(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    body = read(api, namespace)
    assert initial_status().matches(body["status"])
    assert parse_object(body).status == initial_status()
    header, row = table(api, namespace)
    assert header == ["NAME", "HOSTNAME", "ADDRESSES", "A", "PTR", "READY", "REASON", "AGE"]
    assert row[:6] == ["outbound", "mta.example.com", "Unknown", "unknown", "Unknown", "Pending"]


def test_nobody_takes_it_for_ready(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    waited = api.kubectl(
        "wait", "meg/outbound", "-n", namespace, "--for=condition=Ready", "--timeout=1s", check=False
    )
    assert waited.returncode != 0
    assert "timed out" in waited.stderr


def test_another_first_status_still_has_no_generation_observed(api: ControlPlane, namespace: str) -> None:
    """Somebody writes a status without `observedGeneration`: kstatus would skip its check, were it absent."""
    api.apply_text(MANIFEST, namespace=namespace)
    put_status(api, namespace, {"hostname": "mta.example.com"})
    assert read(api, namespace)["status"] == {"hostname": "mta.example.com", "observedGeneration": -1}


def test_defaults_are_only_the_three_policies(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    assert read(api, namespace)["spec"] == {
        "hostname": "mta.example.com",
        "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0", "region": "eu-west-1"}],
        "adoption": "Matching",
        "deletionPolicy": "Delete",
        "suspend": False,
    }


def test_a_ready_object_shows_its_values_in_columns(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    ready = Status(
        observed_generation=1,
        hostname="mta.example.com",
        public_ips=("203.0.113.10", "203.0.113.11"),
        zone=ZoneStatus("Z0123456789ABCDEFGHIJ", "example.com"),
        policy="team-a",
        forward=ForwardStatus(("203.0.113.10", "203.0.113.11"), 300, "C0123456789ABCDEFGHIJ"),
        addresses=(
            AddressStatus(
                selector="natGatewayID=nat-0123456789abcdef0@eu-west-1",
                public_ip="203.0.113.10",
                allocation_id="eipalloc-0123456789abcdef0",
                account_id="123456789012",
                region="eu-west-1",
                attached_to="nat-0123456789abcdef0",
                ptr="mta.example.com",
                ptr_origin=Origin.MANAGED,
                iprev="pass",
                reason="PTRInSync",
            ),
        ),
        last_handled_reconcile_at="2026-01-31T12:00:00Z",
        conditions=tuple(
            Condition(kind, "True", reason, "All is right.", 1, "2026-01-31T12:00:00Z")
            for kind, reason in [
                ("Ready", "Ready"),
                ("Accepted", "Accepted"),
                ("ForwardReady", "RecordInSync"),
                ("ReverseReady", "PTRInSync"),
                ("Resolved", "FCrDNSPass"),
            ]
        ),
        advisories=(Advisory("GenericName", Severity.WARNING, "A name.", ("203.0.113.10",)),),
    )
    put_status(api, namespace, ready.to_dict())
    body = read(api, namespace)
    # Nothing was pruned and nothing was added: each field of the model is a field of the schema.
    assert ready.matches(body["status"])
    assert parse_object(body).status == ready
    api.kubectl("wait", "meg/outbound", "-n", namespace, "--for=condition=Ready", "--timeout=1s")
    narrow = table(api, namespace)[1]
    assert narrow[2:7] == ["203.0.113.10,203.0.113.11", "True", "set", "True", "Ready"]
    header, wide = table(api, namespace, "-o", "wide")
    columns = ["ACCEPTED", "RESOLVED", "ZONE", "POLICY", "ADVISORIES", "SUSPEND", "MESSAGE"]
    assert header[8:] == columns
    assert wide[8:] == ["True", "True", "example.com", "team-a", "GenericName", "false", "All is right."]


def test_a_status_full_of_hostile_text_can_be_stored(api: ControlPlane, namespace: str) -> None:
    """One over-long string rejects a whole status: what the model writes fits, whatever AWS or DNS says."""
    api.apply_text(MANIFEST, namespace=namespace)
    hostile = "\x1b[31m\u202e\ud800\x00é\n" * 20_000
    entry = AddressStatus(*[hostile] * 7, Origin.ADOPTED, hostile, hostile)
    conditions = [Condition(f"T{n}{hostile}", hostile, hostile, hostile, 2**70, hostile) for n in range(20)]
    full = Status(
        observed_generation=2**70,
        hostname=hostile,
        public_ips=(hostile,) * 300,
        zone=ZoneStatus(hostile, hostile),
        forward=ForwardStatus((hostile,) * 500, 2**40, hostile),
        addresses=(entry,) * 200,
        last_handled_reconcile_at=hostile,
        conditions=tuple(conditions),
    )
    put_status(api, namespace, full.to_dict())
    stored = read(api, namespace)["status"]
    assert full.matches(stored)
    assert len(stored["addresses"]) == 80
    assert len(stored["conditions"]) == 8


def test_an_overlong_message_rejects_the_whole_status(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    status = initial_status().to_dict()
    status["conditions"][0]["message"] = "x" * 1025  # type: ignore[index]
    assert "Too long" in put_status(api, namespace, status, check=False)
    assert initial_status().matches(read(api, namespace)["status"])


def test_replacing_the_status_removes_injected_conditions(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    injected = Condition("Stalled", "True", "Injected", "by hand", 1, "2026-01-31T12:00:00Z")
    put_status(api, namespace, Status(observed_generation=999, conditions=(injected,)).to_dict())
    put_status(api, namespace, initial_status().to_dict())
    assert initial_status().matches(read(api, namespace)["status"])


def test_server_side_apply_by_another_manager_finds_no_difference(api: ControlPlane, namespace: str) -> None:
    """GitOps: neither a conflict nor a diff, also after the operator has written the status."""
    apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
    api.kubectl(*apply, "--field-manager=argocd-controller", stdin=MANIFEST)
    put_status(api, namespace, initial_status().to_dict())
    before = read(api, namespace)["metadata"]["resourceVersion"]
    diff = ("diff", "--server-side", "-n", namespace, "--field-manager=argocd-controller", "-f", "-")
    assert api.kubectl(*diff, stdin=MANIFEST).stdout == ""
    api.kubectl(*apply, "--field-manager=argocd-controller", stdin=MANIFEST)
    assert read(api, namespace)["metadata"]["resourceVersion"] == before
    # A second manager with the same wishes shares ownership and meets no conflict.
    api.kubectl(*apply, "--field-manager=flux", stdin=MANIFEST)
    assert read(api, namespace)["metadata"]["generation"] == 1


def test_a_client_side_diff_finds_no_difference(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    assert api.kubectl("diff", "-n", namespace, "-f", "-", stdin=MANIFEST).stdout == ""


def test_objects_are_found_by_hostname(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    api.apply_text(MANIFEST.replace("outbound", "other").replace("mta.", "smtp."), namespace=namespace)
    found = api.kubectl(
        "get", "meg", "-n", namespace, "--field-selector=spec.hostname=smtp.example.com", "-o", "name"
    )
    assert found.stdout.split() == ["mailegress.mailegress.io/other"]


def test_a_status_write_leaves_generation_and_spec_alone(api: ControlPlane, namespace: str) -> None:
    api.apply_text(MANIFEST, namespace=namespace)
    before = read(api, namespace)
    put_status(api, namespace, Status(observed_generation=1).to_dict())
    after = read(api, namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"] == before["spec"]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_samples_are_accepted_as_they_are(api: ControlPlane, namespace: str, path: Path) -> None:
    assert "created" in api.apply(path, namespace=namespace)
    (item,) = json.loads(api.kubectl("get", "meg", "-n", namespace, "-o", "json").stdout)["items"]
    parse_object(item)


@pytest.mark.parametrize(
    "field", ["hostname", "elasticIPs.natGatewayID", "forward.ttlSeconds", "deletionPolicy"]
)
def test_kubectl_explains_each_field_with_an_example(api: ControlPlane, field: str) -> None:
    words = api.kubectl("explain", f"mailegress.spec.{field}").stdout
    assert field.rpartition(".")[2] in words
    assert "Example:" in words


def test_a_second_kind_in_the_category_leaves_the_names_alone(
    api: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Were the category called like the kind, `kubectl get mailegress NAME` would become ambiguous here."""
    api.apply_text(MANIFEST, namespace=namespace)
    second = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "companions.second.mailegress.io"},
        "spec": {
            "group": "second.mailegress.io",
            "scope": "Namespaced",
            "names": {"kind": "Companion", "plural": "companions", "categories": [CATEGORY]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    path = tmp_path / "second.json"
    path.write_text(json.dumps(second))
    api.install_crds(path)
    try:
        companion = {
            "apiVersion": "second.mailegress.io/v1",
            "kind": "Companion",
            "metadata": {"name": "outbound"},
        }
        api.apply_text(json.dumps(companion), namespace=namespace)
        for name in ("mailegress", "mailegresses", "meg"):
            found = api.kubectl("get", name, "outbound", "-n", namespace, "-o", "name").stdout.split()
            assert found == ["mailegress.mailegress.io/outbound"]
        together = api.kubectl("get", CATEGORY, "-n", namespace, "-o", "name").stdout.split()
        assert sorted(together) == [
            "companion.second.mailegress.io/outbound",
            "mailegress.mailegress.io/outbound",
        ]
    finally:
        api.kubectl("delete", "crd", "companions.second.mailegress.io")
