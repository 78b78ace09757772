"""Regional NAT gateways: addresses that AWS allocates, adds and releases, and whether it takes a PTR for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.aws.control import Control
from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault

VPC = "vpc-0123456789abcdef0"


def refusal(send: Callable[[], Any]) -> str:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value.code


def shown(aws: LocalAws, gateway: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.ec2("DescribeNatGateways", NatGatewayIds=[gateway])["NatGateways"][0]
    return found


def services(aws: LocalAws) -> dict[str, str]:
    return {
        each["PublicIp"]: each.get("ServiceManaged", "") for each in aws.ec2("DescribeAddresses")["Addresses"]
    }


def test_in_automatic_mode_aws_allocates_the_addresses(aws: LocalAws) -> None:
    """API_CreateNatGateway: AvailabilityMode regional, a VPC and no subnet; without addresses AWS chooses them."""
    made = aws.ec2("CreateNatGateway", AvailabilityMode="regional", VpcId=VPC)["NatGateway"]
    assert (made["AvailabilityMode"], made["AutoScalingIps"], made["AutoProvisionZones"]) == (
        "regional",
        "enabled",
        "enabled",
    )
    assert "SubnetId" not in made
    [address] = made["NatGatewayAddresses"]
    assert address["AvailabilityZone"] == f"{aws.region}a"
    assert address["Status"] == "associating"
    assert services(aws) == {address["PublicIp"]: "rnat"}
    aws.clock.advance(60)
    assert shown(aws, made["NatGatewayId"])["NatGatewayAddresses"][0]["Status"] == "succeeded"


def test_in_manual_mode_the_owner_names_an_address_for_each_zone(aws: LocalAws) -> None:
    first, second = (aws.ec2("AllocateAddress")["AllocationId"] for _ in range(2))
    zone = f"{aws.region}a"
    chosen = [{"AvailabilityZone": zone, "AllocationIds": [first]}]
    made = aws.ec2(
        "CreateNatGateway", AvailabilityMode="regional", VpcId=VPC, AvailabilityZoneAddresses=chosen
    )["NatGateway"]
    assert (made["AutoScalingIps"], made["AutoProvisionZones"]) == ("disabled", "disabled")
    gateway = made["NatGatewayId"]
    associate = {"NatGatewayId": gateway, "AllocationIds": [second]}
    assert refusal(lambda: aws.ec2("AssociateNatGatewayAddress", **associate)) == "MissingParameter"
    aws.ec2("AssociateNatGatewayAddress", **associate, AvailabilityZone=f"{aws.region}b")
    assert [a["AvailabilityZone"] for a in shown(aws, gateway)["NatGatewayAddresses"]] == [
        zone,
        f"{aws.region}b",
    ]
    assert set(services(aws).values()) == {""}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"VpcId": VPC, "SubnetId": "subnet-1"}, "InvalidParameterCombination"),
        ({"VpcId": VPC, "AllocationId": "eipalloc-0123456789abcdef0"}, "InvalidParameterCombination"),
    ],
)
def test_what_a_regional_gateway_cannot_have_is_refused(
    aws: LocalAws, params: dict[str, Any], code: str
) -> None:
    assert refusal(lambda: aws.ec2("CreateNatGateway", AvailabilityMode="regional", **params)) == code


def test_a_gateway_scales_and_what_it_loses_is_released(aws: LocalAws) -> None:
    control = Control(aws.model)
    made = control.create_regional_nat_gateway(aws.region, ["zone-a", "zone-b"], tags={"use": "mail"})
    gateway = made["id"]
    assert shown(aws, gateway)["Tags"] == [{"Key": "use", "Value": "mail"}]
    added = control.add_nat_address(gateway, "zone-c")
    assert len(services(aws)) == 3
    control.remove_nat_address(gateway, made["addresses"][0]["public_ip"])
    held = {a["PublicIp"] for a in shown(aws, gateway)["NatGatewayAddresses"]}
    assert held == {made["addresses"][1]["public_ip"], added["public_ip"]} == set(services(aws))
    aws.ec2("DeleteNatGateway", NatGatewayId=gateway)
    assert services(aws) == {}


def test_aws_adds_no_address_to_a_gateway_with_fixed_ones(aws: LocalAws) -> None:
    eip = aws.ec2("AllocateAddress")
    made = aws.ec2("CreateNatGateway", SubnetId="subnet-1", AllocationId=eip["AllocationId"])["NatGateway"]
    assert made["AvailabilityMode"] == "zonal"
    with pytest.raises(ValueError, match="no regional NAT gateway"):
        aws.model.add_nat_address(made["NatGatewayId"], "zone-a")


def test_the_owner_cannot_release_an_address_of_a_service(aws: LocalAws) -> None:
    made = Control(aws.model).create_regional_nat_gateway(aws.region, ["zone-a"])
    allocation_id = made["addresses"][0]["allocation_id"]
    assert refusal(lambda: aws.ec2("ReleaseAddress", AllocationId=allocation_id)) == "OperationNotPermitted"


def test_whether_aws_takes_a_ptr_for_an_address_of_a_regional_gateway_is_a_switch(aws: LocalAws) -> None:
    control = Control(aws.model)
    control.settings(ptr_precondition="off")
    made = control.create_regional_nat_gateway(aws.region, ["zone-a"])
    allocation_id = made["addresses"][0]["allocation_id"]

    def set_ptr() -> Any:
        return aws.ec2("ModifyAddressAttribute", AllocationId=allocation_id, DomainName="mta.example.com")

    assert set_ptr()["Address"]["PtrRecordUpdate"]["Status"] == "PENDING"
    control.settings(rnat_ptr="refuse")
    assert refusal(set_ptr) == "OperationNotPermitted"
    reset = {"AllocationId": allocation_id, "Attribute": "domain-name"}
    assert refusal(lambda: aws.ec2("ResetAddressAttribute", **reset)) == "OperationNotPermitted"


def test_aws_takes_no_ptr_for_an_address_of_a_load_balancer(aws: LocalAws) -> None:
    control = Control(aws.model)
    [made] = control.allocate(aws.region, service_managed="alb")
    params = {"AllocationId": made["allocation_id"], "DomainName": "mta.example.com"}
    assert refusal(lambda: aws.ec2("ModifyAddressAttribute", **params)) == "OperationNotPermitted"
