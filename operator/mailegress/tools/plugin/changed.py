"""Reports that something may have changed, for ``--watch``: the caller then reads the state again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mailegress.kube.client import KubeClient
from mailegress.kube.reflector import Body, Reflector, Resource


class _Bell:
    """A sink of watches that keeps nothing."""

    def __init__(self, changed: asyncio.Event, *, faults: bool) -> None:
        self._changed = changed
        self._faults = faults

    def put(self, body: Body) -> None:
        self._changed.set()

    def delete(self, name: str) -> None:
        self._changed.set()

    def known(self) -> set[str]:
        return set()

    def heard(self, *, listed: bool = False) -> None:
        """After a list, a deletion may have been missed."""
        if listed:
            self._changed.set()

    def unheard(self, fault: str, *, missing: bool = False) -> None:
        """The next reading reports the fault to the user."""
        if self._faults:
            self._changed.set()


@asynccontextmanager
async def changes(
    client: KubeClient, objects: Resource, beside: Sequence[Resource] = ()
) -> AsyncIterator[asyncio.Event]:
    """Set whenever one of the objects changed or cannot be watched, or something beside them changed, which the person
    may have no right to watch.
    """
    changed = asyncio.Event()
    # The next reading reports why something cannot be watched.
    logging.getLogger("mailegress.kube.reflector").addHandler(logging.NullHandler())
    watched = [Reflector(client, objects, _Bell(changed, faults=True))]
    watched += [Reflector(client, each, _Bell(changed, faults=False)) for each in beside]
    tasks = [asyncio.create_task(each.run()) for each in watched]
    try:
        yield changed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
