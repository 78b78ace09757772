"""Which server was asked what, and how it answered."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One query. ``time`` as the world's clock gives it; ``rcode`` is ``TIMEOUT`` where no reply was sent.

    ``client``: ``client`` for whoever asks from outside, else the name of the recursor that asked.
    """

    time: float
    server: str
    client: str
    transport: str
    qname: str
    qtype: str
    rcode: str


class Journal:
    """The last ``size`` queries, and counters by (server, name, type, rcode) of those from outside."""

    def __init__(self, size: int = 50_000) -> None:
        self._log: deque[Query] = deque(maxlen=size)
        self._counts: Counter[tuple[str, str, str, str]] = Counter()

    def add(self, query: Query) -> None:
        """Record one query."""
        self._log.append(query)
        if query.client == OUTSIDE:
            self._counts[(query.server, query.qname, query.qtype, query.rcode)] += 1

    def queries(
        self,
        *,
        server: str | None = None,
        qname: str | None = None,
        client: str | None = None,
        last: int | None = None,
    ) -> list[Query]:
        """The recorded queries, oldest first, filtered by exact values."""
        found = [
            q
            for q in self._log
            if server in (None, q.server) and qname in (None, q.qname) and client in (None, q.client)
        ]
        return found if last is None else found[max(0, len(found) - last) :]

    def counters(self) -> dict[tuple[str, str, str, str], int]:
        """(server, name, type, rcode) → number of queries from outside."""
        return dict(self._counts)

    def clear(self) -> None:
        """Forget everything."""
        self._log.clear()
        self._counts.clear()


OUTSIDE = "client"
"""The client name of whoever is not part of the sandbox's own DNS."""
