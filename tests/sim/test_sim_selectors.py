"""What it costs to select addresses by tags, and to follow regional NAT gateways: requests to AWS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.aws.service import Call
from tests.support.simulation.generated import SECOND_REGION
from tests.support.simulation.harness import Sim, sim_settings, simulate
from tests.support.simulation.world import REGION

OBJECTS = 6
HOURS = 2
Selectors = Sequence[Mapping[str, Any]]


def requests(selectors: Callable[[Sim], Sequence[Selectors]]) -> Counter[tuple[str, str]]:
    """(region, operation) of all requests of an operator in two quiet hours: an object for each of the selectors."""
    counts: Counter[tuple[str, str]] = Counter()

    async def story(sim: Sim) -> None:
        sim.world.zone()
        told = sim.world.calls.sent

        def hear(call: Call) -> None:
            counts[call.region, call.operation] += 1
            told(call)

        sim.world.calls.sent = hear
        sim.settings = sim_settings(regions=f"{REGION},{SECOND_REGION}")
        chosen = selectors(sim)
        sim.start()
        names = [f"m{number}" for number in range(len(chosen))]
        for name, each in zip(names, chosen, strict=True):
            sim.meg(name, f"{name}.example.com", each)
        await sim.ready(*names)
        await sim.drain()
        counts.clear()
        await sim.stay_quiet(HOURS * 3600)

    simulate(story)
    return counts


def _by_id(sim: Sim) -> list[Selectors]:
    return [[{"allocationID": eip.allocation_id}] for eip in sim.world.eips(OBJECTS)]


def _by_tags(sim: Sim) -> list[Selectors]:
    for number, eip in enumerate(sim.world.eips(OBJECTS)):
        sim.world.control.set_tags(eip.allocation_id, {"mail": f"m{number}"})
    return [[{"tags": {"mail": f"m{number}"}}] for number in range(OBJECTS)]


def _zonal(sim: Sim) -> list[Selectors]:
    return [[{"natGatewayID": sim.world.nat_gateway([eip])}] for eip in sim.world.eips(OBJECTS)]


def _by_gateway_tags(sim: Sim) -> list[Selectors]:
    for number, [selector] in enumerate(_zonal(sim)):
        sim.world.control.set_tags(selector["natGatewayID"], {"mail": f"m{number}"})
    return [[{"natGatewayTags": {"mail": f"m{number}"}}] for number in range(OBJECTS)]


def _regional(sim: Sim) -> list[Selectors]:
    """As many gateways as objects, in two regions."""
    chosen: list[Selectors] = []
    for number in range(OBJECTS):
        region = (REGION, SECOND_REGION)[number % 2]
        made = sim.world.control.create_regional_nat_gateway(region, ["zone-a"])
        chosen.append([{"natGatewayID": made["id"], "region": region}])
    return chosen


def _by_id_in_two_regions(sim: Sim) -> list[Selectors]:
    """As many addresses in the same regions, so that nothing checks a gateway."""
    chosen: list[Selectors] = []
    for number in range(OBJECTS):
        region = (REGION, SECOND_REGION)[number % 2]
        [eip] = sim.world.eips(1, region=region)
        chosen.append([{"allocationID": eip.allocation_id, "region": region}])
    return chosen


def test_tags_cost_no_request() -> None:
    """Neither those of addresses nor those of NAT gateways: each is as the same objects with IDs."""
    assert requests(_by_tags) == requests(_by_id)
    assert requests(_by_gateway_tags) == requests(_zonal)


def test_regional_gateways_cost_one_request_a_minute_and_region_and_only_where_they_are_selected() -> None:
    spent, without = requests(_regional), requests(_by_id_in_two_regions)
    for region in (REGION, SECOND_REGION):
        checks = spent.pop((region, "DescribeNatGateways")) - without.pop((region, "DescribeNatGateways"))
        assert 0 < checks <= HOURS * 60, (region, checks)
    assert spent == without
