"""A hosted zone: its record sets as the API shows them, and as each of its four name servers serves them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .names import sort_key
from .records import Key, RecordSet
from .settings import Delays

SERVERS = 4
NS_TTL = 172_800
SOA_TTL = 900
FIRST_SERVED = 0.4
SERVED_STEP = 2 / 15
"""Shares of the time to INSYNC: when the first server serves a change, and how much later each next one."""

Delta = tuple[Key, RecordSet | None]
NameSets = dict[tuple[str, str], RecordSet]


class RecordView:
    """Record sets by name, with the names that only exist because something is below (RFC 4592 2.2.2)."""

    def __init__(self, apex: str) -> None:
        self.apex = apex
        self._sets: dict[str, NameSets] = {}
        self._below: dict[str, int] = {}

    def apply(self, deltas: Iterable[Delta]) -> None:
        for (name, rtype, identifier), record_set in deltas:
            sets = self._sets.get(name)
            if record_set is None:
                if sets and sets.pop((rtype, identifier), None) is not None and not sets:
                    del self._sets[name]
                    self._count(name, -1)
            else:
                if sets is None:
                    sets = self._sets[name] = {}
                    self._count(name, 1)
                sets[(rtype, identifier)] = record_set

    def _count(self, name: str, step: int) -> None:
        for parent in ancestors(name, self.apex):
            count = self._below.get(parent, 0) + step
            if count:
                self._below[parent] = count
            else:
                self._below.pop(parent, None)

    def at(self, name: str) -> Mapping[tuple[str, str], RecordSet]:
        return self._sets.get(name, {})

    def all(self) -> list[RecordSet]:
        return [record_set for sets in self._sets.values() for record_set in sets.values()]

    def exists(self, name: str) -> bool:
        return name in self._sets or name in self._below or name == self.apex


def ancestors(name: str, apex: str) -> Iterator[str]:
    """The names between `name` (left out) and the apex (included), nearest first."""
    while name != apex and "." in name:
        name = name.split(".", 1)[1]
        if not name:
            return
        yield name


@dataclass(slots=True)
class Publication:
    """One accepted change batch on its way to the name servers."""

    submitted: float
    deltas: tuple[Delta, ...]


OrderKey = tuple[str, str, str]


@dataclass(slots=True)
class Zone:
    """One hosted zone. `name_servers` are four names without the final dot."""

    id: str
    name: str
    account: str
    private: bool
    name_servers: tuple[str, ...]
    caller_reference: str
    comment: str = ""
    linked_service: str = ""
    vpcs: tuple[tuple[str, str], ...] = ()
    busy_until: float = float("-inf")
    """Until when a change request is being processed: others get PriorRequestNotComplete."""
    records: dict[Key, RecordSet] = field(default_factory=dict)
    live: RecordView = field(init=False)
    served: list[RecordView] = field(init=False)
    _order: list[tuple[OrderKey, Key]] = field(default_factory=list)
    _queues: list[deque[Publication]] = field(init=False)

    def __post_init__(self) -> None:
        self.live = RecordView(self.name)
        self.served = [RecordView(self.name) for _ in range(SERVERS)]
        self._queues = [deque() for _ in range(SERVERS)]
        base = (self._ns_set(), self._soa_set())
        deltas: list[Delta] = [(record_set.key, record_set) for record_set in base]
        self._store(deltas)
        for view in self.served:
            view.apply(deltas)

    def _ns_set(self) -> RecordSet:
        return RecordSet(self.name, "NS", NS_TTL, tuple(f"{server}." for server in self.name_servers))

    def _soa_set(self) -> RecordSet:
        # Page "SOA and NS records that Amazon Route 53 creates for a public hosted zone".
        soa = f"{self.name_servers[0]}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        return RecordSet(self.name, "SOA", SOA_TTL, (soa,))

    def _store(self, deltas: Iterable[Delta]) -> None:
        deltas = tuple(deltas)
        for key, record_set in deltas:
            entry = (order_key(key), key)
            known = key in self.records
            if record_set is None:
                if known:
                    del self.records[key]
                    del self._order[bisect_left(self._order, entry)]
            else:
                self.records[key] = record_set
                if not known:
                    insort(self._order, entry)
        self.live.apply(deltas)

    def commit(self, deltas: Iterable[Delta], now: float) -> None:
        """Take a batch: visible in listings at once, at each name server after its lag."""
        deltas = tuple(deltas)
        self._store(deltas)
        for queue in self._queues:
            queue.append(Publication(now, deltas))

    def serve(self, index: int, now: float, delays: Delays, lag: float) -> RecordView:
        """What server `index` serves at `now`; `lag` seconds later than its normal time (inf = never)."""
        queue = self._queues[index]
        wait = delays.insync * (FIRST_SERVED + index * SERVED_STEP) + lag
        while queue and queue[0].submitted + wait <= now:
            self.served[index].apply(queue.popleft().deltas)
        return self.served[index]

    def ordered(self, start: OrderKey | None = None, limit: int | None = None) -> list[RecordSet]:
        """Record sets in Route 53's order from `start` (included), at most `limit`."""
        first = bisect_left(self._order, (start, ("", "", ""))) if start else 0
        last = len(self._order) if limit is None else first + limit
        return [self.records[key] for _, key in self._order[first:last]]

    def required(self, key: Key) -> bool:
        """The apex NS and SOA sets, which every zone keeps."""
        return key[0] == self.name and key[1] in ("NS", "SOA")

    def rename_servers(self, names: tuple[str, ...]) -> None:
        """Give the zone another delegation set; its NS and SOA records follow at once, everywhere."""
        self.name_servers = names
        deltas: list[Delta] = [(each.key, each) for each in (self._ns_set(), self._soa_set())]
        self._store(deltas)
        for view in self.served:
            view.apply(deltas)


def order_key(key: Key) -> OrderKey:
    return (sort_key(key[0]), key[1], key[2])
