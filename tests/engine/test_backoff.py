"""The formula of the waits after failures."""

from __future__ import annotations

import random

import pytest

from mailegress.aio.backoff import Backoff, backoff_seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 5.0), (1, 5.0), (2, 10.0), (3, 20.0), (7, 300.0), (100_000, 300.0)]
)
def test_the_wait_doubles_up_to_its_maximum(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures, first=5.0, most=300.0) == seconds


def test_a_counted_back_off_is_spread_and_begins_again_after_a_success() -> None:
    backoff = Backoff(4.0, 64.0, random.Random(1))
    waits = [backoff.next() for _ in range(200)]
    assert 2.0 <= waits[0] <= 4.0
    assert 4.0 <= waits[1] <= 8.0
    assert all(32.0 <= wait <= 64.0 for wait in waits[10:])
    assert len(set(waits)) == len(waits)
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next() <= 4.0
