"""Details of an address are shown to the object that holds it only.

One that does not exist and one that is out of reach give the same words.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY
from mailegress.api.status import AddressStatus, Origin
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Eip, NatAddress, NatGateway, Zone
from tests.support.planner import ACCOUNT, OTHER_UID, ZONE, PlannerHarness, body, mine, obj, verdict

HOST, THEIRS = "mta.example.com", "theirs.example.com"
OLDER = "2025-01-01T00:00:00Z"
DETAILS = (ACCOUNT, "203.0.113.1", "eipalloc-00000001", "i-0fedcba9876543210", THEIRS)


def victim(harness: PlannerHarness) -> Eip:
    """Another tenant's address: attached, with its PTR, its A record and its ownership record."""
    eip = harness.eip(1, THEIRS, instance_id="i-0fedcba9876543210")
    harness.take(obj(THEIRS, [eip], uid=OTHER_UID, created=OLDER))
    harness.records.put(THEIRS, [eip.public_ip], mine(OTHER_UID))
    harness.publish(THEIRS)
    return eip


def by(selector: dict[str, str]) -> MailEgress:
    return parse_object(body(HOST, [selector]))


@pytest.mark.parametrize(
    "selector",
    [
        {"allocationID": "eipalloc-00000001"},
        {"publicIP": "203.0.113.1"},
        {"instanceID": "i-0fedcba9876543210"},
        {"natGatewayID": "nat-0fedcba9876543210"},
    ],
    ids=lambda s: next(iter(s)),
)
def test_the_loser_of_an_address_sees_its_own_selector_and_the_reason_only(selector: dict[str, str]) -> None:
    harness = PlannerHarness()
    eip = victim(harness)
    if "natGatewayID" in selector:
        eip = replace(eip, nat_gateway_id=selector["natGatewayID"])
        harness.book.eips[eip.allocation_id] = eip
        address = NatAddress(eip.allocation_id, eip.public_ip, "succeeded")
        harness.book.gateways[eip.nat_gateway_id] = NatGateway(eip.nat_gateway_id, "available", (address,))
    me = by(selector)
    plan = harness.plan(me)
    status = harness.written(me, plan).status
    assert verdict(plan, ACCEPTED).reason == "AddressConflict"
    assert [(a.reason, a.allocation_id, a.ptr) for a in status.addresses] == [("AddressConflict", None, None)]
    told = json.dumps(status.to_dict())
    assert [d for d in DETAILS if d in told and d not in selector.values()] == []
    assert str(me.spec.elastic_ips[0]) in verdict(plan, ACCEPTED).message


def test_before_the_claims_are_known_nothing_is_shown_either() -> None:
    harness = PlannerHarness()
    eip = victim(harness)
    harness.records.unread.add(THEIRS)
    me = obj(HOST, [eip])
    status = harness.written(me, harness.plan(me)).status
    told = json.dumps(status.to_dict())
    assert [d for d in DETAILS if d in told and d != eip.allocation_id] == []


def test_the_loser_of_a_hostname_sees_neither_its_zone_nor_its_record() -> None:
    harness = PlannerHarness()
    victim(harness)
    me = obj(THEIRS, [harness.eip(2)])
    plan = harness.plan(me)
    status = harness.written(me, plan).status
    assert verdict(plan, ACCEPTED).reason == "HostnameConflict"
    assert (status.zone, status.forward) == (None, None)


def test_what_the_object_wrote_down_as_its_own_stays_for_the_clean_up() -> None:
    """It had set the PTR before somebody else got hold of the address."""
    harness = PlannerHarness()
    eip = victim(harness)
    own = AddressStatus(
        f"allocationID={eip.allocation_id}", eip.public_ip, eip.allocation_id, ACCOUNT, eip.region,
        ptr=HOST, ptr_origin=Origin.MANAGED,
    )  # fmt: skip
    me = obj(HOST, [eip])
    me = replace(me, status=replace(me.status, addresses=(own,)))
    (entry,) = harness.written(me, harness.plan(me)).status.addresses
    assert (entry.allocation_id, entry.account_id, entry.region) == (eip.allocation_id, ACCOUNT, eip.region)
    assert (entry.ptr_origin, entry.reason) == (Origin.MANAGED, "AddressConflict")


def test_the_holder_sees_everything() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, instance_id="i-0fedcba9876543210")
    me = obj(HOST, [eip])
    (entry,) = harness.written(me, harness.plan(me)).status.addresses
    assert (entry.public_ip, entry.allocation_id, entry.account_id, entry.attached_to) == (
        eip.public_ip, eip.allocation_id, ACCOUNT, eip.instance_id,
    )  # fmt: skip


@pytest.mark.parametrize("zones", [(ZONE,), (ZONE, Zone("ZGUESSED", "secret-project.net")),
                                   (ZONE, Zone("ZGUESSED", "secret-project.net", private=True))])  # fmt: skip
def test_a_guessed_zone_id_tells_neither_whether_the_zone_exists_nor_its_name(
    zones: tuple[Zone, ...],
) -> None:
    harness = PlannerHarness()
    harness.zones.zones = zones
    found = verdict(
        harness.plan(obj(HOST, [harness.eip(1)], forward={"hostedZoneID": "ZGUESSED"})), FORWARD_READY
    )
    assert found.reason == "ZoneNotFound"
    assert found.message.startswith(
        "Hosted zone ZGUESSED does not exist in the operator's Route 53 account or does not contain mta.example.com."
    )


def test_an_unknown_address_tells_no_account() -> None:
    harness = PlannerHarness()
    plan = harness.plan(by({"publicIP": "198.51.100.7"}))
    assert ACCOUNT not in json.dumps([f.message for f in plan.findings.values()])
