"""Stories of management ExternalDNS: an external-dns makes the records, once a minute, as its own code does."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from sandbox.aws.model.zones import Zone
from sandbox.dns.zones import StaticZone
from sandbox.externaldns.model import ExternalDnsModel, RecordSets, read
from tests.support.simulation.context import HOST, Scenario, ScenarioContext, all_ready
from tests.support.simulation.endpointchecks import owner
from tests.support.simulation.harness import NAMESPACE, Sim
from tests.support.simulation.world import World

APEX = "elsewhere.net"
ELSEWHERE, MOVED = f"mta.{APEX}", f"out.{APEX}"
ENDPOINT = "mailegress-a"
EXTERNAL = {"management": "ExternalDNS"}
OBSERVED = {"management": "Observed"}
INTERVAL = 60.0
"""Seconds between two runs of external-dns: its default."""
RESTORED = 2400.0
"""Seconds in which what somebody changed is back: a minute, or a quarter of an hour after a fault."""

Act = Any


class OtherProvider:
    """A zone that is not in Route 53."""

    def __init__(self, zone: StaticZone) -> None:
        self.zone = zone

    def serves(self, name: str) -> bool:
        return f".{name}.".endswith(f".{self.zone.apex}")

    def at(self, name: str) -> RecordSets:
        return dict(self.zone.lookup(f"{name}.") or {})

    def put(self, name: str, ttl: int, values: tuple[str, ...]) -> None:
        self.zone.put(name, "A", values, ttl)

    def remove(self, name: str) -> None:
        self.zone.drop(name, "A")


class Route53:
    """A hosted zone, to which the operator may write, too."""

    def __init__(self, world: World, zone: Zone) -> None:
        self._world = world
        self._zone = zone

    def serves(self, name: str) -> bool:
        return f".{name}.".endswith(f".{self._zone.name}")

    def at(self, name: str) -> RecordSets:
        found = self._world.record(self._zone, name, "A")
        return {"A": found} if found is not None else {}

    def put(self, name: str, ttl: int, values: tuple[str, ...]) -> None:
        self._change("UPSERT", name, ttl, values)

    def remove(self, name: str) -> None:
        self._change("DELETE", name, *self.at(name)["A"])

    def _change(self, verb: str, name: str, ttl: int, values: tuple[str, ...]) -> None:
        record = {"Name": name, "Type": "A", "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values]}
        self._world.control.put_records(self._zone.id, [{"Action": verb, "ResourceRecordSet": record}])


async def _run(sim: Sim, model: ExternalDnsModel) -> None:
    while True:
        await asyncio.sleep(INTERVAL)
        kind = sim.api.endpoints
        if kind.missing:
            # Its list of the source fails, and nothing is changed.
            continue
        items = [copy.deepcopy(body) for _, body in sorted(kind.objects.items())]
        for body in items:
            if (generation := read(body)) is not None:
                kind.observe(body["metadata"]["namespace"], body["metadata"]["name"], generation)
        for text in model.synchronize(items):
            sim.trace.note("external-dns", text)
            sim.checks.record_changed()


def _elsewhere(
    count: int, policy: str = "sync", *, missing: bool = False
) -> Callable[[ScenarioContext], None]:
    """So many addresses, and a zone of another provider to which external-dns writes."""

    def prepare(context: ScenarioContext) -> None:
        sim = context.sim
        context.eips = sim.world.eips(count)
        zone = sim.world.dns.add_zone(f"{APEX}.")
        sim.api.endpoints.missing = missing
        _start(context, ExternalDnsModel(OtherProvider(zone), policy))

    return prepare


def _same_zone(count: int) -> Callable[[ScenarioContext], None]:
    """External-dns writes to the hosted zone to which the operator may write, too."""

    def prepare(context: ScenarioContext) -> None:
        world = context.sim.world
        zone = world.zone()
        context.eips = world.eips(count)
        _start(context, ExternalDnsModel(Route53(world, zone)))

    return prepare


def _start(context: ScenarioContext, model: ExternalDnsModel) -> None:
    context.more["model"] = model
    context.sim.beside(_run(context.sim, model))


def _meg(context: ScenarioContext, name: str = "a", hostname: str = ELSEWHERE, **spec: Any) -> None:
    context.sim.meg(name, hostname, spec.pop("eips", context.eips), **{"forward": EXTERNAL, **spec})


def _values(context: ScenarioContext, hostname: str = ELSEWHERE) -> tuple[str, ...]:
    records = context.sim.world.dns.zone(f"{APEX}.").lookup(f"{hostname}.") or {}
    return tuple(sorted(records.get("A", (0, ()))[1]))


def _no_endpoint(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """E5: no DNSEndpoint of the operator's."""
    sim = context.sim
    left = [place for place, body in sim.api.endpoints.objects.items() if owner(body) is not None]
    if left:
        sim.checks.violated("E5", f"DNSEndpoints are left: {left}")


def _nothing_left(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """E5: neither a DNSEndpoint of the operator's nor a record of external-dns's."""
    sim = context.sim
    _no_endpoint(context, dump)
    for hostname in (ELSEWHERE, MOVED):
        if found := _values(context, hostname):
            sim.checks.violated("E5", f"{hostname} still has {found}")


# ---------------------------------------------------------------- create and edit


async def _create(context: ScenarioContext) -> None:
    _meg(context)
    all_ready(context, "a")
    await context.sim.ready("a")


async def _rename(context: ScenarioContext) -> None:
    _meg(context)
    await context.sim.ready("a")
    context.sim.edit("a", hostname=MOVED)
    all_ready(context, "a")
    await context.sim.ready("a")


async def _swap(context: ScenarioContext) -> None:
    old, new = context.eips
    _meg(context, eips=[old])
    await context.sim.ready("a")
    context.sim.edit("a", eips=[new])
    all_ready(context, "a")
    await context.sim.ready("a")


async def _delete_midway(context: ScenarioContext) -> None:
    sim = context.sim
    _meg(context)
    await sim.until(lambda: sim.api.endpoints.objects, "the DNSEndpoint")
    sim.delete("a")
    await sim.gone("a")


async def _rename_and_delete(context: ScenarioContext) -> None:
    """Deleted while the PTR still has the former hostname."""
    sim = context.sim
    _meg(context)
    await sim.ready("a")
    sim.edit("a", hostname=MOVED)
    await sim.until(lambda: sim.api.endpoints.asked(MOVED), "the new hostname in the DNSEndpoint")
    sim.delete("a")
    await sim.gone("a")


async def _lost(context: ScenarioContext) -> None:
    sim = context.sim
    kept, lost = context.eips
    _meg(context)
    await sim.ready("a")
    sim.world.lose(lost)
    context.expect = {"a": ("False", "AddressLost")}
    await sim.until(lambda: _values(context) == (kept.public_ip,), "the lost address to leave the A record")


def _eip_gone(context: ScenarioContext, dump: dict[str, Any]) -> None:
    _nothing_left(context, dump)
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"].pop(context.eips[-1].public_ip, None)


# ---------------------------------------------------------------- others


async def _drift(context: ScenarioContext) -> None:
    """Somebody edits the DNSEndpoint, then deletes it, then changes the record behind the back of external-dns."""
    sim = context.sim
    world, kind, (ip,) = sim.world, sim.api.endpoints, (context.eips[0].public_ip,)
    _meg(context)
    await sim.ready("a")
    entry = {"dnsName": ELSEWHERE, "recordType": "A", "targets": ["192.0.2.66"]}
    world.outside("the DNSEndpoint is edited", ELSEWHERE, ip)
    kind.put(NAMESPACE, ENDPOINT, [entry])
    await sim.until(lambda: kind.asked(ELSEWHERE) == {ip}, "the DNSEndpoint to be restored", RESTORED, "E7")
    await sim.until(lambda: _values(context) == (ip,), "the record to be restored", RESTORED, "E7")
    await sim.sleep(600)
    world.outside("the DNSEndpoint is deleted", ELSEWHERE, ip)
    kind.remove(NAMESPACE, ENDPOINT)
    await sim.until(lambda: kind.asked(ELSEWHERE) == {ip}, "the DNSEndpoint to be back", RESTORED, "E7")
    await sim.until(lambda: _values(context) == (ip,), "the record to be back", RESTORED, "E7")
    await sim.sleep(600)
    world.outside("the record is changed", ELSEWHERE, ip)
    world.dns.zone(f"{APEX}.").put(ELSEWHERE, "A", ["192.0.2.66"])
    all_ready(context, "a")
    await sim.sleep(300)
    await sim.ready("a")


async def _late(context: ScenarioContext) -> None:
    """The CRD of external-dns comes after the object."""
    sim = context.sim
    _meg(context)
    await sim.reason("a", "ExternalDNSMissing")
    sim.api.endpoints.missing = False
    all_ready(context, "a")
    await sim.ready("a")


async def _conflict(context: ScenarioContext) -> None:
    sim = context.sim
    first, second = context.eips
    _meg(context, eips=[first])
    await sim.ready("a")
    _meg(context, "b", eips=[second])
    await sim.reason("b", "HostnameConflict")
    sim.delete("a")
    await sim.gone("a")
    all_ready(context, "b")
    await sim.ready("b")


async def _foreign(context: ScenarioContext) -> None:
    """A DNSEndpoint of somebody else has the name."""
    sim = context.sim
    entry = {"dnsName": ELSEWHERE, "recordType": "A", "targets": ["192.0.2.66"]}
    sim.world.outside("a DNSEndpoint of others", ELSEWHERE)
    sim.api.endpoints.put(NAMESPACE, "web", [entry])
    _meg(context)
    await sim.reason("a", "DNSEndpointConflict")
    await sim.sleep(300)
    sim.world.outside("it is deleted", ELSEWHERE)
    sim.api.endpoints.remove(NAMESPACE, "web")
    all_ready(context, "a")
    await sim.ready("a")


async def _upsert_only(context: ScenarioContext) -> None:
    """External-dns never deletes: the object goes after a time all the same, and says so."""
    sim = context.sim
    _meg(context)
    await sim.ready("a")
    sim.delete("a")
    await sim.gone("a")
    if not any(event["reason"] == "RecordLeftInPlace" for event in sim.api.events):
        sim.checks.violated("E1", "no Event states that the record is left in place")


def _record_left(context: ScenarioContext, dump: dict[str, Any]) -> None:
    if _values(context) != (context.eips[0].public_ip,):
        context.sim.checks.violated("E5", f"{ELSEWHERE} has {_values(context)}")


async def _removed(context: ScenarioContext) -> None:
    """The CRD is deleted, and every DNSEndpoint with it; external-dns changes nothing until it is back."""
    sim = context.sim
    kind, ip = sim.api.endpoints, context.eips[0].public_ip
    _meg(context)
    await sim.ready("a")
    sim.world.outside("the CRD is deleted", ELSEWHERE, ip)
    kind.uninstall()
    await sim.reason("a", "ExternalDNSMissing")
    await sim.sleep(300)
    kind.missing = False
    sim.world.outside("the CRD is back", ELSEWHERE, ip)
    await sim.until(lambda: kind.asked(ELSEWHERE) == {ip}, "the DNSEndpoint to be back", RESTORED, "E7")
    all_ready(context, "a")
    await sim.sleep(300)
    await sim.ready("a")


async def _rolled_back(context: ScenarioContext) -> None:
    """An operator from before ExternalDNS ran meanwhile: it dropped what it does not know from the status."""
    sim = context.sim
    _meg(context)
    await sim.ready("a")
    sim.api.meddle(NAMESPACE, "a", lambda body: body["status"].pop("dnsEndpoint"))
    await sim.restart()
    await sim.until(
        lambda: "dnsEndpoint" in (sim.find("a") or {}).get("status", {}), "the DNSEndpoint to be named again"
    )
    sim.edit("a", hostname=MOVED)
    all_ready(context, "a")
    await sim.ready("a")


# ---------------------------------------------------------------- changes of management


def _changes(*managements: str, hostname: str) -> Act:
    """From one management to the next, Ready each time."""

    async def act(context: ScenarioContext) -> None:
        first, *others = ({"management": each} for each in managements)
        _meg(context, hostname=hostname, forward=first)
        await context.sim.ready("a")
        for forward in others:
            await context.sim.sleep(120)
            context.sim.edit("a", forward=forward)
            await context.sim.ready("a")
        all_ready(context, "a")

    return act


def _observed_first(context: ScenarioContext) -> None:
    _elsewhere(1)(context)
    context.sim.world.dns.zone(f"{APEX}.").put(ELSEWHERE, "A", [context.eips[0].public_ip], 300)


def _stays_elsewhere(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """The record is nobody's of this cluster's, or handed over."""
    if _values(context) != (context.eips[0].public_ip,):
        context.sim.checks.violated("S2", f"{ELSEWHERE} has {_values(context)}")


def _stays_in_route53(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """External-dns does not own the record that the operator made, and leaves it."""
    for account in dump["accounts"].values():
        for zone in account.get("zones", {}).values():
            zone["record_sets"][f"{HOST}. A"] = {"TTL": 300, "Values": [context.eips[0].public_ip]}


async def _to_managed(context: ScenarioContext) -> None:
    """External-dns made the record in the hosted zone of the operator, and would delete it with the DNSEndpoint: the
    addresses change under Managed, and the DNSEndpoint follows."""
    sim = context.sim
    first, second = context.eips
    _meg(context, hostname=HOST, eips=[first])
    await sim.ready("a")
    sim.edit("a", forward={"management": "Managed"})
    await sim.reason("a", "RetiringOldName")
    await sim.sleep(300)
    sim.edit("a", eips=[first, second])
    both = tuple(sorted(e.public_ip for e in context.eips))

    def done() -> bool:
        record = sim.world.record(sim.world.zone_of(HOST), HOST, "A")
        pointing = [e for e in context.eips if sim.world.ptr(e) == HOST]
        return record is not None and tuple(sorted(record[1])) == both and len(pointing) == 2

    await sim.until(done, "both addresses to serve", RESTORED)
    context.expect = {"a": ("True", "RetiringOldName")}


def _story(
    name: str,
    prepare: Callable[[ScenarioContext], None],
    act: Act,
    leftover: Any = _nothing_left,
    **more: Any,
) -> Scenario:
    return Scenario(name, prepare, act, leftover, settings={"external_dns": "on"}, **{"hasty": False, **more})


EXTERNAL_DNS = (
    _story("external-create", _elsewhere(1), _create, hasty=True),
    _story("external-rename", _elsewhere(1), _rename, hasty=True),
    _story("external-swap", _elsewhere(2), _swap, hasty=True),
    _story("external-delete-midway", _elsewhere(1), _delete_midway, hasty=True),
    _story("external-rename-and-delete", _elsewhere(1), _rename_and_delete),
    _story("external-lost-eip", _elsewhere(2), _lost, _eip_gone, still=2000.0),
    _story("external-drift", _elsewhere(1), _drift),
    _story("external-late", _elsewhere(1, missing=True), _late),
    _story("external-conflict", _elsewhere(2), _conflict),
    _story("external-foreign", _elsewhere(1), _foreign),
    _story("external-removed", _elsewhere(1), _removed),
    _story("external-rolled-back", _elsewhere(1), _rolled_back),
    _story("external-upsert-only", _elsewhere(1, "upsert-only"), _upsert_only, _record_left),
    _story(
        "external-to-observed",
        _elsewhere(1),
        _changes("ExternalDNS", "Observed", hostname=ELSEWHERE),
        _stays_elsewhere,
    ),
    _story(
        "observed-to-external",
        _observed_first,
        _changes("Observed", "ExternalDNS", hostname=ELSEWHERE),
        _stays_elsewhere,
    ),
    _story(
        "managed-to-external",
        _same_zone(1),
        _changes("Managed", "ExternalDNS", hostname=HOST),
        _stays_in_route53,
    ),
    _story("external-to-managed", _same_zone(2), _to_managed, _no_endpoint),
)
