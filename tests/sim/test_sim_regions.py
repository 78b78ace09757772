"""E8 for regions and addresses: what fails in one concerns nobody who does not use it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.simulation.apiwire import Object
from tests.support.simulation.facts import ready_of
from tests.support.simulation.harness import NAMESPACE, Sim, simulate
from tests.support.simulation.scenarios import HOST, OTHER
from tests.support.simulation.world import REGION

ELSEWHERE = "eu-west-1"
EFFECTS: dict[str, dict[str, Any]] = {
    "AWSUnavailable": {"effect": "server_error", "operation": "Describe*"},
    "Throttled": {"effect": "error", "operation": "Describe*", "code": "RequestLimitExceeded", "status": 503},
    "AccessDenied": {
        "effect": "error",
        "operation": "DescribeAddresses",
        "code": "UnauthorizedOperation",
        "status": 403,
    },
}


def readies(sim: Sim, name: str) -> list[tuple[str, str]]:
    """Every Ready that the object's status shows from now on; filled while the story runs."""
    found: list[tuple[str, str]] = []

    def heard(new: Object) -> None:
        ready = ready_of(new)
        if new["metadata"]["name"] == name and ready is not None:
            found.append((ready["status"], ready["reason"]))

    sim.on_status(heard)
    return found


async def ready_object(sim: Sim) -> None:
    """One object in one zone, with one address."""
    sim.world.zone()
    [eip] = sim.world.eips(1)
    sim.start()
    sim.meg("a", HOST, [eip])
    await sim.ready("a")


async def outlive(sim: Sim, seen: list[tuple[str, str]]) -> None:
    """What the object ``there`` uses fails for an hour; ``here`` stays Ready, and what happens to it is repaired."""
    await sim.sleep(3600)
    assert sim.condition("here") == ("True", "Ready")
    assert seen in ([], [("True", "Ready")]), seen
    sim.world.drop_record(HOST)
    await sim.until(
        lambda: sim.world.record(sim.world.zone_of(HOST), HOST, "A"), "the A record to be back", 1200.0
    )
    sim.world.control.clear_faults()
    await sim.ready("here", "there")


@pytest.mark.parametrize("reason", EFFECTS)
def test_a_failing_region_takes_ready_only_from_the_objects_that_use_it(reason: str) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        [here], [there] = sim.world.eips(1), sim.world.eips(1, region=ELSEWHERE)
        sim.start()
        sim.meg("here", HOST, [here])
        sim.meg("there", OTHER, [{"allocationID": there.allocation_id, "region": ELSEWHERE}])
        await sim.ready("here", "there")
        seen = readies(sim, "here")
        sim.world.control.add_fault(service="ec2", region=ELSEWHERE, **EFFECTS[reason])
        await sim.reason("there", reason)
        # A restarted process finds the region failing from the start.
        await sim.restart()
        await outlive(sim, seen)

    simulate(story, settings={"regions": f"{REGION},{ELSEWHERE}"})


ZONE_EFFECTS: dict[str, dict[str, Any]] = {
    "AWSUnavailable": {"effect": "server_error"},
    "Throttled": {"effect": "error", "code": "Throttling", "status": 400},
    "AccessDenied": {"effect": "error", "code": "AccessDenied", "status": 403},
}


@pytest.mark.parametrize("reason", ZONE_EFFECTS)
def test_a_failing_zone_takes_ready_only_from_the_objects_that_use_it(reason: str) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        failing = sim.world.zone("example.net")
        first, second = sim.world.eips(2)
        sim.start()
        sim.meg("here", HOST, [first])
        sim.meg("there", "mta.example.net", [second])
        await sim.ready("here", "there")
        seen = readies(sim, "here")
        sim.world.control.add_fault(
            service="route53", operation="*ResourceRecordSets", contains=failing.id, **ZONE_EFFECTS[reason]
        )
        # A restarted process finds the zone failing from the start.
        await sim.restart()
        await sim.reason("there", reason)
        await outlive(sim, seen)

    simulate(story)


@pytest.mark.parametrize(
    "operation",
    [
        "GetCallerIdentity",
        "ListHostedZones",
        "GetHostedZone",
        "ListResourceRecordSets",
        "DescribeAddresses",
        "DescribeAddressesAttribute",
        "DescribeNatGateways",
    ],
)
def test_what_a_restarted_operator_cannot_read_ends_ready(operation: str) -> None:
    """AWS fails from the restart on, and meanwhile somebody removes the A record: nobody knows whether it is there."""

    async def story(sim: Sim) -> None:
        await ready_object(sim)
        sim.world.control.add_fault(operation=operation, effect="server_error")
        await sim.restart()
        sim.world.drop_record(HOST)
        await sim.reason("a", "AWSUnavailable")
        assert sim.condition("a") == ("Unknown", "AWSUnavailable")
        sim.world.control.clear_faults()
        await sim.ready("a")

    simulate(story)


@pytest.mark.parametrize("operation", ["ListHostedZones", "GetHostedZone"])
def test_zones_that_are_known_are_enough_while_aws_does_not_list_them(operation: str) -> None:
    async def story(sim: Sim) -> None:
        await ready_object(sim)
        seen = readies(sim, "a")
        sim.world.control.add_fault(operation=operation, effect="server_error")
        await sim.sleep(3 * 3600)
        assert sim.condition("a") == ("True", "Ready")
        assert seen in ([], [("True", "Ready")]), seen
        sim.world.control.clear_faults()

    simulate(story)


def test_an_address_that_aws_does_not_serve_delays_no_other_and_is_tried_every_quarter_of_an_hour() -> None:
    """ModifyAddressAttribute answers UnsupportedOperation for one Elastic IP of two."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        refused, served = sim.world.eips(2)
        sim.world.control.add_fault(
            effect="error",
            service="ec2",
            operation="ModifyAddressAttribute",
            contains=refused.allocation_id,
            code="UnsupportedOperation",
            message="The operation is not supported for this address.",
        )
        tries: list[float] = []
        sent = sim.world.calls.sent

        def count(call: Any) -> None:
            if (
                call.operation == "ModifyAddressAttribute"
                and call.params["AllocationId"] == refused.allocation_id
            ):
                tries.append(sim.clock())
            sent(call)

        sim.world.calls.sent = count
        sim.start()
        sim.meg("a", HOST, [refused, served])
        await sim.reason("a", "PTRRejected")
        await sim.until(lambda: sim.world.ptr(served) == HOST, "the neighbour's PTR", 600.0)
        await sim.sleep(4000)
        assert sim.condition("a") == ("False", "PTRRejected")
        status = sim.api.objects[NAMESPACE, "a"]["status"]
        message = next(c["message"] for c in status["conditions"] if c["type"] == "ReverseReady")
        assert refused.public_ip in message
        assert "UnsupportedOperation: The operation is not supported for this address" in message
        assert {a["publicIP"]: a.get("reason") for a in status["addresses"]} == {
            refused.public_ip: "PTRRejected",
            served.public_ip: None,
        }
        pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
        assert 3 <= len(pauses) <= 5, tries
        assert all(900 <= pause <= 960 for pause in pauses), pauses
        sim.world.control.clear_faults()
        await sim.ready("a")

    simulate(story)


@pytest.mark.parametrize("operation", ["ListHostedZones", "DescribeAddresses"])
@pytest.mark.parametrize("lacks", [0, 1, 2])
@pytest.mark.parametrize("selector", ["addresses", "NAT gateway"])
def test_a_list_that_lacks_entries_once_changes_no_status(operation: str, lacks: int, selector: str) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(3)
        selectors = eips if selector == "addresses" else [{"natGatewayID": sim.world.nat_gateway(eips)}]
        sim.start()
        sim.meg("a", HOST, selectors)
        await sim.ready("a")
        seen = readies(sim, "a")
        sim.world.short[operation] = lacks
        await sim.sleep(10_000)
        assert not sim.world.short, "the list was read"
        assert seen == []

    simulate(story)
