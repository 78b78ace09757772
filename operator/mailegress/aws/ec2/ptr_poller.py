"""PTRs on their way: those of a region are looked at together, at growing pauses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailegress.aio.backoff import Backoff
from mailegress.api import reasons
from mailegress.aws.api import AwsError, PtrRow, Service
from mailegress.aws.errors import classify, is_throttle, refuses_the_request
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.aws.shared_reading import Reading
from mailegress.model.aws import Ptr, RegionView
from mailegress.model.facts import NEVER, Fault
from mailegress.reconcile.ports import Key

_CROWD = 10
"""PTRs on their way that are looked at as often as a single one."""
_PARTS = 32
"""Calls that dividing one look may take; what is not asked by then is left to the next look."""
_FORGET = 600.0
"""Seconds after which the pace of a PTR that nobody asks for any more is forgotten, and who waited for it."""


@dataclass(frozen=True, slots=True)
class _Want:
    not_before: float
    known: Ptr | None
    """A look that shows this again wakes nobody."""


@dataclass(slots=True)
class _Watched:
    due: float
    looked_at: float
    looks: int = 0
    waiting: dict[Key, _Want] = field(default_factory=dict)


@dataclass(slots=True)
class _Alone:
    """A PTR that AWS refused to show: asked for by itself, at its own pace, until AWS answers."""

    backoff: Backoff
    not_until: float = NEVER


class PtrPoller:
    """One region's poll.

    ``pending(id)`` tells whether the PTR known last is in flight and since when it is known; ``store(ptrs, began)``
    takes what a look saw; ``reading`` is asked for the whole region instead when an ID is unknown to AWS: one such ID
    fails a look at all of them. A look that is refused for another reason is divided until it is
    known whose refusal it is: that of one address delays and fails no other.
    """

    def __init__(
        self,
        runtime: Runtime,
        region: str,
        pending: Callable[[str], tuple[bool, float]],
        store: Callable[[Mapping[str, Ptr], float], None],
        reading: Reading[RegionView],
    ) -> None:
        self._rt = runtime
        self._region = region
        self._pending = pending
        self._store = store
        self._reading = reading
        self._watched: dict[str, _Watched] = {}
        self._alone: dict[str, _Alone] = {}
        self._signal = runtime.signal()
        self._backoff = runtime.backoff()
        self._not_until = NEVER
        self._running = False
        self.faults: dict[str, tuple[Fault, float]] = {}
        """The last look's failure and when it began, by allocation ID."""

    def request(self, key: Key, allocation_id: str, not_before: float, known: Ptr | None = None) -> None:
        """Wake ``key`` after a look that began at ``not_before`` or later and shows anything but ``known``.

        Who does not ask again is woken after ten minutes nevertheless, and then not waited for any more.
        """
        now = self._rt.clock()
        watched = self._watched.get(allocation_id)
        pending, since = self._pending(allocation_id)
        if watched is None:
            watched = self._watched[allocation_id] = _Watched(due=now, looked_at=since)
        if not watched.waiting:
            pause = self._pause(watched.looks) if pending else 0.0
            watched.due = max(not_before, watched.looked_at + pause)
            if (alone := self._alone.get(allocation_id)) is not None:
                watched.due = max(watched.due, alone.not_until)
        earlier = watched.waiting.get(key)
        if earlier is not None:
            not_before = max(not_before, earlier.not_before)
            known = known if earlier.known is not None else None
        watched.waiting[key] = _Want(not_before, known)
        self._signal.set()
        if not self._running:
            self._running = True
            self._rt.tasks.spawn(self._run(), f"ptr-poll-{self._region}")

    def written(self, allocation_id: str) -> None:
        """AWS accepted a write: the poll starts again with the shortest pause."""
        watched = self._watched.get(allocation_id)
        if watched is not None:
            watched.looks, watched.looked_at = 0, self._rt.clock()
            watched.due = watched.looked_at + self._pause(0)
            self._signal.set()

    def swept(self, began: float) -> None:
        """A list read all PTRs; it began at ``began`` (loop time)."""
        now = self._rt.clock()
        for allocation_id, watched in list(self._watched.items()):
            pending, _ = self._pending(allocation_id)
            if not pending:
                self._tell(watched, began, None)
            if not watched.waiting and (not pending or now - watched.looked_at > _FORGET):
                del self._watched[allocation_id]
        for allocation_id, alone in list(self._alone.items()):
            if allocation_id not in self._watched and now - alone.not_until > _FORGET:
                del self._alone[allocation_id]

    def _pause(self, looks: int) -> float:
        pauses = self._rt.settings.ptr_polls
        return pauses[min(looks, len(pauses) - 1)]

    async def _run(self) -> None:
        try:
            while True:
                due = min((w.due for w in self._watched.values() if w.waiting), default=None)
                if due is None:
                    return
                pause = max(due, self._not_until) - self._rt.clock()
                if pause > 0:
                    await self._signal.wait(pause)
                    continue
                await self._look()
                self._not_until = max(self._not_until, self._rt.clock() + self._spacing())
        finally:
            self._running = False

    def _spacing(self) -> float:
        """Seconds between looks. Where many PTRs are on their way somebody is always due: then they share more."""
        settings = self._rt.settings
        waiting = sum(1 for watched in self._watched.values() if watched.waiting)
        return settings.ptr_poll_spacing * min(max(1.0, waiting / _CROWD), settings.ptr_poll_stretch)

    async def _look(self) -> None:
        settings = self._rt.settings
        began = self._rt.clock()
        soon = began + self._spacing()
        due = sorted((w.due, a) for a, w in self._watched.items() if w.waiting and w.due <= soon)
        ids = [allocation_id for _, allocation_id in due[: settings.ptr_poll_ids]]
        ids = ids[:1] if ids[0] in self._alone else [i for i in ids if i not in self._alone]
        refused: dict[str, AwsError] = {}
        try:
            seen = await self._answered(ids, refused)
        except AwsError as error:
            if is_throttle(error) and self._backoff.failures < settings.throttle_retries:
                # The PTRs settle without being looked at: the next look is the answer.
                self._not_until = self._rt.clock() + min(self._backoff.next(), 20.0)
            else:
                self._failed(ids, error, began)
            return
        if seen:
            self._backoff.reset()
            self._not_until = NEVER
        self._store(seen, began)
        for allocation_id, refusal in refused.items():
            self._refused(allocation_id, refusal, began)
        for allocation_id, ptr in seen.items():
            # After a failure any answer is news.
            failed = self.faults.pop(allocation_id, None) is not None
            self._alone.pop(allocation_id, None)
            watched = self._watched.get(allocation_id)
            if watched is None or watched.looked_at > began:
                continue
            watched.looks += 1
            watched.looked_at = began
            self._tell(watched, began, None if failed else ptr)
            if watched.waiting:
                newest = min(want.not_before for want in watched.waiting.values())
                watched.due = max(newest, began + self._pause(watched.looks) if ptr.pending else newest)
            elif not ptr.pending:
                del self._watched[allocation_id]

    async def _answered(self, ids: list[str], refused: dict[str, AwsError]) -> dict[str, Ptr]:
        """The PTRs of those that AWS answers for; each of the others is put into ``refused``.

        A refusal of all that was asked for is raised: it concerns the operator, not an address.
        """
        seen: dict[str, Ptr] = {}
        groups, failures = [ids], 0
        for _ in range(_PARTS):
            if not groups:
                break
            group = groups.pop()
            try:
                rows = await self._rows(group)
            except AwsError as error:
                failures += 1
                # One address by itself and its neighbour were refused, too: the rest need not be tried.
                general = len(ids) > 1 and not seen and failures > len(ids).bit_length() + 1
                if general or not refuses_the_request(error):
                    raise
                if len(group) == 1:
                    refused[group[0]] = error
                else:
                    half = len(group) // 2
                    groups += [group[half:], group[:half]]
            else:
                found = {row.allocation_id: row.ptr for row in rows}
                # An EIP without PTR is absent from the answer, not empty in it.
                seen.update((allocation_id, found.get(allocation_id, Ptr())) for allocation_id in group)
        if len(refused) == len(ids) > 1:
            raise refused[ids[0]]
        return seen

    def _refused(self, allocation_id: str, error: AwsError, began: float) -> None:
        alone = self._alone.setdefault(allocation_id, _Alone(self._rt.backoff()))
        alone.not_until = self._rt.clock() + alone.backoff.next()
        self.faults[allocation_id] = (classify(error), began)
        watched = self._watched.pop(allocation_id, None)
        for key in watched.waiting if watched is not None else ():
            self._rt.wake(key)

    async def _rows(self, ids: list[str]) -> list[PtrRow]:
        rows: list[PtrRow] = []
        token = ""
        while True:
            call = functools.partial(self._rt.api.describe_addresses_attribute, self._region, ids, token)
            page = await self._rt.read(Service.EC2, Priority.POLL, self._region, call, once=True)
            rows.extend(page.items)
            token = page.next
            if not token:
                return rows

    def _failed(self, ids: list[str], error: AwsError, began: float) -> None:
        fault = classify(error)
        gone = fault.reason == reasons.ADDRESS_NOT_FOUND.name
        if not gone:
            self._not_until = self._rt.clock() + self._backoff.next()
        woken: dict[Key, None] = {}
        for allocation_id in ids:
            watched = self._watched.pop(allocation_id, None)
            if watched is None:
                continue
            woken.update(dict.fromkeys(watched.waiting))
            if not gone:
                self.faults[allocation_id] = (fault, began)
        for key in woken:
            if gone:
                self._reading.request(key, began)
            else:
                self._rt.wake(key)

    def _tell(self, watched: _Watched, began: float, shown: Ptr | None) -> None:
        """Wake those who waited for this look, except where it shows what they know. ``shown``: None for all."""
        for key, want in list(watched.waiting.items()):
            same = shown is not None and want.known == shown and began - want.not_before < _FORGET
            if want.not_before > began or same:
                continue
            del watched.waiting[key]
            self._rt.wake(key)
