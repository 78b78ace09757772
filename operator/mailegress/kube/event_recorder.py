"""Sends Events in the background: a reconcile does not wait for them.

They are sent by namespaces in turn, and what does not fit is taken from the namespace that has the most waiting: a
flood in one namespace neither delays nor drops the Events of another.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mailegress.reconcile.ports import Key, Kube
from mailegress.telemetry.logs import about

_log = logging.getLogger(__name__)

MOST = 20_000
"""Maximum number of waiting Events, enough for the creation of many objects. Beyond it the oldest Event of the
namespace that has the most is dropped."""
RESTS = 3.0
"""Pause between two Events, as a multiple of the time that the last one took, to spare a busy API server."""


_Waiting = tuple[Key, Callable[[], Awaitable[None]]]
"""An Event's object, and the call that sends it."""


def _key(involved: Mapping[str, Any]) -> Key:
    meta = involved["metadata"]
    return f"{meta['namespace']}/{meta['name']}"


class EventRecorder:
    """A ``Kube`` whose Events are sent one after the other by :meth:`run`: those of one namespace in the order in which
    they were emitted.
    """

    def __init__(
        self,
        kube: Kube,
        most: int = MOST,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._clock, self._sleep = clock, sleep
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._size = 0
        self._most = most
        self._news = asyncio.Event()

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return await self._kube.read(namespace, name)

    async def set_finalizers(
        self, namespace: str, name: str, resource_version: str, finalizers: Sequence[str]
    ) -> Mapping[str, Any]:
        return await self._kube.set_finalizers(namespace, name, resource_version, finalizers)

    async def replace_status(self, body: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._kube.replace_status(body, status)

    async def emit(
        self, involved: Mapping[str, Any], *, warning: bool, reason: str, message: str, action: str
    ) -> None:
        """Queue one Event; returns at once."""
        if self._size >= self._most:
            self._drop()
        # Of the object only what an Event refers to is kept.
        bare = {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "metadata": involved["metadata"],
        }
        send = functools.partial(
            self._kube.emit, bare, warning=warning, reason=reason, message=message, action=action
        )
        self._waiting.setdefault(str(involved["metadata"]["namespace"]), deque()).append(
            (_key(involved), send)
        )
        self._size += 1
        self._news.set()

    def _drop(self) -> None:
        namespace = max(self._waiting, key=lambda name: len(self._waiting[name]))
        key, _ = self._waiting[namespace].popleft()
        self._size -= 1
        if not self._waiting[namespace]:
            del self._waiting[namespace]
        _log.warning(
            "an Event was dropped, too many wait to be sent", extra=about(object=key, waiting=self._most)
        )

    def _take(self, namespace: str) -> _Waiting:
        waiting = self._waiting[namespace]
        taken = waiting.popleft()
        self._size -= 1
        if waiting:
            self._waiting.move_to_end(namespace)
        else:
            del self._waiting[namespace]
        return taken

    async def run(self) -> None:
        """Send Events until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                (key, send), began = self._take(next(iter(self._waiting))), self._clock()
                try:
                    await send()
                except Exception:
                    # Nothing depends on an Event: not even a defect in sending one may end the operator.
                    _log.exception("an Event could not be sent", extra=about(object=key))
                await self._sleep(RESTS * (self._clock() - began))
