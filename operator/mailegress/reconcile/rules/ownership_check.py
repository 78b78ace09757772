"""What confirms an ownership record: whoever can write TXT records in the zone could forge one (S2).

The owner ID and the UID in an ownership record are public. So before the operator changes or removes an A record beside
it, a second fact that only the operator can write must agree: the object's status names the zone and the hostname
(written before the first write), or this process made the write itself.
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.model import ownership
from mailegress.model.aws import NameView
from mailegress.model.ownership import Mark
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.rules import targets
from mailegress.reconcile.rules.plan_builder import PlanBuilder

Place = tuple[str, str]
"""(zone ID, hostname)."""


def recorded_places(observed: Observed) -> set[Place]:
    """The places that the stored status names."""
    status = observed.obj.status
    places = {(former.zone_id, former.hostname) for former in status.former_records}
    if status.zone is not None and status.hostname is not None:
        places.add((status.zone.id, status.hostname))
    return places


def vouched(observed: Observed, zone_id: str, view: NameView) -> bool:
    """May the A record beside our ownership record be changed or removed?"""
    place = (zone_id, view.hostname)
    return (
        place in observed.memory.ownership.written
        or place in recorded_places(observed)
        or _explained(observed, view)
    )


def _explained(observed: Observed, view: NameView) -> bool:
    """Does the A record hold nothing but this object's own addresses, with nobody else who wants the name?

    Such a record could be adopted, so its ownership record grants nothing new. This is how an object whose status was
    lost, or was not written yet when the process stopped, gets its records back, at former hostnames too.
    """
    s, hostname = observed, view.hostname
    rivalled = s.views.claims.others_want(s.obj.meta.uid, hostname)
    if rivalled and not (s.obj.status.observed_generation == -1 and _first(s, hostname)):
        return False
    own = {a.public_ip for a in s.recorded()} | {
        e.public_ip for e in targets.resolve(s, PlanBuilder()).wanted.values()
    }
    records = view.of_type("A")
    return all(r.simple and set(r.values) <= own for r in records)


def _first(observed: Observed, hostname: str) -> bool:
    first = observed.views.claims.first_for(hostname)
    return first is not None and first.uid == observed.obj.meta.uid


def own_mark(observed: Observed, zone_id: str, view: NameView) -> Mark | None:
    """Our ownership record. One that nothing confirms is treated as adopted: the A record beside it stays."""
    mark = ownership.parse(view.mark.values) if view.mark is not None else None
    if mark is None or mark.uid != observed.obj.meta.uid or not observed.settings.mine(mark.owner):
        return None
    return mark if vouched(observed, zone_id, view) else replace(mark, adopted=True)
