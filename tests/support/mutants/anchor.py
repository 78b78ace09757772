"""Finds a piece of code by its tokens, so that line breaks, indentation, comments and trailing commas do not matter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>(?:\s|\\\n|\#[^\n]*)+)
    |[rRbBfFuU]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |\w+
    |.""",
    re.DOTALL | re.VERBOSE,
)
_CLOSING = frozenset(")]}")


class Token(NamedTuple):
    text: str
    start: int
    end: int


def tokens(code: str) -> list[Token]:
    """Without comments, white space and the comma before a closing bracket. Pieces of code are fine, too."""
    found = [Token(m[0], m.start(), m.end()) for m in _TOKEN.finditer(code) if m["blank"] is None]
    following = [*_texts(found[1:]), ""]
    return [t for t, after in zip(found, following, strict=False) if t.text != "," or after not in _CLOSING]


def places(code: str, piece: str) -> list[tuple[int, int]]:
    """Where ``piece`` begins and ends in ``code``."""
    here, sought = tokens(code), _texts(tokens(piece))
    found = _starts(_texts(here), sought)
    if not found and sought[-1:] == [","]:
        # The comma may be the one before a closing bracket.
        sought.pop()
        return [
            (start, _past_comma(code, end))
            for start, end in _spans(here, _starts(_texts(here), sought), sought)
        ]
    return _spans(here, found, sought)


def replaced(code: str, place: tuple[int, int], old: str, new: str) -> str:
    """``code`` with ``new`` at a place of ``old``.

    If ``old`` begins with indentation, ``new`` is moved to the indentation that the code has there. If ``old`` ends
    with a line break, the rest of the line, which can only be a comment, goes with it.
    """
    start, end = place
    indent = old[: len(old) - len(old.lstrip())].rpartition("\n")[2]
    begin = code.rfind("\n", 0, start) + 1
    if indent and not code[begin:start].strip():
        new = _indented(new, len(code[begin:start]) - len(indent))
        start = begin
    if old.endswith("\n") and (rest := re.compile(r"[ \t]*(#[^\n]*)?\n").match(code, end)):
        end = rest.end()
    elif old.endswith("\n"):
        new = new.removesuffix("\n")
    return code[:start] + new + code[end:]


def _texts(found: Sequence[Token]) -> list[str]:
    return [token.text for token in found]


def _starts(here: Sequence[str], sought: Sequence[str]) -> list[int]:
    count = len(sought)
    return [i for i in range(len(here) - count + 1) if count and here[i : i + count] == sought]


def _spans(here: Sequence[Token], found: Sequence[int], sought: Sequence[str]) -> list[tuple[int, int]]:
    return [(here[i].start, here[i + len(sought) - 1].end) for i in found]


def _past_comma(code: str, end: int) -> int:
    comma = re.compile(r"\s*,").match(code, end)
    return comma.end() if comma else end


def _indented(text: str, by: int) -> str:
    if by > 0:
        return re.sub(r"^(?=[^\n])", " " * by, text, flags=re.MULTILINE)
    return re.sub(rf"^ {{{-by}}}", "", text, flags=re.MULTILINE) if by else text
