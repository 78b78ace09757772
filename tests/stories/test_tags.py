"""Addresses that are selected by tags, by the tags of their NAT gateways, and by network interface."""

from __future__ import annotations

from sandbox.aws.client import EipInfo
from tests.support.stories.order import last_call, never_broken, only, writes
from tests.support.stories.story import Meg, Story

HOST, OTHER = "mta.example.com", "mta2.example.com"
MAIL = {"use": "mail"}


def served(meg: Meg) -> list[str]:
    """Sorted as the addresses are: they are all of one network."""
    return [str(ip) for ip in meg.status.get("publicIPs", [])]


def selectors_shown(meg: Meg) -> set[tuple[str, str | None]]:
    return {(a["selector"], a.get("publicIP")) for a in meg.status["addresses"]}


def ips(*eips: EipInfo) -> list[str]:
    return sorted((e.public_ip for e in eips), key=lambda ip: [int(part) for part in ip.split(".")])


def test_a_tag_that_moves_swaps_the_addresses_by_way_of_the_union(story: Story) -> None:
    """Given one tagged EIP, when `aws ec2 create-tags` and `delete-tags` move the tag, the addresses are exchanged as
    by an edit, and none of it needs one. When the tag is removed from the last EIP, it is held."""
    zone = story.zone()
    old, new, _ = story.eips(3)
    before = story.world()
    ec2 = story.boto("ec2")
    tag = [{"Key": "use", "Value": "mail"}]
    ec2.create_tags(Resources=[old.allocation_id], Tags=tag)
    meg = story.meg("mail", HOST, [{"tags": MAIL}]).wait()
    assert selectors_shown(meg) == {("tags=use=mail", old.public_ip)}
    since = last_call(story)
    with never_broken(story):
        ec2.delete_tags(Resources=[old.allocation_id], Tags=tag)
        ec2.create_tags(Resources=[new.allocation_id], Tags=tag)
        meg.until(lambda: served(meg) == ips(new), "the address that has the tag now to be the only one")
        meg.wait(reason="Ready")
    done = writes(story, since)
    union = only(done, lambda w: len(w.verbs("A", HOST).get("CREATE", ())) == 2, "union")
    reset = only(done, lambda w: w.operation == "ResetAddressAttribute", "reset of the old PTR")
    assert reset.allocation_id == old.allocation_id
    assert union.number < reset.number
    assert story.records(zone, HOST) == (new.public_ip,)
    assert meg.get()["metadata"]["generation"] == 1
    ec2.delete_tags(Resources=[new.allocation_id], Tags=tag)
    meg.wait_reason("AddressNotFound")
    assert "tags=use=mail resolves to no Elastic IP" in meg.condition("Ready")[2]
    assert story.records(zone, HOST) == (new.public_ip,)
    assert story.ptr(new) == HOST
    meg.delete()
    story.assert_world(before)


def test_from_ids_to_tags_nothing_is_written(story: Story) -> None:
    """Given two EIPs by allocation ID, when they get a tag and the spec names the tag, nothing is written to AWS and no
    condition becomes False. When a third EIP gets the tag it joins, and when one loses it, it is released."""
    zone = story.zone()
    first, second, third = story.eips(3)
    meg = story.meg("mail", HOST, [first, second]).wait()
    for eip in (first, second):
        story.aws.set_tags(eip.allocation_id, MAIL)
    writes_before = story.writes()
    with never_broken(story):
        meg.spec(elasticIPs=[{"tags": MAIL}]).wait(reason="Ready")
        meg.until(
            lambda: selectors_shown(meg) == {("tags=use=mail", e.public_ip) for e in (first, second)},
            "the status to show the addresses by their tags",
        )
        assert story.writes() == writes_before
        story.aws.set_tags(third.allocation_id, MAIL)
        meg.until(lambda: served(meg) == ips(first, second, third), "the third address to join")
        meg.wait(reason="Ready")
        story.aws.remove_tags(first.allocation_id, "use")
        meg.until(lambda: served(meg) == ips(second, third), "the first address to be released")
        meg.wait(reason="Ready")
    assert story.ptr(first) is None
    assert set(story.records(zone, HOST)) == {second.public_ip, third.public_ip}
    meg.delete()


def test_a_tag_on_65_addresses_is_refused_with_the_numbers(story: Story) -> None:
    story.zone()
    eips = story.aws.allocate("ap-northeast-1", 65, tags=MAIL)
    before = story.world()
    meg = story.meg("mail", HOST, [{"tags": MAIL}]).wait("Accepted", "False", "TooManyAddresses")
    message = meg.condition("Accepted")[2]
    assert "65 Elastic IPs (65 by tags=use=mail); at most 64" in message, message
    assert story.writes() == 0
    story.aws.remove_tags(eips[7].allocation_id, "use")
    meg.wait()
    assert len(served(meg)) == 64
    meg.delete()
    story.aws.set_tags(eips[7].allocation_id, MAIL)
    story.assert_world(before)


def test_an_address_with_the_tag_that_another_object_holds_is_a_conflict(story: Story) -> None:
    """Given an object that holds an EIP, when another one selects a tag that this EIP has too, it serves the
    others, and reports the conflict without naming the address. When the first object is deleted, it takes over."""
    story.zone()
    taken, free = story.aws.allocate("ap-northeast-1", 2, tags=MAIL)
    before = story.world()
    holder = story.meg("holder", OTHER, [taken]).wait()
    meg = story.meg("mail", HOST, [{"tags": MAIL}]).wait("Accepted", "False", "AddressConflict")
    message = meg.condition("Accepted")[2]
    assert message.startswith("An Elastic IP with tags=use=mail belongs to another MailEgress"), message
    assert taken.public_ip not in str(meg.status)
    meg.until(lambda: story.ptr(free) == HOST, "the free address to be served")
    assert story.ptr(taken) == OTHER
    holder.delete()
    meg.wait()
    assert served(meg) == ips(taken, free)
    meg.delete()
    story.assert_world(before)


def test_all_gateways_with_a_tag(story: Story) -> None:
    """Given two NAT gateways with a tag and one without, the addresses of the two send under one name."""
    zone = story.zone()
    first, second, other = story.eips(3)
    gateways = [story.nat_gateway([each]) for each in (first, second, other)]
    for gateway in gateways[:2]:
        story.boto("ec2").create_tags(Resources=[gateway], Tags=[{"Key": "use", "Value": "mail"}])
    before = story.world()
    meg = story.meg("mail", HOST, [{"natGatewayTags": MAIL}]).wait()
    assert served(meg) == ips(first, second)
    assert {a["attachedTo"] for a in meg.status["addresses"]} == set(gateways[:2])
    assert set(story.records(zone, HOST)) == {first.public_ip, second.public_ip}
    assert story.ptr(other) is None
    meg.delete()
    story.assert_world(before)


def test_one_interface_of_an_appliance(story: Story) -> None:
    """Given two instances with an EIP each, the interface of one of them selects its address only."""
    zone = story.zone()
    mail, other = story.eips(2)
    for eip in (mail, other):
        story.instance([eip])
    [shown] = story.boto("ec2").describe_addresses(AllocationIds=[mail.allocation_id])["Addresses"]
    before = story.world()
    meg = story.meg("mail", HOST, [{"networkInterfaceID": shown["NetworkInterfaceId"]}]).wait()
    assert served(meg) == ips(mail)
    assert story.records(zone, HOST) == (mail.public_ip,)
    meg.delete()
    story.assert_world(before)
