"""From evidence to a verdict. Pure; what each answer is worth is judged by the operator's own functions.

The operator looks at these answers for as long as an object lives and believes none of them at once; a command reads
the authoritative servers twice and says what it saw.
"""

from __future__ import annotations

from collections import Counter

from mailegress.api import reasons
from mailegress.model.dns import AuthorityReport, Iprev, ResolverReport
from mailegress.reconcile import dns_checks
from mailegress.reconcile.dns_checks import Differs, PublicVerdict, Seen, listing
from mailegress.tools.check.result import Evidence, Note, Outcome, Verdict

REACH = "Allow UDP and TCP port 53 from this machine to the internet, or run the check elsewhere."
REDIRECTED = (
    "Run the check where DNS queries are not redirected. What answers here is not what receivers of mail see."
)
_NO_RECORD = (
    "Create the A record with the addresses from which mail leaves. AWS sets no PTR before it exists."
)
_DIFFER = (
    "A record that was just changed may need a minute. If it persists, correct the name servers that differ, in the "
    "DNS that serves the zone."
)
_SET_PTR = (
    "Set the PTR of the Elastic IP in AWS (MailEgress does), or in its reverse zone if the address range is your own "
    "(BYOIP)."
)
_TWO_PTRS = "Receivers use one of them at random. Remove all PTRs but one."
_BEHIND = (
    "Receivers that query this server get a different name or none. A PTR that was just changed needs time; if it "
    "persists, contact AWS Support, or repair the reverse zone if the address range is your own (BYOIP)."
)
_CACHES = (
    "If the record was just changed, wait until caches have expired (the TTL, or up to 15 minutes for an answer that "
    "there was no record). If it persists, look for a second zone, split-horizon DNS or a resolver that filters the "
    "name."
)
_NO_RESOLVER = (
    "Allow port 53 to these resolvers, or name others with --resolvers. If they answer SERVFAIL, DNSSEC validation of "
    "the zone fails most likely: compare its DS record at the registrar."
)


def addresses(report: AuthorityReport) -> frozenset[str]:
    """What most authoritative servers answer; the others differ from it."""
    said = Counter(a.addresses for a in report.answers if a.addresses)
    return max(said, key=lambda found: (said[found], sorted(found)), default=frozenset())


def forward(evidence: Evidence) -> tuple[Verdict | None, tuple[Note, ...]]:
    """The verdict on the A record at the authoritative servers; None = nothing is wrong there."""
    report = evidence.authorities
    if report is None:
        return Verdict(Outcome.NONE, reasons.AUTHORITIES_UNREACHABLE.name, evidence.trouble, REACH), ()
    wanted = evidence.wanted
    if not wanted:
        return _nothing(report), ()
    seen = dns_checks.authorities(report, wanted, exact=False)
    if seen.seen is Seen.AGREE:
        return _twice(evidence), ()
    if seen.seen is Seen.LAME and seen.agreeing >= 2:
        remedy = reasons.LAME_NAME_SERVER.remedy
        note = Note("LameNameServer", f"{seen.text}. {remedy}")
        return _twice(evidence), (note,)
    reason, outcome, remedy = {
        Seen.SILENT: (reasons.AUTHORITIES_UNREACHABLE, Outcome.NONE, REACH),
        Seen.INTERCEPTED: (reasons.INTERCEPTED, Outcome.NONE, REDIRECTED),
        Seen.LAME: (reasons.LAME_NAME_SERVER, Outcome.FAIL, reasons.LAME_NAME_SERVER.remedy),
    }.get(seen.seen, (reasons.AUTHORITIES_DISAGREE, Outcome.FAIL, _DIFFER))
    return Verdict(outcome, reason.name, seen.text, seen.remedy or remedy), ()


def _nothing(report: AuthorityReport) -> Verdict:
    """No server has an address for the name."""
    seen = dns_checks.authorities(report, frozenset({"an address"}), exact=False)
    if seen.seen is Seen.INTERCEPTED:
        return Verdict(Outcome.NONE, reasons.INTERCEPTED.name, seen.text, REDIRECTED)
    if seen.seen is Seen.SILENT:
        return Verdict(Outcome.NONE, reasons.AUTHORITIES_UNREACHABLE.name, seen.text, REACH)
    stated = next((a for a in report.answers if a.kind.answered), None)
    if stated is None:
        return Verdict(
            Outcome.NONE, reasons.LAME_NAME_SERVER.name, seen.text, reasons.LAME_NAME_SERVER.remedy
        )
    found = f"{report.hostname} has no A record: {stated.server} {dns_checks.heard(stated)}"
    return Verdict(Outcome.FAIL, reasons.WAITING_FOR_FORWARD.name, found, _NO_RECORD)


def _twice(evidence: Evidence) -> Verdict | None:
    """Answers that rotate agree by chance."""
    again = evidence.again
    if again is None or dns_checks.authorities(again, evidence.wanted, exact=False).seen in (
        Seen.AGREE,
        Seen.LAME,
        Seen.SILENT,
    ):
        return None
    found = f"the authoritative servers of {again.zone} answered differently when they were asked twice"
    return Verdict(Outcome.FAIL, reasons.ANSWERS_VARY.name, found, reasons.ANSWERS_VARY.remedy)


def reverse(evidence: Evidence, hostname: str) -> Verdict | None:
    """The verdict on the PTRs at the servers of the reverse zones; None = nothing is wrong, or nobody answers."""
    for address in sorted(evidence.wanted):
        answers = [a for a in evidence.pointers.get(address, ()) if a.kind.answered]
        two = next((a for a in answers if len(a.names) > 1), None)
        if two is not None:
            found = f"{address} has {len(two.names)} PTRs ({listing(two.names)}), wanted only {hostname}"
            return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, found, _TWO_PTRS)
        if answers and all(a.names != (hostname,) for a in answers):
            names = answers[0].names
            said = f"the PTR of {address} is {listing(names)}" if names else f"{address} has no PTR"
            return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, f"{said}, wanted {hostname}", _SET_PTR)
    own = ResolverReport(hostname, evidence.wanted, (), evidence.pointers)
    seen = dns_checks.reverse_servers(own, evidence.wanted, hostname)
    if seen.seen is Seen.WRONG:
        return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, seen.text, _BEHIND)
    return None


def public(evidence: Evidence, hostname: str, resolvers: int) -> tuple[Verdict, tuple[Note, ...]]:
    """The verdict of the resolvers, which is the last; without any, that of the reverse zones' own servers."""
    wanted, report = evidence.wanted, evidence.public
    if report is None or not resolvers:
        unknown = sorted(wanted - evidence.pointers.keys())
        if unknown:
            found = f"no server of the reverse zone of {unknown[0]} answers, and no public resolver was asked"
            return Verdict(Outcome.NONE, reasons.RESOLVERS_DISABLED.name, found, _NO_RESOLVER), ()
        return _passed(wanted, hostname, "the authoritative servers"), ()
    seen = dns_checks.public(report, wanted, hostname, resolvers)
    if seen.seen is Seen.AGREE:
        notes = (
            (Note("ResolversDisagree", f"a minority of the resolvers does not agree: {seen.text}"),)
            if seen.minority
            else ()
        )
        noun = "resolver" if seen.heard == 1 else "resolvers"
        return _passed(wanted, hostname, f"the authoritative servers and {seen.heard} public {noun}"), notes
    return _unlike(seen), ()


def _unlike(seen: PublicVerdict) -> Verdict:
    if seen.seen is Seen.SILENT:
        return Verdict(Outcome.NONE, reasons.RESOLVERS_UNREACHABLE.name, seen.text, _NO_RESOLVER)
    if seen.split:
        return Verdict(Outcome.FAIL, reasons.RESOLVERS_DISAGREE.name, seen.text, _CACHES)
    if seen.differs is Differs.FORWARD:
        return Verdict(Outcome.FAIL, reasons.NOT_PROPAGATED.name, seen.text, _CACHES)
    remedy = _TWO_PTRS if seen.differs is Differs.TWO_PTRS else f"{_SET_PTR} {_CACHES}"
    return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, seen.text, remedy)


def _passed(wanted: frozenset[str], hostname: str, who: str) -> Verdict:
    found = f"A and PTR agree for {hostname} and {listing(wanted)} at {who} (iprev=pass)"
    return Verdict(Outcome.PASS, reasons.FCRDNS_PASS.name, found)


def pointer_names(evidence: Evidence, address: str) -> tuple[str, ...]:
    """Every name that somebody gives as the PTR of an address, sorted."""
    own = {name for a in evidence.pointers.get(address, ()) for name in a.names}
    return tuple(sorted(own.union(*(result.names for result in evidence.iprev.values()))))


def without_name(evidence: Evidence, address: str) -> Verdict:
    """An address that leads to no hostname, or to several."""
    names = pointer_names(evidence, address)
    if len(names) > 1:
        answers = evidence.pointers.get(address, ())
        if any(len(a.names) > 1 for a in answers) or not answers:
            found = f"{address} has {len(names)} PTRs: {listing(names)}"
            return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, found, _TWO_PTRS)
        found = f"the servers of the reverse zone of {address} give different PTRs: {listing(names)}"
        return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, found, _BEHIND)
    if names:
        found = f"the PTR of {address} is {names[0]}, which is no hostname that can be checked"
        return Verdict(Outcome.FAIL, reasons.FCRDNS_FAIL.name, found, _SET_PTR)
    answered = any(a.kind.answered for a in evidence.pointers.get(address, ()))
    if answered or any(r.result is not Iprev.TEMPERROR for r in evidence.iprev.values()):
        return Verdict(
            Outcome.FAIL, reasons.FCRDNS_FAIL.name, f"{address} has no PTR (iprev=permerror)", _SET_PTR
        )
    found = (
        f"nobody tells whether {address} has a PTR: neither its reverse zone nor a public resolver answers"
    )
    return Verdict(Outcome.NONE, reasons.RESOLVERS_UNREACHABLE.name, found, _NO_RESOLVER)
