"""Regional NAT gateways: one request shows what AWS changes, and the addresses that it removes are no mass loss."""

from __future__ import annotations

from typing import Any

from mailegress.aws.sdk import replies
from mailegress.model.aws import Absence, NatAddress, NatGateway
from tests.support.aws_world import REGION, FakeAws, World, build, error, now, play

ZONES = ["eu-west-1a", "eu-west-1b"]


def address(number: int, **more: Any) -> dict[str, Any]:
    return {
        "AllocationId": f"eipalloc-{number}",
        "PublicIp": f"192.0.2.{number}",
        "Status": "succeeded",
        **more,
    }


async def listed(world: World) -> None:
    """A list of the region that begins now."""
    asked = world.times("mail/list")
    world.aws.addresses.request("mail/list", REGION, now())
    await world.until(lambda: world.times("mail/list") > asked)


def scaling(count: int, **more: Any) -> tuple[World, str, list[str]]:
    """A world with a regional gateway of so many addresses; its ID and their allocation IDs."""
    world = build(FakeAws(**more))
    made = world.fake.control.create_regional_nat_gateway(REGION, ["eu-west-1a"] * count)
    ids = [each["allocation_id"] for each in made["addresses"]]
    world.aws.addresses.know_eips(lambda region: set(ids))
    return world, made["id"], ids


def absence(world: World, allocation_id: str, gateway: str = "") -> Absence:
    return world.aws.addresses.watch_absence("mail/a", REGION, allocation_id, gateway)


# ---------------------------------------------------------------- what AWS returns


def test_a_regional_gateway_is_read_with_the_zones_of_its_addresses_in_a_fixed_order() -> None:
    item = {
        "NatGatewayId": "nat-1",
        "State": "available",
        "AvailabilityMode": "regional",
        "AutoScalingIps": "enabled",
        "AutoProvisionZones": "enabled",
        "NatGatewayAddresses": [
            address(2, AvailabilityZone="eu-west-1b", AssociationId="eipassoc-2"),
            address(1, AvailabilityZoneId="euw1-az1"),
            address(3, Status="failed", FailureMessage="The address is in use."),
        ],
    }
    assert replies.nat_page({"NatGateways": [item]}).items == (
        NatGateway(
            "nat-1",
            "available",
            (
                NatAddress("eipalloc-1", "192.0.2.1", "succeeded", "euw1-az1"),
                NatAddress("eipalloc-2", "192.0.2.2", "succeeded", "eu-west-1b"),
                NatAddress("eipalloc-3", "192.0.2.3", "failed", failure="The address is in use."),
            ),
            regional=True,
            automatic=True,
        ),
    )


def test_a_gateway_in_manual_mode_and_a_zonal_one_keep_the_order_of_aws() -> None:
    addresses = [address(2), address(1)]
    manual = {"AvailabilityMode": "regional", "AutoScalingIps": "disabled", "AutoProvisionZones": "disabled"}
    found = replies.nat_page(
        {
            "NatGateways": [
                {"NatGatewayId": "nat-1", "State": "available", **manual},
                {"NatGatewayId": "nat-2", "AvailabilityMode": "zonal", "NatGatewayAddresses": addresses},
            ]
        }
    ).items
    assert [(g.regional, g.automatic) for g in found] == [(True, False), (False, False)]
    assert [a.allocation_id for a in found[1].addresses] == ["eipalloc-2", "eipalloc-1"]


def test_an_address_shows_which_service_manages_it() -> None:
    reply = {"Addresses": [address(1, ServiceManaged="rnat"), address(2)]}
    assert [row.service_managed for row in replies.addresses(reply)] == ["rnat", ""]


def test_the_list_of_a_region_joins_service_and_gateway() -> None:
    async def story() -> None:
        world, gateway, ids = scaling(2)
        await listed(world)
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert {(e.service_managed, e.nat_gateway_id) for e in view.eips.values()} == {("rnat", gateway)}
        assert sorted(view.eips) == sorted(ids)

    play(story())


# ---------------------------------------------------------------- the check of each minute


def test_a_check_costs_one_request_and_reports_only_a_change() -> None:
    async def story() -> None:
        world, gateway, _ = scaling(2)
        await listed(world)
        seen: list[str] = []
        before = len(world.fake.calls)
        for _ in range(3):
            world.aws.addresses.compare_gateways(REGION, [gateway], lambda: seen.append("differs"))
            await world.quiet(60)
        assert [call.operation for call in world.fake.calls[before:]] == ["DescribeNatGateways"] * 3
        assert seen == []
        world.fake.control.add_nat_address(gateway, "eu-west-1b")
        world.aws.addresses.compare_gateways(REGION, [gateway], lambda: seen.append("differs"))
        await world.quiet(60)
        assert seen == ["differs"]

    play(story())


def test_a_status_that_changes_and_a_gateway_that_is_deleted_are_changes() -> None:
    async def story() -> None:
        world, gateway, ids = scaling(2)
        await listed(world)
        seen: list[str] = []

        async def differs() -> bool:
            seen.clear()
            world.aws.addresses.compare_gateways(REGION, [gateway], lambda: seen.append("differs"))
            await world.quiet(60)
            return bool(seen)

        world.fake.control.set_nat_address_status(gateway, ids[0], "disassociating")
        assert await differs()
        await listed(world)
        assert not await differs()
        world.fake.model.gateway(gateway)[1].deleted = 0.0
        assert await differs()

    play(story())


def test_a_check_that_fails_reports_nothing_and_the_next_one_is_made() -> None:
    async def story() -> None:
        world, gateway, _ = scaling(1)
        await listed(world)
        world.fake.control.add_nat_address(gateway, "eu-west-1b")
        world.fake.once("DescribeNatGateways", error("InternalError", status=500))
        seen: list[str] = []
        for _ in range(2):
            world.aws.addresses.compare_gateways(REGION, [gateway], lambda: seen.append("differs"))
            await world.quiet(60)
        assert seen == ["differs"]

    play(story())


def test_of_more_gateways_than_fit_into_a_request_others_are_read_each_time() -> None:
    async def story() -> None:
        world = build()
        await listed(world)
        ids = [f"nat-{n:03}" for n in range(450)]
        asked: list[list[str]] = []
        original = world.fake.describe_nat_gateways

        async def noted(region: str, wanted: Any = None, token: str = "") -> Any:
            asked.append(list(wanted))
            return await original(region, wanted, token)

        world.fake.describe_nat_gateways = noted  # type: ignore[method-assign, assignment]
        for _ in range(4):
            world.aws.addresses.compare_gateways(REGION, ids, lambda: None)
            await world.quiet(60)
        assert [(each[0], len(each)) for each in asked] == [
            ("nat-000", 200),
            ("nat-200", 200),
            ("nat-400", 50),
            ("nat-000", 200),
        ]

    play(story())


# ---------------------------------------------------------------- what AWS removes


def test_addresses_that_aws_removes_from_a_gateway_are_lost_one_by_one_and_no_mass_loss() -> None:
    async def story() -> None:
        world, gateway, ids = scaling(12)
        await listed(world)
        for allocation_id in ids[:8]:
            world.fake.control.remove_nat_address(gateway, allocation_id)
        await listed(world)
        assert {absence(world, each) for each in ids[:8]} == {Absence.UNCHECKED}
        await world.until(lambda: all(absence(world, each) is Absence.LOST for each in ids[:8]))
        assert world.aws.gauges()["addresses_absence_not_believed"] == 0

    play(story())


def test_a_restarted_process_learns_from_the_status_which_gateway_had_them() -> None:
    async def story() -> None:
        world, gateway, ids = scaling(12)
        for allocation_id in ids[:8]:
            world.fake.control.remove_nat_address(gateway, allocation_id)
        await listed(world)
        assert absence(world, ids[0]) is Absence.MASS
        assert {absence(world, each, gateway) for each in ids[:8]} == {Absence.UNCHECKED}
        await world.until(lambda: all(absence(world, each, gateway) is Absence.LOST for each in ids[:8]))

    play(story())


def test_addresses_that_the_gateway_still_has_are_a_mass_loss() -> None:
    """A list that lacks a page: the gateway shows that they are there."""

    async def story() -> None:
        world, gateway, ids = scaling(12)
        await listed(world)
        for allocation_id in ids[:8]:
            world.fake.control.hide_eip(allocation_id)
        await listed(world)
        assert {absence(world, each, gateway) for each in ids[:8]} == {Absence.MASS}
        await world.quiet(600)
        assert absence(world, ids[0], gateway) is Absence.MASS

    play(story())


def test_credentials_of_another_account_do_not_explain_the_loss() -> None:
    async def story() -> None:
        world, gateway, ids = scaling(12)
        await listed(world)
        world.fake.account = "444455556666"
        await listed(world)
        assert {absence(world, each, gateway) for each in ids} == {Absence.MASS}

    play(story())
