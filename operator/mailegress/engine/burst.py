"""New objects that have not had their first change yet: while they are many, they are served together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mailegress.reconcile.ports import MANY

_RECENT = 1.0
"""Seconds: as many objects as came in this time are expected to come in the next."""


class CreationBurst:
    """By UID. An object belongs to it from its first version until its change is handed over or its status is written.

    ``clock``: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._coming: set[str] = set()
        self._handed: set[str] = set()
        self._arrivals: deque[float] = deque()

    def __len__(self) -> int:
        """Those that wait for their first change, and those that can be expected to follow."""
        since = self._clock() - _RECENT
        while self._arrivals and self._arrivals[0] <= since:
            self._arrivals.popleft()
        return len(self._coming) + len(self._arrivals)

    @property
    def many(self) -> bool:
        return len(self) >= MANY

    def seen(self, uid: str, *, reported: bool) -> None:
        """A version of an object; ``reported``: its status is about its generation."""
        if reported:
            self.gone(uid)
        elif uid not in self._handed and uid not in self._coming:
            self._coming.add(uid)
            self._arrivals.append(self._clock())

    def handed_over(self, uid: str) -> None:
        """Its change waits for its batch: the batch no longer waits for the object."""
        if uid in self._coming:
            self._coming.remove(uid)
            self._handed.add(uid)

    def gone(self, uid: str) -> None:
        self._coming.discard(uid)
        self._handed.discard(uid)
