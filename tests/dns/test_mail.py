"""What public resolvers say about mail, in one reading with a bounded number of questions."""

from __future__ import annotations

import pytest

from mailegress.dns import DnsService, DnsSettings
from mailegress.dns.budget import Budget
from mailegress.dns.counted_query import Asker
from mailegress.dns.mail import MailChecks
from mailegress.dns.replies import absolute
from mailegress.model.facts import Fact
from mailegress.model.mail import Dmarc, MailReport, SpfResult
from tests.support.internet import RESOLVERS, Internet, VirtualTime, Zone

HOST, DOMAIN = "mta.example.com", "shop.example.com"
IP, OTHER = "203.0.113.5", "203.0.113.6"
FIRST, SECOND = RESOLVERS[0].address, RESOLVERS[1].address


@pytest.fixture
def example(internet: Internet) -> Zone:
    return internet.zones[absolute("example.com")]


@pytest.fixture
def checks(settings: DnsSettings, asker: Asker, time: VirtualTime) -> MailChecks:
    return MailChecks(settings.resolvers, asker, time.clock)


async def read(
    time: VirtualTime, checks: MailChecks, *domains: str, addresses: tuple[str, ...] = (IP,)
) -> MailReport:
    work = checks.report(HOST, frozenset(addresses), frozenset(domains))
    return await time.run(Budget("mail", HOST).run(work, time.sleep))


async def test_a_name_without_records_costs_two_questions(
    time: VirtualTime, checks: MailChecks, internet: Internet
) -> None:
    report = await read(time, checks)
    assert (report.ipv6, report.bogus) == ((), False)
    assert report.helo[IP].result is SpfResult.NONE
    assert sorted((a.server, a.rtype) for a in internet.log) == [(FIRST, "AAAA"), (FIRST, "TXT")]


async def test_spf_of_the_hostname_is_evaluated_for_each_address(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    example.put(HOST, "TXT", '"v=spf1 a" " -all"', '"unrelated"')
    report = await read(time, checks, addresses=(IP, OTHER))
    assert report.helo[IP].result is SpfResult.PASS
    assert report.helo[OTHER].result is SpfResult.FAIL
    assert len(internet.log) == 3, "AAAA, TXT and A, each once for all addresses"


async def test_ipv6_addresses_are_reported(time: VirtualTime, checks: MailChecks, example: Zone) -> None:
    example.put(HOST, "AAAA", "2001:db8::25")
    assert (await read(time, checks)).ipv6 == ("2001:db8::25",)


async def test_a_resolver_that_answers_only_without_validation_shows_a_bogus_zone(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    example.put(HOST, "AAAA", "2001:db8::25")
    internet.moods[FIRST] = "bogus"
    report = await read(time, checks)
    assert (report.ipv6, report.bogus) == (("2001:db8::25",), True)


@pytest.mark.parametrize("mood", ["servfail", "silent", "refused"])
async def test_a_resolver_that_fails_says_nothing_of_dnssec(
    mood: str, time: VirtualTime, checks: MailChecks, internet: Internet
) -> None:
    internet.moods[FIRST] = mood
    report = await read(time, checks)
    assert report.bogus is False, "the second one answers"
    internet.moods[SECOND] = mood
    report = await read(time, checks)
    assert (report.ipv6, report.bogus) == (None, None)
    assert report.helo[IP].result is SpfResult.TEMPERROR


@pytest.mark.parametrize(
    ("place", "texts", "found"),
    [
        (f"_dmarc.{DOMAIN}", ['"v=DMARC1; p=none"'], Dmarc.FOUND),
        (f"_dmarc.{DOMAIN}", ['"v=DMARC1"'], Dmarc.FOUND),
        (f"_dmarc.{DOMAIN}", ['"v=DMARC1; p=none"', '"unrelated"'], Dmarc.FOUND),
        ("_dmarc.example.com", ['"v=DMARC1; p=reject"'], Dmarc.FOUND),
        (f"_dmarc.{DOMAIN}", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], Dmarc.SEVERAL),
        (f"_dmarc.{DOMAIN}", ['"v=DMARC10; p=none"'], Dmarc.MISSING),
        (f"_dmarc.{DOMAIN}", ['"v=spf1 -all"'], Dmarc.MISSING),
        ("unrelated.example.com", ['"v=DMARC1; p=none"'], Dmarc.MISSING),
    ],
)
async def test_the_dmarc_policy_is_that_of_the_domain_or_of_a_name_above_it(
    place: str, texts: list[str], found: Dmarc, time: VirtualTime, checks: MailChecks, example: Zone
) -> None:
    example.put(place, "TXT", *texts)
    assert (await read(time, checks, DOMAIN)).dmarc == {DOMAIN: found}


async def test_sender_domains_share_what_they_include(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    example.put("spf.example.com", "TXT", f'"v=spf1 ip4:{IP} -all"')
    domains = [f"d{n}.example.com" for n in range(16)]
    for domain in domains:
        example.put(domain, "TXT", '"v=spf1 include:spf.example.com ~all"')
    report = await read(time, checks, *domains, addresses=(IP, OTHER))
    assert {d: report.senders[d][IP].result for d in domains} == dict.fromkeys(domains, SpfResult.PASS)
    assert {report.senders[d][OTHER].result for d in domains} == {SpfResult.SOFTFAIL}
    assert len([a for a in internet.log if a.name == "spf.example.com."]) == 1
    assert len(internet.log) == 2 + 1 + 16 * 2 + 1, (
        "hostname, include, TXT and _dmarc of each, and _dmarc above"
    )


def make_costly(example: Zone, domain: str) -> None:
    """9 terms that need 27 questions."""
    for term in range(9):
        name = f"h{term}.{domain}"
        example.put(name, "MX", *(f"{p} m{p}.{name}." for p in range(2)))
        for p in range(2):
            example.put(f"m{p}.{name}", "A", "198.51.100.1")
    example.put(domain, "TXT", f'"v=spf1 {" ".join(f"mx:h{term}.{domain}" for term in range(9))} -all"')


async def test_a_costly_domain_alone_is_evaluated(
    time: VirtualTime, checks: MailChecks, example: Zone
) -> None:
    make_costly(example, DOMAIN)
    assert (await read(time, checks, DOMAIN)).senders[DOMAIN][IP].result is SpfResult.FAIL


async def test_a_costly_domain_does_not_hide_what_is_known_of_the_others(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    """The first of 16 needs more than its share of 200 questions."""
    first, *others = [f"d{n:02}.example.com" for n in range(16)]
    make_costly(example, first)
    for domain in others:
        example.put(domain, "TXT", f'"v=spf1 ip4:{IP} -all"')
    report = await read(time, checks, first, *others)
    assert report.senders[first][IP].result is SpfResult.TEMPERROR
    assert {report.senders[d][IP].result for d in others} == {SpfResult.PASS}
    assert report.helo[IP].result is SpfResult.NONE
    assert set(report.dmarc.values()) == {Dmarc.MISSING}
    assert len(internet.log) <= 200


async def test_the_questions_end_before_the_budget_is_spent(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    domains = [f"d{n:02}.example.com" for n in range(16)]
    for domain in domains:
        make_costly(example, domain)
    report = await read(time, checks, *domains)
    assert len(internet.log) <= 200
    assert {report.senders[d][IP].result for d in domains} == {SpfResult.TEMPERROR}


async def test_a_silent_resolver_is_asked_few_questions_only(
    time: VirtualTime, checks: MailChecks, internet: Internet
) -> None:
    internet.moods[FIRST] = "silent"
    domains = [f"d{n}.example.com" for n in range(16)]
    report = await read(time, checks, *domains)
    assert len(internet.asked(FIRST)) == 2, "AAAA and the first TXT"
    assert report.dmarc == dict.fromkeys(domains, Dmarc.MISSING)


async def test_a_slow_resolver_ends_the_questions_and_not_the_reading(
    time: VirtualTime, checks: MailChecks, example: Zone, internet: Internet
) -> None:
    """What was answered in time is known."""
    internet.delays[FIRST] = 1.9
    for number in range(16):
        make_costly(example, f"d{number:02}.example.com")
    began = time.now
    report = await read(time, checks, *(f"d{n:02}.example.com" for n in range(16)))
    assert time.now - began < 45
    assert report.helo[IP].result is SpfResult.NONE
    assert report.dmarc["d15.example.com"] is Dmarc.UNKNOWN


async def test_the_reading_is_shared_and_a_failure_keeps_what_was_known(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    assert service.mail(HOST) == Fact()
    service.request_mail("ns/a", HOST, frozenset({IP}), frozenset({DOMAIN}), time.now)
    service.request_mail("ns/b", HOST, frozenset({IP}), frozenset({DOMAIN}), time.now)
    await time.advance(1)
    fact = service.mail(HOST)
    assert sorted(woken) == ["ns/a", "ns/b"]
    assert fact.value is not None
    assert (fact.value.addresses, fact.value.domains) == ({IP}, {DOMAIN})
    assert len([a for a in internet.log if a.rtype == "AAAA"]) == 1
    internet.moods.update({FIRST: "silent", SECOND: "silent"})
    service.request_mail("ns/a", HOST, frozenset({IP}), frozenset({DOMAIN}), time.now)
    await time.advance(60)
    after = service.mail(HOST)
    assert after.value == fact.value
    assert after.fault is not None


async def test_hostile_text_stays_within_the_report(
    time: VirtualTime, checks: MailChecks, example: Zone
) -> None:
    """Control characters and bytes that are no text, in many strings."""
    example.put(HOST, "TXT", '"v=spf1 " "\\027[31mred\\007" "\\226\\128" " -all"')
    spf = (await read(time, checks)).helo[IP]
    assert spf.result is SpfResult.PERMERROR
