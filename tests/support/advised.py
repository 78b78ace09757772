"""Objects whose forward and reverse DNS match, and the advice about them."""

from __future__ import annotations

from typing import Any

from mailegress.api.status import Advisory
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Eip, NatAddress, NatGateway
from tests.support.planner import PlannerHarness, body, mine, obj, recorded

HOST = "mta.example.com"
NAT, INSTANCE = "nat-0fedcba9876543210", "i-0fedcba9876543210"


def behind_gateway(harness: PlannerHarness, eips: list[Eip]) -> None:
    """A selector for each would be too many."""
    addresses = tuple(NatAddress(e.allocation_id, e.public_ip, "succeeded") for e in eips)
    harness.book.gateways[NAT] = NatGateway(NAT, "available", addresses)


def settled(
    hostname: str = HOST, count: int = 1, **more: Any
) -> tuple[PlannerHarness, list[Eip], MailEgress]:
    """An object whose forward and reverse DNS match, attached to a NAT gateway unless ``more`` says otherwise."""
    harness = PlannerHarness()
    more = more or {"nat_gateway_id": NAT}
    eips = [harness.eip(n + 1, hostname, **more) for n in range(count)]
    harness.records.put(hostname, [e.public_ip for e in eips], mine())
    harness.publish(hostname)
    if count <= 16:
        me = obj(hostname, eips, status=recorded(hostname))
    else:
        behind_gateway(harness, eips)
        me = parse_object(body(hostname, [{"natGatewayID": NAT}], status=recorded(hostname)))
    plan = harness.plan(me)
    return harness, eips, harness.written(me, plan)


def advised(harness: PlannerHarness, me: MailEgress) -> dict[str, Advisory]:
    """The advisories that the next status would have, by code."""
    status = harness.written(me, harness.plan(me)).status
    return {advisory.code: advisory for advisory in status.advisories}
