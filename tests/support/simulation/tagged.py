"""Stories of addresses that are selected by tags: the tags move without an edit of the object."""

from __future__ import annotations

from typing import Any

from sandbox.aws.model.eip import Eip
from tests.support.simulation.context import HOST, OTHER, Scenario, ScenarioContext, all_ready, with_eips
from tests.support.simulation.world import REGION

BY_TAGS = [{"tags": {"use": "mail"}}]
NOTICED = 2400.0
"""Seconds in which a tag that moved has its effect: the next list, the PTRs, and a quarter of an hour for a fault."""


def _tag(context: ScenarioContext, eip: Eip) -> None:
    context.sim.world.outside(f"{eip.public_ip} gets the tag")
    context.sim.world.control.set_tags(eip.allocation_id, {"use": "mail"})


def _untag(context: ScenarioContext, eip: Eip) -> None:
    context.sim.world.outside(f"{eip.public_ip} loses the tag")
    context.sim.world.control.remove_tags(eip.allocation_id, ["use"])


def _tagged(count: int, total: int) -> Any:
    """So many addresses, of which the first have the tag."""

    def prepare(context: ScenarioContext) -> None:
        with_eips(total)(context)
        for eip in context.eips[:count]:
            _tag(context, eip)

    return prepare


async def _serves(context: ScenarioContext, *eips: Eip) -> None:
    """The A record has these addresses, their PTRs show the name, and no other address has such a PTR."""
    world = context.sim.world
    ips = tuple(sorted(e.public_ip for e in eips))

    def done() -> bool:
        record = world.record(world.zone_of(HOST), HOST, "A")
        pointing = {e.public_ip for e in context.eips if world.ptr(e) == HOST}
        return record is not None and tuple(sorted(record[1])) == ips and pointing == set(ips)

    await context.sim.until(done, f"{', '.join(ips)} to serve {HOST}", NOTICED, "E1")


async def _created(context: ScenarioContext) -> None:
    context.sim.meg("a", HOST, BY_TAGS)
    all_ready(context, "a")
    await context.sim.ready("a")
    await _serves(context, *context.eips[:2])


async def _moved(context: ScenarioContext) -> None:
    """The tag leaves one address before the other one gets it: what is held is replaced by way of the union."""
    old, new = context.eips
    context.sim.meg("a", HOST, BY_TAGS)
    await context.sim.ready("a")
    _untag(context, old)
    await context.sim.sleep(5)
    _tag(context, new)
    all_ready(context, "a")
    await _serves(context, new)
    await context.sim.ready("a")


async def _removed(context: ScenarioContext) -> None:
    stays, leaves = context.eips
    context.sim.meg("a", HOST, BY_TAGS)
    await context.sim.ready("a")
    _untag(context, leaves)
    all_ready(context, "a")
    await _serves(context, stays)
    await context.sim.ready("a")


async def _all_removed(context: ScenarioContext) -> None:
    """Somebody removes the tag everywhere: nothing is released, and the tag that comes back ends it."""
    context.sim.meg("a", HOST, BY_TAGS)
    await context.sim.ready("a")
    for eip in context.eips:
        _untag(context, eip)
    await context.sim.reason("a", "AddressNotFound")
    await context.sim.sleep(1200)
    await _serves(context, *context.eips)
    for eip in context.eips:
        _tag(context, eip)
    all_ready(context, "a")
    await context.sim.ready("a")
    await _serves(context, *context.eips)


async def _ids_to_tags(context: ScenarioContext) -> None:
    """The second address gets its tag in the moment of the edit, after the list that the operator has was read."""
    first, second = context.eips
    context.sim.meg("a", HOST, [first, second])
    await context.sim.ready("a")
    _tag(context, second)
    context.sim.edit("a", eips=BY_TAGS)
    all_ready(context, "a")
    await context.sim.ready("a")
    await _serves(context, first, second)


async def _taken(context: ScenarioContext) -> None:
    """The tag is put on an address that another object has: it is left alone until that object is deleted."""
    own, taken = context.eips
    sim = context.sim
    sim.meg("a", HOST, BY_TAGS)
    sim.meg("b", OTHER, [taken])
    await sim.ready("a", "b")
    _tag(context, taken)
    await sim.reason("a", "AddressConflict")
    await sim.sleep(1200)
    await _serves(context, own)
    await sim.until(lambda: sim.world.ptr(taken) == OTHER, "the other object's PTR to stay", 1.0, "S9")
    sim.delete("b")
    await sim.gone("b")
    all_ready(context, "a")
    await _serves(context, own, taken)
    await sim.ready("a")


def _with_balancer(context: ScenarioContext) -> None:
    """An address that sends mail and one of a load balancer, both with the tag."""
    _tagged(1, 1)(context)
    world = context.sim.world
    [made] = world.control.allocate(REGION, service_managed="alb")
    context.eips.append(world.model.eip(made["allocation_id"]))
    _tag(context, context.eips[1])


async def _balancer(context: ScenarioContext) -> None:
    """The load balancer's address is reported and left alone, and the other one is served."""
    sends, receives = context.eips
    context.sim.meg("a", HOST, BY_TAGS)
    await context.sim.reason("a", "AddressServiceManaged")
    await _serves(context, sends)
    await context.sim.sleep(1200)
    _untag(context, receives)
    all_ready(context, "a")
    await context.sim.ready("a")
    await _serves(context, sends)


def _tags_now(*indices: int) -> Any:
    """What the tags are in the end."""

    def leftover(context: ScenarioContext, dump: dict[str, Any]) -> None:
        tagged = {context.eips[index].public_ip for index in indices}
        for account in dump["accounts"].values():
            for region in account.get("regions", {}).values():
                for public_ip, shown in region["addresses"].items():
                    shown.pop("tags", None)
                    if public_ip in tagged:
                        shown["tags"] = {"use": "mail"}

    return leftover


TAGGED = (
    Scenario("tags-create", _tagged(2, 3), _created),
    Scenario("tag-moved", _tagged(1, 2), _moved, _tags_now(1), hasty=False),
    Scenario("tag-removed", _tagged(2, 2), _removed, _tags_now(0), hasty=False),
    Scenario("tags-all-removed", _tagged(2, 2), _all_removed, hasty=False),
    Scenario("ids-to-tags", _tagged(1, 2), _ids_to_tags, _tags_now(0, 1)),
    Scenario("tag-on-another", _tagged(1, 2), _taken, _tags_now(0, 1), hasty=False),
    Scenario("tag-on-load-balancer", _with_balancer, _balancer, _tags_now(0), hasty=False),
)
