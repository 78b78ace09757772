"""What happens when an object changes: store, claims, creation burst and queue are kept in step here.

Versions of an object come from the watch, from full lists, and from replies to the operator's own requests. The
controller takes in each of them, queues the object if the version is new, and wakes the objects whose claims this
affects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from mailegress.api.policy import PolicyMode
from mailegress.api.types import parse_remains
from mailegress.api.validation import InvalidObject
from mailegress.engine.burst import CreationBurst
from mailegress.engine.queue import KeyedQueue, Priority
from mailegress.engine.store import Store, Stored, object_key
from mailegress.engine.workers import Workers, WorkerSettings
from mailegress.reconcile.claim_index import ClaimIndex
from mailegress.reconcile.policy_index import PolicyIndex
from mailegress.reconcile.ports import Key
from mailegress.telemetry.logs import about

_log = logging.getLogger(__name__)


class Reconciles(Protocol):
    """The reconciler, as the controller uses it."""

    async def process(self, key: Key) -> float | None:
        """Reconcile one object; see :data:`mailegress.engine.workers.Process`."""

    def forget(self, uid: str) -> None:
        """The object is gone."""


class Controller:
    """Implements ``ObjectStore`` for the reconciler. ``clock``: monotonic seconds. ``default_region``: where selectors
    look that name no region.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        settings: WorkerSettings,
        policy: PolicyMode = PolicyMode.OFF,
        default_region: str = "",
    ) -> None:
        self.store = Store()
        self.claims = ClaimIndex(default_region)
        self.policies = PolicyIndex(policy)
        self.burst = CreationBurst(clock)
        self.queue = KeyedQueue(clock)
        self.workers = Workers(self.queue, clock=clock, settings=settings)
        self.listed = False
        """Whether a full list is complete: until then an older object with a claim may be unknown."""
        self.doubt = asyncio.Event()
        """Set when the watch lists an older version than the known one, or an object that is gone. Either that is known
        from a later moment, or the API server was restored from a backup; only a full list can decide.
        """
        self._reconciler: Reconciles | None = None
        """Before the start there is nothing that it would have to forget."""

    # ------------------------------------------------ working

    def start(self, reconciler: Reconciles) -> None:
        """Begin to reconcile. Lists and the watch may run before; a second call does nothing."""
        self._reconciler = reconciler
        self.workers.start(reconciler.process)

    def wake(self, key: Key) -> None:
        """Reconcile this object soon: something that it waits for has changed."""
        self.queue.add(key)

    # ------------------------------------------------ the watch and full lists

    def on_event(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A watch event: ADDED, MODIFIED, DELETED, or None for an object of the initial list and of a new list after
        410.
        """
        if kind == "DELETED":
            self.gone(object_key(body), body["metadata"]["uid"])
        else:
            new = self._take_in(body, Priority.RESYNC if kind is None else Priority.CHANGE)
            if kind is None and not new and self.store.ahead(body):
                self.doubt.set()

    def on_page(self, bodies: Iterable[Mapping[str, Any]], since: int) -> set[Key]:
        """One page of a full list that began at the :meth:`mark` ``since``; the keys of its objects are returned."""
        keys = set()
        for body in bodies:
            keys.add(object_key(body))
            self._take_in(body, Priority.RESYNC, since)
        return keys

    def on_list(self, listed: set[Key], since: int) -> list[Key]:
        """A full list is complete; the keys of objects that are gone, because it does not show them, are returned."""
        removed = self.store.absent(listed, since)
        for key in removed:
            _log.info("deletion was missed, found by a full list", extra=about(object=key))
            self.gone(key)
        self.listed = True
        return removed

    # ------------------------------------------------ the reconciler's view

    def body(self, key: Key) -> dict[str, Any] | None:
        """A fresh copy of the newest version known."""
        stored = self.store.get(key)
        return stored.body() if stored is not None else None

    def seen(self, body: Mapping[str, Any]) -> None:
        """The reply to a write of the operator: not a reason to reconcile again."""
        self._update(body, None)

    def mark(self) -> int:
        """This moment, for :meth:`read` and :meth:`on_list`."""
        return self.store.mark()

    def read(self, body: Mapping[str, Any], since: int) -> None:
        """What the API server answered to a read that began at a :meth:`mark`."""
        self._take_in(body, Priority.CHANGE, since)

    def gone(self, key: Key, uid: str | None = None) -> None:
        """The object is gone. With a ``uid``, only that object: its successor under the same name stays."""
        removed = self.store.delete(key, uid)
        if removed is not None:
            self._release(removed)
            self.queue.forget(key)
            self.workers.forget(key)

    # ------------------------------------------------ inside

    def _take_in(self, body: Mapping[str, Any], priority: Priority, since: int | None = None) -> bool:
        """Whether this version is new; then the object is queued. ``since``: see :meth:`Store.upsert`."""
        new = self._update(body, since)
        if new:
            self.queue.add(object_key(body), priority)
        return new

    def _update(self, body: Mapping[str, Any], since: int | None) -> bool:
        update = self.store.upsert(body, since)
        if update is None:
            return False
        if update.replaced is not None:
            self._release(update.replaced)
        new = update.new
        reported = True
        try:
            obj = new.parse()
            reported = new.deleting or obj.status.observed_generation == obj.meta.generation
        except InvalidObject:
            # The operator does nothing for it any more, but what it holds remains its own.
            obj = parse_remains(new.body())
        rivals = self.regrant(self.policies.put(new.key, obj))
        rivals |= self.claims.put(new.key, obj, entitled=self.policies.entitled(new.uid))
        self.burst.seen(new.uid, reported=reported)
        self._wake_all(rivals)
        return True

    def _release(self, removed: Stored) -> None:
        """An object is gone: what it claimed is free."""
        self.burst.gone(removed.uid)
        if self._reconciler is not None:
            self._reconciler.forget(removed.uid)
        moved = self.policies.drop(removed.uid)
        self._wake_all(self.claims.drop(removed.uid) | self.regrant(moved))

    def regrant(self, uids: Iterable[str]) -> set[Key]:
        """What policies grant to these objects has changed; whom that concerns comes back, they among them."""
        keys = set()
        for uid in uids:
            keys |= self.claims.entitle(uid, self.policies.entitled(uid))
            if (key := self.policies.key(uid)) is not None:
                keys.add(key)
        return keys

    def _wake_all(self, keys: set[Key]) -> None:
        for key in keys:
            self.wake(key)
