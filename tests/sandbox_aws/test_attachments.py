"""What sends from an address: instances and NAT gateways; and addresses that get lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.aws.control import Control
from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault


def code_of(send: Callable[[], Any]) -> str:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value.code


def by_filter(aws: LocalAws, name: str, *values: str) -> list[str]:
    found = aws.ec2("DescribeAddresses", Filters=[{"Name": name, "Values": list(values)}])
    return [each["PublicIp"] for each in found["Addresses"]]


def test_an_instance_with_two_addresses(aws: LocalAws) -> None:
    """API_AssociateAddress: one address per private IP; DescribeAddresses shows the instance."""
    instance = aws.ec2("RunInstances", ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]
    first, second = (aws.ec2("AllocateAddress") for _ in range(2))
    aws.ec2("AssociateAddress", AllocationId=first["AllocationId"], InstanceId=instance["InstanceId"])
    made = aws.ec2(
        "AssociateAddress",
        AllocationId=second["AllocationId"],
        InstanceId=instance["InstanceId"],
        PrivateIpAddress="10.0.9.9",
    )
    assert by_filter(aws, "instance-id", instance["InstanceId"]) == [first["PublicIp"], second["PublicIp"]]
    shown = aws.ec2("DescribeInstances", InstanceIds=[instance["InstanceId"]])["Reservations"][0][
        "Instances"
    ][0]
    addresses = shown["NetworkInterfaces"][0]["PrivateIpAddresses"]
    assert [each["Association"]["PublicIp"] for each in addresses] == [first["PublicIp"], second["PublicIp"]]
    assert code_of(lambda: aws.ec2("ReleaseAddress", AllocationId=first["AllocationId"])) == (
        "InvalidIPAddress.InUse"
    )
    aws.ec2("DisassociateAddress", AssociationId=made["AssociationId"])
    assert by_filter(aws, "instance-id", instance["InstanceId"]) == [first["PublicIp"]]
    aws.ec2("TerminateInstances", InstanceIds=[instance["InstanceId"]])
    assert by_filter(aws, "instance-id", instance["InstanceId"]) == []
    assert code_of(lambda: aws.ec2("DescribeInstances", InstanceIds=["i-0123456789abcdef0"])) == (
        "InvalidInstanceID.NotFound"
    )


def test_a_nat_gateway_with_several_addresses(aws: LocalAws) -> None:
    """API_NatGatewayAddress: IsPrimary, Status associating then succeeded; an address in use is refused."""
    eips = [aws.ec2("AllocateAddress") for _ in range(3)]
    made = aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=eips[0]["AllocationId"])
    gateway_id = made["NatGateway"]["NatGatewayId"]
    assert made["NatGateway"]["State"] == "pending"
    aws.clock.advance(60)
    aws.ec2(
        "AssociateNatGatewayAddress",
        NatGatewayId=gateway_id,
        AllocationIds=[eips[1]["AllocationId"], eips[2]["AllocationId"]],
    )

    def shown() -> dict[str, Any]:
        wanted = [{"Name": "nat-gateway-id", "Values": [gateway_id]}]
        found: dict[str, Any] = aws.ec2("DescribeNatGateways", Filter=wanted)["NatGateways"][0]
        return found

    assert shown()["State"] == "available"
    states = [(each["IsPrimary"], each["Status"]) for each in shown()["NatGatewayAddresses"]]
    assert states == [(True, "succeeded"), (False, "associating"), (False, "associating")]
    aws.clock.advance(60)
    assert {each["Status"] for each in shown()["NatGatewayAddresses"]} == {"succeeded"}
    aws.model.set_nat_address_status(gateway_id, eips[2]["PublicIp"], "failed")
    assert shown()["NatGatewayAddresses"][2]["Status"] == "failed"
    again = {"SubnetId": "subnet-1", "AllocationId": eips[0]["AllocationId"]}
    assert code_of(lambda: aws.ec2("CreateNatGateway", **again)) == "Resource.AlreadyAssociated"
    new = aws.ec2("AllocateAddress")
    aws.model.replace_nat_address(gateway_id, eips[0]["PublicIp"], new["PublicIp"], "succeeded")
    held = [each["PublicIp"] for each in shown()["NatGatewayAddresses"]]
    assert held == [eips[1]["PublicIp"], eips[2]["PublicIp"], new["PublicIp"]]
    assert by_filter(aws, "association-id", "eipassoc-*") == held


def test_a_deleted_gateway_is_shown_for_a_while(aws: LocalAws) -> None:
    """Page "Work with NAT gateways": deleted gateways remain visible for about an hour."""
    eip = aws.ec2("AllocateAddress")
    made = aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=eip["AllocationId"])["NatGateway"]
    aws.ec2("DeleteNatGateway", NatGatewayId=made["NatGatewayId"])
    assert aws.ec2("DescribeNatGateways")["NatGateways"][0]["State"] == "deleting"
    aws.clock.advance(60)
    assert aws.ec2("DescribeNatGateways")["NatGateways"][0]["State"] == "deleted"
    aws.ec2("ReleaseAddress", AllocationId=eip["AllocationId"])
    aws.clock.advance(3600)
    assert aws.ec2("DescribeNatGateways")["NatGateways"] == []
    assert code_of(lambda: aws.ec2("DescribeNatGateways", NatGatewayIds=[made["NatGatewayId"]])) == (
        "NatGatewayNotFound"
    )


def test_gateways_come_in_pages(aws: LocalAws) -> None:
    """API_DescribeNatGateways: MaxResults 5 to 1000, NextToken, `Filter` in the singular."""
    for _ in range(12):
        eip = aws.ec2("AllocateAddress")
        aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=eip["AllocationId"])
    seen: set[str] = set()
    token: dict[str, Any] = {}
    while True:
        page = aws.ec2("DescribeNatGateways", MaxResults=5, **token)
        seen |= {each["NatGatewayId"] for each in page["NatGateways"]}
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len(seen) == 12
    assert code_of(lambda: aws.ec2("DescribeNatGateways", MaxResults=4)) == "InvalidParameterValue"


def test_filters_and_tags(aws: LocalAws) -> None:
    """API_DescribeAddresses: all filters must match, values are alternatives with wildcards."""
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "mail", "Value": "yes"}]}]
    tagged, plain = aws.ec2("AllocateAddress", TagSpecifications=tags), aws.ec2("AllocateAddress")
    assert by_filter(aws, "tag:mail", "y*") == [tagged["PublicIp"]]
    assert by_filter(aws, "tag-key", "mail", "other") == [tagged["PublicIp"]]
    assert by_filter(aws, "public-ip", plain["PublicIp"], "192.0.2.99") == [plain["PublicIp"]]
    assert code_of(lambda: by_filter(aws, "colour", "red")) == "InvalidParameterValue"


def test_an_address_lost_or_transferred(aws: LocalAws) -> None:
    """Page "Transfer Elastic IP addresses": it leaves the account; the other one has it without a PTR."""
    lost, moved = aws.ec2("AllocateAddress"), aws.ec2("AllocateAddress")
    aws.ec2("CreateNatGateway", SubnetId="s", AllocationId=lost["AllocationId"])
    for eip in (lost, moved):
        aws.model.force_ptr(eip["PublicIp"], "mta.example.com")
    aws.model.lose_eip(lost["AllocationId"])
    there = aws.model.transfer_eip(moved["PublicIp"], "444455556666")
    assert aws.ec2("DescribeAddresses")["Addresses"] == []
    assert aws.ec2("DescribeNatGateways")["NatGateways"][0]["NatGatewayAddresses"] == []
    assert (there.account, there.ptr) == ("444455556666", None)


def test_scale_has_enough_addresses(aws: LocalAws) -> None:
    """The documentation ranges first (RFC 5737), then a large public one; never one twice."""
    addresses = aws.model.account().region("eu-west-1").addresses
    found = [addresses.allocate().public_ip for _ in range(10_000)]
    assert len(set(found)) == 10_000
    assert found[0] == "203.0.113.1"
    assert found[-1].startswith("100.12")


def shown_tags(aws: LocalAws, allocation_id: str) -> dict[str, str]:
    shown = aws.ec2("DescribeAddresses", AllocationIds=[allocation_id])["Addresses"][0]
    return {tag["Key"]: tag["Value"] for tag in shown.get("Tags", ())}


def test_tags_of_addresses_and_gateways(aws: LocalAws) -> None:
    """API_CreateTags adds and overwrites; API_DeleteTags removes by key, or by key and value; filters find them."""
    first, second = (aws.ec2("AllocateAddress")["AllocationId"] for _ in range(2))
    gateway = aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=first)["NatGateway"][
        "NatGatewayId"
    ]
    pair = [{"Key": "use", "Value": "mail"}, {"Key": "env", "Value": "test"}]
    aws.ec2("CreateTags", Resources=[first, second, gateway], Tags=pair)
    aws.ec2("CreateTags", Resources=[first], Tags=[{"Key": "env", "Value": "prod"}])
    assert shown_tags(aws, first) == {"use": "mail", "env": "prod"}
    assert shown_tags(aws, second) == {"use": "mail", "env": "test"}
    found = aws.ec2("DescribeNatGateways", Filter=[{"Name": "tag:use", "Values": ["mail"]}])["NatGateways"]
    assert [each["NatGatewayId"] for each in found] == [gateway]
    aws.ec2("DeleteTags", Resources=[first, second], Tags=[{"Key": "env", "Value": "test"}])
    assert shown_tags(aws, first) == {"use": "mail", "env": "prod"}
    assert shown_tags(aws, second) == {"use": "mail"}
    aws.ec2("DeleteTags", Resources=[first], Tags=[{"Key": "env"}])
    assert shown_tags(aws, first) == {"use": "mail"}
    aws.ec2("DeleteTags", Resources=[first, gateway])
    assert shown_tags(aws, first) == {}
    assert "Tags" not in aws.ec2("DescribeNatGateways")["NatGateways"][0]


def test_tags_are_for_all_resources_of_a_call_or_for_none(aws: LocalAws) -> None:
    """A resource that is not there, a reserved key and a 51st tag are refused, and nothing is tagged."""
    known = aws.ec2("AllocateAddress")["AllocationId"]
    unknown = {"Resources": [known, "eipalloc-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": ""}]}
    assert code_of(lambda: aws.ec2("CreateTags", **unknown)) == "InvalidAllocationID.NotFound"
    reserved = {"Resources": [known], "Tags": [{"Key": "aws:a", "Value": ""}]}
    assert code_of(lambda: aws.ec2("CreateTags", **reserved)) == "InvalidParameterValue"
    many = {"Resources": [known], "Tags": [{"Key": str(n), "Value": ""} for n in range(51)]}
    assert code_of(lambda: aws.ec2("CreateTags", **many)) == "TagLimitExceeded"
    assert shown_tags(aws, known) == {}


def test_tags_by_control(aws: LocalAws) -> None:
    """A third party's tags: at once, without a call in the log; by allocation ID, by IP, and of a gateway."""
    eip = aws.ec2("AllocateAddress")
    made = aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=eip["AllocationId"])["NatGateway"]
    control = Control(aws.model)
    calls = len(control.log())
    control.run("set_tags", {"resource": eip["PublicIp"], "tags": {"use": "mail", "env": "test"}})
    control.run("remove_tags", {"resource": eip["AllocationId"], "keys": ["env", "absent"]})
    control.run("set_tags", {"resource": made["NatGatewayId"], "tags": {"use": "mail"}})
    assert len(control.log()) == calls
    assert shown_tags(aws, eip["AllocationId"]) == {"use": "mail"}
    [shown] = aws.ec2("DescribeNatGateways")["NatGateways"]
    assert shown["Tags"] == [{"Key": "use", "Value": "mail"}]
    with pytest.raises(KeyError):
        control.run("set_tags", {"resource": "nat-0123456789abcdef0", "tags": {"use": "mail"}})
