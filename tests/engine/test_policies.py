"""Policies that change wake the objects that they concern, a few at a time, and cost few writes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from mailegress.api.policy import PolicyMode
from mailegress.api.types import parse_object
from mailegress.engine.controller import Controller
from mailegress.engine.policies import Policies, PolicyStatus
from mailegress.engine.workers import WorkerSettings
from mailegress.reconcile.policy_index import PolicyIndex
from mailegress.reconcile.ports import KubeGone
from mailegress.telemetry.policy_counts import PolicyCounts
from tests.support.planner import body, policy


def meg(number: int, namespace: str, **more: Any) -> dict[str, Any]:
    made = body(
        f"mta{number}.example.com",
        [{"allocationID": f"eipalloc-{number:08x}"}],
        uid=f"uid-{number:05}",
        **more,
    )
    made["metadata"] |= {"namespace": namespace, "name": f"meg{number}", "resourceVersion": str(number + 1)}
    return made


class Desk:
    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.controller = Controller(clock, WorkerSettings(), PolicyMode.ENFORCE)
        self.policies = Policies(self.controller, clock)
        self.woken: list[str] = []
        self.controller.queue.add = lambda key, *_: self.woken.append(key)  # type: ignore[method-assign]
        self.turns = 0

    async def judged(self) -> list[str]:
        """Those that are woken until nothing is left to be judged."""
        self.woken.clear()
        task = asyncio.create_task(self.policies.run())
        self.turns = 0
        while self.policies._todo:
            await asyncio.sleep(0)
            self.turns += 1
        task.cancel()
        return sorted(self.woken)


def test_an_edit_wakes_those_whose_grant_it_changes_and_no_other() -> None:
    async def story() -> None:
        desk = Desk()
        for number, namespace in enumerate(("a", "b", "c")):
            desk.controller.on_event("ADDED", meg(number, namespace))
        sink = desk.policies.policy_sink
        sink.put(policy("p", namespaces={"names": ["a", "b"]}))
        assert await desk.judged() == ["a/meg0", "b/meg1"]
        assert desk.controller.claims.wants_hostname("uid-00000", "mta0.example.com")
        sink.put(policy("p", namespaces={"names": ["a"]}))
        assert await desk.judged() == ["b/meg1"]
        assert not desk.controller.claims.wants_hostname("uid-00001", "mta1.example.com")
        sink.put(policy("p", namespaces={"names": ["a"]}, hostnames={"suffixes": ["*", "more.example.com"]}))
        assert await desk.judged() == []
        sink.delete("p")
        assert await desk.judged() == ["a/meg0"]

    asyncio.run(story())


def test_many_objects_are_judged_a_few_in_each_turn_of_the_loop() -> None:
    async def story() -> None:
        desk = Desk()
        for number in range(500):
            desk.controller.on_event("ADDED", meg(number, "a"))
        desk.policies.policy_sink.put(policy("p", namespaces={"names": ["a"]}, maxMailEgresses=1000))
        assert len(await desk.judged()) == 500
        assert desk.turns >= 10

    asyncio.run(story())


def test_the_next_in_line_for_a_hostname_is_woken_when_the_first_loses_its_right() -> None:
    async def story() -> None:
        desk = Desk()
        both = {"hostname": "mta.example.com"}
        desk.policies.policy_sink.put(policy("a", namespaces={"names": ["a"]}))
        desk.policies.policy_sink.put(policy("b", namespaces={"names": ["b"]}))
        for number, namespace in enumerate(("a", "b")):
            made = meg(number, namespace)
            made["spec"] |= both
            desk.controller.on_event("ADDED", made)
        desk.policies.policy_sink.delete("a")
        assert await desk.judged() == ["a/meg0", "b/meg1"]

    asyncio.run(story())


def test_who_comes_within_the_limit_is_woken_when_another_goes() -> None:
    async def story() -> None:
        desk = Desk()
        desk.policies.policy_sink.put(policy("p", namespaces={"names": ["a"]}, maxMailEgresses=1))
        for number in range(2):
            desk.controller.on_event("ADDED", meg(number, "a"))
        desk.woken.clear()
        desk.controller.on_event("DELETED", meg(0, "a"))
        assert "a/meg1" in desk.woken
        assert desk.controller.policies.entitled("uid-00001")

    asyncio.run(story())


def test_labels_that_are_no_text_are_left_out() -> None:
    async def story() -> None:
        desk = Desk()
        desk.policies.namespace_sink.put({"metadata": {"name": "a", "labels": {"team": 7, "x": "y"}}})
        assert desk.policies.namespace_sink.known() == {"a"}
        assert desk.controller.policies._labels == {"a": {"x": "y"}}

    asyncio.run(story())


def test_a_storm_of_edits_judges_each_object_once_in_a_round_and_few_in_each_turn() -> None:
    """Objects that wait to be judged do not wait twice, however often the policy is edited meanwhile."""

    async def story() -> None:
        desk = Desk()
        for number in range(1000):
            desk.controller.on_event("ADDED", meg(number, "a"))
        judged: list[str] = []
        rejudge = desk.controller.policies.rejudge

        def counted(uid: str) -> bool:
            judged.append(uid)
            return rejudge(uid)

        desk.controller.policies.rejudge = counted  # type: ignore[method-assign]
        in_turn: list[int] = []
        task = asyncio.create_task(desk.policies.run())
        for number in range(200):
            edit = {"allowRetain": number % 2 == 0, "maxMailEgresses": 1000}
            desk.policies.policy_sink.put(policy("p", namespaces={"names": ["a"]}, **edit))
            before = len(judged)
            await asyncio.sleep(0)
            in_turn.append(len(judged) - before)
        task.cancel()
        await desk.judged()
        assert max(in_turn) <= 50
        assert len(judged) <= 50 * 200 + 1000
        assert set(judged) == {f"uid-{number:05}" for number in range(1000)}
        assert all(desk.controller.policies.entitled(uid) for uid in set(judged))

    asyncio.run(story())


# ---------------------------------------------------------------- the status of a policy


class Written:
    def __init__(self) -> None:
        self.writes: list[tuple[str, Mapping[str, Any]]] = []
        self.index = PolicyIndex(PolicyMode.AUDIT)
        self.counts = PolicyCounts()
        self.status = PolicyStatus(self.index, self.counts, self._write, lambda: True, sleep=self._sleep)
        self.refused = False
        self.index.put_namespace("mail", {})
        self.index.put_policy(policy("mail"))

    async def _write(self, name: str, status: Mapping[str, Any]) -> None:
        if self.refused:
            raise KubeGone("gone")
        self.writes.append((name, status))

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def round(self) -> list[tuple[str, Mapping[str, Any]]]:
        self.writes.clear()
        asyncio.run(self.status.once())
        return list(self.writes)


def test_a_policy_shows_how_many_objects_it_allows_and_how_many_are_refused() -> None:
    written = Written()
    for number in range(3):
        written.counts.put(str(number), "mail", "", ("mail",))
    written.counts.put("3", "mail", "HostnameNotAllowed", ())
    written.counts.put("4", "web", "NoMatchingPolicy", ())
    ((name, status),) = written.round()
    assert name == "mail"
    assert status == {
        "mode": "Audit",
        "namespaces": 1,
        "allowed": 3,
        "refused": 1,
        "problem": None,
    }
    assert written.round() == []
    written.counts.put("3", "mail", "", ("mail",))
    assert [status["allowed"] for _, status in written.round()] == [4]
    assert written.counts.by_reason() == {"NoMatchingPolicy": 1.0}


def test_a_status_that_is_stored_already_is_not_written_again() -> None:
    written = Written()
    ((_, status),) = written.round()
    stored = {field: value for field, value in status.items() if value is not None}
    again = Written()
    again.index.put_policy(policy("mail") | {"status": stored})
    assert again.round() == []


def test_a_policy_that_cannot_be_used_says_why() -> None:
    written = Written()
    written.index.put_policy(policy("mail", later="x"))
    ((_, status),) = written.round()
    assert str(status["problem"]).startswith("spec.later is ")
    assert written.index.unusable() == 1


def test_a_write_that_fails_is_repeated_in_the_next_round() -> None:
    written = Written()
    written.refused = True
    assert written.round() == []
    written.refused = False
    assert len(written.round()) == 1


@pytest.mark.parametrize("reason", ["", "NoMatchingPolicy"])
def test_counts_forget_objects_that_are_gone(reason: str) -> None:
    counts = PolicyCounts()
    counts.put("1", "mail", reason, ("a", "b"))
    counts.put("1", "mail", reason, ("a",))
    assert (counts.allowed("a"), counts.allowed("b"), len(counts)) == (1, 0, 1)
    counts.drop("1")
    counts.drop("1")
    assert (counts.allowed("a"), counts.refused_in("mail"), len(counts), counts.by_reason()) == (0, 0, 0, {})


def test_one_object_that_is_never_judged_does_not_keep_the_numbers_from_being_written() -> None:
    async def story() -> None:
        written = Written()
        written.index.put("mail/meg", parse_object(meg(1, "mail")))
        rounds = 0

        async def sleep(seconds: float) -> None:
            nonlocal rounds
            rounds += seconds > 1
            if rounds > 12:
                raise asyncio.CancelledError
            await asyncio.sleep(0)

        status = PolicyStatus(written.index, written.counts, written._write, lambda: True, sleep=sleep)
        with pytest.raises(asyncio.CancelledError):
            await status.run()
        assert len(written.writes) == 1

    asyncio.run(story())


def test_many_namespaces_are_counted_a_few_in_each_turn_of_the_loop() -> None:
    async def story() -> None:
        written = Written()
        for number in range(200):
            written.index.put_namespace(f"n{number}", {})
        written.index.put_policy(policy("all", namespaces={"names": ["*"]}))
        turns = 0
        counting = asyncio.create_task(written.status.once())
        while not counting.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 20
        assert dict(written.writes)["all"]["namespaces"] == 201

    asyncio.run(story())
