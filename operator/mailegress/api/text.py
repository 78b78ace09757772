"""Text from AWS, DNS and users, made safe to store and to print: no control characters, a limited length (S12)."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

ELLIPSIS: Final = "…"
EXTERNAL_LIMIT: Final = 4096
"""Characters of an external text that any pattern is run over: patterns cost time per character."""

# ECMA-48: CSI sequences, OSC/DCS/SOS/PM/APC strings up to their terminator, then any other two-character
# escape.
_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_SPACES = re.compile(r" +")

# Removed: format characters (Cf: bidirectional overrides, zero-width), lone surrogates, private use,
# unassigned.
_REMOVED = frozenset({"Cf", "Cs", "Co", "Cn"})
# Turned into a space: control characters, line and paragraph separators, exotic spaces.
_SPACED = frozenset({"Cc", "Zl", "Zp", "Zs"})


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in _REMOVED:
        return ""
    return " " if category in _SPACED else character


def clean_text(text: str, limit: int) -> str:
    """Return `text` as one printable line of at most `limit` characters (`limit` >= 1).

    Terminal escape sequences, bidirectional overrides, zero-width characters and lone surrogates are removed;
    control characters, line breaks and runs of spaces become one space. A text that is cut ends in an
    ellipsis. Idempotent.
    Characters are counted as the API server counts `maxLength`: Unicode code points.
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    # Whatever the sender's text weighs, only its beginning is looked at.
    head = text[: max(EXTERNAL_LIMIT, limit + 1)]
    if not (head.isascii() and head.isprintable()):
        head = "".join(map(_clean_character, _ESCAPE_SEQUENCES.sub("", head)))
    cleaned = (_SPACES.sub(" ", head) if "  " in head else head).strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1].rstrip() + ELLIPSIS


def enumerated(values: Sequence[str], most: int = 3) -> str:
    """``a, b and c``; of more than ``most`` values, the number of the others."""
    more = len(values) - most
    shown = list(values[:most]) + ([f"{more} more"] if more > 0 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
