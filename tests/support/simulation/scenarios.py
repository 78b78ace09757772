"""The stories that faults are injected into: what the world is, what the user does, what must come of it."""

from __future__ import annotations

from typing import Any

from tests.support.simulation.context import HOST, OTHER, Scenario, Stage, all_ready, with_eips
from tests.support.simulation.delegations import DELEGATIONS
from tests.support.simulation.hidden import HIDDEN
from tests.support.simulation.third_parties import STRANGERS

__all__ = ["HOST", "OTHER", "SCENARIOS", "Scenario", "Stage"]

# ---------------------------------------------------------------- create


def _prepare_nat(stage: Stage) -> None:
    with_eips(2)(stage)
    stage.more["nat"] = stage.sim.world.nat_gateway(stage.eips)


async def _create_nat(stage: Stage) -> None:
    stage.sim.meg("a", HOST, [{"natGatewayID": stage.more["nat"]}])
    all_ready(stage, "a")
    await stage.sim.ready("a")


def _prepare_instance(stage: Stage) -> None:
    with_eips(1)(stage)
    stage.more["instance"] = stage.sim.world.instance(stage.eips[0])


async def _create_instance(stage: Stage) -> None:
    stage.sim.meg("a", HOST, [{"instanceID": stage.more["instance"]}])
    all_ready(stage, "a")
    await stage.sim.ready("a")


async def _several(stage: Stage) -> None:
    first, second, third = stage.eips
    stage.sim.meg("a", HOST, [first, {"publicIP": second.public_ip}, third])
    all_ready(stage, "a")
    await stage.sim.ready("a")


# ---------------------------------------------------------------- edits


async def _rename(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    sim.edit("a", hostname=OTHER)
    all_ready(stage, "a")
    await sim.ready("a")


async def _swap(stage: Stage) -> None:
    sim = stage.sim
    old, new = stage.eips
    sim.meg("a", HOST, [old])
    await sim.ready("a")
    sim.edit("a", eips=[new])
    all_ready(stage, "a")
    await sim.ready("a")


async def _both(stage: Stage) -> None:
    sim = stage.sim
    old, new = stage.eips
    sim.meg("a", HOST, [old])
    await sim.ready("a")
    sim.edit("a", eips=[new], hostname=OTHER)
    all_ready(stage, "a")
    await sim.ready("a")


async def _hasty(stage: Stage) -> None:
    """Five edits before the first one is done."""
    sim = stage.sim
    first, second = stage.eips
    sim.meg("a", HOST, [first])
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(HOST), HOST), "the first claim")
    sim.edit("a", hostname=OTHER)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(OTHER), OTHER), "the second claim")
    sim.edit("a", eips=[second])
    await sim.sleep(3)
    sim.edit("a", hostname="third.example.com")
    await sim.sleep(40)
    sim.edit("a", eips=[first, second])
    all_ready(stage, "a")
    await sim.ready("a")


# ---------------------------------------------------------------- delete


async def _delete(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    sim.delete("a")
    await sim.gone("a")


async def _delete_midway(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(HOST), HOST), "the claim")
    sim.delete("a")
    await sim.gone("a")


async def _recreate(stage: Stage) -> None:
    """Deleted, and created again under the same name before the old one is gone from AWS."""
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    sim.meg("b", HOST, stage.eips)
    await sim.sleep(5)
    sim.delete("a")
    await sim.gone("a")
    all_ready(stage, "b")
    await sim.ready("b")


# ---------------------------------------------------------------- adoption, conflict, Observed


def _prepare_adopt(stage: Stage) -> None:
    with_eips(1)(stage)
    world = stage.sim.world
    world.put_record(HOST, [stage.eips[0].public_ip], ttl=600)
    world.force_ptr(stage.eips[0], HOST)
    world.touched.clear()


async def _adopt(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    all_ready(stage, "a")
    await sim.ready("a")


async def _adopt_rename(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    sim.edit("a", hostname=OTHER)
    all_ready(stage, "a")
    await sim.ready("a")


def _ptr_is_ours_now(stage: Stage, dump: dict[str, Any]) -> None:
    """A PTR that was adopted and then renamed at the user's wish is the operator's, and is reset in the end."""
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"][stage.eips[0].public_ip]["ptr"] = None


async def _conflict(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", HOST, [stage.eips[0]])
    await sim.ready("a")
    sim.meg("b", HOST, [stage.eips[1]])
    await sim.reason("b", "HostnameConflict")
    sim.delete("a")
    await sim.gone("a")
    all_ready(stage, "b")
    await sim.ready("b")


async def _exchange(stage: Stage) -> None:
    """An EIP goes from one object to another by two edits."""
    sim = stage.sim
    first, second, third = stage.eips
    sim.meg("a", HOST, [first, second])
    sim.meg("b", OTHER, [third])
    await sim.ready("a", "b")
    sim.edit("b", eips=[second, third])
    await sim.reason("b", "AddressConflict")
    sim.edit("a", eips=[first])
    all_ready(stage, "a", "b")
    await sim.ready("a", "b")


def _prepare_observed(stage: Stage) -> None:
    world = stage.sim.world
    stage.eips = world.eips(1)
    zone = world.dns.add_zone("elsewhere.net.")
    zone.put("mta.elsewhere.net.", "A", [stage.eips[0].public_ip, "192.0.2.99"], 300)


async def _observed(stage: Stage) -> None:
    sim = stage.sim
    sim.meg("a", "mta.elsewhere.net", stage.eips, forward={"management": "Observed"})
    all_ready(stage, "a")
    await sim.ready("a")


async def _observed_successor(stage: Stage) -> None:
    """Under Observed no mark tells whose the name is: the successor's PTR looks just like the one before it."""
    sim = stage.sim
    sim.meg("a", "mta.elsewhere.net", stage.eips, forward={"management": "Observed"})
    await sim.ready("a")
    sim.meg("b", "mta.elsewhere.net", stage.eips, forward={"management": "Observed"})
    await sim.sleep(5)
    sim.delete("a")
    await sim.gone("a")
    all_ready(stage, "b")
    await sim.ready("b")


async def _hand_over(stage: Stage) -> None:
    """Managed, then Observed: only the mark goes."""
    sim = stage.sim
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    sim.edit("a", forward={"management": "Observed"})
    all_ready(stage, "a")
    await sim.ready("a")


def _record_stays(stage: Stage, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for zone in account.get("zones", {}).values():
            zone["record_sets"][f"{HOST}. A"] = {"TTL": 300, "Values": [stage.eips[0].public_ip]}


# ---------------------------------------------------------------- outsiders


HEALED = 2400.0
"""Seconds in which what somebody changed is back: the periodic check, and a quarter of an hour for a fault."""


async def _drift(stage: Stage) -> None:
    sim = stage.sim
    world, eip = sim.world, stage.eips[0]
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    world.drop_record(HOST)
    await sim.until(
        lambda: world.record(world.zone_of(HOST), HOST, "A"), "the A record to be back", HEALED, "E7"
    )
    world.force_ptr(eip, None)
    await sim.until(lambda: world.ptr(eip) == HOST, "the PTR to be back", HEALED, "E7")
    await sim.ready("a")
    # (With the mark goes the word that the record is ours: a process that dies before it saw that adopts it.)
    await sim.sleep(300)
    world.drop_record(f"_mailegress.{HOST}", "TXT")
    await sim.until(lambda: world.mark(world.zone_of(HOST), HOST), "the mark to be back", HEALED, "E7")
    all_ready(stage, "a")
    await sim.ready("a")


async def _lost(stage: Stage) -> None:
    sim = stage.sim
    world = sim.world
    kept, lost = stage.eips
    sim.meg("a", HOST, stage.eips)
    await sim.ready("a")
    world.lose(lost)
    stage.expect = {"a": ("False", "AddressLost")}

    def shrunk() -> bool:
        found = world.record(world.zone_of(HOST), HOST, "A")
        return found is not None and found[1] == (kept.public_ip,)

    await sim.until(shrunk, "the lost address to leave the A record")


def _eip_gone(stage: Stage, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"].pop(stage.eips[-1].public_ip, None)


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
    )
}
