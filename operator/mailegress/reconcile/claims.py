"""Who may write what: exactly one CR per hostname and per EIP.

Claims are read from the specs of all live objects (so they are complete after the first full list) and from the marks
and PTRs in AWS, never from another object's status.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mailegress.api.names import FINALIZER
from mailegress.api.types import EipSelector, MailEgress, Management
from mailegress.reconcile.model import Eip


@dataclass(frozen=True, slots=True)
class Claimant:
    """What the index keeps of a live object."""

    uid: str
    key: str
    created: str
    hostname: str
    selectors: tuple[tuple[str, str], ...]
    managed: bool
    deleting: bool
    leaving: bool
    """Being deleted and not done with it, under Observed: no mark tells of its claim, and a PTR of it may be reset."""

    @property
    def order(self) -> tuple[str, str]:
        """Oldest first, then UID. RFC 3339 in UTC sorts as text."""
        return (self.created, self.uid)


def selectors_of(eip: Eip) -> list[tuple[str, str]]:
    """Every way in which a spec can mean this EIP."""
    ways = [("allocationID", eip.allocation_id), ("publicIP", eip.public_ip)]
    if eip.nat_gateway_id:
        ways.append(("natGatewayID", eip.nat_gateway_id))
    if eip.instance_id:
        ways.append(("instanceID", eip.instance_id))
    return ways


def _pairs(selectors: Iterable[EipSelector]) -> tuple[tuple[str, str], ...]:
    return tuple((s.kind.value, s.value) for s in selectors)


class ClaimIndex:
    """Live objects by UID, hostname and selector; and who waits for whom."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Claimant] = {}
        self._by_hostname: dict[str, set[str]] = defaultdict(set)
        self._by_selector: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._blocked: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def put(self, key: str, obj: MailEgress) -> set[str]:
        """Take in an object; the keys of objects whose claims this may change come back."""
        claimant = Claimant(
            uid=obj.meta.uid,
            key=key,
            created=obj.meta.creation_timestamp,
            hostname=obj.spec.hostname,
            selectors=_pairs(obj.spec.elastic_ips),
            managed=obj.spec.forward.management is Management.MANAGED,
            deleting=(deleting := obj.meta.deletion_timestamp is not None),
            leaving=deleting
            and obj.spec.forward.management is Management.OBSERVED
            and FINALIZER in obj.meta.finalizers,
        )
        before = self._by_uid.get(claimant.uid)
        if before == claimant:
            return set()
        affected = self._drop(claimant.uid)
        self._by_uid[claimant.uid] = claimant
        self._by_hostname[claimant.hostname].add(claimant.uid)
        for pair in claimant.selectors:
            self._by_selector[pair].add(claimant.uid)
        affected |= self._rivals(claimant)
        affected.discard(key)
        return affected

    def drop(self, uid: str) -> set[str]:
        """Forget an object; the keys of its rivals come back."""
        self._blocked.pop(uid, None)
        return self._drop(uid)

    def _drop(self, uid: str) -> set[str]:
        claimant = self._by_uid.pop(uid, None)
        if claimant is None:
            return set()
        self._discard(self._by_hostname, claimant.hostname, uid)
        for pair in claimant.selectors:
            self._discard(self._by_selector, pair, uid)
        return self._rivals(claimant)

    @staticmethod
    def _discard(
        index: dict[str, set[str]] | dict[tuple[str, str], set[str]], entry: object, uid: str
    ) -> None:
        members = index.get(entry)  # type: ignore[call-overload]
        if members is not None:
            members.discard(uid)
            if not members:
                del index[entry]  # type: ignore[arg-type]

    def _rivals(self, claimant: Claimant) -> set[str]:
        uids = set(self._by_hostname.get(claimant.hostname, ()))
        for pair in claimant.selectors:
            uids |= self._by_selector.get(pair, set())
        uids.discard(claimant.uid)
        return {self._by_uid[uid].key for uid in uids}

    def get(self, uid: str) -> Claimant | None:
        return self._by_uid.get(uid)

    def live(self, uid: str) -> bool:
        return uid in self._by_uid

    def wanting_hostname(self, hostname: str) -> list[Claimant]:
        """Those that want it and are not going away, oldest first."""
        found = (self._by_uid[uid] for uid in self._by_hostname.get(hostname, ()))
        return sorted((c for c in found if not c.deleting), key=lambda c: c.order)

    def wanting_eip(self, eip: Eip) -> list[Claimant]:
        uids: set[str] = set()
        for pair in selectors_of(eip):
            uids |= self._by_selector.get(pair, set())
        return sorted(
            (c for c in map(self._by_uid.__getitem__, uids) if not c.deleting), key=lambda c: c.order
        )

    def leaving_eip(self, eip: Eip, hostname: str) -> Claimant | None:
        """One under Observed that is on its way out and may still reset the EIP's PTR if it shows this hostname."""
        uids: set[str] = set()
        for pair in selectors_of(eip):
            uids |= self._by_selector.get(pair, set())
        found = (self._by_uid[uid] for uid in sorted(uids))
        return next((c for c in found if c.leaving and c.hostname == hostname), None)

    # ------------------------------------------------ who waits for whom

    def set_blocked(self, uid: str, on: frozenset[str]) -> set[str]:
        """Record who holds what an object waits for; the keys of objects that should look again come back."""
        known = self._blocked.get(uid, frozenset())
        self._blocked[uid] = on
        return {c.key for other in known ^ on if (c := self._by_uid.get(other)) is not None}

    def in_cycle(self, uid: str, on: frozenset[str]) -> bool | None:
        """Would waiting for ``on`` wait for ourselves in the end? None: one of them has not been decided yet."""
        seen: set[str] = set()
        unknown = False
        todo = list(on)
        while todo:
            other = todo.pop()
            if other == uid:
                return True
            if other not in seen:
                seen.add(other)
                unknown = unknown or (other in self._by_uid and other not in self._blocked)
                todo.extend(self._blocked.get(other, ()))
        return None if unknown else False
