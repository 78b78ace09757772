"""What a status says while something takes its time: one text for each step, and how to give up."""

from __future__ import annotations

from tests.support.simulation.apiwire import Object
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.scenarios import HOST


def told(sim: Sim) -> list[str]:
    """Ready's message in every status that is written from now on."""
    texts: list[str] = []

    def heard(new: Object) -> None:
        texts.extend(c["message"] for c in new["status"]["conditions"] if c["type"] == "Ready")

    sim.on_status(heard)
    return texts


def test_a_deletion_says_each_step_once() -> None:
    """Sixteen PTRs go one after the other; the status tells of the steps, not of each PTR, and never goes back."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(16)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        await sim.drain()
        texts = told(sim)
        sim.delete("a")
        await sim.gone("a")
        steps = list(dict.fromkeys(texts))
        assert [t for n, t in enumerate(texts) if n == 0 or texts[n - 1] != t] == steps, texts
        assert len(steps) <= 3, steps
        assert any("Waiting until AWS shows no PTR" in t for t in steps)
        # (AWS needs two minutes for all: what goes on is written down now and then, not for each PTR.)
        assert len(texts) <= 6, texts

    simulate(story)


def test_sixty_four_addresses_cost_few_statuses() -> None:
    """All PTRs that are about to be set are recorded in one status, before the first of them is written (S2)."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        for eip in sim.world.eips(64):
            sim.world.control.set_tags(eip.allocation_id, {"use": "mail"})
        statuses: list[Object] = []
        sim.on_status(statuses.append)
        sim.start()
        sim.meg("a", HOST, [{"tags": {"use": "mail"}}])
        await sim.ready("a")
        assert len(statuses) <= 16, [_said(s) for s in statuses]

    simulate(story)


def test_a_ptr_that_stays_pending_says_since_when_and_how_to_give_up() -> None:
    """AWS never finishes: the time is told and does not move; a deletion waits without a reset, and Retain ends it."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.control.settings(ptr_min=1e9, ptr_max=1e9)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.reason("a", "PTRPending")
        await sim.until(lambda: "PENDING since at least 20" in _message(sim), "the time to be told")
        await sim.sleep(3600)
        before = _message(sim)
        await sim.stay_quiet(1800)
        assert _message(sim) == before
        sim.delete("a")
        await sim.until(lambda: "deletionPolicy to Retain" in _message(sim), "the way out to be told")
        assert "PENDING since at least 20" in _message(sim)
        assert not [what for what in sim.checks.applied if what[0] == "reset"], (
            "what is under way is not touched"
        )
        # (After half an hour it is stalled; then nothing is written any more.)
        await sim.sleep(1900)
        await sim.stay_quiet(1800)
        sim.edit("a", deletionPolicy="Retain")
        await sim.gone("a")

    simulate(story)


def test_a_change_to_observed_waits_for_no_change_in_route_53() -> None:
    """Only the ownership record is removed, and every PTR is set already."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.ready("a")
        await sim.drain()
        texts = told(sim)
        sim.edit("a", forward={"management": "Observed"})
        await sim.ready("a")
        assert not [text for text in texts if "Route 53" in text], texts

    simulate(story)


def _message(sim: Sim) -> str:
    found = sim.find("a")
    assert found is not None
    return next((c["message"] for c in found["status"]["conditions"] if c["type"] == "Ready"), "")


def _said(stored: Object) -> list[str]:
    return [c["message"] for c in stored["status"]["conditions"] if c["type"] == "Ready"]
