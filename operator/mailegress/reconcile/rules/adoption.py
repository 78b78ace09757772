"""What may be adopted, and whose a record set or a PTR is (S2).

An A record that already has the wanted values, and a PTR that already shows the hostname, are adopted: the operator
keeps them up to date from then on and leaves them in place on deletion. Under ``adoption: Never`` they are reported as
a conflict instead (:func:`record_problem`, :func:`ptr_problem`). Anything else that this operator did not create is
never changed. Whose a PTR is, is recorded in the status before it is written (:func:`origin`).
"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.api.names import ownership_name
from mailegress.api.status import AddressStatus, Origin
from mailegress.api.types import Adoption
from mailegress.model import ownership
from mailegress.model.aws import Eip, NameView, RecordSet, Zone
from mailegress.model.facts import ErrorKind
from mailegress.model.ownership import Mark
from mailegress.reconcile import dns_checks
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Finding, SetPtr, failed, unknown
from mailegress.reconcile.rules import finalizer
from mailegress.reconcile.rules.claims import Claims, Hold
from mailegress.reconcile.rules.ownership_check import recorded_places
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.record_changes import simple_a
from mailegress.reconcile.rules.targets import Targets


def nobody_joins(observed: Observed, targets: Targets, claims: Claims) -> Finding:
    """Why no address may be in the A record: the cause itself, for Ready carries the first blocker."""
    if (problem := targets.problem) is not None:
        return problem
    if claims.finding is not None:
        return claims.finding
    problems = (ptr_problem(observed, eip) for eip in targets.wanted.values())
    return next(
        (p for p in problems if p is not None),
        unknown(reasons.PROGRESSING, "Finding the Elastic IPs.", inconclusive=True),
    )


def record_problem(
    observed: Observed,
    targets: Targets,
    claims: Claims,
    view: NameView,
    mark: Mark | None,
    *,
    mine: bool,
    wanted: frozenset[str],
    known: Origin | None,
) -> Finding | None:
    """Why the record sets at the hostname may be neither changed nor adopted.

    ``known``: what our ownership record here showed last.
    """
    s, hostname = observed, observed.obj.spec.hostname
    simple = simple_a(view)
    values = frozenset(simple.values) if simple is not None else frozenset()
    if (foreign := _no_simple_record(hostname, view)) is not None:
        return foreign
    if mine:
        return None
    if mark is not None and (claimed := _marked(s, targets, mark, values, wanted)) is not None:
        return claimed
    if not wanted:
        # With nothing to compare it with, what stands there is not the matter.
        return nobody_joins(s, targets, claims)
    if view.mark is not None:
        return _left_behind(s, mark, values, wanted)
    return _unmarked(s, simple, wanted, known)


def _unmarked(
    observed: Observed, simple: RecordSet | None, wanted: frozenset[str], known: Origin | None
) -> Finding | None:
    """There is no ownership record: an A record with the wanted values may be adopted, unless ``adoption`` is Never."""
    s, hostname = observed, observed.obj.spec.hostname
    values = frozenset(simple.values) if simple is not None else frozenset()
    if simple is None or (values == wanted and known is not None):
        return None
    if values != wanted:
        return failed(
            reasons.RECORD_CONFLICT,
            f"{hostname} has an A record that this operator did not create: {dns_checks.listing(values)}, wanted "
            f"{dns_checks.listing(wanted)}. {reasons.RECORD_CONFLICT.remedy}",
        )
    if s.obj.spec.adoption is Adoption.NEVER:
        return failed(
            reasons.RECORD_NOT_ADOPTED,
            f"{hostname} already has the wanted A record, which this operator did not create. "
            f"{reasons.RECORD_NOT_ADOPTED.remedy}",
        )
    return None


def _no_simple_record(hostname: str, view: NameView) -> Finding | None:
    """There is a CNAME, an alias or a routing policy, which this operator never writes."""
    foreign = [r for r in view.records if r.type == "CNAME" or (r.type == "A" and not r.simple)]
    if foreign:
        what = (
            "a CNAME"
            if foreign[0].type == "CNAME"
            else "an alias"
            if foreign[0].alias
            else "an A record set with a routing policy"
        )
        return failed(
            reasons.RECORD_CONFLICT,
            f"{hostname} has {what} that this operator did not create. {reasons.RECORD_CONFLICT.remedy}",
        )
    return None


def _marked(
    observed: Observed, targets: Targets, mark: Mark, values: frozenset[str], wanted: frozenset[str]
) -> Finding | None:
    """The ownership record is another operator's, or names this object without its status recording the write."""
    s, hostname = observed, observed.obj.spec.hostname
    if not s.settings.mine(mark.owner):
        # Before anything that the PTRs say: beside another operator's record they are that operator's too.
        return failed(
            reasons.RECORD_CONFLICT,
            f"{hostname} belongs to another MailEgress operator (owner ID {mark.owner}). Delete it there, or "
            "add the ID to --accept-owner-ids if that operator no longer exists.",
        )
    if mark.uid == s.obj.meta.uid and values and targets.known:
        besides = (
            "another MailEgress wants the hostname, too"
            if values == wanted
            else f"the A record holds {dns_checks.listing(values)}, wanted {dns_checks.listing(wanted)}"
        )
        return failed(
            reasons.RECORD_CONFLICT,
            f"{ownership_name(hostname)} names this MailEgress, but its status does not record that the operator "
            f"wrote it, and {besides}. {reasons.RECORD_CONFLICT.remedy}",
        )
    return None


def _left_behind(
    observed: Observed, mark: Mark | None, values: frozenset[str], wanted: frozenset[str]
) -> Finding | None:
    """The TXT is no ownership record, or belongs to an object that is gone and whose A record differs."""
    s, hostname = observed, observed.obj.spec.hostname
    if mark is None:
        return failed(
            reasons.RECORD_CONFLICT,
            f"The TXT record set {ownership_name(hostname)} is not an ownership record of this operator. "
            f"{reasons.RECORD_CONFLICT.remedy}",
        )
    if not s.views.claims.live(mark.uid) and values and values != wanted:
        return failed(
            reasons.RECORD_CONFLICT,
            f"{hostname} has the ownership record of a MailEgress that no longer exists, and its A record "
            f"contains {dns_checks.listing(values)}, wanted {dns_checks.listing(wanted)}. Make the two "
            f"equal, or delete the A record and the TXT {ownership_name(hostname)}.",
        )
    return None


def ptr_problem(observed: Observed, eip: Eip) -> Finding | None:
    """Why an EIP that has not joined may not: its PTR is a third party's, or may not be adopted."""
    hostname = observed.obj.spec.hostname
    shown = eip.ptr.update if eip.ptr.pending and eip.ptr.update else eip.ptr.name
    if shown is None or shown in observed.own_names() - {hostname} or _former(observed, eip, shown):
        return None
    if shown == hostname:
        if observed.obj.spec.adoption is Adoption.NEVER and not known_origin(observed, eip):
            return failed(
                reasons.PTR_NOT_ADOPTED,
                f"{eip.public_ip} already has the PTR {hostname}, which this operator did not set. "
                f"{reasons.PTR_NOT_ADOPTED.remedy}",
            )
        return None
    return failed(
        reasons.PTR_CONFLICT,
        f"{eip.public_ip} has the PTR {shown}, which this operator did not set. {reasons.PTR_CONFLICT.remedy}",
    )


def _former(observed: Observed, eip: Eip, shown: str) -> bool:
    """Is it the PTR of a former hostname of this object? Under Observed there is no mark that says so."""
    s, recorded = observed, observed.recorded_for(eip.allocation_id)
    if shown == s.obj.spec.hostname or recorded is None or recorded.ptr_origin is None:
        return False
    if shown in s.obj.former_hostnames():
        return True
    # Renamed under a release that did not record former hostnames: the status still shows the PTR as it was, and
    # nobody called it foreign.
    foreign = (reasons.PTR_CONFLICT.name, reasons.PTR_CONTESTED.name)
    return not s.memory.edits.edited and recorded.ptr == shown and recorded.reason not in foreign


def pointed(observed: Observed, targets: Targets) -> bool:
    """Does every wanted address that AWS can give a PTR have the hostname as its PTR?"""
    hostname, book = observed.obj.spec.hostname, observed.views.addresses
    for eip in targets.wanted.values():
        view = book.get(eip.region).value
        if (view is None or view.ptr_supported) and not eip.ptr.settled_to(hostname):
            return False
    return bool(targets.wanted)


def known_origin(observed: Observed, eip: Eip) -> bool:
    recorded = observed.recorded_for(eip.allocation_id)
    return (recorded is not None and recorded.ptr_origin is not None) or made_before(
        observed, eip, observed.obj.spec.hostname
    )


def made_before(observed: Observed, eip: Eip, hostname: str) -> bool:
    """An A record under a mark that says it was created by us, or by an object that is gone, already holds the address;
    or this process set the PTR.

    AWS takes a PTR only after the A, and the A was ours: the PTR beside it is ours too (lost status, restored cluster).
    Where the mark is ours and somebody deleted the status, the A is taken to have held the address, whatever it holds.
    """
    s, known = observed, observed.memory.ownership
    if _set_here(s, eip, hostname):
        return True
    lost = known.generation_without_records == s.obj.meta.generation
    recorded = s.recorded_for(eip.allocation_id)
    # Another process records a PTR before it sets it as well: a status without that tells of a third party.
    came_later = recorded is not None and not lost and _is_news(recorded, eip)
    for zone_id, view in s.views.records.holder(hostname):
        mark = ownership.parse(view.mark.values) if view.mark is not None else None
        if mark is None or mark.adopted or not s.settings.mine(mark.owner):
            continue
        own, place = mark.uid == s.obj.meta.uid, (zone_id, hostname)
        if own and place in known.begun:
            # What this process sets beside a record that it made, it records first, and knows if the status is lost.
            continue
        if own and came_later:
            continue
        if not own and s.views.claims.live(mark.uid):
            continue
        if any(eip.public_ip in r.values for r in view.of_type("A") if r.simple):
            return True
        if own and lost and place not in known.written:
            return True
    return False


def _is_news(recorded: AddressStatus, eip: Eip) -> bool:
    """Does the status tell of no write of the operator, and of another PTR or of one that may not be adopted?"""
    untouched = recorded.ptr_origin is None and recorded.ptr_update is None
    refused = recorded.reason == reasons.PTR_NOT_ADOPTED.name
    return untouched and (recorded.ptr != eip.ptr.name or refused) and not eip.ptr.pending


def _searching(observed: Observed) -> bool:
    """Are the hosted zones still to be searched for what a former process wrote? Not where nobody may read them."""
    fault = observed.views.records.all_swept().fault
    return not observed.searched() and (fault is None or fault.kind is ErrorKind.TRANSIENT)


def _set_here(observed: Observed, eip: Eip, hostname: str) -> bool:
    """Did this process set the PTR, whatever the status still tells of it?"""
    return (eip.allocation_id, hostname) in observed.memory.ptrs.managed


def _about_to_set(observed: Observed, builder: PlanBuilder, eip: Eip) -> SetPtr | None:
    """The write of the PTR that is handed over as soon as the status is written.

    What is not handed over is not recorded: somebody else may set the same name first.
    """
    handed_over = not observed.obj.spec.suspend and finalizer.present(observed)
    return builder.ptrs.get(eip.allocation_id) if handed_over else None


def ptr_update(observed: Observed, builder: PlanBuilder, eip: Eip) -> str | None:
    """The name that the operator sets the PTR to, recorded before it is written and until AWS shows it."""
    write = _about_to_set(observed, builder, eip)
    if write is not None:
        return write.hostname
    recorded = observed.recorded_for(eip.allocation_id)
    return unfinished(recorded, eip) if recorded is not None else None


def unfinished(recorded: AddressStatus, eip: Eip) -> str | None:
    """The recorded update of a PTR, unless AWS shows it."""
    update = recorded.ptr_update
    return None if update is None or eip.ptr.settled_to(update) else update


def says_more(entry: AddressStatus, eip: Eip) -> bool:
    """Does the entry tell of a PTR of ours that this process does not see?

    Another process of this operator may have set it since it was read, or may be about to.
    """
    differs = entry.ptr not in (None, eip.ptr.name) or unfinished(entry, eip) is not None
    return differs and entry.ptr_origin is Origin.MANAGED


def outdated(observed: Observed, entry: AddressStatus, eip: Eip) -> bool:
    """Is the reading older than the different PTR in the status? Then it proves nothing, and is not stored."""
    fact = observed.views.addresses.ptr(eip.region, eip.allocation_id)
    return says_more(entry, eip) and not fact.fresh(observed.memory.ptrs.told_at)


def changed_by_others(observed: Observed, recorded: AddressStatus, eip: Eip) -> bool:
    """Does a PTR differ from everything that the operator set or last saw?

    Then a third party set or removed it. Where the address is not wanted, or the PTR shows a hostname that the object
    got since, it is not the operator's any more, whatever name it shows (S2).
    """
    explained = {recorded.ptr, recorded.ptr_update}
    if eip.ptr.pending or observed.ptr_under_way(eip.region, eip.allocation_id):
        return False
    if explained == {None} and eip.ptr.name in observed.ptr_names():
        return False  # A release that recorded no update may have set a name of this object.
    if outdated(observed, recorded, eip):
        return False
    return not any(eip.ptr.settled_to(name) for name in explained)


def never_seen(observed: Observed, recorded: AddressStatus, eip: Eip) -> bool:
    """Was the PTR to be set by the operator, and shows what somebody else set, before the operator saw its own there?

    The write may never have been sent: the process that recorded it may have ended before. The same where a third
    party removed the operator's PTR first, and the operator saw that.
    """
    return recorded.ptr is None and changed_by_others(observed, recorded, eip)


def added_by_others(observed: Observed, eip: Eip, hostname: str) -> bool:
    """Is this address, which the record at the hostname holds, none that the operator gave it?

    The status records each one before that, from the first write of the record on. It cannot tell if somebody deleted
    it meanwhile.
    """
    s, known = observed, observed.memory.ownership
    if s.recorded_for(eip.allocation_id) is not None or _set_here(s, eip, hostname):
        return False
    told = known.begun if known.generation_without_records is not None else recorded_places(s)
    return any(name == hostname and (zone_id, name) in told for zone_id, name in s.owned())


def left_alone(observed: Observed, eip: Eip) -> bool:
    """A PTR that was adopted is left as it was found."""
    recorded = observed.recorded_for(eip.allocation_id)
    return recorded is not None and recorded.ptr_origin is Origin.ADOPTED


def origin(
    observed: Observed, builder: PlanBuilder, claims: Claims, zone: Zone | None, eip: Eip, *, joined: bool
) -> Origin | None:
    """Whose PTR it is, to be recorded before it is written. ``joined``: the A record holds the address by right."""
    hostname = observed.obj.spec.hostname
    recorded = observed.recorded_for(eip.allocation_id)
    known = recorded.ptr_origin if recorded is not None else None
    write = _about_to_set(observed, builder, eip)
    if write is not None:
        # What was adopted and is put back stays as it was found; all else that we set is ours.
        return known if write.repair and known is not None else Origin.MANAGED
    if recorded is not None and known is Origin.MANAGED:
        if eip.ptr.name == hostname:
            # A third party may have set the name that the object got since the PTR was seen.
            known = None if changed_by_others(observed, recorded, eip) else known
        elif never_seen(observed, recorded, eip):
            known = None
    if known is not None:
        return known
    if claims.hostname is not Hold.MINE or not claims.allows(eip.allocation_id):
        # What another object's PTR shows is not adopted by looking at it.
        return None
    if hostname in (eip.ptr.name, eip.ptr.update):
        if observed.managed:
            view = observed.views.records.get(zone.id, hostname).value if zone is not None else None
            if view is None:
                return None  # Whose it is stands in the mark, which was not read yet.
            mark = ownership.parse(view.mark.values) if view.mark is not None else None
            if mark is not None and mark.uid != observed.obj.meta.uid:
                # Another's, which leaves us what it had made or adopted once its record is taken over.
                return None
        elif _searching(observed):
            return None  # The record of the time before may still stand, with its mark.
        if made_before(observed, eip, hostname):
            return Origin.MANAGED
        # What came while the record was written is left as it was found, also under ``adoption: Never``.
        return Origin.ADOPTED if joined or ptr_problem(observed, eip) is None else None
    shown = observed.own_names() & {eip.ptr.name, eip.ptr.update}
    return Origin.MANAGED if any(made_before(observed, eip, name) for name in shown) else None
