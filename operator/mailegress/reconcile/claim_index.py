"""Who stands in line for which hostname and Elastic IP. Who may write is decided in ``rules/claims.py`` (S9, E4).

Claims are read from the specs of all live objects (so they are complete after the first full list) and from the marks
and PTRs in AWS. Another object's status is read only for what nothing else shows: the hostnames of its DNSEndpoint, the
former hostnames of PTRs that were set for it, and records of it in hosted zones that cannot be read.

Where no mark and no PTR shows whose something is, the first in line holds it: the oldest of those that can do something
with it (see :class:`Standing`), then the oldest of the others. Whatever happens to one object, at most the first two of
each line it stands in are woken: the cost of an edit does not grow with the number of rivals.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Protocol

from mailegress.api.names import FINALIZER, endpoint_name
from mailegress.api.status import FormerRecord, Origin
from mailegress.api.types import EipSelector, MailEgress, Management
from mailegress.model.aws import Eip
from mailegress.model.endpoints import DnsEndpoint
from mailegress.reconcile.holders import Holders
from mailegress.reconcile.tag_selectors import TagSelector, TagSelectors

IdSelector = tuple[str, str, str]
"""Kind, value, and the region that the spec names; empty = none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an object's own pass found out about its right to hold something by age alone."""

    holds: bool = False
    """Its mark stands at its hostname, or a PTR shows it (that it set; under Observed, any of its addresses): neither a
    suspension nor a long wait takes that away."""
    able: bool = True
    """Its selectors resolve to at least one address, and it is not hopeless (Stalled for half an hour of no progress
    although no other object keeps it from anything; until its spec is edited)."""
    named: bool = True
    """No other object holds its hostname: with an address alone it could do nothing."""
    allowed: bool = True
    """No policy refuses the object for its hosted zone, which only its own reconcile knows."""
    barred: tuple[EipSelector, ...] = ()
    """Selectors that resolve to nothing but addresses that no policy allows: it does not stand in line for them."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """What the index keeps of a live object."""

    uid: str
    key: str
    created: str
    hostname: str
    selectors: tuple[IdSelector, ...]
    tag_selectors: tuple[TagSelector, ...]
    management: Management
    """Under Observed nothing but a PTR shows what it holds."""
    suspended: bool
    deleting: bool
    leaving: bool
    """Being deleted and not done with it, under Observed: no mark tells of its claim, and a PTR of it may be reset."""
    endpoint: frozenset[str] | None = None
    """Hostnames of its DNSEndpoint that its status names: these are its claim. A label or a hostname in the DNSEndpoint
    could be anybody's. None: its status names no DNSEndpoint."""
    entitled: bool = True
    """A policy allows it, or policies are not enforced. Otherwise it claims nothing, neither by age nor as a rival."""
    records: tuple[FormerRecord, ...] = field(default=(), compare=False)
    """Where its status tells of records of it. They hold a hostname only while the hosted zone cannot be read."""

    @property
    def all_selectors(self) -> tuple[IdSelector | TagSelector, ...]:
        return (*self.selectors, *self.tag_selectors)

    @property
    def order(self) -> tuple[str, str]:
        """Oldest first, then UID. RFC 3339 in UTC sorts as text."""
        return (self.created, self.uid)


def id_selectors_of(eip: Eip) -> list[IdSelector]:
    """Every way in which a spec can mean this EIP by an ID or an address, with its region.

    Without one where the index has no default region.
    """
    ways = [("allocationID", eip.allocation_id), ("publicIP", eip.public_ip)]
    if eip.nat_gateway_id:
        ways.append(("natGatewayID", eip.nat_gateway_id))
    if eip.instance_id:
        ways.append(("instanceID", eip.instance_id))
    if eip.network_interface_id:
        ways.append(("networkInterfaceID", eip.network_interface_id))
    return [(*way, region) for way in ways for region in (eip.region, "")]


def _id_selectors(selectors: Iterable[EipSelector], default_region: str) -> tuple[IdSelector, ...]:
    return tuple((s.kind.value, s.value, s.region or default_region) for s in selectors if not s.by_tags)


def _tag_selectors(selectors: Iterable[EipSelector]) -> tuple[TagSelector, ...]:
    return tuple((s.kind.value, s.tags, s.region or "") for s in selectors if s.by_tags)


def _all_selectors(
    selectors: tuple[EipSelector, ...], default_region: str
) -> tuple[IdSelector | TagSelector, ...]:
    return (*_id_selectors(selectors, default_region), *_tag_selectors(selectors))


def _shared(record: FormerRecord, hostname: str) -> FormerRecord:
    """The same with strings that are in memory already: thousands of objects have records in one hosted zone."""
    name = hostname if record.hostname == hostname else record.hostname
    account = intern(record.account_id) if record.account_id is not None else None
    return FormerRecord(intern(record.zone_id), name, account)


Line = tuple[Hashable, ...]
"""What objects stand in line for: a hostname, a selector, or (Observed) a selector with a PTR's name."""
_Place = tuple[int, str, str]
"""In a line: 1 for those behind all others, 2 for those that lost their hostname; then by age, then by UID."""

_HEADS = 2
"""Of a line: who holds it, and who is next."""


def _hostname_line(hostname: str) -> Line:
    return ("hostname", hostname)


class ClaimsView(Protocol):
    """Who stands in line for what: the part of :class:`ClaimIndex` that rules may read."""

    def standing(self, uid: str) -> Standing | None:
        """None: its spec has not been looked at by a reconcile yet."""

    def near(self, uid: str) -> bool:
        """Is it among those that are woken when something becomes free?"""

    def live(self, uid: str) -> bool: ...

    def wants_hostname(self, uid: str, hostname: str) -> bool:
        """Does this object want it, and is it not going away?"""

    def first_for(self, hostname: str) -> Claimant | None:
        """Who holds a hostname that has no ownership record."""

    def others_want(self, uid: str, hostname: str) -> bool:
        """Does any object besides this one want it?"""

    def wants_eip(self, uid: str, eip: Eip) -> bool:
        """Does this object want it, and is it not going away?"""

    def in_line_for(self, eip: Eip) -> Iterator[Claimant]:
        """Those that want it, first in line first."""

    def observed_at(self, eip: Eip, hostname: str) -> str | None:
        """UID of the first in line of those under Observed that want this EIP under this hostname."""

    def leaving_eip(self, eip: Eip, hostname: str) -> Claimant | None:
        """One that may still reset the EIP's PTR if it shows this hostname, and that no mark names: it is leaving
        under Observed, or was renamed after it set the PTR.
        """

    def former_at(self, eip: Eip, hostname: str) -> str | None:
        """UID of the object that set this PTR before it was renamed, as its status records."""

    def recorded_at(self, hostname: str) -> Sequence[Claimant]:
        """The live objects whose status tells of a record of theirs at the hostname, oldest first."""

    def endpoint_holder(self, endpoint: DnsEndpoint, hostname: str) -> Claimant | None:
        """The live object whose own DNSEndpoint this is, if the object's status names both it and the hostname."""

    def in_cycle(self, uid: str, on: frozenset[str]) -> bool | None:
        """Would waiting for ``on`` wait for ourselves in the end? None: one of them has not been decided yet."""


class ClaimIndex:
    """Live objects by UID, in line for hostnames and selectors; and who waits for whom.

    ``default_region``: where a selector that names no region looks; empty = everywhere.
    """

    def __init__(self, default_region: str = "") -> None:
        self._default_region = default_region
        self._tagged = TagSelectors(default_region)
        self._by_uid: dict[str, Claimant] = {}
        self._standings: dict[str, Standing] = {}
        self._lines: dict[Line, list[_Place]] = {}
        self._places: dict[str, dict[Line, _Place]] = {}
        self._leaving: Holders[Line] = Holders()
        self._former: Holders[tuple[str, str, str]] = Holders()
        self._recorded: Holders[str] = Holders()
        """Hostnames at which the status of an object tells of its records."""
        self._blocked: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def __contains__(self, uid: object) -> bool:
        """Is this the UID of a live object?"""
        return uid in self._by_uid

    def put(self, key: str, obj: MailEgress, *, entitled: bool = True) -> set[str]:
        """Take in an object; the keys of objects whose claims this may change come back."""
        leaving = (
            obj.meta.deletion_timestamp is not None
            and obj.spec.forward.management is Management.OBSERVED
            and FINALIZER in obj.meta.finalizers
        )
        if leaving and not entitled:
            # Anybody may write the finalizer. Without a right, only a recorded PTR shows that one may be reset.
            leaving = any(a.ptr_origin is Origin.MANAGED for a in obj.status.addresses)
        endpoint = obj.status.dns_endpoint
        claimant = Claimant(
            uid=obj.meta.uid,
            key=key,
            created=obj.meta.creation_timestamp,
            hostname=obj.spec.hostname,
            selectors=_id_selectors(obj.spec.elastic_ips, self._default_region),
            tag_selectors=_tag_selectors(obj.spec.elastic_ips),
            management=obj.spec.forward.management,
            suspended=obj.spec.suspend,
            deleting=obj.meta.deletion_timestamp is not None,
            leaving=leaving,
            endpoint=frozenset(endpoint.hostnames) if endpoint is not None else None,
            entitled=entitled,
            records=tuple(_shared(record, obj.spec.hostname) for record in obj.records_in_status()),
        )
        former = self._former.put(claimant.uid, obj.former_ptrs())
        return self._put(claimant) | self._concerned(claimant, {name for name, *_ in former})

    def entitle(self, uid: str, entitled: bool) -> set[str]:
        """A policy gives an object its right to claim, or takes it; the keys of those that this concerns come back."""
        claimant = self._by_uid.get(uid)
        return self._put(replace(claimant, entitled=entitled)) if claimant is not None else set()

    def _put(self, claimant: Claimant) -> set[str]:
        known = self._by_uid.get(claimant.uid)
        self._recorded.put(claimant.uid, frozenset(record.hostname for record in claimant.records))
        changed = {*(known.records if known is not None else ())} ^ {*claimant.records}
        concerned = self._concerned(claimant, {record.hostname for record in changed})
        if known == claimant:
            # What its pass found out about it stays true, wherever its records are.
            self._by_uid[claimant.uid] = claimant
            return concerned
        before = self._remove(claimant.uid)
        self._by_uid[claimant.uid] = claimant
        for by_tags in claimant.tag_selectors:
            self._tagged.add(by_tags)
        places = ((claimant.hostname, *selector) for selector in claimant.all_selectors)
        self._leaving.put(claimant.uid, frozenset(places if claimant.leaving else ()))
        return self._queue_up(claimant, before) | concerned

    def _concerned(self, claimant: Claimant, hostnames: Iterable[str]) -> set[str]:
        """Who waits for these hostnames, besides this object."""
        return self._heads(map(_hostname_line, hostnames)) - {claimant.key}

    def drop(self, uid: str) -> set[str]:
        """Forget an object; the keys of those that may come in its place are returned."""
        self._blocked.pop(uid, None)
        former = self._former.put(uid, frozenset())
        left = self._recorded.put(uid, frozenset())
        lines = {
            *self._remove(uid),
            *map(_hostname_line, left),
            *(_hostname_line(name) for name, *_ in former),
        }
        return self._heads(lines)

    def stand(self, uid: str, standing: Standing) -> set[str]:
        """What an object's pass found out about it; the keys of objects whose claims this changes come back, its own
        among them.
        """
        claimant = self._by_uid.get(uid)
        if claimant is None or self._standings.get(uid) == standing:
            return set()
        known = uid in self._standings
        self._standings[uid] = standing
        before = self._places.get(uid, {})
        self._leave(uid)
        woken = self._queue_up(claimant, before)
        if known and before != self._places.get(uid, {}):
            # It decided in its former place whom it waits for: that is no proof of a circle.
            self._blocked.pop(uid, None)
            woken.add(claimant.key)
        return woken

    def standing(self, uid: str) -> Standing | None:
        """None: its spec has not been looked at by a pass yet."""
        return self._standings.get(uid)

    # ------------------------------------------------ lines

    def _remove(self, uid: str) -> dict[Line, _Place]:
        claimant = self._by_uid.pop(uid, None)
        self._standings.pop(uid, None)
        for by_tags in claimant.tag_selectors if claimant is not None else ():
            self._tagged.remove(by_tags)
        self._leaving.put(uid, frozenset())
        return self._leave(uid)

    def _leave(self, uid: str) -> dict[Line, _Place]:
        places = self._places.pop(uid, {})
        for line, place in places.items():
            members = self._lines[line]
            del members[bisect_left(members, place)]
            if not members:
                del self._lines[line]
        return places

    def _queue_up(self, claimant: Claimant, before: Iterable[Line]) -> set[str]:
        """Put an object into its lines; whoever is first or second in them, or in those that it left, comes back."""
        standing = self._standings.get(claimant.uid)
        if self._wants(claimant):
            # Not looked at yet: nobody takes its place before it was.
            behind = standing is not None and not (
                standing.holds or (standing.able and not claimant.suspended)
            )
            nameless = standing is not None and not standing.named
            name_place = (int(behind), *claimant.order)
            places: dict[Line, _Place] = {_hostname_line(claimant.hostname): name_place}
            barred = _all_selectors(standing.barred, self._default_region) if standing is not None else ()
            for selector in claimant.all_selectors:
                if selector in barred:
                    continue
                places[selector] = (2 if nameless else int(behind), *claimant.order)
                if claimant.management is Management.OBSERVED:
                    places["observed", claimant.hostname, *selector] = name_place
            for line, place in places.items():
                insort(self._lines.setdefault(line, []), place)
            self._places[claimant.uid] = places
        woken = self._heads({*before, *self._places.get(claimant.uid, ())})
        woken.discard(claimant.key)
        return woken

    def _heads(self, lines: Iterable[Line]) -> set[str]:
        return {self._by_uid[place[2]].key for line in lines for place in self._lines.get(line, ())[:_HEADS]}

    def near(self, uid: str) -> bool:
        """Is it among those that are woken when something becomes free?"""
        places = self._places.get(uid, {})
        return any(place in self._lines[line][:_HEADS] for line, place in places.items())

    # ------------------------------------------------ reading

    def _selectors_of(self, eip: Eip) -> list[IdSelector | TagSelector]:
        """Every way in which a live object can mean this EIP."""
        return [*id_selectors_of(eip), *self._tagged.matching(eip)]

    def get(self, uid: str) -> Claimant | None:
        return self._by_uid.get(uid)

    def live(self, uid: str) -> bool:
        return uid in self._by_uid

    def wants_hostname(self, uid: str, hostname: str) -> bool:
        """Does this object want it, and is it not going away?"""
        claimant = self._by_uid.get(uid)
        return claimant is not None and claimant.hostname == hostname and self._wants(claimant)

    def _wants(self, claimant: Claimant) -> bool:
        """May it want anything?"""
        standing = self._standings.get(claimant.uid)
        return not claimant.deleting and claimant.entitled and (standing is None or standing.allowed)

    def first_for(self, hostname: str) -> Claimant | None:
        """Who holds a hostname at which no mark stands."""
        members = self._lines.get(_hostname_line(hostname))
        return self._by_uid[members[0][2]] if members else None

    def others_want(self, uid: str, hostname: str) -> bool:
        """Does any object besides this one want it?"""
        members = self._lines.get(_hostname_line(hostname), ())
        return len(members) > self.wants_hostname(uid, hostname)

    def next_for(self, hostname: str) -> set[str]:
        """Keys of the objects to wake when a hostname becomes free."""
        return self._heads((_hostname_line(hostname),))

    def wants_eip(self, uid: str, eip: Eip) -> bool:
        """Does this object want it, and is it not going away?"""
        claimant = self._by_uid.get(uid)
        return (
            claimant is not None
            and self._wants(claimant)
            and (
                not set(id_selectors_of(eip)).isdisjoint(claimant.selectors)
                or any(self._tagged.fits(selector, eip) for selector in claimant.tag_selectors)
            )
        )

    def in_line_for(self, eip: Eip) -> Iterator[Claimant]:
        """Those that want it, first in line first."""
        last: _Place | None = None
        for place in heapq.merge(*(self._lines.get(selector, ()) for selector in self._selectors_of(eip))):
            if place != last:
                yield self._by_uid[place[2]]
            last = place

    def observed_at(self, eip: Eip, hostname: str) -> str | None:
        """UID of the first in line of those under Observed that want this EIP under this hostname."""
        lines = (self._lines.get(("observed", hostname, *selector)) for selector in self._selectors_of(eip))
        return min((members[0] for members in lines if members), default=(0, "", None))[2]

    def leaving_eip(self, eip: Eip, hostname: str) -> Claimant | None:
        """One that may still reset the EIP's PTR if it shows this hostname, and that no mark names: it is leaving
        under Observed, or was renamed after it set the PTR.
        """
        uids = [
            uid for selector in self._selectors_of(eip) for uid in self._leaving.at((hostname, *selector))
        ]
        uids.extend(self._former.at((hostname, eip.region, eip.allocation_id)))
        return self._by_uid.get(min(uids, default=""))

    def former_at(self, eip: Eip, hostname: str) -> str | None:
        """UID of the object that set this PTR before it was renamed, as its status records."""
        return min(self._former.at((hostname, eip.region, eip.allocation_id)), default=None)

    def recorded_at(self, hostname: str) -> Sequence[Claimant]:
        """The live objects whose status tells of a record of theirs at the hostname, oldest first."""
        told = (self._by_uid[uid] for uid in self._recorded.at(hostname))
        return sorted(told, key=lambda claimant: claimant.order)

    def endpoint_holder(self, endpoint: DnsEndpoint, hostname: str) -> Claimant | None:
        """The live object whose own DNSEndpoint this is, if the object's status names both it and the hostname."""
        claimant = self._by_uid.get(endpoint.owner or "")
        if claimant is None or hostname not in (claimant.endpoint or ()):
            return None
        namespace, _, name = claimant.key.partition("/")
        fits = (namespace, endpoint_name(name)) == (endpoint.namespace, endpoint.name)
        return claimant if fits else None

    def with_endpoint(self) -> set[str]:
        """Keys of the objects that want a DNSEndpoint, or have one."""
        return {
            c.key
            for c in self._by_uid.values()
            if c.management is Management.EXTERNAL_DNS or c.endpoint is not None
        }

    # ------------------------------------------------ who waits for whom

    def set_blocked(self, uid: str, on: frozenset[str]) -> set[str]:
        """Record who holds what an object waits for; the keys of objects that should look again come back."""
        known = self._blocked.get(uid, frozenset())
        self._blocked[uid] = on
        # Whoever waits for nobody is in no circle: thousands that wait for it are nothing to it.
        return {
            c.key
            for other in known ^ on
            if (c := self._by_uid.get(other)) is not None and self._blocked.get(other) != frozenset()
        }

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
