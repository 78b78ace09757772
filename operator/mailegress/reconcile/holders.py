"""Which objects have what: an index with the way back, so that all keys of an object can be replaced at once."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Holders(Generic[Key]):
    """Which objects, by UID, have a key."""

    def __init__(self) -> None:
        self._uids: dict[Key, set[str]] = {}
        self._keys: dict[str, frozenset[Key]] = {}

    def at(self, key: Key) -> Collection[str]:
        return self._uids.get(key, ())

    def put(self, uid: str, keys: frozenset[Key]) -> frozenset[Key]:
        """Take in all keys of an object; those that it lost or gained come back."""
        before = self._keys.pop(uid, frozenset())
        if keys:
            self._keys[uid] = keys
        for key in before - keys:
            self._uids[key].discard(uid)
            if not self._uids[key]:
                del self._uids[key]
        for key in keys - before:
            self._uids.setdefault(key, set()).add(uid)
        return before ^ keys
