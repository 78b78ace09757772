"""No PTR and no public resolver before every authoritative server has the A record; no single slip counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.stories.story import Meg, Story, ZoneInfo
from tests.support.stories.watch_recorder import recorded_watch

HOST = "mta.example.com"
STRANGER = "203.0.113.99"


def knob(story: Story, **fields: Any) -> int:
    number: int = story.cloud.dns("knob-add", **fields)["id"]
    return number


def clear(story: Story) -> None:
    story.cloud.dns("knob-clear")


def lame(story: Story, server: str) -> Callable[[], None]:
    knob(story, server=server, client="client", lame=True)
    return lambda: clear(story)


def silent(story: Story, server: str) -> Callable[[], None]:
    knob(story, server=server, client="client", silent=True)
    return lambda: clear(story)


def servfail(story: Story, server: str) -> Callable[[], None]:
    knob(story, server=server, client="client", rcode="SERVFAIL")
    return lambda: clear(story)


def lagging(story: Story, server: str) -> Callable[[], None]:
    story.aws.set_server_lag(server, None)
    return lambda: story.aws.set_server_lag(server, 0)


def queries(story: Story, *, recursors: bool, name: str | None = HOST) -> list[dict[str, Any]]:
    """What was asked from outside, of the public resolvers or of anybody else; all names if None."""
    addresses = {r.split(":")[0] for r in story.cloud.recursors}
    found = story.cloud.dns("log", client="client")["queries"]
    return [
        q for q in found if (q["server"] in addresses) == recursors and name in (None, q["qname"].rstrip("."))
    ]


def looks(story: Story, server: str) -> int:
    """How often the operator asked one authoritative server for the name."""
    address = story.cloud.world.address_of(server)
    return len([q for q in queries(story, recursors=False) if q["server"] == address])


def looked_again(story: Story, server: str, times: int = 3) -> None:
    before = looks(story, server)
    story.until(lambda: looks(story, server) >= before + times, f"{server} to be asked {times} times more")


@pytest.mark.parametrize("fault", [lame, lagging, silent, servfail], ids=lambda f: f.__name__)
def test_one_server_of_four_keeps_the_gate_shut(
    story: Story, fault: Callable[[Story, str], Callable[[], None]]
) -> None:
    """Given one of four authoritative servers that is behind, fails or is silent, then AWS is not asked for a PTR and
    no public resolver for the name, and the status names the server and what to do about it; when it is repaired, the
    object becomes Ready."""
    zone = story.zone()
    bad = zone.name_servers[2]
    repair = fault(story, bad)
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip])
    reason = "AuthoritiesDisagree" if fault is lagging else "LameNameServer"
    meg.wait("ForwardReady", "False", reason)
    looked_again(story, bad)
    assert story.records(zone, HOST) == (eip.public_ip,)
    others = [s.rstrip(".") for s in zone.name_servers if s != bad]

    def only_the_culprit() -> bool:
        shown = meg.condition("ForwardReady")[2]
        return bad.rstrip(".") in shown and not any(other in shown for other in others)

    # The first status may name servers that the record had not reached yet.
    meg.until(only_the_culprit, "the message to name the culprit only")
    message = meg.condition("ForwardReady")[2]
    for text in (HOST, eip.public_ip):
        assert text in message, message
    assert ("remove it from" in message) == (reason == "LameNameServer"), message
    assert meg.condition("Ready")[:2] == ("False", reason)
    assert not story.calls("ModifyAddressAttribute")
    assert queries(story, recursors=True) == [], (
        "a resolver would remember for 900 s that the name does not exist"
    )

    repair()
    meg.wait()
    assert story.ptr(eip) == HOST
    assert queries(story, recursors=True), "in the end they are asked"
    asked = story.cloud.world.address_of(bad)
    good = [
        q["time"] for q in queries(story, recursors=False) if q["server"] == asked and q["rcode"] == "NOERROR"
    ]
    assert queries(story, recursors=True)[0]["time"] > good[0]


@pytest.mark.parametrize("where", ["the zone's four servers", "all of DNS"])
def test_answers_from_something_in_between_are_no_proof(story: Story, where: str) -> None:
    """Given a network that answers every query itself, then the status says Intercepted, nothing is ever True for the
    right look of it, and no PTR is asked for; when the network is honest, it is Ready."""
    zone = story.zone()
    for server in zone.name_servers if where != "all of DNS" else ("*",):
        knob(story, server=server, intercept=True)
    [eip] = story.eips()
    with recorded_watch(story) as recorder:
        meg = story.meg("outbound", HOST, [eip]).wait("ForwardReady", "False", "Intercepted")
        story.passes(meg, 2)
        message = meg.condition("Ready")[2]
        assert "Exempt the operator from DNS redirection" in message, message
    assert "True" not in recorder.statuses(meg, "ForwardReady") | recorder.statuses(meg, "Ready")
    assert not story.calls("ModifyAddressAttribute")
    clear(story)
    meg.wait()


@pytest.mark.parametrize("reach", ["the zone's four servers", "all of DNS"])
def test_no_authority_can_be_reached(story: Story, reach: str) -> None:
    """Given a firewall that drops DNS, to the zone's servers or to all the world, then AuthoritiesUnreachable names the
    remedy and no PTR is asked for; when it opens, it is Ready."""
    zone = story.zone()
    for server in zone.name_servers if reach != "all of DNS" else ("*",):
        silent(story, server)
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait_reason("AuthoritiesUnreachable", "ForwardReady")
    assert meg.condition("ForwardReady")[0] == "False"
    message = meg.condition("Ready")[2]
    for text in ("port 53", HOST):
        assert text in message, message
    assert "Reconciling" in meg.conditions()
    assert "Stalled" not in meg.conditions()
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert not story.calls("ModifyAddressAttribute")
    clear(story)
    meg.wait()


def test_resolvers_that_disagree_keep_ready_away(story: Story) -> None:
    """Given a public resolver that sees another address, then A and PTR are right but Resolved is False, names the
    resolver and both values, and Ready waits."""
    story.zone()
    knob(story, server="recursor-2", name=HOST, qtype="A", client="client", records={"A": [60, [STRANGER]]})
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait("Resolved", "False", "ResolversDisagree")
    meg.wait("Ready", "False", "ResolversDisagree")
    for kind in ("Accepted", "ForwardReady", "ReverseReady"):
        assert meg.condition(kind)[0] == "True", kind
    message = meg.condition("Ready")[2]
    resolver = story.cloud.recursors[1].split(":")[0]
    for text in (resolver, STRANGER, eip.public_ip, HOST):
        assert text in message, message
    assert "Stalled" not in meg.conditions()
    clear(story)
    meg.wait()


def test_silent_resolvers_prove_nothing(story: Story) -> None:
    """Given public resolvers of which too few answer, then Resolved is Unknown with the remedy, and Ready waits."""
    story.zone()
    knob(story, server="recursor-1", client="client", silent=True)
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait("Resolved", "Unknown", "ResolversUnreachable")
    meg.wait("Ready", "Unknown", "ResolversUnreachable")
    message = meg.condition("Resolved")[2]
    for text in (story.cloud.recursors[0].split(":")[0], "port 53"):
        assert text in message, message
    assert meg.condition("ReverseReady")[0] == "True"
    clear(story)
    meg.wait()


def test_resolvers_switched_off(bare_story: Story) -> None:
    """Given an operator without public resolvers, then Resolved=Unknown says so and Ready=True does not need it."""
    story = bare_story
    story.start_operator(dns_resolvers="off")
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.condition("Resolved")[:2] == ("Unknown", "ResolversDisabled")
    assert queries(story, recursors=True, name=None) == []
    assert "Reconciling" not in meg.conditions()
    meg.delete()
    story.assert_world(before)


def slip(story: Story, zone: ZoneInfo, kind: str, times: int | None) -> None:
    """A wrong answer or silence of every authoritative server, for one question or for good."""
    for server in zone.name_servers:
        if kind == "wrong":
            knob(
                story, server=server, name=HOST, client="client", times=times, records={"A": [60, [STRANGER]]}
            )
        else:
            knob(story, server=server, name=HOST, client="client", times=times, silent=True)


@pytest.mark.parametrize("kind", ["wrong", "silent"])
def test_one_slip_does_not_flip_ready_and_a_lasting_one_does(story: Story, kind: str) -> None:
    """Given a Ready object, when each server once gives a wrong answer or none, then no version of the object ever says
    anything but Ready=True; when they go on, Ready drops; when they are well again, it returns."""
    zone = story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait(reason="Ready")
    writes = story.writes()
    with recorded_watch(story) as recorder:
        slip(story, zone, kind, times=1)
        story.until(lambda: not story.cloud.dns("knobs")["knobs"], "every server to have slipped once")
        settle(story, meg)
    assert recorder.statuses(meg) <= {"True"}, recorder.seen(meg)
    slip(story, zone, kind, times=None)
    meg.until(lambda: meg.condition("Ready")[0] != "True", "Ready to drop")
    reason = "AuthoritiesDisagree" if kind == "wrong" else "AuthoritiesUnreachable"
    assert meg.condition("ForwardReady")[:2] == ("False", reason)
    clear(story)
    meg.wait()
    assert story.writes() == writes, "DNS trouble is no reason to write"


def settle(story: Story, meg: Meg) -> None:
    """Every server has given a right answer again, and the operator has looked at the object since."""
    before = len(queries(story, recursors=False))
    story.until(lambda: len(queries(story, recursors=False)) >= before + 4, "four more answers")
    assert meg.exists()
