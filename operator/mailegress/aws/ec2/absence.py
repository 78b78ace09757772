"""Look-ups of Elastic IPs that a list does not show any more.

When such an EIP counts as lost, and when a mass loss is suspected instead, is decided in
``mailegress.reconcile.rules.loss``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mailegress.aws.api import AddressRow, AwsError, Service
from mailegress.aws.identity import Identity
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.aws.shared_reading import Reading
from mailegress.model.aws import Absence, RegionView
from mailegress.model.facts import NEVER
from mailegress.reconcile.ports import Key
from mailegress.reconcile.rules.loss import confirmed, is_mass_loss, removed_by_aws

_FILTER_VALUES = 200
"""Values in one filter ("Filtering using the CLI and API", EC2 User Guide)."""
_FORGET = 3600.0
"""Seconds after which an absence that nobody asks about is forgotten."""

KnownEips = Callable[[str], set[str]]
"""``region -> allocation IDs`` that CRs are known to use."""


@dataclass(slots=True)
class _Missing:
    due: float
    asked_at: float
    first: float | None = None
    looked: bool = False
    """A look-up was answered and did not show it."""
    lost: bool = False
    keys: dict[Key, None] = field(default_factory=dict)


class AbsenceWatch:
    """One region's missing EIPs."""

    def __init__(
        self,
        runtime: Runtime,
        region: str,
        identity: Identity,
        reading: Reading[RegionView],
        known: KnownEips,
    ) -> None:
        self._rt = runtime
        self._region = region
        self._identity = identity
        self._reading = reading
        self._known = known
        self._missing: dict[str, _Missing] = {}
        self._mass: set[str] = set()
        self._acknowledged: set[str] = set()
        self._gateway_of: dict[str, str] = {}
        """Allocation ID -> the regional NAT gateway that had it, while it has it and while it is missing."""
        self._signal = runtime.signal()
        self._backoff = runtime.backoff()
        self._running = False

    @property
    def mass(self) -> int:
        """EIPs whose absence is not believed because there are so many of them."""
        return len(self._mass)

    def watch(self, key: Key, allocation_id: str, gateway_id: str = "") -> Absence:
        """What is known of the address. It is looked up in the background, and ``key`` is woken when that changes.

        ``gateway_id``: the NAT gateway that had the address when it was last seen.
        """
        view = self._reading.fact.value
        if view is not None and allocation_id in view.eips:
            return Absence.PRESENT
        if view is not None and gateway_id and allocation_id not in self._gateway_of:
            # A restarted process did not see it there itself.
            self._gateway_of[allocation_id] = gateway_id
            self._mass -= self._retired(view)
        now = self._rt.clock()
        missing = self._missing.get(allocation_id)
        if missing is None:
            missing = self._missing[allocation_id] = _Missing(due=now, asked_at=now)
        missing.asked_at = now
        missing.keys[key] = None
        if allocation_id in self._mass:
            return Absence.MASS
        if missing.lost:
            return Absence.LOST
        self._signal.set()
        if not self._running:
            self._running = True
            self._rt.tasks.spawn(self._run(), f"absence-{self._region}")
        return Absence.SUSPECTED if missing.looked else Absence.UNCHECKED

    def forget(self, allocation_ids: Iterable[str]) -> None:
        """The object that used these was edited or deleted. A person did so: mass loss is not suspected for them."""
        now = self._rt.clock()
        for allocation_id in allocation_ids:
            self._mass.discard(allocation_id)
            view = self._reading.fact.value
            if view is None or allocation_id not in view.eips:
                self._acknowledged.add(allocation_id)
            missing = self._missing.get(allocation_id)
            if missing is not None and not missing.lost:
                missing.first, missing.due = None, now
                for key in missing.keys:
                    self._rt.wake(key)

    def swept(self) -> None:
        """A full list of the region is complete."""
        view = self._reading.fact.value
        if view is None:
            return
        self._acknowledged -= view.eips.keys()
        now = self._rt.clock()
        for allocation_id, missing in list(self._missing.items()):
            if allocation_id in view.eips:
                del self._missing[allocation_id]
                for key in missing.keys:
                    self._rt.wake(key)
            elif now - missing.asked_at > _FORGET:
                del self._missing[allocation_id]
        self._remember_gateways(view)
        self._assess(view)

    def _remember_gateways(self, view: RegionView) -> None:
        known = self._known(self._region) if self._gateway_of else set()
        kept = {
            allocation_id: gateway_id
            for allocation_id, gateway_id in self._gateway_of.items()
            if allocation_id not in view.eips and (allocation_id in known or allocation_id in self._missing)
        }
        for gateway in view.nat_gateways.values():
            if gateway.regional:
                kept.update((a.allocation_id, gateway.id) for a in gateway.addresses)
        self._gateway_of = kept

    def _retired(self, view: RegionView) -> set[str]:
        """Missing addresses that AWS removed together with their place at a regional NAT gateway."""
        return {
            allocation_id
            for allocation_id, gateway_id in self._gateway_of.items()
            if allocation_id not in view.eips
            and removed_by_aws(allocation_id, view.nat_gateways.get(gateway_id))
        }

    def _assess(self, view: RegionView) -> None:
        """Is so much missing at once that nothing may be believed?"""
        gone = self._mass_loss(view)
        returned = self._mass & view.eips.keys()
        self._mass -= returned | self._retired(view)
        if returned and not gone:
            # The list shows the account again, so that it is also right about the few that are still missing.
            self._doubt(self._mass)
            self._mass = set()
        fresh, self._mass = gone - self._mass, self._mass | gone
        self._doubt(fresh)

    def _mass_loss(self, view: RegionView) -> set[str]:
        """EIPs in use that are missing for no reason that is known; none if they are too few for a mass loss."""
        known, settings = self._known(self._region), self._rt.settings
        gone = {a for a in known if a not in view.eips} - self._acknowledged
        gone -= {a for a, missing in self._missing.items() if missing.lost}
        gone -= self._retired(view)
        many = is_mass_loss(len(gone), len(known), count=settings.mass_count, share=settings.mass_share)
        return gone if many else set()

    def _doubt(self, allocation_ids: set[str]) -> None:
        """Look-ups until now confirm nothing: two new ones have to, where they are asked for."""
        for allocation_id in allocation_ids & self._missing.keys():
            missing = self._missing[allocation_id]
            missing.first, missing.due = None, self._rt.clock()
            for key in missing.keys:
                self._rt.wake(key)

    async def _run(self) -> None:
        try:
            while True:
                open_ones = [m for a, m in self._missing.items() if not m.lost and a not in self._mass]
                if not open_ones:
                    return
                pause = min(m.due for m in open_ones) - self._rt.clock()
                if pause > 0:
                    await self._signal.wait(pause)
                    continue
                await self._look()
        finally:
            self._running = False

    async def _look(self) -> None:
        view = self._reading.fact.value
        began = self._rt.clock()
        if view is not None:
            self._assess(view)
        due = sorted(
            (m.due, a)
            for a, m in self._missing.items()
            if not m.lost and a not in self._mass and m.due <= began
        )
        ids = [allocation_id for _, allocation_id in due[:_FILTER_VALUES]]
        if not ids:
            return
        # Whose account this look-up is made in decides what it means, so it is asked for each time.
        asked = functools.partial(self._identity.account, self._region, fresh=True)
        try:
            account, rows = await self._identity.steadily(asked, functools.partial(self._read, ids))
        except AwsError as error:
            self._identity.note(error)
            again = self._rt.clock() + self._backoff.next()
            for allocation_id in ids:
                if allocation_id in self._missing:
                    self._missing[allocation_id].due = again
            return
        self._backoff.reset()
        view = self._reading.fact.value
        ours = view is not None and view.account_id == account
        there = {row.allocation_id for row in rows}
        for allocation_id in ids:
            missing = self._missing.get(allocation_id)
            if missing is None or allocation_id in self._mass:
                continue
            if allocation_id in there:
                del self._missing[allocation_id]
                for key in missing.keys:
                    self._reading.request(key, began)
            else:
                self._note_missing(missing, began, ours)

    async def _read(self, ids: Sequence[str], account: str) -> tuple[str, tuple[AddressRow, ...]]:
        call = functools.partial(self._rt.api.describe_addresses, self._region, ids)
        return account, await self._rt.read(Service.EC2, Priority.POLL, self._region, call)

    def _note_missing(self, missing: _Missing, began: float, ours: bool) -> None:
        confirm = self._rt.settings.lost_confirm
        if not missing.looked:
            missing.looked = True
            for key in missing.keys:
                self._rt.wake(key)
        if not ours:
            missing.first, missing.due = None, began + confirm
        elif missing.first is None:
            missing.first, missing.due = began, began + confirm
        elif confirmed(missing.first, began, confirm):
            missing.lost = True
            missing.due = NEVER
            for key in missing.keys:
                self._rt.wake(key)
        else:
            missing.due = missing.first + confirm
