"""The census: what the gauges say of all objects follows each object's newest status."""

from __future__ import annotations

import time
from dataclasses import replace

from mailegress.api.advisories import Severity
from mailegress.api.conditions import PENDING_TIME
from mailegress.api.status import AddressStatus, Advisory, Condition, ForwardStatus, Status, initial_status
from mailegress.telemetry.condition_counts import ConditionCounts

NOON = "2026-01-31T12:00:00Z"


def status(ready: str, reason: str, since: str = NOON, **more: object) -> Status:
    conditions = (
        Condition("Ready", ready, reason, "", 1, since),
        Condition("Accepted", "True", "Accepted", "", 1, since),
    )
    return replace(Status(observed_generation=1, conditions=conditions), **more)  # type: ignore[arg-type]


def condition_counts(now: str = "2026-01-31T13:00:00Z") -> ConditionCounts:
    return ConditionCounts(lambda: now)


def test_each_object_counts_once_under_what_it_says_now() -> None:
    counted = condition_counts()
    for uid in ("a", "b"):
        counted.put(uid, initial_status())
    counted.put("b", status("True", "Ready"))
    counted.put("b", status("False", "ZoneNotFound"))
    assert counted.by_reason() == {"Pending": 1.0, "ZoneNotFound": 1.0}
    found = counted.by_condition()
    assert found[("Ready", "False", "ZoneNotFound")] == 1.0
    assert found[("Accepted", "True", "Accepted")] == 1.0
    assert found[("Accepted", "Unknown", "Pending")] == 1.0
    assert ("Ready", "True", "Ready") not in found


def test_nothing_is_left_of_an_object_that_is_gone() -> None:
    counted = condition_counts()
    lost = AddressStatus("x", public_ip="203.0.113.1", reason="AddressLost")
    counted.put(
        "a", status("False", "AddressLost", addresses=(lost,), forward=ForwardStatus(("203.0.113.1",)))
    )
    assert counted.dangling() == 1.0
    counted.drop("a")
    counted.drop("never seen")
    assert (counted.by_reason(), counted.by_condition(), counted.not_ready_seconds()) == ({}, {}, {})
    assert counted.dangling() == 0.0


def test_the_longest_wait_counts_by_its_reason_and_survives_a_restart() -> None:
    """The time is the condition's own, so a process that sees the object for the first time knows it too."""
    counted = condition_counts()
    counted.put("new", status("False", "ZoneNotFound", "2026-01-31T12:59:00Z"))
    counted.put("old", status("False", "ZoneNotFound", "2026-01-31T11:00:00Z"))
    counted.put("other", status("Unknown", "Progressing", "2026-01-31T12:30:00Z"))
    counted.put("fine", status("True", "Ready", "2026-01-01T00:00:00Z"))
    assert counted.not_ready_seconds() == {"ZoneNotFound": 7200.0, "Progressing": 1800.0}
    counted.put("old", status("True", "Ready", "2026-01-31T13:00:00Z"))
    assert counted.not_ready_seconds() == {"ZoneNotFound": 60.0, "Progressing": 1800.0}


def test_a_new_object_waits_since_it_was_first_seen_and_not_since_1970() -> None:
    now = [NOON]
    counted = ConditionCounts(lambda: now[0])
    counted.put("a", initial_status())
    now[0] = "2026-01-31T12:10:00Z"
    counted.put("a", status("Unknown", "Progressing", PENDING_TIME))
    assert counted.not_ready_seconds() == {"Progressing": 600.0}


def test_an_address_dangles_while_it_is_lost_and_in_the_a_record() -> None:
    counted = condition_counts()
    lost = AddressStatus("x", public_ip="203.0.113.1", reason="AddressLost")
    held = AddressStatus("y", public_ip="203.0.113.2", reason="AddressNotFound")
    both = ForwardStatus(("203.0.113.1", "203.0.113.2"))
    one = ForwardStatus(("203.0.113.2",))
    for forward, dangling in ((both, 1.0), (one, 0.0), (None, 0.0), (both, 1.0)):
        counted.put("a", status("False", "AddressLost", addresses=(lost, held), forward=forward))
        assert counted.dangling() == dangling


def test_an_object_counts_once_for_each_code_of_its_advisories() -> None:
    counted = condition_counts()
    generic = Advisory("GenericName", Severity.WARNING, "one")
    twice = (generic, replace(generic, message="two"), Advisory("ApexName", Severity.INFO, "three"))
    counted.put("a", status("True", "Ready", advisories=twice))
    counted.put("b", status("True", "Ready", advisories=(generic,)))
    assert counted.by_advisory() == {"GenericName": 2.0, "ApexName": 1.0}
    assert counted.by_reason() == {"Ready": 2.0}
    counted.put("a", status("True", "Ready"))
    counted.drop("b")
    assert counted.by_advisory() == {}
    assert counted.by_reason() == {"Ready": 1.0}


def test_ten_thousand_objects_cost_a_scrape_no_more_than_their_different_answers() -> None:
    counted = condition_counts()
    for number in range(10_000):
        counted.put(str(number), status("True", "Ready"))
    assert counted.by_reason() == {"Ready": 10_000.0}
    assert len(counted.by_condition()) == 2
    began = time.process_time()
    for _ in range(1000):
        counted.by_condition()
    # Going through the objects would take a millisecond each time.
    assert time.process_time() - began < 0.5
