"""Advice that needs questions to public DNS: SPF, DMARC, IPv6 and DNSSEC, and when they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.advisories import ALL_ADVISORIES, Severity
from mailegress.api.types import MailEgress
from mailegress.model.aws import RecordSet
from mailegress.model.dns import AnswerKind
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.model.mail import Dmarc, MailReport, Spf, SpfResult
from mailegress.reconcile.result import NeedMail, NeedPublic
from tests.support.advised import HOST, NAT, advised, settled
from tests.support.planner import OTHER_UID, ZONE, PlannerHarness, obj


def heard(harness: PlannerHarness, *addresses: str, at: float = 0.0, **more: Any) -> MailReport:
    """What the public resolvers said about mail: SPF passes for these addresses unless ``more`` says otherwise."""
    helo = {address: Spf(SpfResult.PASS, "a", 1) for address in addresses}
    given: dict[str, Any] = {"ipv6": (), "bogus": False, "helo": helo, **more}
    report = MailReport(HOST, frozenset(addresses), frozenset(given.get("senders", ())), **given)
    harness.dns.mailed = Fact(report, at, tried_at=at)
    return report


def sending(me: MailEgress, *domains: str) -> MailEgress:
    return replace(me, spec=replace(me.spec, sender_domains=domains))


def unverified(me: MailEgress) -> MailEgress:
    """Before public resolvers confirmed it: they are asked at once."""
    return replace(me, status=replace(me.status, conditions=()))


NO_ANSWER = Spf(SpfResult.TEMPERROR, "no answer")


@pytest.mark.parametrize(
    ("spf", "severity", "said"),
    [
        (Spf(SpfResult.PASS), None, ""),
        (Spf(SpfResult.NONE, "mta.example.com has no SPF record"), Severity.INFO, "no SPF record"),
        (
            Spf(SpfResult.NEUTRAL, "?all", 1),
            Severity.INFO,
            "SPF is neutral for 203.0.113.1, not pass (?all; 1 of 10",
        ),
        (
            Spf(SpfResult.FAIL, "-all", 2),
            Severity.WARNING,
            "SPF is fail for 203.0.113.1, not pass (-all; 2 of 10",
        ),
        (Spf(SpfResult.SOFTFAIL, "~all", 2), Severity.WARNING, "SPF is softfail"),
        (Spf(SpfResult.PERMERROR, "moo is not a mechanism"), Severity.WARNING, "SPF is permerror"),
        (NO_ANSWER, None, ""),
    ],
)
def test_spf_that_does_not_pass_is_reported(spf: Spf, severity: Severity | None, said: str) -> None:
    """Of the HELO name for every object, of sender domains for those that the spec lists."""
    harness, [eip], me = settled()
    me = sending(me, "example.org")
    senders = {"example.org": {eip.public_ip: spf}}
    heard(
        harness, eip.public_ip, helo={eip.public_ip: spf}, senders=senders, dmarc={"example.org": Dmarc.FOUND}
    )
    advice = advised(harness, me)
    if severity is None:
        assert advice == {}
        return
    assert {a.severity for a in advice.values()} == {severity}
    assert list(advice) == ["HeloSPF", "SenderSPF"]
    assert advice["HeloSPF"].message.startswith(f"{HOST}: ")
    assert advice["SenderSPF"].message.startswith("example.org: ")
    assert all(said in a.message and a.addresses == (eip.public_ip,) for a in advice.values())


@pytest.mark.parametrize("dmarc", [*Dmarc])
def test_a_sender_domain_without_one_dmarc_policy_is_reported(dmarc: Dmarc) -> None:
    harness, [eip], me = settled()
    me = sending(me, "example.org")
    passed = {"example.org": {eip.public_ip: Spf(SpfResult.PASS)}}
    heard(harness, eip.public_ip, senders=passed, dmarc={"example.org": dmarc})
    expected = {Dmarc.MISSING: Severity.INFO, Dmarc.SEVERAL: Severity.WARNING}.get(dmarc)
    assert [a.severity for a in advised(harness, me).values()] == ([expected] if expected else [])


def test_without_an_answer_each_domain_keeps_what_was_stored_about_it() -> None:
    """E3: one domain that does not answer neither loses its advice nor hides that of another."""
    harness, [eip], me = settled()
    me = sending(me, "a.example.org", "b.example.org", "c.example.org")
    ip, fail = eip.public_ip, Spf(SpfResult.FAIL, "-all")
    everything = {d: {ip: fail} for d in me.spec.sender_domains}
    dmarc = dict.fromkeys(me.spec.sender_domains, Dmarc.MISSING)
    heard(harness, ip, helo={ip: fail}, senders=everything, dmarc=dmarc, ipv6=("2001:db8::1",), bogus=True)
    stored = harness.written(me, harness.plan(me))
    assert len(stored.status.advisories) == 8
    some = {
        "a.example.org": {ip: Spf(SpfResult.PASS)},
        "b.example.org": {ip: NO_ANSWER},
        "c.example.org": {ip: fail},
    }
    unknown = dict.fromkeys(me.spec.sender_domains, Dmarc.UNKNOWN)
    heard(harness, ip, helo={ip: NO_ANSWER}, senders=some, dmarc=unknown, ipv6=None, bogus=None)
    kept = harness.plan(stored).advisories
    gone = set(stored.status.advisories) - set(kept)
    assert [(a.code, a.message.partition(":")[0]) for a in gone] == [("SenderSPF", "a.example.org")]
    harness.dns.mailed = Fact()
    assert harness.plan(stored).advisories == stored.status.advisories, "after a restart"
    assert not [a for a in harness.plan(sending(stored)).advisories if a.code.startswith("Sender")], "edited"


def test_a_bogus_zone_is_reported() -> None:
    harness, [eip], me = settled()
    heard(harness, eip.public_ip, bogus=True)
    assert advised(harness, me)["DNSSECBogus"].severity is Severity.WARNING


def test_an_aaaa_record_is_reported_from_the_hosted_zone() -> None:
    harness, _, me = settled()
    view = harness.records.views[ZONE.id, HOST]
    record = RecordSet(HOST, "AAAA", 300, ("2001:db8::25",))
    harness.records.views[ZONE.id, HOST] = replace(view, records=(*view.records, record))
    advice = advised(harness, me)["HostnameHasAAAA"]
    assert advice.severity is Severity.INFO
    assert "an AAAA record (2001:db8::25)" in advice.message


def test_under_observed_an_aaaa_record_is_reported_from_public_dns() -> None:
    harness, [eip], me = settled()
    observed = replace(me, spec=obj(HOST, [eip], forward={"management": "Observed"}).spec)
    heard(harness, eip.public_ip, ipv6=("2001:db8::25",))
    assert "HostnameHasAAAA" in advised(harness, observed)


def test_the_text_of_a_foreign_record_is_short_and_printable() -> None:
    harness, [eip], me = settled()
    hostile = Spf(SpfResult.PERMERROR, "\x1b[31m\u202e" + "x" * 4000)
    heard(harness, eip.public_ip, helo={eip.public_ip: hostile})
    message = advised(harness, me)["HeloSPF"].message
    assert message.isprintable()
    assert len(message) < 500
    assert message.endswith(ALL_ADVISORIES["HeloSPF"].remedy)


def test_mail_is_asked_about_with_the_round_of_the_public_resolvers_only() -> None:
    harness, [eip], me = settled()
    harness.dns.public_at = None
    first = harness.plan(unverified(me))
    [public] = [need for need in first.needs if isinstance(need, NeedPublic)]
    assert first.advice_need == NeedMail(HOST, frozenset({eip.public_ip}), frozenset(), public.not_before)
    harness.dns.public_at = 0.0
    heard(harness, eip.public_ip)
    asked = []
    for _ in range(24 * 12):
        harness.now += 300
        plan = harness.plan(me)
        if any(isinstance(need, NeedPublic) for need in plan.needs):
            harness.dns.public_at = harness.now
        if plan.advice_need is not None:
            asked.append(harness.now)
            heard(harness, eip.public_ip, at=harness.now)
        harness.book.at = harness.zones.at = harness.records.at = harness.dns.at = harness.now
    assert len(asked) <= 24
    assert len(asked) >= 20


def test_before_the_public_resolvers_are_asked_nothing_else_is() -> None:
    """A question for a name that does not exist yet leaves a negative answer in their caches (RFC 2308)."""
    harness = PlannerHarness()
    eip = harness.eip(1, nat_gateway_id=NAT)
    plan = harness.plan(sending(obj(HOST, [eip]), "example.org"))
    assert not [need for need in plan.needs if isinstance(need, NeedPublic)]
    assert plan.advice_need is None


def test_a_reading_that_failed_is_not_requested_without_a_pause() -> None:
    harness, _, me = settled()
    me, harness.dns.public_at = unverified(me), None
    plan = harness.plan(me)
    assert plan.advice_need is not None
    fault = Fault("ResolversUnreachable", "no answer", ErrorKind.TRANSIENT)
    harness.dns.mailed = Fact(fault=fault, misses=1, tried_at=plan.advice_need.not_before)
    assert harness.plan(me).advice_need is None


def test_an_edit_of_the_sender_domains_is_followed_by_one_reading() -> None:
    harness, [eip], me = settled()
    heard(harness, eip.public_ip)
    assert harness.plan(me).advice_need is None
    harness.now += 100
    edited = sending(replace(me, meta=replace(me.meta, generation=2)), "example.org")
    need = harness.plan(edited).advice_need
    assert need is not None
    assert need.domains == {"example.org"}
    heard(harness, eip.public_ip, at=harness.now, senders={"example.org": {}})
    assert harness.plan(edited).advice_need is None


def test_resolvers_that_lag_are_asked_again_and_not_about_mail() -> None:
    """They are asked for minutes; SPF, AAAA and DMARC are not what they lag in."""
    harness, [eip], me = settled()
    me = unverified(me)
    harness.dns.public_at = None
    harness.dns.kinds[harness.dns.resolvers[0]] = AnswerKind.NXDOMAIN
    rounds = asked = 0
    for _ in range(30):
        harness.now += 20
        plan = harness.plan(me)
        me = harness.written(me, plan)
        if any(isinstance(need, NeedPublic) for need in plan.needs):
            rounds += 1
            harness.dns.public_at = harness.now
        if plan.advice_need is not None:
            asked += 1
            heard(harness, eip.public_ip, at=harness.now)
        harness.book.at = harness.zones.at = harness.records.at = harness.dns.at = harness.now
    assert rounds > 5
    assert asked == 1


def test_an_object_that_does_not_hold_the_hostname_asks_nothing_about_its_domains() -> None:
    """S12: else two objects with one hostname would ask in turns, each for its own domains."""
    harness, [eip], me = settled()
    harness.take(me)
    heard(harness, eip.public_ip)
    loser = obj(HOST, [harness.eip(2, nat_gateway_id=NAT)], uid=OTHER_UID)
    assert harness.plan(sending(loser, "example.org")).advice_need is None


def test_turned_off_or_without_resolvers_nothing_is_asked() -> None:
    harness, _, me = settled()
    me, harness.dns.public_at = unverified(me), None
    assert harness.plan(me).advice_need is not None
    harness.settings = replace(harness.settings, advisories=False)
    assert harness.plan(me).advice_need is None
    harness.settings = replace(harness.settings, advisories=True)
    harness.dns.resolvers = ()
    assert harness.plan(me).advice_need is None


@pytest.mark.parametrize("released", [False, True])
def test_stored_advice_that_names_a_released_address_does_not_stay(released: bool) -> None:
    """A new process has asked nothing yet."""
    harness, [first, second], me = settled(count=2)
    me, fail = sending(me, "example.org"), Spf(SpfResult.FAIL, "-all")
    both = {first.public_ip: fail, second.public_ip: fail}
    heard(harness, *both, helo=both, senders={"example.org": both}, dmarc={"example.org": Dmarc.FOUND})
    stored = harness.written(me, harness.plan(me))
    assert [a.code for a in stored.status.advisories] == ["HeloSPF", "SenderSPF"]
    harness.dns.mailed = Fact()
    if released:
        stored = replace(stored, spec=replace(stored.spec, elastic_ips=stored.spec.elastic_ips[:1]))
    kept = harness.plan(stored).advisories
    assert kept == (() if released else stored.status.advisories)
