"""The query seam as the rest of this package uses it: counted, and safe against what replies may hold."""

from __future__ import annotations

from typing import Protocol

import dns.exception
import dns.message
import dns.name
import dns.rdatatype

from mailegress.dns.query import DnsQuery, DnsTimeout, Server
from mailegress.reconcile.model import AnswerKind


class QueryMetrics(Protocol):
    """The part of the operator's metrics that counts DNS queries."""

    def dns_query(self, role: str, result: str) -> None:
        """``role``: root, parent, authority, resolver. ``result``: an ``AnswerKind`` value."""


class Asker:
    """Sends questions; whoever reads the reply counts it with :meth:`count`."""

    def __init__(self, query: DnsQuery, metrics: QueryMetrics) -> None:
        self._query = query
        self._metrics = metrics

    async def __call__(
        self,
        role: str,
        server: Server,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        *,
        recurse: bool = False,
    ) -> dns.message.Message:
        """The reply. Errors: :class:`DnsTimeout`, counted."""
        try:
            return await self._query(server, name.to_text(), rdtype, recurse=recurse)
        except DnsTimeout:
            self.count(role, AnswerKind.TIMEOUT)
            raise
        except dns.exception.DNSException as error:
            self.count(role, AnswerKind.TIMEOUT)
            raise DnsTimeout(f"{server} sent an unreadable reply") from error

    def count(self, role: str, kind: AnswerKind) -> None:
        self._metrics.dns_query(role, kind.value)
