"""Change batches: what one hostname wants changed, how large a batch may be, and how to split one.

A batch has at most 1,000 ResourceRecord elements and 32,000 characters in all Value elements ("Quotas" in the Route 53
Developer Guide; ``AwsSettings.batch_records`` and ``batch_characters``). :meth:`IntentQueue.take` keeps to both, and to
what the rate of changes allows at the moment; the changes of one hostname are never divided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailegress.aio.fair_queue import FairQueue
from mailegress.aws.api import AwsError
from mailegress.aws.errors import rejection_fault, rejections
from mailegress.model.aws import Change, Verb
from mailegress.model.facts import Fault, WriteState
from mailegress.reconcile.ports import Allowed, Key, always


def size_of(changes: Iterable[Change]) -> tuple[int, int]:
    """ResourceRecord elements and Value characters, as "Quotas" in the Route 53 Developer Guide counts them."""
    values = [value for change in changes for value in change.record_set.values]
    return len(values), sum(map(len, values))


@dataclass(slots=True)
class Intent:
    """One hostname's changes; never split."""

    hostname: str
    changes: tuple[Change, ...]
    keys: dict[Key, None]
    queued_at: float
    previous: WriteState | None = None
    """The state of the hostname before it was queued."""
    allowed: Allowed = always
    urgent: bool = False
    """It goes before all that wait."""
    records: int = field(init=False)
    characters: int = field(init=False)

    def __post_init__(self) -> None:
        self.records, self.characters = size_of(self.changes)

    @property
    def can_wait(self) -> bool:
        """It only removes, and nothing depends on when."""
        return not self.urgent and all(change.verb is Verb.DELETE for change in self.changes)


Batch = Sequence[Intent]

_FIRST = "//first"
"""The group of what goes before all namespaces; no namespace is called so."""
_LIGHT = 10
"""A namespace with at most so many changes waiting, and a tenth of all at most, should not wait for the others."""


def cost_of(batch: Batch) -> int:
    """Changed records, the unit of Route 53's change throughput."""
    return sum(intent.records for intent in batch)


class IntentQueue:
    """One zone's waiting intents: by namespace in turn, with running totals."""

    def __init__(self, records: int, characters: int) -> None:
        self._most_records, self._most_characters = records, characters
        self._queue: FairQueue[Intent] = FairQueue()
        self.records = 0
        self.characters = 0
        self._urgent = self._can_wait = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def delays_somebody_light(self) -> bool:
        """Does a namespace with a few changes wait behind others with many?"""
        lightest = self._queue.lightest
        return 0 < lightest <= _LIGHT and lightest * _LIGHT <= len(self._queue)

    @property
    def delays_somebody(self) -> bool:
        """Is something urgent here, or a namespace with a few changes?"""
        return self._urgent > 0 or self.delays_somebody_light

    @property
    def can_wait(self) -> bool:
        """Are all that wait removals that nothing depends on?"""
        return self._can_wait == len(self._queue)

    def put(self, namespace: str, intent: Intent) -> None:
        """Add an intent, or replace one for the same hostname (its keys are kept, to be woken as well)."""
        if intent.records > self._most_records or intent.characters > self._most_characters:
            raise ValueError(f"the changes of {intent.hostname} do not fit one change batch")
        old = self._queue.get(intent.hostname)
        if old is not None:
            self._count(old, -1)
            intent.keys = {**old.keys, **intent.keys}
            intent.queued_at, intent.previous = old.queued_at, old.previous
        if intent.urgent:
            self._queue.put_first(_FIRST, intent.hostname, intent)
        else:
            self._queue.put(namespace, intent.hostname, intent)
        self._count(intent, +1)

    @property
    def full(self) -> bool:
        return self.records >= self._most_records or self.characters >= self._most_characters

    @property
    def oldest(self) -> float:
        """When the oldest waiting intent was queued (loop time)."""
        return min(intent.queued_at for intent in self._queue)

    @property
    def wanted(self) -> int:
        """Changed records of the largest batch that could be sent."""
        return min(self.records, self._most_records)

    @property
    def smallest(self) -> int:
        """Changed records of the smallest batch that could be sent."""
        return self._queue.peek().records

    def take(self, budget: float) -> list[Intent]:
        """A batch within AWS's limits and the budget of changed records; at least one intent."""
        batch: list[Intent] = []
        records = characters = 0
        while len(self._queue):
            intent = self._queue.peek()
            records += intent.records
            characters += intent.characters
            fits = records <= self._most_records and characters <= self._most_characters and records <= budget
            if batch and not fits:
                break
            batch.append(self._queue.pop())
            self._count(intent, -1)
        return batch

    def _count(self, intent: Intent, sign: int) -> None:
        self.records += sign * intent.records
        self.characters += sign * intent.characters
        self._urgent += sign * intent.urgent
        self._can_wait += sign * intent.can_wait


def split(batch: Batch, error: AwsError) -> tuple[list[tuple[Intent, Fault]], list[Intent]]:
    """The intents that an InvalidChangeBatch names, with their own faults, and the rest."""
    named = {rejection.hostname: rejection.message for rejection in rejections(error)}
    culprits = [(i, rejection_fault(named[i.hostname])) for i in batch if i.hostname in named]
    rest = [i for i in batch if i.hostname not in named]
    return culprits, rest


def halves(batch: Batch) -> tuple[Batch, Batch]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]
