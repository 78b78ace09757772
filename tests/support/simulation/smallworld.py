"""A world small enough to be walked through whole: the real planner, and everything else as plain values.

Two objects, two hostnames, two EIPs, two authoritative servers. A step is a user's action (create, edit, delete), one
pass of the operator over one object, a server that follows a change, a PTR that settles, a restart with everything in
memory lost, or a long time passing. Readings are fresh in each pass; what they show may still lag behind the writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mailegress.api.conditions import READY, TRUE
from mailegress.api.names import FINALIZER
from mailegress.api.types import MailEgress
from mailegress.model import ownership
from mailegress.model.aws import Eip, NameView, Ptr, RecordSet, Verb
from mailegress.model.dns import ServerAnswer
from mailegress.model.facts import WritePhase, WriteState
from mailegress.model.ownership import Mark
from mailegress.reconcile.result import AddFinalizer, ChangeRecords, Plan, RemoveFinalizer, ResetPtr, SetPtr
from mailegress.reconcile.rules.record_changes import mark_set
from tests.support.planner import OWNER, REGION, ZONE, FakeDns, PlannerHarness, obj
from tests.support.simulation.smallpromises import (
    check_change,
    check_release,
    check_reset,
    check_rest,
    check_set,
    check_state,
    check_status,
    place_of,
)
from tests.support.simulation.smallstate import (
    CREATED,
    HOSTS,
    NOW,
    NUMBERS,
    SERVERS,
    SPECS,
    UIDS,
    Broken,
    Name,
    Reverse,
    Spec,
    State,
    aged,
    keep,
    recall,
)

# ---------------------------------------------------------------- a state as a planner's harness


class _Dns(FakeDns):
    """Each server answers for itself; resolvers see what the first server says."""

    def __init__(self, harness: PlannerHarness, names: Mapping[str, Name]) -> None:
        super().__init__(harness.book)
        self._served = names

    def _answer(self, server: str, hostname: str) -> ServerAnswer:
        index = SERVERS.index(server) if server in SERVERS else 0
        self.answers = {h: n.served[index] for h, n in self._served.items()}
        return super()._answer(server, hostname)


def _eip(state: State, index: int) -> Eip:
    number, ptr = NUMBERS[index], state.ptrs[index]
    shown = Ptr(ptr.name, ptr.update, "PENDING" if ptr.pending else "")
    return Eip(f"eipalloc-{number:08x}", f"203.0.113.{number}", "111122223333", REGION, shown)


def desk_of(state: State) -> PlannerHarness:
    harness = PlannerHarness(now=NOW)
    for index in range(len(NUMBERS)):
        eip = _eip(state, index)
        harness.book.eips[eip.allocation_id] = eip
    for hostname, name in zip(HOSTS, state.names, strict=True):
        records = (RecordSet(hostname, "A", 300, tuple(sorted(name.values))),) if name.values else ()
        mark = mark_set(hostname, Mark(name.adopted, OWNER, name.mark)) if name.mark else None
        if records or mark:
            harness.records.views[ZONE.id, hostname] = NameView(hostname, records, mark)
        if name.pending:
            lagging = any(served != name.values for served in name.served)
            phase = WritePhase.APPLIED if lagging else WritePhase.INSYNC
            harness.writer.states[ZONE.id, hostname] = WriteState(
                phase, -1.0, change_id="C1" if lagging else ""
            )
    harness.dns = _Dns(harness, dict(zip(HOSTS, state.names, strict=True)))
    for obj_, kept in zip(state.objects, state.memories, strict=True):
        if obj_ is not None:
            harness.take(obj_)
            if kept is not None:
                harness.memories[obj_.meta.uid] = recall(kept)
    for uid, on in state.blocked:
        harness.claims.set_blocked(uid, on)
    return harness


# ---------------------------------------------------------------- steps


def steps(state: State) -> Iterator[tuple[str, State]]:
    """Everything that may happen next. Raises :class:`Broken`."""
    yield from _users(state)
    for index in (0, 1):
        yield f"pass {index}", operate(state, index)
    yield from surroundings(state)
    if state.crashes:
        yield "crash", crashed(state)


def crashed(state: State) -> State:
    names = tuple(replace(n, pending=False) for n in state.names)
    return replace(state, memories=(None, None), names=names, blocked=(), crashes=state.crashes - 1)


def surroundings(state: State) -> Iterator[tuple[str, State]]:
    """What AWS and DNS do by themselves, and time passing."""
    for index, name in enumerate(state.names):
        for server, served in enumerate(name.served):
            if served != name.values:
                follows = (*name.served[:server], name.values, *name.served[server + 1 :])
                yield (
                    f"server {server} follows {index}",
                    _with_name(state, index, replace(name, served=follows)),
                )
    for index, ptr in enumerate(state.ptrs):
        if ptr.pending:
            held = ptr.cached | {ptr.update} if ptr.update is not None else frozenset()
            settled = replace(ptr, name=ptr.update, pending=False, update=None, cached=held)
            yield f"ptr {index} settles", _with_ptr(state, index, settled)
    later = replace(
        state,
        memories=tuple(map(aged, state.memories)),
        ptrs=tuple(replace(p, cached=frozenset((p.name,)) if p.name else frozenset()) for p in state.ptrs),
    )
    if later != state:
        yield "a long time", later


def _users(state: State) -> Iterator[tuple[str, State]]:
    if not state.actions:
        return
    left = replace(state, actions=state.actions - 1)
    for index, found in enumerate(state.objects):
        if index in state.unborn:
            for spec in SPECS:
                yield f"create {index} {spec}", created(left, index, spec)
        elif found is not None and found.meta.deletion_timestamp is None:
            for spec in SPECS:
                wanted = _made(index, spec).spec
                if wanted != found.spec:
                    meta = replace(found.meta, generation=found.meta.generation + 1)
                    yield (
                        f"edit {index} {spec}",
                        _with_object(left, index, replace(found, spec=wanted, meta=meta)),
                    )
            if FINALIZER in found.meta.finalizers:
                meta = replace(
                    found.meta,
                    generation=found.meta.generation + 1,
                    deletion_timestamp="2026-01-03T00:00:00Z",
                )
                yield f"delete {index}", _with_object(left, index, replace(found, meta=meta))
            else:
                yield f"delete {index}", _gone(left, index)


def created(state: State, index: int, spec: Spec) -> State:
    """The state with an object more."""
    return replace(_with_object(state, index, _made(index, spec)), unborn=state.unborn - {index})


def _made(index: int, spec: Spec) -> MailEgress:
    hostname, chosen = spec
    eips = [_eip(State(), number) for number in chosen]
    return obj(HOSTS[hostname], eips, uid=UIDS[index], created=CREATED[index], finalizer=False)


def operate(state: State, index: int) -> State:
    """One pass over one object: its status is written, then its one action takes effect."""
    found = state.objects[index]
    if found is None:
        return state
    harness = desk_of(state)
    plan = harness.plan(found)
    memory = harness.memories[found.meta.uid]
    memory.ownership.owned = harness.observed(found).owned()
    if isinstance(plan.action, RemoveFinalizer):
        check_release(state, found)
        return _gone(state, index)
    if plan.blocked_on is not None:
        harness.claims.set_blocked(found.meta.uid, plan.blocked_on)
    told = _wordless(harness.written(found, plan))
    check_status(state, told)
    if (ready := told.status.condition(READY)) is not None and ready.status == TRUE:
        memory.progress.ready_generation = told.meta.generation
    blocked = tuple(
        sorted(
            (o.meta.uid, on)
            for o in state.objects
            if o and (on := harness.claims._blocked.get(o.meta.uid)) is not None
        )
    )
    after = replace(_with_object(state, index, told), blocked=blocked)
    after = _acted(after, index, told, plan, harness)
    # (Creating or resetting may have changed what the memory holds of marks.)
    kept = list(after.memories)
    kept[index] = keep(memory)
    return replace(after, memories=tuple(kept))


def _wordless(told: MailEgress) -> MailEgress:
    """Messages are for people: states that differ in nothing else are one."""
    conditions = tuple(replace(c, message="") for c in told.status.conditions)
    return replace(told, status=replace(told.status, conditions=conditions))


def _acted(state: State, index: int, told: MailEgress, plan: Plan, harness: PlannerHarness) -> State:
    match plan.action:
        case None:
            return state
        case AddFinalizer():
            meta = replace(told.meta, finalizers=(*told.meta.finalizers, FINALIZER))
            return _with_object(state, index, replace(told, meta=meta))
        case ChangeRecords(zone_id, hostname, changes, _):
            check_change(state, told, hostname, plan.action)
            kinds = {(c.verb, c.record_set.type) for c in changes}
            if (Verb.DELETE, "TXT") in kinds and (Verb.CREATE, "TXT") not in kinds:
                harness.memories[told.meta.uid].ownership.origins.pop((zone_id, hostname), None)
            harness.records.apply(zone_id, hostname, changes)
            view = harness.records.views[zone_id, hostname]
            mark = ownership.parse(view.mark.values) if view.mark is not None else None
            place = HOSTS.index(hostname)
            return _with_name(
                state,
                place,
                replace(
                    state.names[place],
                    values=frozenset(v for r in view.of_type("A") for v in r.values),
                    mark=mark.uid if mark is not None else "",
                    adopted=mark is not None and mark.adopted,
                    pending=True,
                ),
            )
        case SetPtr(_, allocation_id, _, hostname, _):
            place = place_of(allocation_id)
            check_set(state, told, place, hostname)
            ptr = state.ptrs[place]
            return _with_ptr(state, place, replace(ptr, pending=True, update=hostname, setter=told.meta.uid))
        case ResetPtr(_, allocation_id, _, _):
            place = place_of(allocation_id)
            check_reset(state, told, place)
            ptr = state.ptrs[place]
            # A name that is being given up is promised to nobody any more.
            return _with_ptr(state, place, replace(ptr, pending=True, update=None, cached=frozenset()))
        case other:
            raise Broken(f"an unknown action {other}")


def _with_name(state: State, index: int, name: Name) -> State:
    # The servers are alike: which of them is late makes no other state.
    name = replace(name, served=tuple(sorted(name.served, key=sorted)))
    if name.pending and all(served == name.values for served in name.served):
        name = replace(name, pending=False)
    names = list(state.names)
    names[index] = name
    return replace(state, names=tuple(names))


def _with_ptr(state: State, index: int, ptr: Reverse) -> State:
    ptrs = list(state.ptrs)
    ptrs[index] = ptr
    return replace(state, ptrs=tuple(ptrs))


def _with_object(state: State, index: int, found: MailEgress) -> State:
    objects = list(state.objects)
    objects[index] = found
    return replace(state, objects=tuple(objects))


def _gone(state: State, index: int) -> State:
    found = state.objects[index]
    assert found is not None
    objects, memories = list(state.objects), list(state.memories)
    objects[index] = memories[index] = None
    blocked = tuple((uid, on) for uid, on in state.blocked if uid != found.meta.uid)
    return replace(
        state,
        objects=tuple(objects),
        memories=tuple(memories),
        blocked=blocked,
        unborn=state.unborn - {index},
    )


# ---------------------------------------------------------------- the walk


@dataclass
class Walk:
    """Breadth-first through everything that can happen from some states on."""

    known: dict[State, tuple[State, str] | None] = field(default_factory=dict)
    """Each state and how it was reached first."""
    transitions: int = 0
    resting: dict[State, State] = field(default_factory=dict)
    """Where each state comes to rest if the user does nothing more."""

    def run(self, starts: Iterable[State]) -> None:
        """Every reachable state satisfies S; from each, the operator alone comes to rest, where E holds."""
        todo = deque(starts)
        self.known.update(dict.fromkeys(todo))
        while todo:
            state = todo.popleft()
            try:
                for label, after in steps(state):
                    self.transitions += 1
                    if after not in self.known:
                        self.known[after] = (state, label)
                        check_state(after)
                        todo.append(after)
                check_rest(self.rest(state))
            except Broken as broken:
                raise Broken(f"{broken}, after {self.way(state)}") from None

    def way(self, state: State) -> list[str]:
        """The shortest way to a state."""
        labels: list[str] = []
        while (reached := self.known[state]) is not None:
            state, label = reached
            labels.append(label)
        return labels[::-1]

    def rest(self, state: State, most: int = 80) -> State:
        """Left alone: where the operator and its surroundings come to a stand. Raises :class:`Broken` if nowhere."""
        passed = []
        for _ in range(most):
            if (end := self.resting.get(state)) is None:
                after = _round(state)
                passed.append(state)
                if after != state:
                    state = after
                    continue
                end = state
            self.resting.update(dict.fromkeys(passed, end))
            return end
        raise Broken(f"E1: no rest after {most} rounds")


def _round(state: State) -> State:
    """One pass over each object, then everything that is on its way arrives, and time passes."""
    for index in (0, 1):
        state = operate(state, index)
        check_state(state)
    while (following := next(surroundings(state), None)) is not None:
        label, state = following
        check_state(state)
        if label == "a long time":
            break
    return state


def rested(*specs: Spec) -> State:
    """Objects of these specs, created one after the other, each at rest before the next."""
    state, walk = State(), Walk()
    for index, spec in enumerate(specs):
        state = walk.rest(replace(created(state, index, spec), actions=0))
    return state
