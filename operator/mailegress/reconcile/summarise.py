"""Findings become conditions here, and nowhere else. Pure.

The rules report findings. This module decides what each condition says, what Ready says (the first condition in
``DEPENDENCE`` that is not True), and whether an object that is not Ready is Reconciling or Stalled. Each condition
carries the generation that was observed, and the status carries the same one (S6).

**When Stalled is set**: at once for a reason that only a person can resolve (``stalls_at_once`` in ``api/reasons.py``);
for any other reason when nothing moved for ``stalled_after_seconds`` (30 minutes by default), where "moved" is a change
of ``progress_key``. A restart does not reset it: Stalled stays while generation and reason stay (``_stalled``).

**When a condition drops** is decided in ``confirmations.py``: after three readings in a row by default (E3, S7).
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.api import reasons
from mailegress.api.conditions import (
    ACCEPTED,
    FALSE,
    FORWARD_READY,
    READY,
    RECONCILING,
    RESOLVED,
    REVERSE_READY,
    STALLED,
    TRUE,
    UNKNOWN,
)
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.status import Condition, Origin, Status
from mailegress.api.types import MailEgress
from mailegress.reconcile.confirmations import TRANSITIONAL, kept_condition
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.result import AddFinalizer, ChangeRecords, Finding, Plan, failed

DEPENDENCE = (ACCEPTED, FORWARD_READY, REVERSE_READY, RESOLVED)
"""Ready carries the first blocker in this order."""


def verdicts(obj: MailEgress, plan: Plan) -> dict[str, Finding]:
    """The four detail conditions and Ready, unanswered questions resolved by what stood before."""
    found: dict[str, Finding] = {}
    held = False
    for kind in DEPENDENCE:
        finding = plan.findings[kind]
        kept = kept_condition(obj, kind, finding)
        held = held or kept is not None
        found[kind] = kept or finding
    return {READY: _ready(obj, plan, found, held), **found}


def _ready(obj: MailEgress, plan: Plan, found: dict[str, Finding], held: bool) -> Finding:
    if plan.suspended:
        blocker = next((found[k] for k in DEPENDENCE if not found[k].ok), None)
        if blocker is not None and blocker.reason == reasons.SUSPENDED.name:
            return Finding(FALSE, blocker.reason, blocker.message)
        return failed(reasons.SUSPENDED, f"Suspended; would {plan.held_back}. {reasons.SUSPENDED.remedy}")
    for kind in DEPENDENCE:
        finding = found[kind]
        if finding.ok:
            continue
        if kind == RESOLVED and finding.reason == reasons.RESOLVERS_DISABLED.name:
            continue
        return Finding(FALSE if finding.status == FALSE else UNKNOWN, finding.reason, finding.message)
    previous = obj.status.condition(READY)
    was_ready = (
        previous is not None
        and previous.status == TRUE
        and previous.observed_generation == obj.meta.generation
    )
    if held and not was_ready:
        return Finding(
            UNKNOWN,
            reasons.PROGRESSING.name,
            "Verifying the A record, the PTRs and what public DNS returns for them.",
        )
    if plan.owed:
        return Finding(
            TRUE, reasons.RETIRING_OLD_NAME.name, f"{obj.spec.hostname} is verified; {plan.owed[0]}."
        )
    count = len(plan.public_ips)
    addresses = "1 address" if count == 1 else f"{count} addresses"
    return Finding(
        TRUE,
        reasons.READY_REASON.name,
        f"Forward and reverse DNS match for {obj.spec.hostname} ({addresses}).",
    )


def progress_key(obj: MailEgress, plan: Plan, found: dict[str, Finding]) -> int:
    """Changes whenever something moved; neither messages nor attempts count."""
    parts = [str(obj.meta.generation), *(f"{k}={f.status}/{f.reason}" for k, f in found.items())]
    parts += [f"{a.public_ip}:{a.ptr}" for a in plan.addresses]
    return hash(tuple(parts))


def compose(
    obj: MailEgress, plan: Plan, found: dict[str, Finding], now: str, *, stuck: bool, handled: str | None
) -> Status:
    """The whole status. ``now`` is RFC 3339; ``stuck``: nothing moved for the period that a human is given."""
    generation = obj.meta.generation
    kinds: dict[str, Finding] = dict(found)
    ready = found[READY]
    if ready.status != TRUE and not plan.suspended:
        kinds[STALLED if _stalled(obj, ready, stuck) else RECONCILING] = Finding(
            TRUE, ready.reason, ready.message
        )
    return Status(
        observed_generation=generation,
        hostname=plan.hostname,
        policy=plan.policy,
        public_ips=plan.public_ips,
        zone=plan.zone,
        forward=plan.forward,
        former_records=plan.former_records,
        dns_endpoint=plan.dns_endpoint,
        addresses=plan.addresses,
        advisories=plan.advisories,
        last_handled_reconcile_at=handled,
        conditions=tuple(
            Condition(kind, f.status, f.reason, f.message, generation, _since(obj, kind, f, now))
            for kind, f in kinds.items()
        ),
    )


def handled_request(obj: MailEgress, memory: Memory) -> str | None:
    """The request for a reconcile that counts as handled: every source was read after it, and the status shows what was
    read.
    """
    edits = memory.edits
    handled = edits.reconcile_request is not None and edits.handled
    return edits.reconcile_request if handled else obj.status.last_handled_reconcile_at


def patience(
    obj: MailEgress, status: Status, plan: Plan, quiet_seconds: float, *, among_many: bool = False
) -> float:
    """Seconds for which ``status`` may stay unwritten because its reader would not miss it; 0 = write it now.

    On the way to Ready most statuses are replaced within moments: readings arrive one after the other, a write waits
    for its batch. Each status costs the API server a write, and its watchers an event. A status is never held back if
    an action follows it, if a condition was lost, if a person must act, or if the object is Ready. One exception: among
    many new objects (``among_many``) the first status of each waits until its change is handed over, because nothing
    was verified yet.
    """
    old, generation = obj.status, obj.meta.generation
    first = among_many and old.observed_generation == -1
    if plan.deleting and _same_words(old, status):
        # The PTRs of many addresses are reset one after the other; the conditions do not change meanwhile.
        return quiet_seconds
    if plan.action is not None and not (first and isinstance(plan.action, AddFinalizer | ChangeRecords)):
        return 0.0
    if plan.suspended or plan.deleting or obj.meta.deletion_timestamp is not None:
        return 0.0
    if (
        old.observed_generation not in (generation, -1)
        or status.last_handled_reconcile_at != old.last_handled_reconcile_at
    ):
        return 0.0
    if _types(status) != _types(old):
        return 0.0
    if any(_matters(old.condition(c.type), c) for c in status.conditions):
        return 0.0
    if _origins(status) != _origins(old):
        return 0.0
    if _only_insync(old, status):
        # Reported together with the answers of the authoritative servers, which are about to arrive.
        return 12 * quiet_seconds
    return 2 * quiet_seconds if first else quiet_seconds


def _matters(before: Condition | None, condition: Condition) -> bool:
    """Must a reader see this condition at once: Ready, lost, or in need of somebody?"""
    if condition.status == TRUE:
        return condition.type == READY
    return (before is not None and before.status == TRUE) or condition.reason not in TRANSITIONAL


def _types(status: Status) -> set[str]:
    return {c.type for c in status.conditions} - {RECONCILING}


def _same_words(old: Status, new: Status) -> bool:
    """Do all conditions say what they said of this generation, word by word?"""
    return old.observed_generation == new.observed_generation and set(old.conditions) == set(new.conditions)


def _only_insync(old: Status, new: Status) -> bool:
    """Nothing differs but that the change which was under way is not any more."""
    held = old.forward
    if held is None or held.change_id is None or new.forward is None:
        return False
    return replace(new, forward=held) == old and replace(held, change_id=None) == new.forward


def _origins(status: Status) -> set[tuple[str | None, Origin]]:
    """Whose the PTRs are: the one thing in a status that is also memory."""
    return {(a.allocation_id, a.ptr_origin) for a in status.addresses if a.ptr_origin is not None}


_IN_THE_WAY = frozenset(
    r.name
    for r in (
        reasons.HOSTNAME_CONFLICT,
        reasons.ADDRESS_CONFLICT,
        reasons.WAITING_FOR_RELEASE,
        reasons.CLAIM_CYCLE,
        reasons.NO_MATCHING_POLICY,
        reasons.HOSTNAME_NOT_ALLOWED,
        reasons.MANAGEMENT_NOT_ALLOWED,
        reasons.ADDRESS_NOT_ALLOWED,
        reasons.NAMESPACE_LIMIT,
    )
)
"""Reasons that another object or a policy, and not its own spec, keeps an object from going on."""


def hopeless(obj: MailEgress, ready: Finding, *, stuck: bool) -> bool:
    """Is it Stalled because nothing moved for so long, although no other object is in its way?"""
    if ready.status == TRUE or ready.reason in _IN_THE_WAY:
        return False
    reason = ALL_REASONS.get(ready.reason)
    return stuck or (_stalled(obj, ready, stuck) and not (reason is not None and reason.stalls_at_once))


def _stalled(obj: MailEgress, ready: Finding, stuck: bool) -> bool:
    reason = ALL_REASONS.get(ready.reason)
    if stuck or (reason is not None and reason.stalls_at_once):
        return True
    # The clock of this process starts anew; what was stalled stays so until something moves.
    previous = obj.status.condition(STALLED)
    return (
        previous is not None
        and previous.status == TRUE
        and previous.reason == ready.reason
        and previous.observed_generation == obj.meta.generation
        and obj.status.observed_generation == obj.meta.generation
        and (before := obj.status.condition(READY)) is not None
        and before.reason == ready.reason
    )


def _since(obj: MailEgress, kind: str, finding: Finding, now: str) -> str:
    previous = obj.status.condition(kind)
    if previous is not None and previous.status == finding.status:
        return previous.last_transition_time
    return now
