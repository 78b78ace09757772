"""A process that has just started reads the A record of an object that was Ready before it plans for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.policy import PolicyMode
from mailegress.api.types import Forward, MailEgress, Management, parse_object
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.executor import Executor
from mailegress.reconcile.result import Need, NeedName, Plan
from mailegress.reconcile.rules import first_look
from tests.support.one_object import OneObject
from tests.support.planner import UID, ZONE, PlannerHarness, body, mine

HOST = "mta.example.com"
KEY = "mail/meg-1"

Change = Callable[[PlannerHarness, MailEgress], MailEgress]


def restarted(harness: PlannerHarness) -> tuple[MailEgress, dict[str, Any]]:
    """An object that a former process left Ready, typed and as it is stored. Its record was not read yet."""
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    stored = body(HOST, [{"allocationID": eip.allocation_id}])
    me = harness.take(parse_object(stored))
    for _ in range(4):
        me = harness.written(me, harness.plan(me))
    ready = me.status.condition("Ready")
    assert ready is not None
    assert ready.status == "True"
    harness.memories.pop(UID)
    harness.records.unread.add(HOST)
    return me, {**stored, "status": me.status.to_dict()}


def test_the_record_of_a_ready_object_is_read_first() -> None:
    harness = PlannerHarness()
    me, _ = restarted(harness)
    need = first_look.record(harness.observed(me))
    assert isinstance(need, NeedName)
    assert (need.zone_id, need.hostname) == (ZONE.id, HOST)


def read_already(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    harness.records.unread.clear()
    return me


def zone_not_listed(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    harness.zones.zones = ()
    return me


def edited(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    return replace(me, meta=replace(me.meta, generation=me.meta.generation + 1))


def deleted(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    return replace(me, meta=replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z"))


def enforced(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    harness.settings = replace(harness.settings, policy=PolicyMode.ENFORCE)
    return me


def refused(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    fault = Fault("AccessDenied", "AWS denies route53:ListResourceRecordSets", ErrorKind.WORLD)
    harness.records.get = lambda zone_id, hostname: Fact(fault=fault)  # type: ignore[method-assign]
    return me


def observed_only(harness: PlannerHarness, me: MailEgress) -> MailEgress:
    return replace(me, spec=replace(me.spec, forward=Forward(Management.OBSERVED)))


@pytest.mark.parametrize(
    "change", [read_already, refused, zone_not_listed, edited, deleted, enforced, observed_only]
)
def test_every_other_object_is_planned_for_at_once(change: Change) -> None:
    harness = PlannerHarness()
    me, _ = restarted(harness)
    assert first_look.record(harness.observed(change(harness, me))) is None


async def test_the_object_is_planned_for_after_a_minute_although_its_record_was_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Need] = []
    plans: list[Plan] = []
    monkeypatch.setattr(Executor, "read", lambda _, __, need: asked.append(need))
    monkeypatch.setattr(Executor, "request", lambda _, __, plan: plans.append(plan))
    harness = PlannerHarness()
    _, stored = restarted(harness)
    reconciler = OneObject(stored).reconciler(harness)
    delay = await reconciler.process(KEY)
    assert [type(need) for need in asked] == [NeedName]
    assert not plans
    assert delay == harness.settings.blocked_seconds
    harness.now += delay
    await reconciler.process(KEY)
    assert len(plans) == 1
