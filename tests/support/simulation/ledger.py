"""What the checks remember of what happened, and the questions that several of them ask."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mailegress.api.names import FINALIZER
from mailegress.model.ownership import Mark
from sandbox.aws.model.eip import Eip
from tests.support.simulation.apiserver import ApiServer
from tests.support.simulation.apiwire import Object
from tests.support.simulation.facts import RECEIVING, Batch, bare, has_tags, mark_of, ready_of
from tests.support.simulation.world import REGION, World

GATE = 60.0
"""Age at which the authorities' agreement no longer opens the gate to a PTR write."""
RE_LOOK = 700.0
"""Age of readings from which a status that somebody threw away may be written anew."""
RETAGGED = 2400.0
"""Seconds in which the operator knows of a tag that moved: the next list, and a quarter of an hour for a fault."""
OUTSIDE_GRACE = 1800.0
"""How long after an outsider's act a broken promise may be the outsider's."""
FORMER_GRACE = 4500.0 + OUTSIDE_GRACE
"""The same for the record of a former hostname, which only the list of the zone shows."""


class Caller(Protocol):
    """An operator process."""

    started: float


@dataclass
class Ledger:
    world: World
    api: ApiServer
    note: Callable[..., None]
    violations: list[str] = field(default_factory=list)
    applied: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What took effect: (CREATE or DELETE, type, name), (set, address, name), (reset, address), and (endpoint, name,
    what it asks for)."""
    reads: int = 0
    """Requests to AWS that write nothing."""
    _sent: int = 0
    _status_writes: int = 0
    _finalizer_writes: int = 0
    _endpoint_writes: int = 0
    _rate: dict[str, deque[float]] = field(default_factory=dict)
    _reconciles: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Process -> the second of the last reconcile, and how many there were in it."""
    _unknown: dict[tuple[str, str], tuple[float, Caller | None]] = field(default_factory=dict)
    """Write target -> when its caller was left without an answer, and which process that was."""
    _sent_at: dict[int, float] = field(default_factory=dict)
    """When each call that is under way was sent, by its identity."""
    _set: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Address -> (name, UID) of a PTR that the operator set and nobody replaced."""
    _setters: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(address, name) -> UIDs of the objects for which the operator set this PTR."""
    _held_without: dict[tuple[str, str], str] = field(default_factory=dict)
    """(address, name) of a PTR that an outsider set -> UID of the object that held the name, without the address."""
    _adopted: set[tuple[str, str]] = field(default_factory=set)
    """(address, UID) of PTRs that showed the object's hostname when its status called them adopted."""
    _untold: set[tuple[str, str]] = field(default_factory=set)
    """(UID, name) of a PTR without a mark, whose object had no status when an operator first listed it."""
    _claimed: set[str] = field(default_factory=set)
    """Hostnames that any change batch was about."""
    _giving: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The same of a PTR that was last being reset: a second operator may ask for that once more."""
    _strange: dict[str, set[str]] = field(default_factory=dict)
    """PTR names that outsiders set, by address."""
    _shown: dict[str, dict[str, float]] = field(default_factory=dict)
    """Address -> name -> when its PTR was last seen to be that."""
    _joined: set[str] = field(default_factory=set)
    _hopeless: dict[tuple[str, int], float] = field(default_factory=dict)
    """UID and generation of objects that were Stalled, and not for another object's sake -> from when on they hold
    nothing by their age."""
    alone: Callable[[], bool] = lambda: True
    """Whether at most one operator runs."""
    caller: Callable[[], Caller | None] = lambda: None
    """The operator process whose call it is."""
    _wrote: dict[str, float] = field(default_factory=dict)
    """Hostname or address -> the last write's time."""
    _rivalled: dict[str, float] = field(default_factory=dict)
    """The same of writes while a second operator ran, which sees them as it sees those of a third party."""
    _asked: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """(name, type) -> server -> when the last answered question began."""
    _read: dict[str, float] = field(default_factory=dict)
    """Zone ID or region -> when the last answered read began."""
    _read_ptr: dict[str, float] = field(default_factory=dict)
    """Allocation ID -> when the last answered reading of its PTR began."""
    _pending: list[Batch] = field(default_factory=list)
    _released: dict[str, float] = field(default_factory=dict)
    """Hostname -> when its object was seen deleted."""

    def violated(self, invariant: str, text: str) -> None:
        line = f"{invariant} violated at {self.world.clock():.3f}: {text}"
        if line not in self.violations:
            self.violations.append(line)
            self.note("VIOLATED", line)

    def writes(self) -> tuple[int, int, int, int, int]:
        """AWS writes sent, status writes, finalizer writes, Events, writes of DNSEndpoints."""
        return (
            self._sent,
            self._status_writes,
            self._finalizer_writes,
            len(self.api.events),
            self._endpoint_writes,
        )

    @property
    def sent(self) -> int:
        """Writes sent to AWS."""
        return self._sent

    def restarted(self) -> None:
        """S11 is each process's promise: what the one before it sent in its last second is not its doing."""
        self._rate.clear()

    def listed(self) -> None:
        """An operator listed the objects for the first time: it knows nothing of what no status and no mark tells."""
        for name, uid in self._set.values():
            body = self.api.by_uid(uid) if uid in self.api.stripped else None
            # An edit gives a missing status its default.
            untold = body is not None and (body.get("status") or {}).get("observedGeneration", -1) < 0
            if untold and self._mark_at(name) is None:
                self._untold.add((uid, name))

    def _repeated(self, target: tuple[str, str], sent: float) -> bool:
        """Is this write, sent then, sent by a process that must first read what became of the last one?

        What another process is left without an answer to is no matter of one that was at work already.
        """
        at, process = self._unknown.get(target, (float("inf"), None))
        caller = self.caller()
        return at <= sent and (caller is None or caller is process or caller.started >= at)

    def inherit(self, address: str, name: str, uid: str) -> None:
        """An earlier operator set this PTR for that object."""
        self._set[address] = (name, uid)

    def ours(self) -> dict[str, tuple[str, str]]:
        """Address -> (name, UID) of every PTR that the operator set and nobody replaced."""
        return dict(self._set)

    def _ailing(self, server: str, within: float) -> bool:
        """Whether a server fell silent so lately that an answer of before may still count."""
        since = self.world.ailing.get(server)
        return since is not None and self.world.clock() - since < within

    def _healed(self, server: str) -> bool:
        """Whether a server that was silent answers again since so lately that it may not have been asked."""
        at = self.world.healed.get(server)
        return at is not None and self.world.clock() - at < RE_LOOK

    def _touched(self, what: str, within: float = OUTSIDE_GRACE) -> bool:
        at, since = self.world.touched.get(what), self.world.unseen_since
        return at is not None and (self.world.clock() if since is None else since) - at < within

    def _is_listed(self, eip: Eip) -> bool:
        """Whether the operators have had the time to list the address with the tags that it has now."""
        at = self.world.retagged.get(eip.public_ip)
        listed = at is None or self.world.clock() - at > RETAGGED
        return listed and self.world.unseen_since is None

    def _wrote_now(self, what: str) -> None:
        self._wrote[what] = self.world.clock()
        if not self.alone():
            self._rivalled[what] = self.world.clock()

    def _of_rivals(self, what: str) -> bool:
        """Whether the last write may be another operator's, so that this one sees it later."""
        at = self._rivalled.get(what)
        return at is not None and self.world.clock() - at < OUTSIDE_GRACE

    def _finalized(self, uid: str | None, what: str) -> None:
        """S8: the finalizer stands before any external write."""
        found = self.api.by_uid(uid) if uid else None
        if uid in self.api.lapsed:
            # The cluster went back in time: what the operator had made sure of was undone behind its back.
            return
        if found is None:
            self.violated("S8", f"{what} for an object that is not there")
        elif FINALIZER in (found["metadata"].get("finalizers") or []):
            self.api.unheard.discard(found["metadata"]["uid"])
        elif uid not in self.api.unheard:
            self.violated("S8", f"{what} without the finalizer")

    def _uid_of_ptr(self, eip: Eip) -> str | None:
        """Whoever set it, or has the record of the name if somebody else did."""
        ours = self._set.get(eip.public_ip) or self._giving.get(eip.public_ip)
        if ours is not None:
            return ours[1]
        shown = bare(eip.ptr)
        mark = self._mark_at(shown) if shown is not None else None
        return mark.uid if mark is not None else self._counts_as(eip.public_ip, shown)

    def _counts_as(self, address: str, name: str | None) -> str | None:
        """The UID of the object as whose PTR an outsider's may count: the operator set that one for the address before,
        or one of a former hostname, or the name led to the address by a record that the operator made. Nothing tells
        the two apart, so that it may be reset, and may stay.
        """
        for (where, before), uids in self._setters.items():
            for uid in uids if where == address else ():
                body = self.api.ever.get(uid)
                wanted = body is not None and name == body["spec"]["hostname"]
                if name == before or (wanted and self._held_without.get((address, name), uid) == uid):
                    return uid
        return None

    def _holder(self, hostname: str, eip: Eip) -> Object | None:
        """The live object whose mark stands at the name, or whose DNSEndpoint asks for it; else the oldest one that
        wants it, with this address if there is one, and holds something by its age."""
        zone = self.world.zone_of(hostname)
        mark = mark_of(self.world.mark(zone, hostname)) if zone is not None else None
        uid = mark.uid if mark is not None else self.api.endpoints.owner_at(hostname)
        if uid is not None and (found := self.api.by_uid(uid)) is not None:
            return found
        wanting = [o for o in self.api.objects.values() if o["spec"]["hostname"] == hostname]
        return min(
            wanting,
            key=lambda o: (
                self._without_age(o),
                not (self._wants(o, eip) or self.world.selects_any(eip, o["spec"]["elasticIPs"])),
                o["metadata"]["creationTimestamp"],
                o["metadata"]["uid"],
            ),
            default=None,
        )

    def _without_age(self, body: Object) -> bool:
        """Holds nothing by age: suspended (or so a moment ago, for all that the operator knew), or hopeless."""
        meta, seen = body["metadata"], (body.get("status") or {}).get("observedGeneration")
        if body["spec"].get("suspend") or 1 < meta["generation"] != seen:
            return True
        return self._hopeless.get((meta["uid"], meta["generation"]), math.inf) <= self.world.clock()

    def _wants(self, body: Object, eip: Eip) -> bool:
        """A live object that names this very EIP or its tags, in its region or, without one, in the default one."""
        if "deletionTimestamp" in body["metadata"] or eip.service_managed in RECEIVING:
            return False
        here = [s for s in body["spec"]["elasticIPs"] if s.get("region", REGION) == eip.region]
        named = {s.get("allocationID") or s.get("publicIP") for s in here}
        return bool(named & {eip.allocation_id, eip.public_ip}) or (
            self._is_listed(eip) and any(has_tags(eip.tags, s.get("tags")) for s in here)
        )

    def _entries(self, uid: str) -> list[Object]:
        """What the status of the object says of its addresses."""
        body = self.api.ever.get(uid, {})
        return list((body.get("status") or {}).get("addresses", ()))

    def _told(self, uid: str, address: str) -> list[Object]:
        return [entry for entry in self._entries(uid) if entry.get("publicIP") == address]

    def _known_removed(self, uid: str, address: str) -> bool:
        """Does the status say that the address has no PTR, and none under way?"""
        return any(not {"ptr", "ptrUpdate"} & entry.keys() for entry in self._told(uid, address))

    def _adopted_before(self, uid: str, address: str, ptr: str | None) -> bool:
        """Does the status say that the object adopted this PTR? It does so under Observed, then gets a new hostname."""
        return any(e.get("ptr") == ptr and e.get("ptrOrigin") == "Adopted" for e in self._told(uid, address))

    def left_as_it_is(self, uid: str, name: str, address: str) -> bool:
        """No status says any more that the PTR is the object's own, and no A record either: the one that has the
        address was left as a third party's, or a third party removed it, or replaced it before the spec lost the
        address."""
        stands = self.world.record(self.world.zone_of(name), name, "A")
        eip, body = self.world.model.network.by_ip.get(address), self.api.ever.get(uid)
        selected = (
            eip is not None and body is not None and self.world.selects_any(eip, body["spec"]["elasticIPs"])
        )
        if stands is not None and address in stands[1]:
            unconfirmed = True
        else:
            unconfirmed = name in self.world.touched and (stands is None or not selected)
        if (uid, name) in self._untold and self._mark_at(name) is None:
            return True
        return uid in self.api.stripped and unconfirmed

    def _forgotten(self, name: str, uid: str) -> bool:
        """Nothing tells any more whose PTR it is: the status went back in time, and somebody took the mark away."""
        mark = self._mark_at(name)
        return uid in self.api.lapsed and (mark is None or mark.uid != uid)

    def _unread(self, eip: Eip) -> bool:
        """Did an outsider change the PTR after it was last read?"""
        at = self.world.touched.get(eip.public_ip)
        return at is not None and at >= self._read_ptr.get(eip.allocation_id, at)

    def _left_by_outsiders(self, name: str, owner: Object) -> bool:
        """Does the operator leave what an outsider did to the record? It does while the object is suspended, where
        another record stands instead of the ownership record, and where it says that no status tells any more what it
        wrote."""
        zone = self.world.zone_of(name)
        if zone is None or self.world.touched.get(name, 0.0) <= self._wrote.get(name, 0.0):
            return False
        text = self.world.mark(zone, name)
        replaced = mark_of(text) is None and bool(text or self.world.record(zone, name, "A"))
        ready = ready_of(owner)
        stripped = owner["metadata"]["uid"] in self.api.stripped
        untold = stripped and ready is not None and ready["reason"] == "RecordConflict"
        return replaced or untold or bool(owner["spec"].get("suspend"))

    def _names(self) -> set[str]:
        """Every hostname that any object ever wanted."""
        return {o["spec"]["hostname"] for o in self.api.ever.values()} | self._claimed

    def _mark_at(self, hostname: str) -> Mark | None:
        zone = self.world.zone_of(hostname)
        return mark_of(self.world.mark(zone, hostname)) if zone is not None else None
