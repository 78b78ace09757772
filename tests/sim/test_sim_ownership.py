"""Ownership records that somebody else wrote, and those of objects about which the status says nothing yet."""

from __future__ import annotations

import pytest

from mailegress.model import ownership
from mailegress.model.ownership import Mark
from tests.support.simulation.faults import Plan
from tests.support.simulation.harness import NAMESPACE, Sim, simulate
from tests.support.simulation.scenarios import HOST, OTHER

FOREIGN = "192.0.2.77"


def forge(sim: Sim, name: str, hostname: str) -> None:
    """What somebody writes who may write TXT records in the zone."""
    uid = (sim.find(name) or {})["metadata"]["uid"]
    owner = owner_of(sim)
    sim.world.put_record(f"_mailegress.{hostname}", [ownership.encode(Mark(False, owner, uid))], "TXT")


def owner_of(sim: Sim) -> str:
    """The operator's owner ID, as everybody can read it in the zone."""
    zone = sim.world.zone_of("known.example.com")
    found = sim.world.record(zone, "_mailegress.known.example.com", "TXT")
    mark = ownership.parse(found[1]) if found is not None else None
    assert mark is not None
    return mark.owner


def test_a_forged_ownership_record_changes_nothing() -> None:
    """A foreign A record at the hostname and at another name, each with a forged ownership record beside it."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        known, mine = sim.world.eips(2)
        sim.start()
        sim.meg("known", "known.example.com", [known])
        await sim.ready("known")
        for name in (HOST, OTHER):
            sim.world.put_record(name, [FOREIGN])
        sim.meg("a", HOST, [mine])
        await sim.reason("a", "RecordConflict")
        for name in (HOST, OTHER):
            forge(sim, "a", name)
        await sim.sleep(4000)
        await sim.restart()
        await sim.sleep(4000)
        sim.edit("a", hostname="new.example.com")
        await sim.ready("a")
        await sim.sleep(4000)
        assert sim.world.record(zone, HOST, "A") == sim.world.record(zone, OTHER, "A") == (300, (FOREIGN,))
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.record(zone, HOST, "A") == sim.world.record(zone, OTHER, "A") == (300, (FOREIGN,))

    simulate(story)


def test_a_forged_ownership_record_does_not_take_another_objects_name() -> None:
    """The thief wants the same name and the same address; the holder keeps record and PTR as they are."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        (eip,) = sim.world.eips(1)
        sim.start()
        sim.meg("known", "known.example.com", [eip])
        await sim.ready("known")
        sim.meg("thief", "known.example.com", [eip])
        await sim.reason("thief", "HostnameConflict")
        uid = (sim.find("thief") or {})["metadata"]["uid"]
        forged = ownership.encode(Mark(False, owner_of(sim), uid))
        sim.world.put_record("_mailegress.known.example.com", [forged], "TXT")
        await sim.restart()
        await sim.sleep(4000)
        assert sim.world.record(zone, "known.example.com", "A") == (300, (eip.public_ip,))
        assert sim.condition("thief")[0] != "True"
        sim.edit("thief", eips=sim.world.eips(1))
        await sim.sleep(4000)
        assert sim.world.record(zone, "known.example.com", "A") == (300, (eip.public_ip,))
        assert sim.world.ptr(eip) == "known.example.com"

    simulate(story)


def test_new_objects_in_a_burst_are_not_stuck_when_the_process_stops_before_their_first_status() -> None:
    """Their records were handed over before the status named them: the next process recognises them all the same."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        eips = sim.world.eips(25)
        first = sim.world.dump()
        sim.start()
        names = [f"m{number}" for number in range(24)]
        for name, eip in zip(names, eips, strict=False):
            sim.meg(name, f"{name}.example.com", [eip])
        await sim.until(lambda: sim.crashes, "the process stopped when the records were written")
        unsaid = [n for n in names if ((sim.find(n) or {})["status"]["observedGeneration"]) == -1]
        written = [n for n in unsaid if sim.world.record(zone, f"{n}.example.com", "A") is not None]
        assert len(written) > 2, "of some objects the record is written and the status says nothing"
        # While no operator runs, one is given a second address and one is deleted.
        sim.edit(written[0], eips=[eips[names.index(written[0])], eips[24]])
        sim.delete(written[1])
        await sim.gone(written[1])
        names.remove(written[1])
        await sim.ready(*names)
        for name in names:
            sim.delete(name)
        await sim.gone(*names)
        assert sim.world.dump() == first

    simulate(story, plans=[Plan("route53.change", 0, "after", "crash")])


def test_a_status_that_was_removed_is_written_again_and_the_object_goes_on() -> None:
    """A restored backup without statuses, then an edit of the addresses and the deletion."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        old, new = sim.world.eips(2)
        first = sim.world.dump()
        sim.start()
        sim.meg("a", HOST, [old])
        await sim.ready("a")
        sim.api.meddle(NAMESPACE, "a", lambda body: body.pop("status"))
        await sim.restart()
        await sim.ready("a")
        sim.edit("a", eips=[new])
        await sim.until(
            lambda: sim.world.record(zone, HOST, "A") == (300, (new.public_ip,)), "the new address only"
        )
        await sim.ready("a")
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.dump() == first

    simulate(story)


def test_ownership_records_without_an_object_are_counted() -> None:
    """Retained, or left behind by a finalizer that somebody removed. The count costs no request of its own."""

    def orphans(sim: Sim) -> float | None:
        metrics = sim.processes[-1].metrics
        return None if metrics is None else metrics.registry.get_sample_value("mailegress_orphaned_records")

    async def story(sim: Sim) -> None:
        sim.world.zone()
        kept, stripped, alive = sim.world.eips(3)
        sim.start()
        sim.meg("kept", HOST, [kept])
        sim.meg("stripped", OTHER, [stripped])
        sim.meg("alive", "third.example.com", [alive])
        await sim.ready("kept", "stripped", "alive")
        sim.world.put_record(
            "_mailegress.foreign.example.com", ['"meg1 c another Wh9KUmpNSladUwxvfA-aEQ"'], "TXT"
        )
        assert orphans(sim) == 0
        sim.edit("kept", deletionPolicy="Retain")
        sim.delete("kept")
        await sim.gone("kept")
        sim.world.outside("the finalizer is removed by hand", OTHER, stripped.public_ip)
        sim.api.meddle(NAMESPACE, "stripped", lambda body: body["metadata"].pop("finalizers"))
        sim.api.delete(NAMESPACE, "stripped")
        await sim.until(lambda: orphans(sim) == 2, "both are counted", invariant="E5")
        reads = sim.checks.reads
        assert orphans(sim) == 2
        assert sim.checks.reads == reads
        sim.meg("again", HOST, [kept])
        await sim.ready("again")
        await sim.until(lambda: orphans(sim) == 1, "the one that was taken over is not", invariant="E5")

    simulate(story)


@pytest.mark.parametrize("deleted", [True, False])
def test_an_object_whose_status_was_lost_in_a_rename_leaves_nothing_behind(deleted: bool) -> None:
    """In a large zone names are looked up one by one. Neither status nor process knows the former name, and no PTR
    shows it any more: only a list of the whole zone does.
    """

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        record = {"Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"x"'}]}
        others = [f"host{number}.example.com" for number in range(310)]
        changes = [{"Action": "CREATE", "ResourceRecordSet": {**record, "Name": name}} for name in others]
        sim.world.control.put_records(zone.id, changes)
        [eip] = sim.world.eips(1)
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.ready("a")
        sim.edit("a", hostname=OTHER)
        await sim.until(lambda: sim.world.ptr(eip) == OTHER, "the PTR of the new name")
        assert sim.world.record(zone, HOST, "A"), "receivers may still hold the old PTR"
        for process in list(sim.processes):
            process.crash()
        sim.api.meddle(NAMESPACE, "a", lambda body: body.pop("status", None))

        def left() -> list[str]:
            return [n for n in (HOST, OTHER) if sim.world.mark(zone, n) or sim.world.record(zone, n, "A")]

        if deleted:
            sim.delete("a")
            await sim.gone("a")
            assert left() == []
            assert sim.world.ptr(eip) is None
        else:
            await sim.until(lambda: left() == [OTHER], "only the new name to be left", invariant="E2")

    simulate(story)


def test_what_others_add_to_the_status_is_removed() -> None:
    """The column of ``kubectl get`` is derived: the typed status is the same with a forged one."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.start()
        sim.meg("a", "mta.example.com", sim.world.eips(1))
        await sim.ready("a")
        await sim.sleep(1000)
        for forged in ("198.51.100.7", "198.51.100.8"):
            before = (sim.find("a") or {})["status"]["display"]
            sim.api.merge(NAMESPACE, "a", {"status": {"display": {"addresses": forged}}}, "status")
            await sim.until(
                lambda before=before: (sim.find("a") or {})["status"]["display"] == before,  # type: ignore[misc]
                "the display as it was",
                60,
            )

    simulate(story)


@pytest.mark.parametrize("served_before", [False, True])
def test_a_suspended_object_does_not_record_a_ptr_that_it_does_not_set(served_before: bool) -> None:
    """A third party sets it meanwhile, to the same name: the PTR is theirs and stays after the deletion."""

    async def story(sim: Sim) -> None:
        eip, other = sim.world.eips(2)
        zone = sim.world.dns.add_zone("elsewhere.net.")
        zone.put("mta.elsewhere.net.", "A", [eip.public_ip, other.public_ip], 300)
        sim.start()
        sim.meg(
            "a", "mta.elsewhere.net", [other], forward={"management": "Observed"}, suspend=not served_before
        )
        if served_before:
            await sim.ready("a")
            sim.edit("a", suspend=True)
        sim.edit("a", eips=[eip, other])
        await sim.reason("a", "Suspended")
        await sim.sleep(4000)
        sim.world.force_ptr(eip, "mta.elsewhere.net")
        await sim.sleep(4000)
        sim.edit("a", suspend=False)
        await sim.ready("a")
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.ptr(eip) == "mta.elsewhere.net"
        assert sim.world.ptr(other) is None

    simulate(story)
