"""Stories of regional NAT gateways: AWS adds and removes addresses without an edit of the object."""

from __future__ import annotations

from typing import Any

from sandbox.aws.model.eip import Eip
from tests.support.simulation.context import HOST, Scenario, ScenarioContext, all_ready
from tests.support.simulation.world import REGION

NOTICED = 3000.0
"""Seconds in which a change of a gateway has its effect: a minute, the PTRs, and a quarter of an hour for a fault."""


def _gateway(count: int) -> Any:
    """A regional gateway with so many addresses."""

    def prepare(context: ScenarioContext) -> None:
        world = context.sim.world
        world.zone()
        made = world.control.create_regional_nat_gateway(REGION, ["zone-a"] * count)
        context.more["gateway"] = made["id"]
        context.eips = [world.model.eip(each["allocation_id"]) for each in made["addresses"]]

    return prepare


def _add(context: ScenarioContext) -> Eip:
    world = context.sim.world
    made = world.control.add_nat_address(context.more["gateway"], "zone-b")
    eip: Eip = world.model.eip(made["allocation_id"])
    world.outside(f"AWS adds {eip.public_ip} to the gateway", eip.public_ip)
    context.eips.append(eip)
    return eip


def _release(context: ScenarioContext, eip: Eip) -> None:
    world = context.sim.world
    world.outside(f"AWS releases {eip.public_ip}", eip.public_ip)
    world.control.remove_nat_address(context.more["gateway"], eip.public_ip)


def _create(context: ScenarioContext) -> None:
    context.sim.meg("a", HOST, [{"natGatewayID": context.more["gateway"]}])


async def _serves(context: ScenarioContext, *eips: Eip) -> None:
    """The A record has these addresses, their PTRs show the name, and no other address has such a PTR."""
    world = context.sim.world
    ips = tuple(sorted(e.public_ip for e in eips))

    def done() -> bool:
        record = world.record(world.zone_of(HOST), HOST, "A")
        pointing = {e.public_ip for e in world.all_eips() if world.ptr(e) == HOST}
        return record is not None and tuple(sorted(record[1])) == ips and pointing == set(ips)

    await context.sim.until(done, f"{', '.join(ips)} to serve {HOST}", NOTICED, "E1")


async def _grows(context: ScenarioContext) -> None:
    _create(context)
    await context.sim.ready("a")
    _add(context)
    all_ready(context, "a")
    await _serves(context, *context.eips)
    await context.sim.ready("a")


async def _shrinks(context: ScenarioContext) -> None:
    """An address is disassociated first, and its PTR is reset; AWS releases it much later."""
    stays, leaves = context.eips
    _create(context)
    await context.sim.ready("a")
    world = context.sim.world
    world.outside(f"AWS disassociates {leaves.public_ip}")
    world.control.set_nat_address_status(context.more["gateway"], leaves.public_ip, "disassociating")
    all_ready(context, "a")
    await _serves(context, stays)
    await context.sim.ready("a")
    _release(context, leaves)
    await context.sim.sleep(900)
    await _serves(context, stays)


async def _replaced(context: ScenarioContext) -> None:
    """AWS releases addresses together with their PTRs, more than a mass loss needs, and later adds another one."""
    stays, *leave = context.eips
    _create(context)
    await context.sim.ready("a")
    for eip in leave:
        _release(context, eip)
    await _serves(context, stays)
    new = _add(context)
    all_ready(context, "a")
    await _serves(context, stays, new)
    await context.sim.ready("a")


def _refusing(context: ScenarioContext) -> None:
    """A regional gateway whose address takes no PTR, and an address of the user's own."""
    _gateway(1)(context)
    world = context.sim.world
    world.control.settings(rnat_ptr="refuse")
    context.eips += world.eips(1)


async def _refused(context: ScenarioContext) -> None:
    """The user's own address gets its PTR, and the gateway's one too as soon as AWS takes it."""
    _, own = context.eips
    sim = context.sim
    # Until then the gateway is still attaching its address, which would join later than the other one.
    await sim.sleep(120)
    sim.meg("a", HOST, [{"natGatewayID": context.more["gateway"]}, own])
    await sim.reason("a", "PTRRejected")
    await sim.until(
        lambda: sim.world.ptr(own) == HOST, "the user's own address to have its PTR", NOTICED, "E8"
    )
    sim.world.outside("AWS takes PTRs for regional gateways")
    sim.world.control.settings(rnat_ptr="accept")
    all_ready(context, "a")
    await _serves(context, *context.eips)
    await sim.ready("a")


def _addresses_now(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """The addresses that the gateway has in the end, without a PTR."""
    shown = dump["accounts"][context.sim.world.model.settings.default_account]["regions"][REGION]
    shown["addresses"] = {
        eip.public_ip: {
            "allocation_id": eip.allocation_id,
            "ptr": None,
            "attached_to": context.more["gateway"],
            "service_managed": "rnat",
        }
        for eip in sorted(context.sim.world.all_eips(), key=lambda each: each.public_ip)
    }


def _no_change(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """The gateway has the addresses that it had."""


def _story(
    name: str, prepare: Any, act: Any, leftover: Any = _addresses_now, still: float = 1000.0
) -> Scenario:
    """While a regional gateway is selected, it is read every minute."""
    return Scenario(name, prepare, act, leftover, hasty=False, still=still, reads_a_minute=1)


REGIONAL = (
    _story("gateway-grows", _gateway(1), _grows),
    _story("gateway-shrinks", _gateway(2), _shrinks),
    _story("gateway-replaces", _gateway(6), _replaced, still=2000.0),
    _story("gateway-refuses-ptrs", _refusing, _refused, _no_change),
)
