"""From a report to one of six outcomes, each with its remedy and exit code."""

from __future__ import annotations

import re

import pytest

from mailegress.model.mail import NoRoute
from mailegress.tools.probe.report import Echo, Report
from mailegress.tools.probe.smtp import Connection, Conversation, Reply
from mailegress.tools.probe.verdict import Evidence, Outcome, Verdict, judge

STATUS = ("203.0.113.10", "203.0.113.11")
GREETING, HELLO = Reply(220, "mx.example.net ESMTP"), Reply(250, "mx.example.net")


def verdict(
    connection: Connection = Connection.OPEN,
    *seen: str,
    banner: Reply | None = GREETING,
    ehlo: Reply | None = HELLO,
    problem: str = "",
    no_route: NoRoute | None = None,
    echo: Echo | None = None,
    status: tuple[str, ...] = STATUS,
) -> Verdict:
    if connection is not Connection.OPEN:
        banner = ehlo = None
    talk = Conversation(connection, banner, ehlo, problem, seen)
    report = Report("mx.example.net", "198.51.100.25", talk, no_route, echo)
    return judge(report, status, "example.net", "mail")


def test_open_from_an_address_of_the_status() -> None:
    found = verdict(Connection.OPEN, "203.0.113.11")
    assert (found.outcome, found.outcome.code, found.in_status) == (Outcome.OPEN, 0, True)
    assert (found.source.address, found.source.evidence) == ("203.0.113.11", Evidence.SERVER)
    assert found.message == "Port 25 is open, and mail leaves from 203.0.113.11, which is in the status."
    assert found.to_do == "Nothing."


def test_blocked() -> None:
    found = verdict(Connection.TIMEOUT, problem="no answer in 20 s")
    assert (found.outcome, found.outcome.code, found.in_status) == (Outcome.BLOCKED, 3, None)
    assert found.message == "Port 25 is blocked: mx.example.net [198.51.100.25] gives no answer in 20 s."
    for text in (
        "Request to remove email sending limitations",
        "security group",
        "network ACL",
        "NetworkPolicies",
    ):
        assert text in found.to_do


def test_no_route_is_blocked_with_its_own_remedy() -> None:
    found = verdict(Connection.UNREACHABLE, problem="Network is unreachable")
    assert found.outcome is Outcome.BLOCKED
    assert "Network is unreachable" in found.message
    assert "route table" in found.to_do
    assert "Request to remove" not in found.to_do


def test_refused() -> None:
    found = verdict(Connection.REFUSED)
    assert (found.outcome, found.outcome.code) == (Outcome.REFUSED, 4)
    assert "try another domain" in found.to_do
    assert "AWS does not block port 25" in found.to_do


def test_another_address() -> None:
    found = verdict(Connection.OPEN, "203.0.113.99")
    assert (found.outcome, found.outcome.code, found.in_status) == (Outcome.OTHER_ADDRESS, 5, False)
    assert (
        "leaves from 203.0.113.99, which is not in the status (203.0.113.10 and 203.0.113.11)"
        in found.message
    )
    for text in ("route table", "NAT gateway", "hostNetwork", "spec.elasticIPs"):
        assert text in found.to_do


def test_another_address_explains_a_refusal_and_comes_first() -> None:
    refusal = Reply(554, "5.7.1 Client host [203.0.113.99] rejected")
    assert (
        verdict(Connection.OPEN, "203.0.113.99", banner=refusal, ehlo=None).outcome is Outcome.OTHER_ADDRESS
    )
    found = verdict(Connection.OPEN, "203.0.113.10", banner=refusal, ehlo=None)
    assert (found.outcome, found.outcome.code) == (Outcome.REJECTED, 6)
    assert "greets with 554 5.7.1 Client host" in found.message
    assert "mailegress check" in found.to_do


def test_a_temporary_refusal_of_ehlo() -> None:
    found = verdict(ehlo=Reply(421, "4.7.0 try later"))
    assert found.outcome is Outcome.REJECTED
    assert "answers EHLO with 421 4.7.0 try later" in found.message
    assert "It may accept later" in found.to_do


def test_without_evidence_the_address_is_not_known() -> None:
    found = verdict()
    assert (found.outcome, found.in_status, found.source.address) == (Outcome.OPEN, None, "")
    assert "From which address mail leaves is not known" in found.message
    assert "--address-from" in found.to_do


def test_the_status_has_no_address_yet() -> None:
    found = verdict(Connection.OPEN, "203.0.113.10", status=())
    assert (found.outcome, found.outcome.code) == (Outcome.NO_VERDICT, 7)
    assert "the status has no address" in found.message


@pytest.mark.parametrize("problem", ["the server closed the connection", "this is no SMTP reply: 'x'"])
def test_something_that_is_no_mail_server(problem: str) -> None:
    found = verdict(banner=None, ehlo=None, problem=problem)
    assert found.outcome is Outcome.NO_VERDICT
    assert problem in found.message
    assert "proxy" in found.to_do


@pytest.mark.parametrize("kind", list(NoRoute))
def test_each_way_to_have_no_server_has_a_remedy(kind: NoRoute) -> None:
    found = verdict(Connection.NOT_TRIED, problem="example.net …", no_route=kind)
    assert (found.outcome, found.outcome.code) == (Outcome.NO_VERDICT, 7)
    assert found.to_do.endswith(".")
    if kind is NoRoute.NO_ANSWER:
        assert "NetworkPolicies of namespace mail" in found.to_do
        assert "port 53" in found.to_do


def test_an_echo_service_counts_only_where_the_server_names_nobody() -> None:
    found = verdict(echo=Echo("203.0.113.99"))
    assert (found.outcome, found.source.evidence) == (Outcome.OTHER_ADDRESS, Evidence.ECHO)
    found = verdict(Connection.OPEN, "203.0.113.10", echo=Echo("203.0.113.99"))
    assert (found.outcome, found.source.evidence) == (Outcome.OPEN, Evidence.SERVER)
    assert "another way than port 25" in found.source.note
    found = verdict(echo=Echo(problem="no answer in 5 s"))
    assert (found.outcome, found.in_status) == (Outcome.OPEN, None)
    assert found.source.note == "--address-from gave no address: no answer in 5 s"


def test_an_echo_service_names_the_address_of_a_blocked_path_too() -> None:
    found = verdict(Connection.TIMEOUT, problem="no answer in 20 s", echo=Echo("203.0.113.10"))
    assert (found.outcome, found.source.address, found.in_status) == (Outcome.BLOCKED, "203.0.113.10", True)


@pytest.mark.parametrize(
    ("seen", "note"),
    [
        (("10.0.0.7",), "the server names 10.0.0.7, which is not public"),
        (("203.0.113.10", "203.0.113.99"), "the server names several addresses"),
    ],
)
def test_weak_evidence_is_none(seen: tuple[str, ...], note: str) -> None:
    found = verdict(Connection.OPEN, *seen)
    assert (found.outcome, found.in_status, found.source.address) == (Outcome.OPEN, None, "")
    assert found.source.note.startswith(note)


def test_a_private_address_beside_a_public_one_is_passed_over() -> None:
    found = verdict(Connection.OPEN, "10.0.0.7", "203.0.113.10")
    assert (found.outcome, found.source.address) == (Outcome.OPEN, "203.0.113.10")


def test_outcomes_have_exit_codes_of_their_own() -> None:
    codes = [outcome.code for outcome in Outcome]
    assert len(set(codes)) == len(codes)
    assert not {1, 2} & set(codes), "those are of errors and of wrong usage"
    assert all(re.fullmatch("[a-zA-Z]+", outcome.word) for outcome in Outcome)
