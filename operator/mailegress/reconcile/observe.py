"""Everything a reconcile may look at: one object and what is known of it now."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailegress.api.conditions import READY, TRUE
from mailegress.api.names import endpoint_name
from mailegress.api.reasons import CHANGE_REJECTED, READY_REASON
from mailegress.api.status import AddressStatus
from mailegress.api.types import MailEgress, Management
from mailegress.model.aws import Absence
from mailegress.model.endpoints import DnsEndpoint
from mailegress.model.facts import ErrorKind, WritePhase, WriteState
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.ports import Views
from mailegress.reconcile.settings import ReconcileSettings


@dataclass(frozen=True, slots=True)
class Observed:
    """One object and what is known of it, now (loop time)."""

    now: float
    obj: MailEgress
    memory: Memory
    views: Views
    settings: ReconcileSettings
    absences: Mapping[tuple[str, str], Absence] = field(default_factory=dict)
    """By region and allocation ID, for recorded EIPs that the newest sweep does not show."""

    @property
    def deleting(self) -> bool:
        return self.obj.meta.deletion_timestamp is not None

    @property
    def managed(self) -> bool:
        """Does this operator write the A record? Under Observed it only waits for it."""
        return self.obj.spec.forward.management is Management.MANAGED

    @property
    def decides_record(self) -> bool:
        """Does this object say what the A record contains? Under Observed others do."""
        return self.obj.spec.forward.management is not Management.OBSERVED

    @property
    def external(self) -> bool:
        """Does external-dns write the A record, as this operator's DNSEndpoint asks?"""
        return self.obj.spec.forward.management is Management.EXTERNAL_DNS

    @property
    def endpoint(self) -> DnsEndpoint | None:
        """The object's own DNSEndpoint. Under ExternalDNS one of a predecessor with the same name is taken over."""
        meta = self.obj.meta
        found = self.views.endpoints.get(meta.namespace, endpoint_name(meta.name))
        if found is None or found.owner is None:
            return None
        left = self.external and not self.views.claims.live(found.owner)
        return found if found.owner == meta.uid or left else None

    @property
    def edit_floor(self) -> float:
        """Readings of its own older than this are not used to serve a new generation or a requested reconcile."""
        return max(self.memory.edits.edit_at - self.settings.reuse_seconds, self.memory.edits.request_at)

    @property
    def request_floor(self) -> float:
        """The same for readings that are shared with all objects: one request does not renew what is still new."""
        return self.memory.edits.request_at - self.settings.blocked_seconds

    @property
    def shared_floor(self) -> float:
        return max(self.memory.edits.edit_at - self.settings.reuse_seconds, self.request_floor)

    @property
    def pending_edit_due(self) -> float:
        """When an edit or request that came too early is honoured; infinity if none did."""
        return self.memory.edits.limit.due(self.settings.blocked_seconds, self.settings.resync_seconds)

    def spread(self, interval: float) -> float:
        """This object's share of an interval (0 to ``interval`` seconds): a restart asks nothing all at once."""
        return interval * (zlib.crc32(self.obj.meta.uid.encode()) % 1024) / 1024

    @property
    def absence_floor(self) -> float:
        """A reading that began before the edit does not prove that what it names is missing."""
        return max(self.memory.edits.generation_at, self.request_floor)

    @property
    def converged(self) -> bool:
        """This generation was verified: by this process, or so says a status that fits."""
        return self.memory.progress.ready_generation == self.obj.meta.generation or self.fits()

    def recorded(self) -> tuple[AddressStatus, ...]:
        """EIPs that an earlier pass wrote down; hints, never a reason to delete anything by themselves."""
        return tuple(a for a in self.obj.status.addresses if a.allocation_id and a.region and a.public_ip)

    def recorded_for(self, allocation_id: str) -> AddressStatus | None:
        return next((a for a in self.recorded() if a.allocation_id == allocation_id), None)

    def owned(self) -> tuple[tuple[str, str], ...]:
        """(zone ID, hostname) where our mark stands, in zones that still exist, in a fixed order."""
        zones = self.views.zones.get().value or ()
        ids = {z.id for z in zones}
        return tuple(sorted(p for p in self.views.records.marked(self.obj.meta.uid) if p[0] in ids))

    def stands(self, kind: str) -> bool:
        """Is this condition True for what the object asks for now?"""
        found = self.obj.status.condition(kind)
        return (
            found is not None
            and found.status == TRUE
            and found.observed_generation == self.obj.meta.generation
            and self.obj.status.hostname == self.obj.spec.hostname
        )

    def streak(self, question: str, at: float) -> int:
        """How many readings in a row, this one included, did not satisfy."""
        count, last = self.memory.dns.unsatisfied.get(question, (0, float("-inf")))
        return count + 1 if at > last else count

    def doubted(self, region: str, allocation_id: str) -> float | None:
        """Since when a PTR write is without an answer and the PTR was not read again; None if it was."""
        write = self.views.ptr_writes.state(region, allocation_id)
        if write is None or write.phase is not WritePhase.UNKNOWN:
            return None
        return None if self.views.addresses.ptr(region, allocation_id).fresh(write.at) else write.at

    def ptr_under_way(self, region: str, allocation_id: str) -> bool:
        """Is a PTR write waiting, sent, or without a known outcome? What EC2 showed last proves nothing then."""
        write = self.views.ptr_writes.state(region, allocation_id)
        return (write is not None and write.busy) or self.doubted(region, allocation_id) is not None

    def rest(self, since: float, pause: float) -> float:
        """Seconds left of a pause that began then. An edit, or a look that somebody asked for later, ends it, but not
        more often than such are honoured.
        """
        if max(self.memory.edits.edit_at, self.memory.edits.request_at) > since:
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
        """The hostnames of which an ownership record, or the object's own DNSEndpoint, shows that they are its."""
        return frozenset(name for _, name in self.owned()) | self.endpoint_names()

    @property
    def endpoint_changed_at(self) -> float:
        """Since when the object's DNSEndpoint may ask for another record of ``spec.hostname`` than before."""
        meta = self.obj.meta
        return self.views.endpoints.changed_at(
            meta.namespace, endpoint_name(meta.name), self.obj.spec.hostname
        )

    def endpoint_names(self) -> frozenset[str]:
        """The hostnames in the object's own DNSEndpoint that are the object's."""
        own = self.endpoint
        return self.memory.ownership.endpoint_hostnames(self.obj, own) if own is not None else frozenset()

    def ptr_names(self) -> frozenset[str]:
        """Every name that a PTR which the operator set for this object may show.

        Under Observed no ownership record names the former ones.
        """
        return self.own_names() | self.obj.former_hostnames() | {self.obj.spec.hostname}

    def searched(self) -> bool:
        """Is nothing left that a former process may have written, and of which the status does not tell?"""
        return self.memory.ownership.complete or self.fits() or bool(self.views.records.all_swept().value)

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
