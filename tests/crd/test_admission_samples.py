"""The sample ValidatingAdmissionPolicies of ``deploy/admission`` do on a real API server what their comments say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.controlplane import ControlPlane

SAMPLES = Path(__file__).parents[2] / "deploy" / "admission"
OPERATOR = ("--as=system:serviceaccount:mailegress-system:mailegress", "--as-group=system:masters")

Apply = Callable[[str, str], str]


def mailegress(hostname: str, name: str = "subject", **metadata: object) -> str:
    body = {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": name, **metadata},
        "spec": {"hostname": hostname, "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0"}]},
    }
    return json.dumps(body)


def policy(name: str, namespaces: dict[str, object], **hostnames: list[str]) -> str:
    spec = {"namespaces": namespaces, "hostnames": hostnames, "addresses": {"any": True}}
    body = {"apiVersion": "mailegress.io/v1alpha1", "kind": "MailEgressPolicy", "metadata": {"name": name}}
    return json.dumps(body | {"spec": spec})


def sample(name: str, *actions: str) -> str:
    """A sample; its binding with these actions, if any are given."""
    documents = list(yaml.safe_load_all((SAMPLES / name).read_text()))
    if actions:
        documents[1]["spec"]["validationActions"] = list(actions)
    return yaml.safe_dump_all(documents)


@pytest.fixture(scope="module")
def tenants(api: ControlPlane) -> Iterator[ControlPlane]:
    """Three namespaces: one that a policy selects by name, one by label, and one that none selects."""
    api.apply_text(policy("feedback-a", {"names": ["feedback-a"]}, suffixes=["a.example.com"]))
    labels: dict[str, object] = {"matchLabels": {"tenant": "b"}}
    api.apply_text(policy("feedback-b", labels, suffixes=["b.example.com"], names=["example.com"]))
    for name in ("feedback-a", "feedback-b", "feedback-c"):
        api.kubectl("create", "namespace", name)
    api.kubectl("label", "namespace", "feedback-b", "tenant=b")
    yield api
    api.kubectl("delete", "megp", "feedback-a", "feedback-b")
    api.kubectl("delete", "namespace", "feedback-a", "feedback-b", "feedback-c", "--wait=false")


@pytest.fixture
def feedback(tenants: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Apply]:
    """The feedback in force with the actions of the test's parameter; asks for an object's admission in a namespace."""
    api = tenants
    text = sample("hostname-feedback.yaml", request.param)
    api.apply_text(text)

    def ask(namespace: str, hostname: str) -> str:
        done = api.kubectl(
            "create", "--dry-run=server", "-n", namespace, "-f", "-", stdin=mailegress(hostname), check=False
        )
        return done.stdout + done.stderr

    said = {"Warn": "Warning: ", "Deny": "denied request"}[request.param]

    def in_force() -> bool:
        """For every policy; what an earlier test applied may still be in force instead."""
        return all(said in ask(namespace, "www.example.com") for namespace in ("feedback-a", "feedback-b"))

    # An admission policy is in force a moment after it is stored.
    api.wait_until(in_force, 30, "the policy to be in force")
    try:
        yield ask
    finally:
        api.kubectl("delete", "-f", "-", stdin=text)


@pytest.mark.parametrize("feedback", ["Warn"], indirect=True)
def test_a_hostname_that_is_not_allowed_is_warned_about_and_taken(feedback: Apply) -> None:
    text = feedback("feedback-a", "xa.example.com")
    assert "Warning:" in text
    assert "hostname 'xa.example.com' is not allowed in namespace 'feedback-a'" in text
    assert "MailEgressPolicy 'feedback-a'" in text
    assert "created (server dry run)" in text


@pytest.mark.parametrize("feedback", ["Deny"], indirect=True)
def test_with_deny_it_is_refused_where_one_policy_selects_the_namespace(feedback: Apply) -> None:
    for namespace, hostname, allowed in (
        ("feedback-a", "mta.a.example.com", True),
        ("feedback-a", "a.example.com", False),
        ("feedback-a", "xa.example.com", False),
        ("feedback-a", "mta.a.example.com.evil.org", False),
        ("feedback-a", "mta.b.example.com", False),
        ("feedback-b", "mta.b.example.com", True),
        ("feedback-b", "example.com", True),
        ("feedback-b", "mta.a.example.com", False),
        # No policy selects it: only the operator refuses that.
        ("feedback-c", "mta.a.example.com", True),
    ):
        text = feedback(namespace, hostname)
        assert ("created (server dry run)" in text) is allowed, text
        assert ("is not allowed in namespace" in text) is not allowed, text


def test_only_the_operator_removes_its_finalizer(api: ControlPlane, namespace: str) -> None:
    text = sample("finalizer.yaml")
    api.apply_text(text)
    patch = ("patch", "meg", "subject", "-n", namespace, "--type=merge", "-p")
    gone, kept = (
        '{"metadata":{"finalizers":null}}',
        '{"metadata":{"finalizers":["mailegress.io/cleanup","b.example.com/x"]}}',
    )
    try:
        api.apply_text(
            mailegress("mta.example.com", finalizers=["mailegress.io/cleanup"]), namespace=namespace
        )

        def refused() -> bool:
            done = api.kubectl(*patch, gone, "--dry-run=server", check=False)
            return "only the operator removes the finalizer" in done.stderr

        api.wait_until(refused, 30, "the policy to be in force")
        api.kubectl("delete", "meg", "subject", "-n", namespace, "--wait=false")
        done = api.kubectl(*patch, gone, check=False)
        assert done.returncode != 0
        assert f"'{namespace}/subject'" in done.stderr
        assert "spec.deletionPolicy: Retain" in done.stderr
        # Other edits stay possible, also of other finalizers. (None can be added while it is being deleted.)
        api.kubectl(*patch, '{"spec":{"deletionPolicy":"Retain"}}')
        assert "only the operator" not in api.kubectl(*patch, kept, check=False).stderr
        api.kubectl(*patch, gone, *OPERATOR)
        assert "not found" in api.kubectl("get", "meg", "subject", "-n", namespace, check=False).stderr
    finally:
        api.kubectl("delete", "-f", "-", stdin=text)
