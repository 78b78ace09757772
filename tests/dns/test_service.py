"""Shared readings: asked for by many, made once, told to all."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace

import pytest

from mailegress.dns import DnsService, DnsSettings, build_dns
from mailegress.dns.replies import absolute
from mailegress.model.dns import AnswerKind, Expected, Iprev, ServerAnswer
from mailegress.model.facts import ErrorKind, Fact
from tests.dns.conftest import NS, CountingMetrics, silence
from tests.support.internet import RESOLVERS, ROOTS, TRY, Internet, VirtualTime

HOST = "mta.example.com"
IP = frozenset({"203.0.113.5"})
OTHER_IP = frozenset({"203.0.113.6"})


def _unexpected(answer: ServerAnswer) -> bool:
    return False


async def test_nothing_is_known_until_asked_and_reading_never_waits(
    service: DnsService, time: VirtualTime, woken: list[str]
) -> None:
    assert service.authorities(HOST) == Fact()
    began = time.now
    service.request_authorities("ns/a", HOST, began)
    assert service.authorities(HOST).value is None

    await time.advance(1)

    fact = service.authorities(HOST)
    assert woken == ["ns/a"]
    assert fact.value is not None
    assert fact.value.zone == "example.com"
    assert (fact.at, fact.fault, fact.misses) == (began, None, 0)
    assert fact.fresh(began)


async def test_many_keys_share_one_reading(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    for i in range(20):
        service.request_authorities(f"ns/{i}", HOST, time.now)
        service.request_authorities(f"ns/{i}", HOST, time.now)
    await time.advance(1)

    assert sorted(woken) == sorted(f"ns/{i}" for i in range(20))
    assert [a.name for a in internet.asked(NS["ns1.dns.net"], "A")] == [f"{HOST}."]


async def test_what_is_fresh_enough_wakes_at_once(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    began = time.now
    service.request_authorities("ns/a", HOST, began)
    await time.advance(5)
    internet.log.clear()

    service.request_authorities("ns/b", HOST, began)
    assert woken == ["ns/a", "ns/b"]
    await time.advance(5)
    assert internet.log == []


async def test_a_reading_that_began_too_early_does_not_serve_a_later_request(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    internet.moods[NS["ns2.dns.net"]] = "silent"
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(TRY / 2)  # under way: one server is still being waited for
    internet.zones[absolute("example.com")].put(HOST, "A", "203.0.113.6")
    written = time.now
    service.request_authorities("ns/b", HOST, written)

    await time.advance(TRY / 2)
    assert woken == ["ns/a"]
    await time.advance(2 * TRY)

    assert woken == ["ns/a", "ns/b"]
    fact = service.authorities(HOST)
    assert fact.fresh(written)
    assert fact.value is not None
    assert {a.addresses for a in fact.value.answers if a.kind is AnswerKind.ANSWER} == {
        frozenset({"203.0.113.6"})
    }


async def test_a_request_for_later_waits_and_an_earlier_one_overtakes_it(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    start = time.now
    service.request_authorities("ns/late", HOST, start + 30)
    await time.advance(10)
    assert internet.log == []

    service.request_authorities("ns/now", HOST, start + 10)
    await time.advance(1)
    assert woken == ["ns/now"]
    await time.advance(20)
    assert woken == ["ns/now", "ns/late"]
    assert service.authorities(HOST).at == start + 30


async def test_one_server_that_answers_makes_a_value(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    silence(internet)
    internet.moods[NS["ns2.dns.net"]] = "refused"
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(10)

    fact = service.authorities(HOST)
    assert fact.value is not None
    assert (fact.fault, fact.misses) == (None, 0)
    assert sorted(a.kind.value for a in fact.value.answers) == ["refused", "timeout", "timeout"]


@pytest.mark.parametrize("mood", ["silent", "servfail"])
async def test_nothing_learned_is_a_miss_and_the_old_value_stands(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str], mood: str
) -> None:
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(1)
    good = service.authorities(HOST)
    silence(internet, mood)

    tried = time.now
    service.request_authorities("ns/a", HOST, tried)
    await time.advance(5)

    fact = service.authorities(HOST)
    assert (fact.value, fact.at) == (good.value, good.at)
    assert (fact.misses, fact.tried_at) == (1, tried)
    assert fact.fault is not None
    assert (fact.fault.reason, fact.fault.kind) == ("AuthoritiesUnreachable", ErrorKind.TRANSIENT)
    assert "ns1.dns.net" in fact.fault.message
    assert woken == ["ns/a", "ns/a"], "the failure is told, too"


async def test_failures_back_off_and_success_ends_it(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    silence(internet, "servfail")
    tries: list[float] = []
    for _ in range(12):
        heard = len(woken)
        service.request_authorities("ns/a", HOST, time.now)
        while len(woken) == heard:
            await time.advance(0.5)
        tries.append(service.authorities(HOST).tried_at)

    pauses = [b - a for a, b in itertools.pairwise(tries)]
    for n, pause in enumerate(pauses):
        longest = min(60.0, 2.0**n)
        assert longest / 2 <= pause <= longest + 0.5
    assert len({round(p, 6) for p in pauses[-5:]}) > 1, "pauses have jitter"
    assert service.authorities(HOST).misses == 12

    internet.moods.clear()
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(60)
    assert service.authorities(HOST).misses == 0
    now = time.now
    service.request_authorities("ns/a", HOST, now)
    await time.advance(1)
    assert service.authorities(HOST).at == now


async def test_no_root_is_reachable(service: DnsService, time: VirtualTime, internet: Internet) -> None:
    internet.moods.update(dict.fromkeys(ROOTS.values(), "silent"))
    service.request_authorities("ns/a", HOST, time.now)
    service.request_delegation("ns/a", "example.com", time.now)
    await time.advance(20)

    for fact in (service.authorities(HOST), service.delegation("example.com")):
        assert fact.value is None
        assert fact.misses == 1
        assert fact.fault is not None
        assert fact.fault.reason == "AuthoritiesUnreachable"


async def test_interception_is_told_by_both_kinds_of_reading(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    internet.moods.update(dict.fromkeys(ROOTS.values(), "intercepted"))
    service.request_authorities("ns/a", HOST, time.now)
    service.request_delegation("ns/a", "example.com", time.now)
    await time.advance(5)

    report = service.authorities(HOST).value
    assert report is not None
    assert {a.kind for a in report.answers} == {AnswerKind.INTERCEPTED}
    fault = service.delegation("example.com").fault
    assert fault is not None
    assert fault.reason == "Intercepted"


async def test_delegation(service: DnsService, time: VirtualTime, internet: Internet) -> None:
    service.request_delegation("ns/a", "example.com", time.now)
    service.request_delegation("ns/a", "absent.com", time.now)
    await time.advance(1)
    delegated, absent = service.delegation("example.com").value, service.delegation("absent.com").value
    assert delegated is not None
    assert absent is not None
    assert delegated.name_servers == frozenset(NS)
    assert absent.name_servers == frozenset()

    internet.delegate("absent.com", NS)
    service.request_delegation("ns/a", "absent.com", time.now)
    await time.advance(1)
    absent = service.delegation("absent.com").value
    assert absent is not None
    assert absent.name_servers == frozenset(NS)


async def test_sample_authorities_go_round(service: DnsService, time: VirtualTime) -> None:
    servers: list[str] = []
    for _ in range(6):
        service.request_sample_authority("ns/a", HOST, time.now, _unexpected)
        await time.advance(1)
        answer = service.sample_authority(HOST).value
        assert answer is not None
        assert answer.addresses == IP
        servers.append(answer.server)

    assert sorted(servers[:3]) == sorted(NS)
    assert servers[:3] == servers[3:]


async def test_a_silent_sample_authority_is_a_miss_and_the_next_reading_asks_another(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    internet.moods[NS["ns1.dns.net"]] = "silent"
    outcomes: list[int] = []
    for _ in range(6):
        service.request_sample_authority("ns/a", HOST, time.now, _unexpected)
        await time.advance(10)
        outcomes.append(service.sample_authority(HOST).misses)

    assert sorted(outcomes) == [0, 0, 0, 0, 1, 1]


async def test_an_expected_sample_wakes_only_those_who_expect_another(
    service: DnsService, time: VirtualTime, woken: list[str]
) -> None:
    service.request_sample_authority("ns/same", HOST, time.now, Expected(IP, exact=True).met_by)
    service.request_sample_authority("ns/other", HOST, time.now, Expected(OTHER_IP, exact=True).met_by)
    service.request_sample_authority("ns/twice", HOST, time.now, Expected(IP, exact=True).met_by)
    service.request_sample_authority("ns/twice", HOST, time.now, Expected(OTHER_IP, exact=True).met_by)
    await time.advance(1)
    assert sorted(woken) == ["ns/other", "ns/twice"]

    service.request_sample_authority("ns/same", HOST, time.now, Expected(IP, exact=True).met_by)
    await time.advance(1)
    assert sorted(woken) == ["ns/other", "ns/twice"]


async def test_a_sample_without_an_answer_wakes_whatever_is_expected(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    for server in NS.values():
        internet.moods[server] = "silent"
    service.request_sample_authority("ns/a", HOST, time.now, Expected(IP, exact=True).met_by)
    await time.advance(10)
    assert woken == ["ns/a"]


async def test_public_view_and_more_addresses_later(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    reverse = internet.zone("113.0.203.in-addr.arpa", {"r.arpa": "192.0.2.91"})
    reverse.put("5.113.0.203.in-addr.arpa", "PTR", f"{HOST}.")
    assert tuple(service.resolvers) == tuple(r.name for r in RESOLVERS)

    began = time.now
    service.request_public("ns/a", HOST, IP, began)
    await time.advance(1)
    report = service.public(HOST).value
    assert report is not None
    assert report.addresses == IP
    assert [a.reverse["203.0.113.5"].result for a in report.answers] == [Iprev.PASS, Iprev.PASS]

    more = IP | {"203.0.113.6"}
    service.request_public("ns/a", HOST, more, began)  # recent enough, but not for the new address
    await time.advance(1)
    report = service.public(HOST).value
    assert report is not None
    assert report.addresses == more
    assert woken == ["ns/a", "ns/a"]


async def test_no_resolver_answers(service: DnsService, time: VirtualTime, internet: Internet) -> None:
    internet.moods.update({r.address: "silent" for r in RESOLVERS})
    service.request_public("ns/a", HOST, IP, time.now)
    await time.advance(5)

    fault = service.public(HOST).fault
    assert fault is not None
    assert fault.reason == "ResolversUnreachable"


async def test_resolvers_are_never_asked_by_readings_of_the_authorities(
    service: DnsService, time: VirtualTime, internet: Internet
) -> None:
    service.request_authorities("ns/a", HOST, time.now)
    service.request_sample_authority("ns/a", HOST, time.now, _unexpected)
    service.request_delegation("ns/a", "example.com", time.now)
    await time.advance(5)

    assert internet.log
    assert not {a.server for a in internet.log} & {r.address for r in RESOLVERS}


async def test_what_nobody_asks_about_is_forgotten(service: DnsService, time: VirtualTime) -> None:
    for i in range(50):
        service.request_authorities("ns/a", f"h{i}.example.com", time.now)
        service.request_sample_authority("ns/a", f"h{i}.example.com", time.now, _unexpected)
    await time.advance(1800)
    service.authorities("h7.example.com")
    assert service.facts() == 100

    await time.advance(1900)
    service.request_authorities("ns/a", HOST, time.now)
    service.request_sample_authority("ns/a", HOST, time.now, _unexpected)
    await time.advance(1)

    assert service.facts() == 3
    assert service.authorities("h7.example.com").value is not None
    assert service.authorities("h8.example.com") == Fact()


async def test_readings_in_progress_are_bounded(
    internet: Internet, settings: DnsSettings, time: VirtualTime, metrics: CountingMetrics, woken: list[str]
) -> None:
    few = replace(settings, max_readings=2)
    service = build_dns(
        few, internet, woken.append, metrics, time.clock, time.sleep, random.Random(1)
    )  # fmt: skip
    internet.moods[NS["ns1.dns.net"]] = "silent"
    names = [f"h{i}.example.com" for i in range(4)]
    for name in names:
        service.request_authorities(name, name, time.now)
    await time.advance(TRY + 0.1)
    await time.advance(60)

    ages = sorted(service.authorities(name).at for name in names)
    assert ages[0] == ages[1] < ages[2]
    assert sorted(woken) == names
    await service.close()


async def test_a_defect_is_reported_and_backed_off(
    settings: DnsSettings, time: VirtualTime, metrics: CountingMetrics, woken: list[str]
) -> None:
    async def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("defect")

    errors: list[str] = []
    service = build_dns(
        settings,
        broken,  # type: ignore[arg-type]
        woken.append,
        metrics,
        time.clock,
        time.sleep,
        random.Random(1),
        on_error=lambda name, error: errors.append(f"{name}: {error}"),
    )
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(0.1)

    assert errors == [f"{HOST}: defect"]
    assert woken == ["ns/a"]
    assert service.authorities(HOST).misses == 1
    service.request_authorities("ns/a", HOST, time.now)
    await time.advance(0.3)
    assert len(errors) == 1
    await time.advance(1)
    assert len(errors) == 2
    await service.close()


async def test_close_ends_everything(
    service: DnsService, time: VirtualTime, internet: Internet, woken: list[str]
) -> None:
    silence(internet)
    before = asyncio.all_tasks()
    service.request_authorities("ns/a", HOST, time.now)
    service.request_public("ns/a", HOST, IP, time.now + 50)
    await time.settle()
    assert asyncio.all_tasks() > before

    await service.close()
    service.request_sample_authority("ns/a", HOST, time.now, _unexpected)
    await time.settle()

    assert asyncio.all_tasks() == before
    assert woken == []
