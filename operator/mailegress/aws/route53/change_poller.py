"""GetChange: one poll per change ID, for all hostnames that travelled in it."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailegress.aio.backoff import backoff_seconds
from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import classify
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile.ports import Key

_log = logging.getLogger(__name__)

_FAILURES = 3
"""Polls in a row without an answer (throttled, 5xx, timed out) before that is reported."""
_REPORTS = 6
"""Failed polls that are reported before the change ID is given up: with doubling pauses that is about an hour."""

Place = tuple[tuple[str, str], tuple[Key, ...]]
"""(zone ID, hostname) and the keys to wake."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Neither ``insync`` nor ``lost``: AWS does not answer the question (``fault``), and is asked again slowly."""

    insync: bool = False
    lost: bool = False
    fault: Fault | None = None


class ChangePoller:
    """Polls until INSYNC, which never reverts. ``told(change_id, places)`` is called when the state changes."""

    def __init__(self, runtime: Runtime, told: Callable[[str, Sequence[Place]], None]) -> None:
        self._rt = runtime
        self._told = told
        self._outcomes: dict[str, Outcome] = {}

    @property
    def pending(self) -> int:
        return len(self._outcomes)

    def outcome(self, change_id: str) -> Outcome:
        return self._outcomes.get(change_id, Outcome(lost=True))

    def watch(self, change_id: str, places: Sequence[Place]) -> None:
        """Start polling."""
        self._outcomes[change_id] = Outcome()
        self._rt.tasks.spawn(self._poll(change_id, places), f"change-{change_id}")

    async def _poll(self, change_id: str, places: Sequence[Place]) -> None:
        settings = self._rt.settings
        looks = failures = reported = 0
        pause = settings.change_polls[0]
        while True:
            await self._rt.sleep(pause)
            looks += 1
            pause = settings.change_polls[min(looks, len(settings.change_polls) - 1)]
            outcome = await self._look(change_id)
            failures = failures + 1 if outcome.fault is not None else 0
            if outcome.fault is not None:
                if outcome.fault.kind is ErrorKind.TRANSIENT and failures < _FAILURES:
                    continue
                reported += 1
                pause = backoff_seconds(reported, settings.change_poll_slow, most=math.inf)
                if reported > _REPORTS:
                    # A change is published within minutes: whether it was, only DNS can tell by now.
                    outcome = Outcome(lost=True)
            known, self._outcomes[change_id] = self._outcomes[change_id], outcome
            if outcome != known:
                if outcome.fault is not None:
                    _log.warning(
                        "GetChange has no answer change=%s error=%s", change_id, outcome.fault.message
                    )
                self._told(change_id, places)
            if outcome.insync or outcome.lost:
                del self._outcomes[change_id]
                return

    async def _look(self, change_id: str) -> Outcome:
        call = functools.partial(self._rt.api.get_change, change_id)
        try:
            info = await self._rt.read(Service.ROUTE53, Priority.POLL, change_id, call)
        except AwsError as error:
            # Route 53 forgets changes after a while: the list and the authorities stand for INSYNC then.
            if error.code == "NoSuchChange":
                return Outcome(lost=True)
            return Outcome(fault=classify(error))
        return Outcome(insync=info.status == "INSYNC")
