"""What independent public resolvers return for the A record and the PTRs.

They are queried only after the authorities and the PTRs match, because a negative answer stays in their caches (RFC
2308). Ready becomes True when enough of them agree (S7).
"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.api.conditions import RESOLVED
from mailegress.api.reasons import Reason
from mailegress.model.dns import AnswerKind, ResolverReport
from mailegress.model.facts import NEVER, Fact
from mailegress.reconcile import dns_checks
from mailegress.reconcile.confirmations import lasting, trend_of
from mailegress.reconcile.dns_checks import Differs, PublicVerdict, Seen
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, NeedPublic, Notice, failed, passed, unknown
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import PtrState

QUESTION = "public"

_VALIDATION = (
    "The authoritative servers answer, so DNSSEC validation fails most likely, for example because of a stale DS "
    "record. Compare `dig {hostname} A @RESOLVER` with `dig +cd {hostname} A @RESOLVER`, which does not validate, and "
    "correct or remove the DS record of the zone at its registrar."
)
_FAILING = "Find out why these resolvers fail, or name other ones in --dns-resolvers."
_REFUSING = "Name resolvers that serve the operator in --dns-resolvers."
_REVERSE_ZONE = (
    "The reverse zone of the address does not answer. If the address range is your own (BYOIP), repair its reverse "
    "zone; otherwise contact AWS Support."
)
_TWO_PTRS = (
    "Receivers use one of them at random. Remove the other PTR: for an address range of your own (BYOIP) in its "
    "reverse zone, otherwise through AWS Support."
)
_BEHIND = (
    "Receivers that query this server get a different name or none. If the address range is your own (BYOIP), set the "
    "PTR on every server of its reverse zone, or remove the server from the zone's NS records; otherwise contact AWS "
    "Support."
)
_NOT_SERVED = (
    "AWS reports the PTR as set, and it should be visible by now. If the address range is your own (BYOIP), AWS does "
    "not serve its reverse zone: set the PTR there. Otherwise contact AWS Support."
)
_LOST_PTR = (
    "Resolvers saw the PTR before, and AWS still reports it. If the address range is your own (BYOIP), restore it in "
    "its reverse zone. Otherwise reset the PTR in AWS, so that the operator sets it again, or contact AWS Support."
)


def assess(observed: Observed, builder: PlanBuilder, forward: RecordState, reverse: PtrState) -> Finding:
    """What independent resolvers see; asked only after the authorities have it (negative caching, RFC 2308)."""
    s, hostname = observed, observed.obj.spec.hostname
    resolvers = s.views.dns.resolvers
    if not resolvers:
        return unknown(
            reasons.RESOLVERS_DISABLED, "Public resolvers are disabled; Ready does not depend on them."
        )
    stands = s.stands(RESOLVED)
    if not ((forward.finding.ok or forward.stands) and reverse.settled and not reverse.refused):
        inconclusive = (
            stands
            and (forward.finding.ok or forward.finding.inconclusive)
            and (reverse.finding.ok or reverse.finding.inconclusive)
        )
        return unknown(
            reasons.PENDING,
            "Public resolvers are queried once the A record and the PTRs match.",
            inconclusive=inconclusive,
        )
    wanted = forward.final
    fact = s.views.dns.public(hostname)
    floor = s.memory.edits.request_at
    if not stands:
        floor = max(floor, reverse.switched_at, s.views.dns.authorities(hostname).at)
    report = fact.value if fact.fresh(floor) else None
    if report is not None and not wanted <= report.addresses:
        report = None
    if fact.fault is not None and fact.tried_at >= floor:
        return _no_answer(s, builder, fact, wanted, stands=stands)
    if report is None:
        _renew(s, builder, fact, wanted, floor, None, stands=stands)
        return unknown(reasons.PROGRESSING, f"Querying public resolvers for {hostname}.", inconclusive=True)
    finding = _judge(s, builder, fact, report, wanted, reverse.switched_at, stands=stands)
    _renew(s, builder, fact, wanted, floor, report, stands=stands)
    return finding


def _judge(
    observed: Observed,
    builder: PlanBuilder,
    fact: Fact[ResolverReport],
    report: ResolverReport,
    wanted: frozenset[str],
    switched_at: float,
    *,
    stands: bool,
) -> Finding:
    s, hostname = observed, observed.obj.spec.hostname
    verdict = dns_checks.public(report, wanted, hostname, len(s.views.dns.resolvers))
    if verdict.seen is Seen.SILENT:
        streak = builder.ask_again(s, QUESTION, fact, lambda due: NeedPublic(hostname, wanted, due))
        return unknown(
            reasons.RESOLVERS_UNREACHABLE,
            f"{verdict.text}. {_remedy_of_silence(s, report)}",
            inconclusive=not lasting(s, streak),
        )
    return _weigh(s, builder, fact, verdict, wanted, switched_at, stands=stands)


def _renew(
    observed: Observed,
    builder: PlanBuilder,
    fact: Fact[ResolverReport],
    wanted: frozenset[str],
    floor: float,
    report: ResolverReport | None,
    *,
    stands: bool,
) -> None:
    """Ask once an interval; what another process verified, in this object's turn."""
    s, interval = observed, observed.settings.public_seconds
    if report is not None and not stands:
        return
    due = fact.at + interval if report is not None else s.memory.first_seen + s.spread(interval)
    if stands and s.now < due and (report is not None or floor == NEVER):
        builder.later(due - s.now)
        return
    # What does not satisfy is counted in readings, so that each of them is looked at.
    known = report if QUESTION not in builder.unsatisfied else None
    # Not the report that is due to be replaced, but one that another object asked for in the meantime.
    builder.need(NeedPublic(s.obj.spec.hostname, wanted, max(floor, s.now - interval / 2), known))


def _no_answer(
    observed: Observed,
    builder: PlanBuilder,
    fact: Fact[ResolverReport],
    wanted: frozenset[str],
    *,
    stands: bool,
) -> Finding:
    """No resolver gave a usable answer: that says nothing at first, and something when it lasts."""
    s, hostname, fault = observed, observed.obj.spec.hostname, fact.fault
    assert fault is not None
    builder.ask_again(s, QUESTION, fact, lambda due: NeedPublic(hostname, wanted, due))
    inconclusive = not lasting(s, fact.misses)
    if inconclusive and not stands:
        return unknown(reasons.PROGRESSING, f"Querying public resolvers for {hostname}.", inconclusive=True)
    remedy = _VALIDATION.format(hostname=hostname) if fault.answered else reasons.RESOLVERS_UNREACHABLE.remedy
    text = f"{fault.message[:1].upper()}{fault.message[1:]}. {remedy}"
    return unknown(reasons.RESOLVERS_UNREACHABLE, text, inconclusive=inconclusive)


def _remedy_of_silence(observed: Observed, report: ResolverReport) -> str:
    kinds = dns_checks.causes(report)
    heard = any(a.forward.kind.answered for a in report.answers)
    remedies = []
    if AnswerKind.SERVFAIL in kinds:
        remedies.append(_FAILING if heard else _VALIDATION.format(hostname=observed.obj.spec.hostname))
    if AnswerKind.REFUSED in kinds:
        remedies.append(_REFUSING)
    if AnswerKind.TIMEOUT in kinds:
        remedies.append(reasons.RESOLVERS_UNREACHABLE.remedy)
    if dns_checks.reverse_fails(report):
        remedies.append(_REVERSE_ZONE)
    return " ".join(remedies) or reasons.RESOLVERS_UNREACHABLE.remedy


def _weigh(
    observed: Observed,
    builder: PlanBuilder,
    fact: Fact[ResolverReport],
    verdict: PublicVerdict,
    wanted: frozenset[str],
    switched_at: float,
    *,
    stands: bool,
) -> Finding:
    """One reading beside those before it: a name whose answers change from one to the next is not verified."""
    s, hostname = observed, observed.obj.spec.hostname
    assert fact.value is not None
    own = dns_checks.reverse_servers(fact.value, wanted, hostname)
    if own.seen is Seen.WRONG and (own.split or verdict.seen is Seen.AGREE):
        # The cause of what resolvers see or will see, whichever server each of them asked this time.
        verdict = own
    agree = verdict.seen is Seen.AGREE
    said = verdict.minority or verdict.text
    builder.heard[QUESTION] = (fact.at, said)
    trend = trend_of(s, QUESTION, fact.at, said, switched_at)
    views = f"{verdict.heard} public resolvers return matching A and PTR records for {hostname} (iprev=pass)"
    if agree and not verdict.minority and (stands or trend.consistent):
        return passed(reasons.FCRDNS_PASS, f"{views}.")

    def again(due: float) -> NeedPublic:
        return NeedPublic(hostname, wanted, due)

    if agree and verdict.minority and lasting(s, trend.run) and not trend.varies:
        # Confirmed: asked again in its turn only.
        builder.unsatisfied[QUESTION] = max(fact.at, fact.tried_at)
        return _outvoted(s, builder, verdict, views)
    if agree and not verdict.minority and not trend.varies:
        builder.ask_again(s, f"{QUESTION} again", fact, again)
        return failed(
            reasons.PROGRESSING,
            f"Public resolvers now return matching A and PTR records for {hostname}; confirming with another reading.",
        )
    streak = builder.ask_again(s, QUESTION, fact, again)
    reason, remedy = _reason(s, verdict, switched_at, stands=stands)
    if trend.varies:
        reason, remedy = reasons.ANSWERS_VARY, reasons.ANSWERS_VARY.remedy
    text = verdict.text or f"public resolvers answered differently for {hostname} between readings"
    return failed(reason, f"{text}. {remedy}", inconclusive=not lasting(s, streak))


def _outvoted(observed: Observed, builder: PlanBuilder, verdict: PublicVerdict, views: str) -> Finding:
    """A few resolvers keep seeing something else, for example because they filter the name."""
    remedy = reasons.RESOLVERS_DISAGREE.remedy
    message = f"{views}; a minority does not: {verdict.text}. {remedy}"
    previous = observed.obj.status.condition(RESOLVED)
    if previous is None or previous.message != message:
        builder.notices.append(Notice(reasons.RESOLVERS_DISAGREE.name, message))
    return passed(reasons.FCRDNS_PASS, message)


def _reason(
    observed: Observed, verdict: PublicVerdict, switched_at: float, *, stands: bool
) -> tuple[Reason, str]:
    """Is it a cache that catches up, or something that somebody has to correct?"""
    s, hostname = observed, observed.obj.spec.hostname
    if verdict.differs is Differs.BEHIND:
        if stands or _said_fail(s) or s.now >= switched_at + s.settings.ptr_ttl_seconds:
            return reasons.FCRDNS_FAIL, _BEHIND
        return reasons.NOT_PROPAGATED, reasons.NOT_PROPAGATED.remedy
    if verdict.split:
        return reasons.RESOLVERS_DISAGREE, reasons.RESOLVERS_DISAGREE.remedy
    if verdict.differs is Differs.TWO_PTRS:
        return reasons.FCRDNS_FAIL, _TWO_PTRS
    if verdict.differs in (Differs.NO_PTR, Differs.OTHER_PTR):
        if stands or (verdict.address, hostname) in s.memory.dns.public_ptrs:
            return reasons.FCRDNS_FAIL, _LOST_PTR
        if _said_fail(s) or s.now >= switched_at + s.settings.ptr_ttl_seconds:
            return reasons.FCRDNS_FAIL, _NOT_SERVED
    return reasons.NOT_PROPAGATED, reasons.NOT_PROPAGATED.remedy


def _said_fail(observed: Observed) -> bool:
    """Did the status of this generation call it lasting already?"""
    previous = observed.obj.status.condition(RESOLVED)
    return (
        previous is not None
        and previous.reason == reasons.FCRDNS_FAIL.name
        and previous.observed_generation == observed.obj.meta.generation
    )
