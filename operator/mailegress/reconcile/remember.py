"""Keeping one object's memory up to date with what is seen."""

from __future__ import annotations

from mailegress.api.names import FINALIZER
from mailegress.api.types import MailEgress
from mailegress.reconcile import marks, verify
from mailegress.reconcile.model import WritePhase
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.reconcile.situation import Memory, World
from mailegress.reconcile.step import Step

HOUR = 3600.0

NAMES = 16
"""Former hostnames of one object that are remembered."""

ANSWERS = 12
"""Readings of one question that are remembered, to tell whether answers differ from one to the next."""


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


def observe(memory: Memory, obj: MailEgress, world: World, now: float, settings: ReconcileSettings) -> bool:
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
    for place in world.records.marked(obj.meta.uid):
        view = world.records.get(*place).value
        mark = marks.parse(view.mark.values) if view is not None and view.mark is not None else None
        if mark is not None and mark.uid == obj.meta.uid:
            memory.marks[place] = mark
    _written(memory, world)
    _settled(memory, obj.spec.hostname, world, now)
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


def _written(memory: Memory, world: World) -> None:
    """Which ownership records are this process's own writes: taken by Route 53, and still there."""
    for place in tuple(memory.handed):
        write = world.writer.state(*place)
        if write is not None and write.busy:
            continue
        memory.handed.discard(place)
        if write is not None and write.phase is not WritePhase.FAILED:
            memory.written.setdefault(place, None)
    if None in memory.written.values():
        accounts = {zone.id: zone.account_id or None for zone in world.zones.get().value or ()}
        for place, account in memory.written.items():
            memory.written[place] = account or accounts.get(place[0])
    for place in memory.written.keys() - memory.handed:
        view = world.records.get(*place).value
        mark = marks.parse(view.mark.values) if view is not None and view.mark is not None else None
        if view is not None and (mark is None or mark.uid != memory.uid):
            del memory.written[place]


def pending(memory: Memory, world: World, now: float, stamp: str) -> None:
    """Since when AWS has changes of PTRs PENDING. ``stamp``: ``now`` as RFC 3339."""
    found: dict[str, tuple[float, str]] = {}
    for region, allocation_id in memory.used:
        view = world.book.get(region).value if region in world.book.regions else None
        eip = view.eips.get(allocation_id) if view is not None else None
        if eip is not None and eip.ptr.pending:
            found[allocation_id] = memory.pending.get(allocation_id, (now, stamp))
    memory.pending = found


def _settled(memory: Memory, hostname: str, world: World, now: float) -> None:
    """Since when each EIP shows which name: as AWS reports it, or as DNS does where AWS has no PTR API."""
    report = world.dns.public(hostname).value
    names = {name for _, name in memory.marks}
    memory.in_dns = {place for place in memory.in_dns if place[1] == hostname}
    if report is not None:
        memory.in_dns |= {(ip, hostname) for ip in report.addresses if verify.ptr_seen(report, ip, hostname)}
    seen: dict[tuple[str, str], float] = {}
    for region in world.book.regions:
        view = world.book.get(region).value
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
                and verify.ptr_seen(report, eip.public_ip, hostname)
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


def after(memory: Memory, step: Step, now: float) -> None:
    """Pace the questions that were not answered to satisfaction."""
    asked: dict[str, tuple[int, float]] = {}
    for question, at in step.unsatisfied:
        count, last = memory.asked.get(question, (0, float("-inf")))
        asked[question] = (count + 1, at) if at > last else (count, last)
    memory.asked = asked
    for question, at, said in step.heard:
        past = memory.answers.setdefault(question, [])
        if not past or at > past[-1][0]:
            past.append((at, said))
            del past[:-ANSWERS]
    if step.delegated is not None:
        memory.delegated = step.delegated
    memory.used = step.wanted | {
        (a.region, a.allocation_id) for a in step.addresses if a.region and a.allocation_id
    }
    current = {step.place} if step.place is not None else set()
    memory.places = frozenset(memory.owned | current)
    for allocation_id, times in list(memory.heals.items()):
        memory.heals[allocation_id] = [t for t in times if t > now - HOUR]
