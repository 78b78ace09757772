"""EC2's `Filters`: all filters must match, any value of one does, `*` and `?` are wildcards."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .base import AwsFault, Params

T = TypeVar("T")
Getter = Callable[[T], Iterable[str]]


def _matches(pattern: str, value: str) -> bool:
    # EC2 knows only * and ?; fnmatch would also read brackets.
    if "*" not in pattern and "?" not in pattern:
        return pattern == value
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), value) is not None


def apply_filters(
    items: Iterable[T],
    filters: Sequence[Params] | None,
    getters: Mapping[str, Getter[T]],
    tags: Callable[[T], Mapping[str, str]],
) -> list[T]:
    """Items that match. Raises InvalidParameterValue for a filter that this call does not have."""
    out = list(items)
    for each in filters or []:
        name, values = str(each.get("Name")), [str(value) for value in each.get("Values") or []]
        getter: Getter[T]
        if name in getters:
            getter = getters[name]
        elif name.startswith("tag:"):
            getter = _tag_getter(tags, name[4:])
        elif name == "tag-key":
            getter = tags
        else:
            raise AwsFault("InvalidParameterValue", f"The filter '{name}' is invalid")
        # Exact values are by far the most common: a set keeps a 200-value filter cheap.
        exact = {value for value in values if "*" not in value and "?" not in value}
        loose = [value for value in values if value not in exact]
        out = [
            item
            for item in out
            if any(
                value in exact or any(_matches(pattern, value) for pattern in loose) for value in getter(item)
            )
        ]
    return out


def _tag_getter(tags: Callable[[T], Mapping[str, str]], key: str) -> Getter[T]:
    def get(item: T) -> Iterable[str]:
        value = tags(item).get(key)
        return () if value is None else (value,)

    return get


def read_tags(params: Params, resource_type: str) -> dict[str, str]:
    """The tags of a `TagSpecifications` parameter for one resource type."""
    out: dict[str, str] = {}
    for specification in params.get("TagSpecifications") or []:
        if specification.get("ResourceType") == resource_type:
            for tag in specification.get("Tags") or []:
                out[str(tag["Key"])] = str(tag.get("Value") or "")
    return out


def show_tags(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
