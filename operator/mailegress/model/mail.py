"""What DNS says about mail: SPF, DMARC, IPv6 and DNSSEC of a hostname and of sender domains."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


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
