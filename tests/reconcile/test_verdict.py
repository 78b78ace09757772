"""What public DNS shows, next to what AWS says: when it counts, when it does not, and what the status says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.conditions import FORWARD_READY, READY, RESOLVED, REVERSE_READY
from mailegress.api.status import Status
from mailegress.api.types import MailEgress
from mailegress.model.dns import AnswerKind, ResolverReport
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile import summarise
from mailegress.reconcile.result import NeedAuthorities, NeedPublic, NeedSampleAuthority, SetPtr
from tests.support.planner import PlannerHarness, obj, verdict
from tests.support.verdicts import (
    HOST,
    NEW,
    OBSERVED,
    RESOLVERS,
    SERVERS,
    harness_with,
    reading,
    ready,
    shown,
    status,
    watched,
)

THIRD_PARTY = "203.0.113.99"


# ---------------------------------------------------------------- renewed at each check


def after_a_restart() -> tuple[PlannerHarness, MailEgress]:
    harness, me = ready()
    harness.memories.clear()
    harness.now = harness.book.at = harness.records.at = 1000.0
    harness.dns.at = harness.dns.public_at = None
    harness.plan(me)
    return harness, me


def test_public_resolvers_are_asked_again_after_a_restart() -> None:
    harness, me = after_a_restart()
    harness.now += harness.settings.public_seconds
    needs = harness.plan(me).needs
    assert [n for n in needs if isinstance(n, NeedPublic)], needs


def known(harness: PlannerHarness, me: MailEgress) -> list[ResolverReport | None]:
    """What each question to the public resolvers counts as no news."""
    return [n.known for n in harness.plan(me).needs if isinstance(n, NeedPublic)]


def test_a_report_of_the_resolvers_that_says_the_same_as_before_is_no_news() -> None:
    harness, me = ready()
    harness.now += harness.settings.public_seconds + 1
    [report] = known(harness, me)
    assert report is not None
    [first, *others] = report.answers
    older = replace(
        first,
        forward=replace(first.forward, ttl=7),
        reverse={ip: replace(result, ttl=7) for ip, result in first.reverse.items()},
    )
    assert report.says_the_same(replace(report, answers=(older, *others)))
    fewer = replace(first, forward=replace(first.forward, addresses=frozenset()))
    other = replace(
        first, reverse={ip: replace(result, names=("x.example.net",)) for ip, result in first.reverse.items()}
    )
    assert not report.says_the_same(replace(report, answers=(fewer, *others)))
    assert not report.says_the_same(replace(report, answers=(other, *others)))
    assert not report.says_the_same(replace(report, pointers={"203.0.113.1": ()}))


def test_every_report_counts_while_resolvers_do_not_agree() -> None:
    harness, me = ready()
    harness.dns.names["203.0.113.1"] = ()
    harness.now += harness.settings.public_seconds + 1
    asked = known(harness, me)
    assert asked
    assert not any(asked)


def test_a_ptr_lost_after_a_restart_ends_ready_after_the_confirmations() -> None:
    harness, me = after_a_restart()
    harness.dns.names["203.0.113.1"] = ()
    harness.now += harness.settings.public_seconds
    harness.book.at = harness.records.at = harness.now
    seen = []
    for _ in range(harness.settings.confirmations):
        harness.now += 60
        harness.dns.public_at = harness.now
        plan = harness.plan(me)
        me = harness.written(me, plan)
        seen.append(status(me, READY))
    assert seen == ["True", "True", "False"]
    assert verdict(plan, RESOLVED).reason == "FCrDNSFail"


def test_the_check_of_public_dns_has_a_time_of_its_own() -> None:
    harness, me = ready()
    harness.settings = replace(harness.settings, public_seconds=30)
    assert harness.plan(me).wait <= 30
    harness.now = 31
    assert [type(n) for n in harness.plan(me).needs] == [NeedPublic]


def requested(me: MailEgress) -> MailEgress:
    return replace(me, meta=replace(me.meta, reconcile_requested_at="now"))


def test_a_requested_reconcile_asks_every_authority_and_the_resolvers() -> None:
    harness, me = ready()
    harness.now = 5000.0
    harness.book.at = harness.records.at = harness.now
    harness.plan(me)
    harness.now += 1
    asked = requested(me)
    harness.observed(asked)
    harness.book.at = harness.records.at = harness.now
    kinds = {type(n) for n in harness.plan(asked).needs}
    assert NeedAuthorities in kinds
    assert NeedPublic in kinds
    assert NeedSampleAuthority not in kinds
    harness.dns.at = harness.dns.public_at = harness.now
    plan = harness.plan(asked)
    assert plan.needs == () or {type(n) for n in plan.needs}.isdisjoint({NeedAuthorities, NeedPublic})
    assert not any(f.inconclusive for f in plan.findings.values())


def test_a_request_is_answered_when_what_was_read_after_it_is_shown() -> None:
    harness, me = ready()
    harness.now = 5000.0
    asked = requested(me)
    harness.observed(asked)
    harness.book.at = harness.records.at = harness.zones.at = harness.now
    answered = []
    for n in range(4):
        harness.now += 60
        if n > 0:
            harness.dns.at = harness.now
        harness.dns.public_fault, harness.dns.misses, harness.dns.tried_at = (
            unanswered("timeout"),
            n,
            harness.now,
        )
        plan = harness.plan(asked)
        answered.append(summarise.handled_request(asked, harness.memories[asked.meta.uid]))
        asked = harness.written(asked, plan)
    assert answered == [None, None, None, "now"]
    assert status(asked, RESOLVED) == "Unknown"


def test_a_request_that_was_handled_is_not_handled_again_when_the_status_was_deleted() -> None:
    harness, me = ready()
    harness.now = 5000.0
    asked = requested(me)
    harness.observed(asked)
    for source in (harness.book, harness.records, harness.zones, harness.dns):
        source.at = harness.now
    harness.dns.public_at = harness.now
    assert not harness.plan(asked).needs
    harness.now += 2 * harness.settings.resync_seconds
    stripped = replace(asked, status=Status())
    assert harness.plan(stripped).needs, "it is time to look again"
    assert summarise.handled_request(stripped, harness.memories[asked.meta.uid]) == "now"


# ---------------------------------------------------------------- resolvers that give no answer


def unanswered(kind: str) -> Fault:
    answered = kind == "servfail"
    text = f"no public resolver answers for {HOST} (192.0.2.53: {kind})"
    return Fault("ResolversUnreachable", text, ErrorKind.TRANSIENT, answered=answered)


@pytest.mark.parametrize("kind", ["timeout", "servfail"])
def test_resolvers_without_an_answer_end_ready_after_the_confirmations(kind: str) -> None:
    harness, me = ready()
    harness.dns.public_fault = unanswered(kind)
    seen = []
    for misses in (1, 2, 3):
        harness.now += 60
        harness.dns.misses, harness.dns.tried_at = misses, harness.now
        plan = harness.plan(me)
        me = harness.written(me, plan)
        seen.append((status(me, RESOLVED), status(me, READY)))
    assert seen == [("True", "True"), ("True", "True"), ("Unknown", "Unknown")]
    found = verdict(plan, RESOLVED)
    assert found.reason == "ResolversUnreachable"
    assert ("DNSSEC" in found.message) == (kind == "servfail"), found.message
    assert ("port 53" in found.message) == (kind == "timeout"), found.message


def test_a_new_object_says_that_no_resolver_answers() -> None:
    harness, me = harness_with()
    harness.dns.public_at = -1.0
    harness.dns.public_fault = unanswered("timeout")
    reasons = []
    for misses in (1, 2, 3):
        harness.dns.misses = misses
        harness.dns.tried_at = harness.now
        plan = harness.plan(me)
        me = harness.written(me, plan)
        reasons.append(shown(me, plan, READY).reason)
        harness.now += 10
    assert reasons[-1] == "ResolversUnreachable"
    assert "ResolversUnreachable" not in reasons[:2]


def test_what_a_resolver_answered_instead_is_named() -> None:
    harness, me = harness_with()
    harness.dns.resolvers = RESOLVERS[:2]
    harness.dns.kinds[RESOLVERS[0]] = AnswerKind.REFUSED
    found = verdict(harness.plan(me), RESOLVED)
    assert found.reason == "ResolversUnreachable"
    assert f"{RESOLVERS[0]} answers REFUSED" in found.message
    assert "port 53" not in found.message


# ---------------------------------------------------------------- a minority of resolvers


def test_one_filtering_resolver_of_three_is_named_and_not_decisive() -> None:
    harness, me = watched()
    harness.dns.kinds[RESOLVERS[1]] = AnswerKind.NXDOMAIN
    for _ in range(harness.settings.confirmations):
        me, plan = reading(harness, me)
    found = verdict(plan, RESOLVED)
    assert found.ok
    assert RESOLVERS[1] in found.message
    assert [n.reason for n in plan.notices] == ["ResolversDisagree"]
    assert status(me, READY) == "True"
    again = reading(harness, me, harness.settings.public_seconds)[1]
    assert again.notices == (), "it is told once"
    assert not [n for n in again.needs if isinstance(n, NeedPublic)], "it is asked again in its turn only"
    assert me.status.addresses[0].iprev == "pass"


@pytest.mark.parametrize("configured", [2, 4])
def test_half_of_the_resolvers_are_no_minority(configured: int) -> None:
    harness, me = watched()
    harness.dns.resolvers = ("192.0.2.51", "192.0.2.52", "192.0.2.53", "192.0.2.54")[:configured]
    for resolver in harness.dns.resolvers[: configured // 2]:
        harness.dns.kinds[resolver] = AnswerKind.NXDOMAIN
    for _ in range(2 * harness.settings.confirmations):
        me, plan = reading(harness, me)
    assert verdict(plan, RESOLVED).reason == "ResolversDisagree"
    assert status(me, READY) == "False"


# ---------------------------------------------------------------- answers that differ between readings


def test_a_right_answer_after_wrong_ones_counts_when_it_is_repeated() -> None:
    harness, me = watched()
    harness.dns.names["203.0.113.1"] = ()
    me, _ = reading(harness, me)
    harness.dns.names.clear()
    seen = []
    for _ in range(harness.settings.confirmations):
        me, _ = reading(harness, me)
        seen.append(status(me, READY))
    assert seen == ["False", "False", "True"]


def test_a_ptr_that_comes_and_goes_is_reported_and_never_makes_ready() -> None:
    harness, me = watched()
    reasons = []
    for n in range(20):
        harness.dns.names["203.0.113.1"] = () if n % 3 == 0 else (HOST,)
        me, plan = reading(harness, me)
        reasons.append(shown(me, plan, RESOLVED).reason)
        assert status(me, READY) != "True"
    assert set(reasons[10:]) == {"AnswersVary"}
    harness.dns.names.clear()
    for _ in range(3 * harness.settings.confirmations):
        me, plan = reading(harness, me)
    assert status(me, READY) == "True", "it ends when the answers stay the same"


def test_a_record_whose_answers_rotate_opens_no_gate() -> None:
    harness, me = harness_with(None, observed=True)
    for n in range(20):
        harness.dns.answers[HOST] = frozenset({THIRD_PARTY if n % 2 == 0 else "203.0.113.1"})
        me, plan = reading(harness, me)
        assert not isinstance(plan.action, SetPtr)
    assert verdict(plan, FORWARD_READY).reason == "AnswersVary"


def test_one_reading_of_a_record_that_others_keep_opens_no_gate() -> None:
    """Its first answers may be the wanted ones by chance; the next reading samples it again."""
    harness, me = harness_with(None, observed=True)
    me, plan = reading(harness, me)
    found = verdict(plan, FORWARD_READY)
    assert (found.status, found.reason) == ("False", "Progressing")
    assert not isinstance(plan.action, SetPtr)
    assert plan.wait <= harness.settings.poll_seconds, "it is read again after one poll"
    harness.now += harness.settings.poll_seconds
    assert NeedAuthorities in {type(n) for n in harness.plan(me).needs}
    me, plan = reading(harness, me, 0)
    assert isinstance(plan.action, SetPtr)


def test_a_record_of_route_53_needs_one_reading() -> None:
    harness, me = harness_with(None)
    assert isinstance(reading(harness, me)[1].action, SetPtr)


def test_a_record_that_rotates_over_values_is_reported_although_it_never_matched() -> None:
    harness, me = harness_with(None, observed=True)
    for n in range(8):
        harness.dns.answers[HOST] = frozenset({f"192.0.2.{n % 3}"})
        me, plan = reading(harness, me)
    assert verdict(plan, FORWARD_READY).reason == "AnswersVary"


def test_a_slip_does_not_turn_a_lasting_fault_into_answers_that_vary() -> None:
    harness, me = ready()
    right = harness.dns.answers[HOST]
    for wrong in (True, False, True, True, True):
        harness.dns.answers[HOST] = frozenset({THIRD_PARTY}) if wrong else right
        me, plan = reading(harness, me)
    assert status(me, READY) == "False"
    assert verdict(plan, FORWARD_READY).reason == "AuthoritiesDisagree"


# ---------------------------------------------------------------- Observed: the same hysteresis


@pytest.mark.parametrize("kind", [AnswerKind.TIMEOUT, AnswerKind.NXDOMAIN])
def test_one_bad_answer_under_observed_ends_nothing(kind: AnswerKind) -> None:
    harness, me = ready(observed=True)
    harness.dns.kinds[SERVERS[0]] = kind
    me, _ = reading(harness, me)
    for condition in (FORWARD_READY, REVERSE_READY, RESOLVED, READY):
        assert status(me, condition) == "True", condition
    assert me.status.forward is not None
    assert me.status.forward.values == ("203.0.113.1",)


def test_a_dissenter_under_observed_counts_after_six_readings() -> None:
    harness, me = ready(observed=True)
    harness.dns.odd[SERVERS[0]] = frozenset({THIRD_PARTY})
    seen = []
    for _ in range(2 * harness.settings.confirmations):
        me, _ = reading(harness, me)
        seen.append(status(me, READY))
    assert seen == ["True"] * 5 + ["False"]


def test_the_ptr_of_a_former_name_is_not_foreign_under_observed() -> None:
    harness, me = ready(observed=True)
    origin = replace(me.status.addresses[0], ptr_origin=me.status.addresses[0].ptr_origin)
    assert origin.ptr_origin is not None
    renamed = replace(
        me,
        spec=obj(NEW, list(harness.book.eips.values()), forward=OBSERVED).spec,
        meta=replace(me.meta, generation=2),
    )
    plan = harness.plan(renamed)
    assert verdict(plan, FORWARD_READY).reason == "WaitingForForward"
    assert verdict(plan, REVERSE_READY).reason == "WaitingForForward"
    stored = harness.written(renamed, plan)
    harness.memories.clear()
    assert verdict(harness.plan(stored), REVERSE_READY).reason == "WaitingForForward", "after a restart too"
    harness.set_ptr(next(iter(harness.book.eips.values())), "else.example.org")
    assert verdict(harness.plan(stored), REVERSE_READY).reason == "PTRConflict"


# ---------------------------------------------------------------- name servers without a usable answer

LAME = [AnswerKind.REFUSED, AnswerKind.SERVFAIL, AnswerKind.TIMEOUT, AnswerKind.LAME]


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("kind", LAME)
def test_a_lame_server_keeps_the_gate_closed(kind: AnswerKind, observed: bool) -> None:
    harness, me = harness_with(None, observed=observed)
    harness.dns.kinds[SERVERS[2]] = kind
    for _ in range(2 * harness.settings.confirmations):
        me, plan = reading(harness, me)
        assert not isinstance(plan.action, SetPtr)
    found = verdict(plan, FORWARD_READY)
    assert found.reason == "LameNameServer"
    assert SERVERS[2] in found.message
    assert SERVERS[0] not in found.message
    harness.dns.kinds.clear()
    for _ in range(2 if observed else 1):
        me, plan = reading(harness, me)
    assert isinstance(plan.action, SetPtr)


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("kind", LAME)
def test_a_lame_server_takes_nothing_from_a_ready_object(kind: AnswerKind, observed: bool) -> None:
    harness, me = ready(observed=observed)
    harness.dns.kinds[SERVERS[2]] = kind
    notices = []
    for _ in range(3 * harness.settings.confirmations):
        me, plan = reading(harness, me)
        notices += [n.reason for n in plan.notices]
        assert status(me, READY) == "True"
    found = verdict(plan, FORWARD_READY)
    assert found.ok
    assert SERVERS[2] in found.message
    assert notices == ["LameNameServer"]
    harness.now += 30
    assert not [n for n in harness.plan(me).needs if isinstance(n, NeedAuthorities)], "asked in its turn only"
    harness.now += harness.settings.resync_seconds
    assert [n for n in harness.plan(me).needs if isinstance(n, NeedAuthorities)], (
        "but asked, for it may be repaired"
    )
    harness.dns.kinds.clear()
    me, plan = reading(harness, me)
    assert SERVERS[2] not in verdict(plan, FORWARD_READY).message


@pytest.mark.parametrize("observed", [False, True])
def test_one_good_server_is_not_enough(observed: bool) -> None:
    harness, me = ready(observed=observed)
    for server in SERVERS[1:]:
        harness.dns.kinds[server] = AnswerKind.REFUSED
    for _ in range(harness.settings.confirmations):
        me, plan = reading(harness, me)
    assert status(me, READY) == "False"
    assert verdict(plan, FORWARD_READY).reason == "LameNameServer"


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("names", "remedy"),
    [((HOST, "b.example.org"), "at random"), (("x.example.org",), "BYOIP"), ((), "BYOIP")],
)
@pytest.mark.parametrize("new", [True, False])
def test_a_ptr_that_public_dns_does_not_show_has_its_own_remedy(
    names: tuple[str, ...], remedy: str, new: bool
) -> None:
    harness, me = watched() if new else ready()
    harness.dns.names["203.0.113.1"] = names
    for _ in range(2 * harness.settings.confirmations):
        me, plan = reading(harness, me, 120)
    found = verdict(plan, RESOLVED)
    assert (found.status, found.reason) == ("False", "FCrDNSFail")
    assert remedy in found.message, found.message
    assert ("saw the PTR before" in found.message) == (not new and len(names) < 2)


def test_a_ptr_that_was_just_set_may_still_be_cached() -> None:
    harness, me = watched()
    harness.dns.names["203.0.113.1"] = ()
    assert verdict(reading(harness, me, 1)[1], RESOLVED).reason == "NotPropagated"


@pytest.mark.parametrize("kind", [AnswerKind.NXDOMAIN, AnswerKind.REFUSED])
@pytest.mark.parametrize("observed", [False, True])
def test_iprev_does_not_pass_while_no_authority_has_the_name(kind: AnswerKind, observed: bool) -> None:
    harness, me = ready(observed=observed)
    for server in SERVERS:
        harness.dns.kinds[server] = kind
    words = []
    for _ in range(harness.settings.confirmations):
        me, _ = reading(harness, me)
        words.append(me.status.addresses[0].iprev)
    assert words == ["pass", "pass", "fail" if kind is AnswerKind.NXDOMAIN else "temperror"]


def test_servers_that_fail_are_not_called_unreachable() -> None:
    harness, me = harness_with(None)
    text = f"no authoritative server of example.com gives a usable answer for {HOST} (ns-1: servfail)"
    harness.dns.fault = Fault("AuthoritiesUnreachable", text, ErrorKind.TRANSIENT, answered=True)
    harness.dns.misses = 3
    found = verdict(harness.plan(me), FORWARD_READY)
    assert found.reason == "LameNameServer"
    assert "port 53" not in found.message
