"""Where Events are emitted, and for what. Nothing else emits one.

1. A condition that changed (:func:`needs_event`): Ready when its status or reason changed, unless it is only on its
   way; the others when they become True. The Event's reason is the condition's.
2. An advisory whose code was not in the status before.
3. A notice of the plan, which no condition carries.

Events of the first two kinds follow the status that they belong to, so that a refused status does not repeat them.
``kube/event_recorder.py`` queues them, and ``kube/event_body.py`` gives them the form that the API server takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailegress.api import reasons
from mailegress.api.advisories import Severity
from mailegress.api.conditions import ACCEPTED, READY, RECONCILING, STALLED, TRUE, UNKNOWN
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.status import Condition, Status
from mailegress.api.types import MailEgress
from mailegress.reconcile.confirmations import TRANSITIONAL
from mailegress.reconcile.ports import Kube
from mailegress.reconcile.result import Plan


class EventEmitter:
    """Emits the Events of one object. ``body`` is the object as the API server returned it."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def emit_all(self, body: Mapping[str, Any], obj: MailEgress, status: Status, plan: Plan) -> None:
        """The Events of a status that was written over that of ``obj``."""
        await self._emit_transitions(body, obj, status)
        await self._emit_advisories(body, obj, status)
        await self.emit_notices(body, plan)

    async def emit_notices(self, body: Mapping[str, Any], plan: Plan) -> None:
        """The Events of the plan that no condition carries."""
        for notice in plan.notices:
            await self._emit(body, notice.reason, notice.message, warning=notice.warning)

    async def _emit_transitions(self, body: Mapping[str, Any], obj: MailEgress, status: Status) -> None:
        """One Event per condition that changed. Ready comes last."""
        for condition in sorted(status.conditions, key=lambda c: c.type == READY):
            if not needs_event(condition, obj.status.condition(condition.type)):
                continue
            warning = condition.status != TRUE and condition.reason not in TRANSITIONAL
            await self._emit(body, condition.reason, condition.message, warning=warning)

    async def _emit_advisories(self, body: Mapping[str, Any], obj: MailEgress, status: Status) -> None:
        """One Event for each advisory whose code was not in the status before."""
        known = {advisory.code for advisory in obj.status.advisories}
        for advisory in status.advisories:
            if advisory.code in known:
                continue
            known.add(advisory.code)
            warning = advisory.severity is Severity.WARNING
            await self._emit(body, advisory.code, advisory.message, warning=warning)

    async def _emit(self, body: Mapping[str, Any], reason: str, message: str, *, warning: bool) -> None:
        await self._kube.emit(body, warning=warning, reason=reason, message=message, action="Reconcile")


def needs_event(condition: Condition, before: Condition | None) -> bool:
    """Ready: when status or reason changed, unless it is only on its way. The others: when they become True."""
    if condition.type == READY:
        if same(before, condition):
            return False
        return condition.status == TRUE or (
            condition.reason in ALL_REASONS
            and condition.reason not in (reasons.PENDING.name, reasons.PROGRESSING.name)
        )
    if condition.type in (RECONCILING, STALLED) or condition.status != TRUE:
        return False
    if before is None:
        return True
    # A new process confirms Accepted for every object: no news.
    return before.status != TRUE and (before.status != UNKNOWN or condition.type != ACCEPTED)


def same(before: Condition | None, condition: Condition) -> bool:
    """Do both have the same status and reason?"""
    return before is not None and (before.status, before.reason) == (condition.status, condition.reason)
