"""Two namespaces under --policy=Enforce: which Elastic IPs, judged on what a selector resolves to."""

from __future__ import annotations

from sandbox.aws.client import EipInfo
from tests.support.stories.policies import Tenants, refused, told
from tests.support.stories.story import Story

OURS, THEIRS = "mail.a.example.com", "mail.b.example.com"
MTA = f"mta.{OURS}"
TEAM_A, TEAM_B = {"matchTags": {"team": "a"}}, {"matchTags": {"team": "b"}}


def tag(story: Story, team: str, *eips: EipInfo) -> None:
    for eip in eips:
        story.aws.set_tags(eip.allocation_id, {"team": team})


def test_an_address_of_another_namespace_is_refused_however_it_is_named(tenants: Tenants) -> None:
    """Given our addresses, when another namespace names them by ID, public IP, NAT gateway and instance, then each is
    refused with the words for an address that does not exist, nothing of them is shown or written, and ours stays
    Ready."""
    story = tenants.story
    story.zone()
    eips = story.eips(3)
    plain, natted, attached = eips
    tag(story, "a", *eips)
    gateway, instance = story.nat_gateway([natted]), story.instance([attached])
    story.until(lambda: story.nat_statuses(gateway) == ["succeeded"], "the NAT gateway")
    tenants.allow(tenants.ours, OURS, addresses=TEAM_A)
    tenants.allow(tenants.theirs, THEIRS, addresses=TEAM_B)
    before = story.world()
    story.start_operator(policy="Enforce")
    mine = story.meg("outbound", MTA, [plain, {"natGatewayID": gateway}, {"instanceID": instance}]).wait()
    selectors = [
        {"allocationID": plain.allocation_id},
        {"publicIP": plain.public_ip},
        {"natGatewayID": gateway},
        {"instanceID": instance},
        {"allocationID": "eipalloc-0deadbeefdeadbeef"},
    ]
    evil = [
        story.meg(f"evil-{n}", f"mta{n}.{THEIRS}", [selector], namespace=tenants.theirs)
        for n, selector in enumerate(selectors)
    ]
    messages = set()
    for number, (meg, selector) in enumerate(zip(evil, selectors, strict=True)):
        [named] = selector.values()
        message = refused(meg, "AddressNotAllowed").replace(f"mta{number}", "mta")
        messages.add(message.replace(named, "X").replace(next(iter(selector)), "kind"))
        [entry] = meg.status["addresses"]
        assert entry.keys() <= {"selector", "region", "reason"}
        assert entry["reason"] == "AddressNotAllowed"
        text = told(meg)
        for eip in eips:
            for secret in (eip.public_ip, eip.allocation_id):
                assert secret == named or secret not in text
        assert MTA not in text
    assert len(messages) == 1, messages
    assert not story.calls("ModifyAddressAttribute", contains=THEIRS)
    assert not story.calls("ChangeResourceRecordSets", contains=THEIRS)
    assert mine.condition("Ready")[0] == "True"
    for meg in evil:
        meg.delete()
    mine.delete()
    story.assert_world(before)


def test_an_address_that_another_team_attaches_does_not_join(tenants: Tenants) -> None:
    """Given a NAT gateway, when an address with another team's tag is attached to it, then only ours are in the
    record."""
    story = tenants.story
    zone, [ours, foreign] = story.zone(), story.eips(2)
    tag(story, "a", ours)
    tag(story, "b", foreign)
    gateway = story.nat_gateway([ours, foreign])
    story.until(lambda: story.nat_statuses(gateway) == ["succeeded"] * 2, "the NAT gateway")
    tenants.allow(tenants.ours, OURS, addresses=TEAM_A)
    before = story.world()
    story.start_operator(policy="Enforce")
    meg = story.meg("outbound", MTA, [{"natGatewayID": gateway}])
    refused(meg, "AddressNotAllowed")
    story.until(lambda: story.ptr(ours) == MTA, "the PTR of the address that is allowed")
    assert story.records(zone, MTA) == (ours.public_ip,)
    assert tenants.touched(foreign) == []
    assert foreign.public_ip not in told(meg)
    story.aws.set_tags(foreign.allocation_id, {"team": "a"})
    meg.wait()
    assert story.ptr(foreign) == MTA
    meg.delete()
    story.aws.set_tags(foreign.allocation_id, {"team": "b"})
    story.assert_world(before)


def test_a_tag_that_is_removed_stops_repairs_but_not_the_removal(tenants: Tenants) -> None:
    """Given a Ready object, when the tag of its address is removed, then its records stay and are not repaired; when
    it is deleted, they are removed."""
    story = tenants.story
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    tag(story, "a", eip)
    tenants.allow(tenants.ours, OURS, addresses=TEAM_A)
    story.start_operator(policy="Enforce")
    meg = story.meg("outbound", MTA, [eip]).wait()
    story.aws.remove_tags(eip.allocation_id, "team")
    refused(meg, "AddressNotAllowed")
    writes = story.writes()
    story.aws.force_ptr(eip.public_ip, None)
    story.passes(meg, 3)
    assert story.ptr(eip) is None
    assert story.records(zone, MTA) == (eip.public_ip,)
    assert story.writes() == writes
    meg.delete()
    story.assert_world(before)
