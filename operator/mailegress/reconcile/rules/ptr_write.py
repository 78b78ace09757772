"""May a PTR be written now? One ladder for setting it, resetting it and deletion.

1. :func:`unsettled_write`: not while the operator's last write is waiting or under way. While its outcome is unknown
   the PTR is read first (S10).
2. :func:`unsettled_change`: not while AWS is still changing the PTR.
3. :func:`update_failed`, :func:`backing_off`: not so soon after AWS refused a write or reported that it failed (S11).
4. To set: the hourly limit of repairs (``ptr_repair_limit.py``), and then the gate, which opens when every
   authoritative server agrees (``ptr_gate.py``).
5. To reset: the PTR itself was read within the last ``gate_seconds`` (``leaving.read_lately``), because a reset removes
   whatever is there (S2).

The write carries the time at which its reading is too old. One that waits longer is not sent. Which PTRs are wanted,
and when an old one may go, is decided in ``ptr.py``, ``retire.py`` and ``deletion.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.model.aws import Eip
from mailegress.model.facts import ErrorKind
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    NeedPtr,
    ResetPtr,
    failed,
    from_fault,
    under_way,
)
from mailegress.reconcile.rules.leaving import read_lately
from mailegress.reconcile.rules.plan_builder import PlanBuilder


def unsettled_write(
    observed: Observed, builder: PlanBuilder, eip: Eip, sent: Finding, reading: Finding
) -> Finding | None:
    """``sent`` while the last write waits or is under way; its fault, or ``reading``, while its outcome is unknown."""
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    if write is not None and write.busy:
        return sent
    if (since := observed.doubted(eip.region, eip.allocation_id)) is None:
        return None
    builder.need(NeedPtr(eip.region, eip.allocation_id, since))
    return from_fault(write.fault) if write is not None and write.fault is not None else reading


def unsettled_change(observed: Observed, builder: PlanBuilder, eip: Eip) -> bool:
    """Is AWS still changing the PTR? It is read again until it is not."""
    if not eip.ptr.pending:
        return False
    builder.need(NeedPtr(eip.region, eip.allocation_id, observed.now, eip.ptr))
    return True


def not_shown(observed: Observed, eip: Eip) -> Finding | None:
    """AWS refuses to show what became of this PTR: nobody knows when its change is done."""
    fault = observed.views.addresses.ptr(eip.region, eip.allocation_id).fault
    if fault is None or fault.kind is ErrorKind.TRANSIENT:
        return None
    return from_fault(fault, f"AWS does not show whether the PTR of {eip.public_ip} is set: ")


def update_failed(observed: Observed, builder: PlanBuilder, eip: Eip) -> Finding | None:
    """AWS took the last update of a PTR and reports that it failed: the finding until it may be tried again."""
    if not eip.ptr.failed:
        return None
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    since = write.at if write is not None else observed.memory.first_seen
    rest = observed.rest(since, observed.settings.ptr_refused_seconds)
    if not rest:
        return None
    builder.later(rest)
    said = eip.ptr.reason or "no reason given"
    return failed(
        reasons.PTR_REJECTED,
        f"AWS reports the PTR update of {eip.public_ip} as {eip.ptr.status}: {said}. {reasons.PTR_REJECTED.remedy}",
    )


def backing_off(observed: Observed, builder: PlanBuilder, eip: Eip, pause: float | None = None) -> bool:
    """Was the last write refused so lately that it is not tried again yet? ``pause``: other than the usual back-off."""
    rest = observed.rest_of(observed.views.ptr_writes.state(eip.region, eip.allocation_id), pause)
    if rest:
        builder.later(rest)
    return bool(rest)


@dataclass(frozen=True, slots=True)
class Reset:
    """What is said of a PTR that is to be reset."""

    finding: Finding
    lasting: bool = False
    """It does not end by itself."""


def reset(
    observed: Observed,
    builder: PlanBuilder,
    eip: Eip,
    hostname: str,
    resetting: Finding,
    reading: Finding,
    changing: Finding,
) -> Reset:
    """Propose the reset if it may be sent now. The findings are for a write, a reading and a change under way."""
    write = observed.views.ptr_writes.state(eip.region, eip.allocation_id)
    sent = under_way(write, resetting)
    if (waiting := unsettled_write(observed, builder, eip, sent, reading)) is not None:
        return Reset(waiting)
    if unsettled_change(observed, builder, eip):
        hidden = not_shown(observed, eip)
        # It lasts until AWS answers again.
        return Reset(changing) if hidden is None else Reset(hidden, lasting=True)
    if (failure := update_failed(observed, builder, eip)) is not None:
        return Reset(failure, lasting=True)
    if not backing_off(observed, builder, eip) and read_lately(observed, builder, eip):
        before = (
            observed.views.addresses.ptr(eip.region, eip.allocation_id).at + observed.settings.gate_seconds
        )
        builder.act(ResetPtr(eip.region, eip.allocation_id, eip.public_ip, hostname, before))
    return Reset(sent)
