"""How long to wait after failures in a row: the one formula of the operator."""

from __future__ import annotations

import random


def backoff_seconds(failures: int, first: float, most: float) -> float:
    """``first`` seconds after one failure, doubled by each further one, at most ``most``."""
    # The exponent is bounded: 2.0 ** 1024 overflows, and an object can fail for a year.
    return min(most, first * 2.0 ** min(max(failures - 1, 0), 30))


def spread(seconds: float, rng: random.Random) -> float:
    """A random half to all of it, so that those who failed together do not try again together."""
    return seconds * (0.5 + rng.random() / 2)


class Backoff:
    """Counts the failures and gives the waits, spread."""

    def __init__(self, first: float, most: float, rng: random.Random) -> None:
        self._first, self._most, self._rng = first, most, rng
        self.failures = 0

    def next(self) -> float:
        """One more failure; seconds to wait."""
        self.failures += 1
        return spread(backoff_seconds(self.failures, self._first, self._most), self._rng)

    def reset(self) -> None:
        """A success."""
        self.failures = 0
