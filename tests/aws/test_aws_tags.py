"""Tags of Elastic IPs and NAT gateways: part of the lists that are read anyway, and kept once where they are equal."""

from __future__ import annotations

import tracemalloc
from typing import Any

from mailegress.api.tags import has_tags
from mailegress.aws.sdk import replies
from mailegress.model.aws import NatGateway
from tests.support.aws_world import REGION, FakeAws, build, now, play


def address(number: int, **tags: str) -> dict[str, Any]:
    # boto3 parses each reply into new strings: equal ones are not the same object.
    shown = [{"Key": "".join(list(key)), "Value": "".join(list(value))} for key, value in tags.items()]
    item = {"AllocationId": f"eipalloc-{number:08x}", "PublicIp": f"10.0.{number // 256}.{number % 256}"}
    return {**item, "Tags": shown} if shown else item


def test_tags_are_sorted_pairs_and_an_untagged_address_has_none() -> None:
    reply = {"Addresses": [address(1, use="mail", env="prod"), address(2), {**address(3), "Tags": []}]}
    assert [row.tags for row in replies.addresses(reply)] == [(("env", "prod"), ("use", "mail")), (), ()]


def test_a_tag_without_a_value_has_an_empty_one() -> None:
    reply = {"Addresses": [{**address(1), "Tags": [{"Key": "mail"}]}]}
    assert replies.addresses(reply)[0].tags == (("mail", ""),)


def test_nat_gateways_have_tags() -> None:
    item = {"NatGatewayId": "nat-1", "State": "available", "Tags": [{"Key": "use", "Value": "mail"}]}
    assert replies.nat_page({"NatGateways": [item]}).items == (
        NatGateway("nat-1", "available", tags=(("use", "mail"),)),
    )


def test_all_wanted_tags_must_match_exactly() -> None:
    tags = (("env", "prod"), ("use", "mail"))
    assert has_tags(tags, (("use", "mail"),))
    assert has_tags(tags, tags)
    assert not has_tags(tags, (("use", "Mail"),))
    assert not has_tags(tags, (("use", "mail"), ("env", "test")))
    assert not has_tags((), (("use", ""),))


def test_a_reading_has_the_tags_and_costs_no_further_call() -> None:
    async def story() -> None:
        fake = FakeAws(eips={"eipalloc-00000001": "192.0.2.1", "eipalloc-00000002": "192.0.2.2"})
        fake.control.set_tags("eipalloc-00000001", {"use": "mail"})
        gateway = fake.nat_gateway("eipalloc-00000002", tags=(("use", "mail"),))
        world = build(fake)
        world.aws.addresses.request("mail/setup", REGION, now())
        await world.until(lambda: world.times("mail/setup") > 0)
        view = world.aws.addresses.get(REGION).value
        assert view is not None
        assert {a: eip.tags for a, eip in view.eips.items()} == {
            "eipalloc-00000001": (("use", "mail"),),
            "eipalloc-00000002": (),
        }
        assert view.nat_gateways[gateway].tags == (("use", "mail"),)
        assert [fake.count(call) for call in ("DescribeAddresses", "DescribeNatGateways")] == [1, 1]

    play(story())


def test_equal_tags_of_10000_addresses_are_kept_once() -> None:
    """Three tags of which two are the same everywhere and one has 20 values: less than 0.2 MB beside the addresses."""

    def kept(**tags: str) -> int:
        reply = {
            "Addresses": [
                address(n, **{k: v.format(n=n % 20) for k, v in tags.items()}) for n in range(10_000)
            ]
        }
        tracemalloc.start()
        rows = replies.addresses(reply)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(rows) == 10_000
        return size

    assert kept(use="mail", env="prod", stack="egress-{n}") - kept() < 200_000
