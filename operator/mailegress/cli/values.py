"""Parsers of setting values.

Each takes the text a user wrote and returns the typed value, or raises ``ValueError`` whose message says what
is wrong and what to write instead. The offending text itself is quoted by the caller.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Parser = Callable[[str], T]

_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}")
# IAM and AWS STS quotas: a role name with its path is at most 512 + 64 characters of this alphabet.
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
# AssumeRole, parameter ExternalId: 2 to 1,224 characters of this alphabet.
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_OWNER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
# RFC 1123 label, as Kubernetes wants a namespace's name.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})")


def seconds(low: float, high: float) -> Parser[float]:
    """Seconds, fractions allowed, between two bounds (inclusive)."""
    return _number(low, high, "seconds")


def rate(low: float, high: float) -> Parser[float]:
    """A number per second, fractions allowed."""
    return _number(low, high, "a rate per second")


def milliseconds(low: float, high: float) -> Parser[float]:
    return _number(low, high, "milliseconds")


def percent(text: str) -> float:
    return _number(0, 100, "a percentage")(text)


def _number(low: float, high: float, what: str) -> Parser[float]:
    def parse(text: str) -> float:
        remedy = f"give {what} from {low:g} to {high:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"is not a number; {remedy}") from None
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"is out of bounds; {remedy}")
        return value

    return parse


def count(low: int, high: int) -> Parser[int]:
    """A whole number between two bounds (inclusive)."""

    def parse(text: str) -> int:
        remedy = f"give a whole number from {low} to {high}"
        if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
            raise ValueError(f"is not a whole number; {remedy}")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"is out of bounds; {remedy}")
        return value

    return parse


def choice(*options: str) -> Parser[str]:
    def parse(text: str) -> str:
        value = text.lower()
        if value not in options:
            raise ValueError(f"is not known; give one of {', '.join(options)}")
        return value

    return parse


def member(kind: type[E]) -> Parser[E]:
    """A value of an enumeration, in upper or lower case."""

    def parse(text: str) -> E:
        found = next((each for each in kind if each.value.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"is not known; give one of {', '.join(kind)}")
        return found

    return parse


def switch(text: str) -> bool:
    value = text.lower()
    if value in {"on", "true", "yes", "1"}:
        return True
    if value in {"off", "false", "no", "0"}:
        return False
    raise ValueError("is neither on nor off; give on or off")


def each(parse_item: Parser[T]) -> Parser[tuple[T, ...]]:
    """A comma-separated list without repetitions; empty text is the empty list."""

    def parse(text: str) -> tuple[T, ...]:
        items: list[T] = []
        for part in (part.strip() for part in text.split(",")):
            if not part:
                if text.strip():
                    raise ValueError("has an empty item; remove the surplus comma")
                continue
            try:
                item = parse_item(part)
            except ValueError as error:
                raise ValueError(f"has the item {part!r}, which {error}") from None
            if item in items:
                raise ValueError(f"names {part!r} twice; name it once")
            items.append(item)
        return tuple(items)

    return parse


def address_range(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("is not an address range; give one such as 192.0.2.0/24 or 2001:db8::/32") from None


def region(text: str) -> str:
    # An availability zone (us-east-1a) or a Local Zone (us-west-2-lax-1a) begins with the name of its region.
    zone = re.match(f"{_REGION.pattern}(?=[a-z-])", text)
    give = (
        f"an availability zone is no region; give {zone[0]}"
        if zone
        else "give a region's code such as eu-west-1"
    )
    return _matching(_REGION, text, f"is not an AWS region; {give}")


def role_arn(text: str) -> str:
    if not text:
        return ""
    return _matching(
        _ROLE_ARN,
        text,
        "is not the ARN of an IAM role; give one such as arn:aws:iam::111122223333:role/mailegress-zone",
    )


def external_id(text: str) -> str:
    if not text:
        return ""
    return _matching(
        _EXTERNAL_ID, text, "is not an external ID; give 2 to 1224 letters, digits or any of _+=,.@:/-"
    )


def owner_id(text: str) -> str:
    return _matching(
        _OWNER_ID,
        text,
        "is not an owner ID; give 1 to 16 lower-case letters, digits or hyphens, a hyphen not first",
    )


def optional_owner_id(text: str) -> str:
    return owner_id(text) if text else ""


def namespace(text: str) -> str:
    return _matching(
        _LABEL,
        text,
        "is not a namespace's name; give lower-case letters, digits and inner hyphens, at most 63",
    )


def _matching(pattern: re.Pattern[str], text: str, problem: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(problem)
    return text


def server(text: str) -> tuple[str, int]:
    """``address``, ``address:port`` or ``[IPv6]:port``; port 53 by default.

    Only addresses: a name would have to be looked up with the pod's resolver, which is never evidence.
    """
    host, port = split_host_port(text, default_port=53)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(
            "is not an IP address; give address or address:port, such as 192.0.2.1:5353"
        ) from None
    if port == 0:
        raise ValueError("has port 0; give a port from 1 to 65535")
    return str(address), port


def resolvers(text: str) -> tuple[tuple[str, int], ...]:
    """A list of :func:`server`; ``off`` is the empty list."""
    return () if text.strip().lower() == "off" else each(server)(text)


def listen_address(text: str) -> tuple[str, int]:
    """``host:port``; port 0 lets the system choose."""
    host, port = split_host_port(text, default_port=-1)
    if port < 0:
        raise ValueError("names no port; give host:port, such as 0.0.0.0:8080")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ValueError("is not a listen address; give host:port, such as 0.0.0.0:8080") from None
    return host, port


def split_host_port(text: str, default_port: int) -> tuple[str, int]:
    """Split off the port; an IPv6 address with one stands in brackets (RFC 3986 §3.2.2)."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("has an unclosed bracket; give [IPv6 address]:port")
        port_text = rest[1:] if rest else ""
        has_port = bool(rest)
    elif text.count(":") > 1:
        return text, default_port
    else:
        host, colon, port_text = text.partition(":")
        has_port = bool(colon)
    if not has_port:
        return host, default_port
    if not re.fullmatch(r"\d{1,5}", port_text, re.ASCII) or int(port_text) > 65535:
        raise ValueError("has a port that is not a number up to 65535; give host:port")
    return host, int(port_text)


def existing_file(text: str) -> str:
    if text and not Path(text).expanduser().is_file():
        raise ValueError("is not a file; give the path of a readable kubeconfig file")
    return text


def plain(text: str) -> str:
    return text
