"""Do all authoritative name servers return what was written to Route 53?

No PTR is set before they do, each of them, since the last write (S1). Ready does not become True before either (S7).
Once an object is Ready, one server at a time is queried, so that a changed record is found within one periodic check
(E7).
"""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.conditions import FORWARD_READY, READY
from mailegress.model.dns import AuthorityReport, Expected
from mailegress.model.facts import Fact, Fault
from mailegress.reconcile import dns_checks
from mailegress.reconcile.confirmations import lasting, trend_of
from mailegress.reconcile.dns_checks import Seen, Verdict
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedAuthorities,
    NeedSampleAuthority,
    Notice,
    failed,
    passed,
    unknown,
)
from mailegress.reconcile.rules import delegation
from mailegress.reconcile.rules.plan_builder import PlanBuilder

QUESTION = "authorities"


@dataclass(frozen=True, slots=True)
class Proof:
    finding: Finding
    verified: bool = False
    """Every authoritative server was heard to say so, recently enough to open the gate (S1)."""
    stands: bool = False
    """Not read again yet; the condition was True and nothing was heard against it."""


def prove(
    observed: Observed,
    builder: PlanBuilder,
    expected: Expected,
    wrote_at: float,
    *,
    pointed: bool,
    zone: str | None = None,
    servers: frozenset[str] | None = None,
) -> Proof:
    """Do all authoritative servers return what is expected? All are asked after a write or an edit, one in idle times.

    ``wrote_at``: loop time of the last write. ``pointed``: every address has its PTR already, so that a server without
    a usable answer holds back no PTR.
    """
    wanted, exact = expected.addresses, expected.exact
    s, hostname = observed, observed.obj.spec.hostname
    stands = s.stands(FORWARD_READY)
    reading = s.views.dns.authorities(hostname)
    floor = max(wrote_at, s.memory.edits.request_at if stands else s.edit_floor)
    report = reading.value if reading.fresh(floor) else None
    requested = s.memory.edits.request_at > max(reading.at, reading.tried_at)
    text = f"Querying every authoritative name server for {hostname}."
    verdict = None
    if report is not None:
        strays = _strays(s, builder, report, zone, servers)
        if strays is not None:
            verdict = dns_checks.authorities(
                report, wanted, exact=exact, zone=zone, servers=servers, strays=strays
            )
    # Something else may keep the condition from being True: what was heard grows old all the same (E7).
    agreed = verdict is not None and verdict.seen is Seen.AGREE
    lame = verdict is not None and verdict.seen is Seen.LAME
    if (stands or agreed or lame) and not requested:
        doubt = _sample(s, builder, expected, floor, reading, every=lame, text=text)
        if doubt is not None:
            return Proof(doubt)
    if reading.fault is not None and reading.tried_at >= floor:
        return _unread(s, builder, reading, reading.fault)
    # A condition stands without a new reading of all of them, but nothing becomes Ready on it.
    if report is None and stands and not requested and s.stands(READY):
        return Proof(unknown(reasons.PROGRESSING, text, inconclusive=True), stands=True)
    if report is not None and verdict is None:
        text = f"Comparing the name servers of {zone} by address."
        return Proof(unknown(reasons.PROGRESSING, text, inconclusive=True), stands=stands)
    if report is None or verdict is None:
        builder.need(NeedAuthorities(hostname, floor))
        return Proof(unknown(reasons.PROGRESSING, text, inconclusive=True), stands=stands)
    if verdict.seen is Seen.LAME:
        return _lame(s, builder, reading, verdict, wanted, usable=pointed)
    return _judged(s, builder, reading, verdict, expected, wrote_at, stands=stands)


def _judged(
    observed: Observed,
    builder: PlanBuilder,
    reading: Fact[AuthorityReport],
    verdict: Verdict,
    expected: Expected,
    wrote_at: float,
    *,
    stands: bool,
) -> Proof:
    """What all servers were heard to say, and in how many readings."""
    s, exact = observed, expected.exact
    said = "" if verdict.seen is Seen.AGREE else verdict.text
    builder.heard[QUESTION] = (reading.at, said)
    # A change in Route 53 reaches one server after the other; a record that others keep may also rotate, so that all
    # servers give the wanted answer by chance. Authorities cache nothing: a second reading is another sample.
    trend = trend_of(s, QUESTION, reading.at, said, wrote_at, wary=not exact, least=1 if exact else 2)
    if verdict.seen is Seen.AGREE:
        if not stands and not trend.consistent:
            return _unconfirmed(s, builder, reading, varies=trend.varies)
        return _agreed(s, reading, expected.addresses)
    return _contradicted(s, builder, reading, verdict, exact=exact, varies=trend.varies)


def _strays(
    observed: Observed,
    builder: PlanBuilder,
    report: AuthorityReport,
    zone: str | None,
    servers: frozenset[str] | None,
) -> frozenset[str] | None:
    """Delegated name servers that are not those of the hosted zone. None: their addresses are being compared."""
    if servers is None or report.zone != zone:
        return frozenset()
    return delegation.strays(observed, builder, report.name_servers, servers)


def _agreed(observed: Observed, reading: Fact[AuthorityReport], wanted: frozenset[str]) -> Proof:
    """All servers return the wanted answer; it opens the gate while it is recent (S1)."""
    s, hostname = observed, observed.obj.spec.hostname
    message = f"Every authoritative name server returns {dns_checks.listing(wanted)} for {hostname}."
    # While suspended the write is only reported, so an older answer is enough.
    recent = s.obj.spec.suspend or reading.at >= s.now - s.settings.gate_seconds
    return Proof(passed(reasons.RECORD_IN_SYNC, message), verified=recent)


def _unread(observed: Observed, builder: PlanBuilder, reading: Fact[AuthorityReport], fault: Fault) -> Proof:
    """No authoritative server could be read; the condition stands until that happened several times in a row."""
    hostname = observed.obj.spec.hostname
    builder.ask_again(observed, QUESTION, reading, lambda due: NeedAuthorities(hostname, due))
    known = {reason.name: reason for reason in (reasons.INTERCEPTED, reasons.DNS_LIMIT_EXCEEDED)}
    unusable = reasons.LAME_NAME_SERVER if fault.answered else reasons.AUTHORITIES_UNREACHABLE
    reason = known.get(fault.reason, unusable)
    inconclusive = not lasting(observed, reading.misses)
    return Proof(
        failed(reason, f"For {hostname}: {fault.message}. {reason.remedy}", inconclusive=inconclusive)
    )


def _contradicted(
    observed: Observed,
    builder: PlanBuilder,
    reading: Fact[AuthorityReport],
    verdict: Verdict,
    *,
    exact: bool,
    varies: bool,
) -> Proof:
    """Not all servers return the wanted answer; it counts after several readings in a row, or twice as many if only
    one server contradicts."""
    s, hostname = observed, observed.obj.spec.hostname
    streak = builder.ask_again(s, QUESTION, reading, lambda due: NeedAuthorities(hostname, due))
    inconclusive = not lasting(s, streak, times=2 if verdict.dissent == 1 else 1)
    reason = {
        Seen.SILENT: reasons.AUTHORITIES_UNREACHABLE,
        Seen.UNDELEGATED: reasons.ZONE_NOT_DELEGATED,
        Seen.INTERCEPTED: reasons.INTERCEPTED,
    }.get(verdict.seen, reasons.AUTHORITIES_DISAGREE if exact else reasons.WAITING_FOR_FORWARD)
    if verdict.seen is Seen.WRONG and varies:
        reason = reasons.ANSWERS_VARY
    remedy = reason.remedy if reason is reasons.ANSWERS_VARY else verdict.remedy or reason.remedy
    return Proof(failed(reason, f"For {hostname}: {verdict.text}. {remedy}", inconclusive=inconclusive))


def _sample(
    observed: Observed,
    builder: PlanBuilder,
    expected: Expected,
    floor: float,
    reading: Fact[AuthorityReport],
    *,
    every: bool,
    text: str,
) -> Finding | None:
    """In idle times one authority is asked, or all while one of them is known to be lame. What it says against the
    condition is a question to all of them; the expected answer does not even wake the object."""
    s, hostname = observed, observed.obj.spec.hostname
    sample = s.views.dns.sample_authority(hostname)
    idle = max(s.now - s.settings.resync_seconds / 2, floor)
    heard_at = reading.at if every else max(sample.at, reading.at)
    turn = s.memory.first_seen + s.spread(s.settings.resync_seconds)
    if heard_at < idle and s.now < turn:
        builder.later(turn - s.now)
    elif heard_at < idle:
        builder.need(
            NeedAuthorities(hostname, idle) if every else NeedSampleAuthority(hostname, idle, expected)
        )
    # What all of them were asked at the same moment or later is the answer to it.
    newest = sample.value if sample.at >= floor and sample.at > reading.at else None
    if newest is not None and not expected.record_in(newest):
        builder.need(NeedAuthorities(hostname, sample.at))
        return unknown(reasons.AUTHORITIES_DISAGREE, text, inconclusive=True)
    if sample.fault is not None and floor <= sample.tried_at > max(reading.at, reading.tried_at):
        # One that is mute proves nothing about the others.
        builder.need(NeedAuthorities(hostname, sample.tried_at))
        return unknown(reasons.AUTHORITIES_UNREACHABLE, text, inconclusive=True)
    return None


def _lame(
    observed: Observed,
    builder: PlanBuilder,
    reading: Fact[AuthorityReport],
    verdict: Verdict,
    wanted: frozenset[str],
    *,
    usable: bool,
) -> Proof:
    """Some servers give no usable answer. Resolvers pass over them: while at least two others answer, that takes
    nothing from an object whose PTRs are set; no PTR is set beside one."""
    s, hostname, reason = observed, observed.obj.spec.hostname, reasons.LAME_NAME_SERVER
    usable = usable and verdict.agreeing >= 2
    asked_at = max(reading.at, reading.tried_at)
    if not usable or not lasting(s, s.streak(QUESTION, asked_at)):
        streak = builder.ask_again(s, QUESTION, reading, lambda due: NeedAuthorities(hostname, due))
        text = f"For {hostname}: {verdict.text}. {reason.remedy}"
        return Proof(failed(reason, text, inconclusive=not lasting(s, streak)))
    # Confirmed: asked again in its turn only.
    builder.unsatisfied[QUESTION] = asked_at
    message = (
        f"The other authoritative servers answer {dns_checks.listing(wanted)} for {hostname}, but {verdict.text}. "
        f"{reason.remedy}"
    )
    previous = s.obj.status.condition(FORWARD_READY)
    if previous is None or previous.message != message:
        builder.notices.append(Notice(reason.name, message))
    return Proof(passed(reasons.RECORD_IN_SYNC, message))


def _unconfirmed(
    observed: Observed, builder: PlanBuilder, reading: Fact[AuthorityReport], *, varies: bool
) -> Proof:
    """The wanted answer after others: it counts when it is given several times in a row."""
    hostname = observed.obj.spec.hostname
    question = QUESTION if varies else f"{QUESTION} again"
    builder.ask_again(observed, question, reading, lambda due: NeedAuthorities(hostname, due))
    if varies:
        reason = reasons.ANSWERS_VARY
        text = f"For {hostname}: the authoritative servers returned different answers between readings. "
        return Proof(failed(reason, text + reason.remedy))
    return Proof(
        failed(
            reasons.PROGRESSING,
            f"The authoritative name servers now return the expected answer for {hostname}; confirming with another "
            "reading.",
        )
    )
