"""The layer as a whole: zones, throttling all over, choke points, crashes and the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailegress.aws.api import AwsError
from mailegress.aws.settings import AwsSettings
from mailegress.aws.wiring import build_aws
from mailegress.model.aws import Zone
from mailegress.model.facts import WritePhase
from mailegress.reconcile.write_guard import OpenGuard
from mailegress.telemetry.metrics import Metrics
from tests.support.aws_world import REGION, FakeAws, World, a, build, claim, error, now, play


def test_the_zone_list_is_read_once_for_all_and_again_only_on_request() -> None:
    async def story() -> None:
        world = build(FakeAws(zones=[Zone("Z2", "example.org"), Zone("Z1", "example.com")]))
        for i in range(100):
            world.aws.zones.request(f"mail/{i}", now())
        await world.until(lambda: all(world.times(f"mail/{i}") == 1 for i in range(100)))
        assert world.fake.count("ListHostedZones") == 1
        assert [zone.id for zone in world.aws.zones.get().value or ()] == ["Z1", "Z2"]
        await world.quiet(100)
        world.aws.zones.request("mail/x", now() - 200)
        assert world.times("mail/x") == 1, "the reading is young enough, so there is nothing to wait for"
        world.aws.zones.request("mail/y", now())
        await world.until(lambda: world.times("mail/y") == 1)
        assert world.fake.count("ListHostedZones") == 2

    play(story())


def test_delegation_sets_are_cached_and_go_with_their_zone() -> None:
    async def story() -> None:
        world = build()
        world.aws.zones.request("mail/x", now())
        await world.until(lambda: world.aws.zones.get().value is not None)
        for i in range(10):
            world.aws.zones.request_name_servers(f"mail/{i}", "Z1", now())
        await world.until(lambda: world.times("mail/9") == 1)
        assert world.fake.count("GetHostedZone") == 1
        assert world.aws.zones.name_servers("Z1").value == frozenset(world.fake.model.zone("Z1").name_servers)
        world.fake.model.account().route53.zones.clear()
        world.aws.zones.request("mail/x", now())
        await world.until(lambda: world.aws.zones.get().value == ())
        assert world.aws.zones.name_servers("Z1").value is None

    play(story())


def test_a_look_at_a_zone_tells_gone_from_denied_and_in_which_account() -> None:
    async def story() -> None:
        world = build()
        answers = [None, error("NoSuchHostedZone", status=404), error("AccessDenied", status=403)]
        world.fake.faults["GetHostedZone"].append(lambda zone: answers[0])
        found = []
        for _ in range(3):
            world.aws.zones.request_look("mail/x", "Z1", began := now())
            await world.until(lambda began=began: world.aws.zones.look("Z1").fresh(began))  # type: ignore[misc]
            look = world.aws.zones.look("Z1").value
            assert look is not None
            found.append((look.there, look.denied.reason if look.denied else ""))
            assert look.account_id, "the account is asked for each time"
            answers.pop(0)
            await world.quiet(1)
        assert found == [(True, ""), (False, ""), (False, "AccessDenied")]
        assert world.fake.count("GetCallerIdentity") == 6, "before and after each look"

    play(story())


def test_a_reading_wanted_for_later_is_not_made_before() -> None:
    async def story() -> None:
        world = build()
        began = now()
        world.aws.zones.request("mail/later", now() + 5)
        await world.until(lambda: world.times("mail/later") == 1)
        assert now() - began >= 5
        assert world.fake.count("ListHostedZones") == 1

    play(story())


async def busy_day(world: World) -> int:
    """300 names and PTRs from nothing to done; the calls it took."""
    ids = list(world.fake.eips)
    hosts = [f"h{i:03}.example.com" for i in range(len(ids))]
    world.aws.records.request_all_swept("mail/start")
    world.aws.addresses.request("mail/start", REGION, now())
    await world.until(lambda: bool(world.aws.records.all_swept().value), within=3600)
    await world.until(lambda: world.aws.addresses.get(REGION).value is not None, within=3600)
    for host in hosts:
        world.aws.writer.submit(f"mail/{host}", "Z1", host, claim(host))
    for allocation_id, host in zip(ids, hosts, strict=True):
        world.aws.ptrs.set_ptr(f"mail/{host}", REGION, allocation_id, host)
    await world.until(lambda: world.aws.writer.due == 0 and world.aws.ptrs.due == 0, within=7200)
    phases = set()
    for allocation_id, host in zip(ids, hosts, strict=True):
        record, ptr = world.aws.writer.state("Z1", host), world.aws.ptrs.state(REGION, allocation_id)
        assert record is not None
        assert ptr is not None
        phases |= {record.phase, ptr.phase}
        assert record.attempts == ptr.attempts == 0, "throttling is nobody's failure"
    assert phases <= {WritePhase.APPLIED, WritePhase.INSYNC}
    return len(world.fake.calls)


def test_three_calls_in_ten_throttled_cost_half_as_many_again_and_fail_nobody() -> None:
    async def story(share: float) -> int:
        fake = FakeAws(
            zones=[Zone("Z1", "example.com")],
            eips={f"eipalloc-{i:08}": f"192.0.{i // 250}.{i % 250}" for i in range(300)},
        )
        fake.put("Z1", *(a(f"other{i:05}.example.com") for i in range(5000)))
        dice = random.Random(3)

        def throttle(_: object) -> AwsError | None:
            return error("Throttling", "Rate exceeded") if dice.random() < share else None

        for operation in (
            "ListResourceRecordSets",
            "ListHostedZones",
            "ChangeResourceRecordSets",
            "DescribeAddresses",
            "DescribeAddressesAttribute",
            "ModifyAddressAttribute",
        ):
            fake.faults[operation].append(throttle)
        world = build(fake)
        return await busy_day(world)

    quiet = play(story(0.0))
    assert play(story(0.3)) <= 1.5 * quiet


class Trap(OpenGuard):
    """Fails a write before or after its effect."""

    def __init__(self, name: str, *, after: bool) -> None:
        self.name, self.after, self.passed = name, after, 0

    @asynccontextmanager
    async def point(self, name: str) -> AsyncIterator[None]:
        if name == self.name and not self.after:
            raise Crash
        yield
        self.passed += 1
        if name == self.name:
            raise Crash


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("name", ["route53.change", "ec2.set_ptr", "ec2.reset_ptr"])
@pytest.mark.parametrize("after", [False, True])
def test_each_write_passes_its_choke_point_and_a_crash_there_surfaces(name: str, after: bool) -> None:
    async def story() -> None:
        fake = FakeAws(zones=[Zone("Z1", "example.com")], eips={"eipalloc-00000001": "192.0.2.1"})
        if name == "ec2.reset_ptr":
            fake.control.force_ptr("192.0.2.1", "mta.example.com")
        loop = asyncio.get_running_loop()
        aws = build_aws(
            fake,
            AwsSettings(regions=(REGION,)),
            lambda key: None,
            Metrics(),
            Trap(name, after=after),
            loop.time,
            random.Random(1),
        )
        if name == "route53.change":
            aws.writer.submit("mail/x", "Z1", "mta.example.com", claim("mta.example.com"))
        elif name == "ec2.set_ptr":
            aws.ptrs.set_ptr("mail/x", REGION, "eipalloc-00000001", "mta.example.com")
        else:
            aws.ptrs.reset_ptr("mail/x", REGION, "eipalloc-00000001")
        with pytest.raises(Crash):
            await aws.run()
        happened = fake.record("Z1", "mta.example.com", "A") is not None or fake.pending("eipalloc-00000001")
        assert happened is after
        await aws.close()

    play(story())


def test_after_the_end_nothing_is_started_any_more() -> None:
    async def story() -> None:
        world = build()
        world.aws.writer.submit("mail/x", "Z1", "mta.example.com", claim("mta.example.com"))
        world.aws.zones.request("mail/x", now())
        await asyncio.sleep(0.01)
        await world.aws.close()
        calls = len(world.fake.calls)
        world.aws.addresses.request("mail/x", REGION, now())
        await asyncio.sleep(60)
        assert len(world.fake.calls) == calls

    play(story())


def test_the_gauges_tell_what_is_due() -> None:
    async def story() -> None:
        world = build()
        for i in range(10):
            world.aws.writer.submit("mail/x", "Z1", f"h{i}.example.com", claim(f"h{i}.example.com"))
        assert world.aws.gauges()["route53_writes_due"] == 10
        await world.until(lambda: world.aws.writer.due == 0)
        gauges = world.aws.gauges()
        assert (gauges["route53_writes_due"], gauges["route53_changes_pending"]) == (0, 1)
        assert gauges["route53_rate"] == 4.0

    play(story())
