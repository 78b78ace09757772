"""``mailegress check`` and the operator agree: it passes exactly where Ready is True."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.client import EipInfo
from tests.stories.test_delegations import APEX, OTHER_NS, delegate, white_label
from tests.stories.test_dns_gate import HOST, STRANGER, knob
from tests.stories.test_observed import HOST as OTHER_HOST
from tests.stories.test_observed import OBSERVED, ZONE, other_dns
from tests.stories.test_public_dns import RECURSORS, reverse_name
from tests.support.stories.story import Meg, Story

PROGRAM = Path(sys.executable).parent / "mailegress"


def check(story: Story, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of the installed program, which sees this world's DNS and nothing else."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MAILEGRESS_", "KUBE"))}
    seen = {k: v for k, v in story.cloud.operator_environ().items() if k.startswith("MAILEGRESS_DNS_")}
    done = subprocess.run(
        [PROGRAM, "check", *arguments],
        env={**environ, **seen, "MAILEGRESS_DNS_TIMEOUT_SECONDS": "0.5"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


@dataclass
class World:
    """A zone with a MailEgress that is Ready, until something happens."""

    story: Story
    eip: EipInfo
    meg: Meg
    servers: list[str]


def ready(story: Story) -> World:
    zone, [eip] = story.zone(), story.eips()
    return World(story, eip, story.meg("outbound", HOST, [eip]).wait(), list(zone.name_servers))


def nothing(story: Story) -> World:
    return ready(story)


def a_server_refuses(story: Story) -> World:
    world = ready(story)
    knob(story, server=world.servers[-1], client="client", rcode="REFUSED")
    world.meg.told("Warning", "LameNameServer")
    return world


def all_servers_are_silent(story: Story) -> World:
    world = ready(story)
    for server in world.servers:
        knob(story, server=server, client="client", silent=True)
    return world


def a_server_is_stale(story: Story) -> World:
    world = ready(story)
    stale = {"A": [60, [STRANGER]]}
    knob(story, server=world.servers[1], name=HOST, qtype="A", client="client", records=stale)
    return world


def queries_are_intercepted(story: Story) -> World:
    world = ready(story)
    for server in world.servers:
        knob(story, server=server, client="client", intercept=True)
    return world


def replies_are_truncated(story: Story) -> World:
    world = ready(story)
    for server in (*world.servers, *RECURSORS):
        knob(story, server=server, client="client", transport="udp", truncate=True)
    story.passes(world.meg)
    return world


def resolvers_lost_the_ptr(story: Story) -> World:
    world = ready(story)
    for recursor in RECURSORS:
        name = reverse_name(world.eip.public_ip)
        knob(story, server=recursor, name=name, client="client", rcode="NXDOMAIN")
    return world


def one_resolver_sees_another_name(story: Story) -> World:
    world = ready(story)
    name, other = reverse_name(world.eip.public_ip), {"PTR": [60, ["other.example.org."]]}
    knob(story, server=RECURSORS[0], name=name, qtype="PTR", client="client", records=other)
    return world


def resolvers_are_silent(story: Story) -> World:
    world = ready(story)
    for recursor in RECURSORS:
        knob(story, server=recursor, client="client", silent=True)
    return world


def resolvers_fail(story: Story) -> World:
    world = ready(story)
    for recursor in RECURSORS:
        knob(story, server=recursor, client="client", rcode="SERVFAIL")
    return world


def a_reverse_server_is_behind(story: Story) -> World:
    world = ready(story)
    name = reverse_name(world.eip.public_ip)
    knob(story, server="reverse-2.dns-sandbox.net", name=name, qtype="PTR", records={})
    return world


def there_are_two_ptrs(story: Story) -> World:
    world = ready(story)
    name, two = reverse_name(world.eip.public_ip), {"PTR": [60, [f"{HOST}.", "other.example.org."]]}
    knob(story, name=name, qtype="PTR", records=two)
    return world


def names_are_white_labels(story: Story) -> World:
    zone = story.zone()
    delegate(story, white_label(story, zone), zone)
    [eip] = story.eips()
    return World(story, eip, story.meg("outbound", HOST, [eip]).wait(), list(zone.name_servers))


def the_zone_names_one_more_server(story: Story) -> World:
    zone, [eip] = story.zone(), story.eips()
    story.cloud.dns("zone-put", zone=APEX, servers=OTHER_NS[:1], delegate=False)
    right = [f"{n}." for n in (*zone.name_servers, OTHER_NS[0])]
    story.put_record(zone, APEX, right, "NS", ttl=172800)
    return World(story, eip, story.meg("outbound", HOST, [eip]), list(zone.name_servers))


def the_zone_is_not_delegated(story: Story) -> World:
    zone, [eip] = story.zone(), story.eips()
    story.cloud.dns("undelegate", zone=APEX)
    return World(story, eip, story.meg("outbound", HOST, [eip]), list(zone.name_servers))


def the_name_is_an_alias(story: Story) -> World:
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    other_dns(story, f"egress.{ZONE}", "A", eip.public_ip)
    other_dns(story, OTHER_HOST, "CNAME", f"egress.{ZONE}.")
    return World(story, eip, story.meg("outbound", OTHER_HOST, [eip], forward=OBSERVED).wait(), [])


def another_dns_lacks_the_record(story: Story) -> World:
    [eip] = story.eips()
    story.cloud.dns("zone-put", zone=ZONE)
    return World(story, eip, story.meg("outbound", OTHER_HOST, [eip], forward=OBSERVED), [])


SITUATIONS: list[tuple[Callable[[Story], World], str, str, int]] = [
    (nothing, "True", "Ready", 0),
    (a_server_refuses, "True", "Ready", 0),
    (replies_are_truncated, "True", "Ready", 0),
    (names_are_white_labels, "True", "Ready", 0),
    (the_name_is_an_alias, "True", "Ready", 0),
    (a_server_is_stale, "False", "AuthoritiesDisagree", 1),
    (the_zone_names_one_more_server, "False", "AuthoritiesDisagree", 1),
    (the_zone_is_not_delegated, "False", "ZoneNotDelegated", 1),
    (another_dns_lacks_the_record, "False", "WaitingForForward", 1),
    (resolvers_lost_the_ptr, "False", "FCrDNSFail", 1),
    (one_resolver_sees_another_name, "False", "ResolversDisagree", 1),
    (a_reverse_server_is_behind, "False", "FCrDNSFail", 1),
    (there_are_two_ptrs, "False", "FCrDNSFail", 1),
    (all_servers_are_silent, "False", "AuthoritiesUnreachable", 2),
    (queries_are_intercepted, "False", "Intercepted", 2),
    (resolvers_are_silent, "Unknown", "ResolversUnreachable", 2),
    (resolvers_fail, "Unknown", "ResolversUnreachable", 2),
]


@pytest.mark.parametrize(
    ("situation", "status", "reason", "code"), SITUATIONS, ids=[s[0].__name__ for s in SITUATIONS]
)
def test_check_agrees_with_ready(
    story: Story, situation: Callable[[Story], World], status: str, reason: str, code: int
) -> None:
    """Given a situation of DNS, when the operator has its verdict, then `mailegress check` passes for the hostname and
    for the address exactly if Ready is True, and it names a cause otherwise."""
    world = situation(story)
    world.meg.wait("Ready", status, reason)
    hostname: str = world.meg.get()["spec"]["hostname"]
    for subject in (hostname, world.eip.public_ip):
        found, out = check(story, subject, "-o", "json")
        shown: dict[str, Any] = json.loads(out)
        assert found == code, out
        assert (found == 0) == (status == "True")
        assert shown["result"] == {0: "pass", 1: "fail", 2: "none"}[code]
        [one] = shown["checks"]
        assert (one["remedy"] == "") == (code == 0), out
        if code == 0:
            assert one["addresses"] == [world.eip.public_ip]
            assert one["hostname"] == hostname
    found, out = check(story, hostname)
    assert found == code
    assert out.startswith(f"{hostname}: {['PASS', 'FAIL', 'NO VERDICT'][code]}\n"), out
    assert "\x1b" not in out
