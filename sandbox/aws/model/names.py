r"""Route 53's normal form of names: lower case, final dot, `\ooo` for all but `a-z 0-9 - _ .`.

Source: Route 53 developer guide, page "DNS domain name format".
"""

from __future__ import annotations

import re
from functools import lru_cache

_ESCAPE = re.compile(r"\\([0-7]{3})")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
MAX_NAME = 255
MAX_LABEL = 63


@lru_cache(maxsize=65536)
def normalize(name: str) -> str:
    """The normal form. A dot that is part of a label must come in as `\\056`; it stays escaped."""
    out: list[str] = []
    position = 0
    while position < len(name):
        match = _ESCAPE.match(name, position)
        if match:
            char = chr(int(match.group(1), 8) & 0xFF).lower()
            position = match.end()
            out.append(char if char in _PLAIN and char != "." else _octal(char))
            continue
        char = name[position].lower()
        position += 1
        out.append(char if char in _PLAIN else _octal(char))
    text = "".join(out)
    return text if text.endswith(".") else text + "."


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in (char.encode("latin-1", "replace")))


def unescape(name: str) -> str:
    """The name with every escape replaced by its character."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8) & 0xFF), name)


@lru_cache(maxsize=65536)
def sort_key(name: str) -> str:
    """Labels reversed, compared as ASCII with the dots in place (API_ListResourceRecordSets)."""
    labels = name.rstrip(".").split(".")
    return unescape(".".join(reversed(labels)) + ".")


def labels_of(name: str) -> list[str]:
    """The labels of a normal name, without the root."""
    text = name[:-1] if name.endswith(".") else name
    return text.split(".") if text else []


def within(name: str, zone: str) -> bool:
    """Whether `name` is the zone's apex or below it, by whole labels."""
    return name == zone or name.endswith("." + zone) or zone == "."


def name_problem(name: str) -> str | None:
    """Why a normal name is no legal DNS name, in Route 53's words; None = legal."""
    for label in labels_of(name):
        if not label:
            return f"FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '{name}'"
        if len(unescape(label)) > MAX_LABEL:
            return f"FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{label}'"
    if len(unescape(name)) > MAX_NAME:
        return f"FATAL problem: DomainNameTooLong (Domain name is too long) encountered with '{name}'"
    return None
