"""A region that fails ends the conditions of the objects that use it, and of no other."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import FORWARD_READY, RESOLVED, REVERSE_READY
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Eip
from mailegress.model.facts import ErrorKind, Fault
from tests.support.planner import REGION, PlannerHarness, body, mine, obj, verdict

HOST = "mta.example.com"
ELSEWHERE = "eu-west-1"
FAULTS = (
    Fault("AWSUnavailable", "no answer", ErrorKind.TRANSIENT),
    Fault("Throttled", "AWS asks for fewer ec2 calls", ErrorKind.TRANSIENT),
    Fault("AccessDenied", "AWS denies ec2:DescribeAddresses", ErrorKind.WORLD),
)


def ready(harness: PlannerHarness, eip: Eip) -> MailEgress:
    """An object in one region, everything right; the operator works in two."""
    harness.book.regions = (REGION, ELSEWHERE)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.set_ptr(eip, HOST)
    harness.publish(HOST)
    return obj(HOST, [eip])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.reason)
def test_a_region_that_the_object_does_not_use_ends_none_of_its_conditions(fault: Fault) -> None:
    harness = PlannerHarness()
    me = ready(harness, harness.eip(1))
    harness.book.failing[ELSEWHERE] = (fault, 100)
    plan = harness.plan(me)
    assert all(finding.ok for finding in plan.findings.values()), plan.findings


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.reason)
def test_the_region_of_its_address_ends_them_after_three_failures(fault: Fault) -> None:
    harness = PlannerHarness()
    me = ready(harness, harness.eip(1))
    harness.book.failing[REGION] = (fault, 2)
    assert verdict(harness.plan(me), REVERSE_READY).ok
    harness.book.failing[REGION] = (fault, 3)
    plan = harness.plan(me)
    for condition in (FORWARD_READY, REVERSE_READY, RESOLVED):
        assert not verdict(plan, condition).ok
    assert verdict(plan, REVERSE_READY).reason == fault.reason


def test_a_region_that_only_the_status_records_counts_too() -> None:
    """An address that leaves: what becomes of its PTR is not known while its region is not read."""
    harness = PlannerHarness()
    stays, leaves = harness.eip(1), harness.eip(2, HOST, region=ELSEWHERE)
    ready(harness, stays)
    harness.records.put(HOST, [stays.public_ip, leaves.public_ip], mine())
    harness.publish(HOST)
    both = [
        {"allocationID": stays.allocation_id},
        {"allocationID": leaves.allocation_id, "region": ELSEWHERE},
    ]
    before = parse_object(body(HOST, both))
    before = harness.written(before, harness.plan(before))
    after = obj(HOST, [stays], generation=2, status=before.status.to_dict())
    harness.book.failing[ELSEWHERE] = (FAULTS[2], 3)
    assert verdict(harness.plan(after), REVERSE_READY).reason == "AccessDenied"
