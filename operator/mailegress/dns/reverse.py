"""What the servers of the reverse zones answer, asked directly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from mailegress.dns import budget
from mailegress.dns.authorities import SERVERS, Authorities
from mailegress.dns.budget import QUESTIONS, Budget
from mailegress.dns.query import DnsTimeout
from mailegress.dns.readings import Sleep
from mailegress.model.dns import PointerAnswer

_log = logging.getLogger(__name__)

SECONDS = 15.0
"""For the reverse zones of one reading, whose result waits for them."""

Pointers = Mapping[str, tuple[PointerAnswer, ...]]


class ReverseZones:
    """Finds the reverse zone of each address from the root and asks each of its servers for the PTR.

    Resolvers ask one of these servers at random and remember its answer, so that one server that is behind is seen by
    chance only, unless each is asked.
    """

    def __init__(self, authorities: Authorities, sleep: Sleep) -> None:
        self._authorities = authorities
        self._sleep = sleep

    async def report(self, addresses: frozenset[str]) -> Pointers:
        """By address; an address whose servers cannot be asked is left out. Nothing is raised.

        The questions have a budget of their own: 200 as for any reading, and each of at most 16 servers once more
        for each address.
        """
        reading = budget.current()
        own = Budget(reading.namespace, reading.name, QUESTIONS + SERVERS * len(addresses))
        try:
            return await own.run(self._report(addresses), self._sleep, SECONDS)
        except DnsTimeout as error:
            _log.debug("The reverse zones of %s are not asked: %s", reading.name, error)
            return {}

    async def _report(self, addresses: frozenset[str]) -> Pointers:
        if not addresses:
            return {}
        networks: dict[str, list[str]] = {}
        for address in sorted(addresses):
            networks.setdefault(address.rpartition(".")[0], []).append(address)
        found: dict[str, tuple[PointerAnswer, ...]] = {}
        # What the first of them learns of zones and servers costs the others nothing.
        first, *others = networks.values()
        await self._network(first, found)
        await asyncio.gather(*(self._network(network, found) for network in others))
        for network in networks.values():
            if any(_differ(found.get(address, ())) for address in network):
                await self._authorities.forget_way(network[0])
        return found

    async def _network(self, addresses: Iterable[str], found: dict[str, tuple[PointerAnswer, ...]]) -> None:
        first, *others = addresses
        await self._address(first, found)
        await asyncio.gather(*(self._address(address, found) for address in others))

    async def _address(self, address: str, found: dict[str, tuple[PointerAnswer, ...]]) -> None:
        try:
            answers = await self._authorities.pointers(address)
        except DnsTimeout as error:
            _log.debug("The reverse zone of %s is not asked: %s", address, error)
            return
        if any(answer.kind.answered for answer in answers):
            found[address] = answers
        else:
            _log.debug("No server of the reverse zone of %s answers", address)


def _differ(answers: tuple[PointerAnswer, ...]) -> bool:
    return len({(answer.kind, answer.names) for answer in answers}) > 1
