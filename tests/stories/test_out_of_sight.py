"""What an object set and nobody can look at any more is not taken for gone: it is named, kept, and cleaned up later."""

from __future__ import annotations

import time

import pytest

from tests.support.stories.order import last_call, writes
from tests.support.stories.story import Meg, Story

HOST = "mta.example.com"
MARK = f"_mailegress.{HOST}"
HOME, ELSEWHERE = "ap-northeast-1", "eu-west-1"
BOTH = f"{HOME},{ELSEWHERE}"
OWN, STRANGER = "111122223333", "444455556666"
EIP_ROLE = f"arn:aws:iam::{STRANGER}:role/mailegress-eip"
ZONE_ROLE = f"arn:aws:iam::{STRANGER}:role/mailegress-dns"


def blocked(meg: Meg, *words: str) -> str:
    """Until the deletion is blocked by what the words name."""

    def holds() -> bool:
        _, reason, message = meg.condition("Ready")
        return reason == "DeletionBlocked" and all(word in message for word in words)

    meg.until(holds, f"{meg.name}: a deletion blocked by {', '.join(words)}")
    return meg.condition("Ready")[2]


def take_role(story: Story, **settings: str) -> None:
    """Start the operator again with a role of another account, which has the rights that such a role needs."""
    for arn in settings.values():
        story.aws.put_role(arn)
    story.sandbox.policies.serve(settings, HOME)
    story.operator.start(**settings)


def test_deleted_after_a_region_left_the_configuration(bare_story: Story) -> None:
    """Given addresses in two regions, when one region leaves the operator's settings and the object is deleted, then it
    waits and names the region, the A record stays, and once the region is back everything goes."""
    story = bare_story
    story.start_operator(regions=BOTH)
    zone = story.zone()
    [here], [there] = story.eips(), story.eips(region=ELSEWHERE)
    before = story.world()
    meg = story.meg(
        "outbound", HOST, [here, {"allocationID": there.allocation_id, "region": ELSEWHERE}]
    ).wait()
    assert story.operator.stop() == 0
    story.operator.start(regions=HOME)
    meg.delete(wait=False)
    message = blocked(meg, ELSEWHERE, there.public_ip, "--regions", "Retain")
    assert "not one of the operator's regions" in message
    assert story.records(zone, HOST) == tuple(sorted((here.public_ip, there.public_ip)))
    assert meg.address(there.public_ip)["ptrOrigin"] == "Managed"
    meg.told("Warning", "DeletionBlocked")
    assert story.operator.stop() == 0
    story.operator.start(regions=BOTH)
    meg.wait_gone()
    story.assert_world(before)


def test_an_address_left_in_a_region_that_left_the_configuration(bare_story: Story) -> None:
    """Given a spec that lets go of an address while its region is not configured, then the object is not Ready, record
    and status keep the address, and it is released when the region is back."""
    story = bare_story
    story.start_operator(regions=BOTH)
    zone = story.zone()
    [here], [there] = story.eips(), story.eips(region=ELSEWHERE)
    selector = {"allocationID": there.allocation_id, "region": ELSEWHERE}
    meg = story.meg("outbound", HOST, [here, selector]).wait()
    assert story.operator.stop() == 0
    since = last_call(story)
    meg.spec(elasticIPs=[{"allocationID": here.allocation_id}])
    story.operator.start(regions=HOME)
    meg.wait(status="False", reason="RegionNotConfigured")
    story.passes(meg, 2)
    assert ELSEWHERE in meg.condition("Ready")[2]
    assert meg.address(there.public_ip)["ptrOrigin"] == "Managed"
    assert there.public_ip in story.records(zone, HOST)
    assert writes(story, since) == []
    assert story.operator.stop() == 0
    story.operator.start(regions=BOTH)
    meg.wait(reason="Ready")
    assert story.records(zone, HOST) == (here.public_ip,)
    assert story.eip_dump(there)["ptr"] is None
    meg.delete()


def test_deleted_with_the_credentials_of_another_account(bare_story: Story) -> None:
    """Given EC2 credentials of another account, when the object is deleted, then the account of the address is named,
    record and PTR stay, and with the right credentials it goes."""
    story = bare_story
    story.start_operator()
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert story.operator.stop() == 0
    take_role(story, eip_role_arn=EIP_ROLE)
    meg.wait(status="False", reason="AccountMismatch")
    meg.delete(wait=False)
    blocked(meg, OWN, eip.public_ip, "Retain")
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.ptr(eip) == HOST
    assert story.operator.stop() == 0
    story.operator.start(eip_role_arn="")
    meg.wait_gone()
    story.assert_world(before)


def test_one_reading_without_the_address_during_a_deletion(bare_story: Story) -> None:
    """Given an address that one reading lacks while its object is deleted, then the object waits for a second look, and
    the PTR is reset when the address is there again."""
    story = bare_story
    story.start_operator(lost_confirm_seconds="30")
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    story.aws.hide_eip(eip.public_ip)
    meg.delete(wait=False)
    meg.until(lambda: "missing from" in meg.condition("Ready")[2], "the missing address to be told")
    assert story.records(zone, HOST) == (eip.public_ip,)
    story.aws.show_eip(eip.public_ip)
    meg.wait_gone()
    assert story.ptr(eip) is None
    story.assert_world(before)


@pytest.mark.parametrize("answer", ["NoSuchHostedZone", "AccessDenied"])
def test_the_zone_is_in_another_account_now(bare_story: Story, answer: str) -> None:
    """Given Route 53 credentials of another account that has a zone of the same name, then nothing is written there,
    the status keeps the zone and names its account, a deletion waits, and with the right credentials it goes."""
    story = bare_story
    story.start_operator()
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.status["zone"]["accountID"] == OWN
    assert story.operator.stop() == 0
    twin = story.zone(account=STRANGER)
    before = story.world()
    story.aws.settings(foreign_zone=answer)
    take_role(story, zone_role_arn=ZONE_ROLE)
    meg.wait(status="False", reason="AccountMismatch")
    assert meg.status["zone"]["id"] == zone.id
    message = meg.condition("Ready")[2]
    assert zone.id in message, message
    assert OWN in message, message
    story.assert_world(before)
    meg.delete(wait=False)
    blocked(meg, zone.id, OWN, "Retain")
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.records(zone, MARK, "TXT") != ()
    assert story.operator.stop() == 0
    story.operator.start(zone_role_arn="")
    meg.wait_gone()
    assert story.records(zone, HOST) == story.records(zone, MARK, "TXT") == ()
    assert [name for name in story.zone_dump(twin)["record_sets"] if HOST in name] == []
    refused = story.aws.policy_refusals()
    assert all(zone.id in each and "GetHostedZone" in each for each in refused), refused


def test_a_zone_that_was_deleted_lets_the_object_go(story: Story) -> None:
    """Given a hosted zone that somebody deleted with all it held, when the object is deleted, then its PTR is reset and
    it goes within seconds."""
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    for rtype in ("A", "TXT"):
        story.drop_record(zone, MARK if rtype == "TXT" else HOST, rtype)
    story.boto("route53").delete_hosted_zone(Id=zone.id)
    began = time.monotonic()
    meg.delete()
    assert time.monotonic() - began < 30
    assert story.ptr(eip) is None
