"""What public resolvers say about mail: IPv6 and DNSSEC of the hostname, SPF and DMARC. Only advice depends on it.

One reading asks each question once, whatever the number of addresses and domains. The hostname and each domain have a
share of its questions, and it stops asking before its time is over: what is left then is not known. So a domain whose
records are costly does not hide the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import dns.name
import dns.rdatatype

from mailegress.dns import budget
from mailegress.dns.counted_query import Asker
from mailegress.dns.query import DnsTimeout, Server
from mailegress.dns.replies import Statement, absolute, read_recursive
from mailegress.dns.spf import NoAnswer, check
from mailegress.model.dns import AnswerKind
from mailegress.model.mail import Dmarc, MailReport, Spf

RESERVE = 8
"""Questions of the budget that are not spent: one question may cost several, over TCP and at a second resolver."""

SECONDS = 40.0
"""Nothing is asked after so many seconds, so that the reading ends within its time (:data:`budget.SECONDS`)."""

PARENTS = 5
"""Names above a sender domain at which a DMARC policy is looked for, down to two labels."""


class MailChecks:
    """Asks the public resolvers; the second one only where the first gives no answer."""

    def __init__(self, servers: Sequence[Server], ask: Asker, clock: Callable[[], float]) -> None:
        self._servers = tuple(servers)[:2]
        self._ask = ask
        self._clock = clock

    async def report(self, hostname: str, addresses: frozenset[str], domains: frozenset[str]) -> MailReport:
        """Nothing is raised for a missing answer."""
        known = _Answers(self._servers, self._ask, self._clock)
        known.allow(1 + len(domains))
        # Together, because the reading is to be there when the one of A and PTR is.
        (ipv6, bogus), _ = await asyncio.gather(self._ipv6(hostname), known.warm(hostname, "TXT"))
        helo = await _spf(known, hostname, hostname, addresses)
        senders: dict[str, dict[str, Spf]] = {}
        dmarc: dict[str, Dmarc] = {}
        for number, domain in enumerate(sorted(domains)):
            known.allow(len(domains) - number)
            # First, because it costs little and SPF may use up the share.
            dmarc[domain] = await _dmarc(known, domain)
            senders[domain] = await _spf(known, domain, hostname, addresses)
        return MailReport(hostname, addresses, domains, ipv6, bogus, helo, senders, dmarc)

    async def _ipv6(self, hostname: str) -> tuple[tuple[str, ...] | None, bool | None]:
        """The AAAA values, and whether a resolver refuses the name only because it validates."""
        name = absolute(hostname)
        for server in self._servers:
            said = await _statement(self._ask, server, name, dns.rdatatype.AAAA)
            if said.kind.answered:
                return said.values, False
            if said.kind is not AnswerKind.SERVFAIL:
                continue
            unchecked = await _statement(self._ask, server, name, dns.rdatatype.AAAA, checking_disabled=True)
            if not unchecked.kind.answered:
                continue
            # A server that failed once may answer the second time, whether it validates or not.
            again = await _statement(self._ask, server, name, dns.rdatatype.AAAA)
            return unchecked.values, again.kind is AnswerKind.SERVFAIL
        return None, None


class _Answers:
    """The lookup of one reading: each question once, within the share of the name that is looked at."""

    def __init__(self, servers: Sequence[Server], ask: Asker, clock: Callable[[], float]) -> None:
        self._servers = servers
        self._ask = ask
        self._clock = clock
        self._ends = clock() + SECONDS
        self._floor = RESERVE
        self._known: dict[tuple[str, str], Sequence[str] | NoAnswer] = {}
        self._silent: set[Server] = set()

    async def __call__(self, name: str, rtype: str) -> Sequence[str]:
        """Errors: :class:`NoAnswer`."""
        place = (name.lower().rstrip("."), rtype)
        if place not in self._known:
            self._known[place] = await self._look_up(*place)
        found = self._known[place]
        if isinstance(found, NoAnswer):
            raise found
        return found

    def allow(self, names: int) -> None:
        """From now on, use an equal share of the questions that are left for this many names."""
        left = budget.current().left
        self._floor = max(RESERVE, left - (left - RESERVE) // names)

    async def warm(self, name: str, rtype: str) -> None:
        """Ask, and keep the answer for later."""
        self._known[name, rtype] = await self._look_up(name, rtype)

    async def _look_up(self, name: str, rtype: str) -> Sequence[str] | NoAnswer:
        if budget.current().left < self._floor:
            return NoAnswer("its share of the DNS questions is used up")
        if self._clock() > self._ends:
            return NoAnswer("the reading takes too long")
        kind = AnswerKind.TIMEOUT
        for server in [s for s in self._servers if s not in self._silent]:
            said = await _statement(self._ask, server, absolute(name), dns.rdatatype.from_text(rtype))
            if said.kind.answered:
                return said.values
            if said.kind is AnswerKind.TIMEOUT:
                # It would cost every other question the same time.
                self._silent.add(server)
            kind = said.kind
        return NoAnswer(f"no answer for {name} {rtype} ({kind.value})")


async def _statement(
    ask: Asker,
    server: Server,
    name: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    *,
    checking_disabled: bool = False,
) -> Statement:
    try:
        reply = await ask("resolver", server, name, rdtype, recurse=True, checking_disabled=checking_disabled)
    except budget.BudgetSpent:
        raise
    except DnsTimeout:
        return Statement(AnswerKind.TIMEOUT)
    said = read_recursive(reply, name, rdtype)
    ask.count("resolver", said.kind)
    return said


async def _spf(known: _Answers, domain: str, helo: str, addresses: frozenset[str]) -> dict[str, Spf]:
    found = {}
    for address in sorted(addresses):
        found[address] = await check(address, domain, f"postmaster@{domain}", helo, known)
        # Records may be long and addresses many: other work goes on between two of them.
        await asyncio.sleep(0)
    return found


async def _dmarc(known: _Answers, domain: str) -> Dmarc:
    """The policy of the domain, else of the nearest name above it that has one."""
    labels = domain.split(".")
    for start in range(min(len(labels) - 1, PARENTS + 1)):
        try:
            texts = await known(f"_dmarc.{'.'.join(labels[start:])}", "TXT")
        except NoAnswer:
            return Dmarc.UNKNOWN
        policies = [t for t in texts if t.partition(";")[0].strip() == "v=DMARC1"]
        if policies:
            return Dmarc.FOUND if len(policies) == 1 else Dmarc.SEVERAL
    return Dmarc.MISSING
