"""What name servers and public resolvers answer."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# ---------------------------------------------------------------- DNS


class AnswerKind(enum.Enum):
    """What one server said."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    LAME = "lame"
    """An answer without AA from a server that should be authoritative."""
    INTERCEPTED = "intercepted"
    """RA set and AA clear: something else answered on port 53."""
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    """The reply was refused unread: more than 4,096 bytes or 256 records."""
    NOT_PUBLIC = "not-public"
    """The server was not asked, because none of its addresses is globally routable."""
    NOT_ASKED = "not-asked"
    """The server was not asked, because the zone has more than 16 name servers."""

    @property
    def answered(self) -> bool:
        """A statement about the name's data, as opposed to no answer."""
        return self in (AnswerKind.ANSWER, AnswerKind.NODATA, AnswerKind.NXDOMAIN)


class Listed(enum.Enum):
    """Which NS record sets name a server: resolvers follow the parent's, and the zone's own once they know it."""

    BOTH = "both"
    """Both of them, or the zone's own is not known."""
    PARENT = "parent"
    """Only the parent's (the delegation)."""
    ZONE = "zone"
    """Only the zone's own."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server's answer to ``hostname A`` (CNAMEs chased to their own authorities)."""

    server: str
    kind: AnswerKind
    addresses: frozenset[str] = frozenset()
    ttl: int = 0
    """Seconds: the record's TTL, or the negative TTL of RFC 2308."""
    cname: str = ""
    mark: tuple[str, ...] | None = None
    """Values of the ownership TXT beside the name, quoted, if the server was asked for it and answered."""
    listed: Listed = Listed.BOTH


@dataclass(frozen=True, slots=True)
class Expected:
    """What a server answers for a record that is as it should be."""

    addresses: frozenset[str]
    exact: bool
    """The record holds nothing else and is no alias; otherwise others keep it."""
    mark: tuple[str, ...] | None = None
    """Values of its ownership TXT. None: any."""

    def record_in(self, answer: ServerAnswer) -> bool:
        """Is the A record as it should be?"""
        if answer.kind is not AnswerKind.ANSWER:
            return False
        if self.exact:
            return answer.addresses == self.addresses and not answer.cname
        return self.addresses <= answer.addresses

    def met_by(self, answer: ServerAnswer) -> bool:
        """Is its ownership TXT, too? A server that does not return that says nothing against it."""
        known = self.mark is not None and answer.mark is not None
        return self.record_in(answer) and (not known or set(answer.mark or ()) == set(self.mark or ()))


@dataclass(frozen=True, slots=True)
class AuthorityReport:
    """Every authoritative server's answer, found by walking down from the root.

    ``zone`` is the zone cut that the *world* uses for the hostname and ``name_servers`` its NS set as the parent
    publishes it: comparing them with a hosted zone tells whether that zone is delegated. ``answers`` also holds those
    of servers that only the zone's own NS set names.
    """

    hostname: str
    zone: str
    name_servers: frozenset[str]
    answers: tuple[ServerAnswer, ...]
    ns_ttl: int
    """Seconds: the TTL of the parent's NS record set."""

    def agreed(self) -> frozenset[str]:
        """The addresses that every server returns. One without a usable answer says nothing about the record."""
        usable = [answer.addresses for answer in self.answers if answer.kind.answered]
        return frozenset.intersection(*usable) if usable else frozenset()


@dataclass(frozen=True, slots=True)
class Delegated:
    """To which hosted zone the parent delegates, as the readings of this process show it."""

    zone_id: str
    """Empty = not, or not only, to the chosen zone."""
    since: float
    """When the first of the readings in a row that show it began."""
    hold: int
    """Seconds after ``since`` for which resolvers may follow the NS record set before it."""
    ttl: int
    """Of the NS record set, as last read."""

    @property
    def until(self) -> float:
        """Loop time from which no resolver follows the delegation before this one."""
        return self.since + self.hold


@dataclass(frozen=True, slots=True)
class Delegation:
    """The NS set the parent publishes for a zone; empty = not delegated."""

    zone: str
    name_servers: frozenset[str]


class Iprev(enum.Enum):
    """RFC 8601 section 2.7.3."""

    PASS = "pass"
    FAIL = "fail"
    """A PTR exists, and its forward look-up does not show the address."""
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    """No PTR is published."""


@dataclass(frozen=True, slots=True)
class IprevResult:
    result: Iprev
    names: tuple[str, ...] = ()
    """PTR names seen, sorted."""
    ttl: int = 0
    cause: AnswerKind | None = field(default=None, compare=False)
    """What was answered instead of an answer, where the result is TEMPERROR."""


@dataclass(frozen=True, slots=True)
class ResolverAnswer:
    """What one public resolver says of the hostname and of each address."""

    resolver: str
    forward: ServerAnswer
    reverse: Mapping[str, IprevResult]


@dataclass(frozen=True, slots=True)
class PointerAnswer:
    """What one server of an address's reverse zone answers for its PTR."""

    server: str
    kind: AnswerKind
    names: tuple[str, ...] = ()
    """PTR names, sorted."""


@dataclass(frozen=True, slots=True)
class ResolverReport:
    hostname: str
    addresses: frozenset[str]
    """The addresses whose PTR was asked for."""
    answers: tuple[ResolverAnswer, ...]
    pointers: Mapping[str, tuple[PointerAnswer, ...]] = field(default_factory=dict)
    """What each server of an address's reverse zone answers; nothing where they could not be asked."""

    def says_the_same(self, other: ResolverReport) -> bool:
        """Whatever the TTLs, which differ from one answer to the next."""
        return _without_ttls(self) == _without_ttls(other)


def _without_ttls(report: ResolverReport) -> ResolverReport:
    answers = tuple(
        ResolverAnswer(
            each.resolver,
            replace(each.forward, ttl=0),
            {ip: replace(result, ttl=0) for ip, result in each.reverse.items()},
        )
        for each in report.answers
    )
    return replace(report, answers=answers)
