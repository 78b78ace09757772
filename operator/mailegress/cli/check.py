"""``mailegress check HOSTNAME|IP…``: its options. What it does is in :mod:`mailegress.tools.check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from mailegress.cli import values
from mailegress.cli.settings import PREFIX

if TYPE_CHECKING:
    from mailegress.dns.settings import DnsSettings
    from mailegress.tools.check.subjects import Subject

T = TypeVar("T")

EXIT_USAGE = 2

_TEST_BED = "Test beds"

EXAMPLES = """
Examples:

mailegress check mta.example.com

mailegress check 203.0.113.10 203.0.113.11 -o json

mailegress check mta.example.com --sender-domain example.com
"""


Subjects = Annotated[
    list[str] | None,
    typer.Argument(
        help="Hostnames or IPv4 addresses, at most 16.", metavar="HOSTNAME|IP...", show_default=False
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", help="text, or json for programs.", metavar="text|json")
]
SenderDomains = Annotated[
    list[str] | None,
    typer.Option(
        help="A domain whose mail leaves from these addresses: SPF and DMARC of it are noted. Repeat it for "
        "others, at most 16.",
        metavar="DOMAIN",
        show_default=False,
    ),
]
Resolvers = Annotated[
    str,
    typer.Option(
        help="Public resolvers, address or address:port, comma-separated; off = use none.",
        envvar=f"{PREFIX}DNS_RESOLVERS",
        metavar="ADDRESSES",
    ),
]
TimeoutSeconds = Annotated[
    str, typer.Option(help="Seconds to wait for one DNS answer.", envvar=f"{PREFIX}DNS_TIMEOUT_SECONDS")
]
Roots = Annotated[
    str,
    typer.Option(
        help="Root name servers, address or address:port. Default: the public root servers.",
        envvar=f"{PREFIX}DNS_ROOTS",
        metavar="ADDRESSES",
        rich_help_panel=_TEST_BED,
        show_default=False,
    ),
]
AuthorityPort = Annotated[
    str,
    typer.Option(
        help="Port of the name servers found by delegation.",
        envvar=f"{PREFIX}DNS_AUTHORITY_PORT",
        rich_help_panel=_TEST_BED,
    ),
]
ExtraRanges = Annotated[
    str,
    typer.Option(
        help="Address ranges (CIDR) of name servers that may be queried although they are not public.",
        envvar=f"{PREFIX}DNS_EXTRA_RANGES",
        metavar="RANGES",
        rich_help_panel=_TEST_BED,
        show_default=False,
    ),
]


def check(
    subjects: Subjects = None,
    output: Output = "text",
    sender_domain: SenderDomains = None,
    resolvers: Resolvers = "1.1.1.1,8.8.8.8,9.9.9.9",
    timeout_seconds: TimeoutSeconds = "2",
    roots: Roots = "",
    authority_port: AuthorityPort = "53",
    extra_ranges: ExtraRanges = "",
) -> None:
    """Check what a receiver of mail sees: do A record and PTR agree, for everybody?

    Every name server of the zone is asked from the root down, then the reverse zones, then public resolvers. SPF of the
    hostname and of sender domains is noted and changes no result. Neither a cluster nor AWS is needed.

    Exit code: 0 = they agree, 1 = they do not, 2 = no verdict, because those who know do not answer, or wrong usage.
    """
    named, domains = _named(subjects or [], sender_domain or [])
    if output not in ("text", "json"):
        _refuse(f"--output {output!r} is not known; give text or json")
    settings = _settings(resolvers, timeout_seconds, roots, authority_port, extra_ranges)
    if domains and not settings.resolvers:
        _refuse("--sender-domain needs public resolvers; leave out --resolvers off, or name resolvers")
    # Imported late: --help and a mistake do not wait for the DNS library.
    from mailegress.tools.check.command import run

    raise typer.Exit(run(named, settings, as_json=output == "json", sender_domains=domains))


def _named(texts: Sequence[str], senders: Sequence[str]) -> tuple[tuple[Subject, ...], frozenset[str]]:
    """The hostnames and addresses to check, and the sender domains."""
    if not texts:
        _refuse(
            "a hostname or an IPv4 address is missing, such as mta.example.com; "
            "to validate the operator's settings use `mailegress check-config`"
        )
    flag = next((text for text in texts if text.startswith("-")), None)
    if flag is not None:
        _refuse(
            f"{flag!r} is no option of this command; the operator's settings are validated by `mailegress check-config`"
        )
    from mailegress.tools.check.subjects import SubjectError, sender_domains, subjects

    try:
        return subjects(texts), sender_domains(senders)
    except SubjectError as error:
        _refuse(str(error))


def _settings(
    resolvers: str, timeout_seconds: str, roots: str, authority_port: str, extra_ranges: str
) -> DnsSettings:
    servers = _parsed("--resolvers", values.resolvers, resolvers)
    seconds = _parsed("--timeout-seconds", values.seconds(0.05, 60), timeout_seconds)
    root_servers = _parsed("--roots", values.each(values.server), roots)
    port = _parsed("--authority-port", values.count(1, 65535), authority_port)
    ranges = _parsed("--extra-ranges", values.each(values.address_range), extra_ranges)
    # Imported late: --help and a mistake do not wait for the DNS library.
    import ipaddress

    from mailegress.dns.settings import ROOT_HINTS, DnsSettings, named_server

    return DnsSettings(
        roots=tuple(named_server(*address) for address in root_servers) or ROOT_HINTS,
        authority_port=port,
        extra_ranges=tuple(ipaddress.ip_network(text) for text in ranges),
        resolvers=tuple(named_server(*address) for address in servers),
        timeout_seconds=seconds,
    )


def _parsed(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text.strip())
    except ValueError as error:
        _refuse(f"{flag}: {text!r} {error}")


def _refuse(problem: str) -> NoReturn:
    typer.echo(f"mailegress check: {problem}", err=True)
    raise typer.Exit(EXIT_USAGE)
