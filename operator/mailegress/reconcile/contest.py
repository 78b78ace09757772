"""Claims applied to one object: is the hostname ours to write, and which EIPs?"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.conditions import UNKNOWN
from mailegress.api.names import is_within
from mailegress.reconcile import marks
from mailegress.reconcile.model import Eip
from mailegress.reconcile.situation import Draft, Situation
from mailegress.reconcile.step import Finding, NeedName, bad, from_fault, unknown
from mailegress.reconcile.targets import Targets
from mailegress.reconcile.zonechoice import Choice


class Hold(enum.Enum):
    MINE = "mine"
    LOST = "lost"
    """Another CR holds it and wants it."""
    RELEASE = "release"
    """Another CR holds it and does not want it any more."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Contest:
    hostname: Hold
    eips: dict[str, Hold]
    """By allocation ID, for every wanted EIP."""
    finding: Finding | None
    """What Accepted says about it, None if everything is ours."""

    @property
    def decided(self) -> bool:
        """Nothing is left to be found out about any address."""
        return Hold.UNKNOWN not in self.eips.values()

    @property
    def known(self) -> bool:
        """Nothing is left to be found out at all."""
        return self.decided and self.hostname is not Hold.UNKNOWN

    def allows(self, allocation_id: str) -> bool:
        return self.eips.get(allocation_id) is Hold.MINE


def marked_holder(situation: Situation, hostname: str) -> str | None:
    """UID of the live CR whose mark stands at the name, in whatever zone. Ours is preferred."""
    me = situation.obj.meta.uid
    holder = None
    for _, view in situation.world.records.holder(hostname):
        mark = marks.parse(view.mark.values) if view.mark is not None else None
        if mark is None or not situation.settings.mine(mark.owner):
            continue
        if mark.uid == me:
            return me
        if situation.world.claims.live(mark.uid):
            holder = mark.uid
    return holder


def decide(situation: Situation, draft: Draft, targets: Targets, choice: Choice, *, managed: bool) -> Contest:
    """Decide every claim of this object. Other objects are never named: they may be another tenant's."""
    hostname_hold, holder = _hostname(situation, choice, managed=managed)
    blockers = {holder} if hostname_hold is Hold.RELEASE and holder else set()
    holds: dict[str, Hold] = {}
    contested: dict[str, Hold] = {}
    for allocation_id, eip in targets.wanted.items():
        hold, owner = _eip(situation, draft, eip, hostname_hold)
        holds[allocation_id] = hold
        if hold in (Hold.LOST, Hold.RELEASE):
            contested[eip.public_ip] = hold
        if hold is Hold.RELEASE and owner:
            blockers.add(owner)
    draft.blocked_on = blockers
    finding = _finding(situation, hostname_hold, contested, frozenset(blockers))
    if finding is None and hostname_hold is Hold.UNKNOWN:
        finding = _unclear(situation, choice)
    return Contest(hostname_hold, holds, finding)


def _hostname(situation: Situation, choice: Choice, *, managed: bool) -> tuple[Hold, str | None]:
    me, hostname = situation.obj.meta.uid, situation.obj.spec.hostname
    claims = situation.world.claims
    if choice.zone is not None:
        if situation.world.records.get(choice.zone.id, hostname).value is None:
            return Hold.UNKNOWN, None
    elif managed and choice.finding is not None and choice.finding.soft:
        return Hold.UNKNOWN, None
    holder = marked_holder(situation, hostname)
    wanting = claims.wanting_hostname(hostname)
    if holder is None:
        holder = wanting[0].uid if wanting else me
    if holder == me:
        return Hold.MINE, me
    return (Hold.LOST if any(c.uid == holder for c in wanting) else Hold.RELEASE), holder


def _eip(situation: Situation, draft: Draft, eip: Eip, hostname: Hold) -> tuple[Hold, str | None]:
    me, claims = situation.obj.meta.uid, situation.world.claims
    wanting = claims.wanting_eip(eip)
    shown = eip.ptr.update if eip.ptr.pending and eip.ptr.update else eip.ptr.name
    if hostname is Hold.UNKNOWN and shown == situation.obj.spec.hostname:
        return Hold.UNKNOWN, None
    holder = None
    if (leaving := claims.leaving_eip(eip, situation.obj.spec.hostname)) is not None:
        # Neither a mark nor, once it is reset, the PTR tells of its claim; and it cannot tell our PTR from its own.
        holder = leaving.uid
    elif shown is not None and shown not in situation.own_names():
        holder = marked_holder(situation, shown)
        if holder is None and shown != situation.obj.spec.hostname and not _read(situation, draft, shown):
            return Hold.UNKNOWN, None
        if holder is None:
            # Under Observed there is no mark: the PTR itself is the trace of the claim.
            holder = next((c.uid for c in wanting if not c.managed and c.hostname == shown), None)
    elif shown is not None:
        holder = me
    if holder is None:
        holder = wanting[0].uid if wanting else me
    if holder == me:
        return Hold.MINE, me
    return (Hold.LOST if any(c.uid == holder for c in wanting) else Hold.RELEASE), holder


def _read(situation: Situation, draft: Draft, hostname: str) -> bool:
    """Has the place where a mark for this hostname could stand been read?"""
    zones = [z for z in situation.world.zones.get().value or () if z.editable and is_within(hostname, z.name)]
    if not zones:
        return True
    longest = max(len(z.name) for z in zones)
    known = True
    for zone in zones:
        if len(zone.name) == longest and situation.world.records.get(zone.id, hostname).value is None:
            draft.need(NeedName(zone.id, hostname, situation.memory.first_seen))
            known = False
    return known


def _finding(
    situation: Situation, hostname: Hold, contested: dict[str, Hold], blockers: frozenset[str]
) -> Finding | None:
    name = situation.obj.spec.hostname
    if hostname is Hold.LOST:
        return bad(
            reasons.HOSTNAME_CONFLICT,
            f"{name} is held by another MailEgress; nothing is written for it. {reasons.HOSTNAME_CONFLICT.remedy}",
        )
    lost = sorted(ip for ip, hold in contested.items() if hold is Hold.LOST)
    if lost:
        return bad(
            reasons.ADDRESS_CONFLICT,
            f"{', '.join(lost)} is held by another MailEgress; nothing is written for it. "
            f"{reasons.ADDRESS_CONFLICT.remedy}",
        )
    cycle = situation.world.claims.in_cycle(situation.obj.meta.uid, blockers) if blockers else False
    if cycle:
        what = name if hostname is Hold.RELEASE else ", ".join(sorted(contested))
        return bad(
            reasons.CLAIM_CYCLE,
            f"{what} is held by another MailEgress that in turn waits for what this one holds. "
            f"{reasons.CLAIM_CYCLE.remedy}",
        )
    if hostname is Hold.RELEASE or contested:
        what = name if hostname is Hold.RELEASE else ", ".join(sorted(contested))
        return bad(
            reasons.WAITING_FOR_RELEASE,
            f"{what} is still held by another MailEgress that does not want it any more; waiting for its release.",
            soft=cycle is None,
        )
    return None


def _unclear(situation: Situation, choice: Choice) -> Finding:
    """Who holds the hostname is not known, and why: without the mark at the name nobody can tell."""
    hostname = situation.obj.spec.hostname
    if choice.zone is None and choice.finding is not None:
        return choice.finding
    if choice.zone is not None:
        fault = situation.world.records.get(choice.zone.id, hostname).fault
        if fault is not None:
            return replace(
                from_fault(fault, f"Reading {hostname} in zone {choice.zone.id}: "), status=UNKNOWN
            )
    return unknown(reasons.PROGRESSING, f"Finding out who holds {hostname}.", soft=True)
