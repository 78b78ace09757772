"""Leader election in virtual time, over a Lease store that can be slow or away."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailegress.kube.lease import LeaderGuard, LeaseElector, LeaseLost, LeaseSettings, NotLeading
from mailegress.reconcile.ports import KubeConflict, KubeError, KubeGone
from mailegress.reconcile.write_guard import OpenGuard

Run = Callable[[Coroutine[Any, Any, Any]], Any]

SETTINGS = LeaseSettings(namespace="mailegress-system")


def _now() -> float:
    return asyncio.get_running_loop().time()


class Leases:
    """One Lease with optimistic locking."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.rv = 0
        self.away: set[str] = set()
        self.hung: set[str] = set()
        self.slow: dict[str, float] = {}
        self.slowed = asyncio.Event()
        self.holders: list[tuple[float, str]] = []

    async def call(self, who: str, method: str, path: str, body: Any) -> dict[str, Any]:
        if who in self.hung:
            await asyncio.Event().wait()
        if who in self.away:
            raise KubeError("no connection")
        if method == "GET":
            if self.lease is None:
                raise KubeGone("no such lease")
            return copy.deepcopy(self.lease)
        if method == "POST" and self.lease is not None:
            raise KubeConflict("already exists")
        if method == "PUT":
            assert self.lease is not None
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise KubeConflict("modified")
        self.rv += 1
        slow = self.slow.pop(who, 0)
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.rv)
        holder = body["spec"]["holderIdentity"]
        if not self.holders or self.holders[-1][1] != holder:
            self.holders.append((_now(), holder))
        reply = copy.deepcopy(self.lease)
        if slow:
            self.slowed.set()
            await asyncio.sleep(slow)
        return reply

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


class Candidate:
    """One process that would lead, with a wall clock of its own."""

    def __init__(self, leases: Leases, name: str, *, wall_offset: float = 0.0, seed: int = 1) -> None:
        self._leases, self.name = leases, name
        self.stop = asyncio.Event()
        self.log: list[tuple[float, str]] = []
        base = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=wall_offset)
        self.guard = LeaderGuard(OpenGuard(), _now)
        self.elector = LeaseElector(
            self,
            SETTINGS,
            name,
            self.guard,
            clock=_now,
            rng=random.Random(seed),
            wall=lambda: base + timedelta(seconds=_now()),
        )
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.elector.run(lambda: self._note("started"), self.finish, self.stop)
        finally:
            if self.log:
                self._note("stopped")

    async def finish(self) -> None:
        """What this process does before it lets go."""

    async def write(self, seconds: float = 0.0) -> None:
        async with self.guard.point("kube.status"):
            await asyncio.sleep(seconds)

    async def request(self, method: str, path: str, body: object | None = None) -> dict[str, Any]:
        return await self._leases.call(self.name, method, path, body)

    def _note(self, what: str) -> None:
        self.log.append((_now(), what))

    async def leave(self) -> None:
        self.stop.set()
        await self.task


def test_a_lone_candidate_leads_at_once_and_keeps_leading(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one = Candidate(leases, "one")
        await asyncio.sleep(600)
        assert one.log == [(0, "started")]
        assert leases.spec["leaseDurationSeconds"] == 15
        assert leases.spec["acquireTime"] < leases.spec["renewTime"]
        assert leases.spec["leaseTransitions"] == 0
        await one.leave()
        assert one.log[1] == (600, "stopped")

    virtually(story())


def test_of_two_candidates_one_leads(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(300)
        assert [name for _, name in leases.holders] == ["one"]
        assert [what for _, what in one.log] == ["started"]
        assert two.log == []
        await asyncio.gather(one.leave(), two.leave())

    virtually(story())


def test_a_released_lease_is_taken_over_within_one_retry(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(100)
        await one.leave()
        left = _now()
        await asyncio.sleep(5)
        assert [name for _, name in leases.holders] == ["one", "", "two"]
        assert two.log[0][0] - left <= 2.4
        assert leases.spec["leaseTransitions"] == 1
        await two.leave()

    virtually(story())


@pytest.mark.parametrize("wall_offset", [-3600, 0, 3600])
def test_a_dead_leader_is_followed_after_the_duration_whatever_the_wall_clocks_say(
    virtually: Run, wall_offset: float
) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", wall_offset=wall_offset, seed=2)
        await asyncio.sleep(100)
        renewed = leases.spec["renewTime"]
        one.task.cancel()
        died = _now()
        await asyncio.sleep(14)
        assert leases.spec["renewTime"] == renewed
        assert two.log == []
        await asyncio.sleep(10)
        assert two.log
        assert 12 < two.log[0][0] - died <= 15 + 2 * 2.4
        await two.leave()

    virtually(story())


@pytest.mark.parametrize("trouble", ["away", "hung"])
def test_a_leader_cut_off_stops_before_another_begins(virtually: Run, trouble: str) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(100)
        getattr(leases, trouble).add("one")
        with pytest.raises(LeaseLost):
            await one.task
        stopped = one.log[-1]
        assert stopped[1] == "stopped"
        assert stopped[0] - 100 <= 10
        assert two.log == []
        await asyncio.sleep(20)
        assert two.log[0][0] > stopped[0]
        await two.leave()

    virtually(story())


def test_the_right_to_lead_counts_from_before_a_renewal_whose_reply_is_slow(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one = Candidate(leases, "one")
        await asyncio.sleep(100)
        leases.slow["one"] = 7
        await leases.slowed.wait()
        sent = _now()
        leases.away.add("one")
        with pytest.raises(LeaseLost):
            await one.task
        assert one.log[-1][0] - sent <= 10

    virtually(story())


def test_a_short_disturbance_costs_nothing(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(100)
        leases.away.add("one")
        await asyncio.sleep(5)
        leases.away.clear()
        await asyncio.sleep(100)
        assert [what for _, what in one.log] == ["started"]
        await asyncio.gather(one.leave(), two.leave())

    virtually(story())


def test_a_lease_taken_by_force_is_lost_at_once(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one = Candidate(leases, "one")
        await asyncio.sleep(10)
        assert leases.lease is not None
        leases.rv += 1
        leases.lease["spec"]["holderIdentity"] = "intruder"
        leases.lease["metadata"]["resourceVersion"] = str(leases.rv)
        with pytest.raises(LeaseLost):
            async with asyncio.timeout(5):
                await one.task
        assert one.log[-1][1] == "stopped"
        assert leases.spec["holderIdentity"] == "intruder"

    virtually(story())


def test_a_candidate_that_never_led_releases_nothing(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(30)
        await two.leave()
        assert leases.spec["holderIdentity"] == "one"
        await one.leave()
        assert leases.spec["holderIdentity"] == ""

    virtually(story())


def test_only_the_leader_writes(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        with pytest.raises(NotLeading):
            await one.write()
        await asyncio.sleep(30)
        await one.write()
        with pytest.raises(NotLeading):
            await two.write()
        await one.leave()
        with pytest.raises(NotLeading):
            await one.write()
        await asyncio.sleep(5)
        await two.write()
        await two.leave()

    virtually(story())


def test_a_leader_that_slept_past_its_deadline_writes_nothing_even_before_its_elector_wakes(
    virtually: Run,
) -> None:
    async def story() -> None:
        leases = Leases()
        one = Candidate(leases, "one")
        await asyncio.sleep(30)
        asleep = 0.0
        # The clock goes on while the process is stopped; no task has had its turn yet.
        one.guard = woken = LeaderGuard(OpenGuard(), lambda: _now() + asleep)
        woken.until = one.elector._guard.until
        await one.write()
        asleep = 10.0
        with pytest.raises(NotLeading):
            await one.write()
        await one.leave()

    virtually(story())


def test_the_lease_is_released_after_the_work(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)

        async def finish() -> None:
            await asyncio.sleep(1.5)
            await one.write()
            assert leases.spec["holderIdentity"] == "one"

        one.finish = finish  # type: ignore[method-assign]
        await asyncio.sleep(100)
        await one.leave()
        assert _now() == pytest.approx(101.5, abs=0.01)
        assert leases.spec["holderIdentity"] == ""
        await two.leave()

    virtually(story())


def test_with_a_write_under_way_the_lease_is_kept_until_it_runs_out(virtually: Run) -> None:
    async def story() -> None:
        leases = Leases()
        one, two = Candidate(leases, "one"), Candidate(leases, "two", seed=2)
        await asyncio.sleep(100)
        write = asyncio.create_task(one.write(10.0))
        await asyncio.sleep(0)
        await one.leave()
        assert leases.spec["holderIdentity"] == "one"
        await write
        assert two.log == []
        await asyncio.sleep(15)
        assert [what for _, what in two.log] == ["started"]
        await two.leave()

    virtually(story())


@pytest.mark.parametrize(
    "times",
    [
        {"duration": 10, "renew_deadline": 10},
        {"renew_deadline": 2, "retry": 2},
        {"retry": 0},
    ],
)
def test_times_that_allow_two_leaders_are_refused(times: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="lease times"):
        dataclasses.replace(SETTINGS, **times)
