"""A new process believes a status that says Ready until it has read DNS again, but not what AWS contradicts."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import FORWARD_READY
from mailegress.api.status import Origin
from mailegress.api.types import MailEgress, parse_object
from mailegress.model import ownership
from mailegress.model.aws import Eip
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.result import ChangeRecords, ResetPtr
from tests.support.planner import UID, PlannerHarness, body, mine, stored_entry, verdict

HOST = "mta.example.com"
TAGS = {"use": "mail"}


def restarted(harness: PlannerHarness, tagged: tuple[bool, ...]) -> tuple[MailEgress, list[Eip]]:
    """Ready with two tagged addresses, as a former process left it. ``tagged``: which have the tag now."""
    eips = [harness.eip(number, HOST, tags=TAGS) for number in (1, 2)]
    harness.records.put(HOST, [eip.public_ip for eip in eips], mine())
    harness.publish(HOST)
    me = harness.take(parse_object(body(HOST, [{"tags": TAGS}])))
    for _ in range(4):
        me = harness.written(me, harness.plan(me))
    assert me.status.condition("Ready") is not None
    assert me.status.condition("Ready").status == "True"  # type: ignore[union-attr]
    for number, kept in enumerate(tagged, 1):
        harness.eip(number, HOST, tags=TAGS if kept else {})
    harness.memories.pop(UID)
    harness.dns.authorities = lambda hostname: Fact()  # type: ignore[method-assign]
    return me, eips


def test_ready_stands_before_the_servers_are_read() -> None:
    harness = PlannerHarness()
    me, _ = restarted(harness, (True, True))
    after = harness.written(me, harness.plan(me))
    assert after.status.condition("Ready") == me.status.condition("Ready")


@pytest.mark.parametrize(
    ("tagged", "reason"), [((False, False), "AddressNotFound"), ((True, False), "Progressing")]
)
def test_a_missing_or_leaving_address_is_reported_before_the_servers_are_read(
    tagged: tuple[bool, ...], reason: str
) -> None:
    harness = PlannerHarness()
    me, _ = restarted(harness, tagged)
    plan = harness.plan(me)
    found = verdict(plan, FORWARD_READY)
    assert (found.reason, found.ok, found.inconclusive) == (reason, False, False)
    after = harness.written(me, plan).status.condition("Ready")
    assert after is not None
    assert after.status == "False"
    assert isinstance(plan.action, ResetPtr) is (reason == "Progressing")


@pytest.mark.parametrize("adopted", [False, True])
def test_an_ownership_record_that_was_deleted_is_restored_as_it_was(adopted: bool) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine(adopted=adopted))
    harness.publish(HOST)
    me = harness.take(parse_object(body(HOST, [{"publicIP": eip.public_ip}])))
    for _ in range(4):
        me = harness.written(me, harness.plan(me))
    assert me.status.forward is not None
    assert me.status.forward.origin is (Origin.ADOPTED if adopted else Origin.MANAGED)
    harness.memories.pop(UID)
    harness.records.put(HOST, [eip.public_ip])
    plan = harness.plan(me)
    assert isinstance(plan.action, ChangeRecords)
    assert plan.action.why == "restore the ownership record"
    (created,) = plan.action.changes
    assert ownership.parse(created.record_set.values) == mine(adopted=adopted)
    assert harness.written(me, plan).status.forward == me.status.forward


def told(harness: PlannerHarness, me: MailEgress) -> list[Origin | None]:
    """Whose the PTRs are, as the next status would say it."""
    return [entry.ptr_origin for entry in harness.written(me, harness.plan(me)).status.addresses]


def test_whose_a_ptr_is_under_observed_waits_for_the_zones_when_the_status_was_deleted() -> None:
    """The ownership record of the time before, when the object was Managed, may still stand."""
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.dns.answers[HOST] = frozenset({eip.public_ip})
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.records.unread.add(HOST)
    harness.records.swept = False
    selectors = [{"allocationID": eip.allocation_id}]
    me = parse_object(body(HOST, selectors, generation=2, forward={"management": "Observed"}))
    assert told(harness, me) == [None]
    harness.records.unread.clear()
    harness.records.swept = True
    assert told(harness, me) == [Origin.MANAGED]


@pytest.mark.parametrize(("kind", "origin"), [(ErrorKind.TRANSIENT, None), (ErrorKind.WORLD, Origin.ADOPTED)])
def test_where_nobody_may_read_the_zones_a_ptr_counts_as_adopted(
    kind: ErrorKind, origin: Origin | None
) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, HOST)
    harness.dns.answers[HOST] = frozenset({eip.public_ip})
    fault = Fault("AccessDenied", "AWS denies route53:ListResourceRecordSets", kind)
    harness.records.all_swept = lambda: Fact(fault=fault)  # type: ignore[method-assign]
    selectors = [{"allocationID": eip.allocation_id}]
    me = parse_object(body(HOST, selectors, generation=2, forward={"management": "Observed"}))
    assert told(harness, me) == [origin]


def test_an_address_that_left_is_kept_until_the_zones_are_searched_for_the_name_that_its_ptr_shows() -> None:
    """No status tells of that former hostname: somebody deleted the one that did."""
    harness = PlannerHarness()
    left, selected = harness.eip(1, "former.example.com"), harness.eip(2)
    harness.records.unread |= {HOST, "former.example.com"}
    harness.records.swept = False
    entry = stored_entry(left, ptr="former.example.com", ptrOrigin="Managed")
    status = {"observedGeneration": 2, "hostname": HOST, "addresses": [entry]}
    me = parse_object(body(HOST, [{"allocationID": selected.allocation_id}], generation=3, status=status))
    shown = {a.public_ip: a.ptr_origin for a in harness.written(me, harness.plan(me)).status.addresses}
    assert shown.get(left.public_ip) is Origin.MANAGED
