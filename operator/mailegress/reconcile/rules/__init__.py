"""The plan for one object: which readings it needs, the one write that is made next, and what its status states.

:func:`plan` is the table of contents. Every rule has a module of its own here, and the comment behind its line names
the guarantees that it keeps (``docs/guarantees.md``). The rules are pure: they read an :class:`Observed` and add to a
:class:`PlanBuilder`; they never write, wait, log or read a clock.

=====================  ==================================================================================
``first_look``         what the first plan of a process waits for
``policy``             what policies allow; ``shrink_only``: what remains possible for what they refuse
``targets``            selectors → Elastic IPs
``loss``               lost addresses, mass loss
``zones``              the hosted zone of the A record; ``delegation``: to which zone the parent delegates
``claims``             who may write for a hostname and an address
``adoption``           what that was there before may be adopted, and whose a PTR is
``a_record``           the A record under Managed; ``observed_record``: under Observed
``external_record``    under ExternalDNS, by a DNSEndpoint; ``external_retire``: what leaves the DNSEndpoint
``record_values``      which addresses the record holds in the end
``record_changes``     change batches; ``ownership_check``: is an ownership record genuine?
``propagation``        every authoritative server returns the A record
``ptr``                the PTR of each address; ``ptr_write``: what delays a PTR write
``ptr_gate``           a PTR is set only after all authoritative servers agree
``ptr_repair_limit``   the hourly limit of PTR repairs
``leaving``            may an address leave its record, or a hostname its PTR, now?
``retire``             former hostnames, zones and addresses; ``unseen``: what cannot be read
``resolution``         what public resolvers return
``deletion``           the cleanup of a deleted object, and ``Retain``
``finalizer``          when the finalizer is added and removed
``suspend``            what ``suspend`` holds back
``status_fields``      what the status shows besides the conditions
``advisories``         advice about mail delivery, on which no condition depends
=====================  ==================================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED, FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.model.facts import Fact
from mailegress.reconcile import confirmations
from mailegress.reconcile.claim_index import Standing
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    Finding,
    Need,
    NeedPublic,
    NeedSampleAuthority,
    Plan,
    SetPtr,
    failed,
    passed,
    unknown,
)
from mailegress.reconcile.rules import (
    a_record,
    advisories,
    deletion,
    external_record,
    external_retire,
    finalizer,
    observed_record,
    policy,
    ptr,
    resolution,
    retire,
    shrink_only,
    status_fields,
    suspend,
    unseen,
    zones,
)
from mailegress.reconcile.rules import claims as claims_rule
from mailegress.reconcile.rules import targets as targets_rule
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.claims import Claims
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import PtrState
from mailegress.reconcile.rules.status_fields import StatusFields
from mailegress.reconcile.rules.targets import Targets
from mailegress.reconcile.rules.zones import Choice


def plan(observed: Observed) -> Plan:
    """The rules in the order in which they apply. The first write that a rule proposes is the one that is made."""
    if observed.deleting:
        return deletion.plan(observed)  # S5 S8 E5
    builder = PlanBuilder()
    verdict = policy.judge(observed)  # S14: before anything is asked of AWS or DNS
    if verdict is not None and verdict.refusal is not None:
        return _refused(observed, builder, verdict, verdict.refusal)  # S2 S14
    targets = targets_rule.resolve(observed, builder)  # S2 E8
    zone = zones.choose(observed, builder)  # S3 S12
    verdict = policy.in_zone(observed, verdict, zone)  # S14
    if verdict is not None and verdict.refusal is not None:
        return _refused(observed, builder, verdict, verdict.refusal)  # S2 S14
    targets, not_allowed = policy.narrow(observed, builder, targets, verdict)  # S14: before claims
    targets = targets_rule.that_send(observed, targets)  # E8
    targets = targets_rule.limited(observed, targets)  # S12
    claims, targets = claims_rule.decide(observed, builder, targets, zone)  # S9 E4
    refusal = targets_rule.refusal(observed, targets)
    searching = retire.search(observed, builder)  # E2
    retire.withdraw_lost(observed, builder, targets)  # S2: before any other write
    external_retire.withdraw_lost(observed, builder, targets)  # S2
    record = _record(observed, builder, targets, claims, zone, refusal)  # S2 S4 E1 E7
    retire.keep_equal(observed, builder, targets, record)  # S3: before the PTRs
    record = external_retire.keep_equal(observed, builder, targets, record)  # S3
    ptrs = _ptrs(observed, builder, targets, claims, record, refusal)  # S1 S4 E7
    owed = retire.retire(observed, builder, targets, record, ptrs)  # S3 S4
    owed = (*owed, *external_retire.retire(observed, builder, targets, record, ptrs), *searching)  # S3 S4
    record, ptrs = _end_for_outage(observed, record, ptrs)  # E8
    resolved = resolution.assess(observed, builder, record, ptrs)  # S7
    shown = status_fields.of_live(observed, builder, targets, claims, zone, record, ptrs, resolved)  # S8 E3
    findings = {
        ACCEPTED: refusal or not_allowed or claims.finding or _accepted(observed, targets, claims),
        FORWARD_READY: record.finding,
        REVERSE_READY: ptrs.finding,
        RESOLVED: resolved,
    }
    _tell_unseen(observed, builder, targets, shown.former, findings)
    findings[ACCEPTED] = policy.remark(observed, builder, verdict, targets, findings[ACCEPTED])
    # Held back by suspend, or preceded by the finalizer.
    finished = _finish(observed, builder, targets, claims, record, findings, owed, shown)  # S8
    return replace(
        finished,
        policy=policy.allowing(observed, verdict, targets),
        policy_report=policy.report(observed, verdict, targets),
        # After everything else is decided: nothing depends on it.
        advisories=advisories.advise(observed, targets, claims, zone),  # S7 E3
        advice_need=advisories.needed(observed, builder.needs),
    )


def _refused(observed: Observed, builder: PlanBuilder, verdict: policy.Verdict, why: Finding) -> Plan:
    return replace(
        shrink_only.plan(observed, builder, why),
        policy_report=policy.report(observed, verdict, None),
        advisories=advisories.as_stored(observed),
    )


def _record(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    claims: Claims,
    zone: Choice,
    refusal: Finding | None,
) -> RecordState:
    if refusal is not None:
        return RecordState(_pending(refusal), zone=zone.zone)
    if observed.managed:
        return a_record.assess(observed, builder, targets, claims, zone)
    if observed.external:
        return external_record.assess(observed, builder, targets, claims)
    return observed_record.assess(observed, builder, targets, claims)


def _ptrs(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    claims: Claims,
    record: RecordState,
    refusal: Finding | None,
) -> PtrState:
    if refusal is not None:
        return PtrState(_pending(refusal), {}, settled=False)
    return ptr.assess(observed, builder, targets, claims, record)


def _finish(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    claims: Claims,
    record: RecordState,
    findings: dict[str, Finding],
    owed: tuple[str, ...],
    shown: StatusFields,
) -> Plan:
    s, proposed = observed, builder.action
    action = None if suspend.holds_back(s, proposed) else finalizer.before_writes(s, proposed)
    # What was not read yet by this process is no news.
    unseen_places = shown.former.unseen if s.views.zones.get().value is not None else ()
    owed = (*owed, *(it.finding.message.removesuffix(".") for _, it in unseen_places))
    idle = action is None and not owed and not any(_awaited(need) for need in builder.needs)
    return Plan(
        findings=findings,
        action=action,
        ptrs=tuple(builder.ptrs.values()) if isinstance(action, SetPtr) else (),
        needs=tuple(builder.needs),
        taken_back=tuple(builder.taken_back),
        wait=_wait(s, builder, findings, idle=idle),
        hostname=s.obj.spec.hostname,
        addresses=shown.addresses,
        wanted=frozenset((e.region, e.allocation_id) for e in targets.wanted.values()),
        refused=frozenset(targets.refused),
        gateways=targets.gateways,
        public_ips=shown.public_ips,
        zone=shown.zone,
        place=(record.zone.id, s.obj.spec.hostname) if record.zone is not None else None,
        forward=shown.forward,
        former_records=shown.former.places,
        dns_endpoint=external_retire.shown(s, builder, record),
        delegated=record.delegated,
        notices=tuple(builder.notices),
        blocked_on=frozenset(builder.blocked_on) if claims.known and targets.known else None,
        standing=builder.standing,
        suspended=s.obj.spec.suspend and proposed is not None and action is None,
        held_back=suspend.held_back(s, proposed),
        settled=idle and all(f.ok for f in findings.values()),
        owed=owed,
        unsatisfied=tuple(builder.unsatisfied.items()),
        heard=tuple((question, at, said) for question, (at, said) in builder.heard.items()),
    )


def _awaited(need: Need) -> bool:
    """Does the object wait for it? The answer that is expected wakes nobody."""
    return not isinstance(need, NeedSampleAuthority) and not (
        isinstance(need, NeedPublic) and need.known is not None
    )


def _wait(observed: Observed, builder: PlanBuilder, findings: dict[str, Finding], *, idle: bool) -> float:
    """Seconds until the next reconcile if nothing wakes the object earlier."""
    s = observed
    # What stands without a new reading is nothing to look at again soon.
    at_rest = idle and all(f.ok or f.inconclusive for f in findings.values())
    resync = s.settings.resync_seconds * (1 - s.settings.resync_jitter * s.spread(1.0))
    # Whoever is further back in line is not woken by what happens there, and need not look often either.
    far = bool(builder.blocked_on) and not s.views.claims.near(s.obj.meta.uid)
    if not at_rest and builder.wait == float("inf") and not far:
        return min(resync, s.settings.blocked_seconds)
    return min(builder.wait, resync)


def _end_for_outage(observed: Observed, record: RecordState, ptrs: PtrState) -> tuple[RecordState, PtrState]:
    """Conditions that are True end when what they rest on cannot be read any more, or not be read after a restart.

    Only the regions, the zone and the record that this object uses count: a region that fails ends nobody else's
    conditions. What is known of the zones is enough for an object that can be judged.
    """
    facts: list[Fact[Any]] = [observed.views.addresses.get(r) for r in targets_rule.regions(observed)]
    zones: list[Fact[Any]] = [observed.views.zones.get()] if observed.managed else []
    if record.zone is not None:
        facts.append(observed.views.records.get(record.zone.id, observed.obj.spec.hostname))
        zones.append(observed.views.zones.name_servers(record.zone.id))

    outage = confirmations.outage(observed, facts)
    blind = outage or confirmations.outage(observed, zones)
    if blind is None:
        return record, ptrs

    def ended(finding: Finding) -> Finding:
        ending = outage if finding.ok else blind if finding.inconclusive else None
        return ending or finding

    return replace(record, finding=ended(record.finding)), replace(ptrs, finding=ended(ptrs.finding))


def _accepted(observed: Observed, targets: Targets, claims: Claims) -> Finding:
    accepted = passed(reasons.ACCEPTED, f"This object holds {observed.obj.spec.hostname} and its addresses.")
    if claims.known and targets.known:
        return accepted
    if targets.fault is not None:
        # ForwardReady and ReverseReady tell it; a verdict that stands is not taken back for it.
        return replace(accepted, inconclusive=True)
    # Until every address was looked up, one of them may turn out to be another's.
    return unknown(reasons.PROGRESSING, "Checking which MailEgress has the addresses.", inconclusive=True)


def _tell_unseen(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    former: unseen.Former,
    findings: dict[str, Finding],
) -> None:
    """What is ours elsewhere and cannot be looked at keeps the object from being Ready, however right the rest is."""
    for _, hidden in former.unseen:
        if findings[FORWARD_READY].ok:
            findings[FORWARD_READY] = hidden.finding
    named = {e.eip.allocation_id for e in targets.entries if e.eip is not None}
    for _, lost in unseen.addresses(observed, builder, named):
        if findings[REVERSE_READY].ok and not lost.waits:
            findings[REVERSE_READY] = lost.finding


def refuse(observed: Observed, why: str) -> Plan:
    """The plan for an object whose stored spec is invalid: nothing is done, and what is known of it is kept."""
    refusal = failed(reasons.INVALID_SPEC, f"{why}. {reasons.INVALID_SPEC.remedy}")
    kept = status_fields.as_stored(observed)
    return Plan(
        findings={
            ACCEPTED: refusal,
            **dict.fromkeys((FORWARD_READY, REVERSE_READY, RESOLVED), _pending(refusal)),
        },
        wait=observed.settings.resync_seconds,
        hostname=observed.obj.status.hostname or "",
        addresses=kept.addresses,
        public_ips=kept.public_ips,
        zone=kept.zone,
        forward=kept.forward,
        former_records=kept.former.places,
        dns_endpoint=observed.obj.status.dns_endpoint,
        advisories=advisories.as_stored(observed),
        standing=Standing(holds=claims_rule.holds_hostname(observed), able=False),
    )


def _pending(refusal: Finding) -> Finding:
    return unknown(reasons.PENDING, f"Waits until the object is accepted: {refusal.message}")
