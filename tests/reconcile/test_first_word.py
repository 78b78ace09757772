"""When the first word about a new object is said: at once for one, after its change is handed over for many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api import reasons
from mailegress.api.status import Status, initial_status
from mailegress.engine.burst import CreationBurst
from mailegress.reconcile import summarise
from mailegress.reconcile.ports import MANY
from mailegress.reconcile.result import Action, AddFinalizer, ChangeRecords, Finding, Plan, SetPtr, unknown
from tests.support.planner import PlannerHarness, obj

HOST = "mta.example.com"

NOW = "2026-05-01T00:00:00Z"
WRITE = ChangeRecords("Z1", HOST, (), "create A 203.0.113.1")


def patience(
    action: Action | None, before: Status, *, among_many: bool, finding: Finding | None = None
) -> float:
    mine = replace(obj(HOST, [PlannerHarness().eip(1)]), status=before)
    waiting = finding or unknown(reasons.CHANGE_PENDING, "Route 53 is about to be told.")
    plan = Plan(
        findings=dict.fromkeys(summarise.DEPENDENCE, waiting), action=action, wait=60.0, hostname=HOST
    )
    status = summarise.compose(mine, plan, summarise.verdicts(mine, plan), NOW, stuck=False, handled=None)
    return summarise.patience(mine, status, plan, 5.0, among_many=among_many)


@pytest.mark.parametrize("action", [AddFinalizer(), WRITE])
def test_among_many_the_first_word_waits_for_the_hand_over(action: Action) -> None:
    assert patience(action, initial_status(), among_many=True) == 10.0
    assert patience(action, initial_status(), among_many=False) == 0.0


def test_what_was_said_before_is_taken_back_before_anything_is_done() -> None:
    said = replace(initial_status(), observed_generation=1)
    assert patience(WRITE, said, among_many=True) == 0.0


def test_a_ptr_is_never_touched_before_the_status_tells_whose_it_is() -> None:
    assert patience(SetPtr("r", "eipalloc-1", "203.0.113.1", HOST), initial_status(), among_many=True) == 0.0


def test_what_needs_a_human_is_said_at_once_among_many_too() -> None:
    conflict = Finding("False", "RecordConflict", "A foreign record is there.")
    assert patience(AddFinalizer(), initial_status(), among_many=True, finding=conflict) == 0.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crowd(clock: Clock) -> CreationBurst:
    return CreationBurst(clock)


def test_as_many_as_came_in_the_last_second_are_expected_to_follow(
    crowd: CreationBurst, clock: Clock
) -> None:
    for number in range(MANY):
        crowd.seen(str(number), reported=False)
        crowd.handed_over(str(number))
    assert crowd.many, "each was served at once, and more are being applied"
    clock.now = 1.0
    assert len(crowd) == 0


def test_a_new_object_belongs_to_the_crowd_until_its_change_is_handed_over(
    crowd: CreationBurst, clock: Clock
) -> None:
    crowd.seen("a", reported=False)
    crowd.seen("b", reported=False)
    clock.now = 2.0
    assert len(crowd) == 2
    crowd.handed_over("a")
    crowd.seen("a", reported=False)
    assert len(crowd) == 1, "its own finalizer's echo does not bring it back"
    crowd.seen("b", reported=True)
    assert len(crowd) == 0


def test_an_object_that_comes_again_is_on_its_way_again(crowd: CreationBurst, clock: Clock) -> None:
    crowd.seen("a", reported=False)
    crowd.handed_over("a")
    crowd.seen("a", reported=True)
    crowd.seen("a", reported=False)
    clock.now = 2.0
    assert len(crowd) == 1, "edited later"
    crowd.gone("a")
    assert len(crowd) == 0


def test_handing_over_what_is_not_on_its_way_is_remembered_by_nobody(
    crowd: CreationBurst, clock: Clock
) -> None:
    crowd.handed_over("a")
    crowd.seen("a", reported=False)
    clock.now = 2.0
    assert len(crowd) == 1


def test_a_few_are_no_crowd(crowd: CreationBurst, clock: Clock) -> None:
    for number in range(MANY - 1):
        crowd.seen(str(number), reported=False)
    clock.now = 2.0
    assert not crowd.many
    crowd.seen("one more", reported=False)
    assert crowd.many
