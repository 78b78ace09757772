"""In which account something was read, while the credentials become another account's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailegress.model.aws import Absence
from tests.support.aws_world import REGION, FakeAws, World, build, now, play

OURS, OTHER = "111122223333", "444455556666"
EIP = "eipalloc-00000001"

Become = Callable[[str], None]


def becoming(world: World, announced: bool) -> Become:
    """How the account changes. ``announced``: the SDK's client saw that the credentials are others."""

    def silently(account: str) -> None:
        world.fake.account = account

    return world.fake.renew if announced else silently


def at_each(world: World, operation: str, become: Become, account: str) -> None:
    world.fake.faults[operation].append(lambda _: become(account))


def at_next(world: World, operation: str, become: Become, account: str) -> None:
    """The account of the credentials from the next call of this operation on."""
    accounts = [account]

    def change(_: object) -> None:
        if accounts:
            become(accounts.pop())

    world.fake.faults[operation].append(change)


@pytest.mark.parametrize("announced", [True, False])
def test_a_list_of_zones_names_the_account_that_it_was_read_in(announced: bool) -> None:
    async def story() -> None:
        world = build()
        become = becoming(world, announced)
        become(OTHER)
        at_next(world, "ListHostedZones", become, OURS)
        world.aws.zones.request("mail/x", now())
        await world.until(lambda: world.aws.zones.get().value is not None)
        assert [zone.account_id for zone in world.aws.zones.get().value or ()] == [OURS]
        assert world.fake.count("ListHostedZones") == 2

    play(story())


def test_a_list_of_zones_that_another_account_gave_meanwhile_is_read_again() -> None:
    async def story() -> None:
        world = build()
        at_next(world, "ListHostedZones", world.fake.renew, OTHER)
        at_each(world, "GetCallerIdentity", world.fake.renew, OURS)
        world.aws.zones.request("mail/x", now())
        await world.until(lambda: world.aws.zones.get().value is not None)
        assert [zone.id for zone in world.aws.zones.get().value or ()] == ["Z1"]

    play(story())


@pytest.mark.parametrize("announced", [True, False])
def test_a_look_at_a_zone_names_the_account_that_it_was_made_in(announced: bool) -> None:
    """A zone that another account does not have is not gone."""

    async def story() -> None:
        world = build()
        at_next(world, "GetHostedZone", becoming(world, announced), OTHER)
        world.aws.zones.request_look("mail/x", "Z1", now())
        await world.until(lambda: world.aws.zones.look("Z1").value is not None)
        look = world.aws.zones.look("Z1").value
        assert look is not None
        assert (look.there, look.account_id) == (False, OTHER)

    play(story())


@pytest.mark.parametrize("announced", [True, False])
def test_a_lookup_of_an_address_in_another_account_confirms_no_loss(announced: bool) -> None:
    async def story() -> None:
        world = build(FakeAws(eips={EIP: "192.0.2.1"}))
        become = becoming(world, announced)
        world.aws.addresses.request("mail/x", REGION, now())
        await world.until(lambda: world.aws.addresses.get(REGION).value is not None)
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        del world.fake.eips[EIP]
        world.aws.addresses.request("mail/x", REGION, now())
        await world.quiet(30)
        for _ in range(3):
            become(OURS)
            looks = world.fake.count("DescribeAddresses")
            at_next(world, "DescribeAddresses", become, OTHER)
            world.aws.addresses.watch_absence("mail/x", REGION, EIP)
            await world.until(lambda looks=looks: world.fake.count("DescribeAddresses") > looks)  # type: ignore[misc]
            await world.quiet(30)
            assert world.aws.addresses.watch_absence("mail/x", REGION, EIP) is Absence.SUSPECTED
        become(OURS)
        await world.until(lambda: world.aws.addresses.watch_absence("mail/x", REGION, EIP) is Absence.LOST)

    play(story())


@pytest.mark.parametrize("operation", ["DescribeAddresses", "DescribeAddressesAttribute"])
def test_the_list_of_a_region_is_of_one_account(operation: str) -> None:
    async def story() -> None:
        world = build(FakeAws(eips={EIP: "192.0.2.1"}))
        world.fake.renew(OTHER)
        at_next(world, operation, world.fake.renew, OURS)
        world.aws.addresses.request("mail/x", REGION, now())
        await world.until(lambda: world.aws.addresses.get(REGION).value is not None)
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert view.account_id == OURS
        assert [(eip.allocation_id, eip.account_id) for eip in view.eips.values()] == [(EIP, OURS)]

    play(story())
