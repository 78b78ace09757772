"""How many MailEgresses there are by what their conditions and advisories say, for the metrics.

Kept up to date as conditions change: a pass that changes nothing costs one comparison, and a scrape as many steps as
there are different answers, not objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mailegress.api import reasons
from mailegress.api.conditions import PENDING_TIME, READY, TRUE
from mailegress.api.status import Condition, Status

Said = tuple[tuple[str, str, str], ...]
"""(type, status, reason) of each condition of one object."""


Codes = tuple[str, ...]
"""The codes of one object's advisories, each once."""


@dataclass(slots=True)
class _Shape:
    said: Said
    codes: Codes
    objects: int = 0


class ConditionCounts:
    """``timestamp``: the present time as a status writes it (RFC 3339)."""

    def __init__(self, timestamp: Callable[[], str]) -> None:
        self._timestamp = timestamp
        self._shapes: dict[tuple[Said, Codes], _Shape] = {}
        self._of: dict[str, _Shape] = {}
        self._not_ready: dict[str, tuple[str, float]] = {}
        self._dangling: dict[str, int] = {}

    def put(self, uid: str, status: Status) -> None:
        """What is known of an object now."""
        said = tuple((c.type, c.status, c.reason) for c in status.conditions)
        codes = tuple(dict.fromkeys(advisory.code for advisory in status.advisories))
        known = self._of.get(uid)
        if known is None or known.said != said or known.codes != codes:
            self._leave(uid)
            shape = self._of[uid] = self._shapes.setdefault((said, codes), _Shape(said, codes))
            shape.objects += 1
            self._note_ready(uid, status.condition(READY))
        if dangling := _dangling(status):
            self._dangling[uid] = dangling
        else:
            self._dangling.pop(uid, None)

    def drop(self, uid: str) -> None:
        """The object is gone."""
        self._leave(uid)
        self._not_ready.pop(uid, None)
        self._dangling.pop(uid, None)

    # ------------------------------------------------ for the gauges

    def by_condition(self) -> dict[tuple[str, ...], float]:
        """Objects by (condition, status, reason)."""
        counts: dict[tuple[str, ...], float] = {}
        for shape in self._shapes.values():
            for each in shape.said:
                counts[each] = counts.get(each, 0.0) + shape.objects
        return counts

    def by_reason(self) -> dict[str, float]:
        """Objects by the reason of Ready."""
        counts: dict[str, float] = {}
        for (kind, _, reason), objects in self.by_condition().items():
            if kind == READY:
                counts[reason] = counts.get(reason, 0.0) + objects
        return counts

    def by_advisory(self) -> dict[str, float]:
        """Objects by the code of an advisory."""
        counts: dict[str, float] = {}
        for shape in self._shapes.values():
            for code in shape.codes:
                counts[code] = counts.get(code, 0.0) + shape.objects
        return counts

    def not_ready_seconds(self) -> dict[str, float]:
        """By reason of Ready: for how long the object that has not been ready the longest has not been."""
        now = _seconds(self._timestamp())
        ages: dict[str, float] = {}
        for reason, since in self._not_ready.values():
            ages[reason] = max(ages.get(reason, 0.0), now - since)
        return ages

    def dangling(self) -> float:
        """Addresses that stand in an A record although their Elastic IP is lost."""
        return float(sum(self._dangling.values()))

    # ------------------------------------------------ inside

    def _leave(self, uid: str) -> None:
        shape = self._of.pop(uid, None)
        if shape is not None:
            shape.objects -= 1
            if not shape.objects:
                del self._shapes[shape.said, shape.codes]

    def _note_ready(self, uid: str, ready: Condition | None) -> None:
        if ready is None or ready.status == TRUE:
            self._not_ready.pop(uid, None)
            return
        # The time that the schema gives a new object's conditions is no time at which anything happened.
        told = ready.last_transition_time
        known = self._not_ready.get(uid)
        if told == PENDING_TIME:
            since = known[1] if known is not None else _seconds(self._timestamp())
        else:
            since = _seconds(told)
        self._not_ready[uid] = (ready.reason, since)


def _dangling(status: Status) -> int:
    lost = {a.public_ip for a in status.addresses if a.reason == reasons.ADDRESS_LOST.name}
    return len(lost.intersection(status.forward.values)) if lost and status.forward is not None else 0


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
