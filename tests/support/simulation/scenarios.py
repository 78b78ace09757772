"""The stories that faults are injected into: what the world is, what the user does, what must come of it."""

from __future__ import annotations

from typing import Any

from tests.support.simulation.context import HOST, OTHER, Scenario, ScenarioContext, all_ready, with_eips
from tests.support.simulation.delegations import DELEGATIONS
from tests.support.simulation.external import EXTERNAL_DNS
from tests.support.simulation.hidden import HIDDEN
from tests.support.simulation.regional import REGIONAL
from tests.support.simulation.tagged import TAGGED
from tests.support.simulation.third_parties import STRANGERS

__all__ = ["HOST", "OTHER", "SCENARIOS", "Scenario", "ScenarioContext"]

# ---------------------------------------------------------------- create


def _prepare_nat(context: ScenarioContext) -> None:
    with_eips(2)(context)
    context.more["nat"] = context.sim.world.nat_gateway(context.eips)


async def _create_nat(context: ScenarioContext) -> None:
    context.sim.meg("a", HOST, [{"natGatewayID": context.more["nat"]}])
    all_ready(context, "a")
    await context.sim.ready("a")


def _prepare_instance(context: ScenarioContext) -> None:
    with_eips(1)(context)
    context.more["instance"] = context.sim.world.instance(context.eips[0])


async def _create_instance(context: ScenarioContext) -> None:
    context.sim.meg("a", HOST, [{"instanceID": context.more["instance"]}])
    all_ready(context, "a")
    await context.sim.ready("a")


async def _several(context: ScenarioContext) -> None:
    first, second, third = context.eips
    context.sim.meg("a", HOST, [first, {"publicIP": second.public_ip}, third])
    all_ready(context, "a")
    await context.sim.ready("a")


# ---------------------------------------------------------------- edits


async def _rename(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.edit("a", hostname=OTHER)
    all_ready(context, "a")
    await sim.ready("a")


async def _swap(context: ScenarioContext) -> None:
    sim = context.sim
    old, new = context.eips
    sim.meg("a", HOST, [old])
    await sim.ready("a")
    sim.edit("a", eips=[new])
    all_ready(context, "a")
    await sim.ready("a")


async def _both(context: ScenarioContext) -> None:
    sim = context.sim
    old, new = context.eips
    sim.meg("a", HOST, [old])
    await sim.ready("a")
    sim.edit("a", eips=[new], hostname=OTHER)
    all_ready(context, "a")
    await sim.ready("a")


async def _hasty(context: ScenarioContext) -> None:
    """Five edits before the first one is done."""
    sim = context.sim
    first, second = context.eips
    sim.meg("a", HOST, [first])
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(HOST), HOST), "the first claim")
    sim.edit("a", hostname=OTHER)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(OTHER), OTHER), "the second claim")
    sim.edit("a", eips=[second])
    await sim.sleep(3)
    sim.edit("a", hostname="third.example.com")
    await sim.sleep(40)
    sim.edit("a", eips=[first, second])
    all_ready(context, "a")
    await sim.ready("a")


# ---------------------------------------------------------------- delete


async def _delete(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.delete("a")
    await sim.gone("a")


async def _delete_midway(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(HOST), HOST), "the claim")
    sim.delete("a")
    await sim.gone("a")


async def _recreate(context: ScenarioContext) -> None:
    """Deleted, and created again under the same name before the old one is gone from AWS."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.meg("b", HOST, context.eips)
    await sim.sleep(5)
    sim.delete("a")
    await sim.gone("a")
    all_ready(context, "b")
    await sim.ready("b")


# ---------------------------------------------------------------- adoption, conflict, Observed


def _prepare_adopt(context: ScenarioContext) -> None:
    with_eips(1)(context)
    world = context.sim.world
    world.put_record(HOST, [context.eips[0].public_ip], ttl=600)
    world.force_ptr(context.eips[0], HOST)
    world.touched.clear()


async def _adopt(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    all_ready(context, "a")
    await sim.ready("a")


async def _adopt_rename(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.edit("a", hostname=OTHER)
    all_ready(context, "a")
    await sim.ready("a")


def _ptr_is_ours_now(context: ScenarioContext, dump: dict[str, Any]) -> None:
    """A PTR that was adopted and then renamed at the user's wish is the operator's, and is reset in the end."""
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"][context.eips[0].public_ip]["ptr"] = None


async def _conflict(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, [context.eips[0]])
    await sim.ready("a")
    sim.meg("b", HOST, [context.eips[1]])
    await sim.reason("b", "HostnameConflict")
    sim.delete("a")
    await sim.gone("a")
    all_ready(context, "b")
    await sim.ready("b")


async def _exchange(context: ScenarioContext) -> None:
    """An EIP goes from one object to another by two edits."""
    sim = context.sim
    first, second, third = context.eips
    sim.meg("a", HOST, [first, second])
    sim.meg("b", OTHER, [third])
    await sim.ready("a", "b")
    sim.edit("b", eips=[second, third])
    await sim.reason("b", "AddressConflict")
    sim.edit("a", eips=[first])
    all_ready(context, "a", "b")
    await sim.ready("a", "b")


def _prepare_observed(context: ScenarioContext) -> None:
    world = context.sim.world
    context.eips = world.eips(1)
    zone = world.dns.add_zone("elsewhere.net.")
    zone.put("mta.elsewhere.net.", "A", [context.eips[0].public_ip, "192.0.2.99"], 300)


async def _observed(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", "mta.elsewhere.net", context.eips, forward={"management": "Observed"})
    all_ready(context, "a")
    await sim.ready("a")


async def _observed_successor(context: ScenarioContext) -> None:
    """Under Observed no mark tells whose the name is: the successor's PTR looks just like the one before it."""
    sim = context.sim
    sim.meg("a", "mta.elsewhere.net", context.eips, forward={"management": "Observed"})
    await sim.ready("a")
    sim.meg("b", "mta.elsewhere.net", context.eips, forward={"management": "Observed"})
    await sim.sleep(5)
    sim.delete("a")
    await sim.gone("a")
    all_ready(context, "b")
    await sim.ready("b")


async def _hand_over(context: ScenarioContext) -> None:
    """Managed, then Observed: only the mark goes."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.edit("a", forward={"management": "Observed"})
    all_ready(context, "a")
    await sim.ready("a")


def _record_stays(context: ScenarioContext, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for zone in account.get("zones", {}).values():
            zone["record_sets"][f"{HOST}. A"] = {"TTL": 300, "Values": [context.eips[0].public_ip]}


# ---------------------------------------------------------------- outsiders


HEALED = 2400.0
"""Seconds in which what somebody changed is back: the periodic check, and a quarter of an hour for a fault."""


async def _drift(context: ScenarioContext) -> None:
    sim = context.sim
    world, eip = sim.world, context.eips[0]
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    world.drop_record(HOST)
    await sim.until(
        lambda: world.record(world.zone_of(HOST), HOST, "A"), "the A record to be back", HEALED, "E7"
    )
    world.force_ptr(eip, None)
    await sim.until(lambda: world.ptr(eip) == HOST, "the PTR to be back", HEALED, "E7")
    await sim.ready("a")
    # (With the mark goes the word that the record is ours: a process that dies before it restored that adopts it.)
    await sim.sleep(300)
    world.drop_record(f"_mailegress.{HOST}", "TXT")
    await sim.until(lambda: world.mark(world.zone_of(HOST), HOST), "the mark to be back", HEALED, "E7")
    all_ready(context, "a")
    await sim.ready("a")


async def _lost(context: ScenarioContext) -> None:
    sim = context.sim
    world = sim.world
    kept, lost = context.eips
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    world.lose(lost)
    context.expect = {"a": ("False", "AddressLost")}

    def shrunk() -> bool:
        found = world.record(world.zone_of(HOST), HOST, "A")
        return found is not None and found[1] == (kept.public_ip,)

    await sim.until(shrunk, "the lost address to leave the A record")


def _eip_gone(context: ScenarioContext, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"].pop(context.eips[-1].public_ip, None)


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("create-nat", _prepare_nat, _create_nat),
        Scenario("create-instance", _prepare_instance, _create_instance),
        Scenario("several-eips", with_eips(3), _several),
        Scenario("rename", with_eips(1), _rename),
        Scenario("eip-swap", with_eips(2), _swap),
        Scenario("rename-and-swap", with_eips(2), _both),
        Scenario("hasty-edits", with_eips(2), _hasty),
        Scenario("delete", with_eips(1), _delete),
        Scenario("delete-midway", with_eips(1), _delete_midway),
        Scenario("successor", with_eips(1), _recreate),
        Scenario("adopt", _prepare_adopt, _adopt),
        Scenario("adopt-rename", _prepare_adopt, _adopt_rename, _ptr_is_ours_now, hasty=False),
        Scenario("conflict-takeover", with_eips(2), _conflict),
        Scenario("eip-exchange", with_eips(3), _exchange),
        Scenario("observed", _prepare_observed, _observed),
        Scenario("observed-successor", _prepare_observed, _observed_successor),
        Scenario("hand-over", with_eips(1), _hand_over, _record_stays, hasty=False),
        Scenario("drift", with_eips(1), _drift, hasty=False),
        Scenario("lost-eip", with_eips(2), _lost, _eip_gone, still=2000.0, hasty=False),
        *STRANGERS,
        *DELEGATIONS,
        *HIDDEN,
        *TAGGED,
        *REGIONAL,
        *EXTERNAL_DNS,
    )
}
