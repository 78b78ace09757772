"""The A record and its ownership record under management Managed (E1, E7).

A record that is not this object's is never changed (S2). An old address stays in the record until its PTR is gone (S4),
and a new one joins only if its PTR is not a third party's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.status import Origin
from mailegress.model import ownership
from mailegress.model.aws import Change, NameView, RecordSet, Verb, Zone
from mailegress.model.dns import Delegated, Expected
from mailegress.model.facts import NEVER, WritePhase, WriteState
from mailegress.model.ownership import Mark
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    ChangeRecords,
    Finding,
    NeedName,
    NeedZones,
    failed,
    from_fault,
    in_words,
    under_way,
    unknown,
)
from mailegress.reconcile.rules import suspend, unseen
from mailegress.reconcile.rules.adoption import nobody_joins, pointed, record_problem
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.delegation import delegated
from mailegress.reconcile.rules.leaving import Leaving, leaving, missing
from mailegress.reconcile.rules.ownership_check import recorded_places, vouched
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.propagation import prove
from mailegress.reconcile.rules.record_changes import mark_set, swap
from mailegress.reconcile.rules.record_values import being_replaced, final_values, may_change
from mailegress.reconcile.rules.targets import Targets
from mailegress.reconcile.rules.zones import Choice


@dataclass(frozen=True, slots=True)
class RecordState:
    """What is known of the A record of ``spec.hostname``."""

    finding: Finding
    values: frozenset[str] = frozenset()
    """As read from Route 53 (Observed: as answered by the authorities), our mark beside them or not."""
    ttl: int | None = None
    mine: bool = False
    """The mark is ours, so the addresses in ``values`` have joined (Observed: the record holds them)."""
    barred: frozenset[str] = frozenset()
    """Observed: addresses that may not join, because of their PTR or claim, whether the record holds them or not."""
    adopted: bool = False
    origin: Origin | None = None
    """As our ownership record shows it, or showed it before a third party removed it."""
    complete: bool = False
    """The record holds exactly what is wanted and nothing is under way."""
    answered: frozenset[str] | None = None
    """ExternalDNS: what the authoritative servers answered; ``values`` is what the endpoint asks for."""
    verified: bool = False
    """Every authoritative server was heard to say so after our last write, recently enough to open the gate (S1)."""
    wanted: frozenset[str] = frozenset()
    """What the record is to hold now, old addresses in transition included."""
    final: frozenset[str] = frozenset()
    """What it is to hold in the end."""
    change_id: str | None = None
    zone: Zone | None = None
    held: bool = False
    """The status may name the zone: our confirmed ownership record stands there, or is about to be written."""
    known: bool = False
    """The record was read (Observed: heard of)."""
    stands: bool = False
    """It was verified before and nothing was heard against it; the authorities were not asked again yet."""
    delegated: Delegated | None = None
    """To which hosted zone the parent delegates, and since when."""

    def joined(self, address: str) -> bool:
        """Is the address in the record by right? Only then its PTR is kept whatever it shows."""
        return self.mine and address in self.values and address not in self.barred


def assess(
    observed: Observed, builder: PlanBuilder, targets: Targets, claims: Claims, choice: Choice
) -> RecordState:
    """Compare the record with what is wanted; propose at most one change batch."""
    zone, hostname = choice.zone, observed.obj.spec.hostname
    if zone is None:
        return RecordState(choice.finding or unknown(reasons.PROGRESSING, "Selecting the hosted zone."))
    fact = observed.views.records.get(zone.id, hostname)
    if fact.fault is not None and fact.fault.reason == reasons.ZONE_NOT_FOUND.name:
        builder.have(observed.views.zones.get(), fact.tried_at, NeedZones(fact.tried_at))
    write = observed.views.zone_writes.state(zone.id, hostname)
    floor = _floor(observed, fact.at)
    if not builder.have(fact, floor, NeedName(zone.id, hostname, floor)) and fact.value is None:
        if fact.fault is not None:
            return RecordState(from_fault(fact.fault, f"Reading {hostname} in zone {zone.id}: "), zone=zone)
        if write is not None and write.fault is not None:
            return RecordState(from_fault(write.fault), zone=zone)
        return RecordState(
            unknown(reasons.PROGRESSING, f"Reading {hostname} in zone {zone.id}.", inconclusive=True),
            zone=zone,
        )
    view = fact.value
    assert view is not None
    return _Record(observed, builder, targets, claims, choice, zone, view, write, fact.at).judge()


def _floor(observed: Observed, at: float) -> float:
    """How new the reading of the record must be."""
    # Rounds renew the reading; an object asks by itself only if they fail to.
    idle = max(observed.now - 2 * observed.settings.record_sweep_seconds, observed.memory.edits.request_at)
    if observed.converged:
        return idle
    return max(idle, observed.edit_floor)


@dataclass(slots=True)
class _Record:
    observed: Observed
    builder: PlanBuilder
    targets: Targets
    claims: Claims
    choice: Choice
    zone: Zone
    view: NameView
    write: WriteState | None
    read_at: float

    def judge(self) -> RecordState:
        s = self.observed
        simple = next((r for r in self.view.of_type("A") if r.simple), None)
        values = frozenset(simple.values) if simple else frozenset()
        mark = ownership.parse(self.view.mark.values) if self.view.mark else None
        marked = mark is not None and mark.uid == s.obj.meta.uid and s.settings.mine(mark.owner)
        mine = marked and (simple is None or vouched(s, self.zone.id, self.view))
        final = final_values(s, self.targets, self.claims, values if mine else frozenset())
        old = self._leaving(values - final, mine)
        free = simple is None and self.view.mark is None
        wanted = self._restored(values, final | old.stay) if mine or free else final
        base = RecordState(
            finding=unknown(reasons.PROGRESSING, "Preparing the A record."),
            values=values,
            ttl=simple.ttl if simple else None,
            mine=mine,
            adopted=mine and mark is not None and mark.adopted,
            origin=self._remembered() if mine or self.view.mark is None else None,
            wanted=wanted,
            final=final,
            zone=self.zone,
            change_id=self.write.change_id if self.write is not None and self.write.publishing else None,
            held=(mine and simple is not None) or self._still_held(simple, marked),
        )
        if self.claims.hostname is not Hold.MINE:
            return self._with(base, self.claims.finding or base.finding)
        if self.write is not None and self.write.busy and not self._must_shrink():
            return self._with(base, under_way(self.write, self._writing(wanted)))
        if not self.targets.known or not self.claims.decided:
            # What is wanted is not known yet, so nothing that is there can be called wrong.
            fault = self.targets.fault
            return self._with(
                base,
                from_fault(fault)
                if fault
                else unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", inconclusive=True),
            )
        conflict = record_problem(
            s,
            self.targets,
            self.claims,
            self.view,
            mark,
            mine=mine,
            wanted=wanted,
            known=self._remembered(),
        )
        if conflict is not None:
            return self._with(base, self._blocked(conflict))
        changes, why = self._changes(simple, mark, mine, values, wanted)
        if old.reading is not None and not self.targets.lost:
            # One change, not two: what it takes out is known in a moment.
            return self._with(base, under_way(self.write, old.reading))
        if changes and may_change(self.targets, wanted):
            base = replace(base, held=base.held or not s.obj.spec.suspend)
            return self._with(base, self._propose(changes, why, wanted))
        if not wanted and not values:
            return self._with(base, nobody_joins(s, self.targets, self.claims))
        return self._settled(base, old)

    @staticmethod
    def _with(
        base: RecordState, finding: Finding, *, complete: bool = False, verified: bool = False
    ) -> RecordState:
        return replace(base, finding=finding, complete=complete, verified=verified, known=True)

    def _still_held(self, simple: RecordSet | None, marked: bool) -> bool:
        """The status names this place already, and nothing that was read contradicts it."""
        place = (self.zone.id, self.observed.obj.spec.hostname)
        if self.write is not None and self.write.busy and place in self.observed.memory.ownership.submitted:
            return True
        free = self.view.mark is None and simple is None
        return place in recorded_places(self.observed) and (marked or free)

    def _must_shrink(self) -> bool:
        """A change waits to be sent that was composed before an address was lost: another takes its place."""
        write = self.write
        waits = write is not None and write.phase is WritePhase.QUEUED and not write.urgent
        return waits and bool(self.targets.lost)

    def _writing(self, wanted: frozenset[str]) -> Finding:
        values = f": {dns_checks.listing(wanted)}" if wanted else ""
        return self._pending(f"Writing the A record of {self.observed.obj.spec.hostname}{values}.")

    def _pending(self, message: str) -> Finding:
        return failed(reasons.CHANGE_PENDING, message)

    # ------------------------------------------------ what the record is to hold

    def _leaving(self, addresses: frozenset[str], mine: bool) -> Leaving:
        if not mine:
            return Leaving()
        hostname, gone = self.observed.obj.spec.hostname, addresses - self.targets.lost
        return leaving(self.observed, self.builder, self.targets, gone, hostname, self.read_at)

    def _restored(self, values: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
        """A record that is written anyway gets back what somebody removed, or what the one in a former zone holds."""
        if values == wanted:
            return wanted
        return wanted | missing(
            self.observed, self.targets, self.observed.obj.spec.hostname, self.zone.id, wanted
        )

    # ------------------------------------------------ conflicts and changes

    def _blocked(self, conflict: Finding) -> Finding:
        """A record set stands in the way. It is read again, and a reading from before an edit proves nothing."""
        if conflict.reason not in (reasons.RECORD_CONFLICT.name, reasons.RECORD_NOT_ADOPTED.name):
            return conflict
        s, zone_id, hostname = self.observed, self.zone.id, self.observed.obj.spec.hostname
        fact = s.views.records.get(zone_id, hostname)
        self.builder.look_again(
            s,
            "record",
            fact,
            lambda due: NeedName(zone_id, hostname, due, patient=due > s.absence_floor),
        )
        if fact.fresh(s.absence_floor) or fact.fault is not None:
            return conflict
        return unknown(reasons.PROGRESSING, f"Reading {hostname} in zone {zone_id} again.", inconclusive=True)

    def _remembered(self) -> Origin | None:
        """What our ownership record showed last, should a third party have deleted it."""
        return self.observed.memory.ownership.origins.get((self.zone.id, self.observed.obj.spec.hostname))

    def _changes(
        self,
        simple: RecordSet | None,
        mark: Mark | None,
        mine: bool,
        values: frozenset[str],
        wanted: frozenset[str],
    ) -> tuple[tuple[Change, ...], str]:
        s, hostname = self.observed, self.observed.obj.spec.hostname
        if not wanted:
            return self._withdraw(simple, mark, mine)
        remembered = None if self.view.mark is not None else self._remembered()
        adopted = (
            mark.adopted
            if mark is not None
            else remembered is Origin.ADOPTED
            if remembered
            else simple is not None
        )
        ttl = s.obj.spec.forward.ttl_seconds or s.settings.default_ttl_seconds
        if adopted and simple is not None and values == wanted:
            ttl = simple.ttl if simple.ttl is not None else ttl
        target = RecordSet(hostname, "A", ttl, tuple(sorted(wanted)))
        record_differs = simple is None or frozenset(simple.values) != wanted or simple.ttl != ttl
        if record_differs:
            # Our first change of an adopted set's values makes it ours. Not while the object's DNSEndpoint asks for it,
            # too: then it is external-dns that made it and deletes it.
            adopted = adopted and simple is not None and hostname in s.endpoint_names()
        new_mark = mark_set(hostname, Mark(adopted, s.settings.owner_id, s.obj.meta.uid))
        changes: list[Change] = []
        if record_differs:
            changes += swap(simple, target)
        if record_differs or self.view.mark is None or self.view.mark.values != new_mark.values:
            # The mark is part of every compare-and-swap: a mark that changed since it was read stops the change.
            changes += swap(self.view.mark, new_mark)
        if simple is None:
            why = f"create A {dns_checks.listing(wanted)}"
        elif record_differs:
            why = f"change A from {dns_checks.listing(values)} to {dns_checks.listing(wanted)}, TTL {ttl}"
        elif self.view.mark is None:
            why = "adopt the A record" if remembered is None else "restore the ownership record"
        else:
            why = "take over the ownership record"
        return tuple(changes), why

    def _withdraw(
        self, simple: RecordSet | None, mark: Mark | None, mine: bool
    ) -> tuple[tuple[Change, ...], str]:
        """Nothing may be published: what is ours goes, what was adopted stays."""
        if not mine or mark is None or mark.adopted or simple is None:
            return (), ""
        changes = [Change(Verb.DELETE, simple)]
        if self.view.mark is not None:
            changes.append(Change(Verb.DELETE, self.view.mark))
        return tuple(changes), f"withdraw A {dns_checks.listing(simple.values)}"

    def _propose(self, changes: tuple[Change, ...], why: str, wanted: frozenset[str]) -> Finding:
        s = self.observed
        rest = s.rest_of(self.write)
        if rest and self.write is not None and self.write.fault is not None:
            self.builder.later(rest)
            return from_fault(self.write.fault)
        urgent = bool(self.targets.lost)
        action = ChangeRecords(self.zone.id, s.obj.spec.hostname, changes, why, urgent)
        self.builder.act(action)
        if (suspended := suspend.instead(s, in_words(action))) is not None:
            return suspended
        return under_way(self.write, self._writing(wanted))

    # ------------------------------------------------ proof by DNS

    def _settled(self, base: RecordState, old: Leaving) -> RecordState:
        s, hostname = self.observed, self.observed.obj.spec.hostname
        wrote_at = NEVER
        # A write without an answer counts: it may have been the one that made the record what it is.
        if self.write is not None and self.write.phase in (
            WritePhase.APPLIED,
            WritePhase.INSYNC,
            WritePhase.UNKNOWN,
        ):
            wrote_at = self.write.at
            if self.write.publishing:
                return self._with(base, self._pending(f"Route 53 is publishing the A record of {hostname}."))
        if self.choice.servers is None:
            servers = s.views.zones.name_servers(self.zone.id)
            if servers.fault is not None:
                return self._with(base, from_fault(servers.fault))
            return self._with(
                base,
                unknown(
                    reasons.PROGRESSING, f"Reading the name servers of {self.zone.name}.", inconclusive=True
                ),
            )
        proof = prove(
            s,
            self.builder,
            Expected(base.values, exact=True, mark=self._listed_mark()),
            max(wrote_at, s.endpoint_changed_at),
            pointed=pointed(s, self.targets),
            zone=self.zone.name,
            servers=self.choice.servers,
        )
        finding = proof.finding
        if not finding.ok and (untold := self._untold(finding)) is not None:
            finding = untold
        self._compare_mark()
        heard_at = s.views.dns.authorities(hostname).at
        if not finding.ok and heard_at > self.read_at:
            # The world says something else: what Route 53 holds is read again before it is believed any longer.
            self.builder.need(NeedName(self.zone.id, hostname, heard_at))
        stands = proof.stands
        if finding.ok or stands or finding.inconclusive:
            # Also where no server was asked yet: Ready ends before a PTR of an address that leaves is reset (S3).
            blocker = self._blocker(base, old)
            stands = stands and blocker is None
            finding = blocker or finding
        settled = self._with(base, finding, complete=base.values == base.wanted, verified=proof.verified)
        parent = delegated(s, self.builder, self.zone, self.choice.servers)
        return replace(settled, stands=stands and settled.complete, delegated=parent)

    def _blocker(self, base: RecordState, old: Leaving) -> Finding | None:
        """What keeps a record that every server returns from being Ready."""
        if self.choice.finding is not None:
            return self.choice.finding
        if (problem := self.targets.problem) is not None:
            # Before what is under way: an address that nothing replaces does not leave until this is mended.
            return problem
        if (hidden := old.refused or self._hidden(base.values - base.final)) is not None:
            return hidden
        return being_replaced(self.observed, self.targets, self.claims, base.values, base.final)

    def _compare_mark(self) -> None:
        """An authority shows another ownership record than Route 53 listed last: the name is read again.

        Asking DNS costs AWS nothing; otherwise a deleted ownership record is seen with the next list of the zone only.
        """
        s, hostname = self.observed, self.observed.obj.spec.hostname
        sample = s.views.dns.sample_authority(hostname)
        if sample.value is None or sample.value.mark is None or sample.at <= self.read_at:
            return
        if set(sample.value.mark) != set(self._listed_mark()):
            self.builder.need(NeedName(self.zone.id, hostname, sample.at))

    def _listed_mark(self) -> tuple[str, ...]:
        return tuple(self.view.mark.values) if self.view.mark is not None else ()

    def _untold(self, finding: Finding) -> Finding | None:
        """GetChange is refused or unanswered: the reason, for as long as the authorities do not agree either.

        Their agreement stands for INSYNC, as it does when the change ID is lost in a restart.
        """
        write = self.write
        if write is None or write.phase is not WritePhase.APPLIED or write.fault is None:
            return None
        if finding.reason not in (reasons.PROGRESSING.name, reasons.AUTHORITIES_DISAGREE.name):
            return None
        hostname = self.observed.obj.spec.hostname
        fault = write.fault.message.removesuffix(".")
        text = (
            f"Whether Route 53 has published the A record of {hostname} is not known: {fault}. The operator "
            "queries the authoritative name servers instead, and continues when all of them return it."
        )
        return replace(from_fault(write.fault), message=text, inconclusive=False)

    def _hidden(self, leaving: frozenset[str]) -> Finding | None:
        """Why an address that leaves cannot: nobody can look at its PTR."""
        for ip in sorted(leaving):
            if self.targets.find(self.observed, ip) is None:
                hidden = unseen.holding(self.observed, self.builder, ip)
                if hidden is not None and not hidden.waits:
                    return hidden.finding
        return None
