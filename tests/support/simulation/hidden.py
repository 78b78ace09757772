"""Stories in which what an object owns goes out of the operator's sight and comes back."""

from __future__ import annotations

from tests.support.simulation.context import HOST, OTHER, Scenario, ScenarioContext, all_ready, with_eips
from tests.support.simulation.harness import sim_settings
from tests.support.simulation.world import REGION

ELSEWHERE = "eu-west-1"
STRANGER = "444455556666"
LONG = 900.0
"""Virtual seconds out of sight: many a look, in which nothing may be let go of."""


def _prepare_regions(context: ScenarioContext) -> None:
    with_eips(1)(context)
    world = context.sim.world
    [made] = world.control.allocate(ELSEWHERE)
    context.eips.append(world.model.eip(made["allocation_id"]))


async def _region(context: ScenarioContext) -> None:
    """A region leaves the configuration, and objects are edited and deleted meanwhile."""
    sim = context.sim
    here, there = context.eips
    selector = {"allocationID": there.allocation_id, "region": ELSEWHERE}
    sim.meg("a", HOST, [here, selector])
    await sim.ready("a")
    both = sim.settings
    sim.settings = sim_settings(regions=REGION)
    await sim.restart()
    sim.delete("a")
    await sim.reason("a", "DeletionBlocked")
    await sim.sleep(LONG)
    sim.settings = both
    await sim.restart()
    await sim.gone("a")


async def _left_region(context: ScenarioContext) -> None:
    """The spec lets go of an address while nobody can look at its region."""
    sim = context.sim
    here, there = context.eips
    sim.meg("a", HOST, [here, {"allocationID": there.allocation_id, "region": ELSEWHERE}])
    await sim.ready("a")
    both = sim.settings
    sim.settings = sim_settings(regions=REGION)
    await sim.restart()
    sim.edit("a", eips=[here], hostname=OTHER)
    await sim.sleep(LONG)
    sim.settings = both
    await sim.restart()
    all_ready(context, "a")
    await sim.ready("a")


async def _ec2_account(context: ScenarioContext) -> None:
    """The EC2 credentials become another account's while the object is deleted."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.world.become("ec2", STRANGER)
    await sim.restart()
    sim.delete("a")
    await sim.reason("a", "DeletionBlocked")
    await sim.sleep(LONG)
    sim.world.become("ec2", None)
    await sim.restart()
    await sim.gone("a")


async def _hidden_eip(context: ScenarioContext) -> None:
    """One reading lacks the address in the very moment of the deletion."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.world.control.hide_eip(context.eips[0].public_ip)
    sim.delete("a")
    await sim.sleep(30)
    sim.world.control.show_eip(context.eips[0].public_ip)
    await sim.gone("a")


async def _zone_account(context: ScenarioContext) -> None:
    """The Route 53 credentials become those of an account with a zone of the same name."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.world.become("route53", STRANGER)
    await sim.restart()
    await sim.sleep(LONG)
    sim.delete("a")
    await sim.sleep(LONG)
    sim.world.become("route53", None)
    await sim.restart()
    await sim.gone("a")


async def _zone_denied(context: ScenarioContext) -> None:
    """The same without a restart, and Route 53 answers AccessDenied instead of NoSuchHostedZone; a rename meanwhile."""
    sim = context.sim
    sim.world.control.settings(foreign_zone="AccessDenied")
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.world.become("route53", STRANGER)
    sim.edit("a", hostname=OTHER)
    await sim.sleep(3 * LONG)
    sim.world.become("route53", None)
    all_ready(context, "a")
    await sim.ready("a")


async def _short_pages(context: ScenarioContext) -> None:
    """One page of the lists lacks entries in one reading each: while nothing happens, at a rename, at a deletion."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    both = {"ListHostedZones": 0, "DescribeAddresses": 0}
    sim.world.short.update(both)
    await sim.sleep(2 * LONG)
    await sim.ready("a")
    sim.world.short.update(both)
    sim.edit("a", hostname=OTHER)
    await sim.sleep(LONG)
    await sim.ready("a")
    sim.world.short.update(both)
    sim.delete("a")
    await sim.gone("a")
    sim.world.short.clear()


GONE = 300.0
"""Seconds: AWS takes up to two minutes for the PTR; a fault may cost its first attempt."""


async def _zone_deleted(context: ScenarioContext) -> None:
    """Somebody deletes the hosted zone with all that is in it; the object still goes."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    world = sim.world
    zone = world.zone_of(HOST)
    assert zone is not None
    world.outside("the hosted zone is deleted", HOST, *(e.public_ip for e in context.eips))
    del world.model.account().route53.zones[zone.id]
    context.more["zone"] = zone.id
    sim.delete("a")
    await sim.until(lambda: sim.find("a") is None, "a to be gone", GONE, "E5")


def _zone_gone(context: ScenarioContext, dump: dict[str, object]) -> None:
    for account in dump["accounts"].values():  # type: ignore[attr-defined]
        account.pop("zones", None)


HIDDEN = (
    Scenario(
        "region-vanishes",
        _prepare_regions,
        _region,
        hasty=False,
        settings={"regions": f"{REGION},{ELSEWHERE}"},
    ),
    Scenario(
        "left-in-a-region",
        _prepare_regions,
        _left_region,
        hasty=False,
        settings={"regions": f"{REGION},{ELSEWHERE}"},
    ),
    Scenario("ec2-account-changes", with_eips(1), _ec2_account, hasty=False),
    Scenario("eip-hidden", with_eips(1), _hidden_eip, hasty=False),
    Scenario("short-pages", with_eips(2), _short_pages, hasty=False),
    Scenario("zone-account-changes", with_eips(1), _zone_account, hasty=False),
    Scenario("zone-denied", with_eips(1), _zone_denied, hasty=False),
    Scenario("zone-deleted", with_eips(1), _zone_deleted, _zone_gone, hasty=False),
)
