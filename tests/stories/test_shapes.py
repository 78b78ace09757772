"""What mail leaves through: NAT gateways, instances and plain EIPs, one or several under one name,
in one region or two."""

from __future__ import annotations

from sandbox.aws.client import EipInfo, ZoneInfo
from tests.support.stories.story import Meg, Story

HOST = "mta.example.com"
ELSEWHERE = "us-east-1"


def assert_confirmed(story: Story, meg: Meg, zone: ZoneInfo, eips: list[EipInfo]) -> None:
    """A holds exactly these EIPs, each has the PTR, and the status says so."""
    addresses = sorted(e.public_ip for e in eips)
    assert list(story.records(zone, HOST)) == addresses
    assert [story.eip_dump(e)["ptr"] for e in eips] == [f"{HOST}."] * len(eips)
    status = meg.status
    assert sorted(status["publicIPs"]) == addresses
    assert sorted(status["forward"]["values"]) == addresses
    assert [(a["ptr"], a["iprev"]) for a in status["addresses"]] == [(HOST, "pass")] * len(eips)
    assert all("reason" not in a for a in status["addresses"]), status["addresses"]
    assert {
        c: meg.condition(c)[0] for c in ("Accepted", "ForwardReady", "ReverseReady", "Resolved")
    } == dict.fromkeys(("Accepted", "ForwardReady", "ReverseReady", "Resolved"), "True")


def test_a_nat_gateway_with_one_address(story: Story) -> None:
    """Given a NAT gateway, when its ID is all the manifest names, its EIP gets A and PTR; the
    status shows the gateway."""
    zone, eips = story.zone(), story.eips()
    gateway = story.nat_gateway(eips)
    before = story.world()
    meg = story.meg("outbound", HOST, [{"natGatewayID": gateway}]).wait()
    assert_confirmed(story, meg, zone, eips)
    entry = meg.address(eips[0].public_ip)
    assert entry["attachedTo"] == gateway
    assert entry["allocationID"] == eips[0].allocation_id
    assert entry["selector"] == f"natGatewayID={gateway}"
    meg.delete()
    story.assert_world(before)


def test_an_instance_with_one_address(story: Story) -> None:
    """Given an instance with an EIP, when its ID is all the manifest names, A and PTR come; the
    status shows the instance."""
    zone, eips = story.zone(), story.eips()
    instance = story.instance(eips)
    before = story.world()
    meg = story.meg("outbound", HOST, [{"instanceID": instance}]).wait()
    assert_confirmed(story, meg, zone, eips)
    assert meg.address(eips[0].public_ip)["attachedTo"] == instance
    meg.delete()
    story.assert_world(before)


def test_three_addresses_of_a_nat_gateway_under_one_name(story: Story) -> None:
    """Given a NAT gateway with three EIPs, one A record holds all three from its first write on,
    and each gets the PTR."""
    zone, eips = story.zone(), story.eips(3)
    gateway = story.nat_gateway(eips)
    story.until(
        lambda: story.nat_statuses(gateway) == ["succeeded"] * 3, "the gateway's addresses to be attached"
    )
    before = story.world()
    meg = story.meg("outbound", HOST, [{"natGatewayID": gateway}]).wait()
    assert_confirmed(story, meg, zone, eips)
    assert [meg.address(e.public_ip)["attachedTo"] for e in eips] == [gateway] * 3
    assert len(story.calls("ChangeResourceRecordSets")) == 1, "one batch for the whole set"
    assert len(story.calls("ModifyAddressAttribute")) == 3, "one PTR each, once"
    meg.delete()
    story.assert_world(before)


def test_two_addresses_of_one_instance(story: Story) -> None:
    """Given an instance with two EIPs, both are in the A record and both get the PTR."""
    zone, eips = story.zone(), story.eips(2)
    instance = story.instance(eips)
    before = story.world()
    meg = story.meg("outbound", HOST, [{"instanceID": instance}]).wait()
    assert_confirmed(story, meg, zone, eips)
    assert [meg.address(e.public_ip)["attachedTo"] for e in eips] == [instance] * 2
    meg.delete()
    story.assert_world(before)


def test_an_address_named_by_its_public_ip(story: Story) -> None:
    """Given an unattached EIP, when it is named by its address, it is found; nothing is shown as
    attached."""
    zone, eips = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [{"publicIP": eips[0].public_ip}]).wait()
    assert_confirmed(story, meg, zone, eips)
    entry = meg.address(eips[0].public_ip)
    assert entry["allocationID"] == eips[0].allocation_id
    assert "attachedTo" not in entry
    meg.delete()
    story.assert_world(before)


def test_two_regions_under_one_name(bare_story: Story) -> None:
    """Given EIPs in two regions, when each entry names its own, both are in the A record and both
    get the PTR."""
    story = bare_story
    story.start_operator(regions=f"ap-northeast-1,{ELSEWHERE}")
    zone, [here], [there] = story.zone(), story.eips(), story.eips(region=ELSEWHERE)
    before = story.world()
    selectors = [
        {"allocationID": here.allocation_id, "region": "ap-northeast-1"},
        {"allocationID": there.allocation_id, "region": ELSEWHERE},
    ]
    meg = story.meg("outbound", HOST, selectors).wait()
    assert_confirmed(story, meg, zone, [here, there])
    assert meg.address(here.public_ip)["region"] == "ap-northeast-1"
    assert meg.address(there.public_ip)["region"] == ELSEWHERE
    regions = {c["params"]["AllocationId"]: c["region"] for c in story.calls("ModifyAddressAttribute")}
    assert regions == {here.allocation_id: "ap-northeast-1", there.allocation_id: ELSEWHERE}
    meg.delete()
    story.assert_world(before)


def test_a_region_that_the_operator_does_not_look_after(story: Story) -> None:
    """Given an entry in a region the operator was not told of, nothing at all is written, and the
    message names it."""
    story.zone()
    [eip], [there] = story.eips(), story.eips(region=ELSEWHERE)
    before = story.world()
    selectors = [
        {"allocationID": eip.allocation_id},
        {"allocationID": there.allocation_id, "region": ELSEWHERE},
    ]
    meg = story.meg("outbound", HOST, selectors).wait("Accepted", "False", "RegionNotConfigured")
    message = meg.condition("Ready")[2]
    assert ELSEWHERE in message, message
    assert "--regions" in message, message
    story.assert_world(before)
    meg.spec(elasticIPs=selectors[:1]).wait()
    meg.delete()
    story.assert_world(before)


def test_overlapping_selectors_count_once(story: Story) -> None:
    """Given an EIP named by ID, by address and through its gateway, it appears once and is written once."""
    zone, eips = story.zone(), story.eips(2)
    gateway = story.nat_gateway(eips)
    story.until(
        lambda: story.nat_statuses(gateway) == ["succeeded"] * 2, "the gateway's addresses to be attached"
    )
    before = story.world()
    selectors = [
        {"allocationID": eips[0].allocation_id},
        {"natGatewayID": gateway},
        {"publicIP": eips[1].public_ip},
    ]
    meg = story.meg("outbound", HOST, selectors).wait()
    assert_confirmed(story, meg, zone, eips)
    assert len(story.calls("ModifyAddressAttribute")) == 2
    # Taking one of the two selectors away that name the same address changes nothing but the generation.
    writes = story.writes()
    meg.spec(elasticIPs=[{"natGatewayID": gateway}]).wait()
    assert_confirmed(story, meg, zone, eips)
    assert story.writes() == writes
    meg.delete()
    story.assert_world(before)


def test_an_address_that_is_still_being_attached_joins_later(story: Story) -> None:
    """Given a gateway with one address ready and one associating, the first is served now, the
    second when it carries mail."""
    zone, eips = story.zone(), story.eips(2)
    gateway = story.nat_gateway(eips)
    ready, coming = eips
    story.aws.set_nat_address_status(gateway, coming.public_ip, "associating")
    before = story.world()
    meg = story.meg("outbound", HOST, [{"natGatewayID": gateway}])
    meg.until(lambda: story.ptr(ready) == HOST, "the attached address to get its PTR")
    meg.wait("ReverseReady").wait("Ready", "False", "AddressPending")
    assert meg.condition("Reconciling")[:2] == ("True", "AddressPending")
    message = meg.condition("Ready")[2]
    assert gateway in message, message
    assert coming.public_ip in message, message
    assert story.records(zone, HOST) == (ready.public_ip,)
    assert story.ptr(coming) is None
    story.aws.set_nat_address_status(gateway, coming.public_ip, None)
    meg.wait()
    assert_confirmed(story, meg, zone, eips)
    meg.delete()
    story.assert_world(before)
