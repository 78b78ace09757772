"""The hourly limit of PTR repairs: at most ``--ptr-heals-per-hour`` (three by default) for each address (S11).

A repair sets a PTR that showed the hostname before and that a third party has changed since (:func:`is_repair`).
:func:`too_many_repairs` holds back a repair while as many were made within the last hour, so that two writers do not
change a PTR in turns without end. :func:`times_after` counts: a repair that AWS refused, or that was not sent, does not
count. An edit of the object starts anew (``Memory`` clears the times).
"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.model.aws import Eip
from mailegress.model.facts import WritePhase
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, failed
from mailegress.reconcile.rules.plan_builder import PlanBuilder

HOUR = 3600.0


def is_repair(observed: Observed, eip: Eip) -> bool:
    """It showed the hostname before and does not any more: a third party changed it."""
    recorded = observed.recorded_for(eip.allocation_id)
    memory = observed.memory
    return (
        eip.allocation_id in memory.ptrs.repairs
        or (eip.allocation_id, observed.obj.spec.hostname) in memory.ptrs.matched_since_edit
        or (
            recorded is not None
            and recorded.ptr_origin is not None
            and recorded.ptr == observed.obj.spec.hostname
            and observed.obj.status.hostname == observed.obj.spec.hostname
        )
    )


def too_many_repairs(observed: Observed, builder: PlanBuilder, eip: Eip) -> Finding | None:
    """Is the write a repair, and were so many made within an hour that no other is made yet?"""
    recent = _recent(observed, eip)
    if len(recent) < observed.settings.heals_per_hour or not is_repair(observed, eip):
        return None
    builder.later(min(recent, default=observed.now) + HOUR - observed.now)
    return failed(
        reasons.PTR_CONTESTED,
        f"The PTR of {eip.public_ip} was changed to {eip.ptr.name or 'none'} again; the operator repaired it "
        f"{len(recent)} times within an hour. {reasons.PTR_CONTESTED.remedy}",
    )


def times_after(observed: Observed, eip: Eip) -> tuple[float, ...]:
    """When the PTR was repaired within the last hour, with the repair that is proposed now."""
    recent = _recent(observed, eip)
    last = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    if recent and last is not None and (last.phase is WritePhase.FAILED or last.returned):
        # Refused by AWS or not sent, not undone by a third party: the same repair once more.
        recent = recent[:-1]
    return (*recent, observed.now)


def _recent(observed: Observed, eip: Eip) -> tuple[float, ...]:
    """Loop times of the repairs within the last hour, oldest first, as far as this process knows."""
    times = observed.memory.ptrs.repairs.get(eip.allocation_id, ())
    return tuple(at for at in times if at > observed.now - HOUR)
