"""Record sets at hostnames: a sweep of the zone or point look-ups, whichever costs fewer calls for all that wait."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

from mailegress.aio.backoff import Backoff
from mailegress.aio.tasks import Signal
from mailegress.api.names import OWNERSHIP_LABEL, ownership_name
from mailegress.aws.api import AwsError, RecordCursor, Service
from mailegress.aws.errors import classify
from mailegress.aws.rate_limit import Priority
from mailegress.aws.route53.record_index import Fold, RecordStore
from mailegress.aws.route53.zones import ZoneList
from mailegress.aws.runtime import Runtime
from mailegress.model.aws import Change, NameView, RecordSet, Zone
from mailegress.model.facts import NEVER, Fact, Fault
from mailegress.reconcile.ports import Key


@dataclass(slots=True)
class _Lane:
    """One zone's waiting names."""

    signal: Signal
    backoff: Backoff
    waiting: dict[str, dict[Key | None, float]] = field(default_factory=dict)
    """None: the listener for all of them (:meth:`RecordCache.refresh`)."""
    patient: set[str] = field(default_factory=set)
    """Those of the waiting names for which nobody is in a hurry."""
    sweep_wanted: bool = False
    not_until: float = NEVER
    running: bool = False
    fault: Fault | None = None


@dataclass(slots=True)
class _Miss:
    fault: Fault
    misses: int
    tried_at: float


class RecordCache:
    """Implements the ``Records`` port; the writer tells it what it wrote."""

    def __init__(self, runtime: Runtime, zones: ZoneList) -> None:
        self._rt = runtime
        self._zones = zones
        self._store = RecordStore()
        self._lanes: dict[str, _Lane] = {}
        self._misses: dict[tuple[str, str], _Miss] = {}
        self._all_waiting: dict[Key, None] = {}
        self._relook_at = NEVER
        """When the next call may be spent on names for which nobody is in a hurry."""
        self._refreshed: Callable[[str, str], None] = _nobody
        zones.listen(self._continue_all)

    # ---------------------------------------------------------------- the port

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]:
        view, at = self._store.get(zone_id, hostname)
        miss = self._misses.get((zone_id, hostname))
        if miss is None or at > miss.tried_at:
            return Fact(view, at=at, tried_at=at)
        return Fact(view, at=at, fault=miss.fault, misses=miss.misses, tried_at=miss.tried_at)

    def request(
        self, key: Key, zone_id: str, hostname: str, not_before: float, *, patient: bool = False
    ) -> None:
        self._request(key, zone_id, hostname, not_before, patient=patient)

    def _request(
        self, key: Key | None, zone_id: str, hostname: str, not_before: float, *, patient: bool
    ) -> None:
        self._store.want(hostname)
        if self.get(zone_id, hostname).fresh(not_before):
            self._tell(zone_id, [] if key is None else [key], [hostname] if key is None else [])
            return
        lane = self._lane(zone_id)
        if not patient:
            lane.patient.discard(hostname)
        elif hostname not in lane.waiting:
            lane.patient.add(hostname)
        keys = lane.waiting.setdefault(hostname, {})
        keys[key] = max(not_before, keys.get(key, NEVER))
        self._start(zone_id, lane)

    def marked(self, uid: str) -> Sequence[tuple[str, str]]:
        return self._store.marked(uid)

    def holder(self, hostname: str) -> Sequence[tuple[str, NameView]]:
        return self._store.holders(hostname)

    def orphans(self, live: Container[str], owners: Container[str]) -> int:
        """Ownership records of our owner without an object, in what was read of the editable zones; reads nothing."""
        return self._store.orphans(live, owners, {zone.id for zone in self._editable()})

    def all_swept(self) -> Fact[bool]:
        zones = self._zones.get()
        if zones.value is None:
            return Fact(fault=zones.fault, misses=zones.misses, tried_at=zones.tried_at)
        swept = [self._store.swept_at(zone.id) for zone in self._editable()]
        if all(at > NEVER for at in swept):
            return Fact(True, at=min(swept, default=zones.at))
        lanes = (self._lanes.get(zone.id) for zone in self._editable())
        fault = next((lane.fault for lane in lanes if lane is not None and lane.fault is not None), None)
        return Fact(False, at=zones.at, fault=fault, misses=0 if fault is None else 1)

    def request_all_swept(self, key: Key) -> None:
        if self.all_swept().value:
            self._rt.wake(key)
            return
        self._all_waiting[key] = None
        if self._zones.get().value is None:
            self._zones.request(key, NEVER)
        else:
            self._continue_all()

    # ---------------------------------------------------------------- beyond the port

    def listen(self, refreshed: Callable[[str, str], None]) -> None:
        """Call ``refreshed(zone_id, hostname)`` after each :meth:`refresh`."""
        self._refreshed = refreshed

    def refresh(self, zone_id: str, hostname: str, not_before: float) -> None:
        """As :meth:`request`, but the listener is called instead of waking an object."""
        self._request(None, zone_id, hostname, not_before, patient=False)

    def _tell(self, zone_id: str, served: Iterable[Key], refreshed: Iterable[str]) -> None:
        for key in served:
            self._rt.wake(key)
        for hostname in refreshed:
            self._refreshed(zone_id, hostname)

    # ---------------------------------------------------------------- the writer's side

    def applied(self, zone_id: str, hostname: str, changes: Sequence[Change]) -> None:
        """AWS has accepted these changes."""
        self._store.applied(zone_id, hostname, changes, self._rt.clock())

    def doubt(self, zone_id: str, hostname: str, changes: Sequence[Change]) -> None:
        """The outcome of these changes is unknown: the hostname must be read again."""
        self._store.doubt(zone_id, hostname, changes, self._rt.clock())

    # ---------------------------------------------------------------- lanes

    def _editable(self) -> list[Zone]:
        return [zone for zone in self._zones.get().value or () if zone.editable]

    def _lane(self, zone_id: str) -> _Lane:
        lane = self._lanes.get(zone_id)
        if lane is None:
            lane = self._lanes[zone_id] = _Lane(self._rt.signal(), self._rt.backoff())
        return lane

    def _start(self, zone_id: str, lane: _Lane) -> None:
        lane.signal.set()
        if not lane.running:
            lane.running = True
            self._rt.tasks.spawn(self._run(zone_id, lane), f"records-{zone_id}")

    def _continue_all(self) -> None:
        """Sweep what is missing for those who wait for every zone, and tell them when nothing is."""
        if not self._all_waiting:
            return
        if self.all_swept().value:
            waiting, self._all_waiting = self._all_waiting, {}
            for key in waiting:
                self._rt.wake(key)
            return
        for zone in self._editable():
            if self._store.swept_at(zone.id) == NEVER:
                lane = self._lane(zone.id)
                lane.sweep_wanted = True
                self._start(zone.id, lane)

    async def _run(self, zone_id: str, lane: _Lane) -> None:
        try:
            await self._rt.sleep(self._rt.settings.records_collect)
            while lane.waiting or lane.sweep_wanted:
                self._serve(zone_id, lane, list(lane.waiting))
                pause = self._due(lane) - self._rt.clock()
                if pause > 0:
                    await lane.signal.wait(pause)
                    continue
                await self._once(zone_id, lane)
        finally:
            lane.running = False

    def _due(self, lane: _Lane) -> float:
        first = min((self._due_name(lane, hostname) for hostname in lane.waiting), default=NEVER)
        return max(lane.not_until, NEVER if lane.sweep_wanted else first)

    def _due_name(self, lane: _Lane, hostname: str) -> float:
        first = min(lane.waiting[hostname].values())
        return max(first, self._relook_at) if hostname in lane.patient else first

    async def _once(self, zone_id: str, lane: _Lane) -> None:
        began = self._rt.clock()
        asked = [host for host in lane.waiting if self._due_name(lane, host) <= began]
        if not asked and not lane.sweep_wanted:
            return
        hurried = [host for host in asked if host not in lane.patient]
        hurry = lane.sweep_wanted or bool(hurried)
        asked = hurried or asked
        sweep = lane.sweep_wanted or self._sweep_is_cheaper(zone_id, lane, asked)
        if not hurry:
            calls = self._pages(zone_id) if sweep else 1
            self._relook_at = began + calls * self._rt.settings.relook_pause
        try:
            if sweep:
                await self._sweep(zone_id, lane)
                lane.sweep_wanted = False
            else:
                asked = asked[:1]
                # What an edit waits for goes with the writes: behind polls of other changes it would wait long.
                wanted = min(lane.waiting[asked[0]].values())
                urgent = hurry and wanted > began - 2 * self._rt.settings.fresh_window
                await self._look_up(zone_id, asked[0], Priority.WRITE if urgent else Priority.POLL)
        except AwsError as error:
            self._failed(zone_id, lane, asked, error, began)
            return
        lane.backoff.reset()
        lane.fault = None
        self._serve(zone_id, lane, list(lane.waiting))
        if sweep:
            self._continue_all()

    def _serve(self, zone_id: str, lane: _Lane, hostnames: Iterable[str]) -> None:
        """Wake everybody whose reading of one of these names is there by now."""
        served: dict[Key, None] = {}
        refreshed: list[str] = []
        for hostname in hostnames:
            view, at = self._store.get(zone_id, hostname)
            if view is None:
                continue
            keys = lane.waiting[hostname]
            for key in [k for k, not_before in keys.items() if not_before <= at]:
                del keys[key]
                if key is None:
                    refreshed.append(hostname)
                else:
                    served[key] = None
            if not keys:
                del lane.waiting[hostname]
                lane.patient.discard(hostname)
            miss = self._misses.get((zone_id, hostname))
            if miss is not None and at > miss.tried_at:
                del self._misses[zone_id, hostname]
        self._tell(zone_id, served, refreshed)

    def _failed(self, zone_id: str, lane: _Lane, asked: list[str], error: AwsError, began: float) -> None:
        lane.fault = classify(error)
        lane.not_until = self._rt.clock() + lane.backoff.next()
        served: dict[Key, None] = {}
        refreshed: list[str] = []
        for hostname in [host for host in asked if host in lane.waiting]:
            known = self._misses.get((zone_id, hostname))
            self._misses[zone_id, hostname] = _Miss(lane.fault, 1 + (known.misses if known else 0), began)
            for key in lane.waiting.pop(hostname, {}):
                if key is None:
                    refreshed.append(hostname)
                else:
                    served[key] = None
            lane.patient.discard(hostname)
        if lane.sweep_wanted:
            lane.sweep_wanted = False
            served.update(self._all_waiting)
            self._all_waiting = {}
        self._tell(zone_id, served, refreshed)

    def _sweep_is_cheaper(self, zone_id: str, lane: _Lane, asked: list[str]) -> bool:
        settings = self._rt.settings
        pages = self._pages(zone_id)
        if not pages:
            return False
        if len(asked) >= pages:
            return True
        oldest = min((at for name in asked for at in lane.waiting[name].values()), default=NEVER)
        # An edit is served by a reading of up to a minute before it, and takes its time until it asks here.
        if oldest == NEVER or oldest > self._rt.clock() - 2 * settings.fresh_window:
            return False
        # An idle check: all names read together grow old together, so those due soon are waiting too.
        soon = oldest + settings.lookahead
        return sum(1 for at in self._store.ages(zone_id) if at < soon) >= pages

    def _pages(self, zone_id: str) -> int:
        """Calls that a sweep of the zone takes; 0 = not known."""
        listed = next((z.record_count for z in self._zones.get().value or () if z.id == zone_id), None)
        known = max(listed or 0, self._store.size(zone_id) or 0)
        return math.ceil(known / self._rt.settings.page_items)

    # ---------------------------------------------------------------- calls

    async def _page(
        self, zone_id: str, start: RecordCursor | None, items: int, priority: Priority
    ) -> tuple[tuple[RecordSet, ...], RecordCursor | None]:
        call = functools.partial(self._rt.api.list_resource_record_sets, zone_id, start, items)
        page = await self._rt.read(Service.ROUTE53, priority, zone_id, call)
        return page.items, page.next

    async def _sweep(self, zone_id: str, lane: _Lane) -> None:
        """All pages, or nothing: a list that was cut says nothing of what is absent.

        A name with an ownership record is known as soon as that was listed: it comes after everything at the hostname.
        """
        began = self._rt.clock()
        fold = Fold()
        cursor: RecordCursor | None = None
        while True:
            items, cursor = await self._page(zone_id, cursor, self._rt.settings.page_items, Priority.SWEEP)
            marked = fold.add(items)
            if cursor is None:
                break
            for hostname in marked:
                self._store.put(zone_id, fold.view(hostname), began)
            self._serve(zone_id, lane, [hostname for hostname in marked if hostname in lane.waiting])
        self._store.put_sweep(zone_id, fold, began)

    async def _look_up(self, zone_id: str, hostname: str, priority: Priority) -> None:
        """Everything at a hostname, and the TXT at its ownership name, in one call as a rule."""
        began = self._rt.clock()
        settings = self._rt.settings
        mark_name = ownership_name(hostname)
        records: list[RecordSet] = []
        mark: RecordSet | None = None
        start: RecordCursor | None = RecordCursor(hostname)
        items = settings.point_items
        mark_seen = False
        while start is not None:
            page, following = await self._page(zone_id, start, items, priority)
            records.extend(record for record in page if record.name == hostname)
            mark = next((r for r in page if r.name == mark_name and r.type == "TXT"), mark)
            last = page[-1].name if page else ""
            mark_seen = mark is not None or following is None or _is_past_mark(last, hostname)
            # Only a hostname with very many routed sets fills a page.
            start = following if last == hostname else None
            items = settings.page_items
        if not mark_seen:
            page, _ = await self._page(zone_id, RecordCursor(mark_name, "TXT"), 1, priority)
            mark = next((r for r in page if r.name == mark_name and r.type == "TXT"), None)
        self._store.put(zone_id, NameView(hostname, tuple(records), mark), began)


def _nobody(zone_id: str, hostname: str) -> None:
    """No listener."""


def _is_past_mark(name: str, hostname: str) -> bool:
    """Whether a list that began at ``hostname`` and reached ``name`` would have shown the ownership TXT.

    "ListResourceRecordSets" sorts by reversed labels, so everything below the hostname comes next; of its children
    those that begin with a character before ``_`` come before ours. An escaped label's place is not taken for known.
    """
    if name == hostname:
        return False
    if not name.endswith(f".{hostname}"):
        return True
    child = name[: -len(hostname) - 1].rsplit(".", 1)[-1]
    return child > OWNERSHIP_LABEL and child[0].isalpha() and child.isascii()
