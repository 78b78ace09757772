"""``mailegress smtp-probe``: what runs in the probe's pod. One connection; the report goes to a file or to stdout."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailegress.dns.mail_route import mail_routes, system_resolvers
from mailegress.dns.query import Server
from mailegress.dns.settings import DnsSettings
from mailegress.dns.wiring import wire_query
from mailegress.model.mail import MailServer, NoMailServer
from mailegress.tools.probe.echo import ask_echo
from mailegress.tools.probe.report import Report
from mailegress.tools.probe.smtp import PORT, Connection, Conversation, converse

RESOLV_CONF = Path("/etc/resolv.conf")
REPLY_FACTOR = 3
"""A reply may take so many times as long as the connection: some servers greet slowly on purpose."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``target``: a domain, or the IPv4 address of a server. ``resolvers``: empty = those of this machine.

    ``echo``: URL of a service that answers with its caller's address; empty = none is asked.
    """

    target: str
    helo: str
    resolvers: Sequence[Server] = ()
    echo: str = ""
    seconds: float = 20.0
    port: int = PORT


def run(wanted: Wanted, report: str) -> int:
    """Write the report to the file, or print it if the path is empty. The exit code is 0 whatever was found."""
    text = asyncio.run(probe(wanted)).to_text()
    if report:
        Path(report).write_text(text, encoding="utf-8")
    else:
        sys.stdout.buffer.write(text.encode() + b"\n")
    return 0


async def probe(wanted: Wanted) -> Report:
    """Find the server, connect to it once, and ask the echo service if one is named."""
    server = MailServer("", "")
    no_route = None
    try:
        server = await _server(wanted)
        talk = await converse(
            server.address, wanted.helo, wanted.seconds, REPLY_FACTOR * wanted.seconds, wanted.port
        )
    except NoMailServer as error:
        talk, no_route = Conversation(Connection.NOT_TRIED, problem=str(error)), error.kind
    echo = await ask_echo(wanted.echo, wanted.seconds) if wanted.echo else None
    return Report(server.host, server.address, talk, no_route, echo)


async def _server(wanted: Wanted) -> MailServer:
    try:
        address = str(ipaddress.IPv4Address(wanted.target))
    except ValueError:
        pass
    else:
        return MailServer(address, address)
    loop = asyncio.get_running_loop()
    resolvers = tuple(wanted.resolvers) or system_resolvers(await asyncio.to_thread(_resolv_conf))
    routes = mail_routes(resolvers, wire_query(DnsSettings()), loop.time, asyncio.sleep)
    return await routes.find(wanted.target)


def _resolv_conf() -> str:
    try:
        return RESOLV_CONF.read_text(errors="replace")
    except OSError:
        return ""
