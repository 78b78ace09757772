"""Management ExternalDNS: policies that do not grant it or grant it no more, and operators that do not know it."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.status import EndpointStatus
from mailegress.api.types import MailEgress, parse_object, parse_remains
from mailegress.api.validation import InvalidObject
from mailegress.model.aws import Absence
from mailegress.model.endpoints import ChangeEndpoint, EndpointEntry
from mailegress.reconcile import rules
from mailegress.reconcile.result import RemoveFinalizer
from tests.support.external_dns import NAME, World, deleted, edit, external, ready
from tests.support.planned import HOST
from tests.support.planner import body, policy, verdict

GRANTED = {"management": ["Managed", "ExternalDNS"]}


def revoked(*numbers: int) -> tuple[World, MailEgress]:
    """An object that was Ready while a policy granted management ExternalDNS."""
    world = World()
    world.harness.enforce(policy(**GRANTED))
    me = ready(world, *(world.harness.eip(n) for n in numbers))
    world.harness.change(policy())
    return world, me


def test_without_the_grant_nothing_is_written() -> None:
    world = World()
    world.harness.enforce(policy())
    _, plan = world.step(external(world.harness.eip(1)))
    assert (plan.action, plan.needs) == (None, ())
    assert verdict(plan, "Accepted").reason == "ManagementNotAllowed"


def test_after_a_revocation_the_endpoint_is_neither_repaired_nor_removed() -> None:
    world, me = revoked(1)
    world.change(entries=(EndpointEntry(HOST, frozenset({"203.0.113.99"}), 300),), changed_by="kubectl-edit")
    me, plan = world.step(me)
    assert plan.action is None
    assert verdict(plan, "Accepted").reason == "ManagementNotAllowed"
    assert "left as they are" in verdict(plan, "Accepted").message
    assert me.status.dns_endpoint == EndpointStatus(NAME, (HOST,))


def test_a_lost_address_leaves_the_endpoint_of_a_revoked_object() -> None:
    world, me = revoked(1, 2)
    del world.harness.book.eips["eipalloc-00000002"]
    world.harness.book.absences["eipalloc-00000002"] = Absence.LOST
    _, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)
    assert plan.action.only_lost
    assert world.endpoint().addresses(HOST) == {"203.0.113.1"}


def test_the_deletion_of_a_revoked_object_removes_the_endpoint() -> None:
    world, me = revoked(1)
    _, plan = world.settle(deleted(me))
    assert world.kinds()[:3] == ["ResetPtr", "ChangeEndpoint", "RemoveFinalizer"]
    assert isinstance(plan.action, RemoveFinalizer)


def test_a_management_that_this_version_does_not_know_changes_nothing() -> None:
    """As an operator from before ExternalDNS sees an object that uses it, after a rollback."""
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    stored = body(HOST, [{"allocationID": eip.allocation_id}], forward={"management": "FromTheFuture"})
    stored["status"] = me.status.to_dict()
    stored["metadata"]["finalizers"] = list(me.meta.finalizers)
    try:
        parse_object(stored)
    except InvalidObject as error:
        remains = parse_remains(stored)
        plan = rules.refuse(world.harness.observed(remains), str(error))
    assert plan.action is None
    assert plan.dns_endpoint == me.status.dns_endpoint
    assert verdict(plan, "Accepted").reason == "InvalidSpec"


def test_a_status_that_lost_the_endpoint_names_it_again() -> None:
    """An operator from before ExternalDNS replaced the status without the field; the record is claimed all the same."""
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    me = replace(me, status=replace(me.status, dns_endpoint=None))
    world.harness.memories.clear()
    me, plan = world.settle(me)
    assert plan.action is None
    assert world.kinds() == []
    assert me.status.dns_endpoint == EndpointStatus(NAME, (HOST,))
    me, _ = world.settle(edit(me, eip, host="out.example.com"))
    assert world.endpoint().names() == {HOST, "out.example.com"}, "the old name is kept until its time"
