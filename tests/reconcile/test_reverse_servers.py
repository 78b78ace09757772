"""What the servers of the reverse zone answer: when it counts, and what the status says of it."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import READY, RESOLVED
from mailegress.model.dns import AnswerKind
from tests.support.planner import verdict
from tests.support.verdicts import (
    HOST,
    RESOLVERS,
    reading,
    ready,
    status,
    watched,
)

IP = "203.0.113.1"
X1, X2, X3 = "x1.example.net", "x2.example.net", "x3.example.net"


@pytest.mark.parametrize(
    ("behind", "said"), [((), "there is no PTR"), (("old.example.com",), "old.example.com")]
)
def test_a_reverse_server_that_is_behind_keeps_a_new_object_from_ready(
    behind: tuple[str, ...], said: str
) -> None:
    """Every resolver happens to see the PTR: the server is asked itself, and named in the first reading."""
    harness, me = watched()
    harness.dns.pointers = {IP: {X1: (HOST,), X2: behind, X3: (HOST,)}}
    reasons = []
    for _ in range(3 * harness.settings.confirmations):
        me, plan = reading(harness, me)
        found = verdict(plan, RESOLVED)
        assert status(me, READY) == "False"
        for text in (X2, IP, said, HOST, "1 of 3"):
            assert text in found.message, found.message
        assert X1 not in found.message
        reasons.append(found.reason)
    assert set(reasons) == {"NotPropagated", "FCrDNSFail"}, "first it may still be on its way"
    assert reasons == sorted(reasons, reverse=True)
    assert "BYOIP" in found.message
    harness.dns.pointers[IP][X2] = (HOST,)
    for _ in range(harness.settings.confirmations):
        me, plan = reading(harness, me)
    assert status(me, READY) == "True"


def test_a_reverse_server_that_is_behind_is_the_cause_of_what_resolvers_see() -> None:
    harness, me = watched()
    harness.dns.names[IP] = ()
    harness.dns.pointers = {IP: {X1: (HOST,), X2: ()}}
    found = verdict(reading(harness, me)[1], RESOLVED)
    assert X2 in found.message, found.message


def test_resolvers_are_named_where_no_reverse_server_has_the_ptr() -> None:
    harness, me = watched()
    harness.dns.names[IP] = ()
    harness.dns.pointers = {IP: {X1: (), X2: ()}}
    found = verdict(reading(harness, me)[1], RESOLVED)
    assert RESOLVERS[0] in found.message, found.message


def test_a_ptr_that_resolvers_only_remember_does_not_make_ready() -> None:
    harness, me = watched()
    harness.dns.pointers = {IP: {X1: (), X2: ()}}
    me, plan = reading(harness, me)
    assert status(me, READY) == "False"
    assert "2 of 2" in verdict(plan, RESOLVED).message


@pytest.mark.parametrize(
    "kind", [AnswerKind.REFUSED, AnswerKind.SERVFAIL, AnswerKind.TIMEOUT, AnswerKind.LAME]
)
def test_a_reverse_server_without_an_answer_counts_for_nothing(kind: AnswerKind) -> None:
    harness, me = watched()
    harness.dns.pointers = {IP: {X1: (HOST,), X2: kind}}
    me, _ = reading(harness, me)
    assert status(me, READY) == "True"


def test_where_no_reverse_server_answers_resolvers_decide() -> None:
    harness, me = watched()
    harness.dns.pointers = {IP: {X1: AnswerKind.TIMEOUT, X2: AnswerKind.REFUSED}}
    me, plan = reading(harness, me)
    assert status(me, READY) == "True"
    assert X1 not in verdict(plan, RESOLVED).message


def test_a_reverse_server_that_falls_behind_ends_ready_after_the_confirmations_and_for_good() -> None:
    harness, me = ready()
    seen, found = [], None
    for n in range(4 * harness.settings.confirmations):
        # Resolvers ask one server or the other.
        harness.dns.names[IP] = (HOST,) if n % 2 else ()
        harness.dns.pointers = {IP: {X1: (HOST,), X2: ()}}
        me, plan = reading(harness, me)
        found = verdict(plan, RESOLVED)
        seen.append(status(me, READY))
    assert seen == ["True"] * 2 + ["False"] * (len(seen) - 2)
    assert found is not None
    assert (found.reason, X2 in found.message) == ("FCrDNSFail", True)


def test_a_reverse_server_that_comes_and_goes_is_reported() -> None:
    harness, me = watched()
    for n in range(20):
        harness.dns.pointers = {IP: {X1: (HOST,), X2: (HOST,) if n % 3 else ()}}
        me, plan = reading(harness, me)
        assert status(me, READY) != "True"
    assert verdict(plan, RESOLVED).reason == "AnswersVary"
