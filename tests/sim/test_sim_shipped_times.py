"""Promises that name a time, at the intervals as shipped: no setting is changed, so that their proportions hold.

The stories on a real API server run with intervals that are shortened one by one. A check that is done ten times as
often there, compared with the others, can hide that it is far too rare as shipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.simulation.harness import Process, Sim, simulate
from tests.support.simulation.scenarios import HOST

BLOCKED = 60.0
"""--blocked-seconds."""
RESYNC = 600.0 * 1.1
"""--resync-seconds, moved by up to a tenth."""
EC2_LIST = 720.0 + 61.0
"""--ec2-sweep-seconds, and the age at which a reading is as good as a new one."""
SLACK = 15.0
"""Seconds for the calls and passes themselves."""
FOREIGN: dict[str, tuple[str, str, list[str]]] = {
    "a record": (HOST, "A", ["192.0.2.7"]),
    "an alias": (HOST, "CNAME", ["elsewhere.example.net."]),
    "a foreign TXT": (f"_mailegress.{HOST}", "TXT", ['"not ours"']),
}


def calls(sim: Sim) -> Counter[str]:
    """Requests to AWS by operation, from now on."""
    found: Counter[str] = Counter()
    told = sim.world.calls.sent

    def sent(call: Any) -> None:
        found[call.operation] += 1
        told(call)

    sim.world.calls.sent = sent
    return found


def claimed(sim: Sim) -> Callable[[], object]:
    return lambda: sim.world.mark(sim.world.zone_of(HOST), HOST).startswith('"meg1')


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(("after", "within"), [(30.0, BLOCKED), (4 * 3600.0, RESYNC)])
def test_a_record_in_the_way_is_looked_at_every_minute_at_first_and_at_each_resync_later(
    kind: str, after: float, within: float
) -> None:
    name, rtype, values = FOREIGN[kind]

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.put_record(name, values, rtype)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.reason("a", "RecordConflict")
        asked = calls(sim)
        await sim.sleep(after)
        # 60, 120, 240, 480 s, then one at each resync; and the lists that are read anyway.
        assert asked["ListResourceRecordSets"] <= 6 + after / 500
        sim.world.drop_record(name, rtype)
        await sim.until(claimed(sim), "the claim", within + SLACK)
        await sim.ready("a")

    simulate(story)


def test_an_edit_has_a_record_in_the_way_read_again_however_young_the_reading_is() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.put_record(HOST, ["192.0.2.7"])
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.reason("a", "RecordConflict")
        await sim.sleep(5)
        sim.world.drop_record(HOST)
        sim.edit("a", forward={"ttlSeconds": 60})
        await sim.until(claimed(sim), "the claim", SLACK)
        await sim.ready("a")

    simulate(story)


def test_a_new_object_is_not_told_of_a_conflict_that_is_gone() -> None:
    """Another object's reading of the zone is a few seconds old and shows a record that was deleted since."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        first, second = sim.world.eips(2)
        sim.world.put_record(HOST, ["192.0.2.7"])
        sim.start()
        sim.meg("old", HOST, [first])
        await sim.reason("old", "RecordConflict")
        sim.delete("old")
        await sim.gone("old")
        sim.world.drop_record(HOST)
        reasons: set[str] = set()

        def heard(after: Any) -> None:
            reasons.update(c["reason"] for c in after["status"]["conditions"])

        sim.on_status(heard)
        sim.meg("new", HOST, [second])
        await sim.ready("new")
        assert "RecordConflict" not in reasons

    simulate(story)


def test_two_hundred_records_in_the_way_cost_few_calls_a_minute() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(200)
        names = [f"h{i}.example.com" for i in range(200)]
        for name in names:
            sim.world.put_record(name, ["192.0.2.7"])
        sim.start()
        for i, name in enumerate(names):
            sim.meg(f"m{i}", name, [eips[i]])
        await sim.sleep(120)
        asked = calls(sim)
        await sim.sleep(3600)
        # They share the lists of a zone that takes few calls.
        assert asked["ListResourceRecordSets"] <= 200
        sim.world.drop_record(names[7])
        await sim.until(
            lambda: sim.world.mark(sim.world.zone_of(names[7]), names[7]), "the claim", RESYNC + 60 + SLACK
        )

    simulate(story)


@pytest.mark.parametrize("after", [30.0, 4 * 3600.0])
def test_a_foreign_ptr_is_looked_at_every_minute_at_first_and_at_each_resync_later(after: float) -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.force_ptr(eips[0], "mail.example.net")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.reason("a", "PTRConflict")
        asked = calls(sim)
        await sim.sleep(after)
        assert asked["DescribeAddressesAttribute"] <= 6 + after / 300
        sim.world.force_ptr(eips[0], None)
        await sim.until(claimed(sim), "the claim", (BLOCKED if after < BLOCKED else RESYNC) + SLACK)
        await sim.ready("a")

    simulate(story)


DRIFT: dict[str, tuple[Callable[[Sim, Any], None], float]] = {
    "A record deleted": (lambda sim, eip: sim.world.drop_record(HOST), RESYNC),
    "A record edited": (lambda sim, eip: sim.world.put_record(HOST, [eip.public_ip, "192.0.2.9"]), RESYNC),
    "ownership TXT deleted": (lambda sim, eip: sim.world.drop_record(f"_mailegress.{HOST}", "TXT"), RESYNC),
    "PTR removed": (lambda sim, eip: sim.world.force_ptr(eip, None), EC2_LIST),
    "PTR edited": (lambda sim, eip: sim.world.force_ptr(eip, "mail.example.net"), EC2_LIST),
}
PUBLICATION = 60.0
"""Until every authority shows what somebody changed in Route 53."""
SETTLING = 120.0
"""Until AWS has set a PTR."""


@pytest.mark.parametrize("what", DRIFT)
@pytest.mark.parametrize("after", [300.0, 1000.0, 5000.0])
def test_drift_is_repaired_within_one_check(what: str, after: float) -> None:
    act, within = DRIFT[what]

    async def story(sim: Sim) -> None:
        sim.world.zone()
        [eip] = sim.world.eips(1)
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.ready("a")
        await sim.sleep(after)
        zone = sim.world.zone_of(HOST)
        mark = sim.world.mark(zone, HOST)
        act(sim, eip)

        def right() -> bool:
            record = sim.world.record(zone, HOST, "A")
            held = record is not None and record[1] == (eip.public_ip,)
            return held and sim.world.mark(zone, HOST) == mark and sim.world.ptr(eip) == HOST

        assert not right()
        longest = within + (SETTLING if what.startswith("PTR") else PUBLICATION) + SLACK
        await sim.until(right, "repaired", longest, "E7")
        await sim.ready("a")

    simulate(story)


def test_an_object_that_is_ready_costs_aws_no_more_than_the_lists() -> None:
    """Five calls an hour for addresses and PTRs each, one list of records in 75 minutes; DNS costs nothing."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        await sim.sleep(600)
        asked = calls(sim)
        await sim.stay_quiet(9000)
        assert asked["ListResourceRecordSets"] <= 2
        assert asked["DescribeAddresses"] <= 13
        assert asked["DescribeAddressesAttribute"] <= 13
        assert asked.total() <= 40

    simulate(story)


OTHER_ACCOUNT = "444455556666"
HIDDEN_ZONE = ("route53", "ListHostedZones")
HIDDEN_REGION = ("ec2", "DescribeAddresses")


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize(("service", "operation"), [HIDDEN_ZONE, HIDDEN_REGION])
@pytest.mark.parametrize("deleted", [False, True])
def test_what_is_out_of_sight_costs_few_lists_however_many_objects_wait_for_it(
    service: str, operation: str, number: int, deleted: bool
) -> None:
    """The credentials are another account's for hours. Objects that are deleted and objects that live wait."""
    hours = 4.0

    async def story(sim: Sim) -> None:
        sim.world.zone()
        eips = sim.world.eips(number)
        names = [f"m{i}" for i in range(number)]
        sim.start()
        for i, name in enumerate(names):
            sim.meg(name, f"{name}.example.com", [eips[i]])
        for name in names:
            await sim.ready(name)
        sim.world.become(service, OTHER_ACCOUNT)
        await sim.restart()
        if deleted:
            for name in names:
                sim.delete(name)
        await sim.reason(names[0], "DeletionBlocked" if deleted else "AccountMismatch")
        asked = calls(sim)
        await sim.sleep(hours * 3600)
        # After 60, 120, 240 and 480 s, then at each resync; and the periodic list.
        assert asked[operation] <= 6 + hours * 3600 / 540 + hours * 3600 / 720
        sim.world.become(service, None)
        if deleted:
            for name in names:
                await sim.until(
                    lambda name=name: sim.find(name) is None, "gone", RESYNC + EC2_LIST + 300, "E5"
                )
        else:
            for name in names:
                await sim.ready(name)

    simulate(story)


def test_an_object_that_is_right_is_reconciled_once_in_each_periodic_check() -> None:
    """An expected answer wakes nobody. Once an hour the public resolvers are due."""

    async def story(sim: Sim) -> None:
        sim.world.zone()
        process = sim.start()
        sim.meg("a", HOST, sim.world.eips(1))
        await sim.ready("a")
        await sim.sleep(3600.0)
        before = reconciles(process)
        await sim.sleep(10 * 3600.0)
        checks = 36000.0 / (600.0 * 0.9)
        assert reconciles(process) - before <= checks + 12

    simulate(story)


def reconciles(process: Process) -> float:
    assert process.metrics is not None
    found = process.metrics.registry.get_sample_value("mailegress_reconciles_total", {"outcome": "ok"})
    assert found is not None
    return found
