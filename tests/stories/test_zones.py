"""Which hosted zone holds the record, and what is said when none, several, or the wrong one would."""

from __future__ import annotations

import pytest

from tests.support.stories.story import Meg, Story

HOST = "mta.example.com"
OWN = "111122223333"
"""The account that the sandbox's operator works in."""
OTHER_NS = ["ns1.otherdns-sandbox.net", "ns2.otherdns-sandbox.net"]


def assert_at_work(meg: Meg, reason: str, *named: str) -> None:
    """ForwardReady says why not, with names and remedy; nobody is called yet."""
    status, found, message = meg.condition("ForwardReady")
    assert (status, found) == ("False", reason)
    for text in named:
        assert text in message, message
    conditions = meg.conditions()
    assert "Reconciling" in conditions
    assert "Stalled" not in conditions


def test_a_zone_that_is_made_later_is_found(story: Story) -> None:
    """Given no zone for the hostname but look-alikes, when the zone is created, then it is Ready without an edit."""
    alike, inner = story.zone("notexample.com"), story.zone("a.mta.example.com")
    private = story.zone("example.com", private=True)
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneNotFound")
    assert_at_work(meg, "ZoneNotFound", HOST, "Create the zone")
    assert "zone" not in meg.status
    story.passes(meg)
    assert story.writes() == 0
    zone = story.zone()
    meg.wait()
    assert meg.status["zone"] == {"id": zone.id, "name": "example.com", "accountID": OWN}
    for other in (alike, inner, private):
        assert not [r for r in story.zone_dump(other)["record_sets"] if r.split()[1] in ("A", "TXT")]


def test_the_longest_public_zone_is_taken(story: Story) -> None:
    """Given example.com, its sub-zone eu.example.com, a private zone of that name and a longer private one, then the
    record goes into the public sub-zone alone."""
    parent = story.zone()
    private = story.zone("eu.example.com", private=True)
    longer = story.zone("mta.eu.example.com", private=True)
    alike = story.zone("u.example.com")
    zone = story.zone("eu.example.com")
    for inner in (zone, alike):
        story.put_record(parent, inner.name, [f"{n}." for n in inner.name_servers], "NS", action="CREATE")
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.eu.example.com", [eip]).wait()
    assert meg.status["zone"] == {"id": zone.id, "name": "eu.example.com", "accountID": OWN}
    assert story.records(zone, "mta.eu.example.com") == (eip.public_ip,)
    changed = {
        c["params"]["HostedZoneId"].rsplit("/", 1)[-1] for c in story.calls("ChangeResourceRecordSets")
    }
    assert changed == {zone.id}, (changed, private, longer)
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("by_id", [False, True], ids=["by suffix", "by ID"])
def test_a_zone_of_another_service_is_not_edited(story: Story, by_id: bool) -> None:
    """Given a zone that another AWS service manages, then it is named as not editable and nothing is sent to it."""
    zone = story.zone(linked_service="servicediscovery.amazonaws.com")
    [eip] = story.eips()
    named = {"forward": {"hostedZoneID": zone.id}} if by_id else {}
    meg = story.meg("outbound", HOST, [eip], **named).wait(status="False", reason="ZoneNotEditable")
    assert_at_work(meg, "ZoneNotEditable", zone.id, "servicediscovery.amazonaws.com", "hostedZoneID")
    story.passes(meg)
    assert not story.calls("ChangeResourceRecordSets")
    meg.delete()


def test_a_private_zone_by_its_id_is_not_edited(story: Story) -> None:
    """Given the ID of a private zone, then it is refused although a public one of the same name stands beside it."""
    story.zone()
    private = story.zone(private=True)
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip], forward={"hostedZoneID": private.id})
    meg.wait(status="False", reason="ZoneNotEditable")
    assert_at_work(meg, "ZoneNotEditable", private.id, "is private")
    assert story.writes() == 0


def test_of_twins_the_delegated_one_is_taken(story: Story) -> None:
    """Given two public zones of one name of which the parent delegates to the second, then the record goes there."""
    first, second = story.zone(), story.zone()
    story.cloud.dns("delegate", zone="example.com", ns=list(second.name_servers))
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.status["zone"]["id"] == second.id
    assert story.records(first, HOST) == ()
    assert story.records(second, HOST) == (eip.public_ip,)
    meg.delete()
    story.assert_world(before)


def test_of_twins_none_is_delegated(story: Story) -> None:
    """Given twins of which the parent delegates to neither, then nothing is written and the user is asked which; when
    the spec says it, A goes there, no PTR is asked for, and the status names what the parent publishes."""
    first, second = story.zone(), story.zone()
    story.cloud.dns("delegate", zone="example.com", ns=OTHER_NS)
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneAmbiguous")
    assert_at_work(meg, "ZoneAmbiguous", first.id, second.id, "hostedZoneID")
    story.passes(meg)
    assert story.writes() == 0

    meg.spec(forward={"hostedZoneID": first.id}).wait(status="False", reason="ZoneNotDelegated")
    assert_at_work(meg, "ZoneNotDelegated", "ns1.otherdns-sandbox.net", first.name_servers[0].rstrip("."))
    assert story.records(first, HOST) == (eip.public_ip,)
    assert story.records(second, HOST) == ()
    story.passes(meg)
    assert not story.calls("ModifyAddressAttribute")
    meg.delete()
    story.assert_world(before)


def test_the_undelegated_twin_by_its_id(story: Story) -> None:
    """Given twins and the ID of the one that the world does not ask, then A is made there, no PTR is asked for, and the
    status says what the parent publishes."""
    delegated, dark = story.zone(), story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip], forward={"hostedZoneID": dark.id})
    meg.wait(status="False", reason="ZoneNotDelegated")
    assert_at_work(meg, "ZoneNotDelegated", delegated.name_servers[0], dark.name_servers[0])
    story.passes(meg)
    assert story.records(dark, HOST) == (eip.public_ip,)
    assert story.records(delegated, HOST) == ()
    assert not story.calls("ModifyAddressAttribute")


def test_a_zone_id_that_does_not_fit_the_hostname(story: Story) -> None:
    """Given the ID of a zone that does not contain the hostname, or of none, then this is said and nothing written."""
    story.zone()
    wrong = story.zone("example.net")
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip], forward={"hostedZoneID": wrong.id})
    meg.wait(status="False", reason="ZoneNotFound")
    assert_at_work(meg, "ZoneNotFound", wrong.id, HOST)
    assert "example.net" not in meg.condition("ForwardReady")[2], "a guessed ID does not tell the zone's name"
    meg.spec(forward={"hostedZoneID": "Z0000000000MISSING"}).wait(status="False", reason="ZoneNotFound")
    assert_at_work(meg, "ZoneNotFound", "Z0000000000MISSING")
    assert story.writes() == 0
    meg.spec(forward=None).wait()


def test_an_undelegated_zone_gets_its_a_record_and_no_ptr(story: Story) -> None:
    """Given a zone that its parent does not know, then the A record waits there and AWS is not asked for a PTR; when
    the delegation is entered, it is Ready without an edit."""
    zone = story.zone()
    story.cloud.dns("undelegate", zone="example.com")
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneNotDelegated")
    assert_at_work(meg, "ZoneNotDelegated", "example.com", "parent")
    story.passes(meg, 3)
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert not story.calls("ModifyAddressAttribute")
    story.cloud.dns("delegate", zone="example.com", ns=list(zone.name_servers))
    meg.wait()
    meg.delete()
    story.assert_world(before)


def test_a_name_in_a_sub_zone_that_lives_elsewhere(story: Story) -> None:
    """Given mail.example.com delegated away from our zone to another DNS, then our record there is invisible, this is
    said by name, and no PTR is asked for; when the sub-zone comes home, it is Ready."""
    zone = story.zone()
    story.put_record(zone, "mail.example.com", [f"{n}." for n in OTHER_NS], "NS", action="CREATE")
    story.cloud.dns("zone-put", zone="mail.example.com", delegate=False)
    [eip] = story.eips()
    meg = story.meg("outbound", "mta.mail.example.com", [eip]).wait(status="False", reason="ZoneNotDelegated")
    assert_at_work(meg, "ZoneNotDelegated", "mail.example.com", "example.com")
    story.passes(meg)
    assert not story.calls("ModifyAddressAttribute")
    story.drop_record(zone, "mail.example.com", "NS")
    story.cloud.dns("zone-remove", zone="mail.example.com")
    meg.wait()


def test_a_zone_deleted_under_a_ready_name(story: Story) -> None:
    """Given a Ready object, when its zone is deleted, then the status says so; when the object is deleted, the PTR is
    reset and nothing holds it back."""
    zone = story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    denial = story.aws.deny("route53:ChangeResourceRecordSets")
    story.drop_record(zone, HOST)
    story.drop_record(zone, f"_mailegress.{HOST}", "TXT")
    story.boto("route53").delete_hosted_zone(Id=zone.id)
    story.aws.allow(denial)
    meg.wait(status="False", reason="ZoneNotFound")
    assert_at_work(meg, "ZoneNotFound", HOST)
    meg.delete()
    assert story.ptr(eip) is None
