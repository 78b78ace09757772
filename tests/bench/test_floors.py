"""The floors' arithmetic: what AWS's documented quotas leave no way around."""

from __future__ import annotations

import pytest

from bench import floors
from bench.floors import Rates, World


@pytest.mark.parametrize(("names", "calls"), [(1, 1), (500, 1), (501, 2), (1000, 2), (10_000, 20)])
def test_five_hundred_names_fit_one_change_batch(names: int, calls: int) -> None:
    assert floors.change_calls(names) == calls


def test_few_names_cost_the_time_to_insync_alone() -> None:
    assert floors.insync_seconds(500, Rates(), World()) == 30.0


def test_records_beyond_the_burst_come_at_the_refill_rate() -> None:
    # 2,000 records: 1,500 at once, 500 at 100 a second.
    assert floors.insync_seconds(1000, Rates(), World()) == 35.0


def test_a_thousand_ptrs_are_bound_by_their_own_rate() -> None:
    # 30 s to the first INSYNC, 992 PTRs at 4 a second after a burst of 8, 120 s for the last to settle.
    assert floors.ready_seconds(1000, Rates(), World()) == 30 + 248 + 120


def test_one_name_is_ready_after_both_delays() -> None:
    assert floors.ready_seconds(1, Rates(), World()) == 150.0


def test_where_ptrs_are_fast_the_records_are_the_bound() -> None:
    rates = Rates(ptrs=1000.0, ptr_burst=1000.0)
    assert floors.ready_seconds(10_000, rates, World()) == floors.insync_seconds(10_000, rates, World()) + 120


def test_a_restart_lasts_as_long_as_the_pages_of_the_zone() -> None:
    # 67 pages, the list of zones and the zone: 25 at once, 44 at 4 a second.
    assert floors.restart_seconds(10_000, Rates()) == 11.0
    assert floors.restart_seconds(500, Rates()) == 0.0


def test_idle_calls_are_pages_and_not_names() -> None:
    # 20,002 record sets: 67 pages and the zone list, 0.8 times an hour.
    assert floors.route53_idle_calls(10_000, 4500) == pytest.approx(0.8 * 68)
    assert floors.route53_idle_calls(10_000, 4500, hours=4) == pytest.approx(4 * 0.8 * 68)


def test_the_idle_budget_holds_with_the_default_intervals() -> None:
    assert floors.route53_idle_calls(10_000, 4500) <= 75
    assert floors.ec2_idle_calls(10_000, 720) <= 75
    assert floors.route53_idle_calls(500, 4500) <= 12
    assert floors.ec2_idle_calls(500, 720) <= 12
