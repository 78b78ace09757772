"""What spam filters think of a hostname as the name of a mail server. Pure, and quick to import.

Two widely used filters score the name in a PTR or HELO. Their default rules are known, and this module answers what
they would say:

* rspamd (module ``hfilter``) looks for words of access networks, such as ``nat``, ``pool`` or ``dynamic``. A word
  counts if it is a part of a label between dots or hyphens, follows a digit, or precedes a hyphen or dot and a digit.
  It gives 0.5 to 3.0 points, where 4 points delay a message and 6 mark it as spam.
* SpamAssassin (``RDNS_DYNAMIC``, up to 2.6 points of 5) looks for numbers in the form of an address, and for words of
  access networks. Names with a word such as ``static`` or ``smtp`` are exempt.

Rules that name one internet provider are left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_RSPAMD_POINTS: Final = {5: 3.0, 4: 2.5, 3: 2.0, 2: 1.0, 1: 0.5}
"""Points of the default configuration, by the level of a word."""

_RSPAMD_WORDS: Final[dict[int, str]] = {
    5: "gprs cdma homeuser dhcp catv wifi dialup dial-up dynamic dyn dynip broadband broad bredband nat pptp pppoe ppp "
    "modem cablemodem comcast dsl-dynamic adsl-dynamic xdsl-dynamic",
    4: "dsl adsl xdsl dsl-line adsl-line xdsl-line inaddr in-addr pool fibertel fbx",
    3: "unused-addr cable kabel",
    2: "host",
    1: "customer customers user peer",
}
_TOUCHING_NUMBER: Final = re.compile(r"[ax]?dsl")
"""These words count with a digit directly behind them, too."""

_EXEMPT: Final = ("fix", "static", "dedicated", "smtp", "outbound-mail", "mail-mail")
"""Names that contain one of these are not dynamic for SpamAssassin."""

_SPAMASSASSIN: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # Four numbers with one character between each two, in a name of three labels or more.
        r"\d[^\d]\d+[^\d]\d+[^\d]\d.*\..+\..",
        # The word for an access network or its equipment, and two numbers behind it.
        r"(?:cm|catv|docsis|cable|dsl|dhcp|cpe|node).*\d[^\d]+\d",
        # Two numbers, and the word as a label behind them.
        r"\d[^\d]+\d.*\.(?:docsis|cable|a?dsl|dhcp|cpe)\.",
        # An address in hexadecimal digits.
        r"^0x[0-9a-f]{8}\.",
        # One number of an address as first label, and the others later.
        r"^\d+\..+\d[^\d]\d+[^\d]\d+[^\d]",
        # A hyphen, a letter with a number, and another number at the end of a label.
        r"^.+-[a-z]\d+-\d+\.",
        r".[.-]dyn(?:amic)?[.-]",
        r".[.-]dyn(?:amic)?\d",
        r".[.-](?:res|resnet|client|docsis|dhcp|cpe|catv)[.-]",
    )
)


@dataclass(frozen=True, slots=True)
class Lint:
    """What the filters say of one name. ``points`` 0 and ``dynamic`` False: nothing."""

    points: float = 0.0
    """What rspamd adds for the name."""
    word: str = ""
    """The word for which it does so."""
    dynamic: bool = False
    """Does SpamAssassin take it for the name of a dynamic address (``RDNS_DYNAMIC``)?"""

    @property
    def generic(self) -> bool:
        return self.points > 0 or self.dynamic


@functools.lru_cache(maxsize=4096)
def lint(hostname: str) -> Lint:
    """What rspamd and SpamAssassin say of a name."""
    name = hostname.lower().rstrip(".")
    level, word = _rspamd(name)
    return Lint(_RSPAMD_POINTS.get(level, 0.0), word, _spamassassin(name))


def scored(hostname: str) -> str:
    """What the filters score, as a sentence; empty if nothing."""
    said = lint(hostname)
    parts = []
    if said.points:
        parts.append(f'rspamd adds {said.points:.1f} to the spam score for "{said.word}"')
    if said.dynamic:
        parts.append("SpamAssassin scores it as RDNS_DYNAMIC")
    joined = ", and ".join(parts)
    return f"{hostname} looks like the name of a shared or dynamic address: {joined}." if parts else ""


def containing(hostname: str, address: str) -> str:
    """The sentence about a name that :func:`holds_address` found."""
    return f"{hostname} contains the address {address}, as the names of dynamic addresses do."


def holds_address(hostname: str, addresses: Iterable[str]) -> str | None:
    """The first of these IPv4 addresses that the name contains: its four numbers in any order, or in hexadecimal."""
    name = hostname.lower()
    numbers = [str(int(n)) for n in re.findall(r"\d{1,3}", name)]
    for address in addresses:
        octets = address.split(".")
        digits = "".join(f"{int(o):02x}" for o in octets)
        windows = (sorted(numbers[i : i + 4]) for i in range(len(numbers) - 3))
        if digits in re.sub(r"[.-]", "", name) or sorted(octets) in windows:
            return address
    return None


def _rspamd(name: str) -> tuple[int, str]:
    """The highest level of a word in the name, and the word."""
    for level, pattern in _RSPAMD:
        if (found := pattern.search(name)) is not None:
            return level, next(text for text in found.groups() if text)
    return 0, ""


def _spamassassin(name: str) -> bool:
    if any(word in name for word in _EXEMPT):
        return False
    return any(pattern.search(name) is not None for pattern in _SPAMASSASSIN)


def _forms(word: str) -> str:
    """The places at which a word counts."""
    between = "[.-]?" if _TOUCHING_NUMBER.match(word) else "[.-]"
    text = re.escape(word)
    return rf"[.-]({text})[.-]|({text}){between}[0-9]|[0-9][.-]?({text})"


def _patterns() -> tuple[tuple[int, re.Pattern[str]], ...]:
    patterns = []
    for level, words in _RSPAMD_WORDS.items():
        forms = [_forms(word) for word in words.split()]
        if level == 5:
            # A client counts most with a larger number, and least without one.
            forms.append(r"(clients?)[.-][0-9]{2}|[0-9]{3}[.-]?(clients?)")
        if level == 1:
            forms.append(r"[.-](clients?)[.-]")
        patterns.append((level, re.compile("|".join(forms))))
    return tuple(patterns)


_RSPAMD: Final = _patterns()
