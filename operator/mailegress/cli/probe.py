"""``mailegress smtp-probe``: what `kubectl mailegress probe` runs in its pod. Not for people, so no help lists it."""

from __future__ import annotations

from typing import Annotated

import typer

from mailegress.cli import values
from mailegress.cli.check import EXIT_USAGE


def smtp_probe(
    target: Annotated[str, typer.Argument(help="Domain or IPv4 address.", metavar="DOMAIN|ADDRESS")],
    helo: Annotated[str, typer.Option(help="Name to greet with.", metavar="HOSTNAME")],
    resolvers: Annotated[
        str, typer.Option(help="Resolvers. Default: those of this machine.", metavar="ADDRESSES")
    ] = "",
    address_from: Annotated[
        str, typer.Option(help="URL that answers with its caller's address.", metavar="URL")
    ] = "",
    timeout_seconds: Annotated[
        str, typer.Option(help="Seconds to wait for the connection; for a reply, three times as long.")
    ] = "20",
    report: Annotated[
        str, typer.Option(help="File for the report. Default: standard output.", metavar="FILE")
    ] = "",
) -> None:
    """Connect once to port 25 of a domain's mail server, greet, leave, and report as JSON."""
    try:
        servers = values.each(values.server)(resolvers)
        seconds = values.seconds(1, 120)(timeout_seconds)
    except ValueError as error:
        typer.echo(f"mailegress smtp-probe: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    from mailegress.dns.settings import named_server
    from mailegress.tools.probe.command import Wanted, run

    named = tuple(named_server(*address) for address in servers)
    raise typer.Exit(run(Wanted(target, helo, named, address_from, seconds), report))
