"""ChangeResourceRecordSets: one writer per hosted zone, one batch in flight, outcomes per hostname.

After a batch without an answer the record sets are read before anything is written again (S10).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mailegress.aio.tasks import Signal
from mailegress.aws.api import AwsError, ChangeInfo, Service
from mailegress.aws.errors import classify, is_throttle
from mailegress.aws.rate_limit import Priority
from mailegress.aws.route53.batches import Batch, Intent, IntentQueue, cost_of, halves, split
from mailegress.aws.route53.change_poller import ChangePoller
from mailegress.aws.route53.records import RecordCache
from mailegress.aws.runtime import Runtime
from mailegress.model.aws import Change
from mailegress.model.facts import NEVER, Fault, WritePhase, WriteState
from mailegress.reconcile.ports import MANY, Allowed, Key, always
from mailegress.reconcile.write_guard import ROUTE53_CHANGE

_HOPELESS = 7
"""Refusals without a success between them after which a batch is not divided further: three rounds of halving."""
_MOST_CALLS = 40
"""Calls spent on one batch's refusals; a culprit in 500 names takes 18 by bisection and 2 when it is named."""


@dataclass(slots=True, eq=False)
class _Part:
    """What is left to send of a batch that was refused."""

    batch: Batch
    twin: _Part | None = None
    """The other half of what was refused."""
    holds_culprit: bool = False
    """The other half went through: it is here, and sending all of this would only say so."""


@dataclass(slots=True)
class _Lane:
    queue: IntentQueue
    signal: Signal
    in_flight: dict[str, Intent] = field(default_factory=dict)
    running: bool = False
    free_at: float = NEVER
    """When the zone can be expected to be done with the last change."""
    removals: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))
    """When the last changes that can wait were handed over."""
    denied: bool = False
    """Every name of the last batch was denied: the next denial is believed at once."""


class BatchWriter:
    """Implements the ``ZoneWriter`` port."""

    def __init__(self, runtime: Runtime, records: RecordCache) -> None:
        self._coming: Callable[[], int] = lambda: 0
        self._rt = runtime
        self._records = records
        self._lanes: dict[str, _Lane] = {}
        self._states: dict[tuple[str, str], WriteState] = {}
        self._pruned_at = runtime.clock()
        self._poller = ChangePoller(runtime, self._polled)

    # ---------------------------------------------------------------- the port

    def submit(
        self,
        key: Key,
        zone_id: str,
        hostname: str,
        changes: Sequence[Change],
        *,
        urgent: bool = False,
        allowed: Allowed = always,
    ) -> None:
        """Queue, or replace what is queued for the hostname. While a change of it is in flight nothing is taken.

        ``ValueError``: no changes, or more than fit one batch.
        """
        if not changes:
            raise ValueError("nothing to change")
        lane = self._lane(zone_id)
        flying = lane.in_flight.get(hostname)
        if flying is not None:
            flying.keys[key] = None
            return
        now = self._rt.clock()
        known = self._states.get((zone_id, hostname))
        intent = Intent(hostname, tuple(changes), {key: None}, now, known, allowed, urgent)
        lane.queue.put(key.partition("/")[0], intent)
        if intent.can_wait:
            lane.removals.append(now)
        fault, attempts = (None, 0) if known is None else (known.fault, known.attempts)
        self._states[zone_id, hostname] = WriteState(
            WritePhase.QUEUED, now, fault, attempts=attempts, urgent=urgent
        )
        self._prune(now)
        lane.signal.set()
        if not lane.running:
            lane.running = True
            self._rt.tasks.spawn(self._run(zone_id, lane), f"writer-{zone_id}")

    def state(self, zone_id: str, hostname: str) -> WriteState | None:
        return self._states.get((zone_id, hostname))

    def expect(self, coming: Callable[[], int]) -> None:
        """Set the function that returns how many objects will soon submit a first change."""
        self._coming = coming

    # ---------------------------------------------------------------- gauges

    @property
    def due(self) -> int:
        """Hostnames whose change is queued or in flight."""
        return sum(len(lane.queue) + len(lane.in_flight) for lane in self._lanes.values())

    @property
    def polled(self) -> int:
        """Change IDs that are not INSYNC yet."""
        return self._poller.pending

    # ---------------------------------------------------------------- collecting

    def _lane(self, zone_id: str) -> _Lane:
        lane = self._lanes.get(zone_id)
        if lane is None:
            settings = self._rt.settings
            queue = IntentQueue(settings.batch_records, settings.batch_characters)
            lane = self._lanes[zone_id] = _Lane(queue, self._rt.signal())
        return lane

    async def _run(self, zone_id: str, lane: _Lane) -> None:
        try:
            while len(lane.queue):
                await self._collect(lane)
                await self._rest(lane)
                await self._rt.route53.take(Priority.WRITE, who=zone_id)
                budget = await self._throughput(lane)
                batch = lane.queue.take(budget)
                self._rt.changes.spend(cost_of(batch))
                lane.in_flight = {intent.hostname: intent for intent in batch}
                self._enter(zone_id, batch, WritePhase.IN_FLIGHT)
                await self._deliver(zone_id, lane, batch)
                lane.in_flight = {}
        finally:
            lane.running = False

    async def _collect(self, lane: _Lane) -> None:
        """Until the batch is full, or nothing came for a moment, or the first one has waited long enough.

        Of a crowd of new objects each needs a status and a finalizer before its change is handed over, which takes the
        API server several seconds for all of them: the collection lasts as long, unless somebody light waits. Of a
        crowd of deleted objects each hands over its removal when its PTR is reset: they are collected as well.
        """
        settings = self._rt.settings
        first = lane.queue.oldest
        while not lane.queue.full:
            crowd = self._is_crowd(lane)
            if crowd and self._should_begin(lane):
                return
            longest = settings.batch_crowd if crowd else settings.batch_longest
            quiet = settings.batch_longest if crowd or self._many_removals(lane) else settings.batch_quiet
            left = first + longest - self._rt.clock()
            if left <= 0 or not await lane.signal.wait(min(quiet, left)):
                return

    def _is_crowd(self, lane: _Lane) -> bool:
        """Many objects on their way, and a twentieth of those that wait already, are worth waiting for."""
        coming = self._coming()
        return coming >= max(MANY, len(lane.queue) / 20) and not lane.queue.delays_somebody

    def _many_removals(self, lane: _Lane) -> bool:
        """Only removals wait, and enough came lately to expect more."""
        lately = self._rt.clock() - self._rt.settings.batch_crowd
        return lane.queue.can_wait and len(lane.removals) == MANY and lane.removals[0] > lately

    def _should_begin(self, lane: _Lane) -> bool:
        """More is coming than the account may change at once, and what it may change grows only once it was used."""
        bucket, queue = self._rt.changes, lane.queue
        all_of_it = queue.records + self._coming() * queue.smallest
        enough = queue.records >= self._rt.settings.batch_records / 4
        return enough and all_of_it > bucket.burst and bucket.level() >= bucket.burst

    async def _rest(self, lane: _Lane) -> None:
        pause = lane.free_at - self._rt.clock()
        if pause > 0:
            await self._rt.sleep(pause)

    async def _throughput(self, lane: _Lane) -> float:
        """Wait until the account may change enough records; the answer is how many.

        All that wait, if need be after a pause. But a namespace that wants little does not wait for those that want
        much for longer than a collection takes: then what may be sent is sent, each namespace in turn.
        """
        bucket = self._rt.changes
        shared_since: float | None = None
        while True:
            level, wanted = bucket.level(), min(float(lane.queue.wanted), bucket.burst)
            if level + 1e-9 >= wanted:
                return max(level, wanted)
            now = self._rt.clock()
            pause = (wanted - level) / bucket.rate()
            if lane.queue.delays_somebody_light:
                shared_since = now if shared_since is None else shared_since
                left = shared_since + self._rt.settings.batch_longest - now
                if left <= 0 and level + 1e-9 >= min(lane.queue.smallest, bucket.burst):
                    return level
                pause = min(pause, left if left > 0 else lane.queue.smallest / bucket.rate())
            await lane.signal.wait(pause)

    # ---------------------------------------------------------------- sending

    async def _deliver(self, zone_id: str, lane: _Lane, batch: Batch) -> None:
        """Send a batch; when AWS refuses its content, everything but the culprits goes through in this round."""
        parts = deque([_Part(batch)])
        calls = refusals = 0
        self._rt.metrics.batch(len(batch))
        while parts:
            part = parts.popleft()
            if part.holds_culprit and len(part.batch) > 1:
                parts.extend(_halved(part.batch))
                continue
            if calls:
                await self._rest(lane)
                await self._rt.route53.take(Priority.WRITE, who=zone_id)
                await self._rt.changes.take(Priority.WRITE, cost_of(part.batch), who=zone_id)
            calls += 1
            try:
                info = await self._send(zone_id, lane, part)
            except AwsError as error:
                refusals += 1
                enough = refusals >= _HOPELESS or calls >= _MOST_CALLS
                remaining = self._refused(zone_id, lane, part.batch, error, enough)
                if remaining is None:
                    # Nothing says that the others would fare better: they fail as well, without being sent.
                    fault = replace(classify(error), unknown_outcome=False)
                    for other in parts:
                        self._fail(zone_id, lane, other.batch, fault)
                    return
                parts.extend(remaining)
            else:
                if info is None:
                    continue
                refusals = 0
                lane.denied = False
                self._succeed(zone_id, lane, part.batch, info)
                if part.twin is not None:
                    part.twin.holds_culprit = True

    def _refused(
        self, zone_id: str, lane: _Lane, part: Batch, error: AwsError, enough: bool
    ) -> Sequence[_Part] | None:
        """Settle a failed part; what is left of it to be sent, or None if the failure is not about its content."""
        fault = classify(error)
        if error.code == "InvalidChangeBatch":
            culprits, rest = split(part, error)
            for intent, own in culprits:
                self._fail(zone_id, lane, [intent], own, stale=True)
            if culprits and not enough:
                return [_Part(rest)] if rest else []
            part = rest
        # IAM can allow some names of a zone only, and then denies the whole batch.
        by_name = error.code in ("InvalidChangeBatch", "InvalidInput") or (
            error.code == "AccessDenied" and not lane.denied
        )
        if by_name and not enough and len(part) > 1:
            return _halved(part)
        lane.denied = lane.denied or (error.code == "AccessDenied" and enough)
        stale = fault.unknown_outcome or error.code == "InvalidChangeBatch"
        self._fail(zone_id, lane, part, fault, stale=stale)
        return [] if by_name and not enough else None

    async def _send(self, zone_id: str, lane: _Lane, part: _Part) -> ChangeInfo | None:
        """One batch, sent again as long as AWS certainly refused it for its rate or timing only.

        What is not allowed any more is taken out before each request. None: nothing is left.
        """
        pause = self._rt.backoff()
        give_up = self._rt.clock() + self._rt.settings.batch_patience
        while True:
            part.batch = self._still_allowed(zone_id, lane, part.batch)
            if not part.batch:
                return None
            changes = [change for intent in part.batch for change in intent.changes]
            sent = self._rt.clock()
            try:
                async with self._rt.guard.point(ROUTE53_CHANGE):
                    info = await self._rt.api.change_resource_record_sets(zone_id, changes)
                self._rt.changes.forfeit(self._rt.clock() - sent)
                return info
            except AwsError as error:
                if not is_throttle(error):
                    raise
                if error.code != "PriorRequestNotComplete":
                    self._rt.note_throttle(Service.ROUTE53, self._rt.route53, self._rt.changes)
                if self._rt.clock() >= give_up:
                    raise
            await self._rt.sleep(min(pause.next(), 20.0))
            await self._rt.route53.take(Priority.WRITE, who=zone_id)

    def _still_allowed(self, zone_id: str, lane: _Lane, batch: Batch) -> Batch:
        """The part of a batch that may still be sent (S14); the rest returns, as if it had not been handed over."""
        kept: list[Intent] = []
        for intent in batch:
            if intent.allowed():
                kept.append(intent)
                continue
            lane.in_flight.pop(intent.hostname, None)
            before = intent.previous or WriteState(WritePhase.FAILED, NEVER)
            self._states[zone_id, intent.hostname] = replace(before, returned=True)
            self._wake([intent])
        return kept

    # ---------------------------------------------------------------- outcomes

    def _enter(
        self,
        zone_id: str,
        intents: Iterable[Intent],
        phase: WritePhase,
        fault: Fault | None = None,
        change_id: str = "",
    ) -> None:
        now = self._rt.clock()
        for intent in intents:
            place = (zone_id, intent.hostname)
            known = self._states.get(place)
            attempts = 0 if known is None else known.attempts
            if phase in (WritePhase.FAILED, WritePhase.UNKNOWN):
                attempts += 1
            elif phase is WritePhase.APPLIED:
                attempts = 0
            told = known.fault if known is not None and phase is WritePhase.IN_FLIGHT else fault
            self._states[place] = WriteState(phase, now, told, change_id, attempts)

    def _succeed(self, zone_id: str, lane: _Lane, part: Batch, info: ChangeInfo) -> None:
        done = info.status == "INSYNC"
        lane.free_at = self._rt.clock() + self._rt.settings.batch_gap
        self._enter(zone_id, part, WritePhase.INSYNC if done else WritePhase.APPLIED, change_id=info.id)
        for intent in part:
            lane.in_flight.pop(intent.hostname, None)
            self._records.applied(zone_id, intent.hostname, intent.changes)
        if not done:
            places = [((zone_id, intent.hostname), tuple(intent.keys)) for intent in part]
            self._poller.watch(info.id, places)
        self._wake(part)

    def _fail(self, zone_id: str, lane: _Lane, part: Batch, fault: Fault, *, stale: bool = False) -> None:
        """``stale``: what was read of these names may be wrong and must be read again."""
        phase = WritePhase.UNKNOWN if fault.unknown_outcome else WritePhase.FAILED
        self._enter(zone_id, part, phase, fault)
        for intent in part:
            lane.in_flight.pop(intent.hostname, None)
            if stale:
                created = intent.changes if fault.unknown_outcome else ()
                self._records.doubt(zone_id, intent.hostname, created)
        self._wake(part)

    def _wake(self, intents: Iterable[Intent]) -> None:
        for key in dict.fromkeys(key for intent in intents for key in intent.keys):
            self._rt.wake(key)

    def _polled(self, change_id: str, places: Iterable[tuple[tuple[str, str], tuple[Key, ...]]]) -> None:
        """A change ID's state is known: INSYNC, unknown to Route 53, or not to be learned for now."""
        outcome = self._poller.outcome(change_id)
        now = self._rt.clock()
        woken: dict[Key, None] = {}
        for place, keys in places:
            state = self._states.get(place)
            if state is None or state.change_id != change_id or state.phase is not WritePhase.APPLIED:
                continue
            if outcome.insync:
                self._states[place] = replace(state, phase=WritePhase.INSYNC, at=now, fault=None)
            elif outcome.lost:
                self._states[place] = replace(state, change_id="", at=now, fault=None)
            else:
                self._states[place] = replace(state, fault=outcome.fault)
            woken.update(dict.fromkeys(keys))
        for key in woken:
            self._rt.wake(key)

    def _prune(self, now: float) -> None:
        """Forget writes that were finished long ago; their state is then read from AWS, as after a restart."""
        keep = self._rt.settings.forget_writes
        if now - self._pruned_at < keep / 4:
            return
        self._pruned_at = now
        for place, state in list(self._states.items()):
            waiting = state.phase is WritePhase.APPLIED and bool(state.change_id)
            if not state.busy and not waiting and now - state.at > keep:
                del self._states[place]


def _halved(batch: Batch) -> tuple[_Part, _Part]:
    first, second = map(_Part, halves(batch))
    first.twin = second
    return first, second
