"""What one tenant may cost the others: names held by age alone, and storms of edits and requests."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST, OTHER
from tests.support.simulation.storms import EVERY, handled, requests, touch


def test_a_request_is_honoured_at_once_and_the_next_one_a_minute_later() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.ready("a")
        await sim.drain()
        for _ in range(2):
            began = sim.clock()
            touch(sim, f"first-{began}")
            await sim.until(lambda b=began: handled(sim) == f"first-{b}", "the first")  # type: ignore[misc]
            assert sim.clock() - began < 5.0
            touch(sim, f"second-{began}")
            await sim.until(lambda b=began: handled(sim) == f"second-{b}", "the second")  # type: ignore[misc]
            assert 60.0 <= sim.clock() - began < 70.0
            await sim.sleep(120.0)

    simulate(story)


def test_a_storm_ends_no_back_off_more_than_once_a_minute() -> None:
    """AWS refuses the PTR: requests every two seconds do not have it asked more than once a minute."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.world.control.add_fault(
            effect="error",
            service="ec2",
            operation="ModifyAddressAttribute",
            code="UnauthorizedOperation",
            status=403,
        )
        sent: list[float] = []
        told = sim.world.calls.sent

        def hear(call: Any) -> None:
            if call.operation == "ModifyAddressAttribute":
                sent.append(sim.clock())
            told(call)

        sim.world.calls.sent = hear
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.until(lambda: len(sent) > 6, "AWS to have refused for a while")
        sent.clear()
        act = requests(sim)
        for number in range(600):
            act(number)
            await sim.sleep(EVERY)
        assert sent
        assert all(later - earlier > 55.0 for earlier, later in pairwise(sent)), sent

    simulate(story)


def test_who_cannot_use_a_name_does_not_keep_it_from_others() -> None:
    """An older object that is suspended, and one that names an address that does not exist."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        first, second = sim.world.eips(2)
        sim.start()
        sim.meg("asleep", HOST, [first], suspend=True)
        sim.meg("dreaming", OTHER, [{"allocationID": "eipalloc-00000000000000000"}])
        await sim.sleep(2.0)
        sim.meg("a", HOST, [first])
        sim.meg("b", OTHER, [second])
        await sim.ready("a", "b")
        await sim.drain()
        sim.edit("asleep", suspend=False)
        await sim.reason("asleep", "HostnameConflict")
        await sim.drain()
        assert sim.condition("a") == sim.condition("b") == ("True", "Ready")
        sim.delete("a")
        await sim.ready("asleep")

    simulate(story)


def test_who_gets_nowhere_holds_an_address_by_age_for_half_an_hour_only() -> None:
    """Under Observed, for a name that nobody publishes: then the next one has it, and neither goes back and forth."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        (eip,) = sim.world.eips(1)
        sim.start()
        sim.meg("hopeless", OTHER, [eip], forward={"management": "Observed"})
        await sim.sleep(2.0)
        sim.meg("a", HOST, [eip])
        await sim.reason("a", "AddressConflict")
        began = sim.clock()
        await sim.ready("a")
        assert 1000.0 < sim.clock() - began < 3600.0
        await sim.drain()
        assert sim.condition("hopeless")[1] == "AddressConflict"
        before = sim.api.requests["PUT status"]
        await sim.sleep(6 * 3600.0)
        assert sim.api.requests["PUT status"] == before, "nothing goes back and forth"
        await sim.restart()
        await sim.sleep(3600.0)
        assert sim.condition("a") == ("True", "Ready")

    simulate(story)


def test_an_object_whose_listed_zone_is_not_found_is_not_reconciled_without_a_pause() -> None:
    """Route 53 lists the zone and answers NoSuchHostedZone for its records."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.world.control.add_fault(
            effect="error",
            service="route53",
            operation="ListResourceRecordSets",
            code="NoSuchHostedZone",
            status=404,
        )
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.reason("a", "ZoneNotFound")
        await sim.sleep(600.0)

    simulate(story)
