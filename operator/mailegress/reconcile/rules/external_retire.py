"""What leaves the object's DNSEndpoint: lost addresses, former hostnames, all of it after another management (S2 S3).

Make before break, as for records in Route 53 (``retire.py``): what replaces a record is verified before the record
goes. After a change to Observed the endpoint is handed over: it stays, without the operator's label, because
external-dns would delete the record with it. The cleanup of a deleted object is :func:`clean` (S5, S8).
"""

from __future__ import annotations

from dataclasses import replace

from mailegress.api import reasons
from mailegress.api.status import EndpointStatus, Origin
from mailegress.api.types import Management
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.model.facts import WritePhase
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import (
    ChangeRecords,
    Finding,
    NeedAuthorities,
    Notice,
    failed,
    from_fault,
)
from mailegress.reconcile.rules import suspend
from mailegress.reconcile.rules.a_record import RecordState
from mailegress.reconcile.rules.external_record import proposed, send, unready
from mailegress.reconcile.rules.leaving import leaving
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.ptr import PtrState
from mailegress.reconcile.rules.retire import in_use, ptrs_unread
from mailegress.reconcile.rules.targets import Targets


def withdraw_lost(
    observed: Observed, builder: PlanBuilder, targets: Targets, *, everywhere: bool = False
) -> None:
    """Take lost addresses out of the endpoint before anything else is written: they may be a third party's by now.

    The record of ``spec.hostname`` is compared with what is wanted next, and loses them there; not so under
    ``suspend``, after a change of management, or ``everywhere`` for a refused object.
    """
    s, own = observed, observed.endpoint
    if own is None or not targets.lost:
        return
    compared = s.external and not everywhere and not s.obj.spec.suspend
    entries = tuple(
        e if compared and e.hostname == s.obj.spec.hostname else replace(e, targets=e.targets - targets.lost)
        for e in own.entries
    )
    if entries != own.entries:
        lost = dns_checks.listing({ip for e in own.entries for ip in e.targets & targets.lost})
        send(s, builder, proposed(s, entries, f"take lost addresses {lost} out", only_lost=True))


def keep_equal(
    observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState
) -> RecordState:
    """After a change to Managed, give the endpoint's record the values of the one in Route 53.

    Resolvers that follow the former delegation see it. An address whose PTR shows the hostname stays in it until that
    PTR is reset. A record that external-dns made in the zone itself is changed in the endpoint first, because
    external-dns would set it back.
    """
    s, own, hostname = observed, observed.endpoint, observed.obj.spec.hostname
    entry = own.entry(hostname) if own is not None else None
    if not s.managed or own is None or entry is None or not forward.mine:
        return forward
    first = forward.adopted and isinstance(builder.action, ChangeRecords)
    if not first and not forward.complete:
        return forward
    aim = forward.wanted if first else forward.values
    gone = entry.targets - aim - targets.lost
    old = leaving(s, builder, targets, gone, hostname, s.memory.first_seen)
    values = ((aim - (targets.refused_ips - entry.targets)) | old.stay) - targets.lost
    if old.reading is not None or not values or values == entry.targets:
        return forward
    entries = tuple(replace(e, targets=values) if e is entry else e for e in own.entries)
    why = f"change A from {dns_checks.listing(entry.targets)} to {dns_checks.listing(values)} of {hostname}"
    if first:
        builder.withdraw()
    refused = send(s, builder, proposed(s, entries, why))
    return replace(forward, finding=refused) if first and refused is not None else forward


def retire(
    observed: Observed, builder: PlanBuilder, targets: Targets, forward: RecordState, reverse: PtrState
) -> tuple[str, ...]:
    """Remove what the endpoint asks for besides the record that the spec wants from it; what is owed comes back."""
    s, own = observed, observed.endpoint
    if own is None:
        return _unreadable(s)
    hostname = s.obj.spec.hostname
    names = s.endpoint_names()
    if not s.external:
        # Also of one that is known by its label only, because the status was lost or somebody emptied the endpoint.
        names = names or own.names() or frozenset({hostname})
    owed = [
        _retire_one(s, builder, targets, forward, reverse, own, name)
        for name in sorted(names)
        if not (s.external and name == hostname)
    ]
    return tuple(owed)


def _unreadable(observed: Observed) -> tuple[str, ...]:
    """The status names an endpoint, and whether it still exists cannot be seen."""
    s = observed
    stored = s.obj.status.dns_endpoint
    if s.external or stored is None:
        return ()
    why = unready(s)
    if why is None or why.reason == reasons.EXTERNAL_DNS_MISSING.name:
        return ()
    return (f"DNSEndpoint {stored.name} is not removed: {why.message.removesuffix('.')}",)


def _retire_one(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    forward: RecordState,
    reverse: PtrState,
    own: DnsEndpoint,
    name: str,
) -> str:
    s, hostname = observed, observed.obj.spec.hostname
    # What others added to it is the object's no more than before, and goes with this change.
    others = tuple(e for e in own.entries if e.hostname in s.endpoint_names() - {name})
    if name == hostname and s.obj.spec.forward.management is Management.OBSERVED:
        if others:
            return f"DNSEndpoint {own.name} is handed over when the records of former hostnames are removed from it"
        return _told(send(s, builder, _hand_over(own)), own, f"DNSEndpoint {own.name} is being handed over")
    if name == hostname and (zone_id := _adopted_in(s, forward)) is not None:
        return (
            f"DNSEndpoint {own.name} stays: the A record was in zone {zone_id} before, and if external-dns made it "
            "there, it is deleted with the DNSEndpoint. If external-dns does not write to this zone, delete the "
            "DNSEndpoint. Otherwise set the policy of external-dns to upsert-only or stop it first"
        )
    where = f"the record of {name} in DNSEndpoint {own.name}"
    if not (forward.finding.ok and reverse.settled):
        if forward.finding.inconclusive:
            # In idle times one server at a time is asked; to give up the old record all must have been.
            floor = max(s.memory.first_seen, s.memory.edits.request_at)
            builder.have(s.views.dns.authorities(hostname), floor, NeedAuthorities(hostname, floor))
            if name == hostname:
                return _parent_unread(own)
        return f"{where} is kept until {hostname} is verified"
    addresses = own.addresses(name)
    if name != hostname and (text := in_use(s, builder, targets, reverse, name, addresses)):
        return text
    if name == hostname and (text := _waits(s, builder, forward, own)):
        return text
    going = f"{where} is being removed"
    if text := ptrs_unread(s, builder, targets, name, addresses, going):
        return text
    return _told(send(s, builder, proposed(s, others, f"remove the record of {name}")), own, going)


def _told(refused: Finding | None, own: DnsEndpoint, going: str) -> str:
    return (
        going
        if refused is None
        else f"DNSEndpoint {own.name} cannot be changed: {refused.message.removesuffix('.')}"
    )


def _adopted_in(observed: Observed, forward: RecordState) -> str | None:
    """The zone in which external-dns made the record that the object adopted; until it is read, as the status says."""
    if forward.zone is not None and forward.known:
        return forward.zone.id if forward.adopted else None
    stored = observed.obj.status
    adopted = stored.forward is not None and stored.forward.origin is Origin.ADOPTED
    return stored.zone.id if adopted and stored.zone is not None and observed.managed else None


def _parent_unread(own: DnsEndpoint) -> str:
    return f"DNSEndpoint {own.name} is kept until the NS TTL at the parent of the hosted zone is read"


def _waits(observed: Observed, builder: PlanBuilder, forward: RecordState, own: DnsEndpoint) -> str:
    """Why the endpoint stays after a change to Managed although the one in Route 53 is verified; empty: it may go."""
    s, known, zone = observed, forward.delegated, forward.zone
    if zone is None or known is None or known.zone_id != zone.id:
        builder.need(NeedAuthorities(s.obj.spec.hostname, s.now))
        return _parent_unread(own)
    if s.now >= known.until:
        return ""
    builder.later(known.until - s.now)
    return (
        f"DNSEndpoint {own.name} is kept for {known.hold} seconds after the delegation to zone {zone.id} was first "
        "read, because resolvers may cache the parent's former NS records for that long"
    )


def _hand_over(own: DnsEndpoint) -> ChangeEndpoint:
    """The endpoint stays as it is, and is not this object's any more."""
    return ChangeEndpoint(own.namespace, own.name, own.entries, None, f"hand over {own.name}", own)


def shown(observed: Observed, builder: PlanBuilder, record: RecordState) -> EndpointStatus | None:
    """What the status names: the object's own endpoint and its hostnames, from before they are first written until they
    are known to be gone."""
    s, action, stored = observed, builder.action, observed.obj.status.dns_endpoint
    names = s.endpoint_names()
    if s.external and record.mine:
        # It asks for what the spec wants; also if an operator that does not know this field dropped it.
        names |= {s.obj.spec.hostname}
    if (
        isinstance(action, ChangeEndpoint)
        and action.owner is not None
        and action.entries
        and not suspend.holds_back(s, action)
    ):
        return EndpointStatus(action.name, tuple(sorted(names | {e.hostname for e in action.entries})))
    own = s.endpoint
    if own is not None and own.owner == s.obj.meta.uid:
        return EndpointStatus(own.name, tuple(sorted(names)))
    why = unready(s)
    hidden = why is not None and why.reason != reasons.EXTERNAL_DNS_MISSING.name
    return stored if s.external or hidden else None


# ---------------------------------------------------------------- deletion


def clean(observed: Observed, builder: PlanBuilder) -> Finding | None:
    """The last step of a deletion: no PTR is left, the endpoint goes, and the record is seen to be gone."""
    s, own, stored = observed, observed.endpoint, observed.obj.status.dns_endpoint
    why = unready(s)
    if why is not None and why.reason != reasons.EXTERNAL_DNS_MISSING.name:
        nothing = stored is None and (why.reason == reasons.EXTERNAL_DNS_DISABLED.name or not s.external)
        return None if nothing else _blocked(why)
    if own is not None and own.owner == s.obj.meta.uid:
        return _remove(s, builder, own)
    if stored is None:
        return None
    if (unread := _absence_unread(s, builder, stored.name)) is not None:
        return unread
    return _still_there(s, builder, stored.name) if s.external else None


def _absence_unread(observed: Observed, builder: PlanBuilder, name: str) -> Finding | None:
    """Why a missing endpoint may still exist: it cannot be read now, or not since a write without an answer (S8)."""
    s, kind = observed, observed.views.endpoints.kind()
    if kind.fault is not None:
        return from_fault(kind.fault)
    write = s.views.endpoints.state(s.obj.meta.namespace, name)
    if write is None or write.phase is not WritePhase.FAILED or kind.at > write.at:
        return None
    builder.later(s.settings.poll_seconds)
    return failed(reasons.DELETING, f"No PTR is left; reading whether DNSEndpoint {name} exists.")


def _blocked(why: Finding) -> Finding:
    reading = why.inconclusive and why.reason == reasons.PROGRESSING.name
    return failed(reasons.DELETING, why.message) if reading else why


def _remove(observed: Observed, builder: PlanBuilder, own: DnsEndpoint) -> Finding:
    s = observed
    if s.obj.spec.forward.management is Management.OBSERVED:
        handing = failed(reasons.DELETING, f"No PTR is left; handing over DNSEndpoint {own.name}.")
        return send(s, builder, _hand_over(own)) or handing
    removing = failed(reasons.DELETING, f"No PTR is left; deleting DNSEndpoint {own.name}.")
    nobody = Targets((), {}, known=False, lost=frozenset())
    for entry in own.entries:
        if text := ptrs_unread(s, builder, nobody, entry.hostname, entry.targets, removing.message):
            return removing if text == removing.message else failed(reasons.DELETION_BLOCKED, text)
    return send(s, builder, proposed(s, (), f"delete {own.name}")) or removing


def _still_there(observed: Observed, builder: PlanBuilder, name: str) -> Finding | None:
    """The endpoint is gone: until no authoritative server returns the record, or for so long that it stays."""
    s = observed
    hostname = s.obj.status.hostname or s.obj.spec.hostname
    addresses = frozenset(s.obj.status.public_ips)
    write = s.views.endpoints.state(s.obj.meta.namespace, name)
    applied = write is not None and write.phase is WritePhase.APPLIED
    since = write.at if write is not None and applied else s.memory.edits.deleting_at
    fact = s.views.dns.authorities(hostname)
    report = fact.value if fact.fresh(since) else None
    if report is not None:
        usable = [a for a in report.answers if a.kind.answered]
        if usable and not any(a.addresses & addresses for a in usable):
            return None
    due = since + s.settings.external_removal_seconds
    if s.now >= due:
        builder.notices.append(_left_in_place(s, hostname, answered=report is not None))
        return None
    builder.later(due - s.now)
    if max(fact.at, fact.tried_at) < since:
        builder.need(NeedAuthorities(hostname, since))
    else:
        builder.ask_again(s, "removal", fact, lambda at: NeedAuthorities(hostname, at))
    return failed(
        reasons.DELETING,
        f"DNSEndpoint {name} is deleted; waiting until no authoritative server returns {dns_checks.listing(addresses)} "
        f"for {hostname}, for {s.settings.external_removal_seconds:g} seconds at most.",
    )


def _left_in_place(observed: Observed, hostname: str, *, answered: bool) -> Notice:
    waited = f"{observed.settings.external_removal_seconds:g} seconds after its DNSEndpoint was deleted"
    what = (
        f"Public DNS still returns the A record of {hostname} {waited}"
        if answered
        else f"Whether the A record of {hostname} is gone is not known {waited}: no authoritative server answers"
    )
    return Notice(reasons.RECORD_LEFT_IN_PLACE.name, f"{what}. {reasons.RECORD_LEFT_IN_PLACE.remedy}")
