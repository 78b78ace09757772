"""The public's view: recursive resolvers, asked one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.name
import dns.rdatatype
import dns.reversename

from mailegress.dns.counted_query import Asker
from mailegress.dns.query import DnsTimeout, Server
from mailegress.dns.replies import Statement, absolute, read_recursive, shown
from mailegress.model.dns import AnswerKind, Iprev, IprevResult, ResolverAnswer, ResolverReport, ServerAnswer

PTR_NAMES = 10
"""PTR names looked up per address: the limit SPF sets for the same job (RFC 7208 section 4.6.4)."""


class Resolvers:
    """Asks every resolver for the hostname and for each address's PTR, and judges them (RFC 8601)."""

    def __init__(self, servers: Sequence[Server], ask: Asker) -> None:
        self._servers = tuple(servers)
        self._ask = ask

    async def report(self, hostname: str, addresses: frozenset[str]) -> ResolverReport:
        """Nothing is raised: a resolver that does not answer is an answer of kind TIMEOUT, with iprev
        temperror.
        """
        answers = await asyncio.gather(*(self._ask_resolver(s, hostname, addresses) for s in self._servers))
        return ResolverReport(hostname, addresses, tuple(answers))

    async def iprev(self, address: str) -> dict[str, IprevResult]:
        """What each resolver sees from an address alone, by the resolver's name. Nothing is raised."""
        results = await asyncio.gather(*(self._iprev(s, address, {}) for s in self._servers))
        return {str(s): result for s, result in zip(self._servers, results, strict=True)}

    async def _ask_resolver(self, server: Server, hostname: str, addresses: frozenset[str]) -> ResolverAnswer:
        name = absolute(hostname)
        forward = await self._look_up(server, name, dns.rdatatype.A)
        # The forward answer is shared by all PTRs that name the host, so it is in hand before them.
        known = {name: forward}
        ordered = sorted(addresses)
        results = await asyncio.gather(*(self._iprev(server, a, known) for a in ordered))
        answer = ServerAnswer(
            str(server),
            forward.kind,
            frozenset(forward.values),
            forward.ttl,
            shown(forward.alias) if forward.alias is not None else "",
        )
        return ResolverAnswer(str(server), answer, dict(zip(ordered, results, strict=True)))

    async def _iprev(
        self, server: Server, address: str, known: dict[dns.name.Name, Statement]
    ) -> IprevResult:
        reverse = await self._look_up(server, dns.reversename.from_address(address), dns.rdatatype.PTR)
        if not reverse.kind.answered:
            return IprevResult(Iprev.TEMPERROR, cause=reverse.kind)
        if reverse.kind is not AnswerKind.ANSWER:
            return IprevResult(Iprev.PERMERROR, ttl=reverse.ttl)
        # With two PTRs receivers pick one at random; any that confirms is a pass here, and all are shown.
        names = [absolute(text) for text in reverse.values[:PTR_NAMES]]
        statements = await asyncio.gather(*(self._forward(server, n, known) for n in names))
        failed = next((s.kind for s in statements if not s.kind.answered), None)
        if any(address in s.values for s in statements):
            result = Iprev.PASS
        elif failed is not None:
            result = Iprev.TEMPERROR
        else:
            result = Iprev.FAIL
        return IprevResult(result, tuple(sorted({shown(n) for n in names})), reverse.ttl, failed)

    async def _forward(
        self, server: Server, name: dns.name.Name, known: dict[dns.name.Name, Statement]
    ) -> Statement:
        if name not in known:
            known[name] = await self._look_up(server, name, dns.rdatatype.A)
        return known[name]

    async def _look_up(
        self, server: Server, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> Statement:
        try:
            reply = await self._ask("resolver", server, name, rdtype, recurse=True)
        except DnsTimeout:
            return Statement(AnswerKind.TIMEOUT)
        said = read_recursive(reply, name, rdtype)
        self._ask.count("resolver", said.kind)
        return said
