"""When everything is healed and quiet: is each object right, or is there a reason why not? Is anything left behind?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailegress.api.names import OWNERSHIP_LABEL
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.zones import Zone as HostedZone
from tests.support.simulation.apiwire import Object
from tests.support.simulation.facts import RECEIVING, bare, has_tags, mark_of
from tests.support.simulation.fuzzworld import FuzzWorld
from tests.support.simulation.generated import SECOND_REGION
from tests.support.simulation.harness import Sim
from tests.support.simulation.world import REGION

STILL = 2500.0
"""Virtual seconds without a write: longer than it takes to become Stalled (1,800 s, and the time to a check, 660 s)."""
UNTOLD = 4100.0
"""The same, if there may be something that only the next full list tells (3,960 s at most)."""
UNLISTED = 4800.0
"""The same, if a record that is nobody's may have changed, which only the next list of its zone tells (4,500 s)."""
QUIET = 1800.0


def settle(world: FuzzWorld) -> None:
    """Heal, wait, look (E1 to E4), delete everything, look again (E5). Raises Violation."""
    stepped, sim = world.stepped, world.sim
    world.unblind()
    world.heal_dns()
    world.heal_api()
    world.refuse_ptrs(False)
    sim.schedule.heal()
    world.retire_second()
    still = UNLISTED if world.unlisted else UNTOLD if world.deafened else STILL
    stepped.run(lambda s: s.drain(still, patience=10 * 3600.0))
    stepped.check()
    stepped.run(lambda s: s.stay_quiet(QUIET))
    stepped.do(_look)
    stepped.check()
    doomed = {name: body["metadata"]["uid"] for (_, name), body in sim.api.objects.items()}
    retained = {
        o["metadata"]["uid"] for o in sim.api.ever.values() if o["spec"].get("deletionPolicy") == "Retain"
    }
    for name in doomed:
        world.delete(name)
    stepped.run(lambda s: s.drain(60.0, patience=10 * 3600.0))
    stepped.do(lambda s: _leftovers(world, retained))
    sim.checks.texts()
    stepped.check()


# ---------------------------------------------------------------- each object


@dataclass(frozen=True)
class _Wish:
    """One live object, and what its selectors come to in the world as it is."""

    sim: Sim
    body: Object
    eips: tuple[Eip, ...]
    missing: bool
    receiving: bool
    """A selector means an address from which no mail leaves."""

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.body["spec"]

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def hostname(self) -> str:
        return str(self.spec["hostname"])

    @property
    def observed(self) -> bool:
        return (self.spec.get("forward") or {}).get("management") == "Observed"

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(e.public_ip for e in self.eips)

    def recorded(self) -> set[tuple[str, str]]:
        """(address, name) of the PTRs that the status records as the operator's."""
        entries = self.body["status"].get("addresses", ())
        return {(a["publicIP"], a.get("ptr", "")) for a in entries if a.get("ptrOrigin") == "Managed"}

    def others(self) -> list[_Wish]:
        return [w for w in wishes(self.sim) if w.uid != self.uid]

    def marks(self) -> dict[str, str]:
        """Hostname -> UID of every mark in the world."""
        return dict(_marks(self.sim))

    def zone(self) -> Any:
        wanted = (self.spec.get("forward") or {}).get("hostedZoneID")
        if wanted:
            return next((z for z in self.sim.world.model.zones() if z.id == wanted), None)
        return self.sim.world.zone_of(self.hostname)


def wishes(sim: Sim) -> list[_Wish]:
    return [
        _wish(sim, body) for body in sim.api.objects.values() if "deletionTimestamp" not in body["metadata"]
    ]


def _wish(sim: Sim, body: Object) -> _Wish:
    found: dict[str, Eip] = {}
    missing = False
    for selector in body["spec"]["elasticIPs"]:
        hits = [e for e in sim.world.all_eips() if sim.world.selects(e, selector)]
        missing = missing or not hits
        found.update((e.public_ip, e) for e in hits)
    receiving = [e for e in found.values() if e.service_managed in RECEIVING]
    eips = tuple(e for e in found.values() if e not in receiving)
    return _Wish(sim, body, eips, missing, bool(receiving))


def _marks(sim: Sim) -> Iterator[tuple[str, str]]:
    for zone in sim.world.model.zones():
        for record in zone.ordered():
            shown = record.to_params()
            if shown["Type"] != "TXT":
                continue
            mark = mark_of(*(v["Value"] for v in shown.get("ResourceRecords", ())))
            if mark is not None:
                yield shown["Name"].rstrip(".").removeprefix(f"{OWNERSHIP_LABEL}."), mark.uid


def _contested_address(wish: _Wish) -> bool:
    """Another object wants one of the addresses, or holds one: by its mark, or by the PTR that its status records."""
    marks = wish.marks()
    held = any(bare(e.ptr) in marks and marks[str(bare(e.ptr))] != wish.uid for e in wish.eips)
    shown = {(e.public_ip, bare(e.ptr)) for e in wish.eips}
    return held or any(wish.addresses & o.addresses or shown & o.recorded() for o in wish.others())


def _contested_name(wish: _Wish) -> bool:
    holder = wish.marks().get(wish.hostname)
    return (holder is not None and holder != wish.uid) or any(
        other.hostname == wish.hostname for other in wish.others()
    )


def _foreign_record(wish: _Wish) -> bool:
    """An A record or a mark stands at the name and is not this object's, or nothing confirms that it is.

    The zone that the name's mark stands in is chosen, whatever the spec names.
    """
    world = wish.sim.world
    return any(
        _foreign_in(wish, zone) for zone in (wish.zone(), world.zone_of(wish.hostname)) if zone is not None
    )


def _foreign_in(wish: _Wish, zone: HostedZone) -> bool:
    world = wish.sim.world
    text, stored = world.mark(zone, wish.hostname), world.record(zone, wish.hostname, "A")
    mark = mark_of(text) if text else None
    ours = mark is not None and mark.uid == wish.uid
    if wish.uid in wish.sim.api.lapsed | wish.sim.api.stripped and ours:
        rivalled = any(other.hostname == wish.hostname for other in wish.others())
        return stored is not None and (rivalled or frozenset(stored[1]) != wish.addresses)
    return not ours and (stored is not None or bool(text))


def _is_empty(sim: Sim, selector: Mapping[str, Any]) -> bool:
    """Does the selector mean a NAT gateway to which AWS has not added an address yet?"""
    region = sim.world.model.account(None).region(selector.get("region", REGION))
    return any(
        gateway.automatic and not gateway.addresses
        for gateway in region.nat.gateways.values()
        if gateway.id == selector.get("natGatewayID")
        or has_tags(gateway.tags, selector.get("natGatewayTags"))
    )


def _foreign_ptr(wish: _Wish) -> bool:
    return any(bare(e.ptr) not in (None, wish.hostname) for e in wish.eips)


def _lost(wish: _Wish) -> bool:
    return wish.missing or any(
        a.get("reason") == "AddressLost" for a in wish.body["status"].get("addresses", ())
    )


EXPLAINED: Mapping[str, Callable[[_Wish], bool]] = {
    "Suspended": lambda w: bool(w.spec.get("suspend")),
    "ExternalDNSDisabled": lambda w: (w.spec.get("forward") or {}).get("management") == "ExternalDNS",
    "HostnameConflict": _contested_name,
    "WaitingForRelease": lambda w: _contested_name(w) or _contested_address(w),
    "ClaimCycle": lambda w: _contested_name(w) or _contested_address(w),
    "AddressConflict": _contested_address,
    "AddressNotFound": lambda w: w.missing,
    "AddressPending": lambda w: any(_is_empty(w.sim, s) for s in w.spec["elasticIPs"]),
    "AddressServiceManaged": lambda w: w.receiving,
    "AddressLost": _lost,
    "MassLossSuspected": _lost,
    "RegionNotConfigured": lambda w: any(
        s.get("region", REGION) not in (REGION, SECOND_REGION) for s in w.spec["elasticIPs"]
    ),
    "ZoneNotFound": lambda w: (
        w.zone() is None or not f".{w.hostname}".endswith(f".{w.zone().name.rstrip('.')}")
    ),
    "ZoneNotDelegated": lambda w: w.zone() is not w.sim.world.zone_of(w.hostname),
    "RecordConflict": _foreign_record,
    "RecordNotAdopted": lambda w: w.spec.get("adoption") == "Never" and _foreign_record(w),
    "PTRConflict": _foreign_ptr,
    "PTRContested": lambda w: any(bare(e.ptr) != w.hostname for e in w.eips),
    "PTRNotAdopted": lambda w: w.spec.get("adoption") == "Never",
    "WaitingForForward": lambda w: (
        w.observed
        and any(not v or not w.addresses <= v for v in w.sim.world.authorities(w.hostname).values())
    ),
    "AuthoritiesDisagree": lambda w: (
        w.observed
        and any(not v or not w.addresses <= v for v in w.sim.world.authorities(w.hostname).values())
    ),
    "RetiringOldName": lambda w: any(uid == w.uid and name != w.hostname for name, uid in _marks(w.sim)),
}
"""Reason of Ready -> what must be so for it to last in a healed world. Any other reason has no business lasting."""


def _look(sim: Sim) -> None:
    """E1, E4: every object is as it says, and what is not right has a reason that is true."""
    for wish in wishes(sim):
        name = wish.body["metadata"]["name"]
        status, reason = sim.condition(name)
        if status == "True":
            _check_right(sim, name, wish)
        elif reason not in EXPLAINED:
            sim.checks.violated("E1", f"{name} stays {status or 'unseen'}/{reason}")
        elif not EXPLAINED[reason](wish):
            sim.checks.violated("E1", f"{name} stays {reason}, which is not so")


def _check_right(sim: Sim, name: str, wish: _Wish) -> None:
    if wish.missing:
        sim.checks.violated("E1", f"{name} is Ready although a selector names nothing")
    if wish.receiving:
        sim.checks.violated("E1", f"{name} is Ready although it selects an address from which no mail leaves")
    for eip in wish.eips:
        if bare(eip.ptr) != wish.hostname:
            sim.checks.violated("E1", f"{name} is Ready, the PTR of {eip.public_ip} is {eip.ptr}")
    for server, values in sim.world.authorities(wish.hostname).items():
        if values is None or not wish.addresses <= values or (not wish.observed and values != wish.addresses):
            sim.checks.violated("E1", f"{name} is Ready, {server} answers {sorted(values or ())}")
    if not wish.observed and wish.marks().get(wish.hostname) != wish.uid:
        sim.checks.violated("E1", f"{name} is Ready without its mark at {wish.hostname}")
    status = wish.body["status"]
    if frozenset(status.get("publicIPs", ())) != wish.addresses:
        sim.checks.violated("E1", f"{name} is Ready with {status.get('publicIPs')}")
    if not wish.spec.get("suspend"):
        _check_advice(sim, name, wish)


def _check_advice(sim: Sim, name: str, wish: _Wish) -> None:
    """E1: no name in any world has an SPF record or a DMARC policy, and only the domains of the spec count."""
    said = wish.body["status"].get("advisories", ())
    helo = [frozenset(a["addresses"]) for a in said if a["code"] == "HeloSPF"]
    if helo != [wish.addresses]:
        sim.checks.violated("E1", f"{name} is Ready, its advice about SPF is {said}")
    for code in ("SenderSPF", "SenderDMARC"):
        domains = [a["message"].partition(":")[0] for a in said if a["code"] == code]
        if sorted(domains) != sorted(wish.spec.get("senderDomains", ())):
            sim.checks.violated("E1", f"{name} is Ready, its {code} is about {domains}")


# ---------------------------------------------------------------- nothing left


def _leftovers(world: FuzzWorld, retained: set[str]) -> None:
    """E5: no mark, no record and no PTR of ours, but for what was to stay or lost its owner by somebody's act."""
    sim = world.sim
    if sim.api.objects:
        sim.checks.violated("E5", f"still there: {sorted(sim.api.objects)}")
    excused = retained | sim.api.lapsed | sim.api.forgotten | world.bared
    for name, uid in _marks(sim):
        if uid not in excused:
            sim.checks.violated("E5", f"a mark is left at {name}")
    given = set(sim.world.touched) | world.handed_over
    # Where no status says any more that the record is the object's own, only the mark is removed.
    given.update(*(world.names.get(uid, ()) for uid in excused | sim.api.stripped))
    for zone in sim.world.model.zones():
        for record in zone.ordered():
            shown = record.to_params()
            name = shown["Name"].rstrip(".")
            if shown["Type"] == "A" and name not in given:
                sim.checks.violated("E5", f"an A record is left at {name}")
    for address, (ptr, uid) in sim.checks.ours().items():
        eip = sim.world.model.network.by_ip.get(address)
        if (
            eip is not None
            and bare(eip.ptr) == ptr
            and uid not in excused
            and address not in sim.world.touched
            and not sim.checks.left_as_it_is(uid, ptr, address)
        ):
            sim.checks.violated("E5", f"{address} keeps the PTR {ptr}")
