"""What independent resolvers say, in the words of RFC 8601."""

from __future__ import annotations

import pytest

from mailegress.dns.replies import absolute
from mailegress.dns.resolvers import Resolvers
from mailegress.model.dns import AnswerKind, Iprev, IprevResult, ResolverAnswer
from tests.support.internet import RESOLVERS, Internet, VirtualTime, Zone

IP = "203.0.113.5"
PTR = "5.113.0.203.in-addr.arpa"
HOST = "mta.example.com"


@pytest.fixture
def reverse(internet: Internet) -> Zone:
    return internet.zone("113.0.203.in-addr.arpa", {"r.arpa": "192.0.2.91"})


@pytest.fixture
def forward(internet: Internet) -> Zone:
    return internet.zones[absolute("example.com")]


async def one(time: VirtualTime, resolvers: Resolvers, *addresses: str) -> ResolverAnswer:
    report = await time.run(resolvers.report(HOST, frozenset(addresses or (IP,))))
    assert [a.resolver for a in report.answers] == ["one", "two"]
    return report.answers[0]


async def test_forward_and_reverse_agree(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, internet: Internet
) -> None:
    reverse.put(PTR, "PTR", "MTA.Example.COM.", ttl=240)

    answer = await one(time, resolvers)

    assert answer.forward.kind is AnswerKind.ANSWER
    assert (answer.forward.addresses, answer.forward.ttl) == (frozenset({IP}), 300)
    assert answer.reverse == {IP: IprevResult(Iprev.PASS, (HOST,), 240)}
    assert len(internet.asked(RESOLVERS[0].address)) == 2, "the forward answer is not asked for twice"


async def test_several_values_pass(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, forward: Zone
) -> None:
    forward.put(HOST, "A", "198.51.100.7", IP)
    reverse.put(PTR, "PTR", f"{HOST}.")

    answer = await one(time, resolvers)

    assert answer.forward.addresses == {"198.51.100.7", IP}
    assert answer.reverse[IP].result is Iprev.PASS


async def test_ptr_to_an_alias_passes(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, forward: Zone
) -> None:
    forward.put("alias.example.com", "CNAME", f"{HOST}.")
    reverse.put(PTR, "PTR", "alias.example.com.")

    assert (await one(time, resolvers)).reverse[IP] == IprevResult(Iprev.PASS, ("alias.example.com",), 300)


async def test_classless_reverse_delegation_passes(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone
) -> None:
    """RFC 2317: the PTR sits behind a CNAME."""
    reverse.put(PTR, "CNAME", "5.0-127.113.0.203.in-addr.arpa.", ttl=30)
    reverse.put("5.0-127.113.0.203.in-addr.arpa", "PTR", f"{HOST}.")

    assert (await one(time, resolvers)).reverse[IP] == IprevResult(Iprev.PASS, (HOST,), 30)


@pytest.mark.parametrize("address", ["198.51.100.9", None])
async def test_ptr_whose_name_does_not_lead_back_fails(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, forward: Zone, address: str | None
) -> None:
    if address:
        forward.put("other.example.com", "A", address)
    reverse.put(PTR, "PTR", "other.example.com.")

    assert (await one(time, resolvers)).reverse[IP] == IprevResult(Iprev.FAIL, ("other.example.com",), 300)


async def test_no_ptr_is_permerror(time: VirtualTime, resolvers: Resolvers, reverse: Zone) -> None:
    reverse.minimum = 120

    assert (await one(time, resolvers)).reverse[IP] == IprevResult(Iprev.PERMERROR, (), 120)


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        ("silent", AnswerKind.TIMEOUT),
        ("servfail", AnswerKind.SERVFAIL),
        ("refused", AnswerKind.REFUSED),
    ],
)
async def test_resolver_that_does_not_answer_is_temperror(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, internet: Internet, mood: str, kind: AnswerKind
) -> None:
    reverse.put(PTR, "PTR", f"{HOST}.")
    internet.moods[RESOLVERS[0].address] = mood

    report = await time.run(resolvers.report(HOST, frozenset({IP})))

    bad, good = report.answers
    assert (bad.forward.kind, bad.reverse) == (kind, {IP: IprevResult(Iprev.TEMPERROR)})
    assert good.reverse[IP].result is Iprev.PASS


@pytest.mark.parametrize("mood", ["silent", "servfail"])
async def test_forward_look_up_of_the_ptr_name_that_gets_no_answer_is_temperror(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, internet: Internet, mood: str
) -> None:
    reverse.put(PTR, "PTR", "absent.example.com.", "other.example.com.")
    internet.moods[f"{RESOLVERS[0].address} other.example.com."] = mood

    report = await time.run(resolvers.report(HOST, frozenset({IP})))

    assert [a.reverse[IP].result for a in report.answers] == [Iprev.TEMPERROR, Iprev.FAIL]


async def test_one_good_ptr_of_two_passes_and_both_are_shown(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone
) -> None:
    reverse.put(PTR, "PTR", "zzz.example.com.", f"{HOST}.")

    assert (await one(time, resolvers)).reverse[IP] == IprevResult(Iprev.PASS, (HOST, "zzz.example.com"), 300)


async def test_only_ten_ptr_names_are_looked_up(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, internet: Internet
) -> None:
    reverse.put(PTR, "PTR", *(f"h{i:03}.example.com." for i in range(300)))

    answer = await one(time, resolvers)

    assert answer.reverse[IP].result is Iprev.FAIL
    assert len(answer.reverse[IP].names) == 10
    assert len(internet.asked(RESOLVERS[0].address, "A")) == 1 + 10


async def test_each_address_has_its_own_verdict(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone, forward: Zone
) -> None:
    forward.put(HOST, "A", IP, "203.0.113.6")
    reverse.put(PTR, "PTR", f"{HOST}.")

    answer = await one(time, resolvers, IP, "203.0.113.6")

    assert {ip: r.result for ip, r in answer.reverse.items()} == {
        IP: Iprev.PASS,
        "203.0.113.6": Iprev.PERMERROR,
    }


async def test_negative_answer_carries_its_ttl(
    time: VirtualTime, resolvers: Resolvers, forward: Zone, reverse: Zone
) -> None:
    forward.drop(HOST, "A")

    answer = await one(time, resolvers)

    assert (answer.forward.kind, answer.forward.ttl) == (AnswerKind.NXDOMAIN, 900)


async def test_hostile_ptr_is_escaped_and_bounded(
    time: VirtualTime, resolvers: Resolvers, reverse: Zone
) -> None:
    long = ".".join([r"\000" * 63] * 3) + r".\000.example.com."
    reverse.put(PTR, "PTR", long, r"a\010b\027[0m\.c.example.com.", ".")

    names = (await one(time, resolvers)).reverse[IP].names

    assert r"a\010b\027[0m\.c.example.com" in names
    assert "." in names
    assert all(len(n) <= 255 and n.isascii() and n.isprintable() for n in names)
