"""Proof by DNS: do the authoritative servers say what Route 53 was told?"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.api.conditions import FORWARD_READY, READY, TRUE
from mailegress.reconcile import delegation, verify
from mailegress.reconcile.situation import Draft, Situation
from mailegress.reconcile.step import Finding, NeedAuthorities, NeedSpot, bad, good, unknown
from mailegress.reconcile.verify import Seen


def prove(
    situation: Situation,
    draft: Draft,
    wanted: frozenset[str],
    wrote_at: float,
    *,
    exact: bool,
    zone: str | None = None,
    servers: frozenset[str] | None = None,
) -> tuple[Finding, bool]:
    """Do the authoritative servers say so? All are asked after a write or an edit, one of them in idle times."""
    s, hostname = situation, situation.obj.spec.hostname
    previous = s.obj.status.condition(FORWARD_READY)
    stands = (
        previous is not None
        and previous.status == TRUE
        and previous.observed_generation == s.obj.meta.generation
        and s.obj.status.hostname == hostname
    )
    reading = s.world.dns.authorities(hostname)
    floor = max(wrote_at, s.memory.token_at if stands else s.edit_floor)
    report = reading.value if reading.fresh(floor) else None
    spot = s.world.dns.spot(hostname)
    text = f"Asking every authoritative server for {hostname}."
    if stands:
        idle = max(s.now - s.settings.resync_seconds / 2, floor)
        heard_at = max(spot.at, reading.at)
        turn = s.memory.first_seen + s.spread(s.settings.resync_seconds)
        if heard_at < idle and s.now < turn:
            draft.later(turn - s.now)
        elif heard_at < idle:
            draft.need(NeedSpot(hostname, idle))
        newest = spot.value if spot.at >= max(floor, reading.at) else None
        if newest is not None and not verify.right(newest, wanted, exact=exact):
            draft.need(NeedAuthorities(hostname, spot.at))
            return unknown(reasons.AUTHORITIES_DISAGREE, text, soft=True), False
        if spot.fault is not None and spot.tried_at >= max(floor, reading.at, reading.tried_at):
            # One that is mute proves nothing about the others.
            draft.need(NeedAuthorities(hostname, spot.tried_at))
            return unknown(reasons.AUTHORITIES_UNREACHABLE, text, soft=True), False
    if reading.fault is not None and reading.tried_at >= floor:
        draft.ask_again(s, "authorities", reading, lambda due: NeedAuthorities(hostname, due))
        why = (
            reasons.INTERCEPTED
            if reading.fault.reason == reasons.INTERCEPTED.name
            else reasons.AUTHORITIES_UNREACHABLE
        )
        soft = reading.misses < s.settings.confirmations
        return bad(why, f"For {hostname}: {reading.fault.message}. {why.remedy}", soft=soft), False
    if stands:
        ready = s.obj.status.condition(READY)
        # A condition stands without a new reading of all of them, but nothing becomes Ready on it.
        if report is None and ready is not None and ready.status == TRUE:
            return unknown(reasons.PROGRESSING, text, soft=True), False
    if report is None:
        draft.need(NeedAuthorities(hostname, floor))
        return unknown(reasons.PROGRESSING, text, soft=True), False
    strays: frozenset[str] | None = frozenset()
    if servers is not None and report.zone == zone:
        strays = delegation.strays(s, draft, report.name_servers, servers)
    if strays is None:
        return unknown(
            reasons.PROGRESSING, f"Comparing the name servers of {zone} by address.", soft=True
        ), False
    verdict = verify.authorities(report, wanted, exact=exact, zone=zone, servers=servers, strays=strays)
    if verdict.seen is Seen.AGREE:
        message = f"Every authoritative server answers {verify.listing(wanted)} for {hostname}."
        # While suspended the write is only told: an older answer says as well what it would be.
        recent = s.obj.spec.suspend or reading.at >= s.now - s.settings.gate_seconds
        return good(reasons.RECORD_IN_SYNC, message), recent
    streak = draft.ask_again(s, "authorities", reading, lambda due: NeedAuthorities(hostname, due))
    confirm = s.settings.confirmations if verdict.dissent != 1 else 2 * s.settings.confirmations
    reason = {
        Seen.SILENT: reasons.AUTHORITIES_UNREACHABLE,
        Seen.UNDELEGATED: reasons.ZONE_NOT_DELEGATED,
        Seen.INTERCEPTED: reasons.INTERCEPTED,
    }.get(verdict.seen, reasons.AUTHORITIES_DISAGREE if exact else reasons.WAITING_FOR_FORWARD)
    remedy = verdict.remedy or reason.remedy
    return bad(reason, f"For {hostname}: {verdict.text}. {remedy}", soft=streak < confirm), False
