"""Everything a pass may look at, and the draft it writes its decision into."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailegress.api.conditions import READY, TRUE
from mailegress.api.reasons import CHANGE_REJECTED, READY_REASON
from mailegress.api.status import AddressStatus
from mailegress.api.types import MailEgress
from mailegress.reconcile.claims import ClaimIndex, Standing
from mailegress.reconcile.marks import Mark
from mailegress.reconcile.model import Absence, Delegated, ErrorKind, Fact, WritePhase, WriteState
from mailegress.reconcile.ports import AddressBook, Dns, PtrWriter, Records, Zones, ZoneWriter
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.reconcile.step import Action, Need, Notice


@dataclass(frozen=True, slots=True)
class World:
    """The ports; planning only reads from them."""

    book: AddressBook
    ptrs: PtrWriter
    zones: Zones
    records: Records
    writer: ZoneWriter
    dns: Dns
    claims: ClaimIndex


@dataclass(slots=True)
class Nudges:
    """Edits and requests of one object. Each is seen at once; what it may cost is bounded.

    One is honoured (readings are made anew, back-offs end) when none was for ``pause`` seconds; when they keep coming
    without such a pause between them, from the third on only every ``long_pause`` seconds.
    """

    seen_at: float = float("-inf")
    honoured_at: float = float("-inf")
    count: int = 0
    """Honoured since the last pause."""
    pending: bool = False

    def seen(self, now: float, pause: float) -> None:
        """One has come."""
        if now - self.seen_at >= pause:
            self.count = 0
        self.seen_at = now
        self.pending = True

    def due(self, pause: float, long_pause: float) -> float:
        """When the pending one may be honoured; infinity if there is none."""
        if not self.pending:
            return float("inf")
        return self.honoured_at + (pause if self.count < 2 else max(pause, long_pause))

    def honour(self, now: float) -> None:
        self.honoured_at, self.pending = now, False
        self.count += 1


@dataclass(slots=True)
class Memory:
    """What this process remembers of one object. Losing it costs time, never safety."""

    uid: str
    key: str
    first_seen: float
    complete: bool
    """Seen by this process before it could own anything (no finalizer): no sweep is needed to know what it owns."""
    generation: int = -1
    generation_at: float = 0.0
    token: str | None = None
    """The request for a reconcile that was honoured last."""
    token_at: float = float("-inf")
    edit_at: float = float("-inf")
    """When the first version, or the last edit that was honoured, was seen."""
    requested: str | None = None
    """The newest request for a reconcile."""
    nudges: Nudges = field(default_factory=lambda: Nudges())
    deleting_at: float = float("-inf")
    names: dict[str, None] = field(default_factory=dict)
    """The last hostnames that the object has or had, as far as this process saw, oldest first."""
    edited: bool = False
    """The spec was edited since this process first saw the object."""
    marks: dict[tuple[str, str], Mark] = field(default_factory=dict)
    """Our marks as last read, so that a TXT set that somebody deleted is restored as it was."""
    handed: set[tuple[str, str]] = field(default_factory=set)
    """(zone ID, hostname) of ownership records handed to the writer whose outcome was not seen yet."""
    written: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """(zone ID, hostname) of ownership records that this process wrote and that are still there -> account of the zone
    as last listed."""
    settled: dict[tuple[str, str], float] = field(default_factory=dict)
    """(allocation ID, hostname) -> since when AWS reports that PTR, for as long as it does."""
    pointed: set[str] = field(default_factory=set)
    """Hostnames that a PTR of ours showed while this process watched."""
    shown: set[tuple[str, str]] = field(default_factory=set)
    """(allocation ID, hostname) seen as a settled PTR since the spec was last edited: losing it is somebody's act."""
    pending: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Allocation ID -> since when AWS has a change of its PTR PENDING: loop time, and RFC 3339."""
    heals: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """Question -> (when the reading began, what it said; empty: as wanted) of the last readings since the edit."""
    in_dns: set[tuple[str, str]] = field(default_factory=set)
    """(address, hostname) that public resolvers showed as the PTR."""
    asked: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Question -> (readings in a row that did not satisfy, when the last of them began): paces the next one."""
    progress: str = ""
    progress_at: float = 0.0
    ready_generation: int = -1
    hopeless_generation: int = -1
    """Nothing moved for this generation in the time after which it is Stalled, and no other object was in its way."""
    kube_failures: int = 0
    """Refusals by the API server since a status was last stored, however many passes came between them."""
    kube_until: float = float("-inf")
    """Nothing is written there before this moment, unless the object is edited."""
    conflicts: int = 0
    """Writes in a row that met a newer version of the object."""
    said: object = None
    """The status as the API server returned it to our last write."""
    quarrels: int = 0
    """How often, lately, somebody else had written another one since."""
    quarrel_at: float = float("-inf")
    unsaid_since: float | None = None
    """Since when the status differs from the stored one without being worth a write."""
    owned: frozenset[tuple[str, str]] = frozenset()
    used: frozenset[tuple[str, str]] = frozenset()
    """(region, allocation ID) of the EIPs that the last pass dealt with."""
    places: frozenset[tuple[str, str]] = frozenset()
    """(zone ID, hostname) that the last pass dealt with."""
    delegated: Delegated | None = None
    """To which hosted zone the parent was last read to delegate, and since when."""

    @property
    def watched(self) -> frozenset[str]:
        """Their allocation IDs alone."""
        return frozenset(allocation_id for _, allocation_id in self.used)


@dataclass(frozen=True, slots=True)
class Trend:
    """What several readings of one question say together."""

    run: int
    """How many in a row said the same, the newest included."""
    consistent: bool
    """Enough of them said the same to believe it."""
    varies: bool
    """Answers differ between readings: right ones were followed by wrong ones more than once, or they changed
    again and again."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One object in its world, now (loop time)."""

    now: float
    obj: MailEgress
    memory: Memory
    world: World
    settings: ReconcileSettings
    absences: Mapping[tuple[str, str], Absence] = field(default_factory=dict)
    """By region and allocation ID, for recorded EIPs that the newest sweep does not show."""

    @property
    def edit_floor(self) -> float:
        """Readings of its own older than this are not used to serve a new generation or a requested reconcile."""
        return max(self.memory.edit_at - self.settings.reuse_seconds, self.memory.token_at)

    @property
    def request_floor(self) -> float:
        """The same for readings that are shared with all objects: one request does not renew what is still new."""
        return self.memory.token_at - self.settings.blocked_seconds

    @property
    def shared_floor(self) -> float:
        return max(self.memory.edit_at - self.settings.reuse_seconds, self.request_floor)

    @property
    def nudge_due(self) -> float:
        """When an edit or request that came too early is honoured; infinity if none did."""
        return self.memory.nudges.due(self.settings.blocked_seconds, self.settings.resync_seconds)

    def spread(self, interval: float) -> float:
        """This object's share of an interval (0 to ``interval`` seconds): a restart asks nothing all at once."""
        return interval * (zlib.crc32(self.obj.meta.uid.encode()) % 1024) / 1024

    @property
    def absence_floor(self) -> float:
        """A reading that began before the edit does not prove that what it names is missing."""
        return max(self.memory.generation_at, self.request_floor)

    @property
    def converged(self) -> bool:
        """This generation was verified: by this process, or so says a status that fits."""
        return self.memory.ready_generation == self.obj.meta.generation or self.fits()

    def recorded(self) -> tuple[AddressStatus, ...]:
        """EIPs that an earlier pass wrote down; hints, never a reason to delete anything by themselves."""
        return tuple(a for a in self.obj.status.addresses if a.allocation_id and a.region and a.public_ip)

    def recorded_for(self, allocation_id: str) -> AddressStatus | None:
        return next((a for a in self.recorded() if a.allocation_id == allocation_id), None)

    def owned(self) -> tuple[tuple[str, str], ...]:
        """(zone ID, hostname) where our mark stands, in zones that still exist, in a fixed order."""
        zones = self.world.zones.get().value or ()
        ids = {z.id for z in zones}
        return tuple(sorted(p for p in self.world.records.marked(self.obj.meta.uid) if p[0] in ids))

    def stands(self, kind: str) -> bool:
        """Is this condition True for what the object asks for now?"""
        found = self.obj.status.condition(kind)
        return (
            found is not None
            and found.status == TRUE
            and found.observed_generation == self.obj.meta.generation
            and self.obj.status.hostname == self.obj.spec.hostname
        )

    def trend(
        self, question: str, at: float, said: str, floor: float, *, wary: bool = True, least: int = 1
    ) -> Trend:
        """What the readings since ``floor`` say together; this one said ``said`` (empty: as wanted).

        ``wary``: the first right answer after wrong ones may be chance; otherwise it is what was waited for.
        ``least``: how many right answers in a row are believed if none was wrong.
        """
        past = [text for when, text in self.memory.answers.get(question, ()) if floor <= when < at]
        past.append(said)
        run = next((n for n, text in enumerate(reversed(past)) if text != said), len(past))
        turns = sum(not a and bool(b) for a, b in itertools.pairwise(past))
        changes = sum(a != b for a, b in itertools.pairwise(past))
        alternates = turns >= 2 or changes >= 4
        doubtful = turns > 0 or (wary and any(past))
        confirmations = self.settings.confirmations
        enough = 2 * confirmations if alternates else confirmations if doubtful else least
        # The same wrong answer several times in a row is that answer, whatever was said before.
        return Trend(run, run >= enough, alternates and (run < confirmations or not said))

    def streak(self, question: str, at: float) -> int:
        """How many readings in a row, this one included, did not satisfy."""
        count, last = self.memory.asked.get(question, (0, float("-inf")))
        return count + 1 if at > last else count

    def doubted(self, region: str, allocation_id: str) -> float | None:
        """Since when a PTR write is without an answer and the PTR was not read again; None if it was."""
        write = self.world.ptrs.state(region, allocation_id)
        if write is None or write.phase is not WritePhase.UNKNOWN:
            return None
        return None if self.world.book.ptr(region, allocation_id).fresh(write.at) else write.at

    def ptr_under_way(self, region: str, allocation_id: str) -> bool:
        """Is a PTR write waiting, sent, or without a known outcome? What EC2 showed last proves nothing then."""
        write = self.world.ptrs.state(region, allocation_id)
        return (write is not None and write.busy) or self.doubted(region, allocation_id) is not None

    def rest(self, since: float, pause: float) -> float:
        """Seconds left of a pause that began then. An edit, or a look that somebody asked for later, ends it, but not
        more often than such are honoured.
        """
        if max(self.memory.edit_at, self.memory.token_at) > since:
            return 0.0
        return max(since + pause - self.now, 0.0)

    def rest_of(self, write: WriteState | None, pause: float | None = None) -> float:
        """Seconds for which a refused write is not tried again, by default those of its back-off.

        What Route 53 says of a change's content does not become untrue within seconds.
        """
        if write is None or write.phase is not WritePhase.FAILED or write.fault is None:
            return 0.0
        if pause is None:
            refused = (
                write.fault.reason == CHANGE_REJECTED.name and write.fault.kind is not ErrorKind.TRANSIENT
            )
            pause = self.settings.backoff(write.attempts, self.settings.blocked_seconds if refused else None)
        return self.rest(write.at, pause)

    def own_names(self) -> frozenset[str]:
        return frozenset(name for _, name in self.owned())

    def fits(self) -> bool:
        """Does the stored status say that nothing is owed beyond what the spec names?

        The deletion itself raises the generation by one.
        """
        status, meta = self.obj.status, self.obj.meta
        ready = status.condition(READY)
        slack = 1 if meta.deletion_timestamp else 0
        return (
            ready is not None
            and ready.status == TRUE
            and ready.reason == READY_REASON.name
            and meta.generation - slack <= status.observed_generation <= meta.generation
            and ready.observed_generation == status.observed_generation
            and status.hostname == self.obj.spec.hostname
        )


class Draft:
    """A decision in the making. The first action wins: callers propose in order of precedence."""

    def __init__(self) -> None:
        self.needs: dict[Need, None] = {}
        self.action: Action | None = None
        self.taken_back: list[tuple[str, str]] = []
        """(region, allocation ID) whose PTR write, should it still wait to be sent, is not wanted any more."""
        self.notices: list[Notice] = []
        self.wait = float("inf")
        self.blocked_on: set[str] = set()
        self.standing: Standing | None = None
        self.unsatisfied: dict[str, float] = {}
        """Question -> when the reading that did not satisfy began."""
        self.heard: dict[str, tuple[float, str]] = {}
        """Question -> (when the reading began, what it said; empty: as wanted)."""

    def need(self, need: Need) -> None:
        self.needs.setdefault(need)

    def have(self, fact: Fact[Any], not_before: float, need: Need) -> bool:
        """True if the reading is new enough; else it is asked for."""
        if fact.fresh(not_before):
            return True
        self.need(need)
        return False

    def prove_absent(self, situation: Situation, fact: Fact[Any], need: Callable[[float], Need]) -> bool:
        """True if what the reading does not show is missing; else a newer one is asked for, at the latest when the edit
        that names it is honoured.
        """
        if fact.fresh(situation.absence_floor):
            return True
        if situation.nudge_due > situation.now and situation.memory.nudges.pending:
            self.later(situation.nudge_due - situation.now)
        else:
            self.need(need(situation.absence_floor))
        return False

    def look_again(
        self, situation: Situation, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> None:
        """Somebody else must change what was read: look at it again, at once after an edit, else after
        ``blocked_seconds``, ever more slowly up to the resync."""
        if not fact.fresh(situation.absence_floor) and fact.fault is None:
            self.need(need(situation.absence_floor))
        self.list_again(situation, question, fact, need)

    def list_again(
        self, situation: Situation, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> None:
        """The same for a list that all objects share. When it is due counts from the last reading, whoever asked for
        that: any number of objects cost as many readings as the one that waits for the shortest time."""
        settings = situation.settings
        self._again(situation, question, fact, need, settings.blocked_seconds, settings.resync_seconds)

    def ask_again(
        self, situation: Situation, question: str, fact: Fact[Any], need: Callable[[float], Need]
    ) -> int:
        """A reading did not satisfy: ask again, ever more slowly. The readings in a row so far come back."""
        settings = situation.settings
        return self._again(situation, question, fact, need, settings.poll_seconds, settings.poll_max_seconds)

    def _again(
        self,
        situation: Situation,
        question: str,
        fact: Fact[Any],
        need: Callable[[float], Need],
        first: float,
        most: float,
    ) -> int:
        asked_at = max(fact.at, fact.tried_at)
        self.unsatisfied[question] = asked_at
        streak = situation.streak(question, asked_at)
        due = asked_at + min(first * 2.0 ** min(max(streak - 1, 0), 30), most)
        if situation.now >= due:
            self.need(need(due))
        else:
            self.later(due - situation.now)
        return streak

    def act(self, action: Action) -> None:
        if self.action is None:
            self.action = action

    def later(self, seconds: float) -> None:
        self.wait = min(self.wait, max(seconds, 0.0))
