"""What a Ready object says of public DNS is renewed, and what public DNS does not answer is reported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stories.test_dns_gate import HOST, clear, knob, queries
from tests.stories.test_observed import HOST as OTHER_HOST
from tests.stories.test_observed import OBSERVED, ZONE, other_dns
from tests.support.stories.story import Story
from tests.support.stories.watch_recorder import recorded_watch

RECURSORS = ("recursor-1", "recursor-2")


def test_an_answered_request_means_that_every_source_was_read(bare_story: Story) -> None:
    """Given a Ready object, when a reconcile is requested, then it is answered after AWS, every authoritative server
    and every public resolver were asked."""
    story, quiet = bare_story, "600"
    story.start_operator(
        resync_seconds=quiet,
        resolver_check_seconds=quiet,
        ec2_sweep_seconds=quiet,
        route53_sweep_seconds=quiet,
        # Lists that are younger than this are not read again for a request.
        blocked_seconds="0.1",
    )
    zone, [eip] = story.zone(), story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    story.cloud.dns("log-clear")
    operations = ("DescribeAddressesAttribute", "ListResourceRecordSets")
    before = [len(story.calls(operation)) for operation in operations]
    story.passes(meg, 1)
    asked = {q["server"] for q in queries(story, recursors=False)}
    assert asked >= {story.cloud.world.address_of(s) for s in zone.name_servers}
    assert len({q["server"] for q in queries(story, recursors=True)}) == len(story.cloud.recursors)
    for operation, count in zip(operations, before, strict=True):
        assert len(story.calls(operation)) > count, operation
    assert meg.condition("Ready")[0] == "True"


def reverse_name(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def test_a_ptr_that_only_public_dns_lost_is_seen_after_a_restart(story: Story) -> None:
    """Given a Ready object, when the operator restarts and the reverse zone no longer holds the PTR that AWS still
    reports, then Ready becomes False with the remedy; when it is back, Ready returns."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait()
    story.operator.stop()
    for recursor in RECURSORS:
        knob(story, server=recursor, name=reverse_name(eip.public_ip), client="client", rcode="NXDOMAIN")
    story.operator.start()
    meg.wait("Ready", "False", "FCrDNSFail")
    assert story.ptr(eip) == HOST
    message = meg.condition("Resolved")[2]
    for text in (eip.public_ip, "BYOIP"):
        assert text in message, message
    assert meg.address(eip.public_ip)["iprev"] == "permerror"
    clear(story)
    meg.wait()


@pytest.mark.parametrize("what", ["silent", "SERVFAIL"])
def test_resolvers_that_all_fail_are_reported(story: Story, what: str) -> None:
    """Given public resolvers that are all silent, or that all answer SERVFAIL, then Resolved is Unknown with the cause,
    at a first installation and on a Ready object; when they answer, it is Ready."""
    fault: dict[str, Any] = {"silent": True} if what == "silent" else {"rcode": what}

    def fail() -> None:
        for recursor in RECURSORS:
            knob(story, server=recursor, client="client", **fault)

    story.zone()
    fail()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip])
    for _ in range(2):
        meg.wait("Ready", "Unknown", "ResolversUnreachable")
        assert meg.condition("ForwardReady")[0] == meg.condition("ReverseReady")[0] == "True"
        message = meg.condition("Resolved")[2]
        assert ("port 53" in message) == (what == "silent"), message
        assert ("DNSSEC" in message) == (what == "SERVFAIL"), message
        clear(story)
        meg.wait()
        fail()


@pytest.mark.parametrize("what", ["REFUSED", "SERVFAIL", "NXDOMAIN"])
def test_one_resolver_of_two_that_fails_is_named(story: Story, what: str) -> None:
    """Given two public resolvers, one of which answers with an error, it is not Ready and the message names
    the resolver and what it answers; when it answers, the object is Ready."""
    story.zone()
    knob(story, server=RECURSORS[0], client="client", rcode=what)
    [eip] = story.eips()
    reason = "ResolversDisagree" if what == "NXDOMAIN" else "ResolversUnreachable"
    meg = story.meg("outbound", HOST, [eip]).wait_reason(reason)
    message = meg.condition("Resolved")[2]
    assert story.cloud.world.address_of(RECURSORS[0]) in message, message
    assert story.cloud.world.address_of(RECURSORS[1]) not in message, message
    assert ("does not exist" if what == "NXDOMAIN" else what) in message, message
    clear(story)
    meg.wait()


def test_a_rename_under_observed_is_no_conflict(story: Story) -> None:
    """Given an Observed object, when its hostname changes, then the PTR of the former name is never called foreign and
    nothing stalls; when the A record of the new name is there, the PTR follows."""
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, OTHER_HOST, "A", eip.public_ip)
    meg = story.meg("outbound", OTHER_HOST, [eip], forward=OBSERVED).wait()
    new = f"out.{ZONE}"
    with recorded_watch(story) as recorder:
        meg.spec(hostname=new)
        meg.wait("ForwardReady", "False", "WaitingForForward")
        story.passes(meg, 1)
        other_dns(story, new, "A", eip.public_ip)
        meg.wait()
    assert story.ptr(eip) == new
    shown = recorder.seen(meg)
    assert "PTRConflict" not in str(shown), shown
    assert recorder.statuses(meg, "Stalled") <= {""}, recorder.statuses(meg, "Stalled")


def test_a_lame_server_takes_nothing_from_a_ready_object(story: Story) -> None:
    """Given a Ready object, when one of the name servers refuses queries, then Ready stays, and the message and a
    Warning event name the server; when it is repaired, the message is as before."""
    [eip] = story.eips()
    server = story.zone().name_servers[-1]
    meg = story.meg("outbound", HOST, [eip]).wait()
    lame = server.rstrip(".")
    with recorded_watch(story) as recorder:
        knob(story, server=server, client="client", rcode="REFUSED")
        meg.until(lambda: lame in meg.condition("ForwardReady")[2], "the server to be named")
        meg.told("Warning", "LameNameServer")
        clear(story)
        meg.until(lambda: lame not in meg.condition("ForwardReady")[2], "the message to end")
    assert recorder.statuses(meg) <= {"True"}, recorder.seen(meg)


@pytest.mark.parametrize("old", ["old.example.com", None])
def test_a_reverse_server_that_is_behind_keeps_an_object_from_ready(story: Story, old: str | None) -> None:
    """Given a reverse zone with one of its servers behind, an object is never Ready, whichever server the resolvers
    asked, and the message names the server; when it is repaired, the object becomes Ready."""
    story.zone()
    [eip] = story.eips()
    server = "reverse-2.dns-sandbox.net"
    answer = {"PTR": [300, [f"{old}."]]} if old else {}
    knob(story, server=server, name=reverse_name(eip.public_ip), qtype="PTR", records=answer)
    meg = story.meg("outbound", HOST, [eip])
    with recorded_watch(story) as recorder:
        meg.wait("Resolved", "False")
        for text in (server, eip.public_ip, old or "no PTR"):
            meg.until(lambda text=text: text in meg.condition("Ready")[2], f"{text} to be named")  # type: ignore[misc]
        story.passes(meg, 1)
        meg.wait("Resolved", "False", "FCrDNSFail")
        assert "BYOIP" in meg.condition("Ready")[2]
    assert meg.condition("ReverseReady")[0] == "True", "AWS reports the PTR"
    assert "True" not in recorder.statuses(meg), recorder.seen(meg)
    clear(story)
    meg.wait()
