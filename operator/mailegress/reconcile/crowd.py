"""New objects that are on their way to their first change: while they are many, they are served together."""

from __future__ import annotations

MANY = 10
"""So many at once are a crowd: a Git commit, a restored cluster."""


class Crowd:
    """By UID. An object belongs to it from its first version until its change is handed over or its status is said."""

    def __init__(self) -> None:
        self._coming: set[str] = set()
        self._handed: set[str] = set()

    def __len__(self) -> int:
        return len(self._coming)

    @property
    def many(self) -> bool:
        return len(self._coming) >= MANY

    def seen(self, uid: str, *, said: bool) -> None:
        """A version of an object; ``said``: its status is about its generation."""
        if said:
            self.gone(uid)
        elif uid not in self._handed:
            self._coming.add(uid)

    def handed_over(self, uid: str) -> None:
        """Its change waits for its batch: nobody waits for the object any more."""
        if uid in self._coming:
            self._coming.remove(uid)
            self._handed.add(uid)

    def gone(self, uid: str) -> None:
        self._coming.discard(uid)
        self._handed.discard(uid)
