"""A planner with DNSEndpoints, and an external-dns that makes records of them when it is told to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.result import (
    ChangeRecords,
    Plan,
    ResetPtr,
    SetPtr,
)
from tests.support.endpoint_writer import FakeEndpointWriter
from tests.support.planned import HOST
from tests.support.planner import (
    PlannerHarness,
    obj,
)

NAME = "mailegress-meg-1"
EXTERNAL = {"management": "ExternalDNS"}
FORWARD, REVERSE = "ForwardReady", "ReverseReady"


class World:
    """A planner with DNSEndpoints, and an external-dns that makes records of them when it is told to."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.harness = PlannerHarness()
        self.harness.endpoints = EndpointIndex(enabled=enabled)
        self.harness.endpoints.heard(0.0)
        self.harness.zones.zones = ()
        self.writer = FakeEndpointWriter(self.harness.endpoints)
        self.actions: list[Any] = []

    def synchronize(self) -> None:
        """External-dns reads every DNSEndpoint and publishes its records, and removes those that none asks for."""
        h, wanted = self.harness, {}
        for place in h.endpoints.places():
            endpoint = h.endpoints.get(*place)
            assert endpoint is not None
            wanted |= {e.hostname: e.targets for e in endpoint.entries}
        h.dns.answers = wanted
        h.now += 1
        h.dns.at = h.dns.public_at = h.now

    def endpoint(self) -> DnsEndpoint:
        found = self.harness.endpoints.get("mail", NAME)
        assert found is not None
        return found

    def change(self, **changes: Any) -> None:
        """Somebody else edits the endpoint."""
        before = self.endpoint()
        version = str(int(before.resource_version) + 50)
        self.harness.endpoints.put(replace(before, resource_version=version, **changes))

    def step(self, me: MailEgress) -> tuple[MailEgress, Plan]:
        """One reconcile: its status is written, then its write takes effect. DNS does not follow."""
        h = self.harness
        h.now += 1
        plan = h.plan(me)
        me = h.written(me, plan)
        h.book.at = h.now
        match plan.action:
            case ChangeEndpoint() as change:
                h.memories[me.meta.uid].ownership.record_endpoint(change)
                self.writer.carry_out(change, h.now)
            case ChangeRecords(zone_id, hostname, changes, _):
                h.records.apply(zone_id, hostname, changes)
            case SetPtr(_, allocation_id, _, hostname, _):
                h.set_ptr(h.book.eips[allocation_id], hostname)
            case ResetPtr(_, allocation_id, _, _):
                h.set_ptr(h.book.eips[allocation_id], None)
            case _:
                pass
        if plan.action is not None:
            self.actions.append(plan.action)
        return me, plan

    def settle(self, me: MailEgress, *, synchronize: bool = True, steps: int = 30) -> tuple[MailEgress, Plan]:
        """Reconcile until nothing is written any more."""
        plan = None
        for _ in range(steps):
            me, plan = self.step(me)
            if synchronize:
                self.synchronize()
            if plan.action is None and plan.settled:
                break
        assert plan is not None
        return me, plan

    def kinds(self) -> list[str]:
        return [type(action).__name__ for action in self.actions]


def external(*eips: Eip, host: str = HOST, **more: Any) -> MailEgress:
    return obj(host, eips, forward=EXTERNAL, **more)


def edit(me: MailEgress, *eips: Eip, host: str = HOST, **more: Any) -> MailEgress:
    more.setdefault("forward", EXTERNAL)
    spec = obj(host, eips, **more).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=me.meta.generation + 1))


def deleted(me: MailEgress) -> MailEgress:
    meta = replace(me.meta, deletion_timestamp="2026-01-02T00:00:00Z", generation=me.meta.generation + 1)
    return replace(me, meta=meta)


def ready(world: World, *eips: Eip, **more: Any) -> MailEgress:
    me, plan = world.settle(external(*eips, **more))
    assert all(f.ok for f in plan.findings.values()), plan.findings
    world.actions.clear()
    return me
