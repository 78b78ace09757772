"""What the policies of ``deploy/iam`` forbid; that they allow enough is what all other stories show."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import OPERATOR_KEY, REGION
from sandbox.shipped import TAGGED_POLICY
from tests.support.stories.story import Story, record_change

HOST = "mta.example.com"


def as_operator(story: Story, service: str) -> boto3.Session:
    """A client with the operator's own credentials."""
    environ = story.cloud.aws_environ(OPERATOR_KEY)
    return boto3.client(  # type: ignore[call-overload, no-any-return]
        service,
        region_name=REGION,
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
    )


def test_only_tagged_addresses_get_a_ptr(bare_story: Story) -> None:
    """Given the policy that is limited by a tag, then the tagged EIP of a NAT gateway gets its PTR; an untagged one is
    named with the action that is denied; once it is tagged, it gets its PTR without a further edit."""
    story = bare_story
    story.sandbox.policies.eip_policy = TAGGED_POLICY
    story.start_operator()
    zone = story.zone()
    tagged, plain = story.eips(2)
    tag = [{"Key": "mailegress.io/managed", "Value": "true"}]
    story.boto("ec2").create_tags(Resources=[tagged.allocation_id], Tags=tag)
    gateway = story.nat_gateway([tagged])
    one = story.meg("tagged", HOST, [{"natGatewayID": gateway}]).wait()
    assert story.ptr(tagged) == HOST

    other = story.meg("plain", f"other.{HOST}", [plain]).wait_reason("AccessDenied")
    status, reason, message = other.condition("ReverseReady")
    assert (status, reason) == ("False", "AccessDenied")
    assert "ec2:ModifyAddressAttribute" in message, message
    assert "IAM policy" in message, message
    assert other.condition("ForwardReady")[0] == "True"
    assert story.records(zone, f"other.{HOST}") == (plain.public_ip,)
    assert story.ptr(plain) is None

    story.boto("ec2").create_tags(Resources=[plain.allocation_id], Tags=tag)
    other.wait()
    assert story.ptr(plain) == f"other.{HOST}"
    refused = story.aws.policy_refusals()
    assert refused
    assert all(plain.allocation_id in each and "ModifyAddressAttribute" in each for each in refused), refused
    for meg in (one, other):
        meg.delete()
    assert story.ptr(tagged) is None


@pytest.mark.parametrize(
    ("action", "name", "rtype", "value"),
    [
        ("UPSERT", HOST, "A", "192.0.2.1"),
        ("CREATE", HOST, "AAAA", "2001:db8::1"),
        ("CREATE", HOST, "MX", "10 mx.example.net."),
        ("CREATE", HOST, "CNAME", "www.example.net."),
    ],
)
def test_other_changes_of_records_are_refused(
    bare_story: Story, action: str, name: str, rtype: str, value: str
) -> None:
    """Given the operator's credentials in other hands, then Route 53 refuses to overwrite a record, and any record
    that is neither an address nor a mark."""
    story = bare_story
    story.start_operator()
    zone = story.zone()
    before = story.world()
    change = record_change(name, [value], rtype, 300, action)
    with pytest.raises(ClientError) as refusal:
        as_operator(story, "route53").change_resource_record_sets(
            HostedZoneId=zone.id, ChangeBatch={"Changes": [change]}
        )
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"
    [told] = story.aws.policy_refusals()
    assert action in told
    assert rtype in told
    story.assert_world(before)


@pytest.mark.parametrize("operation", ["release_address", "disassociate_address", "allocate_address"])
def test_addresses_can_be_neither_taken_nor_given_away(bare_story: Story, operation: str) -> None:
    """Given the operator's credentials in other hands, then no Elastic IP can be released, detached or added."""
    story = bare_story
    story.start_operator()
    [eip] = story.eips()
    story.instance([eip])
    before = story.world()
    arguments = {
        "release_address": {"AllocationId": eip.allocation_id},
        "disassociate_address": {"PublicIp": eip.public_ip},
        "allocate_address": {},
    }[operation]
    with pytest.raises(ClientError) as refusal:
        getattr(as_operator(story, "ec2"), operation)(**arguments)
    assert refusal.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert len(story.aws.policy_refusals()) == 1
    story.assert_world(before)


def test_the_zones_own_name_is_allowed_too(story: Story) -> None:
    """Given a hostname that is the zone's own name, then A record and mark are made and removed under the policy."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "example.com", [eip]).wait()
    assert story.records(zone, "example.com") == (eip.public_ip,)
    assert story.ptr(eip) == "example.com"
    meg.delete()
    story.assert_world(before)
