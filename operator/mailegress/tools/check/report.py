"""What a check found, as blocks for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mailegress.api.limits import MESSAGE_LENGTH
from mailegress.api.text import clean_text
from mailegress.model.dns import (
    AnswerKind,
    AuthorityReport,
    Expected,
    Iprev,
    IprevResult,
    PointerAnswer,
    ResolverAnswer,
    ServerAnswer,
)
from mailegress.model.mail import Dmarc, MailReport, Spf, SpfResult
from mailegress.reconcile import dns_checks
from mailegress.reconcile.dns_checks import listing
from mailegress.tools.check.result import Checked, Evidence, Outcome, worst
from mailegress.tools.terminal import Block, Cell, Row, Table, Text

FORMAT = 1
"""Of the JSON document; it changes when a field is renamed or removed."""

_TONES = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.NONE: "unsure"}
_WORDS = {Outcome.PASS: "PASS", Outcome.FAIL: "FAIL", Outcome.NONE: "NO VERDICT"}
_KINDS = {
    AnswerKind.NODATA: "no record",
    AnswerKind.NXDOMAIN: "the name does not exist",
    AnswerKind.LAME: "no authoritative answer",
    AnswerKind.INTERCEPTED: "answered by something on the network path",
    AnswerKind.TIMEOUT: "no answer",
    AnswerKind.TOO_LARGE: "reply too large",
    AnswerKind.NOT_PUBLIC: "not asked: no public address",
    AnswerKind.NOT_ASKED: "not asked: more than 16 name servers",
}

_DMARC = {
    Dmarc.FOUND: "one policy",
    Dmarc.MISSING: "no policy",
    Dmarc.SEVERAL: "several policies",
    Dmarc.UNKNOWN: "no answer",
}
_UNSURE = (SpfResult.NONE, SpfResult.NEUTRAL, SpfResult.TEMPERROR)
_DETAIL = 80
"""Characters of a term, which whoever runs the domain wrote."""

GOOD, BAD, UNSURE = Cell("ok", "good"), Cell("differs", "bad"), Cell("unknown", "unsure")


# ---------------------------------------------------------------- for a person


def blocks(results: Iterable[Checked]) -> Iterator[Block]:
    """The verdict first, then who said what, then what to do."""
    for number, checked in enumerate(results):
        if number:
            yield Text("")
        verdict = checked.verdict
        yield Text(f"{checked.subject}: {_WORDS[verdict.outcome]}", _TONES[verdict.outcome])
        # A name begins some sentences: it is not capitalised.
        yield Text(f"  {verdict.found}.")
        if verdict.remedy:
            yield Text(f"  To do: {verdict.remedy}")
        rows = tuple(_rows(checked))
        if rows:
            yield Text("")
            yield Table(("asked", "for", "answer", "verdict"), rows)
        for note in checked.notes:
            yield Text("")
            yield Text(f"{note.code}: {note.text}")


def _rows(checked: Checked) -> Iterator[Row]:
    evidence, hostname = checked.evidence, checked.hostname
    report = evidence.authorities
    if report is not None:
        servers = listing(report.name_servers, 1)
        yield (f"parent of {report.zone or 'the root'}", "NS", servers, GOOD if report.answers else UNSURE)
        for answer in report.answers:
            yield answer.server, f"{hostname} A", _forward(answer), _judged(answer, evidence.wanted)
    for address in sorted(evidence.wanted):
        for pointer in evidence.pointers.get(address, ()):
            yield pointer.server, f"{address} PTR", _pointer(pointer), _judged_pointer(pointer, hostname)
        for resolver, result in sorted(evidence.iprev.items()):
            yield resolver, f"{address} PTR", _names(result), _judged_iprev(result, hostname)
    if evidence.public is not None:
        for said in evidence.public.answers:
            yield (
                said.resolver,
                f"{hostname} A",
                _forward(said.forward),
                _judged(said.forward, evidence.wanted),
            )
            for address, result in sorted(said.reverse.items()):
                yield said.resolver, f"{address} PTR", _names(result), _judged_iprev(result, hostname)
    if evidence.mail is not None:
        yield from _mail_rows(evidence.mail)


def _mail_rows(report: MailReport) -> Iterator[Row]:
    """SPF of the HELO name and of the sender domains, one row for each result, and DMARC."""
    yield from _spf_rows(report.hostname, report.helo)
    for domain in sorted(report.domains):
        yield from _spf_rows(domain, report.senders[domain])
        dmarc = report.dmarc[domain]
        tone = {Dmarc.FOUND: "good", Dmarc.SEVERAL: "bad"}.get(dmarc, "unsure")
        yield "public resolver", f"{domain} DMARC", _DMARC[dmarc], Cell(f"dmarc={dmarc.value}", tone)


def _spf_rows(domain: str, results: Mapping[str, Spf]) -> Iterator[Row]:
    by_result: dict[Spf, list[str]] = {}
    for address, spf in sorted(results.items()):
        by_result.setdefault(spf, []).append(address)
    for spf, addresses in by_result.items():
        tone = {SpfResult.PASS: "good"}.get(spf.result, "unsure" if spf.result in _UNSURE else "bad")
        term = clean_text(spf.detail, _DETAIL)
        said = "no SPF record" if spf.result is SpfResult.NONE else f"{listing(addresses)}: {term}"
        yield "public resolver", f"{domain} SPF", said, Cell(f"spf={spf.result.value}", tone)


def _forward(answer: ServerAnswer) -> str:
    if answer.kind is not AnswerKind.ANSWER:
        return _said(answer.kind)
    alias = f"alias to {answer.cname}: " if answer.cname else ""
    return alias + listing(answer.addresses)


def _said(kind: AnswerKind) -> str:
    return _KINDS.get(kind, kind.name)


def _pointer(answer: PointerAnswer) -> str:
    return listing(answer.names) if answer.kind is AnswerKind.ANSWER else _said(answer.kind)


def _names(result: IprevResult) -> str:
    if result.names:
        return listing(result.names)
    return "no record" if result.result is Iprev.PERMERROR else _said(result.cause or AnswerKind.TIMEOUT)


def _judged(answer: ServerAnswer, wanted: frozenset[str]) -> Cell:
    if not answer.kind.answered:
        return UNSURE
    return GOOD if wanted and Expected(wanted, exact=False).record_in(answer) else BAD


def _judged_pointer(answer: PointerAnswer, hostname: str) -> Cell:
    if not answer.kind.answered:
        return UNSURE
    return GOOD if hostname and answer.names == (hostname,) else BAD


def _judged_iprev(result: IprevResult, hostname: str) -> Cell:
    word = f"iprev={result.result.value}"
    if result.result is Iprev.TEMPERROR:
        return Cell(word, "unsure")
    good = result.result is Iprev.PASS and result.names == (hostname,)
    return Cell(word, "good" if good else "bad")


# ---------------------------------------------------------------- for a program


def document(results: Iterable[Checked]) -> dict[str, Any]:
    """docs/cli.md describes it."""
    checks = tuple(results)
    return {
        "format": FORMAT,
        "result": worst(tuple(c.verdict.outcome for c in checks)).value,
        "checks": [_check(c) for c in checks],
    }


def _check(checked: Checked) -> dict[str, Any]:
    evidence, verdict = checked.evidence, checked.verdict
    return {
        "subject": checked.subject,
        "result": verdict.outcome.value,
        "reason": verdict.reason,
        "message": verdict.found,
        "remedy": verdict.remedy,
        "hostname": checked.hostname,
        "addresses": sorted(evidence.wanted),
        "delegation": _delegation(evidence.authorities),
        "authorities": [
            _answer(a, evidence.wanted)
            for a in (evidence.authorities.answers if evidence.authorities else ())
        ],
        "reverse": _reverse(evidence, checked.hostname),
        "resolvers": [
            _resolver(a, evidence.wanted) for a in (evidence.public.answers if evidence.public else ())
        ],
        "mail": _mail(evidence.mail),
        "notes": [{"code": note.code, "message": note.text} for note in checked.notes],
    }


def _mail(report: MailReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    domains = {report.hostname: report.helo, **report.senders}
    return {
        "ipv6": None if report.ipv6 is None else list(report.ipv6),
        "dnssecBogus": report.bogus,
        "spf": [
            {
                "domain": domain,
                "address": address,
                "result": spf.result.value,
                "detail": clean_text(spf.detail, MESSAGE_LENGTH),
                "lookups": spf.lookups,
            }
            for domain, results in domains.items()
            for address, spf in sorted(results.items())
        ],
        "dmarc": [{"domain": domain, "result": said.value} for domain, said in sorted(report.dmarc.items())],
    }


def _delegation(report: AuthorityReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {"zone": report.zone, "nameServers": sorted(report.name_servers), "ttlSeconds": report.ns_ttl}


def _answer(answer: ServerAnswer, wanted: frozenset[str]) -> dict[str, Any]:
    return {
        "server": answer.server,
        "answer": answer.kind.value,
        "addresses": sorted(answer.addresses),
        "alias": answer.cname,
        "ttlSeconds": answer.ttl,
        "agrees": bool(wanted) and Expected(wanted, exact=False).record_in(answer),
    }


def _reverse(evidence: Evidence, hostname: str) -> list[dict[str, Any]]:
    return [
        {
            "address": address,
            "servers": [
                {
                    "server": a.server,
                    "answer": a.kind.value,
                    "names": list(a.names),
                    "agrees": bool(hostname) and a.names == (hostname,),
                }
                for a in evidence.pointers.get(address, ())
            ],
            "iprev": dns_checks.iprev_of(evidence.public, address),
        }
        for address in sorted(evidence.wanted)
    ]


def _resolver(answer: ResolverAnswer, wanted: frozenset[str]) -> dict[str, Any]:
    return {
        "resolver": answer.resolver,
        "forward": _answer(answer.forward, wanted),
        "reverse": [
            {"address": address, "iprev": r.result.value, "names": list(r.names)}
            for address, r in sorted(answer.reverse.items())
        ],
    }
