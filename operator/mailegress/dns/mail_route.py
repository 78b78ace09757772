"""Which server takes the mail of a domain (RFC 5321 section 5.1), as the resolvers of this machine answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import dns.rdatatype

from mailegress.dns.budget import Budget
from mailegress.dns.counted_query import Asker
from mailegress.dns.query import DnsQuery, DnsTimeout, Server
from mailegress.dns.readings import Clock, Sleep
from mailegress.dns.replies import Statement, absolute, read_recursive
from mailegress.dns.settings import DnsSettings, named_server
from mailegress.model.dns import AnswerKind
from mailegress.model.mail import MailServer, NoMailServer, NoRoute

EXCHANGES = 5
"""Mail servers whose address is looked for, best first: RFC 5321 wants a client to try at least two."""


class _Uncounted:
    def dns_query(self, role: str, result: str) -> None:
        """Nobody reads metrics of a command."""


class MailRoutes:
    """Asks the resolvers of ``settings`` in turn, the next one only where one gives no answer."""

    def __init__(self, settings: DnsSettings, query: DnsQuery, clock: Clock, sleep: Sleep) -> None:
        self._servers = settings.resolvers
        self._ask = Asker(query, _Uncounted(), settings, clock)
        self._sleep = sleep

    async def find(self, domain: str) -> MailServer:
        """The best mail server that has an IPv4 address. Errors: :class:`NoMailServer`."""
        try:
            return await Budget("", domain).run(self._find(domain), self._sleep)
        except DnsTimeout as error:
            raise NoMailServer(NoRoute.NO_ANSWER, f"{domain} MX: {error}") from None

    async def _find(self, domain: str) -> MailServer:
        said = await self._look_up(domain, "MX")
        if said.kind is AnswerKind.NXDOMAIN:
            raise NoMailServer(NoRoute.NO_DOMAIN, f"{domain} does not exist")
        exchanges = [value.removesuffix(".") for value in said.values]
        if exchanges and not any(exchanges):
            raise NoMailServer(NoRoute.NULL_MX, f"{domain} has a null MX")
        # Without MX records, the domain itself is the mail server (the implicit MX).
        hosts = [host for host in exchanges if host][:EXCHANGES] or [domain]
        for host in hosts:
            found = await self._look_up(host, "A")
            if found.values:
                return MailServer(host, found.values[0])
        shown = ", ".join(hosts)
        for host in hosts:
            if (await self._look_up(host, "AAAA")).values:
                raise NoMailServer(NoRoute.IPV6_ONLY, f"{shown} has IPv6 addresses only")
        raise NoMailServer(NoRoute.NO_ADDRESS, f"{shown} has no address")

    async def _look_up(self, name: str, rtype: str) -> Statement:
        asked, kind = absolute(name), dns.rdatatype.from_text(rtype)
        tried = []
        for server in self._servers:
            try:
                said = read_recursive(
                    await self._ask("resolver", server, asked, kind, recurse=True), asked, kind
                )
            except DnsTimeout:
                said = Statement(AnswerKind.TIMEOUT)
            if said.kind.answered:
                return said
            tried.append(f"{server}: {said.kind.value}")
        raise NoMailServer(
            NoRoute.NO_ANSWER, f"no answer for {name} {rtype} ({', '.join(tried) or 'no resolver'})"
        )


def mail_routes(resolvers: Sequence[Server], query: DnsQuery, clock: Clock, sleep: Sleep) -> MailRoutes:
    """Over ``query``, with these resolvers."""
    return MailRoutes(replace(DnsSettings(), resolvers=tuple(resolvers)), query, clock, sleep)


def system_resolvers(resolv_conf: str) -> tuple[Server, ...]:
    """The name servers in the text of a resolv.conf, at most three as in libc (resolv.conf(5))."""
    words = (line.split() for line in resolv_conf.splitlines())
    addresses = [each[1].partition("%")[0] for each in words if len(each) > 1 and each[0] == "nameserver"]
    return tuple(named_server(address, 53) for address in addresses[:3])
