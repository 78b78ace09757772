"""The query seam as the rest of this package uses it: counted, bounded, and safe against what replies may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import dns.exception
import dns.message
import dns.name
import dns.rdatatype

from mailegress.aio.fair_slots import Places
from mailegress.aio.ttl_cache import AgingCache
from mailegress.dns import budget
from mailegress.dns.public import is_public
from mailegress.dns.query import DnsQuery, DnsTimeout, ReplyTooLarge, Server
from mailegress.dns.settings import DnsSettings
from mailegress.model.dns import AnswerKind
from mailegress.model.facts import NEVER

_SILENT_TRIES = 2
"""Time limits for which a silent server is not asked by other readings of the namespace."""


class QueryMetrics(Protocol):
    """The part of the operator's metrics that counts DNS queries."""

    def dns_query(self, role: str, result: str) -> None:
        """``role``: root, parent, authority, resolver. ``result``: an ``AnswerKind`` value."""


class AddressNotPublic(DnsTimeout):
    """The server's address is not globally routable; nothing was sent."""


def kind_of(error: DnsTimeout) -> AnswerKind:
    """The kind of a question that has no answer."""
    if isinstance(error, AddressNotPublic):
        return AnswerKind.NOT_PUBLIC
    return AnswerKind.TOO_LARGE if isinstance(error, ReplyTooLarge) else AnswerKind.TIMEOUT


class Asker:
    """Sends questions; whoever reads the reply counts it with :meth:`count`.

    Every question of this package passes here, so the bounds hold for all: it is paid from the reading's budget, its
    namespace has a limited number of sockets, and servers found by delegation must have a public address. The
    configured roots and resolvers may have any.

    A server found by delegation that gave no answer is not asked by *other* readings of the namespace for a short
    while; for them it counts as silent. Other namespaces are not affected: somebody could make a server that
    they need look silent.
    """

    def __init__(
        self, query: DnsQuery, metrics: QueryMetrics, settings: DnsSettings, clock: Callable[[], float]
    ) -> None:
        self._query = query
        self._metrics = metrics
        self._clock = clock
        self._extra = settings.extra_ranges
        self._configured = {(s.address, s.port) for s in (*settings.roots, *settings.resolvers)}
        self._sockets = Places(settings.max_waiting, settings.sockets_per_namespace)
        self._silent: AgingCache[tuple[str, str], str] = AgingCache(clock, settings.cache_entries)
        self._silent_seconds = _SILENT_TRIES * settings.timeout_seconds

    async def __call__(
        self,
        role: str,
        server: Server,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        *,
        recurse: bool = False,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        """The reply. Errors: :class:`DnsTimeout`, counted."""
        try:
            return await self._ask(server, name, rdtype, recurse, checking_disabled)
        except budget.BudgetSpent:
            raise
        except DnsTimeout as error:
            self.count(role, kind_of(error))
            raise
        except dns.exception.DNSException as error:
            self.count(role, AnswerKind.TIMEOUT)
            raise DnsTimeout(f"{server} sent an unreadable reply") from error

    async def _ask(
        self,
        server: Server,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        recurse: bool,
        checking_disabled: bool,
    ) -> dns.message.Message:
        reading = budget.current()
        found = (server.address, server.port) not in self._configured
        if found and not is_public(server.address, self._extra):
            raise AddressNotPublic(f"{server} has the address {server.address}, which is not public")
        place = (reading.namespace, server.address)
        async with self._sockets.held(reading.namespace):
            silent = self._silent.get(place, NEVER)
            if found and silent is not None and silent.value != reading.name:
                raise DnsTimeout(f"{server} did not answer just now")
            reading.spend()
            began = self._clock()
            try:
                extra = {"checking_disabled": True} if checking_disabled else {}
                reply = await self._query(server, name.to_text(), rdtype, recurse=recurse, **extra)
            except DnsTimeout as error:
                if found and type(error) is DnsTimeout:
                    self._silent.put(place, reading.name, began, self._clock() - began + self._silent_seconds)
                raise
        self._silent.drop(place)
        return reply

    def count(self, role: str, kind: AnswerKind) -> None:
        self._metrics.dns_query(role, kind.value)
