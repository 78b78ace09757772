"""How many MailEgresses policies allow and refuse, for the metrics and for the status of each policy.

Kept up to date as objects are reconciled, like :mod:`mailegress.telemetry.condition_counts`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Counted:
    namespace: str
    refused: str
    allowed_by: tuple[str, ...]


class PolicyCounts:
    """By object; in sums."""

    def __init__(self) -> None:
        self._of: dict[str, _Counted] = {}
        self._reasons: Counter[str] = Counter()
        self._allowed: Counter[str] = Counter()
        self._refused_in: Counter[str] = Counter()

    def __len__(self) -> int:
        """Objects that were judged."""
        return len(self._of)

    def put(self, uid: str, namespace: str, refused: str, allowed_by: tuple[str, ...]) -> None:
        """``refused``: the reason, or empty. ``allowed_by``: names of policies."""
        counted = _Counted(namespace, refused, allowed_by)
        if self._of.get(uid) == counted:
            return
        self.drop(uid)
        self._of[uid] = counted
        self._add(counted, 1)

    def drop(self, uid: str) -> None:
        """The object is gone, or is not judged any more."""
        counted = self._of.pop(uid, None)
        if counted is not None:
            self._add(counted, -1)

    def by_reason(self) -> dict[str, float]:
        """Refused objects by reason."""
        return {reason: float(count) for reason, count in self._reasons.items() if count}

    def allowed(self, policy: str) -> int:
        """Objects that a policy allows."""
        return self._allowed[policy]

    def refused_in(self, namespace: str) -> int:
        """Objects of a namespace that are refused."""
        return self._refused_in[namespace]

    def _add(self, counted: _Counted, sign: int) -> None:
        if counted.refused:
            _count(self._reasons, counted.refused, sign)
            _count(self._refused_in, counted.namespace, sign)
        for policy in counted.allowed_by:
            _count(self._allowed, policy, sign)


def _count(counter: Counter[str], key: str, sign: int) -> None:
    counter[key] += sign
    if not counter[key]:
        del counter[key]
