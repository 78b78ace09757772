"""The IAM policies: what the operator calls, nothing more, and never an overwrite."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailegress.aws.api import AwsApi

POLICIES = [
    "zone-account.json",
    "eip-account.json",
    "eip-account-tagged.json",
    "operator-assume-roles.json",
    "trust-cross-account.json",
    "trust-irsa.json",
    "trust-pod-identity.json",
]


def statements(root: Path, name: str) -> list[dict[str, Any]]:
    policy = json.loads((root / "deploy" / "iam" / name).read_text())
    assert policy["Version"] == "2012-10-17"
    found = policy["Statement"]
    assert isinstance(found, list)
    return found


def actions(statement: dict[str, Any]) -> list[str]:
    given = statement["Action"]
    return [given] if isinstance(given, str) else list(given)


def granted(root: Path, *names: str) -> set[str]:
    return {action for name in names for s in statements(root, name) for action in actions(s)}


def test_every_policy_in_the_directory_is_known_here_and_described(root: Path) -> None:
    directory = root / "deploy" / "iam"
    assert sorted(path.name for path in directory.glob("*.json")) == sorted(POLICIES)
    text = (directory / "README.md").read_text()
    assert all(f"`{name}`" in text for name in POLICIES)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_has_no_wildcard_action_and_no_upsert(root: Path, name: str) -> None:
    text = (root / "deploy" / "iam" / name).read_text()
    assert "UPSERT" not in text
    for statement in statements(root, name):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        for action in actions(statement):
            assert re.fullmatch(r"(ec2|route53|sts):[A-Za-z]+", action)
        assert statement.get("Principal") not in ("*", {"AWS": "*"})


@pytest.mark.parametrize("eip", ["eip-account.json", "eip-account-tagged.json"])
def test_the_policies_grant_exactly_the_operations_of_the_aws_seam(root: Path, eip: str) -> None:
    operations = {
        "".join(part.capitalize() for part in name.split("_"))
        for name in vars(AwsApi)
        if not name.startswith("_")
    } - {"GetCallerIdentity"}  # needs no permission (STS API reference)
    assert {action.partition(":")[2] for action in granted(root, "zone-account.json", eip)} == operations


def test_record_changes_are_limited_to_one_zone_and_to_exact_creates_and_deletes_of_a_and_txt(
    root: Path,
) -> None:
    (change,) = [
        s for s in statements(root, "zone-account.json") if "route53:ChangeResourceRecordSets" in actions(s)
    ]
    assert re.fullmatch(r"arn:aws:route53:::hostedzone/Z[A-Z0-9]+", change["Resource"])
    equals = change["Condition"]["ForAllValues:StringEquals"]
    assert equals["route53:ChangeResourceRecordSetsActions"] == ["CREATE", "DELETE"]
    assert equals["route53:ChangeResourceRecordSetsRecordTypes"] == ["A", "TXT"]
    # IAM compares normalised names: lower case, no trailing dot ("Using IAM policy conditions", Route 53).
    for pattern in change["Condition"]["ForAllValues:StringLike"][
        "route53:ChangeResourceRecordSetsNormalizedRecordNames"
    ]:
        assert pattern == pattern.lower()
        assert not pattern.endswith(".")


@pytest.mark.parametrize("eip", ["eip-account.json", "eip-account-tagged.json"])
def test_only_reads_stand_on_every_resource(root: Path, eip: str) -> None:
    for statement in [*statements(root, eip), *statements(root, "zone-account.json")]:
        if statement["Resource"] == "*":
            for action in actions(statement):
                assert action.partition(":")[2].startswith(("Describe", "List"))


def test_the_tagged_variant_differs_only_by_its_condition(root: Path) -> None:
    plain, tagged = statements(root, "eip-account.json"), statements(root, "eip-account-tagged.json")
    assert plain[0] == tagged[0]
    condition = tagged[1].pop("Condition")
    assert condition == {"StringEquals": {"aws:ResourceTag/mailegress.io/managed": "true"}}
    assert {**plain[1], "Sid": ""} == {**tagged[1], "Sid": ""}


def test_a_role_of_another_account_wants_the_external_id(root: Path) -> None:
    (statement,) = statements(root, "trust-cross-account.json")
    assert "sts:ExternalId" in statement["Condition"]["StringEquals"]


def test_the_service_account_of_the_trust_policy_is_the_one_that_is_deployed(root: Path) -> None:
    (statement,) = statements(root, "trust-irsa.json")
    subjects = [v for k, v in statement["Condition"]["StringEquals"].items() if k.endswith(":sub")]
    assert subjects == ["system:serviceaccount:mailegress-system:mailegress"]
