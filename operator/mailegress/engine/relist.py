"""The operator's own full lists: one before the workers start, then one an hour, and one when the watch raises a doubt.

kopf does not tell its handlers when its list ends, and a claim must not be decided before every rival is known. And a
watch never reports a deletion that happened while it was down.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailegress.engine.controller import Controller
from mailegress.reconcile.ports import KubeError

_log = logging.getLogger(__name__)

Pages = Callable[[], AsyncIterator[Sequence[Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class RelistSettings:
    """Times in seconds."""

    interval: float = 3600.0
    jitter: float = 0.1
    """Share of the interval by which a list may come later: replicas and clusters do not list in step."""
    retry: float = 30.0
    """After a list that failed, and from a doubt to the list that settles it."""


class Relister:
    """Feeds full lists. ``pages`` yields the objects of a fresh, consistent list page by page."""

    def __init__(
        self,
        pages: Pages,
        controller: Controller,
        *,
        sleep: Callable[[float], Awaitable[None]],
        rng: random.Random,
        settings: RelistSettings | None = None,
    ) -> None:
        self._pages = pages
        self._controller = controller
        self._sleep = sleep
        self._rng = rng
        self._settings = settings or RelistSettings()

    async def once(self) -> int:
        """List everything, take in what is new, remove what is absent; how many objects there are.

        Raises :class:`KubeError`; then nothing is removed.
        """
        since = self._controller.mark()
        listed: set[str] = set()
        async for page in self._pages():
            listed |= self._controller.on_page(page, since)
        self._controller.on_list(listed, since)
        return len(listed)

    async def run(self) -> None:
        """List for ever, beginning one interval from now. A failed list is tried again; it does not end the
        operator.
        """
        settings = self._settings
        delay = self._next()
        while True:
            await self._pause(delay)
            try:
                await self.once()
            except KubeError as error:
                _log.warning("full list failed error=%s retry_in_s=%g", error, settings.retry)
                delay = settings.retry
            else:
                delay = self._next()

    async def _pause(self, delay: float) -> None:
        """Until it is time, or a while after a doubt: many may come at once."""
        waits = [asyncio.ensure_future(w) for w in (self._sleep(delay), self._controller.doubt.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._controller.doubt.is_set():
            await self._sleep(self._settings.retry)
            self._controller.doubt.clear()

    def _next(self) -> float:
        return self._settings.interval * (1 + self._settings.jitter * self._rng.random())
