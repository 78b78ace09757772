"""S14 over whole runs: policies that come, change and go while objects are on their way (virtual time)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.simulation.faults import Plan
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.record import recording
from tests.support.simulation.scenarios import HOST, OTHER

ENFORCE = {"policy": "Enforce"}
IN_FLIGHT = 0.5
"""Seconds in which the operator does not know of the revocation yet."""


class Heard:
    """Calls to AWS and questions to name servers, with their times."""

    def __init__(self, sim: Sim) -> None:
        self.calls: list[tuple[float, str]] = []
        self.questions = 0
        self.on_write: Callable[[], None] = lambda: None
        calls = sim.world.calls
        sent, question = calls.sent, calls.question

        def hear_call(call: Any) -> None:
            self.calls.append((sim.clock(), call.operation))
            sent(call)
            if call.operation in WRITES:
                self.on_write()

        def hear_question(*told: Any) -> None:
            self.questions += 1
            question(*told)

        calls.sent = hear_call
        calls.question = hear_question

    def writes(self, since: float = 0.0) -> list[tuple[float, str]]:
        return [(at, operation) for at, operation in self.calls if operation in WRITES and at >= since]


WRITES = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")


def stage(sim: Sim, eips: int = 2) -> list[Any]:
    sim.world.zone()
    sim.api.cluster.put("namespaces", "mail", labels={"team": "mail"})
    return sim.world.eips(eips)


def test_policy_and_object_in_one_sync_converge_whatever_comes_first() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.reason("a", "NoMatchingPolicy")
        assert sim.condition("a", "Stalled") == ("", "")
        sim.api.cluster.policy("mail")
        await sim.until(lambda: sim.condition("a")[0] == "True", "Ready", 300.0)
        found = sim.find("a")
        assert found is not None
        assert found["status"]["policy"] == "mail"

    simulate(story, settings=ENFORCE)


def test_a_hostname_that_is_not_allowed_costs_no_request_and_no_question() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail", hostnames={"suffixes": ["elsewhere.example.com"]})
        sim.start()
        heard = Heard(sim)
        sim.meg("a", HOST, eips)
        sim.meg("b", "mta.example.net", eips, forward={"management": "Observed"})
        await sim.reason("a", "HostnameNotAllowed")
        await sim.until(lambda: sim.condition("a", "Stalled")[0] == "True", "Stalled", 2400.0)
        assert [call for call in heard.calls if call[1] in (*WRITES, "ListResourceRecordSets")] == []
        assert heard.questions == 0

    simulate(story, settings=ENFORCE)


async def _rename(sim: Sim, eips: list[Any]) -> None:
    sim.meg("a", HOST, eips[:1])
    await sim.sleep(300)
    sim.edit("a", hostname=OTHER, eips=eips)
    await sim.sleep(900)


async def _delete(sim: Sim, eips: list[Any]) -> None:
    sim.meg("a", HOST, eips)
    await sim.sleep(300)
    sim.delete("a")
    await sim.sleep(600)


def calm(act: Callable[[Sim, list[Any]], Awaitable[None]]) -> int:
    """How many writes to AWS a story makes."""
    counted: list[int] = []

    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail")
        heard = Heard(sim)
        sim.start()
        await act(sim, eips)
        counted.append(len(heard.writes()))

    simulate(story, settings=ENFORCE)
    return counted[0]


@pytest.mark.parametrize("change", ["deleted", "other-names", "other-addresses", "relabelled"])
@pytest.mark.parametrize("act", [_rename, _delete])
def test_a_right_that_is_revoked_at_any_write_leaves_only_removals(
    act: Callable[[Sim, list[Any]], Awaitable[None]], change: str
) -> None:
    """After each write in turn the right is revoked: from then on nothing is created, set or repaired, a deletion ends,
    and AWS is as it was before.
    """
    for number in range(calm(act)):

        async def story(sim: Sim, number: int = number) -> None:
            eips = stage(sim)
            before = sim.world.dump()
            sim.api.cluster.policy("mail", namespaces={"matchLabels": {"team": "mail"}})
            heard = Heard(sim)
            revoked: list[float] = []

            def revoke() -> None:
                if len(heard.writes()) == number + 1 and not revoked:
                    revoked.append(sim.clock())
                    _revoke(sim, change)

            heard.on_write = revoke
            sim.start()
            await act(sim, eips)
            assert revoked, "the writes of the story vary"
            late = heard.writes(revoked[0] + IN_FLIGHT)
            if act is _rename:
                assert late == [], f"after write {number}"
            elif sim.find("a") is not None:
                sim.delete("a")
            if sim.find("a") is not None:
                sim.delete("a")
            await sim.gone("a")
            assert not [w for w in heard.writes(revoked[0] + IN_FLIGHT) if w[1] == "ModifyAddressAttribute"]
            assert sim.world.dump() == before, f"after write {number}"

        simulate(story, settings=ENFORCE)


@pytest.mark.parametrize("held", ["ChangeResourceRecordSets", "ModifyAddressAttribute"])
def test_a_write_that_aws_throttles_is_not_sent_after_the_right_is_revoked(held: str) -> None:
    """It was handed over while it was allowed, and AWS refuses it for its rate until the policy is gone."""

    async def story(sim: Sim) -> None:
        eips = stage(sim, 1)
        before = sim.world.dump()
        sim.api.cluster.policy("mail")
        sim.world.control.add_fault(effect="throttle", operation=held)
        heard = Heard(sim)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.until(lambda: held in [operation for _, operation in heard.writes()], "the write", 300.0)
        sim.api.cluster.delete("mailegresspolicies", "mail")
        await sim.sleep(IN_FLIGHT)
        sim.world.control.clear_faults()
        revoked = sim.clock()
        await sim.reason("a", "NoMatchingPolicy")
        await sim.sleep(900)
        assert heard.writes(revoked) == []
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.dump() == before

    simulate(story, settings=ENFORCE)


def _revoke(sim: Sim, change: str) -> None:
    cluster = sim.api.cluster
    match change:
        case "deleted":
            cluster.delete("mailegresspolicies", "mail")
        case "other-names":
            cluster.policy("mail", hostnames={"suffixes": ["elsewhere.example.com"]})
        case "other-addresses":
            cluster.policy("mail", addresses={"allocationIDs": ["eipalloc-0000beef"]})
        case "relabelled":
            cluster.put("namespaces", "mail", labels={"team": "web"})


def test_a_lost_address_leaves_the_record_of_a_revoked_object() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        sim.api.cluster.delete("mailegresspolicies", "mail")
        await sim.reason("a", "NoMatchingPolicy")
        await sim.restart()
        sim.world.lose(eips[0])
        zone = sim.world.zone_of(HOST)
        left = (300, (eips[1].public_ip,))
        await sim.until(lambda: sim.world.record(zone, HOST, "A") == left, "the lost address is out", 3600.0)

    simulate(story, settings=ENFORCE)


def test_without_the_policies_in_sight_nothing_is_written_and_nothing_falls() -> None:
    """The watch is refused for good: what was known allows for five minutes more, then nothing is written."""

    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail")
        sim.start()
        sim.meg("a", HOST, eips[:1])
        await sim.ready("a")
        sim.api.cluster.refused.add("mailegresspolicies")
        sim.api.cluster.break_watches()
        await sim.sleep(600)
        heard = Heard(sim)
        sim.meg("b", OTHER, eips[1:])
        await sim.sleep(1500)
        assert sim.condition("a")[0] == "True"
        assert heard.writes() == []
        assert sim.condition("b", "Accepted")[0] == "Unknown"
        sim.api.cluster.refused.clear()
        await sim.ready("a", "b")

    simulate(story, settings=ENFORCE)


def test_policies_that_went_while_the_watch_was_broken_are_missed_by_nobody() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        sim.api.deaf = True
        sim.api.cluster.delete("mailegresspolicies", "mail")
        sim.api.deaf = False
        sim.api.expire()
        sim.api.cluster.break_watches()
        await sim.reason("a", "NoMatchingPolicy")

    simulate(story, settings=ENFORCE)


def test_a_restart_with_the_status_of_a_better_time_changes_nothing() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.policy("mail")
        process = sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        await sim.retire(process)
        sim.api.cluster.delete("mailegresspolicies", "mail")
        sim.world.force_ptr(eips[0], None)
        heard = Heard(sim)
        sim.start()
        await sim.reason("a", "NoMatchingPolicy")
        await sim.sleep(1500)
        assert heard.writes() == []
        found = sim.find("a")
        assert found is not None
        assert "policy" not in found["status"]

    simulate(story, settings=ENFORCE)


def test_enforce_does_not_start_without_the_kind() -> None:
    async def story(sim: Sim) -> None:
        stage(sim)
        sim.api.cluster.missing.add("mailegresspolicies")
        sim.start()
        await sim.until(lambda: sim.exits >= 2, "the process ends and is started again")

    with pytest.raises(Exception, match=r"crds/mailegress.io_mailegresspolicies.yaml"):
        simulate(story, settings=ENFORCE)


def test_audit_changes_nothing_but_what_it_reports() -> None:
    """The same story with Off and with Audit and no right at all: the same writes to AWS at the same times."""
    written: dict[str, list[tuple[float, str]]] = {}
    for mode in ("Off", "Audit"):

        async def story(sim: Sim, mode: str = mode) -> None:
            eips = stage(sim)
            heard = Heard(sim)
            sim.start()
            await sim.sleep(5)
            await _rename(sim, eips)
            written[mode] = heard.writes()
            assert sim.condition("a")[0] == "True"
            if mode == "Audit":
                events = [e for e in sim.api.events if e["reason"] == "NoMatchingPolicy"]
                assert len(events) == 1
                found = sim.find("a")
                assert found is not None
                (accepted,) = [c for c in found["status"]["conditions"] if c["type"] == "Accepted"]
                assert "under --policy=Enforce" in accepted["message"]

        simulate(story, settings={"policy": mode})
    assert [operation for _, operation in written["Off"]] == [operation for _, operation in written["Audit"]]


def test_audit_without_the_kind_serves_and_reports_later() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.api.cluster.refused.add("mailegresspolicies")
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")

    with pytest.raises(Exception, match="reports nothing until the policies can be read"):
        simulate(story, settings={"policy": "Audit"})


@pytest.mark.parametrize(
    "plan",
    [
        None,
        Plan("kube.policy", 0, "before", "crash"),
        Plan("kube.policy", 0, "after", "crash"),
        Plan("kube.policy", 0, "before", "5xx"),
        Plan("kube.policy", 0, "before", "denied"),
        Plan("kube.policy", 0, "after", "timeout"),
    ],
    ids=str,
)
def test_the_status_of_a_policy_counts_and_is_written_seldom(plan: Plan | None) -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        cluster = sim.api.cluster
        cluster.policy("mail", maxMailEgresses=1)
        cluster.policy("web", namespaces={"names": ["web"]})
        sim.start()
        sim.meg("a", HOST, eips[:1])
        await sim.ready("a")
        sim.meg("b", OTHER, eips[1:])
        await sim.reason("b", "NamespaceLimit")
        policies = cluster.kinds["mailegresspolicies"].objects
        await sim.until(
            lambda: policies["mail"].get("status", {}).get("refused") == 1, "the counts to be written", 900.0
        )
        await sim.sleep(120)
        status = policies["mail"]["status"]
        assert {name: status[name] for name in ("mode", "namespaces", "allowed", "refused")} == {
            "mode": "Enforce", "namespaces": 1, "allowed": 1, "refused": 1,
        }  # fmt: skip
        writes = len(cluster.status_writes)
        assert writes <= 4
        await sim.sleep(7200)
        assert len(cluster.status_writes) == writes
        sim.delete("a")
        await sim.until(lambda: sim.condition("b")[0] == "True", "the next comes in", 300.0)
        assert sim.schedule.struck == ([plan] if plan else [])

    with recording(f"policy-status-{plan}".replace(" ", "-")) as kept:
        sim = simulate(story, settings=ENFORCE, plans=[plan] if plan else [])
        kept.run("policy-status", sim.schedule.reached, len(sim.schedule.struck))


def test_off_asks_for_nothing_of_it() -> None:
    async def story(sim: Sim) -> None:
        eips = stage(sim)
        sim.start()
        sim.meg("a", HOST, eips)
        await sim.ready("a")
        assert not [name for name in sim.api.requests if "policies" in name or "namespaces" in name]

    simulate(story)


def test_an_address_that_gets_the_tag_of_a_policy_is_noticed_with_the_next_list() -> None:
    """It was refused and never used: the list of EC2 that is made anyway shows the tag, and no other call is made."""

    async def story(sim: Sim) -> None:
        [eip] = stage(sim, 1)
        sim.api.cluster.policy("mail", addresses={"matchTags": {"team": "mail"}})
        sim.start()
        await sim.sleep(30)
        sim.meg("a", HOST, [eip])
        await sim.reason("a", "AddressNotAllowed")
        await sim.sleep(600)
        heard = Heard(sim)
        sim.world.control.set_tags(eip.allocation_id, {"team": "mail"})
        tagged = sim.clock()
        await sim.ready("a")
        writes = heard.writes()
        lists = [
            at for at, operation in heard.calls if operation == "DescribeAddresses" and at < writes[0][0]
        ]
        assert len(lists) == 1, "the list that is made anyway"
        assert writes[0][0] - lists[0] < 10
        assert writes[0][0] - tagged < 730

    simulate(story, settings={**ENFORCE, "resync_seconds": "7200"})
