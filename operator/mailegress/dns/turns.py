"""Work that takes milliseconds, a limited amount in each turn of the event loop, in the order of asking."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_SECONDS = 0.005
"""Of work in one turn; the last piece may take longer."""

_PIECES = 32
"""In one turn: what whoever asked does next takes time, too."""


class Turns:
    """``await turns(piece)`` for each piece of work.

    Hundreds of replies can arrive, and hundreds of questions can become due, in one turn of the event loop. Without
    this, all that follows from them would be done in that turn, and everything else on the loop would wait.

    A turn has time for several pieces, because other work makes turns long when the processor is busy.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    async def __call__(self, piece: Callable[[], T]) -> T:
        """The result of ``piece()``. Errors: its own."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((piece, done))
        if len(self._waiting) == 1:
            loop.call_soon(self._turn)
        return await done

    def _turn(self) -> None:
        until, pieces = time.perf_counter() + _SECONDS, 0
        while self._waiting and pieces < _PIECES and (not pieces or time.perf_counter() < until):
            piece, done = self._waiting.popleft()
            if done.done():
                continue  # nobody waits for it any more
            pieces += 1
            try:
                done.set_result(piece())
            except Exception as error:
                done.set_exception(error)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
