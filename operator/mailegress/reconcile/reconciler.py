"""One reconcile of one object.

``Reconciler._reconcile`` shows the steps: remember, observe, plan, report claims, request readings, summarise, write
the status, execute. The status is written *before* the action: what is about to change is never shown as verified (S7),
and whose PTR it is stands in the status before it is touched. A reconcile waits for the API server only; everything
else is handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mailegress.api.conditions import READY, TRUE
from mailegress.api.names import FINALIZER
from mailegress.api.status import Status
from mailegress.api.types import MailEgress, parse_object, parse_remains
from mailegress.api.validation import InvalidObject
from mailegress.model.facts import NEVER
from mailegress.reconcile import rules, summarise
from mailegress.reconcile.emit_events import EventEmitter
from mailegress.reconcile.executor import Executor
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.policy_gate import PolicyGate
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
from mailegress.reconcile.result import ChangeRecords, Plan, RemoveFinalizer
from mailegress.reconcile.rules import first_look, loss
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.reconcile.status_writer import StatusWriter
from mailegress.telemetry.condition_counts import ConditionCounts
from mailegress.telemetry.metrics import Metrics
from mailegress.telemetry.policy_counts import PolicyCounts


class Reconciler:
    """Reconciles objects, one at a time per key (the queue sees to that)."""

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
        self._burst = burst
        self._settings = settings
        self._metrics = metrics
        self._wake = wake
        self._clock = clock
        self._timestamp = timestamp
        self._memories: dict[str, Memory] = {}
        self.condition_counts = ConditionCounts(timestamp)
        """The conditions of all objects, for the gauges."""
        self.policy_counts = PolicyCounts()
        """What policies allow and refuse, for the gauges and for their own status."""
        gate = PolicyGate(settings.policy, ports.views, clock)
        self._executor = Executor(ports.requests, ports.writers, kube, objects, wake, gate)
        self._events = EventEmitter(kube)
        self._status = StatusWriter(
            kube, self._events, objects, burst, settings, metrics, self.condition_counts, clock=clock
        )

    # ------------------------------------------------ what others ask

    def forget(self, uid: str) -> None:
        """The object no longer exists."""
        self._memories.pop(uid, None)
        self.condition_counts.drop(uid)
        self.policy_counts.drop(uid)

    def memories(self) -> list[Memory]:
        """What is remembered of every object."""
        return list(self._memories.values())

    def used(self, region: str) -> set[str]:
        """Allocation IDs that objects use in a region: the base of the mass-loss rule.

        Not those of objects that are being deleted: whoever deletes them may have released the addresses just before.
        """
        return {
            allocation_id
            for memory in self._memories.values()
            if memory.edits.deleting_at == NEVER
            for where, allocation_id in memory.used
            if where == region
        }

    # ------------------------------------------------ one reconcile

    async def process(self, key: str) -> float | None:
        """Reconcile one object. Returns the seconds until the next reconcile, or None to wait for an event."""
        began = self._clock()
        body = self._objects.body(key)
        if body is None:
            return None
        obj, unreadable = _parse(body)
        uid = obj.meta.uid
        outcome = "error"
        try:
            delay = await self._reconcile(key, body, obj, unreadable)
            outcome = "ok"
            return self._until_edit_is_due(uid, delay)
        except KubeConflict:
            outcome = "conflict"
            return await self._status.conflict(key, obj, self._memories.get(uid))
        except KubeGone:
            outcome = "gone"
            self._objects.gone(key, uid)
            return None
        except KubeError as error:
            outcome = "unavailable"
            return self._status.unavailable(key, self._memories.get(uid), error)
        finally:
            self._metrics.reconcile(outcome, self._clock() - began)

    async def _reconcile(
        self, key: str, body: dict[str, Any], obj: MailEgress, unreadable: InvalidObject | None
    ) -> float | None:
        now = self._clock()
        memory = self._remember(obj, now)
        observed = self._observe(key, obj, memory, now)
        if not memory.progress.looked:
            memory.progress.looked = True
            if (need := first_look.record(observed)) is not None:
                self._executor.read(key, need)
                return self._settings.blocked_seconds
        plan = _plan(observed, unreadable)
        memory.record_plan(plan)
        self._count_policy(obj, plan)
        self._report_claims(observed, plan)
        self._executor.request(key, plan)
        if memory.api.retry_at > now:
            # The API server refused a write: nothing is written, here or outside, before its time (S11).
            return memory.api.retry_at - now
        if plan.deleting and FINALIZER not in obj.meta.finalizers:
            return None
        if isinstance(plan.action, RemoveFinalizer):
            # No status: the object disappears. Its Events need it, so they come first (S8).
            await self._events.emit_notices(body, plan)
            await self._executor.act(key, obj, plan, memory)
            return None
        status, stalled_in = self._summarise(obj, plan, memory, now)
        written = await self._status.write(body, obj, plan, memory, status, now)
        if written.pause > 0:
            return written.pause
        if plan.action is not None:
            await self._execute(key, written.obj, plan, memory)
            return 0.0
        return min(plan.wait, stalled_in, written.held or float("inf"))

    def _remember(self, obj: MailEgress, now: float) -> Memory:
        """The memory of the object, brought up to date."""
        memory = self._memories.get(obj.meta.uid)
        if memory is None:
            memory = self._memories[obj.meta.uid] = Memory.first(obj, now)
        views = self._ports.views
        memory.ptrs.observe_pending(memory.used, views, now, self._timestamp())
        if memory.observe(obj, views, now, self._settings):
            # Whoever edits or deletes the object confirms that its missing addresses are lost.
            for entry in obj.status.addresses:
                if entry.region and entry.region in views.addresses.regions and entry.allocation_id:
                    self._ports.addresses.forget_absence(entry.region, [entry.allocation_id])
        return memory

    def _observe(self, key: str, obj: MailEgress, memory: Memory, now: float) -> Observed:
        """What is known now, with an answer for each recorded address that is missing."""
        observed = Observed(now, obj, memory, self._ports.views, self._settings)
        absences = {
            (region, allocation_id): self._ports.addresses.watch_absence(
                key, region, allocation_id, entry.attached_to or ""
            )
            for entry in loss.vanished(observed)
            if (region := entry.region or "") and (allocation_id := entry.allocation_id or "")
        }
        return replace(observed, absences=absences)

    def _count_policy(self, obj: MailEgress, plan: Plan) -> None:
        report = plan.policy_report
        if report is None and plan.deleting:
            self.policy_counts.drop(obj.meta.uid)
        elif report is not None:
            self.policy_counts.put(obj.meta.uid, obj.meta.namespace, report.refused, report.allowed_by)

    def _report_claims(self, observed: Observed, plan: Plan) -> None:
        """Report to the claim index what this object waits for, holds and has released; wake whom it concerns (S9)."""
        uid, claims, memory = observed.obj.meta.uid, self._ports.claims, observed.memory
        concerned: list[str] = []
        if plan.blocked_on is not None:
            concerned += claims.set_blocked(uid, plan.blocked_on)
        if plan.standing is not None:
            concerned += claims.stand(uid, plan.standing)
        owned = observed.owned()
        for _, hostname in set(memory.ownership.owned).difference(owned):
            concerned += claims.next_for(hostname) - {memory.key}
        memory.ownership.owned = owned
        for key in concerned:
            self._wake(key)

    def _summarise(self, obj: MailEgress, plan: Plan, memory: Memory, now: float) -> tuple[Status, float]:
        """The status, and the seconds until it would say Stalled (infinity: it does already, or is Ready)."""
        found = summarise.verdicts(obj, plan)
        memory.progress.observe(summarise.progress_key(obj, plan, found), now)
        deadline = memory.progress.since + self._settings.stalled_after_seconds
        stuck = now >= deadline
        if summarise.hopeless(obj, found[READY], stuck=stuck):
            memory.progress.stalled_generation = obj.meta.generation
        handled = summarise.handled_request(obj, memory)
        status = summarise.compose(obj, plan, found, self._timestamp(), stuck=stuck, handled=handled)
        waits = not stuck and found[READY].status != TRUE
        return status, deadline - now if waits else float("inf")

    async def _execute(self, key: str, obj: MailEgress, plan: Plan, memory: Memory) -> None:
        await self._executor.act(key, obj, plan, memory)
        memory.api.conflicts = 0
        for write in plan.ptrs:
            if write.repair:
                self._metrics.ptr_repaired()
        if isinstance(plan.action, ChangeRecords):
            self._burst.handed_over(obj.meta.uid)

    def _until_edit_is_due(self, uid: str, delay: float | None) -> float | None:
        """The delay, shortened to the moment at which an edit or request that came too early is honoured (S11)."""
        memory = self._memories.get(uid)
        if memory is None or not memory.edits.limit.pending:
            return delay
        due = memory.edits.limit.due(self._settings.blocked_seconds, self._settings.resync_seconds)
        left = max(due - self._clock(), 0.0)
        return left if delay is None else min(delay, left)


def _parse(body: dict[str, Any]) -> tuple[MailEgress, InvalidObject | None]:
    """The object; and the error, if this version cannot read the stored spec.

    Such an object is reported in its status, and cleaned up after when it is deleted.
    """
    try:
        return parse_object(body), None
    except InvalidObject as error:
        return parse_remains(body), error


def _plan(observed: Observed, unreadable: InvalidObject | None) -> Plan:
    if unreadable is not None and observed.obj.meta.deletion_timestamp is None:
        return rules.refuse(observed, str(unreadable))
    return rules.plan(observed)
