"""Other partitions, other regions, other accounts: what cannot be done is said, what can be done is done."""

from __future__ import annotations

import pytest

from tests.support.stories.story import Story
from tests.support.stories.watch_recorder import recorded_watch

HOST = "mta.example.com"
ZONES, ADDRESSES = "222233334444", "333344445555"
ZONE_ROLE = f"arn:aws:iam::{ZONES}:role/mailegress-dns"
EIP_ROLE = f"arn:aws:iam::{ADDRESSES}:role/mailegress-eip"


@pytest.mark.parametrize("region", ["us-gov-west-1", "us-iso-east-1"])
def test_a_partition_without_a_ptr_api(bare_story: Story, region: str) -> None:
    """Given GovCloud or ISO, then the A record is made and the status says what to ask AWS Support for; when the PTR is
    seen in DNS, it is Ready; when the object goes, A goes, and a Warning says that the PTR stays."""
    story = bare_story
    story.start_operator(regions=region)
    zone = story.zone()
    [eip] = story.eips(region=region)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ReverseUnsupported")
    assert meg.condition("ForwardReady")[0] == "True"
    message = meg.condition("ReverseReady")[2]
    for text in (eip.public_ip, region, HOST, "AWS Support"):
        assert text in message, message
    assert meg.conditions()["Stalled"]["reason"] == "ReverseUnsupported"
    assert story.records(zone, HOST) == (eip.public_ip,)
    story.passes(meg)
    assert meg.condition("Ready")[1] == "ReverseUnsupported"

    story.aws.force_ptr(eip.public_ip, HOST)
    meg.wait()
    assert meg.address(eip.public_ip)["iprev"] == "pass"
    assert not story.calls("ModifyAddressAttribute")
    story.operator.kill()
    with recorded_watch(story) as recorder:
        story.start_operator("anew", regions=region)
        story.passes(meg, 2)
    assert recorder.statuses(meg) == {"True"}, "a restart does not forget that the PTR was seen"
    meg.delete()
    assert story.records(zone, HOST) == ()
    assert story.eip_dump(eip)["ptr"] == f"{HOST}."
    assert not story.calls("ResetAddressAttribute")
    story.until(
        lambda: ("Warning", "ReverseUnsupported") in meg.events()[-1:], "the Warning about the PTR that stays"
    )
    story.aws.force_ptr(eip.public_ip, None)
    story.assert_world(before)


def test_a_region_that_is_not_configured(story: Story) -> None:
    """Given a region that the operator does not look after, then Accepted=False names it and those that it has; when
    the spec is corrected, it is Ready."""
    story.zone()
    [eip] = story.eips()
    selector = {"allocationID": eip.allocation_id, "region": "eu-west-1"}
    meg = story.meg("outbound", HOST, [selector]).wait(status="False", reason="RegionNotConfigured")
    status, reason, message = meg.condition("Accepted")
    assert (status, reason) == ("False", "RegionNotConfigured")
    for text in ("eu-west-1", "ap-northeast-1", "--regions"):
        assert text in message, message
    assert story.writes() == 0
    assert not [c for c in story.aws.log() if c["region"] == "eu-west-1"]
    meg.spec(elasticIPs=[{"allocationID": eip.allocation_id, "region": "ap-northeast-1"}]).wait()


def test_eips_of_two_regions_share_a_name(bare_story: Story) -> None:
    """Given two configured regions, then one name holds an EIP of each."""
    story = bare_story
    story.start_operator(regions="ap-northeast-1,eu-west-1")
    zone = story.zone()
    [here], [there] = story.eips(), story.eips(region="eu-west-1")
    before = story.world()
    meg = story.meg(
        "outbound", HOST, [here, {"allocationID": there.allocation_id, "region": "eu-west-1"}]
    ).wait()
    assert story.records(zone, HOST) == tuple(sorted((here.public_ip, there.public_ip)))
    assert meg.address(there.public_ip)["region"] == "eu-west-1"
    assert {c["region"] for c in story.calls("ModifyAddressAttribute", contains=there.allocation_id)} == {
        "eu-west-1"
    }
    meg.delete()
    story.assert_world(before)


def foreign_accounts(story: Story, zone_id: str = "dns-7", eip_id: str = "eip-8") -> dict[str, str]:
    """Roles in two other accounts; the operator's settings that use them."""
    story.aws.put_role(ZONE_ROLE, zone_id)
    story.aws.put_role(EIP_ROLE, eip_id)
    return {
        "zone_role_arn": ZONE_ROLE,
        "zone_external_id": "dns-7",
        "eip_role_arn": EIP_ROLE,
        "eip_external_id": "eip-8",
    }


def test_zone_and_eip_in_two_other_accounts(bare_story: Story) -> None:
    """Given the zone in one account, the EIP in another and the operator in a third, then each is reached through its
    own role and external ID, and the status names the EIP's account."""
    story = bare_story
    story.start_operator(**foreign_accounts(story))
    story.zone(account=ZONES)
    [eip] = story.aws.allocate("ap-northeast-1", account=ADDRESSES)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.address(eip.public_ip)["accountID"] == ADDRESSES
    for service, account, role in (
        ("route53", ZONES, "mailegress-dns"),
        ("ec2", ADDRESSES, "mailegress-eip"),
    ):
        calls = story.aws.log(service=service)
        assert {c["account"] for c in calls} == {account}
        assert all(f"assumed-role/{role}/" in c["principal"] for c in calls)
    asked = {(c["params"]["RoleArn"], c["params"]["ExternalId"]) for c in story.calls("AssumeRole")}
    assert asked == {(ZONE_ROLE, "dns-7"), (EIP_ROLE, "eip-8")}
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("wrong", ["zone", "eip"])
def test_a_wrong_external_id_is_named(bare_story: Story, wrong: str) -> None:
    """Given a trust policy with another external ID, then the status names the trust policy, not the role; nothing is
    written; when the trust policy is corrected, it is Ready without a restart."""
    story = bare_story
    settings = foreign_accounts(story, **{f"{wrong}_id": "not-this-one"})
    story.start_operator(**settings)
    story.zone(account=ZONES)
    [eip] = story.aws.allocate("ap-northeast-1", account=ADDRESSES)
    meg = story.meg("outbound", HOST, [eip])
    meg.until(lambda: meg.condition("Ready")[1] not in ("", "Pending", "Progressing"), "the verdict")
    status, reason, message = meg.condition("Ready")
    assert (status, reason) == ("False", "CredentialsUnavailable"), message
    role = ZONE_ROLE if wrong == "zone" else EIP_ROLE
    assert "trust policy" in message, message
    for secret in (role, "dns-7", "eip-8"):
        assert secret not in message, "no business of tenants"
    assert "Reconciling" in meg.conditions()
    assert "Stalled" not in meg.conditions()
    assert story.writes() == 0
    foreign_accounts(story)
    meg.wait()


def test_credentials_that_run_out_are_renewed(bare_story: Story) -> None:
    """Given sessions of two seconds, then Ready stands through several of them and an edit is served with a new one."""
    story = bare_story
    story.aws.settings(session=2.0)
    story.start_operator(**foreign_accounts(story))
    story.zone(account=ZONES)
    a, b = story.aws.allocate("ap-northeast-1", 2, account=ADDRESSES)
    meg = story.meg("outbound", HOST, [a]).wait(reason="Ready")
    since = max(c["number"] for c in story.aws.log())
    with recorded_watch(story) as recorder:
        first = story.aws.log()[-1]["time"]
        story.until(lambda: story.aws.log()[-1]["time"] > first + 6, "three sessions to run out")
    assert recorder.statuses(meg) <= {"True"}, recorder.seen(meg)
    meg.spec(elasticIPs=[{"allocationID": b.allocation_id}]).wait()
    assert story.eip_dump(b)["ptr"] == f"{HOST}."
    assert len(story.calls("AssumeRole", since=since)) >= 4
    late = [c for c in story.aws.log(since=since) if c["outcome"] in ("ExpiredToken", "RequestExpired")]
    assert late == [], "a session is renewed before it runs out"
