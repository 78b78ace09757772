"""Which MailEgressPolicies the API server takes, which it refuses, and with which message."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane

TABLE = yaml.safe_load((Path(__file__).parent / "policies.yaml").read_text())


def manifest(change: dict[str, Any], name: str = "subject") -> dict[str, Any]:
    """The base with parts replaced; a part or a field that is None is left out."""
    spec = {
        part: {field: v for field, v in value.items() if v is not None} if isinstance(value, dict) else value
        for part, value in {**TABLE["base"], **change}.items()
        if value is not None
    }
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgressPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def dry_run(api: ControlPlane, body: dict[str, Any]) -> tuple[bool, str]:
    """Ask the API server whether it would take this policy; its message if not."""
    done = api.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", TABLE["accepted"], ids=lambda case: case["name"])
def test_a_valid_policy_is_accepted(api: ControlPlane, case: dict[str, Any]) -> None:
    accepted, message = dry_run(api, manifest(case["spec"]))
    assert accepted, message


@pytest.mark.parametrize("case", TABLE["refused"], ids=lambda case: case["name"])
def test_an_invalid_policy_is_refused_with_the_value_and_the_fix(
    api: ControlPlane, case: dict[str, Any]
) -> None:
    accepted, message = dry_run(api, manifest(case["spec"]))
    assert not accepted
    for part in case["says"]:
        assert part in message


@pytest.mark.parametrize("field", ["suffixes", "names"])
def test_one_mistake_gives_one_message(api: ControlPlane, field: str) -> None:
    mistakes = ["Mail.example.com", "mail.example.com.", "*.example.com", "m_a.example.com", "203.0.113.10"]
    mistakes += ["localhost", "mail.example.1", "mail..example.com", "-a.example.com", "mail example.com"]
    mistakes += ["a" * 64 + ".example.com"] + ([".mail.example.com"] if field == "suffixes" else [])
    for mistake in mistakes:
        _, message = dry_run(api, manifest({"hostnames": {field: [mistake]}}))
        assert len(re.findall(rf"spec\.hostnames\.{field}\[0\]", message)) == 1, message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"priority": 1}, "spec.priority"),
        ({"addresses": {"any": True, "tags": {"team": "a"}}}, "spec.addresses.tags"),
        ({"roleARN": "arn:aws:iam::123456789012:role/other"}, "spec.roleARN"),
    ],
)
def test_kubectl_refuses_unknown_fields(api: ControlPlane, change: dict[str, Any], named: str) -> None:
    accepted, message = dry_run(api, manifest(change))
    assert not accepted
    assert f'unknown field "{named}"' in message


def largest() -> dict[str, Any]:
    """A policy with every list full of the longest entries."""
    label = "b" * 59
    return {
        "namespaces": {"names": [f"{n:03}" + "a" * 60 for n in range(100)]},
        "hostnames": {
            "suffixes": [f"{n:02}{'c' * 41}.{label}.{label}.{label}.mta.example.com" for n in range(32)],
            "names": [f"{n:02}{'c' * 43}.{label}.{label}.{label}.mta.example.com" for n in range(64)],
        },
        "hostedZoneIDs": [f"Z{n:031}" for n in range(32)],
        "addresses": {
            "allocationIDs": [f"eipalloc-{n:032}" for n in range(256)],
            "natGatewayIDs": [f"nat-{n:032}" for n in range(64)],
            "matchTags": {f"{n}" + "k" * 127: "v" * 256 for n in range(8)},
            "regions": [f"abcdefgh-abcdefghijklmnop-abcdefghijklmnop-{n + 10}" for n in range(32)],
        },
        "management": ["Managed", "Observed"],
        "allowRetain": True,
        "maxMailEgresses": 10000,
    }


def test_the_largest_policy_is_not_too_expensive_to_check(api: ControlPlane) -> None:
    accepted, message = dry_run(api, manifest(largest()))
    assert accepted, message


def test_the_largest_invalid_policy_is_refused_with_a_fix_and_not_with_its_cost(api: ControlPlane) -> None:
    spec = largest()
    spec["hostnames"] = {field: [n.upper() for n in names] for field, names in spec["hostnames"].items()}
    accepted, message = dry_run(api, manifest(spec))
    assert not accepted
    assert "has upper-case letters; write '00ccc" in message
    assert "budget" not in message


def test_applying_twice_changes_nothing_and_the_defaults_are_shown(api: ControlPlane) -> None:
    body = manifest({}, "twice")
    try:
        assert "created" in api.apply_text(json.dumps(body))
        assert "unchanged" in api.apply_text(json.dumps(body))
        assert api.kubectl("diff", "-f", "-", stdin=json.dumps(body)).stdout == ""
        stored = json.loads(api.kubectl("get", "megp", "twice", "-o", "json").stdout)
        assert stored["spec"] == body["spec"] | {
            "management": ["Managed"],
            "allowRetain": False,
            "maxMailEgresses": 50,
        }
        assert "status" not in stored
    finally:
        api.kubectl("delete", "megp", "twice")


def test_the_columns_show_what_is_allowed_where_and_for_how_many(api: ControlPlane) -> None:
    change = {"namespaces": {"names": ["team-a", "team-b"]}, "management": ["Managed", "Observed"]}
    try:
        api.apply_text(json.dumps(manifest(change, "columns")))
        path = "/apis/mailegress.io/v1alpha1/mailegresspolicies/columns/status"
        body = json.loads(api.kubectl("get", "megp", "columns", "-o", "json").stdout)
        status = {"mode": "Audit", "namespaces": 2, "allowed": 12, "refused": 1, "problem": "None."}
        body["status"] = status
        api.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(body))
        stored = json.loads(api.kubectl("get", "megp", "columns", "-o", "json").stdout)
        assert stored["status"] == status
        assert stored["metadata"]["generation"] == 1
        header, row = (
            re.split(r"\s{2,}", line.strip())
            for line in api.kubectl("get", "megp", "-o", "wide").stdout.splitlines()
        )
        shown = dict(zip(header, row, strict=False))
        assert shown["NAMESPACES"] == '["team-a","team-b"]'
        assert shown["SUFFIXES"] == '["mail.example.com"]'
        assert (shown["ALLOWED"], shown["REFUSED"]) == ("12", "1")
        assert header[:4] == ["NAME", "NAMESPACES", "SUFFIXES", "AGE"]
        assert header[4:8] == ["ALLOWED", "REFUSED", "MODE", "PROBLEM"]
        assert header[8:] == ["LABELS", "NAMES", "MANAGEMENT", "LIMIT"]
        assert row[-2:] == ['["Managed","Observed"]', "50"]
    finally:
        api.kubectl("delete", "megp", "columns")


@pytest.mark.parametrize("field", ["namespaces.matchLabels", "hostnames.suffixes", "addresses", "management"])
def test_kubectl_explains_each_field_with_an_example(api: ControlPlane, field: str) -> None:
    text = api.kubectl("explain", f"megp.spec.{field}").stdout
    assert field.rpartition(".")[2] in text
    assert "Example:" in text
