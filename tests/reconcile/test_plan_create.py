"""Planning the way up: claim, A, proof, PTR, Ready. One step at a time, nothing skipped."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import FORWARD_READY, READY, REVERSE_READY
from mailegress.model.aws import Ptr, Verb
from mailegress.model.dns import AnswerKind
from mailegress.model.facts import ErrorKind, Fault, WritePhase, WriteState
from mailegress.reconcile import summarise
from mailegress.reconcile.result import (
    AddFinalizer,
    ChangeRecords,
    NeedAuthorities,
    NeedName,
    NeedRegion,
    NeedZones,
    SetPtr,
)
from tests.support.planner import ZONE, PlannerHarness, mine, obj, verdict

HOST = "mta.example.com"


def test_nothing_known_asks_and_writes_nothing() -> None:
    """Given a process that has read nothing, the plan asks for EIPs and zones and proposes no write."""
    harness = PlannerHarness()
    harness.book.at = None
    harness.zones.zones = None
    plan = harness.plan(obj(HOST, [harness.eip(1)], finalizer=False))
    assert plan.action is None
    assert {type(n) for n in plan.needs} >= {NeedRegion, NeedZones}


def test_the_finalizer_comes_before_the_first_external_write() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    assert harness.plan(obj(HOST, [eip], finalizer=False)).action == AddFinalizer()
    plan = harness.plan(obj(HOST, [eip]))
    assert isinstance(plan.action, ChangeRecords)


def test_the_claim_is_a_create_of_a_and_txt_in_one_batch() -> None:
    harness = PlannerHarness()
    plan = harness.plan(obj(HOST, [harness.eip(1), harness.eip(2)]))
    assert isinstance(plan.action, ChangeRecords)
    assert [(c.verb, c.record_set.type) for c in plan.action.changes] == [
        (Verb.CREATE, "A"),
        (Verb.CREATE, "TXT"),
    ]
    assert plan.action.changes[0].record_set.values == ("203.0.113.1", "203.0.113.2")


def test_no_ptr_before_insync() -> None:
    """A change that Route 53 still publishes opens no gate, whatever the servers say already."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.APPLIED, 0.0, change_id="C1")
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "ChangePending"


GETCHANGE_DENIED = Fault("AccessDenied", "AWS denies route53:GetChange", ErrorKind.WORLD)


def test_where_getchange_is_denied_the_authorities_stand_for_insync() -> None:
    harness = PlannerHarness(now=10.0)
    harness.book.at = harness.records.at = 10.0
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.dns.at = 10.0
    harness.writer.states[(ZONE.id, HOST)] = WriteState(
        WritePhase.APPLIED, 10.0, GETCHANGE_DENIED, change_id="C1"
    )
    me = obj(HOST, [eip])
    for _ in range(5):
        plan = harness.plan(me)
        finding = verdict(plan, FORWARD_READY)
        assert (finding.status, finding.reason) == ("False", "AccessDenied")
        assert "route53:GetChange" in finding.message
        assert plan.action is None
        harness.now = harness.dns.at = harness.now + 60
    harness.publish(HOST)
    plan = harness.plan(me)
    assert verdict(plan, FORWARD_READY).ok
    assert isinstance(plan.action, SetPtr)
    assert plan.forward is not None
    assert plan.forward.change_id is None


def test_where_getchange_is_denied_answers_from_before_the_write_prove_nothing() -> None:
    harness = PlannerHarness(now=10.0)
    harness.book.at = harness.records.at = 10.0
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.dns.at = 9.0
    harness.writer.states[(ZONE.id, HOST)] = WriteState(
        WritePhase.APPLIED, 10.0, GETCHANGE_DENIED, change_id="C1"
    )
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert NeedAuthorities(HOST, 10.0) in plan.needs
    assert verdict(plan, FORWARD_READY).reason == "AccessDenied"


def test_answers_heard_before_the_write_prove_nothing() -> None:
    """The authorities are asked again after INSYNC; an older reading does not count."""
    harness = PlannerHarness(now=10.0)
    harness.book.at = harness.records.at = 10.0
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.dns.at = 9.0
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.INSYNC, 10.0)
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert NeedAuthorities(HOST, 10.0) in plan.needs


@pytest.mark.parametrize("kind", [k for k in AnswerKind if k is not AnswerKind.ANSWER])
def test_one_server_that_does_not_confirm_keeps_the_gate_shut(kind: AnswerKind) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.dns.kinds["ns-2.example.net"] = kind
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert not verdict(plan, FORWARD_READY).ok


def test_an_undelegated_zone_keeps_the_gate_shut() -> None:
    """Every server asked agrees, but they are not those of our zone."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.zones.servers[ZONE.id] = frozenset({"ns-9.example.net"})
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "ZoneNotDelegated"


def test_the_ptr_follows_the_proof() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action == SetPtr("ap-northeast-1", eip.allocation_id, eip.public_ip, HOST)


def test_an_old_proof_does_not_open_the_gate() -> None:
    """The authorities must have been heard within the last minute when a PTR is set."""
    harness = PlannerHarness()
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    harness.plan(obj(HOST, [eip]))
    harness.now = 61.0
    harness.book.at = harness.records.at = 61.0
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert NeedAuthorities(HOST, 1.0) in plan.needs


def test_pending_is_not_settled_and_failed_is_not_pending() -> None:
    harness = PlannerHarness()
    harness.records.put(HOST, ["203.0.113.1"], mine())
    harness.publish(HOST)
    eip = harness.eip(1, Ptr(name=None, update=HOST, status="PENDING"))
    assert verdict(harness.plan(obj(HOST, [eip])), REVERSE_READY).reason == "PTRPending"
    eip = harness.eip(1, Ptr(name=HOST, update=HOST, status="PENDING"))
    assert verdict(harness.plan(obj(HOST, [eip])), REVERSE_READY).reason == "PTRPending"
    eip = harness.eip(1, Ptr(name=None, update=HOST, status="FAILED", reason="Name server said no"))
    found = verdict(harness.plan(obj(HOST, [eip])), REVERSE_READY)
    assert found.reason == "PTRRejected"
    assert "Name server said no" in found.message


@pytest.mark.parametrize("deleting", [False, True])
def test_a_refusal_to_show_a_ptr_that_is_under_way_is_reported_with_its_address(deleting: bool) -> None:
    harness = PlannerHarness()
    pending, done = harness.eip(1, Ptr(name=HOST, update=HOST, status="PENDING")), harness.eip(2, HOST)
    harness.records.put(HOST, [pending.public_ip, done.public_ip], mine())
    harness.publish(HOST)
    denied = "AWS denies ec2:DescribeAddressesAttribute"
    harness.book.refused[pending.allocation_id] = Fault("AccessDenied", denied, ErrorKind.WORLD)
    me = obj(HOST, [pending, done], deleting=deleting)
    found = verdict(harness.plan(me), REVERSE_READY)
    assert found.reason == ("DeletionBlocked" if deleting else "AccessDenied")
    assert f"whether the PTR of {pending.public_ip} is set: {denied}" in found.message
    harness.book.refused[pending.allocation_id] = Fault("AWSUnavailable", "no answer", ErrorKind.TRANSIENT)
    assert verdict(harness.plan(me), REVERSE_READY).reason == ("Deleting" if deleting else "PTRPending")


def test_everything_right_is_ready_and_quiet() -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    me = obj(HOST, [eip])
    plan = harness.plan(me)
    found = summarise.verdicts(me, plan)
    assert (found[READY].status, found[READY].reason) == ("True", "Ready")
    assert plan.settled
    assert plan.action is None


def test_a_refused_write_is_backed_off() -> None:
    harness = PlannerHarness(now=100.0)
    harness.book.at = harness.records.at = 100.0
    me = obj(HOST, [harness.eip(1)])
    assert isinstance(harness.plan(me).action, ChangeRecords)
    fault = Fault("AccessDenied", "route53:ChangeResourceRecordSets is denied.", ErrorKind.WORLD)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.FAILED, 110.0, fault, attempts=3)
    harness.now = harness.book.at = harness.records.at = 120.0
    plan = harness.plan(me)
    assert plan.action is None
    assert verdict(plan, FORWARD_READY).reason == "AccessDenied"
    assert plan.wait == pytest.approx(10.0)
    harness.now = harness.book.at = harness.records.at = 130.0
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_an_edit_ends_the_rest_of_a_refused_write() -> None:
    harness = PlannerHarness(now=100.0)
    harness.book.at = harness.records.at = 100.0
    eip = harness.eip(1)
    harness.plan(obj(HOST, [eip]))
    fault = Fault("AccessDenied", "route53:ChangeResourceRecordSets is denied.", ErrorKind.WORLD)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.FAILED, 110.0, fault, attempts=3)
    harness.now = harness.book.at = harness.records.at = 120.0
    assert harness.plan(obj(HOST, [eip])).action is None
    assert isinstance(harness.plan(obj(HOST, [eip], generation=2)).action, ChangeRecords)


def test_an_unknown_outcome_is_read_before_it_is_written_again() -> None:
    harness = PlannerHarness(now=5.0)
    eip = harness.eip(1)
    harness.records.unread.add(HOST)
    fault = Fault("AWSUnavailable", "No answer.", ErrorKind.TRANSIENT, unknown_outcome=True)
    harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.UNKNOWN, 4.0, fault)
    plan = harness.plan(obj(HOST, [eip]))
    assert plan.action is None
    assert any(isinstance(n, NeedName) and n.hostname == HOST for n in plan.needs)


def test_a_ptr_write_without_an_answer_is_read_first() -> None:
    harness = PlannerHarness(now=5.0)
    harness.book.at = 3.0
    eip = harness.eip(1)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    fault = Fault("AWSUnavailable", "No answer.", ErrorKind.TRANSIENT, unknown_outcome=True)
    harness.ptrs.states[eip.allocation_id] = WriteState(WritePhase.UNKNOWN, 4.0, fault)
    assert harness.plan(obj(HOST, [eip])).action is None
    harness.book.at = 4.5
    assert isinstance(harness.plan(obj(HOST, [eip])).action, SetPtr)
