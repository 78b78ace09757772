"""Change batches of one hostname: compare-and-swap of the A record together with its ownership record.

Never UPSERT: each batch deletes exactly what was read and creates the new record sets, so it fails if either changed
since (S2).
"""

from __future__ import annotations

from mailegress.api.names import is_within, ownership_name
from mailegress.model import ownership
from mailegress.model.aws import Change, NameView, RecordSet, Verb
from mailegress.model.facts import WriteState
from mailegress.model.ownership import Mark
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.rules.plan_builder import PlanBuilder

MARK_TTL = 300


def mark_set(hostname: str, mark: Mark) -> RecordSet:
    return RecordSet(ownership_name(hostname), "TXT", MARK_TTL, (ownership.encode(mark),))


def swap(old: RecordSet | None, new: RecordSet) -> list[Change]:
    """DELETE of the exact stored set and CREATE of the new one: compare-and-swap in one atomic batch."""
    removal = [Change(Verb.DELETE, old)] if old is not None else []
    return [*removal, Change(Verb.CREATE, new)]


def simple_a(view: NameView) -> RecordSet | None:
    return next((r for r in view.of_type("A") if r.simple), None)


def remove(view: NameView, mark: Mark, *, keep_record: bool = False) -> tuple[Change, ...]:
    """DELETE of exactly what is stored: A and TXT if we created the A, else the TXT alone (adopted stays as found)."""
    changes: list[Change] = []
    simple = simple_a(view)
    if simple is not None and not mark.adopted and not keep_record:
        changes.append(Change(Verb.DELETE, simple))
    if view.mark is not None:
        changes.append(Change(Verb.DELETE, view.mark))
    return tuple(changes)


def without(
    observed: Observed, view: NameView, simple: RecordSet, mark: Mark, lost: frozenset[str]
) -> tuple[Change, ...]:
    """The record without lost addresses; an adopted record that would end up empty is left alone."""
    rest = frozenset(simple.values) - lost
    if not rest:
        return () if mark.adopted else remove(view, mark)
    return changed(observed, view, simple, mark, rest)


def changed(
    observed: Observed, view: NameView, simple: RecordSet | None, mark: Mark, values: frozenset[str]
) -> tuple[Change, ...]:
    """The record with other values, which makes it ours. ``simple``: None where the record was removed."""
    ttl = observed.obj.spec.forward.ttl_seconds or observed.settings.default_ttl_seconds
    target = RecordSet(view.hostname, "A", simple.ttl if simple is not None else ttl, tuple(sorted(values)))
    ours = mark_set(view.hostname, Mark(False, observed.settings.owner_id, mark.uid))
    return (*swap(simple, target), *swap(view.mark, ours))


def writes_at(observed: Observed, hostname: str) -> list[WriteState]:
    """This operator's newest write to the hostname in each listed zone that can hold it."""
    zones = observed.views.zones.get().value or ()
    states = (observed.views.zone_writes.state(z.id, hostname) for z in zones if is_within(hostname, z.name))
    return [state for state in states if state is not None]


def writing(observed: Observed, builder: PlanBuilder, zone_id: str, name: str) -> str:
    """Text if a write to this name is under way or being backed off, else empty."""
    write = observed.views.zone_writes.state(zone_id, name)
    if write is None:
        return ""
    if write.busy:
        return f"{name} is being written"
    rest = observed.rest_of(write)
    if rest and write.fault is not None:
        builder.later(rest)
        return f"{name}: {write.fault.message}"
    return ""
