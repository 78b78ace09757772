"""The choke points: every external write passes one, by name.

Entered right around the call that has the effect, and nothing else, so that a test can stop the process, raise a fault
or lose a reply immediately before or immediately after the effect.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Final, Protocol

ROUTE53_CHANGE: Final = "route53.change"
EC2_SET_PTR: Final = "ec2.set_ptr"
EC2_RESET_PTR: Final = "ec2.reset_ptr"

SEND_BEFORE: ContextVar[float] = ContextVar("send_before", default=float("inf"))
"""Monotonic seconds from which on the write of this context must not be sent any more: whoever hands it to a thread
looks once more when that thread has its turn."""


class WriteGuard(Protocol):
    """Where crashes and faults are injected."""

    def point(self, name: str) -> AbstractAsyncContextManager[None]:
        """A context around one external write; raising in it stands for a fault of that write."""


class OpenGuard:
    """Lets everything through: the one used in production."""

    @asynccontextmanager
    async def point(self, name: str) -> AsyncIterator[None]:
        yield
