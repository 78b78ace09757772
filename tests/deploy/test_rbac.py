"""The operator's rights in the cluster and in AWS are what it uses: how the whole suite's check decides.

The check itself is `scripts.rights_check`; it runs at the end of `make test`, over every request of every story.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.aws.model.iam import Use
from sandbox.controlplane.foreign import NamedCluster, NamedControlPlane
from scripts.rights_check import (
    EXTERNAL_DNS_RBAC,
    POLICY_RBAC,
    RBAC,
    Right,
    Rights,
    asked_rights,
    granted_rights,
    granted_uses,
    shipped_rights,
    used_rights,
)

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "mailegress-system"
GRANTED = {
    Right("list", "mailegress.io", "mailegresses"),
    Right("update", "mailegress.io", "mailegresses/status"),
    Right("get", "", "namespaces", "kube-system"),
    Right("create", "coordination.k8s.io", "leases", "", SYSTEM),
    Right("get", "coordination.k8s.io", "leases", "mailegress", SYSTEM),
}


def event(verb: str, decision: str = "allow", **target: str) -> dict[str, Any]:
    """One line of an audit log, as kube-apiserver writes it at level Metadata."""
    return {
        "kind": "Event",
        "verb": verb,
        **({"objectRef": target} if target else {}),
        "annotations": {"authorization.k8s.io/decision": decision},
    }


def used(*events: dict[str, Any]) -> set[str]:
    return set(map(str, used_rights(asked_rights(events), GRANTED)))


# ---------------------------------------------------------------- the manifest


def test_the_manifest_grants_no_wildcard_and_no_more_than_one_lease_and_one_namespace() -> None:
    granted = granted_rights(yaml.safe_load_all(RBAC.read_text()))
    assert granted, "no rules found"
    for right in granted:
        assert "*" not in (right.verb, right.group, right.resource)
        assert right.resource not in ("secrets", "configmaps", "pods", "serviceaccounts")
    assert {r.name for r in granted if r.resource == "namespaces"} == {"kube-system"}
    leases = [r for r in granted if r.resource == "leases"]
    assert {r.namespace for r in leases} == {SYSTEM}
    assert {r.name for r in leases if r.verb != "create"} == {"mailegress"}


def test_policies_add_reading_them_and_namespaces_and_writing_their_status_only() -> None:
    granted = granted_rights(yaml.safe_load_all(POLICY_RBAC.read_text()))
    assert granted == {
        Right("list", "mailegress.io", "mailegresspolicies"),
        Right("watch", "mailegress.io", "mailegresspolicies"),
        Right("patch", "mailegress.io", "mailegresspolicies/status"),
        Right("list", "", "namespaces"),
        Right("watch", "", "namespaces"),
    }
    base = granted_rights(yaml.safe_load_all(RBAC.read_text()))
    assert not granted & base
    external = granted_rights(yaml.safe_load_all(EXTERNAL_DNS_RBAC.read_text()))
    assert shipped_rights() == granted | base | external


def test_external_dns_adds_its_endpoints_only() -> None:
    granted = granted_rights(yaml.safe_load_all(EXTERNAL_DNS_RBAC.read_text()))
    verbs = ("get", "list", "watch", "create", "patch", "delete")
    assert granted == {Right(verb, "externaldns.k8s.io", "dnsendpoints") for verb in verbs}
    assert not granted & granted_rights(yaml.safe_load_all(RBAC.read_text()))


# ---------------------------------------------------------------- one request


def test_a_request_is_told_in_the_words_of_the_grant_that_covers_it() -> None:
    assert used(
        event("list", apiGroup="mailegress.io", resource="mailegresses", namespace="mail"),
        event("update", apiGroup="mailegress.io", resource="mailegresses", subresource="status", name="a"),
        event("get", resource="namespaces", namespace="kube-system", name="kube-system"),
        event(
            "create", apiGroup="coordination.k8s.io", resource="leases", namespace=SYSTEM, name="mailegress"
        ),
        event("get"),
    ) == {
        "list mailegresses.mailegress.io",
        "update mailegresses/status.mailegress.io",
        "get namespaces kube-system",
        f"create leases.coordination.k8s.io in {SYSTEM}",
    }


@pytest.mark.parametrize("decision", ["allow", "forbid"])
def test_what_nothing_covers_counts_whether_it_was_refused_or_let_through_by_other_roles(
    decision: str,
) -> None:
    assert used(
        event("get", decision, resource="namespaces", namespace="mail", name="mail"),
        event(
            "delete", decision, apiGroup="mailegress.io", resource="mailegresses", name="a", namespace="mail"
        ),
        event(
            "get", decision, apiGroup="coordination.k8s.io", resource="leases", name="other", namespace=SYSTEM
        ),
    ) == {
        "get namespaces mail in mail",
        "delete mailegresses.mailegress.io a in mail",
        f"get leases.coordination.k8s.io other in {SYSTEM}",
    }


def test_a_refusal_of_what_is_granted_proves_no_use() -> None:
    """A story took the right away, or the API server had not read its roles yet."""
    assert used(event("list", "forbid", apiGroup="mailegress.io", resource="mailegresses")) == set()


def test_a_cluster_that_is_not_ours_to_configure_is_named(tmp_path: Path) -> None:
    plane = NamedControlPlane(NamedCluster(tmp_path / "config", "lab"), tmp_path / "kubectl", "v1.37.2", {})
    rights = Rights(tmp_path)
    rights.watch(plane)
    [failure] = rights.to_json()["failures"]
    assert "context lab of" in failure
    assert "MAILEGRESS_SANDBOX_CONTROLPLANE=build" in failure


# ---------------------------------------------------------------- IAM


def test_every_value_of_a_policy_is_a_grant_of_its_own() -> None:
    document = {
        "Statement": [
            {
                "Sid": "Change",
                "Action": ["route53:ChangeResourceRecordSets"],
                "Resource": "arn:aws:route53:::hostedzone/Z1",
                "Condition": {"ForAllValues:StringEquals": {"route53:Types": ["A", "TXT"]}},
            },
            {"Sid": "Read", "Action": ["ec2:DescribeAddresses", "ec2:DescribeNatGateways"], "Resource": "*"},
        ]
    }
    change = "p.json Change: route53:ChangeResourceRecordSets"
    written = granted_uses({"p.json": document})
    assert written[Use("p.json", 0, "route53:ChangeResourceRecordSets", "route53:Types", 1)].endswith(
        "Types TXT"
    )
    assert set(written.values()) == {
        f"{change}, Action route53:ChangeResourceRecordSets",
        f"{change}, Resource arn:aws:route53:::hostedzone/Z1",
        f"{change}, route53:Types A",
        f"{change}, route53:Types TXT",
        "p.json Read: ec2:DescribeAddresses, Action ec2:DescribeAddresses",
        "p.json Read: ec2:DescribeAddresses, Resource *",
        "p.json Read: ec2:DescribeNatGateways, Action ec2:DescribeNatGateways",
        "p.json Read: ec2:DescribeNatGateways, Resource *",
    }


# ---------------------------------------------------------------- the run

SUITE = """
import json
import pytest
from sandbox.shipped import DIRECTORY, POLICIES
from scripts.rights_check import granted_uses, shipped_rights

ASKED = [[r.verb, r.group, r.resource, r.name, r.namespace, True] for r in sorted(shipped_rights())]
USES = [
    [u.policy, u.statement, u.action, u.part, u.place]
    for u in granted_uses({name: json.loads((DIRECTORY / name).read_text()) for name in POLICIES})
]

def tell(rights, asked=(), uses=(), refused=(), failures=()):
    rights.add({"asked": asked, "uses": uses, "refused": refused, "failures": failures})

def test_first(rights): tell(rights, ASKED[:3], USES[:10])
def test_rest(rights): tell(rights, ASKED[3:], USES[10:])
def test_less(rights): tell(rights, ASKED[4:], USES[11:])
def test_more(rights): tell(rights, [["delete", "", "pods", "a", "mail", False]], [], ["ec2:ReleaseAddress on x"])
def test_no_log(rights): tell(rights, failures=["kind cluster x keeps no audit log"])
"""


def run(folder: Path, *chosen: str, workers: int = 0) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(SUITE)
    arguments = ["-p", "scripts.rights_check", "--rights=out", "--junit-xml=junit.xml", "-n", str(workers)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "-k", " or ".join(chosen)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'operator'}", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_equal_sets_change_nothing_however_many_processes_saw_them(tmp_path: Path, workers: int) -> None:
    done = run(tmp_path, "first", "rest", workers=workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout.splitlines()[-1]
    for name in ("rbac", "iam"):
        report = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert report["granted"] == report["used"] != []


def test_a_right_that_nothing_used_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "first", "less")
    assert done.returncode == 1
    # (In CI pytest repeats them in its summary.)
    told = {line.strip() for line in done.stdout.splitlines() if "granted, never used: " in line}
    assert len(told) == 2, done.stdout
    assert "2 failed" in done.stdout.splitlines()[-1]
    assert "granted, never used" in (tmp_path / "junit.xml").read_text()


def test_a_request_beyond_the_rights_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "first", "rest", "more")
    assert done.returncode == 1
    assert "used, not granted: delete pods a in mail" in done.stdout
    assert "used, not granted: ec2:ReleaseAddress on x" in done.stdout
    assert "delete pods a in mail" in json.loads((tmp_path / "out" / "rbac.json").read_text())["used"]


def test_a_control_plane_that_keeps_no_log_is_no_proof(tmp_path: Path) -> None:
    done = run(tmp_path, "first", "rest", "no_log")
    assert done.returncode == 1
    assert "kind cluster x keeps no audit log" in done.stdout
