"""What this process remembers of one object, and how it is kept up to date."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailegress.api.names import FINALIZER
from mailegress.api.types import MailEgress
from mailegress.model import ownership
from mailegress.model.dns import Delegated
from mailegress.model.facts import WritePhase
from mailegress.model.ownership import Mark
from mailegress.reconcile import dns_checks
from mailegress.reconcile.ports import Views
from mailegress.reconcile.result import Plan
from mailegress.reconcile.settings import ReconcileSettings

HOUR = 3600.0

NAMES = 16
"""Former hostnames of one object that are remembered."""

ANSWERS = 12
"""Readings of one question that are remembered, to tell whether answers differ from one to the next."""


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


def new_memory(obj: MailEgress, now: float) -> Memory:
    """First sight. Without our finalizer nothing can be owned yet: the finalizer comes before the first write."""
    return Memory(
        uid=obj.meta.uid,
        key=f"{obj.meta.namespace}/{obj.meta.name}",
        first_seen=now,
        complete=FINALIZER not in obj.meta.finalizers,
        progress_at=now,
        edit_at=now,
    )


def observe(memory: Memory, obj: MailEgress, views: Views, now: float, settings: ReconcileSettings) -> bool:
    """Take in the object and what the shared readings say of it. True if it was edited or deleted while watched."""
    edited = memory.generation not in (-1, obj.meta.generation)
    memory.edited = memory.edited or edited
    for name in (obj.status.hostname, obj.spec.hostname):
        if name and name not in memory.names:
            memory.names[name] = None
    for name in list(memory.names)[:-NAMES]:
        del memory.names[name]
    if memory.generation != obj.meta.generation:
        memory.generation, memory.generation_at = obj.meta.generation, now
        memory.shown.clear()
        memory.answers.clear()
        if edited:
            memory.nudges.seen(now, settings.blocked_seconds)
    token = obj.meta.reconcile_requested_at
    if token != memory.requested:
        memory.requested = token
        if token is not None and token != obj.status.last_handled_reconcile_at:
            memory.nudges.seen(now, settings.blocked_seconds)
        else:
            memory.token = token
    if obj.meta.deletion_timestamp is not None and memory.deleting_at == float("-inf"):
        memory.deleting_at = now
        # Nothing edits it any more: it need not wait behind the edits before it.
        memory.nudges.honoured_at = float("-inf")
    if now >= memory.nudges.due(settings.blocked_seconds, settings.resync_seconds):
        _honour(memory, now)
    for place in views.records.marked(obj.meta.uid):
        view = views.records.get(*place).value
        mark = ownership.parse(view.mark.values) if view is not None and view.mark is not None else None
        if mark is not None and mark.uid == obj.meta.uid:
            memory.marks[place] = mark
    _written(memory, views)
    _settled(memory, obj.spec.hostname, views, now)
    return edited


def _honour(memory: Memory, now: float) -> None:
    """Act upon the edit or the request that is pending: readings are made anew, back-offs end."""
    memory.nudges.honour(now)
    if memory.edit_at < memory.generation_at:
        memory.edit_at = now
        memory.kube_until = float("-inf")
        memory.heals.clear()
    if memory.requested != memory.token:
        memory.token, memory.token_at = memory.requested, now
    memory.asked.clear()


def _written(memory: Memory, views: Views) -> None:
    """Which ownership records are this process's own writes: taken by Route 53, and still there."""
    for place in tuple(memory.handed):
        write = views.zone_writes.state(*place)
        if write is not None and write.busy:
            continue
        memory.handed.discard(place)
        if write is not None and write.phase is not WritePhase.FAILED:
            memory.written.setdefault(place, None)
    if None in memory.written.values():
        accounts = {zone.id: zone.account_id or None for zone in views.zones.get().value or ()}
        for place, account in memory.written.items():
            memory.written[place] = account or accounts.get(place[0])
    for place in memory.written.keys() - memory.handed:
        view = views.records.get(*place).value
        mark = ownership.parse(view.mark.values) if view is not None and view.mark is not None else None
        if view is not None and (mark is None or mark.uid != memory.uid):
            del memory.written[place]


def pending(memory: Memory, views: Views, now: float, stamp: str) -> None:
    """Since when AWS has changes of PTRs PENDING. ``stamp``: ``now`` as RFC 3339."""
    found: dict[str, tuple[float, str]] = {}
    for region, allocation_id in memory.used:
        view = views.addresses.get(region).value if region in views.addresses.regions else None
        eip = view.eips.get(allocation_id) if view is not None else None
        if eip is not None and eip.ptr.pending:
            found[allocation_id] = memory.pending.get(allocation_id, (now, stamp))
    memory.pending = found


def _settled(memory: Memory, hostname: str, views: Views, now: float) -> None:
    """Since when each EIP shows which name: as AWS reports it, or as DNS does where AWS has no PTR API."""
    report = views.dns.public(hostname).value
    names = {name for _, name in memory.marks}
    memory.in_dns = {place for place in memory.in_dns if place[1] == hostname}
    if report is not None:
        memory.in_dns |= {
            (ip, hostname) for ip in report.addresses if dns_checks.ptr_seen(report, ip, hostname)
        }
    seen: dict[tuple[str, str], float] = {}
    for region in views.addresses.regions:
        view = views.addresses.get(region).value
        if view is None:
            continue
        for place in (allocation_id for where, allocation_id in memory.used if where == region):
            eip = view.eips.get(place)
            if eip is None:
                continue
            shown = eip.ptr.name
            if (
                not view.ptr_supported
                and report is not None
                and dns_checks.ptr_seen(report, eip.public_ip, hostname)
            ):
                shown = hostname
            if shown is None:
                continue
            if shown in names:
                memory.pointed.add(shown)
            if not eip.ptr.status:
                if eip.ptr.name == hostname:
                    memory.shown.add((place, hostname))
                seen[(place, shown)] = memory.settled.get((place, shown), now)
    memory.settled = seen


def after(memory: Memory, plan: Plan, now: float) -> None:
    """Pace the questions that were not answered to satisfaction."""
    asked: dict[str, tuple[int, float]] = {}
    for question, at in plan.unsatisfied:
        count, last = memory.asked.get(question, (0, float("-inf")))
        asked[question] = (count + 1, at) if at > last else (count, last)
    memory.asked = asked
    for question, at, said in plan.heard:
        past = memory.answers.setdefault(question, [])
        if not past or at > past[-1][0]:
            past.append((at, said))
            del past[:-ANSWERS]
    if plan.delegated is not None:
        memory.delegated = plan.delegated
    memory.used = plan.wanted | {
        (a.region, a.allocation_id) for a in plan.addresses if a.region and a.allocation_id
    }
    current = {plan.place} if plan.place is not None else set()
    memory.places = frozenset(memory.owned | current)
    for allocation_id, times in list(memory.heals.items()):
        memory.heals[allocation_id] = [t for t in times if t > now - HOUR]
