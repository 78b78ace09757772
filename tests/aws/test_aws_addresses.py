"""EIPs and PTRs: few calls for many, and nothing believed too soon."""

from __future__ import annotations

import asyncio

import pytest

from mailegress.aws.api import AwsError
from mailegress.aws.settings import AwsSettings
from mailegress.model.aws import Absence, Ptr
from tests.support.aws_world import REGION, FakeAws, World, build, error, now, play

ATTRIBUTE = "DescribeAddressesAttribute"


def with_eips(number: int, region: str = REGION) -> FakeAws:
    eips = {f"eipalloc-{i:08}": f"192.0.{i // 250}.{i % 250}" for i in range(number)}
    return FakeAws(eips=eips, region=region)


async def sweep(world: World, key: str = "mail/setup") -> None:
    world.woken.clear()
    world.aws.addresses.request(key, REGION, now())
    await world.until(lambda: world.times(key) > 0)


def ptr(world: World, allocation_id: str) -> Ptr:
    view = world.aws.addresses.get(REGION).value
    assert view is not None
    return view.eips[allocation_id].ptr


def ec2_calls(world: World) -> list[str]:
    return [c.operation for c in world.fake.calls if c.operation != "GetCallerIdentity"]


def test_everybody_who_asks_shares_one_sweep_of_three_calls() -> None:
    async def story() -> None:
        fake = with_eips(500)
        fake.control.force_ptr(fake.eips["eipalloc-00000007"], "mta.example.com")
        gateway = fake.nat_gateway("eipalloc-00000009")
        world = build(fake)
        for i in range(500):
            world.aws.addresses.request(f"mail/{i}", REGION, now())
        await world.until(lambda: all(world.times(f"mail/{i}") == 1 for i in range(500)))
        assert ec2_calls(world) == ["DescribeAddresses", ATTRIBUTE, "DescribeNatGateways"]
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert view.eips["eipalloc-00000007"].ptr == Ptr("mta.example.com")
        assert view.eips["eipalloc-00000009"].attached_to == gateway
        assert view.eips["eipalloc-00000009"].account_id == "111122223333"

    play(story())


def test_idle_sweeps_of_500_eips_stay_within_twelve_calls_an_hour() -> None:
    async def story() -> None:
        world = build(with_eips(500))
        await sweep(world)
        before, began = len(ec2_calls(world)), now()
        while now() < began + 4 * 3600:
            await world.quiet(720)
            world.aws.addresses.request("mail/idle", REGION, now() - 660)
        assert (len(ec2_calls(world)) - before) / 4 <= 12

    play(story())


def test_nat_gateways_are_read_again_when_an_association_changes_or_somebody_needs_them_now() -> None:
    async def story() -> None:
        world = build(with_eips(3))
        await sweep(world)
        await world.quiet(700)
        world.aws.addresses.request("mail/x", REGION, now() - 600)
        await world.quiet(5)
        assert world.fake.count("DescribeNatGateways") == 1
        world.fake.eips["eipalloc-0000beef"] = "192.0.2.200"
        await world.quiet(700)
        world.aws.addresses.request("mail/x", REGION, now() - 600)
        await world.quiet(5)
        assert world.fake.count("DescribeNatGateways") == 2
        await sweep(world)
        assert world.fake.count("DescribeNatGateways") == 3

    play(story())


@pytest.mark.parametrize("what", ["region", "zones"])
def test_who_asks_while_a_list_is_throttled_causes_no_second_list(what: str) -> None:
    async def story() -> None:
        world = build(with_eips(3))
        operation = "DescribeAddresses" if what == "region" else "ListHostedZones"
        world.fake.once(operation, *[error("Throttling", "Rate exceeded")] * 3)

        def ask(key: str) -> None:
            if what == "region":
                world.aws.addresses.request(key, REGION, now())
            else:
                world.aws.zones.request(key, now())

        ask("mail/first")
        await world.until(lambda: world.fake.count(operation) == 3)
        asked_at = now()
        ask("mail/second")
        await world.until(lambda: world.times("mail/first") == world.times("mail/second") == 1)
        await world.quiet(5)
        fact = world.aws.addresses.get(REGION) if what == "region" else world.aws.zones.get()
        assert fact.at >= asked_at
        assert world.fake.count(operation) == 4, "three refusals and one list"

    play(story())


def test_a_failed_sweep_keeps_the_last_one_tells_why_and_backs_off() -> None:
    async def story() -> None:
        world = build(with_eips(3))
        await sweep(world)
        seen_at = world.aws.addresses.get(REGION).at
        failing = world.fake.always("DescribeAddresses", error("InternalError", "An internal error", 500))
        until = now() + 600
        while now() < until:
            await sweep(world)
        fact = world.aws.addresses.get(REGION)
        assert fact.value is not None
        assert fact.at == seen_at
        assert fact.misses == world.fake.count("DescribeAddresses") - 1
        assert fact.misses <= 16
        assert fact.fault is not None
        assert fact.fault.reason == "AWSUnavailable"
        world.fake.faults["DescribeAddresses"].remove(failing)
        await sweep(world)
        assert world.aws.addresses.get(REGION).misses == 0

    play(story())


@pytest.mark.parametrize("region", ["us-gov-west-1", "us-iso-east-1", "eu-isoe-west-1", "eusc-de-east-1"])
def test_a_region_without_ptr_api_still_shows_its_addresses_and_is_tried_again_hourly(region: str) -> None:
    async def story() -> None:
        world = build(with_eips(3, region), AwsSettings(regions=(region,)))

        async def sweep(world: World) -> None:
            world.woken.clear()
            world.aws.addresses.request("mail/setup", region, now())
            await world.until(lambda: world.times("mail/setup") > 0)

        refusal = world.fake.always(ATTRIBUTE, error("UnsupportedOperation", "not here"))
        for _ in range(5):
            await sweep(world)
            await world.quiet(300)
        view = world.aws.addresses.get(region).value
        assert view is not None
        assert not view.ptr_supported
        assert len(view.eips) == 3
        assert world.fake.count(ATTRIBUTE) == 1
        world.fake.faults[ATTRIBUTE].remove(refusal)
        world.fake.model.settings.no_ptr_regions = ()
        await world.quiet(3600)
        await sweep(world)
        view = world.aws.addresses.get(region).value
        assert view is not None
        assert view.ptr_supported

    play(story())


@pytest.mark.parametrize("code", ["InvalidAction", "UnsupportedOperation"])
@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "ap-northeast-1"])
def test_where_the_partition_has_the_api_a_refused_list_of_ptrs_is_a_failed_reading(
    region: str, code: str
) -> None:
    async def story() -> None:
        world = build(with_eips(3, region), AwsSettings(regions=(region,)))
        world.fake.always(ATTRIBUTE, error(code, "not here"))
        world.aws.addresses.request("mail/setup", region, now())
        await world.until(lambda: world.times("mail/setup") > 0)
        fact = world.aws.addresses.get(region)
        assert fact.value is None
        assert fact.fault is not None
        assert fact.fault.reason == "UnexpectedError"
        assert code in fact.fault.message

    play(story())


def test_the_account_is_asked_once_an_hour_and_after_credentials_failed() -> None:
    async def story() -> None:
        world = build(with_eips(3))
        for _ in range(5):
            await sweep(world)
        assert world.fake.count("GetCallerIdentity") == 1
        world.fake.once("DescribeAddresses", error("ExpiredToken", "expired"))
        world.fake.account = "444455556666"
        await sweep(world)
        await sweep(world)
        assert world.fake.count("GetCallerIdentity") == 2
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert view.account_id == "444455556666"

    play(story())


def test_ptrs_on_their_way_are_polled_together() -> None:
    async def story() -> None:
        settings = AwsSettings(regions=(REGION,), ec2_write_rate=1000, ec2_write_burst=1000)
        world = build(with_eips(100), settings)
        await sweep(world)
        calls = world.fake.count(ATTRIBUTE)
        ids = list(world.fake.eips)

        def pursue() -> bool:
            """What each key does when it is woken: ask again until its PTR is there."""
            while world.woken:
                key, _ = world.woken.pop(0)
                allocation_id = key.removeprefix("mail/")
                if allocation_id in world.fake.eips and not ptr(world, allocation_id).settled_to(
                    "mta.example.com"
                ):
                    world.aws.addresses.request_ptr(key, REGION, allocation_id, now())
            return all(ptr(world, i).settled_to("mta.example.com") for i in ids)

        for allocation_id in ids:
            world.aws.ptrs.set_ptr(f"mail/{allocation_id}", REGION, allocation_id, "mta.example.com")
        took = await world.until(pursue)
        assert took < 40, "20 s until AWS has done it, and the pause before the next look"
        assert world.fake.count(ATTRIBUTE) - calls <= 8
        assert world.fake.count("DescribeAddresses") == 1

    play(story())


def test_the_reply_of_a_write_is_seen_at_once_and_not_undone_by_an_older_sweep() -> None:
    async def story() -> None:
        world = build(with_eips(2))
        await sweep(world)
        world.fake.latency = 1.0
        world.aws.addresses.request("mail/x", REGION, now())
        await world.until(lambda: world.fake.count("DescribeNatGateways") == 2)
        world.fake.latency = 0.1
        world.aws.ptrs.set_ptr("mail/y", REGION, "eipalloc-00000000", "mta.example.com")
        await world.until(lambda: world.times("mail/y") == 1)
        assert ptr(world, "eipalloc-00000000").pending
        await world.until(lambda: world.times("mail/x") == 1)
        assert ptr(world, "eipalloc-00000000") == Ptr(None, "mta.example.com", "PENDING")

    play(story())


def test_an_unknown_id_among_the_polled_makes_the_whole_region_be_read() -> None:
    async def story() -> None:
        world = build(with_eips(10))
        await sweep(world)
        for i in range(10):
            world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now() + 1)
        del world.fake.eips["eipalloc-00000003"]
        await world.until(lambda: all(world.times(f"mail/{i}") == 1 for i in range(10)))
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert "eipalloc-00000003" not in view.eips
        assert world.fake.count(ATTRIBUTE) == 3, "the sweep, the poisoned look, the sweep"
        world.aws.addresses.request_ptr("mail/3", REGION, "eipalloc-00000003", now())
        await world.until(lambda: world.times("mail/3") == 2)
        last = [call for call in world.fake.of(ATTRIBUTE) if call.argument is not None]
        assert len(last) == 1, "what is not known to exist is never asked for by its ID"

    play(story())


def test_a_failed_look_is_told_with_its_reason() -> None:
    async def story() -> None:
        world = build(with_eips(1))
        await sweep(world)
        world.fake.once(ATTRIBUTE, error("UnauthorizedOperation", "You are not authorized", 403))
        world.aws.addresses.request_ptr("mail/x", REGION, "eipalloc-00000000", now())
        await world.until(lambda: world.times("mail/x") == 1)
        fact = world.aws.addresses.ptr(REGION, "eipalloc-00000000")
        assert fact.fault is not None
        assert fact.fault.reason == "AccessDenied"
        assert "ec2:DescribeAddressesAttribute" in fact.fault.message
        world.aws.addresses.request_ptr("mail/x", REGION, "eipalloc-00000000", now())
        await world.until(lambda: world.times("mail/x") == 2)
        assert world.aws.addresses.ptr(REGION, "eipalloc-00000000").fault is None

    play(story())


REFUSALS = [
    error("UnsupportedOperation", "The operation is not supported for this address."),
    error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403),
]


def looks(world: World) -> list[list[str]]:
    """The allocation IDs of every look at PTRs on their way."""
    return [list(call.argument) for call in world.fake.of(ATTRIBUTE) if call.argument is not None]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda e: e.code)
def test_a_look_that_is_refused_for_one_address_fails_for_that_one_only(refusal: AwsError) -> None:
    async def story() -> None:
        world = build(with_eips(100))
        await sweep(world)
        bad = "eipalloc-00000037"
        world.fake.always(ATTRIBUTE, refusal, lambda ids: ids is not None and bad in ids)
        for i in range(100):
            world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now() + 1)
        await world.until(lambda: all(world.times(f"mail/{i}") == 1 for i in range(100)))
        assert len(looks(world)) <= 2 * 7 + 1, "it is found by halves"
        faults = {i for i in range(100) if world.aws.addresses.ptr(REGION, f"eipalloc-{i:08}").fault}
        assert faults == {37}
        # From now on it is asked for by itself, ever more slowly, and delays nobody.
        before = len(looks(world))
        began = now()
        while now() - began < 600:
            world.woken.clear()
            for i in (36, 37, 38):
                world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now())
            await world.until(lambda: world.times("mail/36") == 1)
            await asyncio.sleep(10)
        later = looks(world)[before:]
        assert all(bad not in ids or ids == [bad] for ids in later)
        assert 3 <= sum(bad in ids for ids in later) <= 12
        assert sum(bad not in ids for ids in later) >= 50
        world.fake.faults[ATTRIBUTE].clear()
        world.aws.addresses.request_ptr("mail/37", REGION, bad, now())
        await world.until(lambda: world.aws.addresses.ptr(REGION, bad).fault is None)

    play(story())


def test_a_look_that_is_refused_for_all_addresses_is_not_divided_further() -> None:
    async def story() -> None:
        world = build(with_eips(500))
        await sweep(world)
        world.fake.always(ATTRIBUTE, REFUSALS[1], lambda ids: ids is not None)
        for i in range(500):
            world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now() + 1)
        await world.until(lambda: all(world.times(f"mail/{i}") == 1 for i in range(500)))
        assert len(looks(world)) <= 12
        assert all(world.aws.addresses.ptr(REGION, f"eipalloc-{i:08}").fault for i in range(500))

    play(story())


def test_a_look_with_many_refused_addresses_is_divided_over_several_looks() -> None:
    async def story() -> None:
        world = build(with_eips(64))
        await sweep(world)
        refused = {f"eipalloc-{i:08}" for i in range(0, 64, 4)}
        world.fake.always(ATTRIBUTE, REFUSALS[0], lambda ids: ids is not None and bool(refused & set(ids)))
        for i in range(64):
            world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now() + 1)
        await world.until(lambda: all(world.times(f"mail/{i}") >= 1 for i in range(64)))
        ids = [f"eipalloc-{i:08}" for i in range(64)]
        assert {i for i in ids if world.aws.addresses.ptr(REGION, i).fault} == refused

    play(story())


# ---------------------------------------------------------------- absence


def absence(world: World, number: int) -> Absence:
    return world.aws.addresses.watch_absence(f"mail/{number}", REGION, f"eipalloc-{number:08}")


def test_an_eip_is_lost_after_two_looks_a_minute_apart() -> None:
    async def story() -> None:
        world = build(with_eips(20))
        world.aws.addresses.know_eips(lambda region: {f"eipalloc-{i:08}" for i in range(20)})
        await sweep(world)
        assert absence(world, 5) is Absence.PRESENT
        del world.fake.eips["eipalloc-00000005"]
        await sweep(world)
        assert absence(world, 5) is Absence.UNCHECKED
        await world.until(lambda: world.times("mail/5") == 1)
        assert absence(world, 5) is Absence.SUSPECTED, "the first look-up does not show it either"
        took = await world.until(lambda: world.times("mail/5") == 2)
        assert 59 <= took < 62
        assert absence(world, 5) is Absence.LOST
        looks = [call for call in world.fake.of("DescribeAddresses") if call.argument is not None]
        assert len(looks) == 2
        world.fake.eips["eipalloc-00000005"] = "192.0.2.5"
        await sweep(world)
        assert absence(world, 5) is Absence.PRESENT

    play(story())


def test_an_eip_that_a_look_shows_after_all_is_read_again_and_not_lost() -> None:
    async def story() -> None:
        world = build(with_eips(20))
        del world.fake.eips["eipalloc-00000005"]
        await sweep(world)
        assert absence(world, 5) is Absence.UNCHECKED
        world.fake.eips["eipalloc-00000005"] = "192.0.2.5"
        await world.until(lambda: world.times("mail/5") == 1)
        assert absence(world, 5) is Absence.PRESENT

    play(story())


def test_looks_made_in_another_account_or_without_answer_confirm_nothing() -> None:
    async def story() -> None:
        world = build(with_eips(20))
        await sweep(world)
        del world.fake.eips["eipalloc-00000005"]
        await sweep(world)
        world.fake.account = "999900001111"
        assert absence(world, 5) is Absence.UNCHECKED
        await world.quiet(600)
        assert absence(world, 5) is Absence.SUSPECTED
        world.fake.account = "111122223333"
        failing = world.fake.always("DescribeAddresses", error("InternalError", status=500))
        await world.quiet(600)
        assert absence(world, 5) is Absence.SUSPECTED
        world.fake.faults["DescribeAddresses"].remove(failing)
        await world.until(lambda: absence(world, 5) is Absence.LOST)

    play(story())


def test_a_mass_loss_is_not_believed_until_the_addresses_return_or_somebody_looked() -> None:
    async def story() -> None:
        world = build(with_eips(30))
        everything = dict(world.fake.eips)
        world.aws.addresses.know_eips(lambda region: set(everything))
        await sweep(world)
        for i in range(4):
            del world.fake.eips[f"eipalloc-{i:08}"]
        await sweep(world)
        assert [absence(world, i) for i in range(5)] == [Absence.MASS] * 4 + [Absence.PRESENT]
        await world.quiet(600)
        await sweep(world)
        assert absence(world, 0) is Absence.MASS
        assert world.aws.gauges()["addresses_absence_not_believed"] == 4
        world.aws.addresses.forget_absence(REGION, ["eipalloc-00000000"])
        assert absence(world, 0) is Absence.UNCHECKED
        await world.until(lambda: absence(world, 0) is Absence.LOST)
        await sweep(world)
        assert absence(world, 1) is Absence.MASS, "fewer are missing, and none of them has returned"
        world.fake.eips.update(everything)
        await sweep(world)
        assert [absence(world, i) for i in range(5)] == [Absence.PRESENT] * 5

    play(story())


def test_an_address_that_stays_away_when_the_others_return_is_no_mass_loss() -> None:
    """It was released while the operator had the credentials of another account, for example."""

    async def story() -> None:
        world = build(with_eips(30))
        everything = dict(world.fake.eips)
        world.aws.addresses.know_eips(lambda region: set(everything))
        await sweep(world)
        world.fake.eips.clear()
        await sweep(world)
        assert absence(world, 0) is Absence.MASS
        world.fake.eips.update((k, eip) for k, eip in everything.items() if k >= "eipalloc-00000010")
        await sweep(world)
        assert absence(world, 0) is Absence.MASS, "ten of thirty are still a mass loss"
        world.fake.eips.update((k, eip) for k, eip in everything.items() if k != "eipalloc-00000000")
        await sweep(world)
        assert absence(world, 0) in (Absence.UNCHECKED, Absence.SUSPECTED)
        await world.until(lambda: absence(world, 0) is Absence.LOST)

    play(story())


def test_few_missing_of_few_and_some_missing_of_many_are_no_mass_loss() -> None:
    async def story() -> None:
        for number, gone in ((3, 3), (100, 10)):
            world = build(with_eips(number))
            known = set(world.fake.eips)
            world.aws.addresses.know_eips(lambda region, known=known: known)  # type: ignore[misc]
            await sweep(world)
            for i in range(gone):
                del world.fake.eips[f"eipalloc-{i:08}"]
            await sweep(world)
            assert absence(world, 0) is Absence.UNCHECKED
            await world.until(lambda world=world: absence(world, 0) is Absence.LOST)  # type: ignore[misc]

    play(story())


def test_a_mass_loss_is_seen_at_the_look_when_the_crs_came_after_the_sweep() -> None:
    async def story() -> None:
        world = build(FakeAws())
        await sweep(world)
        world.aws.addresses.know_eips(lambda region: {f"eipalloc-{i:08}" for i in range(20)})
        assert absence(world, 1) is Absence.UNCHECKED
        await world.until(lambda: absence(world, 1) is Absence.MASS)
        await world.quiet(600)
        assert absence(world, 1) is Absence.MASS

    play(story())
