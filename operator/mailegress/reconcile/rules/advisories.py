"""Advice about mail delivery: what receivers score although forward and reverse DNS match.

No condition depends on it, and it causes no write by itself except that of the status. Every rule answers either with
what is the case now (nothing, or one entry), or with None where it is not known now: then the entry of the status
stays. An address that another object may hold, or that another object selects, is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mailegress.api import advisories as codes
from mailegress.api.advisories import AdvisoryCode, Severity
from mailegress.api.limits import ADVISORIES
from mailegress.api.status import Advisory
from mailegress.model.aws import Eip
from mailegress.model.hostname_lint import containing, holds_address, lint, scored
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.rules.claims import Claims
from mailegress.reconcile.rules.targets import Targets
from mailegress.reconcile.rules.zones import Choice

UDP_REPLY: Final = 512
"""Bytes of a reply over UDP without EDNS (RFC 1035, section 4.2.1)."""

_HEADER, _QUESTION, _RECORD = 12, 6, 16
_POINTS_OF_A_WARNING: Final = 2.0
_NAMED: Final = 3
"""Addresses that a message names; the entry lists them all."""


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


def _hostname_has_aaaa(known: Known) -> Verdict:
    """From the hosted zone, which is read anyway. Under Observed there is none to read."""
    if not known.observed.managed:
        return ()
    zone = known.choice.zone
    view = known.observed.views.records.get(zone.id, known.hostname).value if zone is not None else None
    if view is None:
        return None
    values = sorted({v for record in view.of_type("AAAA") for v in record.values or ("an alias",)})
    if not values:
        return ()
    found = f"{known.hostname} has an AAAA record ({_listed(values)}), and the operator sets no PTR for IPv6."
    return [_entry(codes.HOSTNAME_HAS_AAAA, Severity.INFO, found)]


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
    found = f"{_listed(loose)} {_is(loose)} attached to nothing, so no mail can leave from {_it(loose)}."
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
            siblings[place] = sorted(alone, key=_numeric)
    if not siblings:
        return ()
    addresses = [address for each in siblings.values() for address in each]
    where = "; ".join(f"{place} also has {_listed(each)}" for place, each in list(siblings.items())[:_NAMED])
    found = f"{where}, which no MailEgress selects, and mail may leave from {_it(addresses)}."
    return [_entry(codes.SIBLING_ADDRESS, Severity.WARNING, found, addresses)]


def _numeric(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split("."))


def _listed(addresses: Sequence[str]) -> str:
    more = len(addresses) - _NAMED
    shown = list(addresses[:_NAMED]) + ([f"{more} more"] if more > 0 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


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
    codes.HOSTNAME_HAS_AAAA.name: _hostname_has_aaaa,
}
