"""Writes the status of one object. Its Events follow it (``emit_events.py``).

The reconciler hands over the status that was computed and decides from the answer how the reconcile goes on. Here it is
decided whether the status is written now, held back because its reader would not miss it, or delayed because another
writer replaces it; and how long the object waits after a refusal of the API server (S11).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailegress.api.conditions import READY, TRUE
from mailegress.api.status import Condition, Status
from mailegress.api.types import MailEgress, parse_meta
from mailegress.reconcile import summarise
from mailegress.reconcile.emit_events import EventEmitter, same
from mailegress.reconcile.memory import ApiWrites, Memory
from mailegress.reconcile.ports import Burst, Kube, KubeError, ObjectStore
from mailegress.reconcile.result import Plan
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.telemetry.condition_counts import ConditionCounts
from mailegress.telemetry.logs import decision
from mailegress.telemetry.metrics import Metrics

logger = logging.getLogger("mailegress.reconcile")

CONFLICT_RETRY = 0.2
"""Seconds before the first retry after a conflict: the watch usually delivers the newer version by then."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a status."""

    obj: MailEgress
    """The object at the version that the write made; unchanged if nothing was written."""
    held: float = 0.0
    """The status is held back for up to so many seconds. The action is carried out nevertheless."""
    pause: float = 0.0
    """Another writer keeps replacing the status: nothing is done for so many seconds, not even the action."""


class StatusWriter:
    """Writes statuses. It keeps no state of its own: what it must remember is in ``memory.api``."""

    def __init__(
        self,
        kube: Kube,
        events: EventEmitter,
        objects: ObjectStore,
        burst: Burst,
        settings: ReconcileSettings,
        metrics: Metrics,
        condition_counts: ConditionCounts,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._kube = kube
        self._events = events
        self._objects = objects
        self._burst = burst
        self._settings = settings
        self._metrics = metrics
        self._condition_counts = condition_counts
        self._clock = clock

    # ------------------------------------------------ the status

    async def write(
        self, body: Mapping[str, Any], obj: MailEgress, plan: Plan, memory: Memory, status: Status, now: float
    ) -> Written:
        """Write ``status`` if it differs from the stored one and neither reason to wait applies."""
        self._count(obj, memory, status, now)
        api = memory.api
        if _is_stored(body, obj, status, api):
            api.status_held_since = None
            return Written(obj)
        if (held := self._held(obj, api, status, plan, now)) > 0:
            return Written(obj, held=held)
        if (pause := self._competing(api, body, now)) > 0:
            return Written(obj, pause=pause)
        api.status_held_since = None
        stored = await self._kube.replace_status(body, status.to_dict())
        api.failures = api.conflicts = 0
        api.last_written_status = _digest(stored.get("status"))
        memory.record_status(status)
        self._objects.seen(stored)
        self._log(memory.key, obj, status)
        await self._events.emit_all(body, obj, status, plan)
        # The next write must name the version that this write made.
        return Written(replace(obj, meta=parse_meta(stored)))

    def _held(self, obj: MailEgress, api: ApiWrites, status: Status, plan: Plan, now: float) -> float:
        """Seconds for which this status need not be written yet; 0 or less: write it now."""
        if api.status_held_since is None:
            api.status_held_since = now
        quiet = self._settings.quiet_seconds
        patience = summarise.patience(obj, status, plan, quiet, among_many=self._burst.many)
        return api.status_held_since + patience - now

    def _competing(self, api: ApiWrites, body: Mapping[str, Any], now: float) -> float:
        """Seconds for which a status that another writer (a second operator) keeps replacing is left alone (S11).

        Two writers that wake each other would otherwise write as fast as the API server lets them.
        """
        if api.last_written_status is not None and _digest(body.get("status")) != api.last_written_status:
            api.last_written_status = None
            recent = now - api.competing_write_at < self._settings.resync_seconds
            api.competing_writes = api.competing_writes + 1 if recent else 1
            api.competing_write_at = now
        if api.competing_writes < 2:
            return 0.0
        return api.competing_write_at + self._settings.backoff(api.competing_writes - 1) - now

    # ------------------------------------------------ refusals of the API server

    async def conflict(self, key: str, obj: MailEgress, memory: Memory | None) -> float | None:
        """Seconds until the next try after a write that met a newer version of the object; None: the object is gone.

        The watch delivers the newer version. If it did not do so before the second conflict, the object is read.
        """
        if memory is None:
            # Gone while it was being written.
            return CONFLICT_RETRY
        memory.api.conflicts += 1
        if memory.api.conflicts > 1:
            since = self._objects.mark()
            try:
                body = await self._kube.read(obj.meta.namespace, obj.meta.name)
            except KubeError as error:
                return self.unavailable(key, memory, error)
            if body is None:
                self._objects.gone(key, obj.meta.uid)
                return None
            self._objects.read(body, since)
        return self._settings.backoff(memory.api.conflicts, CONFLICT_RETRY)

    def unavailable(self, key: str, memory: Memory | None, error: KubeError) -> float:
        """Seconds until the next try after the API server refused or did not answer: one back-off per object."""
        pause = self._settings.backoff(1)
        if memory is not None:
            api, now = memory.api, self._clock()
            if now > api.retry_at + self._settings.retry_max_seconds:
                api.failures = 0
            api.failures += 1
            pause = self._settings.backoff(api.failures)
            api.retry_at = now + pause
        decision(
            logger,
            object=key,
            action="write to the API server",
            outcome="failed",
            detail=str(error),
            level=logging.WARNING,
        )
        return pause

    # ------------------------------------------------ metrics and log

    def _count(self, obj: MailEgress, memory: Memory, status: Status, now: float) -> None:
        """Keep the gauges of conditions up to date; measure the time from an edit to Ready."""
        ready = status.condition(READY)
        if ready is None:
            return
        self._condition_counts.put(obj.meta.uid, status)
        if ready.status != TRUE or memory.progress.ready_generation == obj.meta.generation:
            return
        memory.progress.ready_generation = obj.meta.generation
        previous = obj.status.condition(READY)
        if previous is None or previous.status != TRUE or previous.observed_generation != obj.meta.generation:
            self._metrics.edit_to_ready(now - memory.edits.generation_at)

    def _log(self, key: str, obj: MailEgress, status: Status) -> None:
        """Log a change of Ready."""
        ready, before = status.condition(READY), obj.status.condition(READY)
        if ready is None or same(before, ready):
            return
        decision(
            logger,
            object=key,
            action="observe",
            outcome=f"Ready={ready.status}",
            reason=ready.reason,
            detail=ready.message,
        )
        if before is not None and _lost(before, ready, obj):
            self._metrics.ready_lost(ready.reason)


def _is_stored(body: Mapping[str, Any], obj: MailEgress, status: Status, api: ApiWrites) -> bool:
    """Is this status stored already, with nothing added? The typed values are compared where that is enough."""
    version = obj.meta.resource_version
    if api.canonical_version == version and obj.status == status:
        return True
    if not status.matches(body.get("status")):
        return False
    api.canonical_version = version
    return True


def _digest(status: object) -> bytes:
    """For comparison. A whole status of each object would take more memory than everything else."""
    return hashlib.blake2b(json.dumps(status, sort_keys=True).encode(), digest_size=16).digest()


def _lost(before: Condition, ready: Condition, obj: MailEgress) -> bool:
    """Did Ready drop although nobody edited or deleted the object?"""
    unedited = before.observed_generation == obj.meta.generation and obj.meta.deletion_timestamp is None
    return unedited and before.status == TRUE and ready.status != TRUE
