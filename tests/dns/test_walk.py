"""The zone cut that the world uses is found by walking down from the root."""

from __future__ import annotations

import pytest

from mailegress.dns.authorities import Authorities
from mailegress.dns.budget import Budget, BudgetSpent
from mailegress.dns.query import DnsTimeout
from mailegress.dns.replies import absolute, shown
from mailegress.dns.walk import Walker, WalkIntercepted
from mailegress.model.dns import AnswerKind
from tests.dns.conftest import NS
from tests.support.internet import ROOTS, Internet, VirtualTime

NAMES = tuple(sorted(NS))


async def cut_of(time: VirtualTime, walker: Walker, name: str, not_before: float = float("-inf")) -> str:
    path = await time.run(walker.find_cut(absolute(name), not_before))
    return shown(path.cut.zone)


async def test_follows_referrals_to_the_deepest_zone(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    path = await time.run(walker.find_cut(absolute("mta.example.com")))

    assert shown(path.cut.zone) == "example.com"
    assert tuple(shown(n) for n in path.cut.name_servers) == NAMES
    assert path.trouble is None
    assert not any(a.recurse for a in internet.log)


async def test_server_without_glue_is_found_by_a_walk_of_its_own(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    path = await time.run(walker.find_cut(absolute("mta.example.com")))
    servers = await time.run(walker.servers(path.cut, absolute("ns2.dns.net")))

    assert [(s.name, s.address) for s in servers] == [("ns2.dns.net", "192.0.2.32")]
    assert any(a.server == "192.0.2.21" and a.rtype == "A" for a in internet.log)


async def test_glue_outside_the_parents_zone_is_not_believed(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    com = internet.zones[absolute("com")]
    com.put("ns2.dns.net", "A", "198.51.100.66")  # .com has no say about .net

    path = await time.run(walker.find_cut(absolute("mta.example.com")))
    servers = await time.run(walker.servers(path.cut, absolute("ns2.dns.net")))

    assert [s.address for s in servers] == ["192.0.2.32"]


async def test_second_walk_costs_only_the_new_label(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    await cut_of(time, walker, "mta.example.com")
    internet.log.clear()

    assert await cut_of(time, walker, "other.example.com") == "example.com"
    assert [a.name for a in internet.log if a.name.endswith("com.")] == ["other.example.com."]
    asked = len(internet.log)
    assert await cut_of(time, walker, "other.example.com") == "example.com"
    assert len(internet.log) == asked


async def test_a_cut_is_believed_no_longer_than_the_setting(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    await cut_of(time, walker, "mta.example.com")
    moved = {"ns1.elsewhere.com": "192.0.2.41"}
    internet.zone("example.com", moved)

    await time.advance(599)
    path = await time.run(walker.find_cut(absolute("mta.example.com")))
    assert tuple(shown(n) for n in path.cut.name_servers) == NAMES

    await time.advance(2)
    path = await time.run(walker.find_cut(absolute("mta.example.com")))
    assert tuple(shown(n) for n in path.cut.name_servers) == ("ns1.elsewhere.com",)


async def test_a_short_ttl_of_the_parent_ends_the_belief_earlier(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    internet.delegate("example.com", NS, ttl=60)
    await cut_of(time, walker, "mta.example.com")
    internet.log.clear()

    await time.advance(61)
    await cut_of(time, walker, "mta.example.com")

    assert "example.com." in [a.name for a in internet.log]


async def test_sub_zone_on_other_servers(time: VirtualTime, walker: Walker, internet: Internet) -> None:
    internet.zone("mail.example.com", {"ns9.example.com": "192.0.2.59"})

    assert await cut_of(time, walker, "a.mail.example.com") == "mail.example.com"
    assert await cut_of(time, walker, "mail.example.com") == "mail.example.com"


async def test_sub_zone_on_the_same_servers_is_seen(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    """No referral is ever sent where one server holds parent and child."""
    internet.zone("mail.example.com", NS)

    assert await cut_of(time, walker, "a.mail.example.com") == "mail.example.com"


async def test_empty_non_terminal_is_no_cut(time: VirtualTime, walker: Walker, internet: Internet) -> None:
    internet.zones[absolute("example.com")].put("a.b.c.example.com", "A", "203.0.113.9")

    assert await cut_of(time, walker, "a.b.c.example.com") == "example.com"


@pytest.mark.parametrize("mood", ["silent", "servfail", "refused", "lame", "intercepted", "referral-up"])
async def test_a_parent_that_fails_is_passed_over(
    time: VirtualTime, walker: Walker, internet: Internet, mood: str
) -> None:
    both = {"a.com-servers.com": "192.0.2.11", "b.com-servers.com": "192.0.2.19"}
    com = internet.zones[absolute("com")]
    com.servers.update(both)
    internet.delegate("com", both)
    internet.moods["192.0.2.11"] = mood
    internet.moods[ROOTS["a.root."]] = mood

    for name in ("mta.example.com", "x.example.com", "y.example.com"):
        assert await cut_of(time, walker, name, time.now) == "example.com"


async def test_no_root_answers(time: VirtualTime, walker: Walker, internet: Internet) -> None:
    internet.moods.update(dict.fromkeys(ROOTS.values(), "silent"))

    with pytest.raises(DnsTimeout, match="no root server"):
        await time.run(walker.find_cut(absolute("mta.example.com")))


async def test_delegation_as_the_parent_publishes_it(time: VirtualTime, walker: Walker) -> None:
    assert await time.run(walker.delegation(absolute("example.com"), time.now)) == NAMES


@pytest.mark.parametrize("zone", ["unknown.com", "sub.example.com", "mta.example.com", "nowhere.test"])
async def test_undelegated_zone(time: VirtualTime, walker: Walker, zone: str) -> None:
    assert await time.run(walker.delegation(absolute(zone), time.now)) == ()


async def test_twin_zone_that_nobody_delegates_to(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    """Two hosted zones of one name: the parent's NS set tells which one counts."""
    twin = internet.zone("example.com", {"ns7.dns.net": "192.0.2.77"}, twin=True)
    twin.put("mta.example.com", "A", "198.51.100.1")

    assert await time.run(walker.delegation(absolute("example.com"), time.now)) == NAMES


async def test_delegation_is_never_answered_from_an_older_cache(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    await cut_of(time, walker, "mta.example.com")
    await time.advance(5)
    internet.undelegate("example.com")

    assert await time.run(walker.delegation(absolute("example.com"), time.now)) == ()


async def test_delegation_unknown_when_the_parent_does_not_answer(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    internet.moods["192.0.2.11"] = "silent"
    with pytest.raises(DnsTimeout, match="no server of com"):
        await time.run(walker.delegation(absolute("example.com"), time.now))

    internet.moods["192.0.2.11"] = "intercepted"
    with pytest.raises(WalkIntercepted):
        await time.run(walker.delegation(absolute("example.com"), time.now))


async def test_name_servers_that_depend_on_each_other_end_the_walk(
    time: VirtualTime, walker: Walker, authorities: Authorities, internet: Internet
) -> None:
    internet.zone("one.com", {"ns.two.com": "192.0.2.71"}, glue=False)
    internet.zone("two.com", {"ns.one.com": "192.0.2.72"}, glue=False)

    report = await time.run(authorities.report("mta.one.com"))

    assert report.zone == "one.com"
    assert [(a.server, a.kind) for a in report.answers] == [("ns.two.com", AnswerKind.TIMEOUT)]
    assert len(internet.log) < 30


async def test_a_hostile_delegation_cannot_multiply_questions(
    time: VirtualTime, walker: Walker, internet: Internet
) -> None:
    """Every zone's five servers are named in five further zones, and so on: a tree of 781 zones."""
    for i in range(781):
        servers = {f"ns.z{child}.com": "198.51.100.9" for child in range(5 * i + 1, 5 * i + 6)}
        internet.zone(f"z{i}.com", servers, glue=False)

    with pytest.raises(BudgetSpent, match="200 DNS questions"):
        await time.run(Budget().run(walker.find_cut(absolute("a.z0.com")), time.sleep))
    assert len(internet.log) == 200
