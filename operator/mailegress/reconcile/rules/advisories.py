"""Advice about mail delivery: what receivers score although forward and reverse DNS match.

No condition depends on it, and it causes no write by itself except that of the status. Every rule answers either with
what is the case now (nothing, or one entry), or with None where it is not known now: then the entry of the status
stays. An address that another object may hold, or that another object selects, is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailegress.api import advisories as codes
from mailegress.api.advisories import AdvisoryCode, Severity
from mailegress.api.conditions import RESOLVED, TRUE
from mailegress.api.limits import ADVISORIES
from mailegress.api.status import Advisory
from mailegress.api.text import enumerated
from mailegress.model.aws import Eip, address_order
from mailegress.model.hostname_lint import containing, holds_address, lint, scored
from mailegress.model.mail import (
    Dmarc,
    MailReport,
    Problem,
    Spf,
    bogus_found,
    dmarc_problem,
    ipv6_found,
    spf_known,
    spf_problem,
)
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Need, NeedMail, NeedPublic
from mailegress.reconcile.rules.claims import Claims
from mailegress.reconcile.rules.targets import Targets
from mailegress.reconcile.rules.zones import Choice

UDP_REPLY: Final = 512
"""Bytes of a reply over UDP without EDNS (RFC 1035, section 4.2.1)."""

_HEADER, _QUESTION, _RECORD = 12, 6, 16
_POINTS_OF_A_WARNING: Final = 2.0
_PLACES: Final = 3
"""Gateways and instances that a message names; the entry lists all addresses."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the rules of this module read."""

    observed: Observed
    targets: Targets
    claims: Claims
    choice: Choice

    @property
    def hostname(self) -> str:
        return self.observed.obj.spec.hostname

    @property
    def complete(self) -> bool:
        """Is nothing about the object's addresses left to be found out?"""
        return self.targets.known and self.claims.decided

    @property
    def held(self) -> list[Eip]:
        """The wanted addresses that this object holds, in order."""
        return [eip for eip in self.targets.wanted.values() if self.claims.allows(eip.allocation_id)]


Verdict = Sequence[Advisory] | None
"""What is the case now; None: not known now."""


def advise(observed: Observed, targets: Targets, claims: Claims, choice: Choice) -> tuple[Advisory, ...]:
    """The advisories of a live object, in the order of the status."""
    if not observed.settings.advisories:
        return ()
    known = Known(observed, targets, claims, choice)
    found: list[Advisory] = []
    for code, rule in _RULES.items():
        verdict = rule(known)
        found += _stored(observed, code) if verdict is None else verdict
    return tuple(sorted(found, key=lambda advisory: advisory.order)[:ADVISORIES])


def as_stored(observed: Observed) -> tuple[Advisory, ...]:
    """The advisories of an object that is not looked at: as they were stored."""
    if not observed.settings.advisories:
        return ()
    return tuple(a for a in observed.obj.status.advisories if a.code in codes.ALL_ADVISORIES)


def _stored(observed: Observed, code: str) -> list[Advisory]:
    """What the status says of this hostname."""
    status = observed.obj.status
    if status.hostname != observed.obj.spec.hostname:
        return []
    return [advisory for advisory in status.advisories if advisory.code == code]


def _entry(code: AdvisoryCode, severity: Severity, found: str, addresses: Sequence[str] = ()) -> Advisory:
    return Advisory(code.name, severity, f"{found} {code.remedy}", tuple(addresses))


# ---------------------------------------------------------------- the name


def _generic_name(known: Known) -> Verdict:
    name = known.hostname
    said = lint(name)
    if found := scored(name):
        severe = said.dynamic or said.points >= _POINTS_OF_A_WARNING
        return [_entry(codes.GENERIC_NAME, Severity.WARNING if severe else Severity.INFO, found)]
    if not known.complete:
        return None
    address = holds_address(name, [eip.public_ip for eip in known.held])
    if address is None:
        return ()
    return [_entry(codes.GENERIC_NAME, Severity.INFO, containing(name, address), [address])]


def _apex_name(known: Known) -> Verdict:
    name = known.hostname
    if name.count(".") < 2:
        found = f"{name} is the name of a whole domain, which its website and its own mail use too."
        return [_entry(codes.APEX_NAME, Severity.WARNING, found)]
    zone = _zone_name(known)
    if zone is None:
        return None
    if zone != name:
        return ()
    return [_entry(codes.APEX_NAME, Severity.INFO, f"{name} is the name of the DNS zone {zone} itself.")]


def _zone_name(known: Known) -> str | None:
    """The zone of the hostname: the chosen hosted zone, or the one that public DNS uses."""
    if known.choice.zone is not None:
        return known.choice.zone.name.rstrip(".")
    report = known.observed.views.dns.authorities(known.hostname).value
    return report.zone.rstrip(".") if report is not None else None


# ---------------------------------------------------------------- what DNS says about mail


def needed(observed: Observed, needs: Iterable[Need]) -> NeedMail | None:
    """The reading of what DNS says about mail: with the round of the public resolvers, never before it and not more
    often. An edit of the sender domains is followed by one of its own, if the hostname is verified: who does not hold
    it causes no questions about it.
    """
    s, hostname = observed, observed.obj.spec.hostname
    if not s.settings.advisories or not s.views.dns.resolvers:
        return None
    fact, domains = s.views.dns.mail(hostname), frozenset(s.obj.spec.sender_domains)
    report = fact.value
    round_ = next((need for need in needs if isinstance(need, NeedPublic)), None)
    if round_ is not None:
        addresses, floor = round_.addresses, round_.not_before
        calm = report is not None and not report.bogus and s.views.dns.public(hostname).fault is None
        if calm and report is not None and addresses <= report.addresses and domains <= report.domains:
            # Public resolvers that are asked again because they lag are no reason to ask about mail again.
            floor = s.now - s.settings.public_seconds / 2
    elif report is not None and _verified(s) and not domains <= report.domains:
        addresses, floor = report.addresses, s.memory.edits.generation_at
    else:
        return None
    served = (
        fact.fresh(floor)
        and report is not None
        and addresses <= report.addresses
        and domains <= report.domains
    )
    tried = fact.fault is not None and fact.tried_at >= floor
    return None if served or tried else NeedMail(hostname, addresses, domains, floor, report)


def _verified(observed: Observed) -> bool:
    """Did public resolvers confirm this hostname for the object, before its last edit or after?"""
    status = observed.obj.status
    found = status.condition(RESOLVED)
    return found is not None and found.status == TRUE and status.hostname == observed.obj.spec.hostname


def _report(known: Known) -> MailReport | None:
    return known.observed.views.dns.mail(known.hostname).value


def _hostname_has_aaaa(known: Known) -> Verdict:
    values: Sequence[str] | None
    if known.choice.zone is not None:
        view = known.observed.views.records.get(known.choice.zone.id, known.hostname).value
        sets = view.of_type("AAAA") if view is not None else ()
        values = None if view is None else [v for each in sets for v in each.values or ("an alias",)]
    else:
        report = _report(known)
        values = report.ipv6 if report is not None else None
    if not values:
        return None if values is None else ()
    return [_entry(codes.HOSTNAME_HAS_AAAA, Severity.INFO, ipv6_found(known.hostname, values))]


def _dnssec_bogus(known: Known) -> Verdict:
    report = _report(known)
    if report is None or report.bogus is None:
        return None
    if not report.bogus:
        return ()
    return [_entry(codes.DNSSEC_BOGUS, Severity.WARNING, bogus_found(known.hostname))]


def _helo_spf(known: Known) -> Verdict:
    report = _report(known)
    results = report.helo if report is not None else {}
    return _spf(known, codes.HELO_SPF, known.hostname, results)


def _sender_spf(known: Known) -> Verdict:
    report = _report(known)
    entries: list[Advisory] = []
    for domain in known.observed.obj.spec.sender_domains:
        results = report.senders.get(domain, {}) if report is not None else {}
        entries += _spf(known, codes.SENDER_SPF, domain, results)
    return entries


def _sender_dmarc(known: Known) -> Verdict:
    report = _report(known)
    entries: list[Advisory] = []
    for domain in known.observed.obj.spec.sender_domains:
        dmarc = report.dmarc.get(domain, Dmarc.UNKNOWN) if report is not None else Dmarc.UNKNOWN
        if dmarc is Dmarc.UNKNOWN:
            entries += _stored_about(known, codes.SENDER_DMARC, domain)
        else:
            entries += _of_problem(codes.SENDER_DMARC, dmarc_problem(domain, dmarc))
    return entries


def _stored_about(known: Known, code: AdvisoryCode, domain: str) -> list[Advisory]:
    return [a for a in _stored(known.observed, code.name) if a.message.startswith(f"{domain}: ")]


def _spf(known: Known, code: AdvisoryCode, domain: str, results: Mapping[str, Spf]) -> list[Advisory]:
    """SPF of one domain for the addresses that the object holds. Where it is not known now, the entry of the status
    stays, unless it names an address that the object has no more.
    """
    held = [eip.public_ip for eip in known.held]
    if known.complete and held and spf_known(results, held):
        return _of_problem(code, spf_problem(domain, results, held))
    stored = _stored_about(known, code, domain)
    return [entry for entry in stored if not known.complete or set(entry.addresses) <= set(held)]


def _of_problem(code: AdvisoryCode, problem: Problem | None) -> list[Advisory]:
    if problem is None:
        return []
    severity = Severity.INFO if problem.mild else Severity.WARNING
    return [_entry(code, severity, problem.found, problem.addresses)]


# ---------------------------------------------------------------- the addresses


def _many_addresses(known: Known) -> Verdict:
    if not known.complete:
        return None
    fixed = _HEADER + _QUESTION + len(known.hostname)
    count = len(known.held)
    size, most = fixed + count * _RECORD, (UDP_REPLY - fixed) // _RECORD
    if count <= most:
        return ()
    found = (
        f"The A record of {known.hostname} with {count} addresses makes a reply of {size} bytes; up to {most} "
        f"addresses fit into {UDP_REPLY} bytes, which every resolver can receive without EDNS and TCP."
    )
    return [_entry(codes.MANY_ADDRESSES, Severity.INFO, found)]


def _address_not_attached(known: Known) -> Verdict:
    if not known.complete:
        return None
    loose = [eip.public_ip for eip in known.held if not eip.attached_to]
    if not loose:
        return ()
    found = f"{enumerated(loose)} {_is(loose)} attached to nothing, so no mail can leave from {_it(loose)}."
    return [_entry(codes.ADDRESS_NOT_ATTACHED, Severity.INFO, found, loose)]


def _sibling_address(known: Known) -> Verdict:
    """Only what the gateway or instance of an address of this object has, and only what nobody selects."""
    if not known.complete:
        return None
    s = known.observed
    own = {a.allocation_id for a in s.recorded()} | set(known.targets.wanted)
    siblings: dict[str, list[str]] = {}
    for place, region in dict.fromkeys((eip.attached_to, eip.region) for eip in known.held):
        view = s.views.addresses.get(region).value
        others = view.attached(place) if view is not None else ()
        alone = [
            eip.public_ip
            for eip in others
            if eip.allocation_id not in own
            and s.views.policies.may_use(s.obj.meta.uid, eip)
            and next(iter(s.views.claims.in_line_for(eip)), None) is None
        ]
        if alone:
            siblings[place] = sorted(alone, key=address_order)
    if not siblings:
        return ()
    addresses = [address for each in siblings.values() for address in each]
    where = "; ".join(
        f"{place} also has {enumerated(each)}" for place, each in list(siblings.items())[:_PLACES]
    )
    found = f"{where}, which no MailEgress selects, and mail may leave from {_it(addresses)}."
    return [_entry(codes.SIBLING_ADDRESS, Severity.WARNING, found, addresses)]


def _changing_addresses(known: Known) -> Verdict:
    """A selected gateway to which AWS adds addresses, with those of its addresses that this object holds."""
    if not known.complete:
        return None
    changing: dict[str, list[str]] = {}
    for eip in known.held:
        view = known.observed.views.addresses.get(eip.region).value
        gateway = view.nat_gateways.get(eip.nat_gateway_id) if view is not None else None
        selected = (eip.region, eip.nat_gateway_id) in known.targets.gateways
        if gateway is not None and gateway.automatic and selected:
            changing.setdefault(gateway.id, []).append(eip.public_ip)
    if not changing:
        return ()
    addresses = sorted((a for each in changing.values() for a in each), key=address_order)
    gateways = enumerated(sorted(changing))
    found = (
        f"AWS adds addresses to regional NAT gateway {gateways} by itself, and mail may leave from a new one for some "
        "minutes before its PTR is set."
    )
    return [_entry(codes.CHANGING_ADDRESSES, Severity.WARNING, found, addresses)]


def _is(addresses: Sequence[str]) -> str:
    return "is" if len(addresses) == 1 else "are"


def _it(addresses: Sequence[str]) -> str:
    return "it" if len(addresses) == 1 else "them"


_RULES: Final[dict[str, Callable[[Known], Verdict]]] = {
    codes.GENERIC_NAME.name: _generic_name,
    codes.APEX_NAME.name: _apex_name,
    codes.MANY_ADDRESSES.name: _many_addresses,
    codes.ADDRESS_NOT_ATTACHED.name: _address_not_attached,
    codes.SIBLING_ADDRESS.name: _sibling_address,
    codes.CHANGING_ADDRESSES.name: _changing_addresses,
    codes.HOSTNAME_HAS_AAAA.name: _hostname_has_aaaa,
    codes.DNSSEC_BOGUS.name: _dnssec_bogus,
    codes.HELO_SPF.name: _helo_spf,
    codes.SENDER_SPF.name: _sender_spf,
    codes.SENDER_DMARC.name: _sender_dmarc,
}
