"""IAM policy documents: the conditions by which the operator's permissions can be narrowed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault

ME = "arn:aws:iam::111122223333:user/sandbox"
NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
ACTIONS = "route53:ChangeResourceRecordSetsActions"


def statement(*actions: str, resource: str = "*", effect: str = "Allow", **conditions: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"Effect": effect, "Action": list(actions), "Resource": resource}
    if conditions:
        out["Condition"] = conditions["condition"]
    return out


def attach(aws: LocalAws, *statements: dict[str, Any]) -> None:
    aws.model.policy.attach(ME, {"Version": "2012-10-17", "Statement": list(statements)})


def code_of(send: Callable[[], Any]) -> str:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value.code


def test_upsert_and_other_names_can_be_forbidden(
    aws: LocalAws, zone: str, change: Callable[..., Any]
) -> None:
    """Page "Using IAM policy conditions for fine-grained access control to manage resource record sets"."""
    condition = {
        "ForAllValues:StringLike": {NAMES: ["mta.example.com", "_mailegress.*"]},
        "ForAllValues:StringEquals": {ACTIONS: ["CREATE", "DELETE"]},
    }
    arn = f"arn:aws:route53:::hostedzone/{zone}"
    attach(aws, statement("route53:ChangeResourceRecordSets", resource=arn, condition=condition))
    mark = '"meg1 c owner uid"'
    change(
        ("CREATE", "MTA.example.com.", "A", "192.0.2.1"),
        ("CREATE", "_mailegress.mta.example.com", "TXT", mark),
    )
    upsert = partial(change, ("UPSERT", "mta.example.com", "A", "192.0.2.2"))
    assert code_of(upsert) == "AccessDenied"
    assert code_of(partial(change, ("CREATE", "other.example.com", "A", "192.0.2.2"))) == "AccessDenied"
    other = aws.model.account().route53.add_zone("example.net").id
    elsewhere = partial(change, ("CREATE", "mta.example.com", "A", "192.0.2.2"), zone_id=other)
    assert code_of(elsewhere) == "AccessDenied"
    assert code_of(partial(aws.route53, "ListHostedZones")) == "AccessDenied"
    aws.model.policy.detach()
    upsert()


def test_only_tagged_addresses_may_be_modified(aws: LocalAws) -> None:
    """Service authorization reference, EC2: aws:ResourceTag on elastic-ip; describe has no resources."""
    aws.model.settings.ptr_precondition = "off"
    addresses = aws.model.account().region(aws.region).addresses
    tagged, plain = addresses.allocate(tags={"mailegress": "yes"}), addresses.allocate()
    attach(
        aws,
        statement("ec2:Describe*"),
        statement(
            "ec2:ModifyAddressAttribute",
            resource=f"arn:aws:ec2:{aws.region}:111122223333:elastic-ip/*",
            condition={"StringEquals": {"aws:ResourceTag/mailegress": "yes"}},
        ),
    )
    aws.ec2("DescribeAddresses")
    modify = partial(aws.ec2, "ModifyAddressAttribute", DomainName="mta.example.com")
    modify(AllocationId=tagged.allocation_id)
    assert code_of(partial(modify, AllocationId=plain.allocation_id)) == "UnauthorizedOperation"
    release = partial(aws.ec2, "ReleaseAddress", AllocationId=plain.allocation_id)
    assert code_of(release) == "UnauthorizedOperation"
    assert aws.sts("GetCallerIdentity")["Account"] == "111122223333"


def test_an_explicit_deny_wins_and_others_are_not_touched(aws: LocalAws) -> None:
    """Page "Policy evaluation logic"."""
    attach(aws, statement("ec2:*"), statement("ec2:AllocateAddress", effect="Deny"))
    aws.ec2("DescribeAddresses")
    assert code_of(partial(aws.ec2, "AllocateAddress")) == "UnauthorizedOperation"
    aws.model.sts.register_key("AKIAOTHER", "444455556666")
    aws.access_key = "AKIAOTHER"
    aws.ec2("AllocateAddress")


@pytest.mark.parametrize(
    "bad",
    [
        {"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"},
        {"Effect": "Maybe", "Action": "ec2:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ec2:*", "Resource": "*", "Condition": {"DateLessThan": {"a": "b"}}},
    ],
)
def test_what_is_not_understood_is_refused(aws: LocalAws, bad: dict[str, Any]) -> None:
    """No policy passes because a part of it was overlooked."""
    with pytest.raises(ValueError, match="not understood"):
        attach(aws, bad)
