"""A bounded store of things that age."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Kept(Generic[V]):
    """A cached value; its own type, so that None can be a value. ``at``: when its read began."""

    value: V
    at: float
    expires: float


class AgingCache(Generic[K, V]):
    """Least recently used entries go first when there are more than ``entries``."""

    def __init__(self, clock: Callable[[], float], entries: int) -> None:
        self._clock = clock
        self._entries = entries
        self._kept: OrderedDict[K, Kept[V]] = OrderedDict()

    def get(self, key: K, not_before: float) -> Kept[V] | None:
        """The entry, if it has not expired and was read at or after ``not_before``."""
        kept = self._kept.get(key)
        if kept is None or kept.at < not_before:
            return None
        if kept.expires <= self._clock():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: K, value: V, at: float, seconds: float) -> None:
        self._kept[key] = Kept(value, at, at + seconds)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def drop(self, key: K) -> None:
        self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)
