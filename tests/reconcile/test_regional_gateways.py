"""Addresses that AWS manages: those of regional NAT gateways come and go; those of load balancers send no mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.api.tags import tags_of
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, Eip, NatAddress, NatGateway
from mailegress.model.facts import ErrorKind, Fault, WritePhase, WriteState
from mailegress.reconcile.result import ChangeRecords, ResetPtr, SetPtr
from tests.support.planner import REGION, PlannerHarness, body, mine, policy, verdict

HOST = "mta.example.com"
NAT = "nat-0123456789abcdef0"
BY_NAT = [{"natGatewayID": NAT}]
MAIL = {"use": "mail"}


def selecting(selectors: Sequence[Mapping[str, Any]], **more: Any) -> MailEgress:
    return parse_object(body(HOST, selectors, **more))


def managed(harness: PlannerHarness, number: int, service: str = "rnat", **more: Any) -> Eip:
    """An address that AWS allocated for a service."""
    eip = replace(harness.eip(number, **more), service_managed=service)
    harness.book.eips[eip.allocation_id] = eip
    return eip


def gateway(
    harness: PlannerHarness, eips: Sequence[Eip], statuses: Mapping[int, str] | None = None, **more: Any
) -> None:
    """A regional gateway in automatic mode with these addresses, by position in other states than succeeded."""
    has = tuple(
        NatAddress(e.allocation_id, e.public_ip, (statuses or {}).get(n, "succeeded"), f"{REGION}a")
        for n, e in enumerate(eips)
    )
    made = NatGateway(NAT, "available", has, regional=True, automatic=True)
    harness.book.gateways[NAT] = replace(made, **more)
    for eip in eips:
        known = harness.book.eips[eip.allocation_id]
        harness.book.eips[eip.allocation_id] = replace(known, nat_gateway_id=NAT)


def ready(
    harness: PlannerHarness, eips: Sequence[Eip], selectors: Sequence[Mapping[str, Any]] = BY_NAT
) -> MailEgress:
    """An object whose record and PTRs are as it wants them, with the status that says so."""
    harness.records.put(HOST, [e.public_ip for e in eips], mine())
    for eip in eips:
        harness.set_ptr(harness.book.eips[eip.allocation_id], HOST)
    harness.publish(HOST)
    me = selecting(selectors)
    plan = harness.plan(me)
    assert all(finding.ok for finding in plan.findings.values()), plan.findings
    return harness.written(me, plan)


def refuse(harness: PlannerHarness, eip: Eip) -> None:
    """AWS takes no PTR for this address."""
    words = "ModifyAddressAttribute: OperationNotPermitted: The address is managed by the service rnat."
    fault = Fault("PTRRejected", words, ErrorKind.WORLD)
    harness.ptrs.states[eip.allocation_id] = WriteState(
        WritePhase.FAILED, harness.now, fault=fault, attempts=1
    )


# ---------------------------------------------------------------- addresses come and go


def test_an_address_that_aws_adds_joins_the_record_before_its_ptr() -> None:
    harness = PlannerHarness()
    first, second = managed(harness, 1), managed(harness, 2)
    gateway(harness, [first])
    me = ready(harness, [first])
    gateway(harness, [first, second])
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.why == "change A from 203.0.113.1 to 203.0.113.1, 203.0.113.2, TTL 300"
    assert plan.gateways == {(REGION, NAT)}
    harness.records.apply("Z1", HOST, plan.action.changes)
    harness.publish(HOST)
    plan = harness.plan(me)
    assert isinstance(plan.action, SetPtr)
    assert plan.action.allocation_id == second.allocation_id


def test_an_address_that_the_gateway_releases_has_its_ptr_reset_before_it_leaves_the_record() -> None:
    harness = PlannerHarness()
    stays, leaves = managed(harness, 1), managed(harness, 2)
    gateway(harness, [stays, leaves])
    me = ready(harness, [stays, leaves])
    gateway(harness, [stays, leaves], {1: "disassociating"})
    plan = harness.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.allocation_id == leaves.allocation_id


def test_an_address_that_aws_released_leaves_the_record_without_an_alarm() -> None:
    harness = PlannerHarness()
    stays, gone = managed(harness, 1), managed(harness, 2)
    gateway(harness, [stays, gone])
    me = ready(harness, [stays, gone])
    del harness.book.eips[gone.allocation_id]
    gateway(harness, [stays])
    harness.book.absences[gone.allocation_id] = Absence.UNCHECKED
    assert harness.plan(me).action is None, "one list may lack a page"
    harness.book.absences[gone.allocation_id] = Absence.LOST
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.why == "change A from 203.0.113.1, 203.0.113.2 to 203.0.113.1, TTL 300"
    assert "AddressLost" not in {a.reason for a in plan.addresses}
    harness.records.apply("Z1", HOST, plan.action.changes)
    harness.publish(HOST)
    plan = harness.plan(me)
    assert all(finding.ok for finding in plan.findings.values()), plan.findings
    assert [a.public_ip for a in plan.addresses] == [stays.public_ip]


@pytest.mark.parametrize("status", ["assigning", "associating"])
def test_an_address_that_is_being_attached_is_named_with_its_zone_and_does_not_join(status: str) -> None:
    harness = PlannerHarness()
    first, second = managed(harness, 1), managed(harness, 2)
    gateway(harness, [first])
    me = ready(harness, [first])
    gateway(harness, [first, second], {1: status})
    plan = harness.plan(me)
    assert plan.action is None
    shown = verdict(plan, FORWARD_READY)
    assert shown.reason == "AddressPending"
    assert f"NAT gateway {NAT} is still attaching 203.0.113.2 ({REGION}a)" in shown.message


def test_an_address_that_failed_to_attach_concerns_nobody_while_others_send() -> None:
    harness = PlannerHarness()
    first, second = managed(harness, 1), managed(harness, 2)
    gateway(harness, [first, second], {1: "failed"})
    ready(harness, [first])


def test_if_no_address_could_be_attached_the_reason_of_aws_is_shown() -> None:
    harness = PlannerHarness()
    eip = managed(harness, 1)
    failed = NatAddress(eip.allocation_id, eip.public_ip, "failed", failure="Quota \x1b[31mexceeded.")
    gateway(harness, [], addresses=(failed,))
    shown = verdict(harness.plan(selecting(BY_NAT)), FORWARD_READY)
    assert shown.reason == "AddressNotFound"
    assert f"NAT gateway {NAT} failed to attach 203.0.113.1: Quota exceeded." in shown.message


def test_a_regional_gateway_without_an_address_waits_for_aws() -> None:
    harness = PlannerHarness()
    gateway(harness, [])
    plan = harness.plan(selecting(BY_NAT))
    shown = verdict(plan, FORWARD_READY)
    assert shown.reason == "AddressPending"
    assert f"Regional NAT gateway {NAT} has no address yet" in shown.message
    assert plan.gateways == {(REGION, NAT)}


def test_a_gateway_by_its_tags_and_only_a_regional_one_is_checked_each_minute() -> None:
    harness = PlannerHarness()
    eip = managed(harness, 1)
    gateway(harness, [eip], tags=tags_of(MAIL))
    by_tags = selecting([{"natGatewayTags": MAIL}])
    assert harness.plan(by_tags).gateways == {(REGION, NAT)}
    assert harness.plan(selecting([{"allocationID": eip.allocation_id}])).gateways == frozenset()
    gateway(harness, [eip], tags=tags_of(MAIL), regional=False)
    assert harness.plan(by_tags).gateways == frozenset()
    gateway(harness, [eip], tags=tags_of(MAIL), state="deleted")
    assert harness.plan(by_tags).gateways == frozenset()


def test_a_refused_object_has_no_gateway_checked() -> None:
    harness = PlannerHarness()
    gateway(harness, [managed(harness, 1)])
    harness.enforce(policy(hostnames={"names": ["other.example.com"]}))
    assert harness.plan(selecting(BY_NAT)).gateways == frozenset()


# ---------------------------------------------------------------- a PTR that AWS does not take


def test_a_refused_ptr_names_the_remedy_and_the_other_addresses_get_theirs() -> None:
    harness = PlannerHarness()
    refused, other = managed(harness, 1), managed(harness, 2)
    gateway(harness, [refused, other])
    harness.records.put(HOST, [refused.public_ip, other.public_ip], mine())
    harness.publish(HOST)
    refuse(harness, refused)
    me = selecting(BY_NAT)
    plan = harness.plan(me)
    assert isinstance(plan.action, SetPtr)
    assert plan.action.allocation_id == other.allocation_id
    harness.set_ptr(harness.book.eips[other.allocation_id], HOST)
    plan = harness.plan(me)
    assert plan.action is None
    shown = verdict(plan, REVERSE_READY)
    assert shown.reason == "PTRRejected"
    assert "AWS rejects the PTR mta.example.com of 203.0.113.1: ModifyAddressAttribute" in shown.message
    assert (
        "AWS allocated this address for a regional NAT gateway. Create the gateway in manual mode"
        in shown.message
    )
    assert verdict(plan, RESOLVED).reason == "Pending", "what resolvers lack is known"
    assert {a.public_ip: a.reason for a in plan.addresses} == {
        refused.public_ip: "PTRRejected",
        other.public_ip: None,
    }


@pytest.mark.parametrize("service", ["rnat", ""])
def test_a_refused_ptr_of_a_service_does_not_hold_back_the_release_of_another_address(service: str) -> None:
    """The PTR of an address of the user's own may still be set, so that one holds the release back."""
    harness = PlannerHarness()
    stays, leaves, refused = harness.eip(1), harness.eip(2), managed(harness, 3, service)
    ids = [{"allocationID": e.allocation_id} for e in (stays, leaves)]
    me = ready(harness, [stays, leaves], ids)
    gateway(harness, [refused])
    harness.records.put(HOST, [e.public_ip for e in (stays, leaves, refused)], mine())
    harness.publish(HOST)
    refuse(harness, refused)
    edited = selecting([ids[0], *BY_NAT], generation=2)
    plan = harness.plan(replace(edited, status=me.status))
    assert isinstance(plan.action, ResetPtr) == bool(service)
    assert not verdict(plan, REVERSE_READY).ok


# ---------------------------------------------------------------- services from which no mail leaves


@pytest.mark.parametrize("service", ["alb", "nlb", "rds"])
def test_an_address_of_a_load_balancer_never_joins_and_the_others_do(service: str) -> None:
    harness = PlannerHarness()
    sends, receives = harness.eip(1, tags=MAIL), managed(harness, 2, service, tags=MAIL)
    harness.records.put(HOST, [sends.public_ip], mine())
    harness.set_ptr(sends, HOST)
    harness.publish(HOST)
    plan = harness.plan(selecting([{"tags": MAIL}]))
    assert plan.action is None
    assert {a for _, a in plan.wanted} == {sends.allocation_id}
    shown = verdict(plan, FORWARD_READY)
    assert shown.reason == "AddressServiceManaged"
    assert shown.message.startswith(
        f"The Elastic IP with tags=use=mail belongs to a service from which no mail leaves ({service})"
    )
    assert verdict(plan, REVERSE_READY).ok
    assert receives.public_ip not in str(plan.findings)
    assert [(a.selector, a.public_ip, a.reason) for a in plan.addresses] == [
        ("tags=use=mail", sends.public_ip, None),
        ("tags=use=mail", None, "AddressServiceManaged"),
    ]


def test_an_address_of_a_load_balancer_alone_creates_nothing() -> None:
    harness = PlannerHarness()
    receives = managed(harness, 1, "alb")
    plan = harness.plan(selecting([{"publicIP": receives.public_ip}]))
    assert plan.action is None
    assert not plan.wanted
    assert verdict(plan, FORWARD_READY).reason == "AddressServiceManaged"


def test_an_address_of_a_load_balancer_that_has_our_ptr_since_before_stays_as_it_is() -> None:
    """An earlier version served it: an upgrade writes nothing."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = ready(harness, [eip], [{"allocationID": eip.allocation_id}])
    known = harness.book.eips[eip.allocation_id]
    harness.book.eips[eip.allocation_id] = replace(known, service_managed="nlb")
    plan = harness.plan(me)
    assert plan.action is None
    assert all(finding.ok for finding in plan.findings.values()), plan.findings


def test_a_tenant_does_not_learn_of_a_load_balancer_that_no_policy_allows() -> None:
    harness = PlannerHarness()
    managed(harness, 1, "alb", tags=MAIL)
    harness.enforce(policy(addresses={"matchTags": {"team": "a"}}))
    plan = harness.plan(selecting([{"tags": MAIL}]))
    assert "ServiceManaged" not in str(plan.findings)
    assert [a.reason for a in plan.addresses] == ["AddressNotAllowed"]
