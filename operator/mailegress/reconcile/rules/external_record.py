"""The A record under management ExternalDNS: the operator writes one DNSEndpoint, and external-dns makes the record.

External-dns neither waits nor verifies. So the endpoint only says what is wanted; the PTRs wait for the authoritative
servers as under Managed (S1), an address stays in the endpoint until its PTR is gone (S4), and a DNSEndpoint that does
not belong to this object is never changed (S2). What others change in the object's own endpoint is repaired, at most
``--ptr-heals-per-hour`` times an hour (E7, S11). ``external_retire.py`` removes what is not wanted any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.conditions import FORWARD_READY
from mailegress.api.names import ENDPOINT_LABEL, endpoint_name
from mailegress.model.dns import Expected
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint, EndpointEntry, by_hostname
from mailegress.model.facts import NEVER, WritePhase
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    Notice,
    failed,
    from_fault,
    in_words,
    under_way,
    unknown,
)
from mailegress.reconcile.rules import suspend
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.adoption import nobody_joins, pointed
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.leaving import Leaving, leaving, missing
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.propagation import Proof, prove
from mailegress.reconcile.rules.ptr_repair_limit import HOUR
from mailegress.reconcile.rules.record_values import being_replaced, final_values, may_change
from mailegress.reconcile.rules.targets import Targets

_IN_THE_WAY = frozenset({"A", "CNAME"})


def assess(observed: Observed, builder: PlanBuilder, targets: Targets, claims: Claims) -> RecordState:
    """Compare the endpoint with what is wanted, and public DNS with the endpoint; propose at most one write."""
    if (missing := unready(observed)) is not None:
        return RecordState(missing)
    if claims.hostname is not Hold.MINE:
        return RecordState(
            claims.finding or unknown(reasons.PROGRESSING, "Checking which MailEgress has the hostname.")
        )
    return _Endpoint(observed, builder, targets, claims).judge()


def unready(observed: Observed) -> Finding | None:
    """Why nothing is known of DNSEndpoints, or none can be written."""
    view = observed.views.endpoints
    if not view.enabled:
        return failed(
            reasons.EXTERNAL_DNS_DISABLED,
            f"The operator does not write DNSEndpoints: --external-dns is off. {reasons.EXTERNAL_DNS_DISABLED.remedy}",
        )
    kind = view.kind()
    if kind.value is None:
        reading = unknown(reasons.PROGRESSING, "Reading the DNSEndpoints.", inconclusive=True)
        return from_fault(kind.fault) if kind.fault is not None else reading
    if not kind.value:
        return failed(
            reasons.EXTERNAL_DNS_MISSING,
            "The cluster does not have the kind DNSEndpoint (externaldns.k8s.io/v1alpha1). "
            f"{reasons.EXTERNAL_DNS_MISSING.remedy}",
        )
    return None


def send(observed: Observed, builder: PlanBuilder, change: ChangeEndpoint) -> Finding | None:
    """Propose the write. A refusal of the last one comes back instead, until it is tried again (S11)."""
    write = observed.views.endpoints.state(change.namespace, change.name)
    rest = observed.rest_of(write)
    if rest and write is not None and write.fault is not None:
        builder.later(rest)
        return from_fault(write.fault)
    builder.act(change)
    return None


def proposed(
    observed: Observed,
    entries: tuple[EndpointEntry, ...],
    why: str,
    *,
    only_lost: bool = False,
) -> ChangeEndpoint:
    """The write that makes the object's own endpoint ask for these records; for none: that deletes it."""
    meta = observed.obj.meta
    return ChangeEndpoint(
        meta.namespace,
        endpoint_name(meta.name),
        by_hostname(e for e in entries if e.targets),
        meta.uid,
        why,
        observed.endpoint,
        only_lost=only_lost,
    )


@dataclass(slots=True)
class _Endpoint:
    observed: Observed
    builder: PlanBuilder
    targets: Targets
    claims: Claims

    @property
    def _own(self) -> DnsEndpoint | None:
        return self.observed.endpoint

    def judge(self) -> RecordState:
        s, hostname = self.observed, self.observed.obj.spec.hostname
        entry = self._own.entry(hostname) if self._own is not None else None
        values = entry.targets if entry is not None else frozenset()
        final = final_values(s, self.targets, self.claims, values)
        old = leaving(s, self.builder, self.targets, values - final - self.targets.lost, hostname, NEVER)
        wanted = final | old.stay
        if values != wanted:
            # It is written anyway, so it gets back what somebody removed.
            wanted |= missing(s, self.targets, hostname, None, wanted)
        base = RecordState(
            finding=unknown(reasons.PROGRESSING, "Preparing the DNSEndpoint."),
            values=values,
            ttl=entry.ttl if entry is not None else None,
            mine=entry is not None,
            wanted=wanted,
            final=final,
            answered=self._answered(),
            known=True,
        )
        if not self.targets.known or not self.claims.decided:
            # What is wanted is not known yet, so nothing that is there can be called wrong.
            fault = self.targets.fault
            finding = unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", inconclusive=True)
            return replace(base, finding=from_fault(fault) if fault else finding)
        if (conflict := self._conflict(entry)) is not None:
            return replace(base, finding=conflict)
        entries = self._entries(base.wanted)
        if old.reading is not None and not self.targets.lost:
            # One change, not two: what it takes out is known in a moment.
            return replace(base, finding=old.reading)
        if self._differs(entries) and may_change(self.targets, base.wanted):
            return replace(base, finding=self._propose(entries, base.wanted))
        if not base.wanted and not values:
            return replace(base, finding=nobody_joins(s, self.targets, self.claims))
        return self._settled(base, old)

    def _conflict(self, entry: EndpointEntry | None) -> Finding | None:
        """A DNSEndpoint of others has the name, or the hostname that this object does not have yet."""
        s, meta = self.observed, self.observed.obj.meta
        name = endpoint_name(meta.name)
        if self._own is None and s.views.endpoints.get(meta.namespace, name) is not None:
            return failed(
                reasons.DNS_ENDPOINT_CONFLICT,
                f"DNSEndpoint {name} exists and does not belong to this MailEgress. Delete it, or give it to this "
                f"object with the label {ENDPOINT_LABEL}={meta.uid}.",
            )
        return self._rival() if entry is None else None

    def _rival(self) -> Finding | None:
        """Another DNSEndpoint, of no MailEgress, has the hostname. Of another namespace it is not named (S12)."""
        s, meta, hostname = self.observed, self.observed.obj.meta, self.observed.obj.spec.hostname
        own = (meta.namespace, endpoint_name(meta.name))
        for other in s.views.endpoints.naming(hostname):
            kinds = {e.type for e in other.entries if e.hostname == hostname}
            if (other.namespace, other.name) == own or not kinds & _IN_THE_WAY:
                continue
            if s.views.claims.endpoint_holder(other, hostname) is not None:
                continue
            where = f" {other.name}" if other.namespace == meta.namespace else " in another namespace"
            return failed(
                reasons.DNS_ENDPOINT_CONFLICT,
                f"DNSEndpoint{where}, which this operator did not create, has a record for {hostname}, too. "
                f"{reasons.DNS_ENDPOINT_CONFLICT.remedy}",
            )
        return None

    # ------------------------------------------------ the endpoint

    def _entries(self, wanted: frozenset[str]) -> tuple[EndpointEntry, ...]:
        """What the endpoint is to ask for: the record, and those of former hostnames until they are retired."""
        s, hostname = self.observed, self.observed.obj.spec.hostname
        ttl = s.obj.spec.forward.ttl_seconds or s.settings.default_ttl_seconds
        former = s.endpoint_names() - {hostname}
        kept = [
            EndpointEntry(e.hostname, e.targets - self.targets.lost, e.ttl)
            for e in (self._own.entries if self._own is not None else ())
            if e.type == "A" and e.hostname in former
        ]
        found = (EndpointEntry(hostname, wanted, ttl), *kept)
        return by_hostname(e for e in found if e.targets)

    def _differs(self, entries: tuple[EndpointEntry, ...]) -> bool:
        own = self._own
        if own is None:
            return bool(entries)
        return by_hostname(own.entries) != entries or own.owner != self.observed.obj.meta.uid

    def _propose(self, entries: tuple[EndpointEntry, ...], wanted: frozenset[str]) -> Finding:
        s, hostname = self.observed, self.observed.obj.spec.hostname
        change = proposed(s, entries, self._why(wanted))
        write = s.views.endpoints.state(change.namespace, change.name)
        drift = self._drift(change.name)
        recent = tuple(at for at in s.memory.ownership.endpoint_repairs if at > s.now - HOUR)
        if drift and not self.targets.lost and len(recent) >= s.settings.heals_per_hour:
            self.builder.later(min(recent, default=s.now) + HOUR - s.now)
            return failed(
                reasons.DNS_ENDPOINT_CONTESTED,
                f"{drift} again; the operator repaired it {len(recent)} times within an hour. "
                f"{reasons.DNS_ENDPOINT_CONTESTED.remedy}",
            )
        if drift and write is not None and write.phase is WritePhase.FAILED:
            # Refused by the API server, not undone by others: the same repair once more.
            recent = recent[:-1]
        change = replace(change, repairs=(*recent, s.now) if drift else None)
        if (refused := send(s, self.builder, change)) is not None:
            return refused
        if (suspended := suspend.instead(s, in_words(change))) is not None:
            return suspended
        asked = f"an A record of {hostname} with {dns_checks.listing(wanted)}" if wanted else "no record"
        default = failed(reasons.CHANGE_PENDING, f"Writing DNSEndpoint {change.name}: {asked}.")
        if drift:
            self.builder.notices.append(
                Notice(reasons.DNS_ENDPOINT_REPAIRED.name, f"{drift}; the operator restores it.")
            )
            default = failed(reasons.CHANGE_PENDING, f"{drift}; restoring {asked}.")
        return under_way(write, default)

    def _why(self, wanted: frozenset[str]) -> str:
        hostname = self.observed.obj.spec.hostname
        before = self._own.addresses(hostname) if self._own is not None else frozenset()
        if not wanted:
            return f"withdraw the A record of {hostname}"
        if before in (frozenset(), wanted):
            return f"ask for A {dns_checks.listing(wanted)} of {hostname}"
        return f"change A from {dns_checks.listing(before)} to {dns_checks.listing(wanted)} of {hostname}"

    def _drift(self, name: str) -> str:
        """What others did to the endpoint, in words; empty if nothing."""
        own = self._own
        if own is None:
            stored = self.observed.obj.status.dns_endpoint
            gone = self.observed.memory.ownership.endpoint_seen and stored is not None and stored.name == name
            return f"DNSEndpoint {name} was deleted by something other than the operator" if gone else ""
        if own.owner != self.observed.obj.meta.uid or not own.changed_by:
            return ""
        return f"DNSEndpoint {name} was changed by field manager {own.changed_by}"

    # ------------------------------------------------ proof by DNS

    def _settled(self, base: RecordState, old: Leaving) -> RecordState:
        s = self.observed
        since = s.endpoint_changed_at
        proof = prove(
            s, self.builder, Expected(base.values, exact=True), since, pointed=pointed(s, self.targets)
        )
        finding = self._explained(proof)
        stands = proof.stands
        if finding.ok or finding.inconclusive:
            # A problem before what is under way: an address that nothing replaces does not leave until it is mended.
            blocker = (
                self.targets.problem
                or old.refused
                or being_replaced(s, self.targets, self.claims, base.values, base.final)
            )
            stands = stands and blocker is None
            finding = blocker or finding
        complete = base.values == base.wanted
        return replace(
            base, finding=finding, complete=complete, verified=proof.verified, stands=stands and complete
        )

    def _explained(self, proof: Proof) -> Finding:
        """The finding, with what to check about external-dns if the servers do not return the endpoint's record."""
        finding, own = proof.finding, self._own
        if finding.reason != reasons.AUTHORITIES_DISAGREE.name or own is None:
            return finding
        if (rival := self._rival()) is not None and not finding.inconclusive:
            return rival
        found = finding.message.removesuffix(reasons.AUTHORITIES_DISAGREE.remedy).rstrip()
        if own.behind:
            text = (
                f"External-dns has not read DNSEndpoint {own.name} yet (observedGeneration {own.observed_generation}, "
                f"generation {own.generation}): check that it runs with --source=crd and that its namespace and label "
                "filters include the DNSEndpoint."
            )
        else:
            text = (
                f"External-dns has read DNSEndpoint {own.name} and writes the record at its next synchronization. If "
                "this persists, check its domain filter, --managed-record-types and policy, and whether the record has "
                "an owner in its registry: it does not change a record that it does not own."
            )
        return replace(finding, reason=reasons.WAITING_FOR_FORWARD.name, message=f"{found} {text}")

    def _answered(self) -> frozenset[str]:
        """What the authoritative servers answered, for the status."""
        s, status = self.observed, self.observed.obj.status
        report = s.views.dns.authorities(s.obj.spec.hostname).value
        if report is None or s.stands(FORWARD_READY):
            same = status.forward is not None and status.hostname == s.obj.spec.hostname
            if same and status.forward is not None:
                # Until an answer against it is confirmed, the record holds what it held.
                return frozenset(status.forward.values)
        return report.agreed() if report is not None else frozenset()
