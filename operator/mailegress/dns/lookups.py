"""The operator's readings, made once for somebody who waits for them: ``mailegress check``."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from mailegress.dns.authorities import Authorities
from mailegress.dns.budget import QUESTIONS, Budget
from mailegress.dns.counted_query import Asker
from mailegress.dns.mail import MailChecks
from mailegress.dns.query import DnsQuery
from mailegress.dns.readings import Clock, Sleep
from mailegress.dns.resolvers import Resolvers
from mailegress.dns.reverse import Pointers, ReverseZones
from mailegress.dns.settings import DnsSettings
from mailegress.dns.walk import Walker
from mailegress.model.dns import AuthorityReport, IprevResult, ResolverReport
from mailegress.model.mail import MailReport


class _Uncounted:
    def dns_query(self, role: str, result: str) -> None:
        """Nobody reads metrics of a command."""


class Lookups:
    """Each reading has the budget of the operator's: 200 questions and 60 seconds. What one finds of zones and servers
    is known to the next.

    Errors of all: :class:`~mailegress.dns.query.DnsTimeout`, with the cause in its message;
    :class:`~mailegress.dns.budget.BudgetSpent` and :class:`~mailegress.dns.walk.WalkIntercepted` are kinds of it.
    """

    def __init__(
        self, settings: DnsSettings, query: DnsQuery, clock: Clock, sleep: Sleep, rng: random.Random
    ) -> None:
        asker = Asker(query, _Uncounted(), settings, clock)
        self._authorities = Authorities(Walker(settings, asker, clock, rng), asker)
        self._resolvers = Resolvers(settings.resolvers, asker)
        self._reverse = ReverseZones(self._authorities, sleep)
        self._mail = MailChecks(settings.resolvers, asker, clock)
        self._count = max(1, len(settings.resolvers))
        self._sleep = sleep

    async def authorities(self, hostname: str) -> AuthorityReport:
        """What every authoritative server answers for the A record."""
        return await Budget("", hostname).run(self._authorities.report(hostname), self._sleep)

    async def pointers(self, addresses: frozenset[str]) -> Pointers:
        """What every server of the reverse zones answers; an address whose servers cannot be asked is left out."""
        return await Budget("", min(addresses, default="")).run(self._reverse.report(addresses), self._sleep)

    async def public(self, hostname: str, addresses: frozenset[str], pointers: Pointers) -> ResolverReport:
        """What public resolvers answer for the hostname and for each address's PTR, beside ``pointers``."""
        budget = Budget("", hostname, QUESTIONS * self._count)
        report = await budget.run(self._resolvers.report(hostname, addresses), self._sleep)
        return replace(report, pointers=pointers)

    async def mail(self, hostname: str, addresses: frozenset[str], domains: frozenset[str]) -> MailReport:
        """What public resolvers answer about mail: SPF, DMARC, AAAA and DNSSEC."""
        return await Budget("", hostname).run(self._mail.report(hostname, addresses, domains), self._sleep)

    async def iprev(self, address: str) -> Mapping[str, IprevResult]:
        """What each resolver sees from the address alone: its PTR names, and whether one of them leads back."""
        budget = Budget("", address, QUESTIONS * self._count)
        return await budget.run(self._resolvers.iprev(address), self._sleep)
