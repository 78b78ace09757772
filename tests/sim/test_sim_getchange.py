"""GetChange is refused or unanswered: the status says so, and the authorities' agreement stands for INSYNC."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulation.apiwire import Object
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST

FAULTS: dict[str, dict[str, Any]] = {
    "AccessDenied": {"effect": "error", "code": "AccessDenied", "status": 403},
    "AWSUnavailable": {"effect": "error", "code": "ServiceUnavailable", "status": 503},
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_getchange_without_an_answer_is_reported_and_the_authorities_decide(reason: str) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.control.add_fault(service="route53", operation="GetChange", **FAULTS[reason])
        # Publication takes long enough for somebody to read the status meanwhile.
        sim.world.control.settings(insync=120.0)
        seen: list[tuple[str, str]] = []

        def heard(new: Object) -> None:
            for c in new["status"]["conditions"]:
                if c["type"] == "ForwardReady":
                    seen.append((c["reason"], c["message"]))

        sim.on_status(heard)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.until(lambda: sim.condition("a")[0] == "True", "Ready", 420.0)
        messages = [message for why, message in seen if why == reason]
        assert messages, seen
        assert all("GetChange" in message for message in messages)
        assert len(set(messages)) == 1, "no try is told as news"
        await sim.drain()
        asked: list[float] = []
        sent = sim.world.calls.sent

        def count(call: Any) -> None:
            if call.operation == "GetChange":
                asked.append(sim.clock())
            sent(call)

        sim.world.calls.sent = count
        await sim.stay_quiet(7200)
        assert len(asked) <= 4, "what DNS shows to be right costs no call a minute"

    simulate(story)
