"""Shared readings and writes: values only, no I/O.

Names are stored normalised everywhere: lower case, no trailing dot, Route 53's octal escapes undone. Times are
seconds of the event loop's clock (monotonic), never wall clock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

NEVER = float("-inf")


NO_LIMIT = float("inf")


class ErrorKind(enum.Enum):
    """How an error is met; the single classification lives in ``aws.errors``."""

    TRANSIENT = "transient"
    """No answer, or a promise to answer later (timeout, 5xx, throttle): changes no positive condition by itself."""
    WORLD = "world"
    """Ends when something outside the operator changes (permissions, a zone that is missing)."""
    HUMAN = "human"
    """A person must decide."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error, classified once. ``message`` is cleaned: no request ID, no control character, bounded."""

    reason: str
    message: str
    kind: ErrorKind
    unknown_outcome: bool = False
    """The request may have been carried out: AWS must be read before it is written again."""
    answered: bool = False
    """DNS only: a server replied, although with a failure (SERVFAIL); False = all were silent."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A shared observation with its age.

    ``at`` is when the read that produced ``value`` *began*: whatever was written before that moment is seen in it.
    ``fault`` is the last failure if the last read failed, and ``misses`` counts failures in a row since ``value``.
    """

    value: T | None = None
    at: float = NEVER
    fault: Fault | None = None
    misses: int = 0
    tried_at: float = NEVER

    def fresh(self, not_before: float) -> bool:
        """True if the value is there and its read began at or after ``not_before``."""
        return self.value is not None and self.at >= not_before


class WritePhase(enum.Enum):
    """Where an external write handed to a writer stands."""

    QUEUED = "queued"
    IN_FLIGHT = "in-flight"
    APPLIED = "applied"
    """Accepted by AWS; a Route 53 change is still PENDING, a PTR update may be."""
    INSYNC = "insync"
    """Route 53 only: GetChange said INSYNC."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Sent, no answer: read again before writing again."""


@dataclass(frozen=True, slots=True)
class WriteState:
    """The newest write to one name or EIP. ``at`` is when the phase was entered.

    FAILED and UNKNOWN carry the fault; it stands while the write is tried again, so that a retry is no change.
    APPLIED with a fault: GetChange is refused or unanswered.
    """

    phase: WritePhase
    at: float
    fault: Fault | None = None
    change_id: str = ""
    attempts: int = 0
    """Failures in a row on this target, for the caller's back-off."""
    returned: bool = False
    """The last write that was handed over was not sent; all else is about the one before it."""
    urgent: bool = False
    """Queued before all others: it takes a lost address out of a record."""

    @property
    def busy(self) -> bool:
        return self.phase in (WritePhase.QUEUED, WritePhase.IN_FLIGHT)

    @property
    def publishing(self) -> bool:
        """Route 53 accepted the change, has not reported it INSYNC, and answers when it is asked."""
        return self.phase is WritePhase.APPLIED and bool(self.change_id) and self.fault is None
