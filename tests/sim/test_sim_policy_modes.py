"""The mode of policies and edits of them over whole runs: what an upgrade and a storm of edits change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailegress.api.policy import PolicyMode
from tests.support.simulation.harness import NAMESPACE, Sim, simulate
from tests.support.simulation.scenarios import HOST
from tests.support.simulation.storms import EVERY, Meter

WRITES = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")


def record_writes(sim: Sim) -> list[str]:
    """Writes to AWS, filled while the story runs."""
    found: list[str] = []
    told = sim.world.calls.sent

    def sent(call: Any) -> None:
        if call.operation in WRITES:
            found.append(call.operation)
        told(call)

    sim.world.calls.sent = sent
    return found


def versions(sim: Sim) -> dict[str, str]:
    return {name: body["metadata"]["resourceVersion"] for (_, name), body in sim.api.objects.items()}


def set_mode(sim: Sim, mode: str) -> None:
    sim.settings = replace(sim.settings, policy=PolicyMode(mode))


def test_an_upgrade_changes_nothing_until_the_mode_is_set() -> None:
    """The objects are as a version without policies left them, and the cluster has policies that would refuse them."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(2)
        process = sim.start()
        for number, eip in enumerate(eips):
            sim.meg(f"m{number}", f"m{number}.example.com", [eip])
        await sim.ready("m0", "m1")
        await sim.retire(process)
        sim.api.cluster.policy("others", namespaces={"names": ["others"]})
        writes, stored = record_writes(sim), versions(sim)
        process = sim.start()
        await sim.sleep(3600)
        assert writes == []
        assert versions(sim) == stored
        assert not [name for name in sim.api.requests if "policies" in name or "namespaces" in name]
        await sim.retire(process)
        set_mode(sim, "Enforce")
        sim.start()
        await sim.reason("m0", "NoMatchingPolicy")
        assert writes == [], "and then it is refused, and kept"

    simulate(story)


def test_a_storm_of_edits_of_a_policy_costs_no_call() -> None:
    """Every two seconds for ten minutes the policy changes what it grants to every object, and allows each still."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.api.cluster.put("namespaces", NAMESPACE, labels={})
        sim.api.cluster.policy("mail", namespaces={"names": [NAMESPACE]})
        sim.start()
        names = [f"m{number}" for number in range(20)]
        for name, eip in zip(names, sim.world.eips(20), strict=True):
            sim.meg(name, f"{name}.{HOST}", [eip])
        await sim.ready(*names)
        await sim.drain()
        meter = Meter(sim)
        # In eighty minutes every list is read, that of the zones too.
        quiet = max([await meter.window(sim) for _ in range(8)])
        stored = versions(sim)

        def edit(number: int) -> None:
            sim.api.cluster.policy("mail", namespaces={"names": [NAMESPACE]}, allowRetain=number % 2 == 0)

        assert await meter.window(sim, edit) <= quiet
        await sim.sleep(EVERY)
        assert versions(sim) == stored

    simulate(story, settings={"policy": "Enforce"})
