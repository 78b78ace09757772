"""A PTR is set only after all authoritative servers agree: the gate (S1).

1. A PTR is set while ``record.verified`` holds: every authoritative server returned the whole A record within the last
   ``gate_seconds``, the address among its values (:func:`open_until`). ``propagation.prove`` makes that judgment.
2. If the last answers are older, they are requested again, and nothing is set until they arrive.
3. The write carries the time at which its answers are too old. One that waits longer is not sent.
4. A write that waits is taken back when what allowed it does not hold any more (:func:`still_allowed`).

Which PTRs are wanted is decided in ``ptr.py``. What else can delay a write is in ``ptr_write.py``.
"""

from __future__ import annotations

from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import NeedAuthorities
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.plan_builder import PlanBuilder


def open_until(observed: Observed, builder: PlanBuilder, record: RecordState) -> float | None:
    """Until when (loop time) a PTR may be set on what the authoritative servers returned. None: not now."""
    heard = observed.views.dns.authorities(observed.obj.spec.hostname)
    if record.verified:
        return heard.at + observed.settings.gate_seconds
    stale = observed.now - observed.settings.gate_seconds
    if record.complete and max(heard.at, heard.tried_at) < stale:
        builder.need(NeedAuthorities(observed.obj.spec.hostname, stale))
    return None


def still_allowed(record: RecordState, address: str) -> bool:
    """May a write that was handed over, and was not sent yet, stay? Not once the servers contradict the record."""
    return record.joined(address) and (record.verified or record.finding.ok or record.finding.inconclusive)
