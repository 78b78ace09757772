"""The hourly limit of PTR repairs.

A repair sets a PTR that showed the hostname before and that a third party has changed since (``rules/ptr_write.py``
decides whether a write is one). At most ``--ptr-heals-per-hour`` repairs of one address are made within an hour, so
that two writers do not change a PTR in turns without end. A repair that AWS refused, or that was not sent, does not
count. An edit of the object starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailegress.model.facts import WritePhase, WriteState

HOUR = 3600.0


@dataclass(slots=True)
class PtrRepairs:
    """When the PTRs of one object were repaired, as far as this process knows."""

    _times: dict[str, list[float]] = field(default_factory=dict)
    """By allocation ID; kept as a key for as long as the object is not edited."""

    def __contains__(self, allocation_id: str) -> bool:
        """Was it repaired at all since the last edit?"""
        return allocation_id in self._times

    def recent(self, allocation_id: str, now: float) -> int:
        """Repairs within the last hour."""
        return len(self._recent(allocation_id, now))

    def pause(self, allocation_id: str, now: float, limit: int) -> float:
        """Seconds until the next repair may be made; 0 = now."""
        recent = self._recent(allocation_id, now)
        return min(recent) + HOUR - now if len(recent) >= limit else 0.0

    def record(self, allocation_id: str, now: float, last: WriteState | None) -> None:
        """A repair is handed over. ``last``: what became of the write before it."""
        times = self._times.setdefault(allocation_id, [])
        if times and last is not None and (last.phase is WritePhase.FAILED or last.returned):
            # Refused by AWS or not sent, not undone by somebody: the same repair once more.
            times.pop()
        times.append(now)

    def prune(self, now: float) -> None:
        for allocation_id in self._times:
            self._times[allocation_id] = self._recent(allocation_id, now)

    def clear(self) -> None:
        """The object was edited."""
        self._times.clear()

    def _recent(self, allocation_id: str, now: float) -> list[float]:
        return [t for t in self._times.get(allocation_id, ()) if t > now - HOUR]
