"""Leader election over a ``coordination.k8s.io/v1`` Lease, as client-go does it.

Whether another replica's Lease has expired is judged by how long *this* process has seen it unchanged, on its
own monotonic clock: clocks of nodes differ, and times written into the Lease are never compared with ours. A
leader that could not renew for ``renew_deadline`` stops at once; that is shorter than ``duration``, after
which another may begin. A process that was frozen cannot stop in time: what it does first when it runs again
may be a write. So every write passes :class:`LeaderGuard`, which looks at the clock again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from mailegress.reconcile.ports import KubeConflict, KubeError, KubeGone
from mailegress.reconcile.write_guard import SEND_BEFORE, WriteGuard

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Somebody else may lead now. The process must end: what it had begun cannot be fenced."""


class NotLeading(KubeError):
    """A write was held back: this process may not act (any more)."""


class Requests(Protocol):
    """What is used of :class:`mailegress.kube.client.KubeClient`."""

    async def request(self, method: str, path: str, body: object | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Times in seconds; client-go's defaults."""

    namespace: str
    name: str = "mailegress"
    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0
    jitter: float = 0.2
    settle: float = 1.0
    """How long a leader that was asked to stop waits for writes in progress."""

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry * (1 + self.jitter) > 0:
            raise ValueError("lease times must satisfy duration > renew_deadline > retry with its jitter > 0")


class LeaderGuard:
    """The choke points of a replica that may be one of several. ``clock``: monotonic seconds."""

    def __init__(self, inner: WriteGuard, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock
        self.until = float("-inf")
        """Writes pass before this time."""
        self._inside = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def point(self, name: str) -> AsyncIterator[None]:
        """Raises :class:`NotLeading`, which ends a background task of the AWS layer and so the process."""
        async with self._inner.point(name):
            if self._clock() >= self.until:
                raise NotLeading(f"{name}: not sent, because this replica does not hold the lease")
            self._inside += 1
            self._idle.clear()
            token = SEND_BEFORE.set(self.until)
            try:
                yield
            finally:
                SEND_BEFORE.reset(token)
                self._inside -= 1
                if not self._inside:
                    self._idle.set()

    async def shut(self, timeout: float) -> bool:
        """Allow no further write. Returns whether all writes under way ended within ``timeout`` seconds."""
        self.until = float("-inf")
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


class LeaseElector:
    """One candidate; it opens ``choke`` while it leads. ``clock`` is monotonic seconds (the loop's), ``wall`` the
    date written into the Lease for readers.
    """

    def __init__(
        self,
        requests: Requests,
        settings: LeaseSettings,
        identity: str,
        guard: LeaderGuard,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._requests = requests
        self._settings = settings
        self._identity = identity
        self._guard = guard
        self._clock = clock
        self._rng = rng
        self._wall = wall
        base = f"/apis/coordination.k8s.io/v1/namespaces/{quote(settings.namespace, safe='')}/leases"
        self._collection, self._path = base, f"{base}/{quote(settings.name, safe='')}"
        self._observed: tuple[str, str] | None = None
        self._observed_at = 0.0
        self._renewed_at = 0.0
        self._lease: dict[str, Any] | None = None
        self.leading = False

    async def run(
        self, on_started: Callable[[], None], finish: Callable[[], Awaitable[object]], stop: asyncio.Event
    ) -> None:
        """Take part until ``stop`` is set, then release the Lease.

        ``on_started`` is called when this process becomes the leader. A leader that is asked to stop ends its
        work in ``finish``, and releases the Lease unless a write is still under way: then the next one begins
        when the Lease has run out. Raises :class:`LeaseLost` after a loss; no write passes by then.
        """
        try:
            while not stop.is_set():
                if await self._attempt() and not self.leading:
                    self.leading = True
                    _log.info("leading lease=%s identity=%s", self._settings.name, self._identity)
                    on_started()
                elif self.leading and self._clock() >= self._renewed_at + self._settings.renew_deadline:
                    raise LeaseLost(f"the lease could not be renewed for {self._settings.renew_deadline:g} s")
                await self._pause(stop)
            if not self.leading:
                return
            await finish()
            if await self._guard.shut(self._settings.settle):
                await self._release()
            else:
                _log.warning(
                    "lease kept until it runs out, a write is under way lease=%s", self._settings.name
                )
        finally:
            self.leading = False
            self._guard.until = float("-inf")

    # ------------------------------------------------------------ inside

    async def _pause(self, stop: asyncio.Event) -> None:
        delay = self._settings.retry * (1 + self._settings.jitter * self._rng.random())
        if self.leading:
            # Never sleep past the deadline.
            delay = min(delay, max(0.0, self._renewed_at + self._settings.renew_deadline - self._clock()))
        try:
            async with asyncio.timeout(delay):
                await stop.wait()
        except TimeoutError:
            pass

    async def _attempt(self) -> bool:
        """Get or keep the Lease; whether this process holds it now. Raises :class:`LeaseLost` if another took
        it.
        """
        began = self._clock()
        limit = self._settings.renew_deadline
        if self.leading:
            limit = max(0.0, self._renewed_at + self._settings.renew_deadline - began)
        try:
            # A request that hangs must not outlast the right to lead.
            async with asyncio.timeout(limit):
                held = await self._acquire()
        except (KubeError, TimeoutError) as error:
            if not isinstance(error, KubeConflict):
                _log.warning("lease not reached lease=%s error=%r", self._settings.name, error)
            # The copy may be stale now: read it before the next attempt.
            self._lease = None
            return False
        if held:
            # From the moment before the request: that is when others' clocks start at the earliest.
            self._renewed_at = began
            self._guard.until = began + self._settings.renew_deadline
        elif self.leading:
            raise LeaseLost("another process holds the lease")
        return held

    async def _acquire(self) -> bool:
        lease = self._lease if self.leading else None
        if lease is None:
            try:
                lease = await self._requests.request("GET", self._path)
            except KubeGone:
                self._lease = await self._requests.request("POST", self._collection, self._record({}, 0))
                return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._look(lease)
        if holder and holder != self._identity and not self._expired(spec):
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + (holder != self._identity)
        self._lease = await self._requests.request("PUT", self._path, self._record(lease, transitions))
        return True

    def _look(self, lease: Mapping[str, Any]) -> None:
        spec = lease.get("spec") or {}
        seen = (str(spec.get("holderIdentity")), str((lease.get("metadata") or {}).get("resourceVersion")))
        if seen != self._observed:
            self._observed, self._observed_at = seen, self._clock()

    def _expired(self, spec: Mapping[str, Any]) -> bool:
        duration = float(spec.get("leaseDurationSeconds") or self._settings.duration)
        return self._clock() >= self._observed_at + duration

    def _record(self, lease: Mapping[str, Any], transitions: int) -> dict[str, Any]:
        now = self._stamp()
        old = lease.get("spec") or {}
        same = old.get("holderIdentity") == self._identity
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": self._metadata(lease),
            "spec": {
                "holderIdentity": self._identity,
                # The API takes whole seconds, at least one.
                "leaseDurationSeconds": max(1, round(self._settings.duration)),
                "acquireTime": old.get("acquireTime", now) if same else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    def _metadata(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        return dict(lease.get("metadata") or {}) or {
            "name": self._settings.name,
            "namespace": self._settings.namespace,
        }

    async def _release(self) -> None:
        """Let the next one begin at once instead of after ``duration``."""
        lease = self._lease
        if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._identity:
            return
        record = self._record(lease, int((lease.get("spec") or {}).get("leaseTransitions") or 0))
        record["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self._settings.retry):
                await self._requests.request("PUT", self._path, record)
            _log.info("lease released lease=%s", self._settings.name)
        except (KubeError, TimeoutError) as error:
            _log.warning("lease not released lease=%s error=%r", self._settings.name, error)

    def _stamp(self) -> str:
        return self._wall().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
