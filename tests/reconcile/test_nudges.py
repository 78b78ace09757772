"""Edits and requests of one object: seen at once, acted upon at most once a minute."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from mailegress.api.types import MailEgress
from tests.support.planner import UID, PlannerHarness, obj

HOST = "mta.example.com"


def honoured(harness: PlannerHarness, item: MailEgress, now: float) -> float:
    """When a nudge was last honoured, after a look at this moment."""
    harness.now = now
    harness.observed(item)
    return harness.memories[UID].edits.limit.honoured_at


def edited(item: MailEgress) -> MailEgress:
    return replace(item, meta=replace(item.meta, generation=item.meta.generation + 1))


def requested(item: MailEgress, value: str) -> MailEgress:
    return replace(item, meta=replace(item.meta, reconcile_requested_at=value))


def test_edits_and_requests_are_honoured_at_most_once_a_minute() -> None:
    """An edit or a request every two seconds, for an hour."""
    harness = PlannerHarness()
    item = obj(HOST, [harness.eip(1)])
    times = set()
    for number in range(1800):
        item = edited(item) if number % 2 else requested(item, str(number))
        at = honoured(harness, item, 100.0 + 2 * number)
        assert harness.memories[UID].edits.generation == item.meta.generation, "it is seen at once"
        times.add(at)
    gaps = [later - earlier for earlier, later in pairwise(sorted(times))]
    assert gaps[0] >= 60.0
    assert min(gaps[1:]) >= harness.settings.resync_seconds, "a storm is not answered every minute"
    assert len(gaps) > 3, "nor never"


def test_after_a_quiet_minute_the_next_one_is_honoured_at_once() -> None:
    harness = PlannerHarness()
    item = obj(HOST, [harness.eip(1)])
    honoured(harness, item, 0.0)
    for now in (1.0, 61.0, 122.0, 1000.0):
        item = edited(item)
        assert honoured(harness, item, now) == now


def test_one_that_came_too_soon_is_honoured_a_minute_after_the_last() -> None:
    harness = PlannerHarness()
    item = edited(obj(HOST, [harness.eip(1)]))
    honoured(harness, obj(HOST, [harness.eip(1)]), 0.0)
    assert honoured(harness, item, 1.0) == 1.0
    item = requested(item, "now")
    assert honoured(harness, item, 20.0) == 1.0
    assert harness.memories[UID].edits.reconcile_request is None, "nor does it count as answered"
    assert honoured(harness, item, 60.9) == 1.0
    assert honoured(harness, item, 61.0) == 61.0
    assert harness.memories[UID].edits.reconcile_request == "now"


def test_a_deletion_does_not_wait_behind_edits() -> None:
    harness = PlannerHarness()
    item = edited(obj(HOST, [harness.eip(1)]))
    honoured(harness, obj(HOST, [harness.eip(1)]), 0.0)
    honoured(harness, item, 1.0)
    gone = edited(replace(item, meta=replace(item.meta, deletion_timestamp="2026-01-02T00:00:00Z")))
    assert honoured(harness, gone, 2.0) == 2.0
