"""One piece of work for each turn of the event loop, in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """``await turns()`` before each piece of work that takes milliseconds.

    Hundreds of replies can arrive, and hundreds of questions can become due, in one turn of the event loop. Without
    this, all that follows from them would be done in that turn, and everything else on the loop would wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self) -> None:
        """Return in a turn of the event loop in which nobody else returns from here."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        # The first one stays in line until its turn is over, so that one that asks meanwhile starts no second line.
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._waiting:
            self._waiting[0].set_result(None)
            asyncio.get_running_loop().call_soon(self._next)
