"""What this process remembers of one object between two reconciles.

Each group of fields has its own small class, and the methods here are the only ones that write to the first five
groups; ``ApiWrites`` belongs to the status writer. Nothing here is stored: a restart loses it, which costs time and
never safety. There is one ``Memory`` per object, so empty collections are shared where they can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailegress.api.names import endpoint_name
from mailegress.api.status import Origin, Status
from mailegress.api.types import MailEgress
from mailegress.model import ownership
from mailegress.model.aws import Change, Eip, Verb
from mailegress.model.dns import Delegated
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.model.facts import WritePhase
from mailegress.model.ownership import Mark
from mailegress.reconcile import dns_checks
from mailegress.reconcile.ports import Views
from mailegress.reconcile.result import Plan
from mailegress.reconcile.settings import ReconcileSettings

NEVER = float("-inf")

EMPTY: frozenset[Any] = frozenset()
"""One for all objects."""

MAX_ANSWERS = 12
"""Readings of one question that are remembered, to detect answers that differ between readings."""

Place = tuple[str, str]
"""(zone ID, hostname)."""


@dataclass(slots=True)
class EditLimit:
    """How often edits and requests of one object renew its readings and end its pauses (S11).

    An edit is honoured at once when none was honoured for ``pause`` seconds. If edits keep coming without such a pause
    between them, they are honoured every ``long_pause`` seconds from the third on.
    """

    seen_at: float = NEVER
    honoured_at: float = NEVER
    count: int = 0
    """Honoured since the last pause."""
    pending: bool = False

    def seen(self, now: float, pause: float) -> None:
        """Note a new edit or request."""
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
        """Note that the pending one was honoured."""
        self.honoured_at, self.pending = now, False
        self.count += 1


@dataclass(slots=True)
class Edits:
    """What users asked for: versions of the spec, requests for a reconcile, the deletion."""

    edit_at: float
    """When the first version, or the last edit that was honoured, was seen."""
    generation: int = -1
    generation_at: float = 0.0
    """When this generation was first seen."""
    edited: bool = False
    """The spec was edited since this process first saw the object."""
    newest_request: str | None = None
    """The newest request for a reconcile."""
    reconcile_request: str | None = None
    """The request for a reconcile that was honoured last."""
    request_at: float = NEVER
    """When ``reconcile_request`` was honoured."""
    handled: bool = False
    """Every source was read after that; or the status told so before this process saw the request."""
    deleting_at: float = NEVER
    """When the deletion was first seen."""
    tags_floor: float = NEVER
    """When an edit brought a selector by tags: a list of addresses that is older does not show who has the tags now."""
    by_tags: bool = False
    """The spec selects addresses by tags: a tag that moves may concern it, whichever address has the tag."""
    limit: EditLimit = field(default_factory=EditLimit)

    def observe(self, obj: MailEgress, now: float, settings: ReconcileSettings) -> bool:
        """Take in the object. True if the spec was edited, or the object deleted, while this process watched it."""
        first, changed = self.generation == -1, self.generation != obj.meta.generation
        edited = changed and not first
        self.edited = self.edited or edited
        if changed:
            self.generation, self.generation_at = obj.meta.generation, now
        if edited:
            self.limit.seen(now, settings.blocked_seconds)
        self._observe_request(obj, now, settings)
        if obj.meta.deletion_timestamp is not None and self.deleting_at == NEVER:
            self.deleting_at = now
            # No edit can follow, so the deletion need not wait behind the edits before it.
            self.limit.honoured_at = NEVER
        return edited

    def _observe_request(self, obj: MailEgress, now: float, settings: ReconcileSettings) -> None:
        request = obj.meta.reconcile_requested_at
        if request == self.newest_request:
            return
        self.newest_request = request
        if request is not None and request != obj.status.last_handled_reconcile_at:
            self.limit.seen(now, settings.blocked_seconds)
        else:
            self.reconcile_request, self.handled = request, True

    def honour(self, now: float) -> bool:
        """Honour what is pending. True if an edit is part of it."""
        self.limit.honour(now)
        edited = self.edit_at < self.generation_at
        if edited:
            self.edit_at = now
        if self.newest_request != self.reconcile_request:
            self.reconcile_request, self.request_at, self.handled = self.newest_request, now, False
        return edited


@dataclass(slots=True)
class PtrHistory:
    """Which PTRs the object's Elastic IPs had, and how often they were repaired."""

    ptr_since: dict[tuple[str, str], float] = field(default_factory=dict)
    """(allocation ID, hostname) -> since when AWS reports that PTR, for as long as it does."""
    ptr_seen_for: tuple[str, ...] = ()
    """Hostnames with an ownership record of this object that a PTR showed while this process watched."""
    matched_since_edit: tuple[tuple[str, str], ...] = ()
    """(allocation ID, hostname) of PTRs that matched since the last edit: one that differs later has drifted."""
    pending_since: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Allocation ID -> since when AWS reports a change of its PTR as PENDING: loop time, and RFC 3339."""
    managed: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(allocation ID, hostname) of PTRs that this process set and recorded as its own, until they were shown and are
    not any more -> were they shown? Somebody may delete or replace the status that tells of them."""
    told: int = 0
    """Changes whenever the status tells of other PTRs of this object."""
    told_at: float = NEVER
    """When another process, or somebody, changed that last; if nobody did, when it was first seen."""
    repairs: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Allocation ID -> when its PTR was repaired, as ``rules/ptr_repair_limit.py`` counts; cleared by an edit."""

    def observe(
        self, hostname: str, used: Iterable[tuple[str, str]], own_names: set[str], views: Views, now: float
    ) -> None:
        """Note which PTR each Elastic IP has: as AWS reports it, or as DNS does where AWS has no PTR API."""
        report = views.dns.public(hostname).value
        since: dict[tuple[str, str], float] = {}
        for region, allocation_id in used:
            view = views.addresses.get(region).value if region in views.addresses.regions else None
            eip = view.eips.get(allocation_id) if view is not None else None
            if view is None or eip is None:
                continue
            shown = eip.ptr.name
            self._observe_managed(allocation_id, eip)
            if (
                not view.ptr_supported
                and report is not None
                and dns_checks.ptr_seen(report, eip.public_ip, hostname)
            ):
                shown = hostname
            if shown is None:
                continue
            if shown in own_names and shown not in self.ptr_seen_for:
                self.ptr_seen_for += (shown,)
            if eip.ptr.status:
                continue
            place = (allocation_id, shown)
            if eip.ptr.name == hostname and place not in self.matched_since_edit:
                self.matched_since_edit += (place,)
            since[place] = self.ptr_since.get(place, now)
        self.ptr_since = since

    def observe_told(self, status: Status, now: float) -> None:
        """Note when the status tells of other PTRs or records than before: another process may have written that."""
        told = _told(status)
        if told != self.told:
            self.told, self.told_at = told, now

    def _observe_managed(self, allocation_id: str, eip: Eip) -> None:
        for place, seen in tuple(self.managed.items()):
            if place[0] != allocation_id:
                continue
            if eip.ptr.name == place[1]:
                self.managed[place] = True
            elif seen and not eip.ptr.pending:
                del self.managed[place]

    def observe_pending(
        self, used: Iterable[tuple[str, str]], views: Views, now: float, timestamp: str
    ) -> None:
        """Note since when AWS reports changes of PTRs as PENDING. ``timestamp`` is ``now`` as RFC 3339."""
        found: dict[str, tuple[float, str]] = {}
        for region, allocation_id in used:
            view = views.addresses.get(region).value if region in views.addresses.regions else None
            eip = view.eips.get(allocation_id) if view is not None else None
            if eip is not None and eip.ptr.pending:
                found[allocation_id] = self.pending_since.get(allocation_id, (now, timestamp))
        self.pending_since = found


@dataclass(slots=True)
class DnsAnswers:
    """What DNS answered lately, and which questions were not answered as wanted."""

    answers: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """Question -> (when the reading began, its answer; empty: as wanted) of the last readings since the edit."""
    unsatisfied: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Question -> (readings in a row that did not satisfy, when the last of them began): paces the next one."""
    public_ptrs: frozenset[tuple[str, str]] = EMPTY
    """(address, hostname) that public resolvers showed as the PTR."""
    delegated: Delegated | None = None
    """To which hosted zone the parent zone was last seen to delegate, and since when."""

    def observe(self, hostname: str, views: Views) -> None:
        """Note which PTRs public resolvers show for the hostname."""
        report = views.dns.public(hostname).value
        kept = {place for place in self.public_ptrs if place[1] == hostname}
        if report is not None:
            kept |= {(ip, hostname) for ip in report.addresses if dns_checks.ptr_seen(report, ip, hostname)}
        if kept != self.public_ptrs:
            self.public_ptrs = frozenset(kept) or EMPTY

    def record_plan(self, plan: Plan) -> None:
        """Note which answers the plan used and which of them did not satisfy it."""
        unsatisfied: dict[str, tuple[int, float]] = {}
        for question, at in plan.unsatisfied:
            count, last = self.unsatisfied.get(question, (0, NEVER))
            unsatisfied[question] = (count + 1, at) if at > last else (count, last)
        self.unsatisfied = unsatisfied
        for question, at, said in plan.heard:
            past = self.answers.setdefault(question, [])
            if not past or at > past[-1][0]:
                past.append((at, said))
                del past[:-MAX_ANSWERS]
        if plan.delegated is not None:
            self.delegated = plan.delegated


@dataclass(slots=True)
class OwnershipRecords:
    """The object's ownership records in Route 53, and its DNSEndpoint. Every place is (zone ID, hostname)."""

    complete: bool
    """Seen before it could own anything: no zone needs to be listed to know what it owns."""
    origins: dict[Place, Origin] = field(default_factory=dict)
    """As last read, so that an ownership record that was deleted by others is restored as it was."""
    submitted: frozenset[Place] = EMPTY
    """Handed to the writer; the outcome was not seen yet."""
    written: dict[Place, str | None] = field(default_factory=dict)
    """Written by this process and still there -> account of the zone as last listed. Confirms ownership (S2)."""
    begun: frozenset[Place] = EMPTY
    """Nothing of this object was there, so this process asked for it, with whatever outcome."""
    owned: tuple[Place, ...] = ()
    """As of the last reconcile: ownership records of this object in zones that exist."""
    places: tuple[Place, ...] = ()
    """Those, and the place that the spec names, as of the last reconcile."""
    generation_without_records: int | None = None
    """The newest generation seen with a status that tells of no write: the object is new, or somebody deleted its
    status, and an operator that had read nothing yet may have written another one."""
    endpoint_seen: bool = False
    """The object's own DNSEndpoint existed while this process watched."""
    endpoint_names: frozenset[str] = EMPTY
    """Hostnames that this process wrote into the DNSEndpoint."""
    endpoint_repairs: tuple[float, ...] = ()
    """When the object's DNSEndpoint was repaired since the last edit, within an hour; loop times, oldest first."""

    @classmethod
    def first(cls, obj: MailEgress) -> OwnershipRecords:
        """What the object's status records of an earlier process's readings."""
        status = obj.status
        # Who edited the spec may have renamed it, and may have removed the finalizer and the status too.
        records = cls(complete=obj.untouched and obj.meta.generation == 1)
        origin = status.forward.origin if status.forward is not None else None
        if origin is None or status.zone is None or status.hostname is None:
            return records
        records.origins[(status.zone.id, status.hostname)] = origin
        return records

    def observe(self, uid: str, views: Views) -> None:
        """Take in what the record readings and the writer show."""
        for place in views.records.marked(uid):
            mark = _mark_at(place, views)
            if mark is not None and mark.uid == uid:
                self.origins[place] = Origin.ADOPTED if mark.adopted else Origin.MANAGED
        self._observe_writes(views)
        if None in self.written.values():
            accounts = {zone.id: zone.account_id or None for zone in views.zones.get().value or ()}
            for place, account in self.written.items():
                self.written[place] = account or accounts.get(place[0])
        for place in self.written.keys() - self.submitted:
            mark = _mark_at(place, views)
            if views.records.get(*place).value is not None and (mark is None or mark.uid != uid):
                del self.written[place]

    def endpoint_hostnames(self, obj: MailEgress, endpoint: DnsEndpoint) -> frozenset[str]:
        """The hostnames in the object's DNSEndpoint that are the object's (S2).

        Whoever may edit the DNSEndpoint can add some, in whatever manager's name. So the object's status must name them
        (it is written before the DNSEndpoint), or this process wrote them.
        """
        recorded = obj.status.dns_endpoint
        known = frozenset(recorded.hostnames) if recorded is not None else EMPTY
        return endpoint.names() & (known | self.endpoint_names)

    def _observe_writes(self, views: Views) -> None:
        for place in tuple(self.submitted):
            write = views.zone_writes.state(*place)
            if write is not None and write.busy:
                continue
            self.submitted = self.submitted - {place} or EMPTY
            if write is not None and write.phase is not WritePhase.FAILED and not write.returned:
                self.written.setdefault(place, None)

    def record_endpoint(self, change: ChangeEndpoint) -> None:
        """Note a change of the DNSEndpoint that is about to be sent."""
        self.endpoint_names |= frozenset(entry.hostname for entry in change.entries)
        if change.repairs is not None:
            self.endpoint_repairs = change.repairs

    def record_submitted(self, place: Place, changes: Sequence[Change]) -> None:
        """Note changes that are handed to the writer."""
        verbs = {change.verb for change in changes if change.record_set.type == "TXT"}
        if verbs == {Verb.CREATE}:
            self.begun |= {place}
        if Verb.CREATE in verbs:
            self.submitted |= {place}
        elif Verb.DELETE in verbs:
            self.origins.pop(place, None)


@dataclass(slots=True)
class Progress:
    """How far the object is, for the conditions Ready and Stalled (see ``summarise``)."""

    since: float
    """When ``key`` changed last."""
    key: int = 0
    """Changes whenever something moves."""
    ready_generation: int = -1
    """The last generation that this process saw Ready."""
    stalled_generation: int = -1
    """The last generation that was Stalled without another object in its way."""
    looked: bool = False
    """This process has planned for it, or waits for its record before it does."""

    def observe(self, key: int, now: float) -> None:
        """Note whether something moved since the last reconcile."""
        if key != self.key:
            self.key, self.since = key, now


@dataclass(slots=True)
class ApiWrites:
    """Writes to the API server for this object."""

    failures: int = 0
    """Refusals since a status was last stored, however many reconciles came between them."""
    retry_at: float = NEVER
    """Nothing is written before this moment, unless the object is edited."""
    conflicts: int = 0
    """Writes in a row that met a newer version of the object."""
    last_written_status: bytes | None = None
    """Digest of the status as the API server returned it to the last write."""
    canonical_version: str = ""
    """Version of the object whose stored status was seen to be in the form that the operator writes."""
    competing_writes: int = 0
    """How often, lately, another writer had replaced that status."""
    competing_write_at: float = NEVER
    status_held_since: float | None = None
    """Since when the status differs from the stored one without being worth a write."""


@dataclass(slots=True)
class Memory:
    """What this process remembers of one object."""

    uid: str
    key: str
    first_seen: float
    edits: Edits
    progress: Progress
    ownership: OwnershipRecords
    ptrs: PtrHistory = field(default_factory=PtrHistory)
    dns: DnsAnswers = field(default_factory=DnsAnswers)
    api: ApiWrites = field(default_factory=ApiWrites)
    used: tuple[tuple[str, str], ...] = ()
    """(region, allocation ID) of the Elastic IPs that the last reconcile dealt with."""
    refused: frozenset[str] = EMPTY
    """Allocation IDs of those that no policy allowed then."""
    gateways: frozenset[tuple[str, str]] = EMPTY
    """(region, ID) of the regional NAT gateways that the last reconcile dealt with."""

    @classmethod
    def first(cls, obj: MailEgress, now: float) -> Memory:
        """The memory of an object that is seen for the first time."""
        return cls(
            uid=obj.meta.uid,
            key=f"{obj.meta.namespace}/{obj.meta.name}",
            first_seen=now,
            edits=Edits(edit_at=now),
            progress=Progress(since=now),
            ownership=OwnershipRecords.first(obj),
        )

    @property
    def by_tags(self) -> bool:
        """Does it select addresses by tags?"""
        return self.edits.by_tags

    @property
    def watched(self) -> frozenset[str]:
        """Allocation IDs of the Elastic IPs that the last reconcile dealt with, or refused."""
        return frozenset(allocation_id for _, allocation_id in self.used) | self.refused

    @property
    def places(self) -> tuple[Place, ...]:
        """(zone ID, hostname) that the last reconcile dealt with."""
        return self.ownership.places

    def observe(self, obj: MailEgress, views: Views, now: float, settings: ReconcileSettings) -> bool:
        """Take in the object and the shared readings. True if it was edited or deleted while this process watched."""
        self.edits.by_tags = any(selector.by_tags for selector in obj.spec.elastic_ips)
        generation = self.edits.generation
        edited = self.edits.observe(obj, now, settings)
        if self.edits.generation != generation:
            resolved = {a.selector for a in obj.status.addresses if a.allocation_id}
            if any(s.by_tags and str(s) not in resolved for s in obj.spec.elastic_ips):
                self.edits.tags_floor = now
            self.ptrs.matched_since_edit = ()
            self.dns.answers.clear()
        if now >= self.edits.limit.due(settings.blocked_seconds, settings.resync_seconds):
            self._honour_edits(now)
        if obj.records_no_write:
            self.ownership.generation_without_records = obj.meta.generation
        self.ownership.observe(self.uid, views)
        self.dns.observe(obj.spec.hostname, views)
        own_names = {hostname for _, hostname in self.ownership.origins}
        endpoint = views.endpoints.get(obj.meta.namespace, endpoint_name(obj.meta.name))
        if endpoint is not None and endpoint.owner == self.uid:
            self.ownership.endpoint_seen = True
            own_names |= self.ownership.endpoint_hostnames(obj, endpoint)
        self.ptrs.observe_told(obj.status, now)
        self.ptrs.observe(obj.spec.hostname, self.used, own_names, views, now)
        return edited

    def _honour_edits(self, now: float) -> None:
        """Act upon the edit or the request that is pending: readings are made anew, pauses end."""
        if self.edits.honour(now):
            self.api.retry_at = NEVER
            self.ptrs.repairs.clear()
            self.ownership.endpoint_repairs = ()
        self.dns.unsatisfied.clear()

    def record_status(self, status: Status) -> None:
        """Note the status that this process wrote: what it tells was read before."""
        self.ptrs.told = _told(status)

    def record_plan(self, plan: Plan) -> None:
        """Keep what the next reconcile must know of this plan."""
        self.dns.record_plan(plan)
        if not plan.needs and not any(finding.inconclusive for finding in plan.findings.values()):
            self.edits.handled = True
        shown = {(a.region, a.allocation_id) for a in plan.addresses if a.region and a.allocation_id}
        self.used = tuple(plan.wanted | shown)
        self.refused = plan.refused
        self.gateways = plan.gateways or EMPTY
        owned, current = self.ownership.owned, plan.place
        self.ownership.places = owned if current is None or current in owned else (*owned, current)


def _told(status: Status) -> int:
    ptrs = (
        (a.allocation_id, a.ptr, a.ptr_update) for a in status.addresses if a.ptr_origin is Origin.MANAGED
    )
    places = ((place.zone_id, place.hostname) for place in status.former_records)
    zone = status.zone.id if status.zone is not None else None
    return hash((tuple(ptrs), tuple(places), zone, status.hostname))


def _mark_at(place: Place, views: Views) -> Mark | None:
    """The ownership record that the newest reading shows there."""
    view = views.records.get(*place).value
    return ownership.parse(view.mark.values) if view is not None and view.mark is not None else None
