"""Verdicts of `mailegress check` on a scripted internet."""

from __future__ import annotations

import io
import ipaddress
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mailegress.dns import DnsSettings, Server
from mailegress.dns.budget import QUESTIONS
from mailegress.dns.lookups import Lookups
from mailegress.tools import terminal
from mailegress.tools.check import report
from mailegress.tools.check.checking import Checker
from mailegress.tools.check.result import Checked, Outcome, worst
from mailegress.tools.check.subjects import subject
from tests.support.internet import PORT, RESOLVERS, ROOTS, Internet, VirtualTime

HOST, IP, PTR = "mta.example.com", "203.0.113.5", "5.113.0.203.in-addr.arpa"
NS = {"ns1.dns.net": "192.0.2.31", "ns2.dns.net": "192.0.2.32", "ns3.dns.net": "192.0.2.33"}
REVERSE = {"x1.dns.net": "192.0.2.81", "x2.dns.net": "192.0.2.82"}


class World:
    """example.com on three servers, a reverse zone on two, two resolvers; A and PTR agree."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.net = Internet(self.time)
        names = self.net.zone("dns.net", {"a.dns.net": "192.0.2.21"})
        for name, address in (NS | REVERSE).items():
            names.put(name, "A", address)
        self.zone = self.net.zone("example.com", NS)
        self.zone.put(HOST, "A", IP)
        self.zone.put(HOST, "TXT", '"v=spf1 a -all"')
        self.net.zone("in-addr.arpa", {"r.arpa": "192.0.2.91"})
        self.reverse = self.net.zone("113.0.203.in-addr.arpa", REVERSE)
        self.reverse.put(PTR, "PTR", f"{HOST}.")
        self.resolvers = RESOLVERS

    async def check(self, text: str, *domains: str) -> Checked:
        settings = DnsSettings(
            roots=tuple(Server(name.rstrip("."), address, PORT) for name, address in ROOTS.items()),
            authority_port=PORT,
            resolvers=self.resolvers,
            extra_ranges=(ipaddress.ip_network("192.0.2.0/24"),),
        )
        lookups = Lookups(settings, self.net, self.time.clock, self.time.sleep, random.Random(7))
        checker = Checker(lookups, len(self.resolvers), frozenset(domains))
        return await self.time.run(checker.check(subject(text)))


@pytest.fixture
async def world() -> World:
    return World()


@pytest.mark.parametrize("text", [HOST, IP])
async def test_a_and_ptr_agree(world: World, text: str) -> None:
    checked = await world.check(text)
    assert checked.verdict.outcome is Outcome.PASS
    assert checked.hostname == HOST
    assert [n.code for n in checked.notes] == ["HELO"]


def silence(world: World, servers: Mapping[str, str], mood: str = "silent") -> None:
    world.net.moods.update(dict.fromkeys(servers.values(), mood))


def no_record(world: World) -> None:
    world.zone.drop(HOST, "A")


def stale(world: World) -> None:
    world.net.overlay(NS["ns2.dns.net"], HOST, "A", "203.0.113.99")


def another_ptr(world: World) -> None:
    world.reverse.put(PTR, "PTR", "other.example.org.")


def no_ptr(world: World) -> None:
    world.reverse.drop(PTR, "PTR")


def two_ptrs(world: World) -> None:
    world.reverse.put(PTR, "PTR", f"{HOST}.", "other.example.org.")


def one_reverse_server_behind(world: World) -> None:
    world.net.overlay(REVERSE["x2.dns.net"], PTR, "PTR", "old.example.com.")


def one_lame(world: World) -> None:
    silence(world, {"ns2": NS["ns2.dns.net"]}, "refused")


def two_lame(world: World) -> None:
    silence(world, {n: NS[n] for n in ("ns2.dns.net", "ns3.dns.net")}, "refused")


def resolver_disagrees(world: World) -> None:
    world.net.overlay(RESOLVERS[0].address, HOST, "A", "203.0.113.99")


@pytest.mark.parametrize(
    ("change", "outcome", "reason", "says"),
    [
        (no_record, "fail", "WaitingForForward", f"{HOST} has no A record"),
        (stale, "fail", "AuthoritiesDisagree", "ns2.dns.net answers 203.0.113.99"),
        (another_ptr, "fail", "FCrDNSFail", "is other.example.org, wanted mta.example.com"),
        (no_ptr, "fail", "FCrDNSFail", f"{IP} has no PTR"),
        (two_ptrs, "fail", "FCrDNSFail", "2 PTRs"),
        (one_reverse_server_behind, "fail", "FCrDNSFail", "x2.dns.net of the reverse zone"),
        (one_lame, "pass", "FCrDNSPass", "agree"),
        (two_lame, "fail", "LameNameServer", "ns2.dns.net"),
        (lambda w: silence(w, NS), "none", "AuthoritiesUnreachable", "no authoritative server"),
        (lambda w: silence(w, NS, "servfail"), "none", "LameNameServer", "no authoritative server"),
        (lambda w: silence(w, NS, "intercepted"), "none", "Intercepted", "network path"),
        (lambda w: silence(w, ROOTS), "none", "AuthoritiesUnreachable", "no root server"),
        (
            lambda w: silence(w, {r.name: r.address for r in RESOLVERS}),
            "none",
            "ResolversUnreachable",
            "resolver one does not answer",
        ),
        (resolver_disagrees, "fail", "ResolversDisagree", "resolver one answers 203.0.113.99"),
    ],
)
async def test_verdicts(
    world: World, change: Callable[[World], None], outcome: str, reason: str, says: str
) -> None:
    change(world)
    checked = await world.check(HOST)
    assert (checked.verdict.outcome.value, checked.verdict.reason) == (outcome, reason), checked.verdict
    assert says in checked.verdict.found
    assert bool(checked.verdict.remedy) == (outcome != "pass")


async def test_resolvers_are_asked_for_nothing_that_is_wrong_at_the_source(world: World) -> None:
    """They would remember for 15 minutes that there is no record."""
    no_ptr(world)
    await world.check(HOST)
    no_record(world)
    await world.check(HOST)
    assert not [a for a in world.net.log if a.server in {r.address for r in RESOLVERS}]


async def test_a_lame_server_is_noted(world: World) -> None:
    one_lame(world)
    checked = await world.check(HOST)
    assert [n.code for n in checked.notes] == ["LameNameServer", "HELO"]


def without_spf(world: World) -> None:
    world.zone.drop(HOST, "TXT")


def strict_spf(world: World) -> None:
    world.zone.put(HOST, "TXT", '"v=spf1 ip4:198.51.100.1 -all"')


def with_ipv6(world: World) -> None:
    world.zone.put(HOST, "AAAA", "2001:db8::25")


def sender_policy(world: World) -> None:
    world.zone.put("example.com", "TXT", f'"v=spf1 a:{HOST} ~all"')
    world.zone.put("_dmarc.example.com", "TXT", '"v=DMARC1; p=none"')


@pytest.mark.parametrize(
    ("change", "domains", "codes", "says"),
    [
        (without_spf, (), ["HeloSPF"], 'Publish the TXT record "v=spf1 a -all"'),
        (strict_spf, (), ["HeloSPF"], f"SPF is fail for {IP}, not pass (-all; 0 of 10 lookups)"),
        (with_ipv6, (), ["HostnameHasAAAA"], "an AAAA record (2001:db8::25)"),
        (sender_policy, ("example.com",), [], ""),
        (
            without_spf,
            ("example.com",),
            ["HeloSPF", "SenderSPF", "SenderDMARC"],
            "example.com: no SPF record",
        ),
    ],
)
async def test_what_dns_says_of_mail_is_noted_and_changes_no_result(
    world: World, change: Callable[[World], None], domains: tuple[str, ...], codes: list[str], says: str
) -> None:
    change(world)
    checked = await world.check(HOST, *domains)
    assert checked.verdict.outcome is Outcome.PASS
    assert [n.code for n in checked.notes] == ["HELO", *codes]
    assert says in "".join(n.text for n in checked.notes)


async def test_mail_records_are_not_asked_for_while_something_is_wrong_at_the_source(world: World) -> None:
    no_ptr(world)
    checked = await world.check(HOST, "example.com")
    assert checked.evidence.mail is None
    assert not world.net.asked(rtype="TXT")


async def test_spf_that_cannot_be_read_changes_no_result(world: World) -> None:
    """Given resolvers that answer for A and PTR only."""
    for resolver in RESOLVERS:
        world.net.moods[f"{resolver.address} example.com."] = "servfail"
    checked = await world.check(HOST, "example.com")
    assert checked.verdict.outcome is Outcome.PASS
    [shown] = report.document([checked])["checks"]
    assert [(s["domain"], s["result"]) for s in shown["mail"]["spf"]] == [
        (HOST, "pass"),
        ("example.com", "temperror"),
    ]


async def test_mail_is_shown_as_rows_and_as_json(world: World) -> None:
    sender_policy(world)
    checked = await world.check(HOST, "example.com")
    out = io.StringIO()
    terminal.show(report.blocks([checked]), out)
    shown = [line.split() for line in out.getvalue().splitlines() if line.startswith("public resolver")]
    assert [(words[2], words[3], words[-1]) for words in shown] == [
        (HOST, "SPF", "spf=pass"),
        ("example.com", "SPF", "spf=pass"),
        ("example.com", "DMARC", "dmarc=found"),
    ]
    [check] = report.document([checked])["checks"]
    assert check["mail"] == {
        "ipv6": [],
        "dnssecBogus": False,
        "spf": [
            {"domain": HOST, "address": IP, "result": "pass", "detail": "a", "lookups": 1},
            {"domain": "example.com", "address": IP, "result": "pass", "detail": f"a:{HOST}", "lookups": 1},
        ],
        "dmarc": [{"domain": "example.com", "result": "found"}],
    }


@pytest.mark.parametrize(
    ("change", "outcome", "says"),
    [
        (no_ptr, "fail", f"{IP} has no PTR (iprev=permerror)"),
        (two_ptrs, "fail", "has 2 PTRs"),
        (one_reverse_server_behind, "fail", "give different PTRs: mta.example.com, old.example.com"),
        (lambda w: w.zone.put(HOST, "A", "203.0.113.6"), "fail", f"answers 203.0.113.6, wanted {IP}"),
        (lambda w: w.reverse.put(PTR, "PTR", "a_b.example.com."), "fail", "no hostname that can be checked"),
        (
            lambda w: silence(w, REVERSE | {r.name: r.address for r in RESOLVERS}),
            "none",
            "nobody tells",
        ),
    ],
)
async def test_an_address(world: World, change: Callable[[World], None], outcome: str, says: str) -> None:
    change(world)
    checked = await world.check(IP)
    assert checked.verdict.outcome.value == outcome, checked.verdict
    assert says in checked.verdict.found


async def test_without_resolvers_the_servers_of_the_zones_decide(world: World) -> None:
    world.resolvers = ()
    assert (await world.check(HOST)).verdict.outcome is Outcome.PASS
    silence(world, REVERSE)
    checked = await world.check(HOST)
    assert (checked.verdict.outcome, checked.verdict.reason) == (Outcome.NONE, "ResolversDisabled")


async def test_answers_that_rotate_do_not_pass(world: World) -> None:
    """They agree by chance in one reading; the second one differs."""
    plain = world.net._data

    def rotating(zone: Any, server: str, name: Any, rtype: str) -> Any:
        asked = [a for a in world.net.asked(rtype="A") if a.name == f"{HOST}."]
        if rtype == "A" and str(name) == f"{HOST}." and len(asked) > len(NS):
            return 60, ["203.0.113.7"]
        return plain(zone, server, name, rtype)

    world.net._data = rotating  # type: ignore[method-assign]
    checked = await world.check(HOST)
    assert (checked.verdict.outcome, checked.verdict.reason) == (Outcome.FAIL, "AnswersVary")


async def test_a_hostname_that_needs_too_many_questions_is_given_up(world: World) -> None:
    """Each further alias is a zone with servers whose addresses must be found, too."""
    for number in range(1, 9):
        servers = {f"n{i}.of{number}.net": f"192.0.2.{100 + i}" for i in range(16)}
        for i in range(16):
            inner = world.net.zone(f"of{number}x{i}.com", {"a.dns.net": "192.0.2.21"})
            inner.put(f"n.of{number}x{i}.com", "A", f"192.0.2.{100 + i}")
        servers = {f"n.of{number}x{i}.com": f"192.0.2.{100 + i}" for i in range(16)}
        zone = world.net.zone(f"alias{number}.org.com", servers, glue=False)
        zone.put(f"m.alias{number}.org.com", "CNAME", f"m.alias{number + 1}.org.com.")
    world.zone.drop(HOST, "A")
    world.zone.put(HOST, "CNAME", "m.alias1.org.com.")
    checked = await world.check(HOST)
    assert (checked.verdict.outcome, checked.verdict.reason) == (Outcome.NONE, "DNSLimitExceeded")
    assert len(world.net.log) <= QUESTIONS


async def test_names_that_filters_punish_are_noted(world: World) -> None:
    name = "nat-1.example.com"
    world.zone.put(name, "A", IP)
    world.reverse.put(PTR, "PTR", f"{name}.")
    checked = await world.check(name)
    assert checked.verdict.outcome is Outcome.PASS
    [note] = [n for n in checked.notes if n.code == "GenericName"]
    assert 'adds 3.0 to the spam score for "nat"' in note.text
    assert "Choose a name" in note.text


async def test_the_report_shows_who_said_what_without_control_characters(world: World) -> None:
    """Given a PTR with escape sequences, then no output has any."""
    world.reverse.put(PTR, "PTR", r"\027[31mevil\010x.example.org.")
    checked = await world.check(HOST)
    out = io.StringIO()
    terminal.show(report.blocks([checked]), out)
    text = out.getvalue()
    assert text.startswith(f"{HOST}: FAIL\n")
    assert "evil" in text
    for line in text.splitlines():
        assert line.isprintable(), line
    for server in (*NS, *REVERSE):
        assert server in text
    shown = json.dumps(report.document([checked]))
    assert shown.isprintable()


async def test_the_document_has_its_documented_fields(world: World) -> None:
    shown = report.document([await world.check(HOST)])
    assert (shown["format"], shown["result"]) == (1, "pass")
    [check] = shown["checks"]
    assert check["addresses"] == [IP]
    assert check["delegation"] == {"zone": "example.com", "nameServers": sorted(NS), "ttlSeconds": 3600}
    assert [a["server"] for a in check["authorities"]] == sorted(NS)
    assert all(a["agrees"] for a in check["authorities"])
    assert check["reverse"][0]["iprev"] == "pass"
    assert [r["resolver"] for r in check["resolvers"]] == ["one", "two"]


def test_the_worst_result_is_the_exit_code() -> None:
    assert worst((Outcome.PASS, Outcome.NONE, Outcome.FAIL)).code == 1
    assert worst((Outcome.PASS, Outcome.NONE)).code == 2
    assert worst((Outcome.PASS,)).code == 0
