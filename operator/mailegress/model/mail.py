"""What DNS says about mail: SPF, DMARC, IPv6 and DNSSEC of a hostname and of sender domains."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailegress.api.text import clean_text, enumerated

_DETAIL: Final = 160
"""Characters of a term of an SPF record, which a third party wrote."""


class SpfResult(enum.Enum):
    """RFC 7208, section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Spf:
    """The result for one address. ``detail``: the term that matched, or what is wrong with the record."""

    result: SpfResult
    detail: str = ""
    lookups: int = 0
    """Terms that cause DNS lookups, of 10 that are allowed."""


class Dmarc(enum.Enum):
    """Whether a domain has a DMARC policy."""

    FOUND = "found"
    MISSING = "missing"
    SEVERAL = "several"
    """Receivers ignore all of them (RFC 7489, section 6.6.3)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MailReport:
    """One reading about one hostname. What gave no answer is None, absent, UNKNOWN or a temperror."""

    hostname: str
    addresses: frozenset[str]
    """For which SPF was evaluated."""
    domains: frozenset[str]
    """The sender domains that were asked about."""
    ipv6: tuple[str, ...] | None = None
    """Values of the AAAA record; None: no answer."""
    bogus: bool | None = None
    """Does a resolver answer only if it does not validate (DNSSEC)? None: not known."""
    helo: Mapping[str, Spf] = field(default_factory=dict)
    """SPF of the hostname itself, by address."""
    senders: Mapping[str, Mapping[str, Spf]] = field(default_factory=dict)
    """SPF of each sender domain, by address."""
    dmarc: Mapping[str, Dmarc] = field(default_factory=dict)
    """By sender domain."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the mail records of one domain. ``mild``: nothing is stated; otherwise something wrong is."""

    found: str
    mild: bool
    addresses: tuple[str, ...] = ()


def spf_problem(domain: str, results: Mapping[str, Spf], addresses: Sequence[str]) -> Problem | None:
    """SPF of one domain for these addresses, all of which have a result that is not a temperror; None: it passes."""
    by_result: dict[Spf, list[str]] = {}
    for address in addresses:
        if results[address].result is not SpfResult.PASS:
            by_result.setdefault(results[address], []).append(address)
    if not by_result:
        return None
    spf, first = next(iter(by_result.items()))
    failed = [address for each in by_result.values() for address in each]
    mild = all(each.result in (SpfResult.NONE, SpfResult.NEUTRAL) for each in by_result)
    if spf.result is SpfResult.NONE:
        found = f"{domain}: no SPF record, so nothing states that {enumerated(failed)} may send."
    else:
        result = f"{spf.result.value} for {enumerated(first)}, not pass"
        term = clean_text(spf.detail, _DETAIL)
        found = f"{domain}: SPF is {result} ({term}; {spf.lookups} of 10 lookups)."
    return Problem(found, mild, tuple(failed))


def spf_known(results: Mapping[str, Spf], addresses: Sequence[str]) -> bool:
    """Was SPF of one domain evaluated for all of these addresses?"""
    return all(a in results and results[a].result is not SpfResult.TEMPERROR for a in addresses)


def dmarc_problem(domain: str, dmarc: Dmarc) -> Problem | None:
    """None: there is one policy, or it is not known."""
    match dmarc:
        case Dmarc.MISSING:
            return Problem(f"{domain}: no DMARC policy at _dmarc.{domain} or above it.", mild=True)
        case Dmarc.SEVERAL:
            found = f"{domain}: several DMARC policies at one name, which receivers ignore."
            return Problem(found, mild=False)
        case _:
            return None


def ipv6_found(hostname: str, values: Sequence[str]) -> str:
    return f"{hostname} has an AAAA record ({enumerated(sorted(values))}), and no PTR is set for IPv6."


def bogus_found(hostname: str) -> str:
    return f"DNSSEC validation of {hostname} fails: a public resolver answers only without it."


class NoRoute(enum.StrEnum):
    """Why there is no server to connect to."""

    NO_DOMAIN = "noDomain"
    """The domain does not exist."""
    NULL_MX = "nullMX"
    """The domain takes no mail (RFC 7505)."""
    NO_ADDRESS = "noAddress"
    """Neither the mail servers nor the domain have an address."""
    IPV6_ONLY = "ipv6Only"
    """There are only IPv6 addresses, and an Elastic IP is IPv4."""
    NO_ANSWER = "noAnswer"
    """No resolver gives an answer."""


class NoMailServer(Exception):
    """There is no server to connect to. The message names what was asked and answered."""

    def __init__(self, kind: NoRoute, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class MailServer:
    """``host`` without trailing dot, and its first IPv4 address."""

    host: str
    address: str
