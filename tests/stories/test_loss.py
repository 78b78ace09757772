"""Elastic IPs and NAT gateways go away: what is lost is let go at once, what may be a mistake is not believed."""

from __future__ import annotations

from sandbox.aws.client import EipInfo
from sandbox.cloud import REGION
from tests.support.stories.order import attempts, last_call, never_broken, writes
from tests.support.stories.story import Meg, Story

HOST = "mta.example.com"
STRANGER = "222222222222"


def gateway(story: Story, *eips: EipInfo) -> str:
    """A NAT gateway that sends from these, as its owner makes it."""
    ec2 = story.boto("ec2")
    made = ec2.create_nat_gateway(
        SubnetId="subnet-0123456789abcdef0",
        AllocationId=eips[0].allocation_id,
        SecondaryAllocationIds=[e.allocation_id for e in eips[1:]],
    )
    return str(made["NatGateway"]["NatGatewayId"])


def values(story: Story, zone: object, name: str = HOST) -> tuple[str, ...]:
    return story.records(zone, name)  # type: ignore[arg-type]


def ips(*eips: EipInfo) -> tuple[str, ...]:
    return tuple(sorted(e.public_ip for e in eips))


# ---------------------------------------------------------------- NAT gateways


def test_the_spec_names_another_nat_gateway(story: Story) -> None:
    """Given a NAT gateway's name, when the spec names its replacement, then the addresses move make-before-break."""
    zone = story.zone()
    old, new = story.eips(2)
    first, second = gateway(story, old), gateway(story, new)
    before = story.world()
    meg = story.meg("mail", HOST, [{"natGatewayID": first}]).wait()
    assert meg.address(old.public_ip)["attachedTo"] == first
    with never_broken(story):
        meg.spec(elasticIPs=[{"natGatewayID": second}]).wait(reason="Ready")
        story.until(lambda: values(story, zone) == ips(new), "the old address to leave")
    assert story.ptr(old) is None
    assert story.ptr(new) == HOST
    assert meg.address(new.public_ip)["attachedTo"] == second
    meg.delete()
    story.assert_world(before)


def test_aws_replaces_an_address_of_a_nat_gateway(story: Story) -> None:
    """Given two NAT addresses, when AWS swaps one for another, then A and PTRs follow without an edit."""
    zone = story.zone()
    stays, old, new = story.eips(3)
    nat = gateway(story, stays, old)
    meg = story.meg("mail", HOST, [{"natGatewayID": nat}]).wait()
    assert values(story, zone) == ips(stays, old)
    generation = meg.get()["metadata"]["generation"]
    with never_broken(story):
        story.aws.replace_nat_address(nat, old.public_ip, new.public_ip)
        story.until(
            lambda: values(story, zone) == ips(stays, new), "A to hold the new address and not the old one"
        )
        meg.wait(reason="Ready")
    assert (story.ptr(stays), story.ptr(old), story.ptr(new)) == (HOST, None, HOST)
    assert meg.get()["metadata"]["generation"] == generation
    reset = {w.allocation_id for w in writes(story) if w.operation == "ResetAddressAttribute"}
    assert reset == {old.allocation_id}


def test_an_address_that_is_still_being_attached_waits(story: Story) -> None:
    """Given a NAT gateway, when an address is still associating, then it joins only when it has succeeded."""
    zone = story.zone()
    stays, coming = story.eips(2)
    nat = gateway(story, stays)
    meg = story.meg("mail", HOST, [{"natGatewayID": nat}]).wait()
    story.boto("ec2").associate_nat_gateway_address(NatGatewayId=nat, AllocationIds=[coming.allocation_id])
    story.aws.set_nat_address_status(nat, coming.public_ip, "associating")
    meg.wait(status="False", reason="AddressPending")
    assert coming.public_ip in meg.condition("Ready")[2]
    assert values(story, zone) == ips(stays)
    story.aws.set_nat_address_status(nat, coming.public_ip, "succeeded")
    meg.wait()
    assert values(story, zone) == ips(stays, coming)
    assert story.ptr(coming) == HOST


def test_a_deleted_nat_gateway_never_shrinks_the_record(story: Story) -> None:
    """Given a NAT gateway's name, when the gateway is deleted, then its addresses stay until somebody decides."""
    zone = story.zone()
    eips = story.eips(2)
    nat = gateway(story, *eips)
    meg = story.meg("mail", HOST, [{"natGatewayID": nat}]).wait()
    since = last_call(story)
    story.boto("ec2").delete_nat_gateway(NatGatewayId=nat)
    meg.wait(status="False", reason="AddressNotFound")
    message = meg.condition("Ready")[2]
    assert nat in message, message
    story.passes(meg, 3)
    assert meg.condition("Ready")[:2] == ("False", "AddressNotFound")
    assert values(story, zone) == ips(*eips)
    assert [story.ptr(e) for e in eips] == [HOST, HOST]
    assert attempts(story, since) == []
    assert {meg.address(e.public_ip)["reason"] for e in eips} == {"AddressNotFound"}
    # One of the addresses held is released after all.
    story.aws.lose_eip(eips[0].public_ip)
    story.until(lambda: values(story, zone) == ips(eips[1]), "A to let go of the released one")
    meg.wait_reason("AddressLost")
    assert meg.address(eips[0].public_ip)["reason"] == "AddressLost"
    assert meg.address(eips[1].public_ip)["reason"] == "AddressNotFound"
    meg.delete()
    assert values(story, zone) == ()
    assert story.ptr(eips[1]) is None


# ---------------------------------------------------------------- single addresses


def test_a_lost_address_leaves_the_record_at_once(story: Story) -> None:
    """Given two EIPs, when one is released by force, then A drops it after two look-ups; the other stays."""
    zone = story.zone()
    lost, kept = story.eips(2)
    meg = story.meg("mail", HOST, [lost, kept]).wait()
    since = last_call(story)
    story.aws.lose_eip(lost.public_ip)
    meg.wait(status="False", reason="AddressLost")
    story.until(lambda: values(story, zone) == ips(kept), "A to let go of the lost address")
    looks = [
        c
        for c in story.aws.log(operation="DescribeAddresses", since=since)
        if lost.allocation_id in str(c["params"])
    ]
    shrunk = [w for w in writes(story, since) if w.changes]
    assert len(shrunk) == 1
    before = [c for c in looks if c["number"] < shrunk[0].number]
    assert len(before) >= 2, "two filtered look-ups"
    assert before[-1]["time"] - before[0]["time"] > 1.5, "they are 2 s apart"
    message = meg.condition("Ready")[2]
    assert lost.public_ip in message, message
    assert lost.allocation_id in message, message
    meg.told("Warning", "AddressLost")
    assert meg.address(lost.public_ip)["reason"] == "AddressLost"
    assert story.ptr(kept) == HOST
    assert [w.operation for w in writes(story, since)] == ["ChangeResourceRecordSets"]
    # The remedy that the message names.
    meg.spec(elasticIPs=[{"allocationID": kept.allocation_id}]).wait()
    assert values(story, zone) == ips(kept)


def test_the_only_address_lost(story: Story) -> None:
    """Given one EIP, when it is released by force, then A and mark are withdrawn; a new EIP serves again."""
    zone = story.zone()
    [lost] = story.eips()
    meg = story.meg("mail", HOST, [lost]).wait()
    story.aws.lose_eip(lost.public_ip)
    story.until(lambda: values(story, zone) == (), "the A record to be withdrawn")
    meg.wait(status="False", reason="AddressLost")
    assert story.records(zone, f"_mailegress.{HOST}", "TXT") == ()
    since = last_call(story)
    story.passes(meg, 2)
    assert attempts(story, since) == []
    # Another address is named: the same object serves again.
    [new] = story.eips()
    meg.spec(elasticIPs=[{"allocationID": new.allocation_id}]).wait()
    assert values(story, zone) == ips(new)
    meg.delete()
    assert values(story, zone) == ()
    assert story.ptr(new) is None


def test_an_address_transferred_to_another_account(story: Story) -> None:
    """Given two EIPs, when one is transferred away, then A lets go of it and the stranger's PTR is never touched."""
    zone = story.zone()
    lost, kept = story.eips(2)
    meg = story.meg("mail", HOST, [lost, kept]).wait()
    since = last_call(story)
    story.aws.transfer_eip(lost.public_ip, STRANGER)
    story.until(lambda: values(story, zone) == ips(kept), "A to let go of the transferred address")
    meg.wait(status="False", reason="AddressLost")
    story.aws.force_ptr(lost.public_ip, "stranger.example.net")
    meg.delete()
    assert values(story, zone) == ()
    touched = [w for w in writes(story, since) if w.operation != "ChangeResourceRecordSets"]
    assert {w.allocation_id for w in touched} == {kept.allocation_id}
    account = story.world()["accounts"][STRANGER]["regions"][REGION]["addresses"][lost.public_ip]
    assert account["ptr"] == "stranger.example.net."


def test_lost_stays_lost_over_a_restart(story: Story) -> None:
    """Given a lost EIP, when the operator restarts, then it says the same at once and writes nothing."""
    zone = story.zone()
    lost, kept = story.eips(2)
    meg = story.meg("mail", HOST, [lost, kept]).wait()
    story.aws.lose_eip(lost.public_ip)
    meg.wait(status="False", reason="AddressLost")
    story.until(lambda: values(story, zone) == ips(kept), "A to let go of the lost address")
    story.passes(meg, 2)
    told = meg.conditions()["Ready"]
    assert story.operator.stop() == 0
    since = last_call(story)
    story.operator.start()
    story.passes(meg, 3)
    assert attempts(story, since) == []
    assert meg.conditions()["Ready"] == told


# ---------------------------------------------------------------- many at once


def five(story: Story, eips: list[EipInfo]) -> list[Meg]:
    made = [story.meg(f"mail{i}", f"mta{i}.example.com", [eip]) for i, eip in enumerate(eips)]
    return [meg.wait() for meg in made]


def test_a_mass_loss_is_not_believed(story: Story) -> None:
    """Given five names, when all their EIPs vanish at once, then nothing goes; an edit is a human's word for it."""
    zone = story.zone()
    eips = story.eips(5)
    megs = five(story, eips)
    since = last_call(story)
    for eip in eips:
        story.aws.hide_eip(eip.public_ip)
    for meg in megs:
        meg.wait(status="False", reason="MassLossSuspected")
    for meg in megs:
        story.passes(meg, 2)
    assert attempts(story, since) == []
    for number, eip in enumerate(eips):
        assert values(story, zone, f"mta{number}.example.com") == ips(eip)
    message = megs[0].condition("Ready")[2]
    assert eips[0].public_ip in message, message
    assert "nothing is removed" in message, message
    megs[0].told("Warning", "MassLossSuspected")
    # One is edited, another deleted: a human has looked at these two, and at these two alone.
    megs[0].spec(forward={"ttlSeconds": 120}).wait(status="False", reason="AddressLost")
    story.until(
        lambda: values(story, zone, "mta0.example.com") == (), "the edited one's record to be withdrawn"
    )
    megs[1].delete()
    assert values(story, zone, "mta1.example.com") == ()
    for number in (2, 3, 4):
        story.passes(megs[number])
        assert megs[number].condition("Ready")[:2] == ("False", "MassLossSuspected")
        assert values(story, zone, f"mta{number}.example.com") == ips(eips[number])


def test_a_mass_loss_ends_when_the_addresses_return(story: Story) -> None:
    """Given a suspected mass loss, when the addresses are seen again, then all is Ready without a single write."""
    story.zone()
    eips = story.eips(5)
    megs = five(story, eips)
    ready = story.world()
    since = last_call(story)
    for eip in eips:
        story.aws.hide_eip(eip.public_ip)
    for meg in megs:
        meg.wait(status="False", reason="MassLossSuspected")
    for eip in eips:
        story.aws.show_eip(eip.public_ip)
    for meg in megs:
        meg.wait()
    assert attempts(story, since) == []
    story.assert_world(ready)


def test_a_mass_loss_is_not_believed_after_a_restart(story: Story) -> None:
    """Given five names, when the operator starts and sees none of their EIPs, then nothing is deleted."""
    story.zone()
    eips = story.eips(5)
    megs = five(story, eips)
    ready = story.world()
    assert story.operator.stop() == 0
    for eip in eips:
        story.aws.hide_eip(eip.public_ip)
    since = last_call(story)
    story.operator.start()
    for meg in megs:
        meg.wait(status="False", reason="MassLossSuspected")
    assert attempts(story, since) == []
    for eip in eips:
        story.aws.show_eip(eip.public_ip)
    for meg in megs:
        meg.wait()
    story.assert_world(ready)
