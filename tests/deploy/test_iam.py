"""The IAM policies: what the operator calls, nothing more, and never an overwrite."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailegress.aws.api import AwsApi
from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault
from sandbox.cloud import OPERATOR_ARN, OPERATOR_KEY, OPERATOR_USER
from sandbox.shipped import ASSUME_POLICY, EIP_POLICY, TAGGED_POLICY, ZONE_POLICY, fill

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
        assert statement["Effect"] == "Allow" or name == "zone-account.json"
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
        s
        for s in statements(root, "zone-account.json")
        if "route53:ChangeResourceRecordSets" in actions(s) and s["Effect"] == "Allow"
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


def test_the_tagged_variant_differs_only_by_its_condition_and_its_region(root: Path) -> None:
    plain, tagged = statements(root, "eip-account.json"), statements(root, "eip-account-tagged.json")
    tagged[1]["Resource"] = tagged[1]["Resource"].replace(":ec2:eu-west-1:", ":ec2:*:")
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


def test_only_the_operators_own_pods_may_use_the_role_of_pod_identity(root: Path) -> None:
    """Without the condition any association in the account may. The tags are those that EKS passes ("Create IAM role
    with trust policy required by EKS Pod Identity")."""
    (statement,) = statements(root, "trust-pod-identity.json")
    tags = statement["Condition"]["StringEquals"]
    assert tags["aws:RequestTag/kubernetes-namespace"] == "mailegress-system"
    assert tags["aws:RequestTag/kubernetes-service-account"] == "mailegress"
    assert tags["aws:RequestTag/eks-cluster-arn"].startswith("arn:aws:eks:")


@pytest.mark.parametrize("page", ["README.md", "docs/iam.md"])
def test_the_limited_policy_is_the_first_one_that_a_reader_meets(root: Path, page: str) -> None:
    text = (root / page).read_text()
    first = text.index("generated: iam-eip-account-tagged.json")
    assert text.find("generated: iam-eip-account.json") in (-1, *range(first, len(text)))


# ---------------------------------------------------------------- the policies in an AWS that obeys them


@pytest.fixture
def aws() -> LocalAws:
    """Two hosted zones; the operator's calls, and nothing attached yet."""
    aws = LocalAws()
    aws.model.settings.ptr_precondition = "off"
    aws.model.sts.register_key(OPERATOR_KEY, aws.model.settings.default_account, OPERATOR_USER)
    aws.access_key = OPERATOR_KEY
    for name in ("example.com", "example.net"):
        aws.model.account().route53.add_zone(name, zone_id="Z" + name.upper().replace(".", ""))
    return aws


def send(aws: LocalAws, *changes: tuple[str, str, str, str], zone: str = "ZEXAMPLECOM") -> Any:
    """One batch of (action, name, type, value), when the zone is no longer busy with the one before."""
    aws.clock.advance(60)
    return aws.route53(
        "ChangeResourceRecordSets",
        HostedZoneId=zone,
        ChangeBatch={
            "Changes": [
                {
                    "Action": action,
                    "ResourceRecordSet": {
                        "Name": name,
                        "Type": rtype,
                        "TTL": 300,
                        "ResourceRecords": [{"Value": value}],
                    },
                }
                for action, name, rtype, value in changes
            ]
        },
    )


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(AwsFault) as caught:
        call()
    return caught.value.code


def test_records_are_created_and_deleted_but_never_overwritten(aws: LocalAws) -> None:
    aws.model.policy.attach(OPERATOR_ARN, fill(ZONE_POLICY, zone_id="ZEXAMPLECOM"))
    record = ("MTA.example.com.", "A", "192.0.2.1")
    mark = ("_mailegress.mta.example.com", "TXT", '"meg1 c owner uid"')
    send(aws, ("CREATE", *record), ("CREATE", *mark))
    upsert = ("UPSERT", "mta.example.com", "A", "192.0.2.2")
    assert refusal(partial(send, aws, upsert)) == "AccessDenied"
    # One change that is not allowed takes the whole batch with it.
    assert refusal(partial(send, aws, ("DELETE", *mark), upsert)) == "AccessDenied"
    assert refusal(partial(send, aws, ("CREATE", "mta.example.com", "AAAA", "2001:db8::1"))) == "AccessDenied"
    assert (
        refusal(partial(send, aws, ("CREATE", "example.com", "MX", "10 mx.example.com."))) == "AccessDenied"
    )
    send(aws, ("DELETE", *record), ("DELETE", *mark))
    other = ("CREATE", "mta.example.net", "A", "192.0.2.1")
    assert refusal(partial(send, aws, other, zone="ZEXAMPLENET")) == "AccessDenied"
    for operation in ("CreateHostedZone", "DeleteHostedZone", "ListHostedZonesByName"):
        assert refusal(partial(aws.route53, operation, Id="ZEXAMPLECOM")) == "AccessDenied"


def test_a_part_of_a_zone_can_be_all_that_is_allowed(aws: LocalAws) -> None:
    """The names in the condition need not be the zone's."""
    aws.model.policy.attach(
        OPERATOR_ARN, fill(ZONE_POLICY, zone_id="ZEXAMPLECOM", zone_name="out.example.com")
    )
    send(aws, ("CREATE", "mta.out.example.com", "A", "192.0.2.1"))
    for name in ("www.example.com", "mta.about.example.com", "example.com"):
        assert refusal(partial(send, aws, ("CREATE", name, "A", "192.0.2.1"))) == "AccessDenied"


@pytest.mark.parametrize("label", ["_acme-challenge", "_dmarc", "s1._domainkey", "_mta-sts", "_smtp._tls"])
@pytest.mark.parametrize("below", ["", "mta."])
def test_names_that_prove_control_or_set_mail_policy_are_denied(
    aws: LocalAws, label: str, below: str
) -> None:
    """Beside the operator's own record too: one name that is denied takes the whole batch with it."""
    aws.model.policy.attach(OPERATOR_ARN, fill(ZONE_POLICY, zone_id="ZEXAMPLECOM"))
    denied = ("CREATE", f"{label}.{below}example.com", "TXT", '"v"')
    assert refusal(partial(send, aws, denied)) == "AccessDenied"
    own = ("CREATE", "_mailegress.mta.example.com", "TXT", '"meg1 c owner uid"')
    assert refusal(partial(send, aws, own, denied)) == "AccessDenied"
    send(aws, own)


def test_the_region_decides_which_addresses_get_a_ptr(aws: LocalAws) -> None:
    tag = {"mailegress.io/managed": "true"}
    eip = aws.model.account().region(aws.region).addresses.allocate(tags=tag)
    modify = partial(aws.ec2, "ModifyAddressAttribute", DomainName="mta.example.com")
    elsewhere = fill(TAGGED_POLICY, account=eip.account, region="eu-south-2")
    aws.model.policy.attach(OPERATOR_ARN, elsewhere)
    assert refusal(partial(modify, AllocationId=eip.allocation_id)) == "UnauthorizedOperation"
    aws.model.policy.attach(OPERATOR_ARN, fill(TAGGED_POLICY, account=eip.account, region=aws.region))
    modify(AllocationId=eip.allocation_id)


def test_the_tag_decides_which_addresses_get_a_ptr(aws: LocalAws) -> None:
    addresses = aws.model.account().region(aws.region).addresses
    tag = {"mailegress.io/managed": "true"}
    tagged, otherwise, plain = (addresses.allocate(tags=t) for t in (tag, dict.fromkeys(tag, "no"), None))
    modify = partial(aws.ec2, "ModifyAddressAttribute", DomainName="mta.example.com")
    reset = partial(aws.ec2, "ResetAddressAttribute", Attribute="domain-name")
    aws.model.policy.attach(OPERATOR_ARN, fill(TAGGED_POLICY))
    assert len(aws.ec2("DescribeAddresses")["Addresses"]) == 3
    modify(AllocationId=tagged.allocation_id)
    reset(AllocationId=tagged.allocation_id)
    for eip in (otherwise, plain):
        for call in (modify, reset):
            assert refusal(partial(call, AllocationId=eip.allocation_id)) == "UnauthorizedOperation"
    aws.model.policy.detach()
    aws.model.policy.attach(OPERATOR_ARN, fill(EIP_POLICY))
    modify(AllocationId=plain.allocation_id)
    assert (
        refusal(partial(aws.ec2, "ReleaseAddress", AllocationId=plain.allocation_id))
        == "UnauthorizedOperation"
    )


def test_a_policy_of_another_account_or_partition_fits_nothing_here(aws: LocalAws) -> None:
    eip = aws.model.account().region(aws.region).addresses.allocate()
    modify = partial(
        aws.ec2, "ModifyAddressAttribute", AllocationId=eip.allocation_id, DomainName="mta.example.com"
    )
    for policy in (fill(EIP_POLICY, account="444455556666"), fill(EIP_POLICY, "aws-us-gov")):
        aws.model.policy.detach()
        aws.model.policy.attach(OPERATOR_ARN, policy)
        assert refusal(modify) == "UnauthorizedOperation"


def test_only_the_two_roles_can_be_assumed() -> None:
    zone, eip = "arn:aws:iam::222233334444:role/dns", "arn:aws:iam::333344445555:role/addresses"
    [statement] = fill(ASSUME_POLICY, zone_role=zone, eip_role=eip)["Statement"]
    assert sorted(statement["Resource"]) == sorted([zone, eip])
    assert "*" not in json.dumps(statement)
