"""What was called, by whom, and what came of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .base import AwsFault, Context, Params
from .changebatch import condition_facts, read_changes


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call. `outcome` is `ok`, an error code, `cut-before`, `cut-after` or `garbage`.

    `facts` are IAM's condition keys of a Route 53 change: normalized names, types, actions.
    """

    number: int
    time: float
    service: str
    operation: str
    account: str
    principal: str
    region: str
    params: Mapping[str, Any]
    facts: Mapping[str, Any]
    outcome: str
    applied: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class CallLog:
    """The latest `size` calls; the counters count all since the last reset."""

    def __init__(self, size: int) -> None:
        self._entries: deque[CallEntry] = deque(maxlen=size)
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._number = 0

    def record(
        self, context: Context, service: str, operation: str, params: Params, outcome: str, applied: bool
    ) -> None:
        self._number += 1
        self._counts[(service, operation, outcome)] += 1
        self._entries.append(
            CallEntry(
                self._number,
                context.now,
                service,
                operation,
                context.account,
                context.principal.arn,
                context.region,
                {key: value for key, value in params.items() if key != "WebIdentityToken"},
                _facts(operation, params),
                outcome,
                applied,
            )
        )

    def entries(
        self,
        service: str | None = None,
        operation: str | None = None,
        outcome: str | None = None,
        contains: str | None = None,
        since: int = 0,
    ) -> list[CallEntry]:
        """Entries after number `since` that match all that is given; `contains` looks into the parameters."""
        return [
            entry
            for entry in self._entries
            if entry.number > since
            and service in (None, entry.service)
            and operation in (None, entry.operation)
            and outcome in (None, entry.outcome)
            and (contains is None or contains in str(entry.params))
        ]

    def counts(self) -> dict[str, int]:
        """`service:operation:outcome` → calls."""
        return {":".join(key): count for key, count in sorted(self._counts.items())}

    def upserts(self) -> int:
        """Batches with an UPSERT among the logged calls, whatever came of them."""
        return sum("UPSERT" in entry.facts.get("actions", ()) for entry in self._entries)

    def reset(self) -> None:
        """Forget all; the numbers go on."""
        self._entries.clear()
        self._counts.clear()


def _facts(operation: str, params: Params) -> dict[str, Any]:
    if operation != "ChangeResourceRecordSets":
        return {}
    try:
        return condition_facts(read_changes(params.get("ChangeBatch") or {}))
    except (AwsFault, KeyError):
        return {}
