"""Reads JSON that somebody else wrote: whatever has the wrong type counts as missing."""

from collections.abc import Mapping
from typing import Any, Final

_NOTHING: Final[Mapping[str, Any]] = {}


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value`, or an empty mapping."""
    return value if isinstance(value, Mapping) else _NOTHING


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; none if it is no list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
