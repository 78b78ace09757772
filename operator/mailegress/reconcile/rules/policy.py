"""What the MailEgressPolicies of the namespace allow: the hostname, the zone and each address (S14).

The hostname is judged before anything is asked of AWS or DNS (:func:`judge`), the zone when it is chosen
(:func:`in_zone`), and each address as it is resolved, before its claim (:func:`narrow`). One policy must allow all of
them together. What is refused joins nothing. What the object had before stays: see ``shrink_only.py``.

An address that is not allowed and one that does not exist give the same words, so that nobody learns from the status
which addresses the account has.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mailegress.api import reasons
from mailegress.api.conditions import ACCEPTED
from mailegress.api.policy import PolicyMode, Terms
from mailegress.api.types import DeletionPolicy, EipSelector, SelectorKind
from mailegress.model.aws import Eip
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.policy_grant import Grant, Wish, allows, is_zone, zone_refused
from mailegress.reconcile.policy_grant import judge as judge_wish
from mailegress.reconcile.result import Finding, NeedRegion, Notice, PolicyReport, failed, unknown
from mailegress.reconcile.rules.plan_builder import PlanBuilder
from mailegress.reconcile.rules.targets import Entry, Targets
from mailegress.reconcile.rules.zones import Choice

AUDIT = "Audit: under --policy=Enforce this MailEgress would be refused"
"""How the text begins that audit mode adds to the message of Accepted."""
_COMPARED = 200
"""Characters of it that show whether it was written before; the end of a long message is cut."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policies say of an object as a whole."""

    grant: Grant
    enforced: bool
    """False in audit mode: everything is reported, and nothing changes."""
    blind: str = ""
    """Why the policies are not known well enough to judge; nothing is allowed then, and nothing counts as refused."""

    @property
    def refusal(self) -> Finding | None:
        """Why nothing may be done for the object but removals. None in audit mode."""
        if not self.enforced:
            return None
        if self.blind:
            return unknown(
                reasons.PROGRESSING,
                f"{self.blind}. Until they are read, nothing but removals is done.",
                inconclusive=True,
            )
        return failed(self.grant.reason, self.grant.message) if self.grant.reason is not None else None


def judge(observed: Observed) -> Verdict | None:
    """The verdict on hostname and management, and on the zone that the spec names. None: policies are off."""
    mode, policies = observed.settings.policy, observed.views.policies
    if mode is PolicyMode.OFF:
        return None
    grant = policies.grant(observed.obj.meta.uid)
    verdict = Verdict(grant, mode is PolicyMode.ENFORCE, policies.current(observed.now) or "")
    if verdict.blind or grant.refused or not _is_zone(observed):
        return verdict
    # Only now it is known to be the name of a zone.
    wish = _wish(observed)
    return replace(verdict, grant=judge_wish(policies.selected(wish.namespace), wish, {wish.hostname}))


def in_zone(observed: Observed, verdict: Verdict | None, choice: Choice) -> Verdict | None:
    """The verdict once the hosted zone is chosen."""
    if verdict is None or verdict.blind or verdict.grant.refused or choice.zone is None:
        return verdict
    grant = verdict.grant.in_zone(choice.zone.id)
    named = observed.obj.spec.forward.hosted_zone_id == choice.zone.id
    where = f"hosted zone {choice.zone.id}" if named else "its hosted zone"
    return replace(verdict, grant=grant if grant.terms else zone_refused(_wish(observed), where))


def narrow(
    observed: Observed, builder: PlanBuilder, targets: Targets, verdict: Verdict | None
) -> tuple[Targets, Finding | None]:
    """The targets without the addresses that no policy allows, and why the object is not accepted."""
    if verdict is None or not verdict.enforced:
        return targets, None
    selectors = {str(selector): selector for selector in observed.obj.spec.elastic_ips}
    allowed, refused = _split(verdict.grant, targets, selectors)
    if not refused:
        return targets, None
    kept = {entry.selector for entry in allowed if entry.eip is not None}
    shown, known = _refused_entries(observed, builder, targets, refused, kept)
    allowed += shown
    barred = {eip.allocation_id: eip for eips in refused.values() for eip in eips}
    for eip in barred.values():
        # A write that waits to be sent is not sent any more.
        builder.taken_back.append((eip.region, eip.allocation_id))
    labels = sorted(e.selector for e in allowed if e.reason is reasons.ADDRESS_NOT_ALLOWED)
    finding = (
        failed(
            reasons.ADDRESS_NOT_ALLOWED,
            f"{_refused_message(observed, labels)}. {reasons.ADDRESS_NOT_ALLOWED.remedy}",
        )
        if labels
        else None
    )
    narrowed = replace(
        targets,
        entries=tuple(allowed),
        wanted={key: eip for key, eip in targets.wanted.items() if key not in barred},
        known=known,
        refused=barred,
        barred=tuple(selectors[label] for label, _ in refused if label in selectors and label not in kept),
    )
    return narrowed, finding


def barred_in(observed: Observed, zone_id: str | None, eips: Iterable[Eip]) -> frozenset[str]:
    """Public IPs of those that must not come into a record of this zone, which the spec need not name any more.

    None: into the record that the spec asks for.
    """
    if observed.settings.policy is not PolicyMode.ENFORCE:
        return frozenset()
    wish = _wish(observed) if zone_id is None else replace(_wish(observed), zone_id=zone_id)
    zones = {wish.hostname} if _is_zone(observed) else ()
    grant = judge_wish(observed.views.policies.selected(wish.namespace), wish, zones)
    return frozenset(eip.public_ip for eip in eips if not grant.allows(eip))


def _split(
    grant: Grant, targets: Targets, selectors: Mapping[str, EipSelector]
) -> tuple[list[Entry], dict[tuple[str, str], list[Eip]]]:
    """The entries that the grant allows, and by (selector, region) the addresses that it does not.

    What was not found, or is not attached yet, is refused too, unless the grant lets the object know that.
    """
    allowed: list[Entry] = []
    refused: dict[tuple[str, str], list[Eip]] = {}
    for entry in targets.entries:
        place = (entry.selector, entry.region)
        if entry.eip is not None:
            if grant.allows(entry.eip):
                allowed.append(entry)
            else:
                refused.setdefault(place, []).append(entry.eip)
        elif entry.reason in (reasons.ADDRESS_NOT_FOUND, reasons.ADDRESS_PENDING) and not _open(
            grant, selectors.get(entry.selector), entry.region
        ):
            refused.setdefault(place, [])
        else:
            allowed.append(entry)
    return allowed, refused


def _refused_entries(
    observed: Observed,
    builder: PlanBuilder,
    targets: Targets,
    refused: Mapping[tuple[str, str], list[Eip]],
    kept: set[str],
) -> tuple[list[Entry], bool]:
    """What the status shows for refused addresses, and whether all targets are known.

    It shows the same for an address that is refused and for one that does not exist. ``kept``: selectors with an
    allowed address.
    """
    shown: list[Entry] = []
    known = targets.known
    for (label, region), eips in refused.items():
        fact = observed.views.addresses.get(region)
        if label in kept and not eips:
            # The gateway is known by the addresses that are allowed; which others are coming is not shown.
            detail = f"{label} is still attaching addresses"
            shown.append(Entry(label, region, reason=reasons.ADDRESS_PENDING, detail=detail))
        elif not builder.prove_absent(observed, fact, functools.partial(NeedRegion, region)):
            # As for an address that does not exist: a newer list is read before anything is said.
            known = False
            shown.append(Entry(label, region))
        else:
            ids = tuple(eip.allocation_id for eip in eips)
            detail = _refused_message(observed, [label])
            shown.append(Entry(label, region, reason=reasons.ADDRESS_NOT_ALLOWED, detail=detail, refused=ids))
    return shown, known


def allowing(observed: Observed, verdict: Verdict | None, targets: Targets) -> str | None:
    """The policy that the status names: the one that allows the most addresses, then the first by name."""
    if verdict is None or verdict.grant.refused:
        return None
    shown = observed.obj.status.policy
    if (verdict.blind or not targets.known) and shown in {terms.name for terms in verdict.grant.terms}:
        # Which addresses there are is not known yet: no reason to name another one of those that allow it.
        return shown
    if verdict.blind:
        return None

    def used(terms: Terms) -> int:
        return sum(allows(terms, eip) for eip in targets.wanted.values())

    best = max(verdict.grant.terms, key=used, default=None)
    if best is None or ((targets.wanted or targets.refused) and not used(best)):
        return None
    return best.name


def report(observed: Observed, verdict: Verdict | None, targets: Targets | None) -> PolicyReport | None:
    """None: there is nothing to count, because policies are off or not known."""
    if verdict is None or verdict.blind:
        return None
    if verdict.grant.reason is not None:
        return PolicyReport(verdict.grant.reason.name)
    eips = [] if targets is None else [*targets.wanted.values(), *targets.refused.values()]
    named = tuple(
        terms.name for terms in verdict.grant.terms if not eips or any(allows(terms, eip) for eip in eips)
    )
    if targets is not None and (
        any(e.reason is reasons.ADDRESS_NOT_ALLOWED for e in targets.entries)
        or any(not verdict.grant.allows(eip) for eip in eips)
    ):
        return PolicyReport(reasons.ADDRESS_NOT_ALLOWED.name, named)
    if retain_refused(observed, verdict):
        return PolicyReport(reasons.RETAIN_NOT_ALLOWED.name, named)
    return PolicyReport("", named)


def audited(observed: Observed, verdict: Verdict | None, targets: Targets) -> str:
    """What audit mode reports: why the object would be refused; empty if it would not be."""
    if verdict is None or verdict.enforced or verdict.blind:
        return ""
    grant = verdict.grant
    if grant.reason is not None:
        return f"{AUDIT}: {grant.reason}: {grant.message}"
    labels = sorted({e.selector for e in targets.entries if e.eip is not None and not grant.allows(e.eip)})
    if labels:
        return f"{AUDIT}: {reasons.ADDRESS_NOT_ALLOWED}: {_refused_message(observed, labels)}."
    return ""


def remark(
    observed: Observed, builder: PlanBuilder, verdict: Verdict | None, targets: Targets, finding: Finding
) -> Finding:
    """Accepted with what audit mode reports, and one Event when that changes; with what a deletion would meet."""
    if verdict is None or verdict.blind:
        return finding
    text = audited(observed, verdict, targets)
    if not text:
        if finding.ok and retain_refused(observed, verdict):
            text = "No MailEgressPolicy allows deletionPolicy Retain: a deletion would be blocked."
            return replace(finding, message=f"{finding.message} {text}")
        return finding
    before = observed.obj.status.condition(ACCEPTED)
    if before is None or text[:_COMPARED] not in before.message:
        reason = text.removeprefix(f"{AUDIT}: ").partition(":")[0]
        builder.notices.append(Notice(reason, text))
    return replace(finding, message=f"{finding.message} {text}")


# ---------------------------------------------------------------- Retain


def retain_problem(observed: Observed) -> str | None:
    """Why a deletion may not leave everything in place; None: it may, or the spec does not ask for it."""
    verdict, spec = judge(observed), observed.obj.spec
    if verdict is None or not verdict.enforced or spec.deletion_policy is not DeletionPolicy.RETAIN:
        return None
    if verdict.blind:
        return f"spec.deletionPolicy is Retain. {verdict.blind}, so whether it is allowed is not known."
    if not retain_refused(observed, verdict):
        return None
    return (
        f"spec.deletionPolicy is Retain, which no MailEgressPolicy allows for {spec.hostname} in namespace "
        f"{observed.obj.meta.namespace}; nothing is removed. {reasons.RETAIN_NOT_ALLOWED.remedy}"
    )


def retain_refused(observed: Observed, verdict: Verdict | None) -> bool:
    """Does the object ask for ``Retain`` without the right? Every hostname whose record would stay must be allowed."""
    s = observed
    if verdict is None or s.obj.spec.deletion_policy is not DeletionPolicy.RETAIN:
        return False
    names = {s.obj.spec.hostname, s.obj.status.hostname, *s.own_names()}
    names |= {former.hostname for former in s.obj.status.former_records}
    selected = s.views.policies.selected(s.obj.meta.namespace)
    wish = _wish(s)
    grants = (judge_wish(selected, replace(wish, hostname=name)) for name in names if name)
    return not all(any(terms.allow_retain for terms in grant.terms) for grant in grants)


# ---------------------------------------------------------------- inside


def _wish(observed: Observed) -> Wish:
    spec = observed.obj.spec
    return Wish(
        observed.obj.meta.namespace, spec.hostname, spec.forward.management, spec.forward.hosted_zone_id
    )


def _is_zone(observed: Observed) -> bool:
    views = observed.views
    report = views.dns.authorities(observed.obj.spec.hostname).value
    return is_zone(_wish(observed), views.zones.get().value, report)


def _open(grant: Grant, selector: EipSelector | None, region: str) -> bool:
    """May the object know whether what the selector names exists?"""
    if selector is None:
        return False
    named = {
        SelectorKind.ALLOCATION_ID: (selector.value, ""),
        SelectorKind.NAT_GATEWAY_ID: ("", selector.value),
    }.get(selector.kind, ("", ""))
    return any(terms.addresses.allows(named[0], region, named[1], ()) for terms in grant.terms)


def _refused_message(observed: Observed, labels: list[str]) -> str:
    """The same for an address that is not allowed and for one that does not exist."""
    return (
        f"No MailEgressPolicy allows what {', '.join(labels)} selects for {observed.obj.spec.hostname} in namespace "
        f"{observed.obj.meta.namespace}, or it selects no Elastic IP"
    )
