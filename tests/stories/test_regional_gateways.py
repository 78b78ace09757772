"""Regional NAT gateways, whose addresses AWS adds and removes, and addresses that other services manage."""

from __future__ import annotations

from sandbox.aws.client import EipInfo
from tests.support.stories.order import last_call, never_broken, only, writes
from tests.support.stories.story import Meg, Story

REGION = "ap-northeast-1"
HOST = "mta.example.com"
MAIL = {"use": "mail"}


def ips(*eips: EipInfo) -> list[str]:
    return sorted((e.public_ip for e in eips), key=lambda ip: [int(part) for part in ip.split(".")])


def served(meg: Meg) -> list[str]:
    """Sorted as the addresses are: they are all of one network."""
    return [str(ip) for ip in meg.status.get("publicIPs", [])]


def test_a_regional_gateway_that_grows_and_shrinks_is_followed_without_an_edit(story: Story) -> None:
    """Given a regional gateway with two addresses, when AWS adds one, it joins the A record and then gets its PTR. When
    AWS disassociates another, its PTR is reset before it leaves the A record. When AWS releases it, nothing more is
    written."""
    zone = story.zone()
    before = story.world()
    gateway, (first, second) = story.aws.create_regional_nat_gateway(REGION, "zone-a", "zone-b")
    meg = story.meg("mail", HOST, [{"natGatewayID": gateway}]).wait()
    assert served(meg) == ips(first, second)
    assert {a["attachedTo"] for a in meg.status["addresses"]} == {gateway}
    since = last_call(story)
    with never_broken(story):
        third = story.aws.add_nat_address(gateway, "zone-c")
        meg.until(lambda: served(meg) == ips(first, second, third), "the address that AWS added to join")
        meg.wait(reason="Ready")
        done = writes(story, since)
        joined = only(done, lambda w: len(w.verbs("A", HOST).get("CREATE", ())) == 3, "A with three")
        pointed = only(done, lambda w: w.operation == "ModifyAddressAttribute", "the PTR")
        assert pointed.allocation_id == third.allocation_id
        assert joined.number < pointed.number
        since = last_call(story)
        story.aws.set_nat_address_status(gateway, first.public_ip, "disassociating")
        meg.until(lambda: served(meg) == ips(second, third), "the address that AWS removes to leave")
        meg.wait(reason="Ready")
        done = writes(story, since)
        reset = only(done, lambda w: w.operation == "ResetAddressAttribute", "the reset")
        left = only(done, lambda w: len(w.verbs("A", HOST).get("CREATE", ())) == 2, "A with two")
        assert reset.allocation_id == first.allocation_id
        assert reset.number < left.number
        since = last_call(story)
        story.aws.remove_nat_address(gateway, first.public_ip)
        fourth = story.aws.add_nat_address(gateway, "zone-a")
        meg.until(lambda: served(meg) == ips(second, third, fourth), "the replacement to join")
        meg.wait(reason="Ready")
    assert set(story.records(zone, HOST)) == set(ips(second, third, fourth))
    assert meg.get()["metadata"]["generation"] == 1
    assert [a["code"] for a in meg.status["advisories"]] == ["ChangingAddresses", "HeloSPF"]
    meg.delete()
    story.boto("ec2").delete_nat_gateway(NatGatewayId=gateway)
    story.assert_world(before)


def test_many_addresses_that_aws_removes_at_once_are_no_mass_loss(story: Story) -> None:
    """Given a regional gateway with six addresses, when AWS releases five of them at the same time, they leave the A
    record, no condition reports a loss, and no PTR of theirs is touched."""
    zone = story.zone()
    gateway, eips = story.aws.create_regional_nat_gateway(REGION, *["zone-a"] * 6, tags=MAIL)
    meg = story.meg("mail", HOST, [{"natGatewayTags": MAIL}]).wait()
    assert len(served(meg)) == 6
    since = last_call(story)
    for eip in eips[1:]:
        story.aws.remove_nat_address(gateway, eip.public_ip)
    meg.until(lambda: served(meg) == ips(eips[0]), "the addresses that AWS released to leave")
    meg.wait(reason="Ready")
    assert story.records(zone, HOST) == (eips[0].public_ip,)
    assert {w.operation for w in writes(story, since)} == {"ChangeResourceRecordSets"}
    told = {reason for _, reason in meg.events()}
    assert not told & {"AddressLost", "MassLossSuspected"}, told
    meg.delete()


def test_a_ptr_that_aws_does_not_take_concerns_that_address_only(story: Story) -> None:
    """Given a regional gateway whose addresses take no PTR and an Elastic IP of the user's own, the latter gets its
    PTR, and the message names the remedy. When AWS takes PTRs, all of it is Ready."""
    zone = story.zone()
    story.aws.settings(rnat_ptr="refuse")
    [own] = story.eips(1)
    gateway, [refused] = story.aws.create_regional_nat_gateway(REGION, "zone-a")
    selectors = [own, {"natGatewayID": gateway}]
    meg = story.meg("mail", HOST, selectors, forward={"ttlSeconds": 5})
    meg.wait(status="False", reason="PTRRejected")
    message = meg.condition("Ready")[2]
    assert f"AWS rejects the PTR {HOST} of {refused.public_ip}: ModifyAddressAttribute" in message, message
    assert "Create the gateway in manual mode" in message, message
    meg.until(lambda: story.ptr(own) == HOST, "the user's own address to have its PTR")
    assert set(story.records(zone, HOST)) == {own.public_ip, refused.public_ip}
    shown = {a["publicIP"]: a.get("reason") for a in meg.status["addresses"]}
    assert shown == {own.public_ip: None, refused.public_ip: "PTRRejected"}
    story.aws.settings(rnat_ptr="accept")
    meg.wait()
    assert story.ptr(refused) == HOST
    meg.delete()


def test_a_tag_that_is_on_a_load_balancer_too(story: Story) -> None:
    """Given a tag on an address that sends mail and on one of a load balancer, the first is served, and the second is
    reported and not touched. When the tag is removed from it, the object is Ready."""
    zone = story.zone()
    [sends] = story.aws.allocate(REGION, tags=MAIL)
    [receives] = story.aws.allocate(REGION, tags=MAIL, service_managed="alb")
    meg = story.meg("mail", HOST, [{"tags": MAIL}]).wait(status="False", reason="AddressServiceManaged")
    message = meg.condition("Ready")[2]
    assert message.startswith("The Elastic IP with tags=use=mail belongs to a service"), message
    meg.until(lambda: story.ptr(sends) == HOST, "the address that sends to have its PTR")
    assert story.records(zone, HOST) == (sends.public_ip,)
    assert story.ptr(receives) is None
    story.aws.remove_tags(receives.allocation_id, "use")
    meg.wait()
    assert served(meg) == ips(sends)
    meg.delete()
