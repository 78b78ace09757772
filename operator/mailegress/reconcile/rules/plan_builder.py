"""A plan in the making: rules propose readings, one write, and when to reconcile again.

One write for each reconcile, the first that is proposed; the PTRs of all addresses are one. What follows from it is
planned from what was read after it, so no write is made twice (E6). Something that a third party must change is read
again after one minute, then with doubled pauses up to the periodic check (E8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailegress.aio.backoff import backoff_seconds
from mailegress.model.facts import Fact
from mailegress.reconcile.claim_index import Standing
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Action, Need, Notice, SetPtr


class PlanBuilder:
    """A decision in the making. The first action wins: callers propose in order of precedence."""

    def __init__(self) -> None:
        self.needs: dict[Need, None] = {}
        self.action: Action | None = None
        self.ptrs: dict[str, SetPtr] = {}
        """By allocation ID: the PTRs that are set together, if that is the action."""
        self.taken_back: list[tuple[str, str]] = []
        """(region, allocation ID) whose PTR write, should it still wait to be sent, is not wanted any more."""
        self.notices: list[Notice] = []
        self.wait = float("inf")
        self.blocked_on: set[str] = set()
        self.standing: Standing | None = None
        self.unsatisfied: dict[str, float] = {}
        """Question -> when the reading that did not satisfy began."""
        self.heard: dict[str, tuple[float, str]] = {}
        """Question -> (when the reading began, what it said; empty: as wanted)."""

    def need(self, need: Need) -> None:
        self.needs.setdefault(need)

    def have(self, fact: Fact[Any], not_before: float, need: Need) -> bool:
        """True if the reading is new enough; else it is asked for."""
        if fact.fresh(not_before):
            return True
        self.need(need)
        return False

    def prove_absent(self, observed: Observed, fact: Fact[Any], need: Callable[[float], Need]) -> bool:
        """True if what the reading does not show is missing; else a newer one is asked for, at the latest when the edit
        that names it is honoured.
        """
        if fact.fresh(observed.absence_floor):
            return True
        if observed.pending_edit_due > observed.now and observed.memory.edits.limit.pending:
            self.later(observed.pending_edit_due - observed.now)
        else:
            self.need(need(observed.absence_floor))
        return False

    def look_again(
        self, observed: Observed, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> None:
        """Somebody else must change what was read: look at it again, at once after an edit, else after
        ``blocked_seconds``, ever more slowly up to the resync."""
        if not fact.fresh(observed.absence_floor) and fact.fault is None:
            self.need(need(observed.absence_floor))
        self.list_again(observed, question, fact, need)

    def list_again(
        self, observed: Observed, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> None:
        """The same for a list that all objects share. When it is due counts from the last reading, whoever asked for
        that: any number of objects cost as many readings as the one that waits for the shortest time."""
        settings = observed.settings
        self._again(observed, question, fact, need, settings.blocked_seconds, settings.resync_seconds)

    def ask_again(
        self, observed: Observed, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> int:
        """A reading did not satisfy: ask again, ever more slowly. The readings in a row so far come back."""
        settings = observed.settings
        return self._again(observed, question, fact, need, settings.poll_seconds, settings.poll_max_seconds)

    def _again(
        self,
        observed: Observed,
        question: str,
        fact: Fact[Any],
        need: Callable[[float], Need],
        first: float,
        most: float,
    ) -> int:
        asked_at = max(fact.at, fact.tried_at)
        self.unsatisfied[question] = asked_at
        streak = observed.streak(question, asked_at)
        due = asked_at + backoff_seconds(streak, first, most)
        if observed.now >= due:
            self.need(need(due))
        else:
            self.later(due - observed.now)
        return streak

    def act(self, action: Action) -> None:
        if self.action is None:
            self.action = action
        if isinstance(self.action, SetPtr) and isinstance(action, SetPtr):
            self.ptrs[action.allocation_id] = action

    def withdraw(self) -> None:
        """Something else must be written before what was proposed."""
        self.action = None
        self.ptrs.clear()

    def later(self, seconds: float) -> None:
        self.wait = min(self.wait, max(seconds, 0.0))
