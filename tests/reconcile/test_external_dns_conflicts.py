"""Management ExternalDNS: DNSEndpoints of others, claims, a missing kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.api.status import EndpointStatus
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint, EndpointEntry
from mailegress.model.facts import ErrorKind, Fault
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.result import (
    ChangeRecords,
)
from tests.support.external_dns import FORWARD, NAME, World, edit, external, ready
from tests.support.planned import HOST, NEW
from tests.support.planner import (
    OTHER_UID,
    ZONE,
    obj,
    verdict,
)

# ---------------------------------------------------------------- conflicts


def foreign(name: str, namespace: str = "mail", hostname: str = HOST) -> DnsEndpoint:
    entry = EndpointEntry(hostname, frozenset({"203.0.113.99"}), 300)
    return DnsEndpoint(namespace, name, "uid of another", "7", (entry,))


@pytest.mark.parametrize(
    ("name", "namespace", "shown"), [(NAME, "mail", NAME), ("web", "mail", "web"), ("web", "other", "")]
)
def test_a_dnsendpoint_of_others_is_not_changed(name: str, namespace: str, shown: str) -> None:
    """Of another namespace it is not named."""
    world = World()
    eip = world.harness.eip(1)
    other = foreign(name, namespace)
    world.harness.endpoints.put(other)
    _, plan = world.step(external(eip))
    assert plan.action is None
    assert verdict(plan, FORWARD).reason == "DNSEndpointConflict"
    assert shown in verdict(plan, FORWARD).message
    assert world.harness.endpoints.get(namespace, name) == other


def test_the_endpoint_of_another_mailegress_holds_the_hostname() -> None:
    """Its object is younger, and has the endpoint already."""
    world = World()
    first, second = world.harness.eip(1), world.harness.eip(2)
    me = ready(world, first, created="2026-01-05T00:00:00Z")
    world.harness.take(me)
    older = external(second, uid=OTHER_UID, created="2026-01-01T00:00:00Z")
    _, plan = world.step(older)
    assert plan.action is None
    assert verdict(plan, "Accepted").reason == "HostnameConflict"
    managed = obj(HOST, [second], uid=OTHER_UID, created="2026-01-01T00:00:00Z")
    world.harness.zones.zones = (ZONE,)
    _, plan = world.step(managed)
    assert plan.action is None
    assert verdict(plan, "Accepted").reason == "HostnameConflict"


def test_a_label_alone_gives_no_claim() -> None:
    """Anybody may write a label; the status, which users cannot write, must name the endpoint."""
    world = World()
    first, second = world.harness.eip(1), world.harness.eip(2)
    forged = replace(foreign("mailegress-meg-2"), owner=OTHER_UID)
    world.harness.take(external(second, uid=OTHER_UID, created="2026-01-05T00:00:00Z"))
    world.harness.endpoints.put(forged)
    _, plan = world.step(external(first, created="2026-01-01T00:00:00Z"))
    assert verdict(plan, "Accepted").reason != "HostnameConflict"


@pytest.mark.parametrize("manager", ["", "kubectl-edit"])
def test_a_hostname_that_others_add_gives_no_claim(manager: str) -> None:
    """Whoever may edit DNSEndpoints can write in the operator's name, too."""
    world = World()
    first, second = world.harness.eip(1), world.harness.eip(2)
    me = ready(world, first)
    world.harness.take(me)
    extra = EndpointEntry("www.example.com", frozenset({first.public_ip}), 300)
    world.change(entries=(*world.endpoint().entries, extra), changed_by=manager)
    younger = external(second, host="www.example.com", uid=OTHER_UID, created="2026-03-01T00:00:00Z")
    _, plan = world.step(younger)
    assert verdict(plan, "Accepted").ok


def test_a_former_hostname_is_kept_for_the_object_until_it_is_removed() -> None:
    world = World()
    first, second = world.harness.eip(1), world.harness.eip(2)
    me, _ = world.settle(edit(ready(world, first), first, host=NEW))
    assert me.status.dns_endpoint == EndpointStatus(NAME, (HOST, NEW))
    world.harness.take(me)
    world.harness.memories.clear()
    other = external(second, uid=OTHER_UID, created="2026-03-01T00:00:00Z")
    _, plan = world.step(other)
    assert verdict(plan, "Accepted").reason == "WaitingForRelease"
    _, plan = world.step(me)
    assert world.endpoint().names() == {HOST, NEW}, "a new process keeps it"


# ---------------------------------------------------------------- the kind


def test_a_missing_kind_is_named_and_found_when_it_comes() -> None:
    world = World()
    eip = world.harness.eip(1)
    world.harness.endpoints.heard(0.0, exists=False)
    me, plan = world.step(external(eip))
    assert plan.action is None
    assert verdict(plan, FORWARD).reason == "ExternalDNSMissing"
    world.harness.endpoints.heard(2.0)
    _, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)


def test_without_the_setting_nothing_is_written() -> None:
    world = World(enabled=False)
    _, plan = world.step(external(world.harness.eip(1)))
    assert plan.action is None
    assert verdict(plan, FORWARD).reason == "ExternalDNSDisabled"


def test_where_dnsendpoints_cannot_be_read_managed_objects_go_on() -> None:
    world = World()
    world.harness.endpoints = EndpointIndex(enabled=True)
    world.harness.endpoints.unheard(Fault("ExternalDNSUnavailable", "403", ErrorKind.WORLD), 0.0)
    world.harness.zones.zones = (ZONE,)
    one, two = world.harness.eip(1), world.harness.eip(2)
    _, plan = world.step(obj(HOST, [one]))
    assert isinstance(plan.action, ChangeRecords)
    _, plan = world.step(external(two, host=NEW, uid=OTHER_UID))
    assert plan.action is None
    assert verdict(plan, FORWARD).reason == "ExternalDNSUnavailable"
