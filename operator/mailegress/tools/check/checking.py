"""One check, step by step.

Resolvers are asked last, and only about what the authoritative servers have: they remember a wrong answer for its
TTL, and that there is no record for up to 15 minutes (RFC 2308).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from mailegress.api import reasons
from mailegress.api.advisories import (
    APEX_NAME,
    DNSSEC_BOGUS,
    GENERIC_NAME,
    HELO_SPF,
    HOSTNAME_HAS_AAAA,
    SENDER_DMARC,
    SENDER_SPF,
    AdvisoryCode,
)
from mailegress.api.validation import is_hostname
from mailegress.dns.budget import SECONDS, BudgetSpent
from mailegress.dns.lookups import Lookups
from mailegress.dns.query import DnsTimeout
from mailegress.dns.walk import WalkIntercepted
from mailegress.model.hostname_lint import containing, holds_address, scored
from mailegress.model.mail import (
    MailReport,
    Spf,
    bogus_found,
    dmarc_problem,
    ipv6_found,
    spf_known,
    spf_problem,
)
from mailegress.tools.check import judge
from mailegress.tools.check.result import Checked, Evidence, Note, Outcome, Verdict
from mailegress.tools.check.subjects import Subject


class Checker:
    """Checks subjects with one set of look-ups. ``resolvers``: how many are configured; ``domains``: the domains
    of the senders, whose SPF and DMARC are noted.
    """

    def __init__(
        self,
        lookups: Lookups,
        resolvers: int,
        domains: frozenset[str] = frozenset(),
        seconds: float = SECONDS,
    ) -> None:
        self._lookups = lookups
        self._resolvers = resolvers
        self._domains = domains
        self._seconds = seconds

    async def check(self, subject: Subject) -> Checked:
        """Nothing is raised: what cannot be read is no verdict. It ends after ``seconds``."""
        run = _Run(self._lookups, self._resolvers, self._domains, subject)
        verdict: Verdict | None = None
        try:
            async with asyncio.timeout(self._seconds):
                verdict = await run.verdict()
                await run.mail()
        except BudgetSpent as error:
            verdict = _spent(f"the check was given up: {error}")
        except TimeoutError:
            verdict = verdict or _spent(
                f"the check was given up: it takes longer than {self._seconds:g} seconds"
            )
        except WalkIntercepted as error:
            verdict = Verdict(Outcome.NONE, reasons.INTERCEPTED.name, str(error), judge.REDIRECTED)
        except DnsTimeout as error:
            verdict = Verdict(Outcome.NONE, reasons.AUTHORITIES_UNREACHABLE.name, str(error), judge.REACH)
        return Checked(
            subject.text, run.hostname, verdict, run.evidence, (*run.notes, *_advice(run, verdict))
        )


def _spent(found: str) -> Verdict:
    return Verdict(Outcome.NONE, reasons.DNS_LIMIT_EXCEEDED.name, found, reasons.DNS_LIMIT_EXCEEDED.remedy)


class _Run:
    """What is known so far of one subject; it is shown even if the check ends early."""

    def __init__(self, lookups: Lookups, resolvers: int, domains: frozenset[str], subject: Subject) -> None:
        self._lookups = lookups
        self._resolvers = resolvers
        self._domains = domains
        self._address = subject.address
        self.hostname = subject.hostname
        self.evidence = Evidence()
        self.notes: tuple[Note, ...] = ()

    async def verdict(self) -> Verdict:
        """Errors: :class:`DnsTimeout`."""
        if self._address:
            early = await self._name_of_address()
            if early is not None:
                return early
        return await self._of_hostname()

    async def _name_of_address(self) -> Verdict | None:
        """PTR → name. A verdict if it does not lead to one hostname."""
        address = self._address
        wanted = frozenset({address})
        pointers = await self._lookups.pointers(wanted)
        self.evidence = replace(self.evidence, wanted=wanted, pointers=pointers)
        if not pointers.get(address) and self._resolvers:
            self.evidence = replace(self.evidence, iprev=await self._lookups.iprev(address))
        names = judge.pointer_names(self.evidence, address)
        if len(names) != 1 or not is_hostname(names[0]):
            return judge.without_name(self.evidence, address)
        self.hostname = names[0]
        return None

    async def _of_hostname(self) -> Verdict:
        """A → PTR → resolvers, each only if there is nothing to correct before it."""
        report = await self._lookups.authorities(self.hostname)
        wanted = self.evidence.wanted or judge.addresses(report)
        self.evidence = replace(self.evidence, authorities=report, wanted=wanted)
        found, notes = judge.forward(self.evidence)
        if found is None:
            again = await self._lookups.authorities(self.hostname)
            self.evidence = replace(self.evidence, again=again)
            found, notes = judge.forward(self.evidence)
        self.notes = notes
        if wanted and not self._address:
            pointers = await self._lookups.pointers(wanted)
            self.evidence = replace(self.evidence, pointers=pointers)
        if found is not None:
            return found
        found = judge.reverse(self.evidence, self.hostname)
        if found is not None:
            return found
        if self._resolvers:
            public = await self._lookups.public(self.hostname, wanted, self.evidence.pointers)
            self.evidence = replace(self.evidence, public=public)
        verdict, more = judge.public(self.evidence, self.hostname, self._resolvers)
        self.notes += more
        return verdict

    async def mail(self) -> None:
        """SPF, DMARC, AAAA and DNSSEC, if resolvers were asked. Neither they nor their failure change a verdict."""
        if self.evidence.public is None:
            return
        try:
            report = await self._lookups.mail(self.hostname, self.evidence.wanted, self._domains)
        except DnsTimeout:
            return
        self.evidence = replace(self.evidence, mail=report)


def _advice(run: _Run, verdict: Verdict) -> Iterator[Note]:
    """What a person sets or knows besides."""
    if run.hostname:
        yield from _of_name(run.hostname, run.evidence.wanted)
    report = run.evidence.authorities
    if report is None:
        return
    aliases = sorted({a.cname for a in report.answers if a.cname})
    if aliases:
        yield Note(
            "Alias",
            f"{run.hostname} is an alias (CNAME) to {aliases[0]}. Receivers follow it, but some refuse an alias in "
            "HELO (RFC 5321 section 2.3.5); give the name an A record of its own.",
        )
    if verdict.outcome is Outcome.PASS:
        yield Note(
            "HELO",
            f"Let the mail server greet with {run.hostname} (Postfix: smtp_helo_name = {run.hostname}).",
        )
    if run.evidence.mail is not None:
        yield from _of_mail(run.evidence.mail)


def _of_mail(report: MailReport) -> Iterator[Note]:
    """What the operator's advisories say of the mail records."""
    if report.ipv6:
        yield _note(HOSTNAME_HAS_AAAA, ipv6_found(report.hostname, report.ipv6))
    if report.bogus:
        yield _note(DNSSEC_BOGUS, bogus_found(report.hostname))
    yield from _of_spf(HELO_SPF, report.hostname, report.helo)
    for domain in sorted(report.domains):
        yield from _of_spf(SENDER_SPF, domain, report.senders[domain])
        problem = dmarc_problem(domain, report.dmarc[domain])
        if problem is not None:
            yield _note(SENDER_DMARC, problem.found)


def _of_spf(code: AdvisoryCode, domain: str, results: Mapping[str, Spf]) -> Iterator[Note]:
    addresses = sorted(results)
    problem = spf_problem(domain, results, addresses) if spf_known(results, addresses) else None
    if problem is not None:
        yield _note(code, problem.found)


def _note(code: AdvisoryCode, found: str) -> Note:
    return Note(code.name, f"{found} {code.remedy}")


def _of_name(hostname: str, addresses: frozenset[str]) -> Iterator[Note]:
    """What the operator's advisories say of the name."""
    found = scored(hostname)
    if not found:
        address = holds_address(hostname, sorted(addresses))
        found = containing(hostname, address) if address is not None else ""
    if found:
        yield _note(GENERIC_NAME, found)
    if hostname.count(".") < 2:
        yield _note(APEX_NAME, f"{hostname} is the name of a whole domain.")
