"""The life of a PTR, and what an address with one refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault

Change = Callable[..., Any]


def fault_of(send: Callable[[], Any]) -> AwsFault:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value


def attribute(aws: LocalAws, allocation_id: str) -> dict[str, Any] | None:
    found = aws.ec2("DescribeAddressesAttribute", AllocationIds=[allocation_id], Attribute="domain-name")
    return found["Addresses"][0] if found["Addresses"] else None


@pytest.fixture
def eip(aws: LocalAws) -> dict[str, Any]:
    return aws.ec2("AllocateAddress")


@pytest.fixture
def ready(aws: LocalAws, eip: dict[str, Any], change: Change) -> dict[str, Any]:
    """An address whose name resolves to it."""
    change(("CREATE", "mta.example.com", "A", eip["PublicIp"]))
    aws.clock.advance(60)
    return eip


def modify(aws: LocalAws, eip: dict[str, Any], name: str = "mta.example.com") -> dict[str, Any]:
    return aws.ec2("ModifyAddressAttribute", AllocationId=eip["AllocationId"], DomainName=name)


def reset(aws: LocalAws, eip: dict[str, Any]) -> dict[str, Any]:
    return aws.ec2("ResetAddressAttribute", AllocationId=eip["AllocationId"], Attribute="domain-name")


def test_absent_when_never_set(aws: LocalAws, eip: dict[str, Any]) -> None:
    """Seen in the wild (cisagov runbooks loop until `[]`): no entry at all, not an empty one."""
    assert attribute(aws, eip["AllocationId"]) is None
    assert aws.ec2("DescribeAddressesAttribute", Attribute="domain-name") == {"Addresses": []}


def test_the_a_record_must_be_there_first(aws: LocalAws, eip: dict[str, Any], change: Change) -> None:
    """Page "Create a reverse DNS record for email on Amazon EC2": a forward A record is required."""
    assert fault_of(lambda: modify(aws, eip)).code == "InvalidParameterValue"
    change(("CREATE", "mta.example.com", "A", "192.0.2.1"))
    aws.clock.advance(60)
    assert fault_of(lambda: modify(aws, eip)).code == "InvalidParameterValue"
    change(
        ("DELETE", "mta.example.com", "A", "192.0.2.1"), ("CREATE", "mta.example.com", "A", eip["PublicIp"])
    )
    aws.clock.advance(2)
    assert fault_of(lambda: modify(aws, eip)).code == "InvalidParameterValue"  # not yet published
    aws.clock.advance(60)
    modify(aws, eip)


def test_pending_then_settled_with_a_final_dot(aws: LocalAws, ready: dict[str, Any]) -> None:
    """Terraform's wait.go: PENDING, then PtrRecordUpdate vanishes; values are fully qualified."""
    shown = modify(aws, ready, "MTA.example.com")["Address"]
    assert shown["PtrRecordUpdate"] == {"Value": "mta.example.com.", "Status": "PENDING"}
    assert "PtrRecord" not in shown
    aws.clock.advance(59)
    assert attribute(aws, ready["AllocationId"]) == shown
    aws.clock.advance(61)
    assert attribute(aws, ready["AllocationId"]) == {
        "PublicIp": ready["PublicIp"],
        "AllocationId": ready["AllocationId"],
        "PtrRecord": "mta.example.com.",
    }


def test_the_old_value_stays_until_the_switch(aws: LocalAws, ready: dict[str, Any], change: Change) -> None:
    """EC2 CLI reference, modify-address-attribute example output."""
    modify(aws, ready)
    change(("CREATE", "new.example.com", "A", ready["PublicIp"]))
    aws.clock.advance(120)
    shown = modify(aws, ready, "new.example.com")["Address"]
    assert shown["PtrRecord"] == "mta.example.com."
    assert shown["PtrRecordUpdate"]["Value"] == "new.example.com."
    aws.clock.advance(120)
    assert (attribute(aws, ready["AllocationId"]) or {})["PtrRecord"] == "new.example.com."


def test_reset_is_pending_and_then_absent(aws: LocalAws, ready: dict[str, Any]) -> None:
    """Terraform's wait.go, delete waiter: pending = PENDING, target = not found."""
    modify(aws, ready)
    aws.clock.advance(120)
    shown = reset(aws, ready)["Address"]
    assert shown["PtrRecord"] == "mta.example.com."
    assert shown["PtrRecordUpdate"]["Status"] == "PENDING"
    aws.clock.advance(120)
    assert attribute(aws, ready["AllocationId"]) is None
    assert "PtrRecordUpdate" not in reset(aws, ready)["Address"]


@pytest.mark.parametrize("mode", ["replace", "refuse"])
def test_a_second_modify_while_pending(aws: LocalAws, ready: dict[str, Any], mode: Any) -> None:
    """Undocumented: both outcomes can be had."""
    aws.model.settings.modify_while_pending = mode
    aws.model.settings.ptr_precondition = "off"
    modify(aws, ready)
    aws.clock.advance(30)
    if mode == "refuse":
        assert fault_of(lambda: modify(aws, ready, "other.example.com")).code == "IncorrectState"
        return
    modify(aws, ready, "other.example.com")
    aws.clock.advance(59)
    assert (attribute(aws, ready["AllocationId"]) or {})["PtrRecordUpdate"]["Value"] == "other.example.com."
    aws.clock.advance(61)
    assert (attribute(aws, ready["AllocationId"]) or {})["PtrRecord"] == "other.example.com."


def test_an_update_may_fail_with_a_reason(aws: LocalAws, ready: dict[str, Any]) -> None:
    """API_PtrUpdateStatus: Status and Reason are free text."""
    aws.model.ptr_failures.append(("FAILED", "no such luck"))
    modify(aws, ready)
    aws.clock.advance(120)
    shown = attribute(aws, ready["AllocationId"]) or {}
    assert "PtrRecord" not in shown
    assert shown["PtrRecordUpdate"] == {
        "Value": "mta.example.com.",
        "Status": "FAILED",
        "Reason": "no such luck",
    }
    modify(aws, ready)
    aws.clock.advance(120)
    assert (attribute(aws, ready["AllocationId"]) or {})["PtrRecord"] == "mta.example.com."


def test_an_address_with_a_ptr_cannot_be_released(aws: LocalAws, ready: dict[str, Any]) -> None:
    """InvalidAddress.PtrSet (cloud-custodian #8924); it lingers after a reset (beet's release probe)."""
    release = partial(aws.ec2, "ReleaseAddress", AllocationId=ready["AllocationId"])
    modify(aws, ready)
    assert fault_of(release).code == "InvalidAddress.PtrSet"
    aws.clock.advance(120)
    assert fault_of(release).code == "InvalidAddress.PtrSet"
    reset(aws, ready)
    aws.clock.advance(121)
    assert attribute(aws, ready["AllocationId"]) is None
    assert fault_of(partial(release, DryRun=True)).code == "InvalidAddress.PtrSet"
    aws.clock.advance(180)
    assert fault_of(partial(release, DryRun=True)).code == "DryRunOperation"
    release()
    assert fault_of(release).code == "InvalidAllocationID.NotFound"


def test_one_bad_id_poisons_the_whole_describe(aws: LocalAws, ready: dict[str, Any]) -> None:
    """Page "Error codes for the Amazon EC2 API", InvalidAllocationID.NotFound; filters do not fail."""
    gone = "eipalloc-0123456789abcdef0"
    ids = [ready["AllocationId"], gone]
    for operation in ("DescribeAddresses", "DescribeAddressesAttribute"):
        fault = fault_of(partial(aws.ec2, operation, AllocationIds=ids))
        assert fault.code == "InvalidAllocationID.NotFound"
    found = aws.ec2("DescribeAddresses", Filters=[{"Name": "allocation-id", "Values": ids}])
    assert [each["AllocationId"] for each in found["Addresses"]] == ids[:1]
    assert fault_of(lambda: aws.ec2("DescribeAddresses", PublicIps=["192.0.2.254"])).code == (
        "InvalidAddress.NotFound"
    )


def test_a_sweep_is_paged_and_leaves_out_what_has_no_ptr(aws: LocalAws) -> None:
    """API_DescribeAddressesAttribute: MaxResults 1 to 1000, NextToken."""
    addresses = aws.model.account().region(aws.region).addresses
    wanted = set()
    for number in range(1500):
        eip = addresses.allocate()
        if number % 5:
            aws.model.force_ptr(eip.public_ip, f"n{number}.example.com")
            wanted.add(eip.allocation_id)
    seen: list[str] = []
    token: dict[str, Any] = {}
    pages = 0
    while True:
        page = aws.ec2("DescribeAddressesAttribute", Attribute="domain-name", MaxResults=1000, **token)
        pages += 1
        seen += [each["AllocationId"] for each in page["Addresses"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert pages == 2
    assert set(seen) == wanted
    assert len(seen) == len(wanted)
    assert len(aws.ec2("DescribeAddresses")["Addresses"]) == 1500  # no pages there
    for size in (0, 1001):
        fault = fault_of(partial(aws.ec2, "DescribeAddressesAttribute", MaxResults=size))
        assert fault.code == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("region", "code"),
    [
        ("us-gov-west-1", "InvalidAction"),
        ("us-iso-east-1", "UnsupportedOperation"),
        ("us-isob-east-1", "UnsupportedOperation"),
    ],
)
def test_regions_without_the_attribute_calls(aws: LocalAws, region: str, code: str) -> None:
    """terraform-provider-aws #41177 (InvalidAction) and #46963 (UnsupportedOperation)."""
    aws.region = region
    made = aws.ec2("AllocateAddress")
    for send in (
        lambda: modify(aws, made),
        lambda: reset(aws, made),
        lambda: aws.ec2("DescribeAddressesAttribute"),
    ):
        assert fault_of(send).code == code
    assert aws.ec2("DescribeAddresses")["Addresses"][0]["PublicIp"] == made["PublicIp"]


def test_ec2_quotas_and_dry_run(aws: LocalAws, ready: dict[str, Any]) -> None:
    """Page "Request throttling for the Amazon EC2 API": reads 100 + 20 a second, writes 50 + 5."""
    for _ in range(50):
        fault = fault_of(
            lambda: aws.ec2("ModifyAddressAttribute", AllocationId=ready["AllocationId"], DryRun=True)
        )
        assert fault.code == "DryRunOperation"
    fault = fault_of(lambda: modify(aws, ready))
    assert (fault.code, fault.status) == ("RequestLimitExceeded", 503)
    assert attribute(aws, ready["AllocationId"]) is None
    aws.clock.advance(0.2)
    modify(aws, ready)
    for _ in range(100):
        aws.ec2("DescribeAddresses")
    assert fault_of(lambda: aws.ec2("DescribeAddresses")).code == "RequestLimitExceeded"
    aws.region = "eu-west-1"
    aws.ec2("DescribeAddresses")  # buckets are per region
