"""What one check found: values without I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailegress.model.dns import AuthorityReport, IprevResult, PointerAnswer, ResolverReport
from mailegress.model.mail import MailReport


class Outcome(enum.Enum):
    """``value`` is the word in the output, ``code`` the exit code."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"
    """No verdict: those who know did not answer."""

    @property
    def code(self) -> int:
        return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.NONE: 2}[self]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason``: the operator's word for it (docs/reference.md). ``found``: what is wrong; ``remedy``: what to do."""

    outcome: Outcome
    reason: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read. Parts that were not asked for are empty."""

    authorities: AuthorityReport | None = None
    again: AuthorityReport | None = None
    """The same, read a second time."""
    trouble: str = ""
    """Why the authorities could not be read."""
    wanted: frozenset[str] = frozenset()
    """The addresses from which the hostname is said to send."""
    pointers: Mapping[str, tuple[PointerAnswer, ...]] = field(default_factory=dict)
    """What the servers of the reverse zones answer."""
    public: ResolverReport | None = None
    mail: MailReport | None = None
    """SPF, DMARC, AAAA and DNSSEC; read only if nothing is wrong with A record and PTR at the source."""
    iprev: Mapping[str, IprevResult] = field(default_factory=dict)
    """What resolvers see from the address alone, by resolver; read only for an address without a usable PTR."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that changes no verdict. ``code`` is stable."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One subject, its verdict and the evidence."""

    subject: str
    hostname: str
    """The subject, or the name in the PTR of the subject; empty if there is none."""
    verdict: Verdict
    evidence: Evidence
    notes: tuple[Note, ...] = ()


def worst(outcomes: tuple[Outcome, ...]) -> Outcome:
    """A failure counts more than no verdict."""
    for outcome in (Outcome.FAIL, Outcome.NONE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS
