"""EIPs, NAT gateways and PTRs, region by region: one sweep for all, and one look at the PTRs on their way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mailegress.aws.api import Service
from mailegress.aws.ec2.absence import AbsenceWatch, KnownEips
from mailegress.aws.ec2.gateway_check import GatewayCheck
from mailegress.aws.ec2.listing import Sweeper
from mailegress.aws.ec2.ptr_poller import PtrPoller
from mailegress.aws.identity import Identity
from mailegress.aws.runtime import Runtime
from mailegress.aws.shared_reading import Reading
from mailegress.model.aws import Absence, Eip, Ptr, RegionView
from mailegress.model.facts import Fact
from mailegress.reconcile.ports import Key


@dataclass(frozen=True, slots=True)
class _Newer:
    """A PTR known since after the last sweep began; None = a write ended without a known outcome."""

    ptr: Ptr | None
    at: float


class _Region:
    """All that is kept of one region."""

    def __init__(self, runtime: Runtime, region: str, identity: Identity, known: KnownEips) -> None:
        self._rt = runtime
        self._newer: dict[str, _Newer] = {}
        self._sweeper = Sweeper(runtime, region, identity)
        self.reading: Reading[RegionView] = Reading(runtime, f"region-{region}", self._read, self._read_done)
        self.poller = PtrPoller(runtime, region, self._pending, self.store, self.reading)
        self.absence = AbsenceWatch(runtime, region, identity, self.reading, known)
        self.gateways = GatewayCheck(runtime, region, identity, self.reading)

    async def _read(self) -> RegionView:
        began = self._rt.clock()
        view = await self._sweeper.sweep(lambda: self.reading.newest_demand)
        self._newer = {a: newer for a, newer in self._newer.items() if newer.at > began}
        known = {a: newer.ptr for a, newer in self._newer.items() if newer.ptr is not None}
        return _with_ptrs(view, known)

    def _read_done(self) -> None:
        fact = self.reading.fact
        if fact.value is not None and fact.fault is None:
            self.poller.swept(fact.at)
            self.absence.swept()

    def ptr(self, allocation_id: str) -> Fact[Ptr]:
        """One PTR with its own age."""
        fact = self.reading.fact
        eip = None if fact.value is None else fact.value.eips.get(allocation_id)
        newer = self._newer.get(allocation_id)
        if newer is not None:
            known: Fact[Ptr] = Fact(newer.ptr, at=newer.at, tried_at=newer.at)
        elif eip is not None:
            known = Fact(eip.ptr, at=fact.at, tried_at=fact.at)
        else:
            known = Fact(at=fact.at, fault=fact.fault, misses=fact.misses, tried_at=fact.tried_at)
        failed = self.poller.faults.get(allocation_id)
        if failed is not None and failed[1] >= known.at:
            known = replace(known, fault=failed[0], misses=1, tried_at=failed[1])
        return known

    def store(self, ptrs: Mapping[str, Ptr], at: float) -> None:
        """Take in PTRs from a reading that began, or a reply that came, at ``at``."""
        fresh = {}
        for allocation_id, ptr in ptrs.items():
            newer = self._newer.get(allocation_id)
            if newer is None or newer.at <= at:
                fresh[allocation_id] = ptr
                self._newer[allocation_id] = _Newer(ptr, at)
        view = self.reading.fact.value
        if view is not None:
            self.reading.edit(_with_ptrs(view, fresh))

    def doubt(self, allocation_id: str) -> None:
        self._newer[allocation_id] = _Newer(None, self._rt.clock())

    def _pending(self, allocation_id: str) -> tuple[bool, float]:
        fact = self.ptr(allocation_id)
        return fact.value is not None and fact.value.pending, fact.at


def _with_ptrs(view: RegionView, ptrs: Mapping[str, Ptr]) -> RegionView:
    """The view with some PTRs replaced. A copy: a pass that is under way keeps what it has seen."""
    differing: dict[str, Eip] = {}
    for allocation_id, ptr in ptrs.items():
        eip = view.eips.get(allocation_id)
        if eip is not None and eip.ptr != ptr:
            differing[allocation_id] = replace(eip, ptr=ptr)
    return replace(view, eips={**view.eips, **differing}) if differing else view


class SharedAddressBook:
    """Implements the ``Addresses`` port for the configured account and regions."""

    def __init__(self, runtime: Runtime) -> None:
        self._rt = runtime
        self._known: KnownEips = lambda region: set()
        identity = Identity(runtime, Service.EC2)
        known = functools.partial(self._known_eips)
        self._regions = {r: _Region(runtime, r, identity, known) for r in runtime.settings.regions}

    def _known_eips(self, region: str) -> set[str]:
        return self._known(region)

    def know_eips(self, known: KnownEips) -> None:
        """Set the function that returns the allocation IDs in use in a region. Mass loss is measured against them."""
        self._known = known

    # ---------------------------------------------------------------- the port

    @property
    def regions(self) -> Sequence[str]:
        return self._rt.settings.regions

    def get(self, region: str) -> Fact[RegionView]:
        return self._regions[region].reading.fact

    def request(self, key: Key, region: str, not_before: float) -> None:
        self._regions[region].reading.request(key, not_before)

    def request_ptr(
        self, key: Key, region: str, allocation_id: str, not_before: float, known: Ptr | None = None
    ) -> None:
        """Read one PTR. While AWS is changing it, the poll decides when, however new its reading is."""
        book = self._regions[region]
        fact = book.ptr(allocation_id)
        if fact.value is not None and fact.fresh(not_before) and not fact.value.pending:
            self._rt.wake(key)
            return
        view = book.reading.fact.value
        if view is None or allocation_id not in view.eips or not view.ptr_supported:
            # An ID that AWS does not know fails a look at all of them: only a sweep is asked about it.
            book.reading.request(key, not_before)
            return
        book.poller.request(key, allocation_id, not_before, known)

    def watch_absence(self, key: Key, region: str, allocation_id: str, attached_to: str = "") -> Absence:
        return self._regions[region].absence.watch(key, allocation_id, attached_to)

    # ---------------------------------------------------------------- beyond the port

    def listen(self, refreshed: Callable[[str], None]) -> None:
        """Call ``refreshed(region)`` after each :meth:`refresh`."""
        for name, region in self._regions.items():
            region.reading.listen(functools.partial(refreshed, name))

    def refresh(self, region: str, not_before: float) -> None:
        """As :meth:`request`, but the listener is called instead of waking an object."""
        self._regions[region].reading.refresh(not_before)

    def compare_gateways(self, region: str, ids: Sequence[str], differ: Callable[[], None]) -> None:
        """Read these NAT gateways in one request; ``differ`` is called if they are not as the region's list shows."""
        self._regions[region].gateways.compare(ids, differ)

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        """One PTR with the age of its own reading, which can be younger than the region's.

        Without a value: not read yet, or a write to it ended without a known outcome and it was not read since.
        """
        return self._regions[region].ptr(allocation_id)

    def forget_absence(self, region: str, allocation_ids: Iterable[str]) -> None:
        """The CR that used these was edited or deleted: ends ``MASS`` for them."""
        self._regions[region].absence.forget(allocation_ids)

    def ptr_written(self, region: str, allocation_id: str, ptr: Ptr) -> None:
        """AWS accepted a write and returned the PTR's new state."""
        book = self._regions[region]
        book.store({allocation_id: ptr}, self._rt.clock())
        book.poller.written(allocation_id)

    def ptr_doubted(self, key: Key, region: str, allocation_id: str) -> None:
        """A write ended without a known outcome: read the PTR at once, and wake ``key`` then."""
        self._regions[region].doubt(allocation_id)
        self.request_ptr(key, region, allocation_id, self._rt.clock())

    @property
    def mass(self) -> int:
        """Number of Elastic IPs that are missing and suspected of mass loss."""
        return sum(book.absence.mass for book in self._regions.values())
