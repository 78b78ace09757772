"""New objects that are on their way to their first change: while they are many, they are served together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MANY = 10
"""So many at once are a crowd: a Git commit, a restored cluster."""
_RECENT = 1.0
"""As many as came in the last second are expected to come in the next one."""


class CreationBurst:
    """By UID. An object belongs to it from its first version until its change is handed over or its status is said.

    ``clock``: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._coming: set[str] = set()
        self._handed: set[str] = set()
        self._arrivals: deque[float] = deque()

    def __len__(self) -> int:
        """Those on their way, and those that can be expected to follow."""
        since = self._clock() - _RECENT
        while self._arrivals and self._arrivals[0] <= since:
            self._arrivals.popleft()
        return len(self._coming) + len(self._arrivals)

    @property
    def many(self) -> bool:
        return len(self) >= MANY

    def seen(self, uid: str, *, said: bool) -> None:
        """A version of an object; ``said``: its status is about its generation."""
        if said:
            self.gone(uid)
        elif uid not in self._handed and uid not in self._coming:
            self._coming.add(uid)
            self._arrivals.append(self._clock())

    def handed_over(self, uid: str) -> None:
        """Its change waits for its batch: nobody waits for the object any more."""
        if uid in self._coming:
            self._coming.remove(uid)
            self._handed.add(uid)

    def gone(self, uid: str) -> None:
        self._coming.discard(uid)
        self._handed.discard(uid)
