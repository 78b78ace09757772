"""Judging DNS answers. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mailegress.model.dns import (
    AnswerKind,
    AuthorityReport,
    Expected,
    Iprev,
    Listed,
    PointerAnswer,
    ResolverAnswer,
    ResolverReport,
    ServerAnswer,
)
from mailegress.model.facts import Fact

_LISTED = 4
"""Servers whose failures are named in one message."""


class Seen(enum.Enum):
    AGREE = "agree"
    WRONG = "wrong"
    SILENT = "silent"
    """Nothing usable was heard."""
    LAME = "lame"
    """No server gives another answer, but some give no usable one."""
    UNDELEGATED = "undelegated"
    INTERCEPTED = "intercepted"


@dataclass(frozen=True, slots=True)
class Verdict:
    seen: Seen
    text: str = ""
    dissent: int = 0
    """Servers that gave another answer."""
    ttl: int = 0
    """Longest TTL (or negative TTL) heard, seconds."""
    remedy: str = ""
    """Where it is another one than that of the reason."""
    agreeing: int = 0
    """LAME: servers of the lame ones' zone that give the wanted answer."""


def listing(values: Iterable[str], limit: int = 6) -> str:
    """A bounded enumeration for messages."""
    items = sorted(values)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return (", ".join(items[:limit]) + more) or "nothing"


def heard(answer: ServerAnswer) -> str:
    """What a server said, as a predicate: ``answers …``."""
    match answer.kind:
        case AnswerKind.ANSWER:
            if answer.cname and not answer.addresses:
                return f"answers an alias to {answer.cname}"
            alias = f"an alias to {answer.cname} with " if answer.cname else ""
            return f"answers {alias}{listing(answer.addresses)}"
        case AnswerKind.NODATA:
            return "answers that there is no A record"
        case AnswerKind.NXDOMAIN:
            return "answers that the name does not exist"
        case AnswerKind.LAME:
            return "gives no authoritative answer"
        case AnswerKind.INTERCEPTED:
            return "is answered by something on the network path"
        case AnswerKind.TIMEOUT:
            return "does not answer"
        case AnswerKind.TOO_LARGE:
            return "sends a reply of more than 4,096 bytes or 256 records"
        case AnswerKind.NOT_PUBLIC:
            return "has no public address and is not asked"
        case AnswerKind.NOT_ASKED:
            return "is not asked, because at most 16 name servers of a zone are"
        case _:
            return f"answers {answer.kind.name}"


def authorities(
    report: AuthorityReport,
    wanted: frozenset[str],
    *,
    exact: bool,
    zone: str | None = None,
    servers: frozenset[str] | None = None,
    strays: frozenset[str] = frozenset(),
) -> Verdict:
    """Do *all* authoritative servers say what is wanted, and are they those of our hosted zone?

    ``strays``: servers of the delegation that are not among ``servers``, by name or by address.
    """
    if not report.answers or all(a.kind is AnswerKind.TIMEOUT for a in report.answers):
        return Verdict(Seen.SILENT, f"no authoritative server of {report.zone or 'the zone'} answers")
    if any(a.kind is AnswerKind.INTERCEPTED for a in report.answers):
        names = listing(a.server for a in report.answers if a.kind is AnswerKind.INTERCEPTED)
        return Verdict(Seen.INTERCEPTED, f"queries to {names} are answered by something on the network path")
    if zone is not None and servers is not None and (report.zone != zone or strays):
        return _undelegated(report, zone, servers, strays)
    expected = Expected(wanted, exact)
    wrong = [a for a in report.answers if not expected.record_in(a)]
    ttl = max((a.ttl for a in report.answers), default=0)
    if not wrong:
        return Verdict(Seen.AGREE, ttl=ttl)
    stated = [a for a in wrong if a.kind.answered]
    if not stated:
        return _lame(report, wrong, wanted, ttl)
    first = stated[0]
    others = f" ({len(wrong)} of {len(report.answers)} servers differ)" if len(wrong) > 1 else ""
    text = f"{first.server} {heard(first)}, wanted {listing(wanted)}{others}"
    # dissent counts those with another answer; the others are lame.
    which, remedy = _one_sided(report.zone, wrong)
    return Verdict(Seen.WRONG, text + which, dissent=len(stated), ttl=ttl, remedy=remedy)


def _undelegated(
    report: AuthorityReport, zone: str, servers: frozenset[str], strays: frozenset[str]
) -> Verdict:
    """Public DNS does not ask our hosted zone, or not only: why, and what to do about it."""
    observed = "set spec.forward.management to Observed and write the A record"
    if report.zone == zone and strays < report.name_servers:
        odd = listing(strays)
        ours = listing(servers)
        text = f"the parent of {zone} also delegates to {odd}, not a name server of the hosted zone ({ours})"
        answering = {a.server for a in report.answers if a.kind.answered}
        if strays & answering:
            remedy = (
                f"If another DNS serves {zone} as well, {observed} in both; else remove {odd} at the parent "
                "domain or registrar."
            )
        else:
            remedy = (
                f"Remove {odd} at the parent domain or registrar; if another DNS is to serve {zone} as well, "
                f"{observed} in both."
            )
    elif report.zone == zone:
        published, ours = listing(report.name_servers), listing(servers)
        text = f"the parent of {zone} delegates to {published}, the hosted zone has {ours}"
        remedy = (
            f"Enter the zone's four name servers at the parent domain or registrar; if {zone} is to stay in "
            f"the other DNS, {observed} there."
        )
    elif report.zone.endswith("." + zone):
        text = f"{report.zone} is delegated away from {zone}, to {listing(report.name_servers)}"
        remedy = (
            f"Name the hosted zone of {report.zone} in spec.forward.hostedZoneID, or {observed} where "
            f"{report.zone} lives, or remove the NS record set {report.zone} from zone {zone}."
        )
    else:
        text = f"no delegation to {zone} is published; public DNS asks {report.zone or 'the root'}"
        remedy = "Enter the zone's four name servers at the parent domain or registrar."
    return Verdict(Seen.UNDELEGATED, text, remedy=remedy)


def _one_sided(zone: str, wrong: list[ServerAnswer]) -> tuple[str, str]:
    """Which of the two NS sets is wrong, and the remedy, if only servers that one of them names are wrong."""
    names = listing(a.server for a in wrong)
    sides = {a.listed for a in wrong}
    if sides == {Listed.ZONE}:
        return (
            f"; only the zone's own NS record set names {names}, the parent does not",
            f"Bring the A record to {names}, or remove it from the NS record set of {zone}.",
        )
    if sides == {Listed.PARENT}:
        return (
            f"; only the parent of {zone} names {names}, the zone's own NS record set does not",
            f"Bring the A record to {names}, or remove it at the parent domain or registrar.",
        )
    return "", ""


def _lame(report: AuthorityReport, lame: list[ServerAnswer], wanted: frozenset[str], ttl: int) -> Verdict:
    """Some servers give no usable answer; all others give the wanted one."""
    text = "; ".join(f"{a.server} {heard(a)}" for a in lame[:_LISTED])
    if len(lame) > _LISTED:
        text += f"; and {len(lame) - _LISTED} more"
    # Behind an alias two zones are asked; those of one do not stand for those of the other.
    zones = {_zone_of(a) for a in lame}
    agreeing = min(sum(_zone_of(a) == zone and a not in lame for a in report.answers) for zone in zones)
    text += _one_sided(report.zone, lame)[0]
    if agreeing:
        others = "1 other server answers" if agreeing == 1 else f"{agreeing} other servers answer"
        text += f"; {others} {listing(wanted)}"
    else:
        text = f"no authoritative server of {report.zone} gives a usable answer: {text}"
    return Verdict(Seen.LAME, text, ttl=ttl, agreeing=agreeing)


def _zone_of(answer: ServerAnswer) -> str:
    """The alias's target that a server was asked for, empty for the hostname itself."""
    return answer.server.partition(" for ")[2]


class Differs(enum.Enum):
    """What a resolver sees that is not as wanted."""

    FORWARD = "forward"
    NO_PTR = "no-ptr"
    OTHER_PTR = "other-ptr"
    TWO_PTRS = "two-ptrs"
    BEHIND = "behind"
    """Servers of the reverse zone, asked directly, give another answer."""


@dataclass(frozen=True, slots=True)
class PublicVerdict:
    seen: Seen
    text: str = ""
    heard: int = 0
    """Resolvers that answered."""
    split: bool = False
    """Some resolvers see what is wanted, others do not."""
    minority: str = ""
    """AGREE: the resolvers that see something else; at least two that agree outnumber them."""
    differs: Differs | None = None
    address: str = ""
    """The address whose PTR differs."""


def public(report: ResolverReport, wanted: frozenset[str], hostname: str, configured: int) -> PublicVerdict:
    """Do resolvers see A and PTR agree? At least ``min(2, configured)`` must answer. With two configured both must
    agree; a minority that sees something else is named and not decisive if at least two agree."""
    answering = [a for a in report.answers if _answers(a)]
    if len(answering) < min(2, configured):
        text = "; ".join(_failure(a) for a in report.answers if a not in answering)
        return PublicVerdict(Seen.SILENT, text, len(answering))
    wrong = [(a, v) for a in answering if (v := _one(a, wanted, hostname)).seen is not Seen.AGREE]
    if not wrong:
        return PublicVerdict(Seen.AGREE, heard=len(answering))
    agreeing = len(answering) - len(wrong)
    first = wrong[0][1]
    if agreeing >= 2 and agreeing > len(wrong):
        names = listing(a.resolver for a, _ in wrong)
        return PublicVerdict(Seen.AGREE, first.text, agreeing, split=True, minority=names)
    return replace(first, heard=len(answering), split=agreeing > 0)


def _answers(answer: ResolverAnswer) -> bool:
    return answer.forward.kind.answered and not any(
        r.result is Iprev.TEMPERROR for r in answer.reverse.values()
    )


def _failure(answer: ResolverAnswer) -> str:
    """What a resolver that gave no answer did instead."""
    if not answer.forward.kind.answered:
        return f"resolver {answer.resolver} {heard(answer.forward)}"
    address, cause = next(
        (ip, r.cause) for ip, r in sorted(answer.reverse.items()) if r.result is Iprev.TEMPERROR
    )
    said = (
        "does not answer" if cause in (None, AnswerKind.TIMEOUT) else f"answers {cause.name}" if cause else ""
    )
    return f"resolver {answer.resolver} {said} for the PTR of {address}"


def causes(report: ResolverReport) -> frozenset[AnswerKind]:
    """In which ways resolvers failed to answer for the hostname."""
    return frozenset(a.forward.kind for a in report.answers if not a.forward.kind.answered)


def reverse_fails(report: ResolverReport) -> bool:
    """Do resolvers fail on a PTR although they answer for the hostname?"""
    return any(a.forward.kind.answered and not _answers(a) for a in report.answers)


def _one(answer: ResolverAnswer, wanted: frozenset[str], hostname: str) -> PublicVerdict:
    """One resolver's view; names other than the hostname beside it are a second PTR, which receivers pick at random."""
    if not Expected(wanted, exact=False).record_in(answer.forward):
        text = f"resolver {answer.resolver} {heard(answer.forward)} for {hostname}, wanted {listing(wanted)}"
        return PublicVerdict(Seen.WRONG, text, differs=Differs.FORWARD)
    for address in sorted(wanted):
        result = answer.reverse.get(address)
        if result is None:
            return PublicVerdict(Seen.SILENT, f"the PTR of {address} was not asked for")
        if result.result is not Iprev.PASS or result.names != (hostname,):
            names = listing(result.names) if result.names else "no PTR"
            word = result.result.value
            text = f"resolver {answer.resolver} sees {names} for {address} (iprev={word}), wanted {hostname}"
            if len(result.names) > 1:
                differs = Differs.TWO_PTRS
            else:
                differs = Differs.OTHER_PTR if result.names else Differs.NO_PTR
            return PublicVerdict(Seen.WRONG, text, differs=differs, address=address)
    return PublicVerdict(Seen.AGREE)


def reverse_servers(report: ResolverReport, wanted: frozenset[str], hostname: str) -> PublicVerdict:
    """Do all servers of the reverse zones that answer show the hostname? SILENT if none answers.

    ``split``: some of an address's servers do, others do not, so that resolvers see it by chance.
    """
    heard = 0
    worst: PublicVerdict | None = None
    for address in sorted(wanted):
        answers = [a for a in report.pointers.get(address, ()) if a.kind.answered]
        wrong = [a for a in answers if a.names != (hostname,)]
        heard += len(answers)
        split = 0 < len(wrong) < len(answers)
        if wrong and (worst is None or (split and not worst.split)):
            text = (
                f"{listing((a.server for a in wrong), _LISTED)} of the reverse zone of {address} "
                f"({len(wrong)} of {len(answers)} servers) {_pointer(wrong[0])}, wanted {hostname}"
            )
            worst = PublicVerdict(Seen.WRONG, text, split=split, differs=Differs.BEHIND, address=address)
    if worst is not None:
        return worst
    return PublicVerdict(Seen.AGREE if heard else Seen.SILENT, heard=heard)


def _pointer(answer: PointerAnswer) -> str:
    return f"answers {listing(answer.names)}" if answer.names else "answers that there is no PTR"


def ptr_seen(report: ResolverReport, address: str, hostname: str) -> bool:
    """Do all resolvers that got an answer see the hostname, and nothing else, as the PTR of an address?"""
    results = [a.reverse[address] for a in report.answers if address in a.reverse]
    heard = [r for r in results if r.result is not Iprev.TEMPERROR]
    return bool(heard) and all(r.result is Iprev.PASS and r.names == (hostname,) for r in heard)


def iprev_of(report: ResolverReport | None, address: str) -> str | None:
    """The worst iprev word the resolvers that answered gave for an address (RFC 8601)."""
    if report is None:
        return None
    order = (Iprev.FAIL, Iprev.PERMERROR, Iprev.TEMPERROR, Iprev.PASS)
    results = [a.reverse[address].result for a in report.answers if address in a.reverse]
    return next((word.value for word in order if word in results), None)


def iprev_at_authorities(fact: Fact[AuthorityReport], address: str) -> str | None:
    """The iprev word (RFC 8601) that follows if no authoritative server answers with the address; None if one does."""
    report = fact.value
    if fact.fault is not None or report is None:
        return None if fact.fault is None else "temperror"
    if any(address in a.addresses for a in report.answers):
        return None
    word = Iprev.FAIL if any(a.kind.answered for a in report.answers) else Iprev.TEMPERROR
    return word.value
