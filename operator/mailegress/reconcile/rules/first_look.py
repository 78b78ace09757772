"""What a process that has just started waits for before it plans for an object that was Ready: its A record.

Of thousands of objects, most are listed long before the page of their zone that has their record. A plan without the
record could only ask for it.
"""

from __future__ import annotations

from mailegress.api.conditions import READY
from mailegress.api.policy import PolicyMode
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import NeedName


def record(observed: Observed) -> NeedName | None:
    """The reading of the record; None if it was read or refused, or if the plan cannot wait for it."""
    s, hostname, zone = observed, observed.obj.spec.hostname, observed.obj.status.zone
    # S14: before a policy allows the object, nothing is asked for it.
    if zone is None or s.deleting or not s.managed or s.settings.policy is PolicyMode.ENFORCE:
        return None
    # The status may be anybody's: a zone that was not listed is not asked.
    listed = any(known.id == zone.id for known in s.views.zones.get().value or ())
    fact = s.views.records.get(zone.id, hostname)
    if not listed or not s.stands(READY) or fact.value is not None or fact.fault is not None:
        return None
    return NeedName(zone.id, hostname, s.shared_floor)
