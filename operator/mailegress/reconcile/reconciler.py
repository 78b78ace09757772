"""One pass over one object: observe, plan, summarise, write the status, act.

The status is written *before* the act: what is about to change is never shown as verified, and whose PTR it is stands
written down before it is touched. A pass waits for the API server only; everything else is handed over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, READY, TRUE, UNKNOWN
from mailegress.api.names import FINALIZER
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.status import Condition, Status
from mailegress.api.types import MailEgress, parse_meta, parse_object, parse_remains
from mailegress.api.validation import InvalidObject
from mailegress.reconcile import rules, summarise
from mailegress.reconcile.executor import Executor
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.ports import (
    Burst,
    Kube,
    KubeConflict,
    KubeError,
    KubeGone,
    ObjectStore,
    Ports,
    Wake,
)
from mailegress.reconcile.result import ChangeRecords, Plan, RemoveFinalizer, SetPtr
from mailegress.reconcile.rules import loss
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.telemetry.condition_counts import ConditionCounts
from mailegress.telemetry.logs import decision
from mailegress.telemetry.metrics import Metrics

logger = logging.getLogger("mailegress.reconcile")

CONFLICT_RETRY = 0.2
"""Seconds: the newer version is on its way through the watch."""


class Reconciler:
    """Passes over objects; one at a time per key (the queue sees to that)."""

    def __init__(
        self,
        ports: Ports,
        objects: ObjectStore,
        kube: Kube,
        burst: Burst,
        settings: ReconcileSettings,
        metrics: Metrics,
        *,
        wake: Wake,
        clock: Callable[[], float],
        timestamp: Callable[[], str],
    ) -> None:
        self._ports = ports
        self._objects = objects
        self._kube = kube
        self._burst = burst
        self._settings = settings
        self._metrics = metrics
        self._wake = wake
        self._clock = clock
        self._timestamp = timestamp
        self._executor = Executor(ports.requests, ports.writers, kube, objects, wake)
        self._memories: dict[str, Memory] = {}
        self.condition_counts = ConditionCounts(timestamp)
        """What the conditions of all objects say, for the gauges."""

    # ------------------------------------------------ what others ask

    def forget(self, uid: str) -> None:
        """The object is gone for good."""
        self._memories.pop(uid, None)
        self.condition_counts.drop(uid)

    def memories(self) -> list[Memory]:
        """What is remembered of every object seen."""
        return list(self._memories.values())

    def used(self, region: str) -> set[str]:
        """Allocation IDs that objects use in a region: the base of the mass-loss rule."""
        return {
            allocation_id
            for memory in self._memories.values()
            for where, allocation_id in memory.used
            if where == region
        }

    # ------------------------------------------------ the pass

    async def process(self, key: str) -> float | None:
        """One pass. Seconds until the next one come back, or None to wait for an event."""
        began = self._clock()
        body = self._objects.body(key)
        if body is None:
            return None
        invalid: InvalidObject | None = None
        try:
            obj = parse_object(body)
        except InvalidObject as error:
            # A stored spec that this version cannot read: said in the status; cleaned up after when it is deleted.
            obj, invalid = parse_remains(body), error
        outcome = "error"
        try:
            delay = await self._pass(key, body, obj, invalid)
            outcome = "ok"
            return self._until_nudged(obj.meta.uid, delay)
        except KubeConflict:
            outcome = "conflict"
            return await self._outdated(key, obj)
        except KubeGone:
            outcome = "gone"
            self._objects.gone(key, obj.meta.uid)
            return None
        except KubeError as error:
            outcome = "unavailable"
            return self._unavailable(key, obj, error)
        finally:
            self._metrics.reconcile(outcome, self._clock() - began)

    def _until_nudged(self, uid: str, delay: float | None) -> float | None:
        """An edit or request that came too soon after the last one is honoured at its time."""
        if (memory := self._memories.get(uid)) is None or not memory.edits.limit.pending:
            return delay
        due = (
            memory.edits.limit.due(self._settings.blocked_seconds, self._settings.resync_seconds)
            - self._clock()
        )
        return max(due, 0.0) if delay is None else min(delay, max(due, 0.0))

    async def _outdated(self, key: str, obj: MailEgress) -> float | None:
        """Somebody changed the object meanwhile. The watch tells how, or does not: then we look ourselves."""
        memory = self._memories.get(obj.meta.uid)
        if memory is None:
            # Gone while it was being written.
            return CONFLICT_RETRY
        memory.api.conflicts += 1
        if memory.api.conflicts > 1:
            since = self._objects.mark()
            try:
                body = await self._kube.read(obj.meta.namespace, obj.meta.name)
            except KubeError as error:
                return self._unavailable(key, obj, error)
            if body is None:
                self._objects.gone(key, obj.meta.uid)
                return None
            self._objects.read(body, since)
        return self._settings.backoff(memory.api.conflicts, CONFLICT_RETRY)

    def _unavailable(self, key: str, obj: MailEgress, error: KubeError) -> float:
        """The API server does not answer or refuses: this object's own back-off."""
        memory = self._memories.get(obj.meta.uid)
        pause = self._settings.backoff(1)
        if memory is not None:
            now = self._clock()
            if now > memory.api.retry_at + self._settings.retry_max_seconds:
                memory.api.failures = 0
            memory.api.failures += 1
            pause = self._settings.backoff(memory.api.failures)
            memory.api.retry_at = now + pause
        decision(
            logger,
            object=key,
            action="write to the API server",
            outcome="failed",
            detail=str(error),
            level=logging.WARNING,
        )
        return pause

    async def _pass(
        self, key: str, body: dict[str, Any], obj: MailEgress, invalid: InvalidObject | None
    ) -> float | None:
        now = self._clock()
        memory = self._memories.get(obj.meta.uid)
        if memory is None:
            memory = self._memories[obj.meta.uid] = Memory.first(obj, now)
        memory.ptrs.observe_pending(memory.used, self._ports.views, now, self._timestamp())
        if memory.observe(obj, self._ports.views, now, self._settings):
            for entry in obj.status.addresses:
                if entry.region and entry.region in self._ports.addresses.regions and entry.allocation_id:
                    self._ports.addresses.forget_absence(entry.region, [entry.allocation_id])
        observed = self._situate(key, obj, memory, now)
        deleting = obj.meta.deletion_timestamp is not None
        plan = rules.plan(observed) if invalid is None or deleting else rules.refuse(observed, str(invalid))
        memory.record_plan(plan, now)
        if plan.blocked_on is not None:
            for other in self._ports.claims.set_blocked(obj.meta.uid, plan.blocked_on):
                self._wake(other)
        if plan.standing is not None:
            for other in self._ports.claims.stand(obj.meta.uid, plan.standing):
                self._wake(other)
        self._released(memory, observed)
        self._executor.request(key, plan)
        if (pause := memory.api.retry_at - now) > 0:
            # Woken by a reading meanwhile: what the API server refused is not tried again before its time.
            return pause
        if plan.deleting and FINALIZER not in obj.meta.finalizers:
            return None
        if isinstance(plan.action, RemoveFinalizer):
            # Told while there still is an object to tell it about.
            await self._notices(body, plan)
            await self._executor.act(key, obj, plan, memory, now)
            return None
        found = summarise.verdicts(obj, plan)
        progress = summarise.progress_key(obj, plan, found)
        if progress != memory.progress.key:
            memory.progress.key, memory.progress.since = progress, now
        deadline = memory.progress.since + self._settings.stalled_after_seconds
        until_stuck = deadline - now if now < deadline else float("inf")
        if summarise.hopeless(obj, found[READY], stuck=now >= deadline):
            memory.progress.stalled_generation = obj.meta.generation
        status = summarise.compose(
            obj,
            plan,
            found,
            self._timestamp(),
            stuck=now >= deadline,
            handled=handled(obj, memory, plan),
        )
        self._count(obj, memory, status, now)
        if not status.matches(body.get("status")):
            unsaid = self._unsaid(obj, memory, status, plan, now)
            if unsaid > 0 and plan.action is None:
                return min(plan.wait, unsaid, until_stuck)
            if unsaid > 0:
                return await self._act(key, obj, plan, memory, now)
            if (pause := self._quarrel(memory, body, now)) > 0:
                return pause
            memory.api.status_held_since = None
            stored = await self._kube.replace_status(body, status.to_dict())
            memory.api.failures = memory.api.conflicts = 0
            memory.api.last_written_status = stored.get("status")
            self._objects.seen(stored)
            self._log(key, obj, status, plan)
            await self._tell(body, obj, status, plan)
            # What is written next must name the version that this write made.
            obj = replace(obj, meta=parse_meta(stored))
        else:
            memory.api.status_held_since = None
        if plan.action is not None:
            return await self._act(key, obj, plan, memory, now)
        waits = plan.wait
        return waits if found[READY].status == TRUE else min(waits, until_stuck)

    async def _act(self, key: str, obj: MailEgress, plan: Plan, memory: Memory, now: float) -> float:
        await self._executor.act(key, obj, plan, memory, now)
        memory.api.conflicts = 0
        if isinstance(plan.action, SetPtr) and plan.action.heal:
            self._metrics.ptr_healed()
        if isinstance(plan.action, ChangeRecords):
            self._burst.handed_over(obj.meta.uid)
        return 0.0

    def _unsaid(self, obj: MailEgress, memory: Memory, status: Status, plan: Plan, now: float) -> float:
        """Seconds for which this status need not be written yet; 0 = now."""
        if memory.api.status_held_since is None:
            memory.api.status_held_since = now
        quiet = self._settings.quiet_seconds
        patience = summarise.patience(obj, status, plan, quiet, among_many=self._burst.many)
        return memory.api.status_held_since + patience - now

    def _quarrel(self, memory: Memory, body: Mapping[str, Any], now: float) -> float:
        """Seconds for which a status that somebody else keeps rewriting (a second operator) is left alone.

        Two writers that wake each other would otherwise write as fast as the API server lets them.
        """
        if (
            memory.api.last_written_status is not None
            and body.get("status") != memory.api.last_written_status
        ):
            memory.api.last_written_status = None
            recent = now - memory.api.competing_write_at < self._settings.resync_seconds
            memory.api.competing_writes = memory.api.competing_writes + 1 if recent else 1
            memory.api.competing_write_at = now
        if memory.api.competing_writes < 2:
            return 0.0
        return memory.api.competing_write_at + self._settings.backoff(memory.api.competing_writes - 1) - now

    def _situate(self, key: str, obj: MailEgress, memory: Memory, now: float) -> Observed:
        bare = Observed(now, obj, memory, self._ports.views, self._settings)
        absences = {
            (a.region or "", a.allocation_id or ""): self._ports.addresses.watch_absence(
                key, a.region or "", a.allocation_id or ""
            )
            for a in loss.vanished(bare)
        }
        return Observed(now, obj, memory, self._ports.views, self._settings, absences)

    def _released(self, memory: Memory, observed: Observed) -> None:
        """Somebody may be waiting for a name that is ours no more."""
        owned = frozenset(observed.owned())
        for _, hostname in memory.ownership.owned - owned:
            for other in self._ports.claims.next_for(hostname) - {memory.key}:
                self._wake(other)
        memory.ownership.owned = owned

    def _count(self, obj: MailEgress, memory: Memory, status: Status, now: float) -> None:
        ready = status.condition(READY)
        if ready is None:
            return
        self.condition_counts.put(obj.meta.uid, status)
        if ready.status == TRUE and memory.progress.ready_generation != obj.meta.generation:
            memory.progress.ready_generation = obj.meta.generation
            previous = obj.status.condition(READY)
            if (
                previous is None
                or previous.status != TRUE
                or previous.observed_generation != obj.meta.generation
            ):
                self._metrics.edit_to_ready(now - memory.edits.generation_at)

    # ------------------------------------------------ telling

    def _log(self, key: str, obj: MailEgress, status: Status, plan: Plan) -> None:
        ready = status.condition(READY)
        before = obj.status.condition(READY)
        if ready is not None and (
            before is None or (before.status, before.reason) != (ready.status, ready.reason)
        ):
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

    async def _tell(self, body: Mapping[str, Any], obj: MailEgress, status: Status, plan: Plan) -> None:
        """Events on transitions only; the reason is the condition's."""
        for condition in sorted(status.conditions, key=lambda c: c.type == READY):
            before = obj.status.condition(condition.type)
            if not _worth_telling(condition, before):
                continue
            warning = condition.status != TRUE and condition.reason not in summarise.TRANSITIONAL
            await self._kube.emit(
                body, warning=warning, reason=condition.reason, message=condition.message, action="Reconcile"
            )
        await self._notices(body, plan)

    async def _notices(self, body: Mapping[str, Any], plan: Plan) -> None:
        for notice in plan.notices:
            await self._kube.emit(
                body, warning=notice.warning, reason=notice.reason, message=notice.message, action="Reconcile"
            )


def handled(obj: MailEgress, memory: Memory, plan: Plan) -> str | None:
    """The request counts as handled when every source was read after it, and what was read is what is shown."""
    if memory.edits.reconcile_request is None:
        return obj.status.last_handled_reconcile_at
    read = not plan.needs and not any(finding.soft for finding in plan.findings.values())
    return memory.edits.reconcile_request if read else obj.status.last_handled_reconcile_at


def _lost(before: Condition, ready: Condition, obj: MailEgress) -> bool:
    """Whether Ready dropped although nobody edited or deleted the object."""
    unedited = before.observed_generation == obj.meta.generation and obj.meta.deletion_timestamp is None
    return unedited and before.status == TRUE and ready.status != TRUE


def _worth_telling(condition: Condition, before: Condition | None) -> bool:
    if condition.type == READY:
        if before is not None and (before.status, before.reason) == (condition.status, condition.reason):
            return False
        return condition.status == TRUE or (
            condition.reason in ALL_REASONS
            and condition.reason not in (reasons.PENDING.name, reasons.PROGRESSING.name)
        )
    if condition.type in ("Reconciling", "Stalled"):
        return False
    flipped = before is None or before.status != condition.status
    return (
        flipped
        and condition.status == TRUE
        and (before is None or before.status != UNKNOWN or condition.type != ACCEPTED)
    )
