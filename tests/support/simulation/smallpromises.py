"""What must hold in the small world: in every state, at every write, and once it is at rest."""

from __future__ import annotations

from mailegress.api.conditions import READY, TRUE
from mailegress.api.names import FINALIZER
from mailegress.api.types import MailEgress
from mailegress.model.aws import Verb
from mailegress.reconcile.result import ChangeRecords
from tests.support.simulation.smallstate import HOSTS, NUMBERS, Broken, State

# ---------------------------------------------------------------- S


def place_of(allocation_id: str) -> int:
    return NUMBERS.index(int(allocation_id.removeprefix("eipalloc-"), 16))


def address_of(index: int) -> str:
    return f"203.0.113.{NUMBERS[index]}"


def check_finalizer(told: MailEgress, what: str) -> None:
    if FINALIZER not in told.meta.finalizers:
        raise Broken(f"S8: {what} without the finalizer")


def check_set(state: State, told: MailEgress, place: int, hostname: str) -> None:
    name = state.names[HOSTS.index(hostname)]
    check_finalizer(told, f"PTR {hostname}")
    if told.spec.hostname != hostname or told.meta.deletion_timestamp is not None:
        raise Broken(f"S9: PTR {hostname} for an object that wants {told.spec.hostname}")
    if name.mark != told.meta.uid:
        raise Broken(f"S9: PTR {hostname} set by one that does not hold the name")
    if any(served != name.values for served in name.served) or address_of(place) not in name.values:
        raise Broken(
            f"S1: PTR {hostname} of {address_of(place)}, servers say {name.served}, written {name.values}"
        )
    ptr = state.ptrs[place]
    holder = state.names[HOSTS.index(ptr.name)].mark if ptr.name is not None else ""
    other = next((o for o in state.objects if o is not None and o.meta.uid == holder), None)
    if other is not None and holder != told.meta.uid:
        raise Broken(f"S9: PTR {ptr.name} of {address_of(place)} is taken from the object that holds it")


def check_reset(state: State, told: MailEgress, place: int) -> None:
    ptr = state.ptrs[place]
    check_finalizer(told, f"reset of {address_of(place)}")
    if ptr.setter != told.meta.uid:
        raise Broken(f"S2: the PTR {ptr.name} of {address_of(place)} is reset by one that did not set it")
    live = told.meta.deletion_timestamp is None
    if live and ptr.name == told.spec.hostname and f"eipalloc-{NUMBERS[place]:08x}" in _wanted(told):
        raise Broken(f"S3: the PTR {ptr.name} of {address_of(place)} is reset although it is right")


def check_change(state: State, told: MailEgress, hostname: str, action: ChangeRecords) -> None:
    name = state.names[HOSTS.index(hostname)]
    check_finalizer(told, f"change of {hostname}")
    deleted: set[str] = set()
    created: set[str] = set()
    for change in action.changes:
        (deleted if change.verb is Verb.DELETE else created).update(change.record_set.values)
        if change.verb is Verb.DELETE and name.mark != told.meta.uid:
            orphan = all(o is None or o.meta.uid != name.mark for o in state.objects)
            if not (orphan and change.record_set.type == "TXT"):
                raise Broken(f"S2: {hostname} of {name.mark} is changed by {told.meta.uid}")
    for place, ptr in enumerate(state.ptrs):
        shown = {n for n in (ptr.name, ptr.update if ptr.pending else None) if n is not None}
        if address_of(place) in deleted - created and hostname in shown and ptr.setter == told.meta.uid:
            raise Broken(f"S4/S5: {address_of(place)} leaves {hostname} while its PTR is {ptr.name}")


def check_release(state: State, found: MailEgress) -> None:
    for hostname, name in zip(HOSTS, state.names, strict=True):
        if name.mark == found.meta.uid:
            raise Broken(f"S8: the finalizer goes while the mark stands at {hostname}")
    for place, ptr in enumerate(state.ptrs):
        if ptr.setter == found.meta.uid and (ptr.name or ptr.update):
            raise Broken(
                f"S5/S8: the finalizer goes while {address_of(place)} has the PTR {ptr.name or ptr.update}"
            )


def check_status(state: State, told: MailEgress) -> None:
    if told.status.observed_generation != told.meta.generation:
        raise Broken(f"S6: observedGeneration {told.status.observed_generation} at {told.meta.generation}")
    if not is_ready(told):
        return
    name = state.names[HOSTS.index(told.spec.hostname)]
    if name.mark != told.meta.uid or any(served != name.values for served in name.served):
        raise Broken(f"S7: Ready, but {told.spec.hostname} is {name}")
    for allocation_id in _wanted(told):
        ptr = state.ptrs[place_of(allocation_id)]
        if (
            ptr.pending
            or ptr.name != told.spec.hostname
            or address_of(place_of(allocation_id)) not in name.values
        ):
            raise Broken(f"S7: Ready, but {allocation_id} has {ptr}")


def _wanted(found: MailEgress) -> list[str]:
    return [s.value for s in found.spec.elastic_ips]


def is_ready(found: MailEgress) -> bool:
    """Ready=True of the present generation."""
    ready = found.status.condition(READY)
    return ready is not None and ready.status == TRUE and ready.observed_generation == found.meta.generation


def check_state(state: State) -> None:
    """S3 and S9, which must hold in every state."""
    for place, ptr in enumerate(state.ptrs):
        owner = next((o for o in state.objects if o is not None and o.meta.uid == ptr.setter), None)
        if owner is None or owner.meta.deletion_timestamp is not None or (ptr.pending and ptr.update is None):
            continue
        for hostname in ptr.cached | ({ptr.name} if ptr.name else set()):
            for served in state.names[HOSTS.index(hostname)].served:
                if address_of(place) not in served:
                    raise Broken(
                        f"S3: receivers may see {hostname} for {address_of(place)}, a server answers {set(served)}"
                    )
    first, second = state.objects
    if first is None or second is None or not (is_ready(first) and is_ready(second)):
        return
    if first.spec.hostname == second.spec.hostname or set(_wanted(first)) & set(_wanted(second)):
        raise Broken("S9: both objects are Ready for the same thing")


# ---------------------------------------------------------------- E


def check_rest(state: State) -> None:
    """E1, E4: nothing is owed, each thing has the one holder it should have, and the loser knows why."""
    live = {o.meta.uid: o for o in state.objects if o is not None}
    for found in live.values():
        if found.meta.deletion_timestamp is not None:
            raise Broken(f"E5: {found.meta.uid} is never gone")
    for hostname, name in zip(HOSTS, state.names, strict=True):
        if (name.values or name.mark) and not _kept(live.get(name.mark), hostname):
            raise Broken(f"E1: {hostname} is left with {name}")
    for place, ptr in enumerate(state.ptrs):
        if ptr.name is not None and not _kept(live.get(ptr.setter), ptr.name):
            raise Broken(f"E1: {address_of(place)} is left with {ptr}")
    cycle = [o for o in live.values() if reason(o) == "ClaimCycle"]
    for found in live.values():
        others = [o for o in live.values() if o is not found]
        contested = any(
            o.spec.hostname == found.spec.hostname or set(_wanted(o)) & set(_wanted(found)) for o in others
        )
        if not is_ready(found) and not contested and not cycle:
            raise Broken(f"E1: {found.meta.uid} stays {reason(found)} although nobody wants what it wants")
    if live and not cycle and not any(is_ready(o) for o in live.values()):
        raise Broken(f"E4: nobody wins: {[reason(o) for o in live.values()]}")


def _kept(holder: MailEgress | None, hostname: str) -> bool:
    """Wanted, or kept by one that cannot have yet what it wants instead (make before break)."""
    return holder is not None and (holder.spec.hostname == hostname or not is_ready(holder))


def reason(found: MailEgress) -> str:
    ready = found.status.condition(READY)
    return ready.reason if ready is not None else ""
