"""A bounded number of places that groups share fairly: one namespace must not hold up another."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator


class Places:
    """``total`` places, at most ``each`` for one group. Groups that wait take turns; within a group, first come first
    served.
    """

    def __init__(self, total: int, each: int) -> None:
        self._free = total
        self._each = each
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, OrderedDict[Ticket, None]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def held(self, *groups: str) -> AsyncIterator[str]:
        """Wait for a place and hold it; gives the group that it is counted for."""
        with self.ticket(*groups) as ticket:
            yield await ticket.granted

    @contextlib.contextmanager
    def ticket(self, *groups: str) -> Iterator[Ticket]:
        """A request for a place, until the block ends. More groups may join while it waits."""
        ticket = Ticket(self)
        try:
            for group in groups:
                ticket.join(group)
            yield ticket
        finally:
            self._leave(ticket)
            if ticket.granted.done() and not ticket.granted.cancelled():
                self._release(ticket.granted.result())

    def _join(self, ticket: Ticket, group: str) -> None:
        self._waiting.setdefault(group, OrderedDict())[ticket] = None
        self._grant()

    def _leave(self, ticket: Ticket) -> None:
        for group in ticket.groups:
            entries = self._waiting.get(group)
            if entries is not None:
                entries.pop(ticket, None)
                if not entries:
                    del self._waiting[group]

    def _release(self, group: str) -> None:
        self._free += 1
        self._held[group] -= 1
        if not self._held[group]:
            del self._held[group]
        self._grant()

    def _grant(self) -> None:
        while self._free:
            group = next((g for g in self._waiting if self._held[g] < self._each), None)
            if group is None:
                return
            ticket = next(iter(self._waiting[group]))
            self._leave(ticket)
            if group in self._waiting:
                self._waiting.move_to_end(group)
            if not ticket.granted.cancelled():
                self._free -= 1
                self._held[group] += 1
                ticket.granted.set_result(group)


class Ticket:
    """Waits in the line of each of its groups; the first that has a place for it decides."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.groups: set[str] = set()
        self.granted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def join(self, group: str) -> None:
        """Wait in the line of ``group`` too; nothing happens once a place was granted."""
        if group not in self.groups and not self.granted.done():
            self.groups.add(group)
            self._places._join(self, group)
