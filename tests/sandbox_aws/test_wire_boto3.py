"""The wire: unmodified boto3 reads every reply, and its botocore parses every error."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError

from sandbox.aws.client import EipInfo, SandboxAws, SandboxError, ZoneInfo
from sandbox.aws.local import ServedAws
from sandbox.aws.model.faults import Effect
from sandbox.aws.model.world import diff

OTHER = "444455556666"


def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """The condition's first true value; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")


def error_of(send: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        send()
    response: Any = caught.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


@pytest.fixture
def zone(control: SandboxAws) -> ZoneInfo:
    return control.create_zone(f"{uuid.uuid4().hex[:12]}.example")


@pytest.fixture
def eip(control: SandboxAws) -> EipInfo:
    return control.allocate("ap-northeast-1")[0]


def batch(action: str, name: str, rtype: str, *values: str) -> dict[str, Any]:
    record_set = {
        "Name": name,
        "Type": rtype,
        "TTL": 60,
        "ResourceRecords": [{"Value": value} for value in values],
    }
    return {"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}


def test_from_allocation_to_a_settled_ptr_and_back(
    route53: Any, ec2: Any, control: SandboxAws, zone: ZoneInfo
) -> None:
    """Every call of the operator's main path, and the world as before."""
    before = control.dump()
    made = ec2.allocate_address()
    host = f"mta.{zone.name}"
    forward = batch("CREATE", host, "A", made["PublicIp"])
    change = route53.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=forward)["ChangeInfo"]
    assert change["Status"] == "PENDING"
    until(lambda: route53.get_change(Id=change["Id"])["ChangeInfo"]["Status"] == "INSYNC")
    served = control.published(zone.id, host)
    assert set(served) == set(zone.name_servers)
    assert all(answer == {"A": [60, [made["PublicIp"]]]} for answer in served.values())
    ec2.modify_address_attribute(AllocationId=made["AllocationId"], DomainName=host)
    control.advance(3)
    sweep = (
        ec2.get_paginator("describe_addresses_attribute")
        .paginate(Attribute="domain-name")
        .build_full_result()
    )
    mine = [each for each in sweep["Addresses"] if each["PublicIp"] == made["PublicIp"]]
    assert mine == [{"PublicIp": made["PublicIp"], "AllocationId": made["AllocationId"], "PtrRecord": host}]
    assert error_of(lambda: ec2.release_address(AllocationId=made["AllocationId"]))["Code"] == (
        "InvalidAddress.PtrSet"
    )
    ec2.reset_address_attribute(AllocationId=made["AllocationId"], Attribute="domain-name")
    forward["Changes"][0]["Action"] = "DELETE"
    route53.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=forward)
    control.advance(60)
    ec2.release_address(AllocationId=made["AllocationId"])
    assert diff(before, control.dump()) == []


def test_zone_calls(route53: Any, zone: ZoneInfo) -> None:
    """CreateHostedZone (201 with Location), GetHostedZone, both listings, DeleteHostedZone."""
    made = route53.create_hosted_zone(
        Name=zone.name,
        CallerReference=uuid.uuid4().hex,
        HostedZoneConfig={"Comment": "<&> ü", "PrivateZone": True},
        VPC={"VPCRegion": "ap-northeast-1", "VPCId": "vpc-1"},
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["Location"].endswith(made["HostedZone"]["Id"])
    shown = route53.get_hosted_zone(Id=made["HostedZone"]["Id"])
    assert shown["HostedZone"]["Config"] == {"Comment": "<&> ü", "PrivateZone": True}
    assert shown["VPCs"] == [{"VPCRegion": "ap-northeast-1", "VPCId": "vpc-1"}]
    assert set(route53.get_hosted_zone(Id=zone.id)["DelegationSet"]["NameServers"]) == set(zone.name_servers)
    page = route53.list_hosted_zones_by_name(DNSName=zone.name, MaxItems="2")
    assert {each["Name"] for each in page["HostedZones"]} == {zone.name}
    pages = route53.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 1})
    assert zone.id in {each["Id"].split("/")[-1] for page in pages for each in page["HostedZones"]}
    route53.delete_hosted_zone(Id=made["HostedZone"]["Id"])
    gone = error_of(lambda: route53.get_hosted_zone(Id=made["HostedZone"]["Id"]))
    assert (gone["Code"], gone["Status"]) == ("NoSuchHostedZone", 404)


def test_record_sets_of_every_form_survive_the_way(route53: Any, zone: ZoneInfo) -> None:
    """Plain, quoted, octal, weighted, geolocation and alias sets come back as they went, in pages."""
    sets: list[dict[str, Any]] = [
        {"Name": f"*.{zone.name}", "Type": "TXT", "TTL": 0,
         "ResourceRecords": [{"Value": '"a <&> \\"b\\"" "c"'}]},
        {"Name": f"w.{zone.name}", "Type": "A", "SetIdentifier": "é", "Weight": 0, "TTL": 1,
         "ResourceRecords": [{"Value": "192.0.2.1"}, {"Value": "192.0.2.2"}]},
        {"Name": f"x.{zone.name}", "Type": "A", "SetIdentifier": "geo", "GeoLocation": {"CountryCode": "JP"},
         "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}]},
        {"Name": f"y.{zone.name}", "Type": "A",
         "AliasTarget": {"HostedZoneId": "Z1", "DNSName": "lb.example.net.", "EvaluateTargetHealth": True}},
    ]  # fmt: skip
    changes = [{"Action": "CREATE", "ResourceRecordSet": each} for each in sets]
    route53.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch={"Changes": changes})
    pages = route53.get_paginator("list_resource_record_sets").paginate(
        HostedZoneId=zone.id, PaginationConfig={"PageSize": 2}
    )
    found = [each for page in pages for each in page["ResourceRecordSets"]][2:]  # after NS and SOA
    sets[0]["Name"] = f"\\052.{zone.name}"
    assert found == sets


def test_errors_of_each_protocol(
    route53: Any, ec2: Any, make_client: Callable[..., Any], zone: ZoneInfo
) -> None:
    """ErrorResponse (Route 53, STS), Response/Errors (EC2), and Route 53's bare root."""
    create = batch("CREATE", f"a.{zone.name}", "A", "192.0.2.1")
    route53.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=create)
    error = error_of(lambda: route53.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=create))
    assert error["Code"] == "InvalidChangeBatch"
    assert error["Message"] == (
        f"[Tried to create resource record set [name='a.{zone.name}', type='A'] but it already exists]"
    )
    assert error_of(lambda: ec2.describe_addresses(AllocationIds=["eipalloc-0123456789abcdef0"])) == {
        "Code": "InvalidAllocationID.NotFound",
        "Message": "The allocation ID 'eipalloc-0123456789abcdef0' does not exist",
        "Status": 400,
    }
    assert error_of(lambda: ec2.allocate_address(DryRun=True))["Code"] == "DryRunOperation"
    sts = make_client("sts")
    denied = error_of(
        lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/none", RoleSessionName="op")
    )
    assert (denied["Code"], denied["Status"]) == ("AccessDenied", 403)
    assert error_of(ec2.describe_vpcs)["Code"] == "InvalidAction"
    assert error_of(lambda: make_client("ec2", region="us-gov-west-1").describe_addresses_attribute()) == {
        "Code": "InvalidAction",
        "Message": "The action DescribeAddressesAttribute is not valid for this web service.",
        "Status": 400,
    }


def test_instances_and_nat_gateways(ec2: Any, control: SandboxAws) -> None:
    """The shapes of DescribeInstances and DescribeNatGateways as boto3 gives them."""
    one, two = control.allocate("ap-northeast-1", 2)
    instance = control.create_instance("ap-northeast-1")
    ec2.associate_address(AllocationId=one.allocation_id, InstanceId=instance)
    shown = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert shown["State"] == {"Code": 16, "Name": "running"}
    assert shown["PublicIpAddress"] == one.public_ip
    found = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [instance, "i-0"]}])[
        "Addresses"
    ]
    assert [each["AllocationId"] for each in found] == [one.allocation_id]
    tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "k", "Value": "v"}]}]
    gateway = ec2.create_nat_gateway(
        SubnetId="subnet-1", AllocationId=two.allocation_id, TagSpecifications=tags
    )["NatGateway"]["NatGatewayId"]
    control.advance(2)
    listed = ec2.describe_nat_gateways(Filter=[{"Name": "nat-gateway-id", "Values": [gateway]}])[
        "NatGateways"
    ]
    assert listed[0]["State"] == "available"
    assert listed[0]["Tags"] == [{"Key": "k", "Value": "v"}]
    address = listed[0]["NatGatewayAddresses"][0]
    assert (address["PublicIp"], address["IsPrimary"], address["Status"]) == (
        two.public_ip,
        True,
        "succeeded",
    )


def test_assumed_credentials_work_and_expire(control: SandboxAws, make_client: Callable[..., Any]) -> None:
    """AssumeRole with an external ID, then the keys on another service, then ExpiredToken."""
    role = f"arn:aws:iam::{OTHER}:role/dns-{uuid.uuid4().hex[:6]}"
    control.put_role(role, external_id="secret", web_identity=True)
    theirs = control.create_zone("theirs.example", account=OTHER)
    sts = make_client("sts")
    keys = sts.assume_role(RoleArn=role, RoleSessionName="op", ExternalId="secret", DurationSeconds=900)[
        "Credentials"
    ]
    client = make_client("route53", key=keys["AccessKeyId"], token=keys["SessionToken"])
    assert theirs.id in {each["Id"].split("/")[-1] for each in client.list_hosted_zones()["HostedZones"]}
    web = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="op", WebIdentityToken="jwt0")
    assert web["AssumedRoleUser"]["Arn"].split(":")[4] == OTHER
    control.advance(901)
    assert error_of(client.list_hosted_zones)["Code"] == "ExpiredToken"


def test_replies_that_never_come(
    make_client: Callable[..., Any], control: SandboxAws, zone: ZoneInfo
) -> None:
    """A connection cut, and a reply later than the client waits: the change took effect all the same."""
    client, patient = make_client("route53", read_timeout=0.3), make_client("route53", read_timeout=60)
    cases: tuple[tuple[Effect, float, type[Exception]], ...] = (
        ("cut_after", 0.0, HTTPClientError),
        ("cut_after", 3.0, ReadTimeoutError),
        ("delay", 3.0, ReadTimeoutError),
    )
    for number, (effect, delay, error) in enumerate(cases):
        control.add_fault(effect, "route53", "ChangeResourceRecordSets", count=1, delay=delay)
        change = batch("CREATE", f"n{number}.{zone.name}", "A", "192.0.2.1")
        with pytest.raises(error):
            client.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=change)
        again = until(partial(settled_error, patient, zone, change))
        assert "but it already exists" in again["Message"]


def settled_error(client: Any, zone: ZoneInfo, change: dict[str, Any]) -> dict[str, Any] | None:
    error = error_of(lambda: client.change_resource_record_sets(HostedZoneId=zone.id, ChangeBatch=change))
    return None if error["Code"] == "PriorRequestNotComplete" else error


def test_injected_errors_on_the_wire(route53: Any, ec2: Any, control: SandboxAws, eip: EipInfo) -> None:
    """Throttles, a bare error root (empty code in botocore), hostile text, a proxy's page, denials."""
    control.add_fault("throttle", "ec2", count=1)
    assert error_of(ec2.describe_addresses)["Code"] == "RequestLimitExceeded"
    control.add_fault("error", "route53", code="InvalidChangeBatch", message="[x]", bare=True, count=1)
    assert error_of(route53.list_hosted_zones)["Status"] == 400
    control.add_fault("hostile", count=1)
    hostile = error_of(ec2.describe_addresses)["Message"]
    assert len(hostile) > 60_000
    assert "\u202e" in hostile
    control.add_fault("garbage", count=1)
    assert error_of(ec2.describe_addresses)["Status"] == 502
    rule = control.deny("ec2:DescribeAddressesAttribute")
    assert error_of(ec2.describe_addresses_attribute)["Code"] == "UnauthorizedOperation"
    control.allow(rule)
    ec2.describe_addresses_attribute(Attribute="domain-name")
    control.fail_ptr("FAILED", "\x07bad\r\n" + "y" * 5000)
    control.settings(ptr_precondition="off")
    ec2.modify_address_attribute(AllocationId=eip.allocation_id, DomainName="mta.example.com")
    control.settings(ptr_precondition="this-address")
    control.advance(3)
    shown = ec2.describe_addresses_attribute(AllocationIds=[eip.allocation_id], Attribute="domain-name")
    update = shown["Addresses"][0]["PtrRecordUpdate"]
    assert update["Status"] == "FAILED"
    assert update["Reason"].startswith("\ufffdbad\r\n")


def test_control_commands(served: ServedAws, ec2: Any, control: SandboxAws, eip: EipInfo) -> None:
    """What only the sandbox can do: lose, transfer, force; the log; and clear refusals."""
    start = control.log()[-1]["number"] if control.log() else 0
    control.force_ptr(eip.public_ip, "foreign.example.net")
    shown = ec2.describe_addresses_attribute(AllocationIds=[eip.allocation_id], Attribute="domain-name")
    assert shown["Addresses"][0]["PtrRecord"] == "foreign.example.net."
    moved = control.transfer_eip(eip.public_ip, OTHER)
    assert moved.public_ip == eip.public_ip
    control.lose_eip(moved.allocation_id)
    mine = {"Name": "public-ip", "Values": [eip.public_ip]}
    assert ec2.describe_addresses(Filters=[mine])["Addresses"] == []
    log = control.log(service="ec2", since=start)
    assert [entry["operation"] for entry in log] == ["DescribeAddressesAttribute", "DescribeAddresses"]
    assert log[0]["params"]["AllocationIds"] == [eip.allocation_id]
    for command, arguments in (("nonsense", {}), ("lose_eip", {"address": "192.0.2.99"}), ("deny", {"x": 1})):
        with pytest.raises(SandboxError):
            SandboxAws(served.url).run(command, **arguments)
    with pytest.raises(SandboxError, match="no setting"):
        control.settings(nonsense=1)
