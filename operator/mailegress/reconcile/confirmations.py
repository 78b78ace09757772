"""Three readings in a row before a condition drops (``--confirmations``), and before a doubtful answer counts. Pure.

1. A reading that fails, or that contradicts a condition which is True, does not end the condition before as many of
   them were made in a row (:func:`lasting`); twice as many if only one authoritative server contradicts it. Until then
   its finding is inconclusive, and :func:`kept_condition` keeps the condition of this generation (E3, S7).
2. The wanted answer after others counts when it is given as often in a row, and twice as often if the answers alternate
   (:func:`trend_of`).
3. A list of AWS that cannot be read ends the conditions that rest on it after as many failures in a row
   (:func:`outage`), and only those of the objects that use it (E8).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mailegress.api import reasons
from mailegress.api.conditions import FALSE
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.types import MailEgress
from mailegress.model.facts import Fact
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, from_fault

TRANSITIONAL = frozenset(
    r.name
    for r in (
        reasons.PENDING,
        reasons.PROGRESSING,
        reasons.CHANGE_PENDING,
        reasons.PTR_PENDING,
        reasons.WAITING_FOR_FORWARD,
        reasons.SUSPENDED,
        reasons.DELETING,
    )
)
"""Reasons of a moment: a question without an answer does not keep them."""
WITHOUT_READING = frozenset(
    r.name
    for r in (
        reasons.INVALID_SPEC,
        reasons.REGION_NOT_CONFIGURED,
        reasons.NO_MATCHING_POLICY,
        reasons.MANAGEMENT_NOT_ALLOWED,
        reasons.NAMESPACE_LIMIT,
    )
)
"""Reasons that rest on the spec, the settings and the policies alone: one that is not found again is over."""


def lasting(observed: Observed, readings: int, *, times: int = 1) -> bool:
    """Were so many readings in a row made, all of them failed or with an unwanted answer, that it counts?"""
    return readings >= times * observed.settings.confirmations


def kept_condition(obj: MailEgress, kind: str, finding: Finding) -> Finding | None:
    """The condition of this generation as it stands, if ``finding`` is not enough to change it."""
    if not finding.inconclusive:
        return None
    previous = obj.status.condition(kind)
    if previous is None or previous.observed_generation != obj.meta.generation:
        return None
    if obj.status.observed_generation != obj.meta.generation or obj.status.hostname != obj.spec.hostname:
        return None
    if previous.reason not in ALL_REASONS or previous.reason in WITHOUT_READING:
        return None
    # A reading that is merely under way flips nothing, or every restart would flap what waits for something.
    under_way = previous.status == FALSE and finding.reason == reasons.PROGRESSING.name
    if previous.reason in TRANSITIONAL and not under_way:
        return None
    return Finding(previous.status, previous.reason, previous.message)


def outage(observed: Observed, facts: Iterable[Fact[Any]]) -> Finding | None:
    """The fault of the first reading that failed so often in a row that nothing rests on it any more."""
    for fact in facts:
        if fact.fault is not None and lasting(observed, fact.misses):
            return replace(from_fault(fact.fault), inconclusive=False)
    return None


@dataclass(frozen=True, slots=True)
class Trend:
    """What several readings of one question say together."""

    run: int
    """How many in a row said the same, the newest included."""
    consistent: bool
    """Enough of them said the same to believe it."""
    varies: bool
    """Answers differ between readings: right ones were followed by wrong ones more than once, or they changed
    again and again."""


def trend_of(
    observed: Observed,
    question: str,
    at: float,
    said: str,
    floor: float,
    *,
    wary: bool = True,
    least: int = 1,
) -> Trend:
    """What the readings since ``floor`` say together; this one said ``said`` (empty: as wanted).

    ``wary``: the first right answer after wrong ones may be chance; otherwise it is what was waited for.
    ``least``: how many right answers in a row are believed if none was wrong.
    """
    past = [text for when, text in observed.memory.dns.answers.get(question, ()) if floor <= when < at]
    past.append(said)
    run = next((n for n, text in enumerate(reversed(past)) if text != said), len(past))
    turns = sum(not a and bool(b) for a, b in itertools.pairwise(past))
    changes = sum(a != b for a, b in itertools.pairwise(past))
    alternates = turns >= 2 or changes >= 4
    doubtful = turns > 0 or (wary and any(past))
    confirmations = observed.settings.confirmations
    enough = 2 * confirmations if alternates else confirmations if doubtful else least
    # The same wrong answer several times in a row is that answer, whatever was said before.
    return Trend(run, run >= enough, alternates and (run < confirmations or not said))
