"""What a person wrote on the command line: a hostname or an IPv4 address. Everything else gets a remedy."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mailegress.api.limits import HOSTNAME_LENGTH, SENDER_DOMAINS
from mailegress.api.text import clean_text
from mailegress.api.validation import is_hostname, is_public_ipv4

MOST = 16
"""Names and addresses of one call."""

_SHOWN = 80


class SubjectError(ValueError):
    """It cannot be checked; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class Subject:
    """``hostname`` or ``address`` is set, in the form in which the operator compares them."""

    text: str
    hostname: str = ""
    address: str = ""


def subjects(texts: Sequence[str]) -> tuple[Subject, ...]:
    """Each once, in the order given. Errors: :class:`SubjectError`."""
    if len(texts) > MOST:
        raise SubjectError(f"{len(texts)} names and addresses are given; give at most {MOST} in one call")
    return tuple(dict.fromkeys(subject(text) for text in texts))


def subject(text: str) -> Subject:
    """Errors: :class:`SubjectError`."""
    shown = clean_text(repr(text), _SHOWN)
    if not text.strip():
        raise SubjectError("an empty name is given; give a hostname or an IPv4 address")
    if not text.isprintable() or text != text.strip() or " " in text:
        raise SubjectError(
            f"{shown} contains spaces or control characters; give one name or address without them"
        )
    problem = _address_problem(text)
    if problem:
        raise SubjectError(f"{shown} {problem}")
    if is_public_ipv4(text):
        return Subject(text, address=text)
    name = text.lower()
    if is_hostname(name):
        return Subject(name, hostname=name)
    raise SubjectError(f"{shown} {_name_problem(text)}")


def sender_domains(texts: Sequence[str]) -> frozenset[str]:
    """Errors: :class:`SubjectError`."""
    if len(texts) > SENDER_DOMAINS:
        raise SubjectError(
            f"{len(texts)} sender domains are given; give at most {SENDER_DOMAINS} in one call"
        )
    domains = frozenset(text.lower() for text in texts)
    for text in texts:
        if not is_hostname(text.lower()):
            shown = clean_text(repr(text), _SHOWN)
            raise SubjectError(
                f"--sender-domain {shown} is not a domain; give what follows the @ in the address of the sender, "
                "without a trailing dot, such as example.com"
            )
    return domains


def _address_problem(text: str) -> str:
    """Why something that looks like an address is none that can be checked; empty for anything else."""
    host, slash, _ = text.partition("/")
    if slash and _parsed(host) is not None:
        return "is an address range; give the single addresses from which mail leaves"
    address = _parsed(text.removeprefix("[").removesuffix("]").partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return "is an IPv6 address; an Elastic IP is IPv4, give the IPv4 address from which mail leaves"
    if address is not None and not is_public_ipv4(text):
        return "is not a public address; give the address that receivers see, for example that of the NAT gateway"
    head, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        return f"has a port; give {clean_text(head, _SHOWN)} without it"
    if address is None and text.strip(".") and set(text) <= set("0123456789."):
        return "is not an IPv4 address; give four numbers from 0 to 255, such as 203.0.113.10"
    return ""


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _name_problem(text: str) -> str:
    """Why it is no hostname."""
    if not text.isascii():
        return "has characters outside of ASCII; give the name as DNS has it (xn--…), as `idn` or `idn2` prints it"
    if "://" in text or "/" in text:
        return "is a URL or a path; give the hostname alone, such as mta.example.com"
    if "@" in text:
        return "is a mail address; give the hostname from which the mail leaves, such as mta.example.com"
    if text.endswith("."):
        return (
            f"ends with a dot; give {clean_text(text.rstrip('.'), _SHOWN)}"
            if text.strip(".")
            else "is the root"
        )
    if len(text) > HOSTNAME_LENGTH:
        return f"is longer than {HOSTNAME_LENGTH} characters, the most that a MailEgress takes; give a shorter hostname"
    if any(len(label) > 63 for label in text.split(".")):
        return "has a label of more than 63 characters, which no name in DNS has; give a shorter hostname"
    if "." not in text:
        return "is a single label; give the full name, such as mta.example.com"
    if "_" in text or "*" in text:
        return "is no hostname: `_` and `*` do not occur in one; give the name in the A record of the mail server"
    return "is neither a hostname nor an IPv4 address; give one such as mta.example.com or 203.0.113.10"
