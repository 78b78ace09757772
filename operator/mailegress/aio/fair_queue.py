"""A queue that serves its groups in turn: a namespace with thousands of changes must not delay another's single one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class FairQueue(Generic[V]):
    """First in, first out within a group; groups take turns. Every entry has an identity."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, OrderedDict[str, V]] = OrderedDict()
        self._group_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def __contains__(self, identity: str) -> bool:
        return identity in self._group_of

    @property
    def lightest(self) -> int:
        """How many wait in the group with the fewest; 0 when empty."""
        return min(map(len, self._groups.values()), default=0)

    def get(self, identity: str) -> V | None:
        group = self._group_of.get(identity)
        return None if group is None else self._groups[group][identity]

    def put(self, group: str, identity: str, value: V) -> None:
        """Add, or replace what waits under the same identity at its place."""
        group = self._group_of.setdefault(identity, group)
        self._groups.setdefault(group, OrderedDict())[identity] = value

    def remove(self, identity: str) -> V | None:
        """Take one out of its place; None if it does not wait."""
        group = self._group_of.pop(identity, None)
        if group is None:
            return None
        entries = self._groups[group]
        value = entries.pop(identity)
        if not entries:
            del self._groups[group]
        return value

    def put_first(self, group: str, identity: str, value: V) -> None:
        """Add to a group that is served next, wherever the identity waited before."""
        self.remove(identity)
        self.put(group, identity, value)
        self._groups.move_to_end(group, last=False)

    def peek(self) -> V:
        """What :meth:`pop` would return; ``KeyError`` when empty."""
        for entries in self._groups.values():
            for value in entries.values():
                return value
        raise KeyError("empty")

    def pop(self) -> V:
        """Take the next one; its group goes to the end of the line."""
        for group, entries in self._groups.items():
            identity, value = entries.popitem(last=False)
            del self._group_of[identity]
            if entries:
                self._groups.move_to_end(group)
            else:
                del self._groups[group]
            return value
        raise KeyError("empty")

    def __iter__(self) -> Iterator[V]:
        for entries in self._groups.values():
            yield from entries.values()
