"""From what the API server tells to what the workers do: events go into the store, and what is news into the
queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mailegress.engine.queue import KeyedQueue, Priority
from mailegress.engine.store import Store, object_key
from mailegress.telemetry.logs import about

_log = logging.getLogger(__name__)


class Feed:
    """The one way into the store for the watch and for full lists.

    ``on_removed(key)`` lets workers and caches forget a key that no object bears any more.
    """

    def __init__(
        self, store: Store, queue: KeyedQueue, on_removed: Callable[[str], None] | None = None
    ) -> None:
        self._store = store
        self._queue = queue
        self._on_removed = on_removed
        self.doubt = asyncio.Event()
        """Set when the watch lists an older version than is known. Either ours is from a write since, or the API
        server was restored from a backup; only a full list can tell.
        """

    def on_change(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A watch event: ADDED, MODIFIED, DELETED, or None for an object of the initial list and of a re-list
        after 410.
        """
        if kind == "DELETED":
            self.gone(object_key(body), body["metadata"]["uid"])
        else:
            news = self.seen(body, Priority.RESYNC if kind is None else Priority.CHANGE)
            if kind is None and not news and self._store.ahead(body):
                self.doubt.set()

    def seen(self, body: Mapping[str, Any], priority: Priority, since: int | None = None) -> bool:
        """A version of an object, from whatever source (``since``: see :meth:`Store.upsert`); a pass is due if it is
        news.
        """
        if not self._store.upsert(body, since):
            return False
        self._queue.add(object_key(body), priority)
        return True

    def gone(self, key: str, uid: str | None) -> None:
        """The object is known to be gone, from an event or from a 404 to one of our own writes."""
        if self._store.delete(key, uid):
            self._forget(key)

    def prune(self, listed: set[str], since: int) -> list[str]:
        """See :meth:`Store.prune`."""
        removed = self._store.prune(listed, since)
        for key in removed:
            _log.info("deletion was missed, found by a full list", extra=about(object=key))
            self._forget(key)
        return removed

    def _forget(self, key: str) -> None:
        self._queue.forget(key)
        if self._on_removed is not None:
            self._on_removed(key)
