"""Change batches of one hostname: the ownership mark and compare-and-swap."""

from __future__ import annotations

from mailegress.api.names import ownership_name
from mailegress.model import ownership
from mailegress.model.aws import Change, RecordSet, Verb
from mailegress.model.ownership import Mark

MARK_TTL = 300


def mark_set(hostname: str, mark: Mark) -> RecordSet:
    return RecordSet(ownership_name(hostname), "TXT", MARK_TTL, (ownership.encode(mark),))


def swap(old: RecordSet | None, new: RecordSet) -> list[Change]:
    """DELETE of the exact stored set and CREATE of the new one: compare-and-swap in one atomic batch."""
    removal = [Change(Verb.DELETE, old)] if old is not None else []
    return [*removal, Change(Verb.CREATE, new)]
