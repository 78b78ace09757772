"""Tags of AWS resources, and how a selector by tags is written in the status and in messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from mailegress.api import limits
from mailegress.api.text import clean_text

Tags = tuple[tuple[str, str], ...]
"""The tags of a resource as pairs of key and value, sorted by key. Most resources have none or few."""

_MARKS: Final = frozenset(",=@#")
_DIGEST_LENGTH: Final = 12


def tags_of(mapping: Mapping[str, str]) -> Tags:
    """The tags of a mapping, sorted by key."""
    return tuple(sorted(mapping.items()))


def has_tags(tags: Tags, wanted: Tags) -> bool:
    """Do ``tags`` contain every wanted pair? Keys and values are compared exactly, as AWS compares them."""
    return all(pair in tags for pair in wanted)


def tags_label(field: str, tags: Tags, region: str | None) -> str:
    """A selector by tags as one printable line of at most ``limits.SELECTOR_LENGTH`` characters.

    ``tags=env=prod,use=mail@eu-west-1``. Two selectors never have the same line: where it is too long, has characters
    that are not shown, or could be read in two ways, the first characters of a hash of all tags are added after ``#``.
    """
    place = f"@{region}" if region else ""
    text = f"{field}=" + ",".join(f"{key}={value}" for key, value in tags)
    room = limits.SELECTOR_LENGTH - len(place)
    plain = not any(_MARKS & set(part) for pair in tags for part in pair)
    if plain and clean_text(text, room) == text:
        return text + place
    digest = hashlib.sha256(json.dumps(tags).encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{clean_text(text, room - _DIGEST_LENGTH - 1)}#{digest}{place}"
