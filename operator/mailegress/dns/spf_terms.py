"""The syntax of SPF records (RFC 7208, sections 4.6.1, 5, 6 and 7). A record is judged as a whole before it is used."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_EXPAND: Final = r"%\{[slodiphv](?:[1-9][0-9]*|)r?[-.+,/_=]*\}"
_LITERAL: Final = r"[\x21-\x24\x26-\x7e]"
_MACRO: Final = rf"(?:{_EXPAND}|%%|%_|%-|{_LITERAL})"
_EXPLAIN: Final = rf"(?:{_EXPAND.replace('slodiphv', 'slodiphvcrt')}|%%|%_|%-|{_LITERAL})"
_TOP: Final = r"(?=[0-9]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
"""A label with a letter or a hyphen in it, without a hyphen at its ends."""

_DOMAIN: Final = re.compile(rf"{_MACRO}*(?:\.{_TOP}\.?|{_EXPAND})", re.IGNORECASE)
_STRING: Final = re.compile(rf"{_EXPLAIN}*", re.IGNORECASE)
_TERM: Final = re.compile(r"([-+?~]?)([a-z][a-z0-9_.-]*)(.*)", re.IGNORECASE | re.DOTALL)
_NUMBER: Final = r"(?:0|[1-9][0-9]{0,2})"
_LENGTHS: Final = re.compile(rf"(?:/({_NUMBER}))?(?://({_NUMBER}))?$")
LETTER: Final = re.compile(r"%\{([a-z])([0-9]*)(r?)([-.+,/_=]*)\}|%%|%_|%-", re.IGNORECASE)

VERSION: Final = "v=spf1"


class SpfSyntaxError(ValueError):
    """The record breaks a rule of RFC 7208; receivers answer permerror."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One directive. ``domain`` is not expanded yet; None: the present domain."""

    text: str
    qualifier: str
    name: str
    domain: str | None = None
    network: ipaddress.IPv4Network | None = None
    prefix: int = 32


@dataclass(frozen=True, slots=True)
class Policy:
    mechanisms: tuple[Mechanism, ...]
    redirect: str | None = None


def policies(texts: Sequence[str]) -> list[str]:
    """Those of the TXT values that are SPF records."""
    return [t for t in texts if t.lower() == VERSION or t.lower().startswith(f"{VERSION} ")]


@functools.lru_cache(maxsize=256)
def parse(record: str) -> Policy:
    """Kept, because one record is evaluated for each address. Errors: :class:`SpfSyntaxError`."""
    if not record.isascii():
        raise SpfSyntaxError("the record contains a character that is not ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in record[len(VERSION) :].split(" "):
        if not term:
            continue
        found = _TERM.fullmatch(term)
        if found is None:
            raise SpfSyntaxError(f"{term} is not a term")
        qualifier, name, rest = found[1], found[2].lower(), found[3]
        if rest.startswith("=") and not qualifier:
            _modifier(term, name, rest[1:], modifiers)
        else:
            mechanisms.append(_mechanism(term, qualifier or "+", name, rest))
    return Policy(tuple(mechanisms), modifiers.get("redirect"))


def _modifier(term: str, name: str, value: str, known: dict[str, str]) -> None:
    if name not in ("redirect", "exp"):
        if _STRING.fullmatch(value) is None:
            raise SpfSyntaxError(f"{term} is not a modifier")
        return
    if name in known:
        raise SpfSyntaxError(f"the record has {name}= twice")
    if _DOMAIN.fullmatch(value) is None:
        raise SpfSyntaxError(f"{term} names no domain")
    known[name] = value


def _mechanism(term: str, qualifier: str, name: str, rest: str) -> Mechanism:
    match name:
        case "all" if not rest:
            return Mechanism(term, qualifier, name)
        case "include" | "exists" if rest.startswith(":"):
            return Mechanism(term, qualifier, name, _domain(term, rest[1:]))
        case "ptr" if not rest or rest.startswith(":"):
            return Mechanism(term, qualifier, name, _domain(term, rest[1:]) if rest else None)
        case "a" | "mx":
            lengths = _LENGTHS.search(rest)
            assert lengths is not None
            domain = rest[: lengths.start()]
            if domain and not domain.startswith(":"):
                raise SpfSyntaxError(f"{term} is not a mechanism")
            prefix = _length(term, lengths[1], 32)
            _length(term, lengths[2], 128)
            return Mechanism(
                term, qualifier, name, _domain(term, domain[1:]) if domain else None, prefix=prefix
            )
        case "ip4" | "ip6" if rest.startswith(":"):
            return Mechanism(term, qualifier, name, network=_network(term, name, rest[1:]))
        case _:
            raise SpfSyntaxError(f"{term} is not a mechanism")


def _domain(term: str, text: str) -> str:
    if _DOMAIN.fullmatch(text) is None:
        raise SpfSyntaxError(f"{term} names no domain")
    return text


def _length(term: str, text: str | None, most: int) -> int:
    if text is None:
        return most
    if int(text) > most:
        raise SpfSyntaxError(f"{term} has a prefix length above {most}")
    return int(text)


def _network(term: str, name: str, text: str) -> ipaddress.IPv4Network | None:
    """None for IPv6, which no Elastic IP is."""
    address, slash, length = text.partition("/")
    if slash and re.fullmatch(_NUMBER, length) is None:
        raise SpfSyntaxError(f"{term} is not a network")
    prefix = _length(term, length if slash else None, 32 if name == "ip4" else 128)
    try:
        if name == "ip6":
            ipaddress.IPv6Address(address)
            return None
        return ipaddress.IPv4Network((address, prefix), strict=False)
    except ValueError:
        raise SpfSyntaxError(f"{term} is not a network") from None
