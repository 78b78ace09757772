"""The main job, told once from end to end."""

from __future__ import annotations

from tests.support.stories.story import Story


def test_a_mail_egress_becomes_ready_and_leaves_no_trace(story: Story) -> None:
    """Given a zone and an EIP, when a MailEgress is applied, A, PTR and DNS agree; when it goes, all is as before."""
    zone = story.zone("example.com")
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    assert story.records(zone, "mta.example.com") == (eip.public_ip,)
    assert story.ptr(eip) == "mta.example.com"
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed"
    assert meg.address(eip.public_ip)["iprev"] == "pass"
    meg.told("Normal", "Ready")
    meg.delete()
    story.assert_world(before)
    assert story.operator.stop() == 0
