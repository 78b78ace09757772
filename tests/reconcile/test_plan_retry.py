"""A write that fails again and again is one story: the failure stands, and nothing looks like progress."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import FORWARD_READY, READY, REVERSE_READY, STALLED
from mailegress.api.types import MailEgress
from mailegress.model.facts import ErrorKind, Fault, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import ChangeRecords, Plan, SetPtr
from tests.support.planner import ZONE, PlannerHarness, mine, obj, verdict

HOST = "mta.example.com"
DENIED = Fault("AccessDenied", "AWS denies ec2:ModifyAddressAttribute", ErrorKind.WORLD)
AWAY = Fault("AWSUnavailable", "no answer", ErrorKind.TRANSIENT)


def progress(me: MailEgress, plan: Plan) -> str:
    return summarise.progress_key(me, plan, summarise.verdicts(me, plan))


@pytest.mark.parametrize("fault", [DENIED, AWAY])
def test_a_denied_ptr_reads_the_same_at_rest_when_retried_and_under_way(fault: Fault) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip])
    told = []
    for phase, age in ((WritePhase.FAILED, 0.0), (WritePhase.FAILED, 1000.0), (WritePhase.IN_FLIGHT, 1000.0)):
        harness.now = harness.dns.at = age
        harness.ptrs.states[eip.allocation_id] = WriteState(phase, 0.0, fault, attempts=3)
        plan = harness.plan(me)
        assert isinstance(plan.action, SetPtr) == (phase is WritePhase.FAILED and age > 0)
        me = harness.written(me, plan)
        told.append((verdict(plan, REVERSE_READY).reason, me.status.condition(READY), progress(me, plan)))
    assert told[0][0] == fault.reason
    assert told[0] == told[1] == told[2]


def test_a_refused_ptr_is_that_addresss_with_awss_words_and_waits_for_the_caches() -> None:
    """AWS answers that it does not offer the operation for one Elastic IP; its neighbour has its PTR."""
    harness = PlannerHarness()
    refused, right = harness.eip(1), harness.eip(2, HOST)
    harness.records.put(HOST, [refused.public_ip, right.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [refused, right])
    words = "ModifyAddressAttribute: UnsupportedOperation: not for this address"
    fault = Fault("PTRRejected", words, ErrorKind.WORLD)
    seen = set()
    for now, phase, due in (
        (0.0, WritePhase.FAILED, False),
        (890.0, WritePhase.FAILED, False),
        (901.0, WritePhase.FAILED, True),
        (901.0, WritePhase.IN_FLIGHT, False),
    ):
        harness.now = harness.dns.at = now
        harness.ptrs.states[refused.allocation_id] = WriteState(phase, 0.0, fault, attempts=1)
        plan = harness.plan(me)
        assert isinstance(plan.action, SetPtr) == due, now
        finding = verdict(plan, REVERSE_READY)
        seen.add((finding.status, finding.reason, finding.message))
        assert {a.public_ip: a.reason for a in plan.addresses} == {
            refused.public_ip: "PTRRejected",
            right.public_ip: None,
        }
    [(status, reason, message)] = seen
    assert (status, reason) == ("False", "PTRRejected")
    assert f"PTR {HOST} of {refused.public_ip}: {words}. " in message


def test_a_denied_record_reads_the_same_at_rest_when_retried_and_under_way() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    me = obj(HOST, [eip])
    told = []
    for phase, age in ((WritePhase.FAILED, 0.0), (WritePhase.FAILED, 1000.0), (WritePhase.IN_FLIGHT, 1000.0)):
        harness.now = age
        harness.writer.states[(ZONE.id, HOST)] = WriteState(phase, 0.0, DENIED, attempts=3)
        plan = harness.plan(me)
        assert isinstance(plan.action, ChangeRecords) == (phase is WritePhase.FAILED and age > 0)
        me = harness.written(me, plan)
        told.append((verdict(plan, FORWARD_READY).reason, me.status.condition(READY), progress(me, plan)))
    assert told[0][0] == "AccessDenied"
    assert told[0] == told[1] == told[2]


def test_a_first_attempt_is_told_calmly() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.IN_FLIGHT, 0.0)
    assert verdict(harness.plan(obj(HOST, [eip])), FORWARD_READY).reason == "ChangePending"


def test_a_ptr_that_may_not_be_adopted_is_not_written_down_as_adopted() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    me = obj(HOST, [eip], adoption="Never")
    for _ in range(3):
        plan = harness.plan(me)
        assert plan.action is None
        me = harness.written(me, plan)
        ready, stalled = me.status.condition(READY), me.status.condition(STALLED)
        assert ready is not None
        assert stalled is not None
        assert ready.reason == stalled.reason == "PTRNotAdopted"
        assert [a.ptr_origin for a in me.status.addresses] == [None]


def test_the_only_address_with_a_foreign_ptr_is_the_cause_whatever_record_stands_there() -> None:
    for values in ((), ("203.0.113.1",), ("192.0.2.99",)):
        harness = PlannerHarness()
        eip = harness.eip(1, "somebody.example.org")
        harness.records.put(HOST, values)
        me = obj(HOST, [eip])
        plan = harness.plan(me)
        assert plan.action is None
        assert verdict(plan, FORWARD_READY).reason == "PTRConflict", values
        assert harness.written(me, plan).status.condition(STALLED) is not None
