"""Management ExternalDNS: changes of management, deletion."""

from __future__ import annotations

import pytest

from mailegress.api.names import endpoint_name
from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip
from mailegress.model.endpoints import ChangeEndpoint
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.result import (
    RemoveFinalizer,
)
from tests.support.external_dns import EXTERNAL, NAME, World, deleted, edit, external, ready
from tests.support.planned import HOST
from tests.support.planner import (
    UID,
    ZONE,
    mine,
    obj,
    recorded,
    verdict,
)

# ---------------------------------------------------------------- changes of management


def managed() -> tuple[World, MailEgress, Eip]:
    """A Ready object with its record in Route 53."""
    world = World()
    h = world.harness
    h.zones.zones = (ZONE,)
    eip = h.eip(1, HOST)
    h.records.put(HOST, [eip.public_ip], mine())
    h.publish(HOST)
    me = obj(HOST, [eip], status=recorded(HOST))
    return world, h.written(me, h.plan(me)), eip


def test_managed_to_external_dns_keeps_the_ownership_record_until_the_endpoint_is_verified() -> None:
    world, me, eip = managed()
    h = world.harness
    me, _ = world.settle(edit(me, eip))
    assert world.kinds() == ["ChangeEndpoint", "ChangeRecords"]
    view = h.records.views[(ZONE.id, HOST)]
    assert view.mark is None
    assert view.records, "the A record stays for those who still ask Route 53"


def test_the_ownership_record_stays_while_the_endpoint_is_not_verified() -> None:
    world, me, eip = managed()
    h = world.harness
    me = edit(me, eip)
    for _ in range(5):
        me, _ = world.step(me)
        h.dns.answers = {}
        h.dns.at = h.dns.public_at = h.now
    assert world.kinds() == ["ChangeEndpoint"]
    assert h.records.views[(ZONE.id, HOST)].mark is not None


def test_external_dns_to_managed_keeps_the_endpoint_until_the_record_is_verified() -> None:
    world = World()
    h = world.harness
    eip = h.eip(1)
    me = ready(world, eip)
    h.zones.zones = (ZONE,)
    h.dns.ns_ttl = 3600
    me = edit(me, eip, forward={})
    h.dns.odd["ns-2.example.net"] = frozenset()
    for _ in range(4):
        me, _ = world.step(me)
        h.dns.at = h.dns.public_at = h.now
    assert world.endpoint().names() == {HOST}
    del h.dns.odd["ns-2.example.net"]
    for _ in range(8):
        me, plan = world.step(me)
        h.dns.at = h.dns.public_at = h.now
    assert all(f.ok for f in plan.findings.values())
    assert any("3600 seconds" in text for text in plan.owed)
    assert world.endpoint().names() == {HOST}
    h.now += 3600
    me, _ = world.settle(me)
    assert h.endpoints.get("mail", NAME) is None
    assert world.kinds()[0] == "ChangeRecords"
    assert me.status.dns_endpoint is None


def test_an_endpoint_whose_record_is_in_the_zone_itself_is_not_deleted() -> None:
    """External-dns would delete the A record that the operator adopted."""
    world = World()
    h = world.harness
    eip = h.eip(1)
    me = ready(world, eip)
    h.zones.zones = (ZONE,)
    h.records.put(HOST, [eip.public_ip])
    _, plan = world.settle(edit(me, eip, forward={}))
    assert world.endpoint().names() == {HOST}
    assert any("upsert-only" in text for text in plan.owed)


def test_a_change_of_addresses_does_not_make_the_record_of_external_dns_the_operators() -> None:
    """In the same hosted zone external-dns still deletes the record with the DNSEndpoint."""
    world = World()
    h = world.harness
    old, new = h.eip(1), h.eip(2)
    me = ready(world, old)
    h.zones.zones = (ZONE,)
    h.records.put(HOST, [old.public_ip])
    me, _ = world.settle(edit(me, old, forward={}))
    me, plan = world.settle(edit(me, old, new, forward={}))
    assert world.endpoint().addresses(HOST) == {old.public_ip, new.public_ip}
    mark = h.records.views[(ZONE.id, HOST)].mark
    assert mark is not None
    assert "meg1 a" in mark.values[0]
    assert any("upsert-only" in text for text in plan.owed)


def test_external_dns_to_observed_hands_the_endpoint_over() -> None:
    world = World()
    eip = world.harness.eip(1)
    me, plan = world.settle(edit(ready(world, eip), eip, forward={"management": "Observed"}))
    assert world.kinds() == ["ChangeEndpoint"]
    assert world.endpoint().owner is None
    assert world.endpoint().addresses(HOST) == {eip.public_ip}
    assert all(f.ok for f in plan.findings.values())
    assert me.status.dns_endpoint is None


def test_observed_to_external_dns_sets_nothing_again() -> None:
    world = World()
    h = world.harness
    eip = h.eip(1)
    h.dns.answers[HOST] = frozenset({eip.public_ip})
    me = obj(HOST, [eip], forward={"management": "Observed"})
    for _ in range(10):
        me, _ = world.step(me)
        h.now += 10
        h.dns.at = h.dns.public_at = h.now
    assert world.kinds() == ["SetPtr"]
    world.actions.clear()
    world.settle(edit(me, eip))
    assert world.kinds() == ["ChangeEndpoint"]


# ---------------------------------------------------------------- deletion


def test_deletion_resets_ptrs_then_deletes_the_endpoint_then_waits_for_dns() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = deleted(ready(world, eip))
    for _ in range(8):
        me, plan = world.step(me)
    assert world.kinds() == ["ResetPtr", "ChangeEndpoint"]
    assert world.harness.endpoints.get("mail", NAME) is None
    assert "waiting until no authoritative server" in verdict(plan, "Accepted").message
    world.synchronize()
    _, plan = world.step(me)
    assert isinstance(plan.action, RemoveFinalizer)
    assert plan.notices == ()


def test_a_record_that_stays_is_reported_and_the_object_goes() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = deleted(ready(world, eip))
    for _ in range(8):
        me, plan = world.step(me)
    world.harness.now += world.harness.settings.external_removal_seconds
    world.harness.dns.at = world.harness.now
    _, plan = world.step(me)
    assert isinstance(plan.action, RemoveFinalizer)
    assert [n.reason for n in plan.notices] == ["RecordLeftInPlace"]


def test_retain_leaves_the_endpoint() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = deleted(edit(ready(world, eip), eip, deletionPolicy="Retain"))
    _, plan = world.step(me)
    assert isinstance(plan.action, RemoveFinalizer)
    assert world.endpoint().addresses(HOST) == {eip.public_ip}


def test_a_recreated_object_takes_the_endpoint_of_its_predecessor_over() -> None:
    world = World()
    eip = world.harness.eip(1)
    ready(world, eip)
    world.harness.claims.drop(UID)
    world.harness.memories.clear()
    again = obj(HOST, [eip], uid="00000000-0000-4000-8000-000000000011", forward=EXTERNAL)
    assert endpoint_name(again.meta.name) == NAME
    _, plan = world.step(again)
    assert isinstance(plan.action, ChangeEndpoint)
    assert world.endpoint().owner == again.meta.uid


@pytest.mark.parametrize("forward", [{}, {"management": "Observed"}])
def test_a_retained_endpoint_is_not_the_successors_under_another_management(forward: dict[str, str]) -> None:
    world = World()
    h = world.harness
    eip = h.eip(1)
    ready(world, eip)
    left = world.endpoint()
    h.claims.drop(UID)
    h.memories.clear()
    h.zones.zones = (ZONE,)
    h.records.put(HOST, [eip.public_ip])
    again = obj(HOST, [eip], uid="00000000-0000-4000-8000-000000000011", forward=forward)
    world.settle(again)
    assert world.endpoint() == left


def test_an_endpoint_that_cannot_be_read_blocks_the_deletion() -> None:
    world = World()
    h = world.harness
    eip = h.eip(1)
    me = deleted(ready(world, eip))
    h.endpoints.drop("mail", NAME)
    h.endpoints.unheard(Fault("ExternalDNSUnavailable", "403", ErrorKind.WORLD), h.now)
    h.dns.answers = {}
    for _ in range(6):
        me, plan = world.step(me)
        h.dns.at = h.now
    assert plan.action is None
    assert verdict(plan, "Accepted").reason == "DeletionBlocked"
    h.endpoints.heard(h.now)
    _, plan = world.step(me)
    assert isinstance(plan.action, RemoveFinalizer)


def test_after_a_write_without_an_answer_the_endpoint_is_read_before_the_object_goes() -> None:
    world = World()
    h = world.harness
    eip = h.eip(1)
    me, plan = world.step(external(eip))
    assert isinstance(plan.action, ChangeEndpoint)
    h.endpoints.drop("mail", NAME)
    h.endpoints.wrote(plan.action, h.now, Fault("ExternalDNSUnavailable", "no answer", ErrorKind.TRANSIENT))
    me = deleted(me)
    for _ in range(6):
        me, plan = world.step(me)
        h.dns.at = h.now
    assert plan.action is None
    h.endpoints.heard(h.now)
    h.dns.at = h.now + 1
    _, plan = world.step(me)
    assert isinstance(plan.action, RemoveFinalizer)


def test_with_the_setting_off_a_recorded_endpoint_blocks_the_deletion() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = deleted(ready(world, eip))
    world.harness.endpoints = EndpointIndex()
    for _ in range(4):
        me, plan = world.step(me)
    assert not isinstance(plan.action, RemoveFinalizer)
    assert verdict(plan, "Accepted").reason == "DeletionBlocked"
    assert "--external-dns" in verdict(plan, "Accepted").message
