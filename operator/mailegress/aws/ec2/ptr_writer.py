"""ModifyAddressAttribute and ResetAddressAttribute: one in flight per EIP, paced for the account."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailegress.aio.backoff import Backoff
from mailegress.aio.fair_queue import FairQueue
from mailegress.aws.api import AwsError, Service
from mailegress.aws.ec2.addresses import SharedAddressBook
from mailegress.aws.errors import classify, is_throttle
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.model.aws import Ptr
from mailegress.model.facts import NEVER, NO_LIMIT, Fault, WritePhase, WriteState
from mailegress.reconcile.ports import Allowed, Key, always
from mailegress.reconcile.write_guard import EC2_RESET_PTR, EC2_SET_PTR


@dataclass(slots=True)
class _Intent:
    region: str
    allocation_id: str
    hostname: str | None
    """None = reset."""
    namespace: str
    keys: dict[Key, None]
    backoff: Backoff = field(repr=False)
    before: float
    """Loop time at which what justifies the write is too old; it is not sent from then on."""
    previous: WriteState | None
    """The state before it was queued."""
    allowed: Allowed
    give_up: float | None = None
    """Set when AWS first refuses it for its rate."""

    @property
    def place(self) -> tuple[str, str]:
        return self.region, self.allocation_id

    @property
    def id(self) -> str:
        return f"{self.region}/{self.allocation_id}"


class PacedPtrWriter:
    """Implements the ``PtrWriter`` port. PTR writes cannot be batched; namespaces take turns."""

    def __init__(self, runtime: Runtime, book: SharedAddressBook) -> None:
        self._rt = runtime
        self._book = book
        self._queue: FairQueue[_Intent] = FairQueue()
        self._in_flight: dict[tuple[str, str], _Intent] = {}
        self._states: dict[tuple[str, str], WriteState] = {}
        self._pruned_at = runtime.clock()
        self._running = False

    # ---------------------------------------------------------------- the port

    def set_ptr(
        self,
        key: Key,
        region: str,
        allocation_id: str,
        hostname: str,
        before: float = NO_LIMIT,
        allowed: Allowed = always,
    ) -> None:
        self._submit(key, region, allocation_id, hostname, before, allowed)

    def reset_ptr(self, key: Key, region: str, allocation_id: str, before: float = NO_LIMIT) -> None:
        self._submit(key, region, allocation_id, None, before)

    def take_back(self, region: str, allocation_id: str) -> None:
        intent = self._queue.remove(f"{region}/{allocation_id}")
        if intent is not None:
            self._return(intent)

    def state(self, region: str, allocation_id: str) -> WriteState | None:
        return self._states.get((region, allocation_id))

    @property
    def due(self) -> int:
        """Number of Elastic IPs whose write is queued or in flight."""
        return len(self._queue) + len(self._in_flight)

    # ---------------------------------------------------------------- inside

    def _submit(
        self,
        key: Key,
        region: str,
        allocation_id: str,
        hostname: str | None,
        before: float,
        allowed: Allowed = always,
    ) -> None:
        """Queue, or replace what is queued for the EIP. While a write of it is in flight nothing is taken."""
        flying = self._in_flight.get((region, allocation_id))
        if flying is not None:
            flying.keys[key] = None
            return
        now = self._rt.clock()
        namespace = key.partition("/")[0]
        previous = self._states.get((region, allocation_id))
        intent = _Intent(
            region,
            allocation_id,
            hostname,
            namespace,
            {key: None},
            self._rt.backoff(),
            before,
            previous,
            allowed,
        )
        waiting = self._queue.get(intent.id)
        if waiting is not None:
            intent.keys = {**waiting.keys, **intent.keys}
            intent.previous = waiting.previous
        self._queue.put(namespace, intent.id, intent)
        self._enter(intent, WritePhase.QUEUED)
        self._prune(now)
        if not self._running:
            self._running = True
            self._rt.tasks.spawn(self._run(), "ptr-writer")

    async def _run(self) -> None:
        try:
            while len(self._queue):
                await self._rt.ec2_writes.take(Priority.WRITE)
                intent = self._next()
                if intent is None:
                    return
                self._in_flight[intent.place] = intent
                self._enter(intent, WritePhase.IN_FLIGHT)
                self._rt.tasks.spawn(self._write(intent), f"ptr-{intent.id}")
        finally:
            self._running = False

    def _next(self) -> _Intent | None:
        """The next write that may still be sent; those that may not go back to their objects."""
        while len(self._queue):
            intent = self._queue.pop()
            if self._may_send(intent):
                return intent
            self._return(intent)
        return None

    def _may_send(self, intent: _Intent) -> bool:
        """Is what justifies the write not too old (S1), and is it still allowed (S14)?"""
        return self._rt.clock() < intent.before and intent.allowed()

    def _return(self, intent: _Intent) -> None:
        """Not sent: as if it had not been handed over. Its objects look at what justified it again."""
        previous = intent.previous or WriteState(WritePhase.FAILED, NEVER)
        self._states[intent.place] = replace(previous, returned=True)
        self._wake(intent)

    async def _write(self, intent: _Intent) -> None:
        while True:
            try:
                ptr = await self._call(intent)
            except AwsError as error:
                if not is_throttle(error) or self._is_out_of_patience(intent):
                    self._failed(intent, classify(error))
                    return
                # Certainly refused: the same write again, at the pace to which the bucket slows down.
                self._rt.note_throttle(Service.EC2, self._rt.ec2_writes)
                await self._rt.sleep(min(intent.backoff.next(), 20.0))
                await self._rt.ec2_writes.take(Priority.WRITE)
                if self._may_send(intent):
                    continue
                self._in_flight.pop(intent.place, None)
                self._return(intent)
                return
            self._in_flight.pop(intent.place, None)
            self._book.ptr_written(intent.region, intent.allocation_id, ptr)
            self._enter(intent, WritePhase.APPLIED)
            self._wake(intent)
            return

    async def _call(self, intent: _Intent) -> Ptr:
        api = self._rt.api
        if intent.hostname is None:
            async with self._rt.guard.point(EC2_RESET_PTR):
                return await api.reset_address_attribute(intent.region, intent.allocation_id)
        async with self._rt.guard.point(EC2_SET_PTR):
            return await api.modify_address_attribute(intent.region, intent.allocation_id, intent.hostname)

    def _is_out_of_patience(self, intent: _Intent) -> bool:
        if intent.give_up is None:
            intent.give_up = self._rt.clock() + self._rt.settings.batch_patience
        return self._rt.clock() > intent.give_up

    def _failed(self, intent: _Intent, fault: Fault) -> None:
        self._in_flight.pop(intent.place, None)
        unknown = fault.unknown_outcome
        self._enter(intent, WritePhase.UNKNOWN if unknown else WritePhase.FAILED, fault)
        if unknown:
            for key in intent.keys:
                self._book.ptr_doubted(key, intent.region, intent.allocation_id)
        self._wake(intent)

    def _enter(self, intent: _Intent, phase: WritePhase, fault: Fault | None = None) -> None:
        known = self._states.get(intent.place)
        attempts = 0 if known is None else known.attempts
        if phase in (WritePhase.FAILED, WritePhase.UNKNOWN):
            attempts += 1
        elif phase is WritePhase.APPLIED:
            attempts = 0
        if known is not None and phase in (WritePhase.QUEUED, WritePhase.IN_FLIGHT):
            fault = known.fault
        self._states[intent.place] = WriteState(phase, self._rt.clock(), fault, attempts=attempts)

    def _wake(self, intent: _Intent) -> None:
        for key in intent.keys:
            self._rt.wake(key)

    def _prune(self, now: float) -> None:
        keep = self._rt.settings.forget_writes
        if now - self._pruned_at < keep / 4:
            return
        self._pruned_at = now
        for place, state in list(self._states.items()):
            if not state.busy and now - state.at > keep:
                del self._states[place]
