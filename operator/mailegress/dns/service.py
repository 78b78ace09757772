"""The reconciler's :class:`~mailegress.reconcile.ports.Dns`: shared facts over this package's look-ups."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mailegress.aio.fair_slots import Places
from mailegress.api.limits import MESSAGE_LENGTH
from mailegress.api.reasons import (
    AUTHORITIES_UNREACHABLE,
    DNS_LIMIT_EXCEEDED,
    INTERCEPTED,
    RESOLVERS_UNREACHABLE,
)
from mailegress.api.text import clean_text
from mailegress.dns.authorities import Authorities
from mailegress.dns.budget import QUESTIONS, BudgetSpent
from mailegress.dns.mail import MailChecks
from mailegress.dns.query import DnsTimeout
from mailegress.dns.readings import Clock, OnError, Pace, ReadingFailed, Readings, Sleep
from mailegress.dns.replies import absolute
from mailegress.dns.resolvers import Resolvers
from mailegress.dns.reverse import ReverseZones
from mailegress.dns.settings import DnsSettings
from mailegress.dns.walk import Walker, WalkIntercepted
from mailegress.model.dns import AnswerKind, AuthorityReport, Delegation, ResolverReport, ServerAnswer
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.model.mail import MailReport, SpfResult
from mailegress.reconcile.ports import Key, Wake

_log = logging.getLogger(__name__)

_NOTHING = frozenset({AnswerKind.TIMEOUT, AnswerKind.SERVFAIL})
"""Kinds from which nothing is learned: the server could not say, and may say anything next time."""


def log_error(name: str, error: BaseException) -> None:
    """The default ``on_error``: log an unexpected exception, which is a defect and not a failure of the network."""
    _log.error("DNS look-up of %s failed unexpectedly", clean_text(name, 255), exc_info=error)


class DnsService:
    """Answers from memory, reads in the background.

    A reading in which at least one server said something is a value even if others were silent; one in which
    every server was silent or answered SERVFAIL is a failure: the old value stands, ``misses`` counts it, and
    the name is backed off. Failures of one kind of reading do not hold up the others.
    """

    def __init__(
        self,
        settings: DnsSettings,
        walker: Walker,
        authorities: Authorities,
        resolvers: Resolvers,
        reverse: ReverseZones,
        mail: MailChecks,
        *,
        wake: Wake,
        clock: Clock,
        sleep: Sleep,
        rng: random.Random,
        on_error: OnError = log_error,
    ) -> None:
        self._walker = walker
        self._authorities_of = authorities
        self._resolvers_of = resolvers
        self._reverse_of = reverse
        self._mail_of = mail
        self._resolvers = tuple(str(server) for server in settings.resolvers)
        self._clock = clock
        self._turns: dict[str, int] = {}
        self._rng = rng
        pace = Pace(settings.backoff_seconds, settings.max_backoff_seconds, settings.forget_seconds)
        places = Places(settings.max_readings, settings.readings_per_namespace)

        def internal(error: BaseException) -> Fault:
            if isinstance(error, BudgetSpent):
                return _fault(DNS_LIMIT_EXCEEDED.name, f"the check was given up: {error}")
            return _fault(AUTHORITIES_UNREACHABLE.name, f"the DNS look-up failed: {type(error).__name__}")

        self._authorities: Readings[AuthorityReport] = Readings(
            self._read_authorities, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal,
        )  # fmt: skip
        self._samples: Readings[ServerAnswer] = Readings(
            self._read_sample, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal,
        )  # fmt: skip
        self._delegations: Readings[Delegation] = Readings(
            self._read_delegation, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal,
        )  # fmt: skip
        self._servers: Readings[frozenset[str]] = Readings(
            self._read_server, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal,
        )  # fmt: skip
        self._public: Readings[ResolverReport] = Readings(
            self._read_public, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal, covers=lambda report, wanted: wanted <= report.addresses,
            questions=QUESTIONS * max(1, len(settings.resolvers)),
        )  # fmt: skip

        self._mail: Readings[MailReport] = Readings(
            self._read_mail, wake=wake, clock=clock, sleep=sleep, rng=rng, places=places, pace=pace,
            on_error=on_error, broken=internal,
            covers=lambda report, wanted: wanted <= report.addresses | report.domains,
        )  # fmt: skip

    @property
    def resolvers(self) -> Sequence[str]:
        return self._resolvers

    def authorities(self, hostname: str) -> Fact[AuthorityReport]:
        return self._authorities.get(hostname)

    def request_authorities(self, key: Key, hostname: str, not_before: float) -> None:
        self._authorities.request(key, hostname, not_before)

    def sample_authority(self, hostname: str) -> Fact[ServerAnswer]:
        return self._samples.get(hostname)

    def request_sample_authority(
        self, key: Key, hostname: str, not_before: float, expected: Callable[[ServerAnswer], bool]
    ) -> None:
        self._samples.request(key, hostname, not_before, expected=expected)

    def delegation(self, zone: str) -> Fact[Delegation]:
        return self._delegations.get(zone)

    def request_delegation(self, key: Key, zone: str, not_before: float) -> None:
        self._delegations.request(key, zone, not_before)

    def server_addresses(self, name: str) -> Fact[frozenset[str]]:
        return self._servers.get(name)

    def request_server_addresses(self, key: Key, name: str, not_before: float) -> None:
        self._servers.request(key, name, not_before)

    def public(self, hostname: str) -> Fact[ResolverReport]:
        """The report covers at least the addresses of the newest served request; see ``report.addresses``."""
        return self._public.get(hostname)

    def request_public(
        self,
        key: Key,
        hostname: str,
        addresses: frozenset[str],
        not_before: float,
        expected: Callable[[ResolverReport], bool] | None = None,
    ) -> None:
        """Query the public resolvers. Without configured resolvers this does nothing, and no object is woken."""
        if self._resolvers:
            self._public.request(key, hostname, not_before, addresses, expected)

    def mail(self, hostname: str) -> Fact[MailReport]:
        """As :meth:`public`, for advice about mail."""
        return self._mail.get(hostname)

    def request_mail(
        self,
        key: Key,
        hostname: str,
        addresses: frozenset[str],
        domains: frozenset[str],
        not_before: float,
        expected: Callable[[MailReport], bool] | None = None,
    ) -> None:
        if self._resolvers:
            self._mail.request(key, hostname, not_before, addresses | domains, expected)

    async def close(self) -> None:
        """Stop all background readings."""
        for readings in self._all():
            await readings.close()

    def facts(self) -> int:
        """How many facts are held."""
        return sum(len(readings) for readings in self._all())

    def _all(self) -> tuple[Readings[Any], ...]:
        return (
            self._authorities,
            self._samples,
            self._delegations,
            self._servers,
            self._public,
            self._mail,
        )

    async def _read_authorities(self, hostname: str, _: frozenset[str]) -> AuthorityReport:
        try:
            report = await self._authorities_of.report(hostname)
        except DnsTimeout as error:
            raise _failed(error) from error
        if all(answer.kind in _NOTHING for answer in report.answers):
            raise ReadingFailed(
                _no_answer(
                    AUTHORITIES_UNREACHABLE.name,
                    f"no authoritative server of {report.zone}",
                    hostname,
                    [(a.server, a.kind) for a in report.answers],
                )
            )
        return report

    async def _read_sample(self, hostname: str, _: frozenset[str]) -> ServerAnswer:
        # Started anywhere, so that many names do not all ask the same server first.
        turn = self._turns.pop(hostname, None)
        turn = self._rng.randrange(1 << 16) if turn is None else turn + 1
        self._turns[hostname] = turn
        while len(self._turns) > len(self._samples):
            self._turns.pop(next(iter(self._turns)))
        try:
            answer = await self._authorities_of.sample_authority(hostname, turn)
        except DnsTimeout as error:
            raise _failed(error) from error
        if answer.kind in _NOTHING:
            raise ReadingFailed(
                _fault(
                    AUTHORITIES_UNREACHABLE.name,
                    f"authority {answer.server} does not answer for {hostname} ({answer.kind.value})",
                )
            )
        return answer

    async def _read_delegation(self, zone: str, _: frozenset[str]) -> Delegation:
        try:
            return Delegation(zone, frozenset(await self._walker.delegation(absolute(zone), self._clock())))
        except DnsTimeout as error:
            raise _failed(error) from error

    async def _read_server(self, name: str, _: frozenset[str]) -> frozenset[str]:
        try:
            return frozenset(await self._walker.addresses(absolute(name), self._clock()))
        except DnsTimeout as error:
            raise _failed(error) from error

    async def _read_public(self, hostname: str, addresses: frozenset[str]) -> ResolverReport:
        report, pointers = await asyncio.gather(
            self._resolvers_of.report(hostname, addresses), self._reverse_of.report(addresses)
        )
        if all(answer.forward.kind in _NOTHING for answer in report.answers):
            raise ReadingFailed(
                _no_answer(
                    RESOLVERS_UNREACHABLE.name,
                    "no public resolver",
                    hostname,
                    [(a.resolver, a.forward.kind) for a in report.answers],
                )
            )
        return replace(report, pointers=pointers)

    async def _read_mail(self, hostname: str, detail: frozenset[str]) -> MailReport:
        addresses = frozenset(each for each in detail if _is_address(each))
        report = await self._mail_of.report(hostname, addresses, detail - addresses)
        silent = all(spf.result is SpfResult.TEMPERROR for spf in report.helo.values())
        if report.ipv6 is None and silent:
            raise ReadingFailed(
                _fault(RESOLVERS_UNREACHABLE.name, f"no public resolver answers for {hostname}")
            )
        return report


def _no_answer(reason: str, nobody: str, hostname: str, said: Sequence[tuple[str, AnswerKind]]) -> Fault:
    """The fault of a reading from which nothing was learned: silence and SERVFAIL have different causes."""
    listed = ", ".join(f"{server}: {kind.value}" for server, kind in said)
    answered = any(kind is not AnswerKind.TIMEOUT for _, kind in said)
    what = "gives a usable answer" if answered else "answers"
    return replace(_fault(reason, f"{nobody} {what} for {hostname} ({listed})"), answered=answered)


def _failed(error: DnsTimeout) -> ReadingFailed:
    reason = INTERCEPTED if isinstance(error, WalkIntercepted) else AUTHORITIES_UNREACHABLE
    return ReadingFailed(_fault(reason.name, str(error)))


def _fault(reason: str, message: str) -> Fault:
    return Fault(reason, clean_text(message, MESSAGE_LENGTH), ErrorKind.TRANSIENT)


def _is_address(text: str) -> bool:
    """A sender domain ends in a letter or digit of a name that is no number (it has a top-level label)."""
    return text.rpartition(".")[2].isdigit()
