"""What a PromQL expression names: metrics, and the labels and values that it picks.

Not a parser: promtool is, and every expression passes through it as well. This finds the selectors in an expression
that is known to be well-formed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool",
}  # fmt: skip
_STRING = r'"(?:[^"\\]|\\.)*"'
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\s*(\{{(?:[^{{}}\"]|{_STRING})*\}})?\s*(\()?")
_MATCHER = re.compile(rf"\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*({_STRING})\s*(?:,|$)")
_PLAIN = re.compile(r"[A-Za-z0-9_.:|-]*")


@dataclass(frozen=True, slots=True)
class Selector:
    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value)."""

    def values(self) -> Iterator[tuple[str, str]]:
        """(label, value) of each value that is written out; ``a|b`` in a regular expression stands for two, and ``.*``
        for none.
        """
        for label, operator, value in self.matchers:
            if value == ".*":
                yield label, ""
            elif operator in ("=~", "!~"):
                assert _PLAIN.fullmatch(value), f"not a plain list of values: {value}"
                yield from ((label, each) for each in value.split("|"))
            else:
                yield label, value


def selectors(expression: str) -> list[Selector]:
    """Every selector of a series."""
    bare = _RANGE.sub("", _GROUPING.sub("", expression))
    found = []
    for match in _SELECTOR.finditer(bare):
        name, braces, called = match.groups()
        if called and not braces:
            continue
        if name in _WORDS or re.fullmatch(r"\d.*", bare[match.start() :]):
            continue
        # The tail of a number such as 1e3 is no name.
        if match.start() and bare[match.start() - 1].isdigit():
            continue
        inside = (braces or "{}")[1:-1]
        matchers = tuple((label, operator, text[1:-1]) for label, operator, text in _MATCHER.findall(inside))
        assert inside.count('"') == 2 * len(matchers), f"matchers not understood: {inside}"
        found.append(Selector(name, matchers))
    return found


def grouped_by(expression: str) -> set[str]:
    """Labels named in by (...), on (...) and the like."""
    return {
        label.strip()
        for _, labels in _GROUPING.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }
