"""Every authoritative server is asked, and only AA is believed."""

from __future__ import annotations

import pytest

from mailegress.dns.authorities import Authorities
from mailegress.dns.replies import absolute
from mailegress.model.dns import AnswerKind, AuthorityReport, Listed, ServerAnswer
from tests.dns.conftest import NS, CountingMetrics
from tests.support.internet import Internet, VirtualTime

GOOD = frozenset({"203.0.113.5"})


def by_server(report: AuthorityReport) -> dict[str, ServerAnswer]:
    assert len({a.server for a in report.answers}) == len(report.answers)
    return {a.server: a for a in report.answers}


def unanimous(report: AuthorityReport) -> bool:
    return all(a.kind is AnswerKind.ANSWER and a.addresses == GOOD for a in report.answers)


async def test_all_servers_agree(
    time: VirtualTime, authorities: Authorities, internet: Internet, metrics: CountingMetrics
) -> None:
    report = await time.run(authorities.report("mta.example.com"))

    assert (report.zone, report.name_servers) == ("example.com", frozenset(NS))
    assert by_server(report) == {n: ServerAnswer(n, AnswerKind.ANSWER, GOOD, 300) for n in NS}
    assert {a.server for a in internet.asked(rtype="A")} >= set(NS.values())
    assert metrics.counts[("authority", "answer")] == 6  # the record, and the zone's own NS set
    assert metrics.counts[("root", "answer")] >= 1
    assert metrics.counts[("parent", "answer")] >= 1


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        ("silent", AnswerKind.TIMEOUT),
        ("servfail", AnswerKind.SERVFAIL),
        ("refused", AnswerKind.REFUSED),
        ("lame", AnswerKind.LAME),
        ("referral-up", AnswerKind.LAME),
        ("intercepted", AnswerKind.INTERCEPTED),
    ],
)
async def test_one_bad_server_is_named_and_the_others_still_heard(
    time: VirtualTime, authorities: Authorities, internet: Internet, mood: str, kind: AnswerKind
) -> None:
    internet.moods[NS["ns2.dns.net"]] = mood

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns2.dns.net"] == ServerAnswer("ns2.dns.net", kind)
    assert answers["ns1.dns.net"].addresses == answers["ns3.dns.net"].addresses == GOOD


async def test_lagging_server_and_its_negative_ttl(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    """RFC 2308: the lesser of the SOA's TTL (3600) and minimum (900)."""
    internet.overlay(NS["ns3.dns.net"], "mta.example.com", "A")

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns3.dns.net"] == ServerAnswer("ns3.dns.net", AnswerKind.NXDOMAIN, ttl=900)


async def test_nodata_is_told_from_nxdomain(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    zone = internet.zones[absolute("example.com")]
    zone.put("txt.example.com", "TXT", '"x"')
    zone.minimum, zone.soa_ttl = 900, 60

    report = await time.run(authorities.report("txt.example.com"))
    assert {(a.kind, a.ttl) for a in report.answers} == {(AnswerKind.NODATA, 60)}


async def test_undelegated_zone_is_answered_by_its_parent(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.undelegate("example.com")

    report = await time.run(authorities.report("mta.example.com"))

    assert (report.zone, report.name_servers) == ("com", frozenset({"a.com-servers.com"}))
    assert [a.kind for a in report.answers] == [AnswerKind.NXDOMAIN]


async def test_delegation_that_appears_is_noticed_at_the_next_look(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.undelegate("example.com")
    await time.run(authorities.report("mta.example.com"))
    internet.delegate("example.com", NS)

    assert unanimous(await time.run(authorities.report("mta.example.com")))


async def test_moved_zone_is_noticed_once_the_old_servers_disagree(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    assert unanimous(await time.run(authorities.report("mta.example.com")))
    internet.zone("example.com", {"ns.new.com": "192.0.2.41"}).put("mta.example.com", "A", "203.0.113.5")
    internet.moods.update(dict.fromkeys(NS.values(), "refused"))

    first = await time.run(authorities.report("mta.example.com"))
    assert {a.kind for a in first.answers} == {AnswerKind.REFUSED}
    second = await time.run(authorities.report("mta.example.com"))
    assert unanimous(second)
    assert second.name_servers == {"ns.new.com"}


async def test_new_sub_zone_is_followed_despite_the_cached_cut(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    await time.run(authorities.report("mta.example.com"))
    sub = internet.zone("mta.example.com", {"ns9.example.com": "192.0.2.59"})
    sub.put("mta.example.com", "A", "203.0.113.5")

    report = await time.run(authorities.report("mta.example.com"))

    assert (report.zone, report.name_servers) == ("mta.example.com", frozenset({"ns9.example.com"}))
    assert unanimous(report)


async def test_server_that_does_not_know_the_new_sub_zone_is_heard_too(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    await time.run(authorities.report("mta.example.com"))
    sub = internet.zone("mta.example.com", {"ns9.example.com": "192.0.2.59"})
    sub.put("mta.example.com", "A", "203.0.113.6")
    internet.overlay(NS["ns1.dns.net"], "mta.example.com", "NS")

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns9.example.com"].addresses == {"203.0.113.6"}
    assert answers["ns1.dns.net"].addresses == GOOD


async def test_name_server_without_an_address_is_lame(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.delegate("example.com", {**NS, "gone.dns.net": "192.0.2.99"})

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["gone.dns.net"].kind is AnswerKind.LAME


async def test_second_address_of_a_silent_server_is_tried(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    dns_net = internet.zones[absolute("dns.net")]
    dns_net.put("ns1.dns.net", "A", "192.0.2.30", NS["ns1.dns.net"])
    internet.moods["192.0.2.30"] = "silent"

    assert unanimous(await time.run(authorities.report("mta.example.com")))


async def test_every_server_is_silent(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.moods.update(dict.fromkeys(NS.values(), "silent"))

    report = await time.run(authorities.report("mta.example.com"), limit=10.0)

    assert report.zone == "example.com"
    assert {a.kind for a in report.answers} == {AnswerKind.TIMEOUT}


async def test_everything_is_intercepted(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.moods.update(dict.fromkeys(("192.0.2.1", "192.0.2.2"), "intercepted"))

    report = await time.run(authorities.report("mta.example.com"))

    assert report.zone == "."
    assert {a.kind for a in report.answers} == {AnswerKind.INTERCEPTED}


def name_in_zone(internet: Internet, *servers: str) -> None:
    """The zone's own NS set names these servers; the parent's stays."""
    internet.zones[absolute("example.com")].put("example.com", "NS", *(f"{s}." for s in servers))


def fourth_server(internet: Internet) -> None:
    """ns4.dns.net serves example.com too."""
    internet.zones[absolute("dns.net")].put("ns4.dns.net", "A", "192.0.2.34", ttl=600)
    zone = internet.zones[absolute("example.com")]
    zone.servers = {**zone.servers, "ns4.dns.net": "192.0.2.34"}


async def test_a_server_that_only_the_zone_names_is_asked_too(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    """Resolvers follow the zone's own NS set: a server in it that lacks the record makes them refuse mail."""
    fourth_server(internet)
    name_in_zone(internet, *NS, "ns4.dns.net")
    internet.overlay("192.0.2.34", "mta.example.com", "A")

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns4.dns.net"] == ServerAnswer(
        "ns4.dns.net", AnswerKind.NXDOMAIN, ttl=900, listed=Listed.ZONE
    )
    assert {a.listed for n, a in answers.items() if n in NS} == {Listed.BOTH}


async def test_one_server_that_names_more_than_the_others_is_believed(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    """Each server's own NS set counts: a resolver meets any of them."""
    fourth_server(internet)
    internet.overlay(NS["ns3.dns.net"], "example.com", "NS", *(f"{n}." for n in (*NS, "ns4.dns.net")))
    internet.moods["192.0.2.34"] = "refused"

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns4.dns.net"] == ServerAnswer("ns4.dns.net", AnswerKind.REFUSED, listed=Listed.ZONE)


async def test_a_server_that_only_the_parent_names_is_told_apart(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    name_in_zone(internet, "ns1.dns.net", "ns2.dns.net")

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert {n: a.listed for n, a in answers.items()} == {
        "ns1.dns.net": Listed.BOTH, "ns2.dns.net": Listed.BOTH, "ns3.dns.net": Listed.PARENT,
    }  # fmt: skip


async def test_one_set_of_servers_under_two_names_is_asked_once(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    """White-label names in one of the two sets: the same addresses are the same servers."""
    zone = internet.zones[absolute("example.com")]
    for i, address in enumerate(NS.values(), 1):
        zone.put(f"ns{i}.example.com", "A", address)
    name_in_zone(internet, *(f"ns{i}.example.com" for i in (1, 2, 3)))

    report = await time.run(authorities.report("mta.example.com"))

    assert unanimous(report)
    assert {(a.server, a.listed) for a in report.answers} == {(n, Listed.BOTH) for n in NS}
    assert len([a for a in internet.log if a.name == "mta.example.com."]) == 3 + 1, "the walk, and once each"


async def test_the_zones_own_ns_set_is_shared_by_its_names(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    internet.zones[absolute("example.com")].put("other.example.com", "A", "203.0.113.5")
    await time.run(authorities.report("mta.example.com"))
    internet.log.clear()

    assert unanimous(await time.run(authorities.report("other.example.com")))
    assert not [a for a in internet.log if a.name == "example.com."]


async def test_a_change_of_the_zones_own_ns_set_is_seen_within_a_minute(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    await time.run(authorities.report("mta.example.com"))
    name_in_zone(internet, *NS, "ns4.dns.net")
    await time.advance(60.0)

    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert answers["ns4.dns.net"].listed is Listed.ZONE


async def test_a_long_own_ns_set_costs_a_bounded_number_of_questions(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    """Names beyond the bound are neither looked up nor asked; they count as silent, so that no such zone passes."""
    name_in_zone(internet, *NS, *(f"n{i:03}.x{i:03}.net" for i in range(100)))
    await time.run(authorities.report("mta.example.com"))

    looked_up = {a.name for a in internet.log if a.name.startswith("n") and ".x" in a.name}
    answers = by_server(await time.run(authorities.report("mta.example.com")))

    assert len(internet.log) < 200
    assert len(looked_up) <= 16
    assert len(answers) == 103
    assert AnswerKind.ANSWER not in {a.kind for n, a in answers.items() if n not in NS}


async def test_a_sample_asks_a_server_that_only_the_zone_names_in_its_turn(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    fourth_server(internet)
    name_in_zone(internet, *NS, "ns4.dns.net")

    heard = [
        (await time.run(authorities.sample_authority("mta.example.com", turn))).server for turn in range(4)
    ]

    assert heard == [*sorted(NS), "ns4.dns.net"]


TARGET_NS = {"ns1.other.net": "192.0.2.61", "ns2.other.net": "192.0.2.62"}


@pytest.fixture
def alias(internet: Internet) -> Internet:
    """www.example.com is an alias of host.other.net, a zone on other servers."""
    internet.zones[absolute("example.com")].put("www.example.com", "CNAME", "Host.Other.net.", ttl=120)
    internet.zone("other.net", TARGET_NS).put("host.other.net", "A", "203.0.113.5")
    return internet


async def test_alias_is_chased_to_its_own_authorities(
    time: VirtualTime, authorities: Authorities, alias: Internet
) -> None:
    report = await time.run(authorities.report("www.example.com"))

    answers = by_server(report)
    assert unanimous(report)
    assert answers["ns1.dns.net"] == ServerAnswer(
        "ns1.dns.net", AnswerKind.ANSWER, GOOD, 120, "host.other.net"
    )
    assert answers["ns2.other.net for host.other.net"].addresses == GOOD
    assert len(report.answers) == 5
    assert len(alias.asked("192.0.2.62", "A")) == 1


async def test_a_lagging_server_of_the_target_is_seen(
    time: VirtualTime, authorities: Authorities, alias: Internet
) -> None:
    alias.overlay("192.0.2.62", "host.other.net", "A", "198.51.100.1")

    report = await time.run(authorities.report("www.example.com"))

    assert not unanimous(report)
    answers = by_server(report)
    assert answers["ns2.other.net for host.other.net"].addresses == {"198.51.100.1"}
    assert answers["ns1.dns.net"].addresses == frozenset()


async def test_a_silent_server_of_the_target_is_seen(
    time: VirtualTime, authorities: Authorities, alias: Internet
) -> None:
    alias.moods["192.0.2.62"] = "silent"

    report = await time.run(authorities.report("www.example.com"))

    assert by_server(report)["ns2.other.net for host.other.net"].kind is AnswerKind.TIMEOUT
    assert by_server(report)["ns1.dns.net"].addresses == GOOD


async def test_servers_that_disagree_about_an_alias_are_the_verdict(
    time: VirtualTime, authorities: Authorities, alias: Internet
) -> None:
    """One target is followed, that of most servers, even if the other would lead to the same address."""
    alias.zone("more.net", {"ns1.more.net": "192.0.2.71"}).put("host.more.net", "A", "203.0.113.5")
    alias.overlay(NS["ns2.dns.net"], "www.example.com", "CNAME", "host.more.net.", ttl=120)

    report = await time.run(authorities.report("www.example.com"))

    answers = by_server(report)
    assert answers["ns1.dns.net"].addresses == answers["ns3.dns.net"].addresses == GOOD
    assert answers["ns2.dns.net"] == ServerAnswer(
        "ns2.dns.net", AnswerKind.ANSWER, frozenset(), 120, "host.more.net"
    )
    assert alias.asked("192.0.2.71") == []


async def test_alias_to_nothing(time: VirtualTime, authorities: Authorities, alias: Internet) -> None:
    alias.zones[absolute("other.net")].drop("host.other.net", "A")

    report = await time.run(authorities.report("www.example.com"))

    assert {(a.kind, a.addresses) for a in report.answers} == {(AnswerKind.NXDOMAIN, frozenset())}


async def test_alias_in_a_circle_has_no_address(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    zone = internet.zones[absolute("example.com")]
    zone.put("a.example.com", "CNAME", "b.example.com.")
    zone.put("b.example.com", "CNAME", "a.example.com.")

    report = await time.run(authorities.report("a.example.com"))

    assert {(a.kind, a.addresses) for a in report.answers} == {(AnswerKind.NODATA, frozenset())}
    assert {a.cname for a in report.answers} == {"a.example.com", "b.example.com"}


@pytest.mark.parametrize(("links", "found"), [(8, True), (9, False)])
async def test_alias_chains_end_after_eight_links(
    time: VirtualTime, authorities: Authorities, internet: Internet, links: int, found: bool
) -> None:
    zone = internet.zones[absolute("example.com")]
    for i in range(links):
        zone.put(f"c{i}.example.com", "CNAME", f"c{i + 1}.example.com.")
    zone.put(f"c{links}.example.com", "A", "203.0.113.5")

    report = await time.run(authorities.report("c0.example.com"))

    assert unanimous(report) is found


async def test_hostile_alias_target_is_shown_harmlessly(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    zone = internet.zones[absolute("example.com")]
    zone.put("evil.example.com", "CNAME", r"x\027[31m\010\255.example.com.")

    report = await time.run(authorities.report("evil.example.com"))

    cname = by_server(report)["ns1.dns.net"].cname
    assert cname == r"x\027[31m\010\255.example.com"
    assert all(a.server.isprintable() and a.server.isascii() for a in report.answers)


async def test_a_sample_asks_one_server_in_rotation(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    await time.run(authorities.sample_authority("mta.example.com", 0))
    internet.log.clear()
    servers = [
        (await time.run(authorities.sample_authority("mta.example.com", turn))).server for turn in range(6)
    ]

    assert servers == [*sorted(NS), *sorted(NS)]
    assert len([a for a in internet.log if a.name == "mta.example.com."]) == 6


async def test_a_sample_behind_an_alias(time: VirtualTime, authorities: Authorities, alias: Internet) -> None:
    answer = await time.run(authorities.sample_authority("www.example.com", 1))

    assert answer == ServerAnswer("ns2.dns.net", AnswerKind.ANSWER, GOOD, 120, "host.other.net", mark=())
    assert len(alias.asked("192.0.2.61", "A")) + len(alias.asked("192.0.2.62", "A")) == 1


async def test_a_sample_asks_the_same_server_for_the_ownership_record(
    time: VirtualTime, authorities: Authorities, internet: Internet
) -> None:
    zone = internet.zones[absolute("example.com")]
    assert (await time.run(authorities.sample_authority("mta.example.com", 0))).mark == ()
    zone.put("_mailegress.mta.example.com", "TXT", '"meg1 c owner AAAAAAAAAAAAAAAAAAAAAA"')
    internet.log.clear()
    answer = await time.run(authorities.sample_authority("mta.example.com", 1))
    assert answer.mark == ('"meg1 c owner AAAAAAAAAAAAAAAAAAAAAA"',)
    asked = {a.server for a in internet.log if a.rtype == "TXT"}
    assert len(asked) == 1
    assert asked == {a.server for a in internet.log if a.name == "mta.example.com." and a.rtype == "A"}
