"""What is known of every name of every zone, with its age; and the index of ownership marks. No I/O.

Slim: only names that somebody asked for, or that carry a mark, keep their record sets. Of the others a complete
sweep leaves the bare name, so that an absent name is known to be absent and a present one is never taken for it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mailegress.api.names import OWNERSHIP_LABEL, ownership_name
from mailegress.model import ownership
from mailegress.model.aws import Change, NameView, RecordSet, Verb
from mailegress.model.facts import NEVER

_PREFIX = f"{OWNERSHIP_LABEL}."


@dataclass(slots=True)
class _Entry:
    view: NameView | None
    at: float
    floor: float = NEVER
    """Readings that began before this moment do not count: a write ended then."""


@dataclass(slots=True)
class _ZoneMap:
    swept_at: float = NEVER
    size: int = 0
    entries: dict[str, _Entry] = field(default_factory=dict)
    unkept: frozenset[str] = frozenset()


class Fold:
    """Gathers the pages of one sweep by hostname."""

    def __init__(self) -> None:
        self.records: dict[str, list[RecordSet]] = {}
        self.marks: dict[str, RecordSet] = {}
        self.size = 0

    def add(self, page: Iterable[RecordSet]) -> list[str]:
        """The hostnames whose ownership records are in the page."""
        marked = []
        for record in page:
            self.size += 1
            if record.type == "TXT" and record.name.startswith(_PREFIX):
                hostname = record.name[len(_PREFIX) :]
                self.marks[hostname] = record
                marked.append(hostname)
            self.records.setdefault(record.name, []).append(record)
        return marked

    def view(self, hostname: str) -> NameView:
        return NameView(hostname, tuple(self.records.get(hostname, ())), self.marks.get(hostname))


def changed(view: NameView, changes: Iterable[Change]) -> NameView:
    """The view after an applied change batch."""
    sets = {(r.type, r.set_identifier): r for r in view.records}
    mark = view.mark
    mark_name = ownership_name(view.hostname)
    for change in changes:
        record = change.record_set
        if record.name == mark_name:
            mark = record if change.verb is Verb.CREATE else None
        elif change.verb is Verb.CREATE:
            sets[record.type, record.set_identifier] = record
        else:
            sets.pop((record.type, record.set_identifier), None)
    return NameView(view.hostname, tuple(sets.values()), mark)


class RecordStore:
    """Readings by zone and hostname."""

    def __init__(self) -> None:
        self._zones: dict[str, _ZoneMap] = {}
        self._asked: set[str] = set()
        self._marks: dict[str, dict[tuple[str, str], None]] = {}
        self._uid_at: dict[tuple[str, str], str] = {}

    def want(self, hostname: str) -> None:
        """Lists of zones keep the record sets at this hostname from now on."""
        self._asked.add(hostname)

    def get(self, zone_id: str, hostname: str) -> tuple[NameView | None, float]:
        """The view and the moment its reading began; None if it is not known."""
        zone = self._zones.get(zone_id)
        if zone is None:
            return None, NEVER
        entry = zone.entries.get(hostname)
        if entry is not None:
            return (entry.view, entry.at) if entry.view is not None else (None, NEVER)
        if zone.swept_at > NEVER and hostname not in zone.unkept:
            return NameView(hostname), zone.swept_at
        return None, NEVER

    def swept_at(self, zone_id: str) -> float:
        """When the zone's last complete sweep began; -inf if there was none."""
        zone = self._zones.get(zone_id)
        return NEVER if zone is None else zone.swept_at

    def size(self, zone_id: str) -> int | None:
        """Record sets counted by the last sweep."""
        zone = self._zones.get(zone_id)
        return None if zone is None or zone.swept_at == NEVER else zone.size

    def ages(self, zone_id: str) -> Iterator[float]:
        """When each kept name that was asked for was read."""
        zone = self._zones.get(zone_id)
        if zone is not None:
            for hostname, entry in zone.entries.items():
                if hostname in self._asked:
                    yield entry.at

    def put(self, zone_id: str, view: NameView, began: float) -> None:
        """Store the reading of one hostname, unless a newer one is stored."""
        zone = self._zones.setdefault(zone_id, _ZoneMap())
        entry = zone.entries.get(view.hostname)
        if entry is None or (entry.at <= began and entry.floor <= began):
            self._set(zone_id, zone, view, began)

    def put_sweep(self, zone_id: str, fold: Fold, began: float) -> None:
        """Replace everything that is older than this complete list of the zone."""
        zone = self._zones.setdefault(zone_id, _ZoneMap())
        present = fold.records.keys() | fold.marks.keys()
        kept = (present & self._asked) | fold.marks.keys()
        for hostname in [h for h, e in zone.entries.items() if e.at < began and e.floor <= began]:
            if hostname not in kept:
                del zone.entries[hostname]
                self._index(zone_id, hostname, None)
        for hostname in kept:
            entry = zone.entries.get(hostname)
            # What a page of this list showed is stored already.
            if entry is None or (entry.at < began and entry.floor <= began):
                self._set(zone_id, zone, fold.view(hostname), began)
        zone.unkept = frozenset(present - kept)
        zone.swept_at, zone.size = began, fold.size

    def applied(self, zone_id: str, hostname: str, changes: Sequence[Change], at: float) -> None:
        """A write of ours went through at ``at``: show its result, or nothing if what was there is not known."""
        view, _ = self.get(zone_id, hostname)
        zone = self._zones.setdefault(zone_id, _ZoneMap())
        if view is None:
            self._invalidate(zone, hostname, at)
            self._index_created(zone_id, hostname, changes)
        else:
            self._set(zone_id, zone, changed(view, changes), at)

    def doubt(self, zone_id: str, hostname: str, changes: Sequence[Change], at: float) -> None:
        """A write ended without a known outcome, or showed that the reading was wrong: forget the reading.

        The mark index keeps what was and what may be there until it is read again, because whoever asks it whether
        a CR owns something must not hear "nothing" in between.
        """
        self._invalidate(self._zones.setdefault(zone_id, _ZoneMap()), hostname, at)
        self._index_created(zone_id, hostname, changes)

    def marked(self, uid: str) -> tuple[tuple[str, str], ...]:
        return tuple(self._marks.get(uid, ()))

    def orphans(self, live: Container[str], owners: Container[str], zones: Container[str]) -> int:
        """Ownership records in these zones with one of these owner IDs, whose UID is not that of a ``live`` object."""
        return sum(
            mark.owner in owners
            for uid, places in self._marks.items()
            if uid not in live
            for zone_id, hostname in places
            if zone_id in zones and (mark := self._mark(zone_id, hostname)) is not None and mark.uid == uid
        )

    def _mark(self, zone_id: str, hostname: str) -> ownership.Mark | None:
        view, _ = self.get(zone_id, hostname)
        return None if view is None or view.mark is None else ownership.parse(view.mark.values)

    def holders(self, hostname: str) -> tuple[tuple[str, NameView], ...]:
        found = []
        for zone_id, zone in self._zones.items():
            entry = zone.entries.get(hostname)
            if entry is not None and entry.view is not None and entry.view.mark is not None:
                found.append((zone_id, entry.view))
        return tuple(found)

    def _set(self, zone_id: str, zone: _ZoneMap, view: NameView, at: float) -> None:
        hostname = view.hostname
        # One string for the name wherever it is the same: 10,000 names are held for as long as we run.
        records = tuple(r if r.name is hostname else replace(r, name=hostname) for r in view.records)
        view = replace(view, records=records)
        zone.entries[hostname] = _Entry(view, at)
        mark = None if view.mark is None else ownership.parse(view.mark.values)
        self._index(zone_id, hostname, None if mark is None else mark.uid)

    def _invalidate(self, zone: _ZoneMap, hostname: str, at: float) -> None:
        zone.entries[hostname] = _Entry(None, NEVER, floor=at)

    def _index_created(self, zone_id: str, hostname: str, changes: Sequence[Change]) -> None:
        mark_name = ownership_name(hostname)
        for change in changes:
            if change.verb is Verb.CREATE and change.record_set.name == mark_name:
                mark = ownership.parse(change.record_set.values)
                if mark is not None:
                    self._marks.setdefault(mark.uid, {})[zone_id, hostname] = None
                    self._uid_at.setdefault((zone_id, hostname), mark.uid)

    def _index(self, zone_id: str, hostname: str, uid: str | None) -> None:
        """Replace everything the index says of one name."""
        place = (zone_id, hostname)
        known = self._uid_at.pop(place, None)
        if known is not None and known != uid:
            self._drop(known, place)
        if uid is not None:
            self._uid_at[place] = uid
            self._marks.setdefault(uid, {})[place] = None

    def _drop(self, uid: str, place: tuple[str, str]) -> None:
        places = self._marks.get(uid)
        if places is not None:
            places.pop(place, None)
            if not places:
                del self._marks[uid]
