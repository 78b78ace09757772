"""The A record lives in another DNS: it is waited for, never written; only the PTR is the
operator's work."""

from __future__ import annotations

from sandbox.aws.client import EipInfo
from tests.support.stories.story import Story

ZONE, HOST = "example.net", "mta.example.net"
OBSERVED = {"management": "Observed"}


def other_dns(story: Story, name: str, rtype: str, *values: str) -> None:
    """Somebody writes a record set into the other DNS provider's zone."""
    story.cloud.dns("record-put", zone=ZONE, name=name, type=rtype, values=list(values), ttl=300)


def assert_only_the_ptr(story: Story, eip: EipInfo) -> None:
    """The PTR is right, and Route 53 was never written to."""
    assert story.ptr(eip) == HOST
    assert story.calls("ChangeResourceRecordSets") == []


def test_the_record_is_already_there(story: Story) -> None:
    """Given the A record at another provider, the PTR is set, Route 53 never written; on delete
    the PTR is reset."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", eip.public_ip)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert_only_the_ptr(story, eip)
    status = meg.status
    assert status["forward"] == {"values": [eip.public_ip], "ttlSeconds": 300}
    assert "zone" not in status
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed"
    meg.delete()
    assert story.calls("ChangeResourceRecordSets") == []
    story.assert_world(before)


def test_it_waits_until_the_record_is_written(story: Story) -> None:
    """Given a name without A record, nothing is written and the message says what to write;
    written, it becomes Ready."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait(
        "ForwardReady", "False", "WaitingForForward"
    )
    message = meg.condition("Ready")[2]
    assert HOST in message, message
    assert eip.public_ip in message, message
    assert meg.condition("Reconciling")[:2] == ("True", "WaitingForForward")
    assert story.writes() == 0
    other_dns(story, HOST, "A", "192.0.2.99")
    story.passes(meg)
    meg.until(lambda: "192.0.2.99" in meg.condition("Ready")[2], "the message to show what is there")
    assert eip.public_ip in meg.condition("Ready")[2]
    assert meg.condition("ForwardReady")[:2] == meg.condition("Ready")[:2] == ("False", "WaitingForForward")
    assert story.writes() == 0, "a record without the address is no reason to set a PTR"
    other_dns(story, HOST, "A", eip.public_ip)
    meg.wait()
    assert_only_the_ptr(story, eip)
    meg.delete()
    story.assert_world(before)


def test_more_values_than_ours(story: Story) -> None:
    """Given an A record that also holds other addresses, it is right as it is, and the status
    shows all its values."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", "192.0.2.99", eip.public_ip)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert_only_the_ptr(story, eip)
    assert sorted(meg.status["forward"]["values"]) == sorted(["192.0.2.99", eip.public_ip])
    assert meg.status["publicIPs"] == [eip.public_ip]
    meg.delete()
    story.assert_world(before)


def test_behind_a_cname(story: Story) -> None:
    """Given a hostname that is an alias, the addresses at its target count; the PTR is the
    hostname, not the target."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "CNAME", f"egress.{ZONE}.")
    other_dns(story, f"egress.{ZONE}", "A", eip.public_ip)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert_only_the_ptr(story, eip)
    assert meg.status["forward"]["values"] == [eip.public_ip]
    meg.delete()
    story.assert_world(before)


def test_behind_a_cname_into_another_zone(story: Story) -> None:
    """Given an alias whose target lives in a zone of Route 53, the chain is followed there, and
    that zone is not touched."""
    zone, [eip] = story.zone("example.com"), story.eips()
    story.put_record(zone, "egress.example.com", [eip.public_ip])
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "CNAME", "egress.example.com.")
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert_only_the_ptr(story, eip)
    meg.delete()
    assert story.calls("ChangeResourceRecordSets") == []
    story.assert_world(before)


def test_a_record_in_route_53_that_somebody_else_keeps(story: Story) -> None:
    """Given a right A record in a zone we could write to, under Observed it gets no mark and no
    change, also on delete."""
    zone, [eip] = story.zone("example.com"), story.eips()
    story.put_record(zone, "mta.example.com", [eip.public_ip], ttl=77)
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip], forward=OBSERVED).wait()
    assert story.ptr(eip) == "mta.example.com"
    assert meg.status["forward"]["ttlSeconds"] == 77
    meg.delete()
    assert story.calls("ChangeResourceRecordSets") == []
    story.assert_world(before)


def test_a_rename_is_not_forgotten_by_a_restart(story: Story) -> None:
    """Given a rename to a name without A record, the status names the former hostname that the PTR shows; when the
    operator restarts and the object is deleted, that PTR is reset."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", eip.public_ip)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert "formerRecords" not in meg.status
    meg.spec(hostname=f"out.{ZONE}").wait("ForwardReady", "False", "WaitingForForward")
    assert meg.status["formerRecords"] == [{"hostname": HOST}]
    story.operator.kill()
    story.operator.start()
    story.passes(meg, 1)
    assert meg.status["formerRecords"] == [{"hostname": HOST}]
    meg.delete()
    story.assert_world(before)


def test_a_ptr_that_was_there_stays_on_delete(story: Story) -> None:
    """Given A and PTR set by others, the object is Ready without a write, and its deletion changes
    nothing."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", eip.public_ip)
    story.aws.force_ptr(eip.public_ip, HOST)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Adopted"
    meg.delete()
    assert story.writes() == 0
    story.assert_world(before)


def test_the_record_goes_away_later(story: Story) -> None:
    """Given a Ready object, when its A record is taken away elsewhere, it says what is missing,
    and recovers with it."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", eip.public_ip)
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait()
    story.cloud.dns("record-remove", zone=ZONE, name=HOST, type="A")
    meg.wait("ForwardReady", "False", "WaitingForForward")
    assert eip.public_ip in meg.condition("ForwardReady")[2]
    assert story.ptr(eip) == HOST, "the PTR is left: the record may come back"
    other_dns(story, HOST, "A", eip.public_ip)
    meg.wait()


def test_a_ptr_to_another_name_calls_a_human(story: Story) -> None:
    """Given a right A record and an EIP with somebody's PTR, it stalls at once; when that PTR is
    gone, it goes on."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, HOST, "A", eip.public_ip)
    story.aws.force_ptr(eip.public_ip, "somebody.example.org")
    meg = story.meg("outbound", HOST, [eip], forward=OBSERVED).wait("Ready", "False", "PTRConflict")
    assert meg.condition("Stalled")[:2] == ("True", "PTRConflict")
    assert "somebody.example.org" in meg.condition("Ready")[2]
    assert story.writes() == 0
    story.aws.force_ptr(eip.public_ip, None)
    meg.wait()
    assert_only_the_ptr(story, eip)
