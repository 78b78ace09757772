"""The servers of the reverse zones, asked directly: each of them, whatever resolvers remember."""

from __future__ import annotations

import logging

import pytest

from mailegress.dns import DnsService
from mailegress.dns.authorities import Authorities
from mailegress.dns.budget import QUESTIONS
from mailegress.dns.reverse import SECONDS, ReverseZones
from mailegress.model.dns import AnswerKind, PointerAnswer
from tests.support.internet import RESOLVERS, Internet, VirtualTime, Zone, absolute

HOST = "mta.example.com"
IP = "203.0.113.5"
PTR = "5.113.0.203.in-addr.arpa"
SERVERS = {"x1.dns.net": "192.0.2.81", "x2.dns.net": "192.0.2.82", "x3.dns.net": "192.0.2.83"}


@pytest.fixture
def reverse(authorities: Authorities, time: VirtualTime) -> ReverseZones:
    return ReverseZones(authorities, time.sleep)


@pytest.fixture
def zone(internet: Internet) -> Zone:
    """A reverse zone on three servers, two labels below in-addr.arpa, as AWS has them."""
    for name, address in SERVERS.items():
        internet.zones[absolute("dns.net")].put(name, "A", address)
    internet.zone("in-addr.arpa", {"r.arpa": "192.0.2.91"})
    found = internet.zone("0.203.in-addr.arpa", SERVERS)
    found.put(PTR, "PTR", f"{HOST}.")
    return found


def said(names: tuple[str, ...] = (HOST,), kind: AnswerKind = AnswerKind.ANSWER) -> tuple[PointerAnswer, ...]:
    return tuple(PointerAnswer(server, kind, names) for server in SERVERS)


async def test_every_server_is_asked(
    time: VirtualTime, reverse: ReverseZones, zone: Zone, internet: Internet
) -> None:
    assert await time.run(reverse.report(frozenset({IP}))) == {IP: said()}
    for address in SERVERS.values():
        assert [a.rtype for a in internet.asked(address, "PTR")] == ["PTR"]
    assert not [a for a in internet.log if a.server in {r.address for r in RESOLVERS}]


@pytest.mark.parametrize("old", [(), ("old.example.com.",)])
async def test_one_that_is_behind_is_seen_in_one_reading_and_found_anew(
    time: VirtualTime, reverse: ReverseZones, zone: Zone, internet: Internet, old: tuple[str, ...]
) -> None:
    internet.overlay(SERVERS["x2.dns.net"], PTR, "PTR", *old)
    answers = (await time.run(reverse.report(frozenset({IP}))))[IP]
    assert [a.names for a in answers] == [(HOST,), tuple(n.rstrip(".") for n in old), (HOST,)]
    # It is taken out of the delegation and of the zone's own NS set.
    left = {name: address for name, address in SERVERS.items() if name != "x2.dns.net"}
    internet.delegate("0.203.in-addr.arpa", left)
    zone.put("0.203.in-addr.arpa", "NS", *(f"{name}." for name in left))
    assert [a.server for a in (await time.run(reverse.report(frozenset({IP}))))[IP]] == list(left)


async def test_a_classless_delegation_is_followed_to_its_own_servers(
    time: VirtualTime, reverse: ReverseZones, zone: Zone, internet: Internet
) -> None:
    """RFC 2317: the PTR stands behind a CNAME, in a zone on other servers, one of which lacks it."""
    own = {"a.customer.net": "192.0.2.71", "b.customer.net": "192.0.2.72"}
    internet.zone("customer.net", own)
    inner = internet.zone("0-127.113.0.203.in-addr.arpa", own)
    zone.drop(PTR, "PTR")
    zone.put(PTR, "CNAME", "5.0-127.113.0.203.in-addr.arpa.")
    inner.put("5.0-127.113.0.203.in-addr.arpa", "PTR", f"{HOST}.")
    assert {a.names for a in (await time.run(reverse.report(frozenset({IP}))))[IP]} == {(HOST,)}
    internet.overlay(own["b.customer.net"], "5.0-127.113.0.203.in-addr.arpa", "PTR")
    odd = [a for a in (await time.run(reverse.report(frozenset({IP}))))[IP] if a.names != (HOST,)]
    assert [a.server for a in odd] == ["b.customer.net for 5.0-127.113.0.203.in-addr.arpa"]


@pytest.mark.parametrize("mood", ["silent", "servfail", "refused", "lame"])
async def test_servers_that_do_not_answer_are_left_out(
    time: VirtualTime, reverse: ReverseZones, zone: Zone, internet: Internet, mood: str
) -> None:
    internet.moods.update(dict.fromkeys(SERVERS.values(), mood))
    began = time.now
    assert await time.run(reverse.report(frozenset({IP}))) == {}
    assert time.now - began <= SECONDS


async def test_where_no_reverse_zone_is_delegated_nobody_is_asked(
    time: VirtualTime, reverse: ReverseZones, internet: Internet
) -> None:
    """A test bed without reverse zones: what root, arpa and in-addr.arpa do not know says nothing."""
    assert await time.run(reverse.report(frozenset({IP}))) == {}
    internet.zone("in-addr.arpa", {"r.arpa": "192.0.2.91"})
    time.now += 3600
    assert await time.run(reverse.report(frozenset({IP}))) == {}
    assert not internet.asked(rtype="PTR")


async def test_servers_in_the_cluster_network_are_not_asked(
    time: VirtualTime, reverse: ReverseZones, internet: Internet
) -> None:
    internet.zone("in-addr.arpa", {"r.arpa": "192.0.2.91"})
    internet.zones[absolute("dns.net")].put("inside.dns.net", "A", "10.0.0.1")
    internet.zone("0.203.in-addr.arpa", {"inside.dns.net": "10.0.0.1"})
    assert await time.run(reverse.report(frozenset({IP}))) == {}
    assert not internet.asked("10.0.0.1")


async def test_neighbours_share_the_way_and_64_addresses_fit_the_budget(
    time: VirtualTime, reverse: ReverseZones, zone: Zone, internet: Internet
) -> None:
    near = [f"203.0.113.{n}" for n in range(32)]
    far = [f"203.0.{n}.9" for n in range(32)]
    found = await time.run(reverse.report(frozenset(near + far)))
    assert len(found) == 64
    assert len(internet.log) < 64 * (len(SERVERS) + 1) + QUESTIONS


async def test_more_servers_than_the_budget_pays_for_leave_it_to_resolvers(
    time: VirtualTime, reverse: ReverseZones, internet: Internet, caplog: pytest.LogCaptureFixture
) -> None:
    """A tree of name servers without addresses."""
    caplog.set_level(logging.DEBUG, "mailegress.dns.reverse")
    internet.zone("in-addr.arpa", {"r.arpa": "192.0.2.91"})
    for n in range(40):
        names = {f"n{m}.z{n}-{m}.net": f"192.0.2.{100 + m % 80}" for m in range(16)}
        internet.zone(f"{n}.203.in-addr.arpa", names, glue=False)
        for m in range(16):
            inner = {f"n{k}.y{n}-{m}-{k}.net": "192.0.2.99" for k in range(4)}
            internet.zone(f"z{n}-{m}.net", inner, glue=False)
    addresses = frozenset(f"203.{n}.0.1" for n in range(40))
    assert await time.run(reverse.report(addresses)) == {}
    assert len(internet.log) <= QUESTIONS + 16 * len(addresses)
    assert "reverse zone" in caplog.text


async def test_slow_reverse_servers_do_not_hold_up_what_resolvers_see(
    time: VirtualTime, service: DnsService, zone: Zone, internet: Internet
) -> None:
    internet.delays.update(dict.fromkeys(SERVERS.values(), 30.0))
    service.request_public("ns/a", HOST, frozenset({IP}), time.now)
    await time.advance(SECONDS + 1)
    report = service.public(HOST).value
    assert report is not None
    assert report.pointers == {}
    assert report.answers[0].reverse[IP].names == (HOST,)


async def test_the_reading_of_resolvers_holds_what_the_reverse_servers_answer(
    time: VirtualTime, service: DnsService, zone: Zone
) -> None:
    service.request_public("ns/a", HOST, frozenset({IP}), time.now)
    await time.advance(1)
    report = service.public(HOST).value
    assert report is not None
    assert report.pointers == {IP: said()}
