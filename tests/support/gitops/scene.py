"""One MailEgress on its way into a situation: the user's actions, and passes of the operator over a planned world.

What stands in the status is always what the operator's own planning and summarising make of that world.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from mailegress.api.names import API_VERSION, FINALIZER, KIND, RECONCILE_ANNOTATION, endpoint_name
from mailegress.api.status import initial_status
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Eip, Ptr
from mailegress.model.endpoints import ChangeEndpoint
from mailegress.reconcile import summarise
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.result import ChangeRecords, Plan, ResetPtr, SetPtr
from tests.support.endpoint_writer import FakeEndpointWriter
from tests.support.planner import PlannerHarness, mine

Json = dict[str, Any]

HOST, NEW_HOST = "mta.example.com", "mta2.example.com"
NOW = "2026-01-31T12:00:00Z"
TOKEN = "2026-01-31T12:00:00Z"


class Scene(ABC):
    """A MailEgress in some cluster, and the harness of an operator beside it."""

    def __init__(self, name: str, namespace: str = "mail") -> None:
        self.name = name
        self.namespace = namespace
        self.harness = PlannerHarness()

    # -- the cluster

    @property
    @abstractmethod
    def body(self) -> Json:
        """The object as the API server shows it."""

    @abstractmethod
    def create(self, manifest: Json) -> None: ...

    @abstractmethod
    def edit(self, **spec: Any) -> None:
        """A merge patch of the spec."""

    @abstractmethod
    def delete(self) -> None: ...

    @abstractmethod
    def annotate(self, name: str, value: str) -> None: ...

    @abstractmethod
    def store(self, status: Json) -> None:
        """Replace the whole status, as the operator (or somebody else) does."""

    # -- the user

    def apply(self, *eips: Eip, finalizer: bool = True, **spec: Any) -> None:
        """Create the object, with the operator's finalizer unless nobody has looked at it yet."""
        meta: Json = {"name": self.name, "namespace": self.namespace}
        if finalizer:
            meta["finalizers"] = [FINALIZER]
        selectors = [{"allocationID": e.allocation_id} for e in eips]
        self.create(
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "metadata": meta,
                "spec": {"hostname": HOST, "elasticIPs": selectors, **spec},
            }
        )

    def request_look(self) -> None:
        self.annotate(RECONCILE_ANNOTATION, TOKEN)

    # -- the operator

    @property
    def obj(self) -> MailEgress:
        return parse_object(self.body)

    @property
    def uid(self) -> str:
        return self.obj.meta.uid

    def look(self, *, stuck: bool = False) -> Plan:
        """One pass: plan, summarise, write the status. ``stuck``: nothing has moved for half an hour."""
        me = self.obj
        plan = self.harness.plan(me)
        handled = me.meta.reconcile_requested_at if not plan.needs else me.status.last_handled_reconcile_at
        status = summarise.compose(me, plan, summarise.verdicts(me, plan), NOW, stuck=stuck, handled=handled)
        if not status.matches(self.body.get("status")):
            self.store(status.to_dict())
        return plan

    def advance(self, passes: int = 8) -> None:
        """Passes whose writes to AWS take effect at once, until nothing is left to be written."""
        for _ in range(passes):
            plan = self.look()
            if plan.action is None:
                return
            self.carry_out(plan)

    def carry_out(self, plan: Plan) -> None:
        match plan.action:
            case ChangeRecords(zone_id, hostname, changes, _):
                self.harness.records.apply(zone_id, hostname, changes)
                self.harness.publish(hostname)
            case SetPtr(_, allocation_id, _, hostname, _):
                self.harness.set_ptr(self.harness.book.eips[allocation_id], hostname)
            case ResetPtr(_, allocation_id, _, _):
                self.harness.set_ptr(self.harness.book.eips[allocation_id], None)
            case ChangeEndpoint() as change:
                self.harness.now += 1
                FakeEndpointWriter(self.harness.endpoints).carry_out(change, self.harness.now)
            case other:
                raise AssertionError(f"no external write: {other}")

    # -- the world

    def has_record(self, *eips: Eip, adopted: bool = False) -> None:
        """Route 53 holds our record, and every authority says so."""
        self.harness.records.put(HOST, [e.public_ip for e in eips], mine(self.uid, adopted=adopted))
        self.harness.publish(HOST)

    def is_right(self, *eips: Eip) -> None:
        """A and PTR are ours and right."""
        self.has_record(*eips)
        for eip in eips:
            self.harness.set_ptr(eip, HOST)

    def ready(self, count: int = 1, **spec: Any) -> list[Eip]:
        """The object as it is when all is well."""
        eips = [self.harness.eip(n + 1) for n in range(count)]
        self.apply(*eips, **spec)
        self.is_right(*eips)
        self.look()
        assert self.condition("Ready")["status"] == "True", self.body
        return eips

    def pending_ptr(self, eip: Eip) -> None:
        self.harness.book.eips[eip.allocation_id] = replace(eip, ptr=Ptr(None, HOST, "PENDING"))

    def external(self, *, exists: bool = True, enabled: bool = True) -> None:
        """An object under management ExternalDNS. ``exists``: the CRD; ``enabled``: ``--external-dns``."""
        self.harness.endpoints = EndpointIndex(enabled=enabled)
        self.harness.endpoints.heard(0.0, exists=exists)
        self.harness.zones.zones = ()
        self.apply(self.harness.eip(1), forward={"management": "ExternalDNS"})

    def external_ready(self) -> None:
        """The same when all is well."""
        self.external()
        for _ in range(2):
            self.advance()
            self.publish_endpoint()
        self.look()

    def publish_endpoint(self) -> None:
        """External-dns makes the records that the DNSEndpoint asks for, and every server has them."""
        found = self.harness.endpoints.get(self.namespace, endpoint_name(self.name))
        assert found is not None
        self.harness.dns.answers |= {entry.hostname: entry.targets for entry in found.entries}
        self.harness.now += 1
        self.harness.dns.at = self.harness.dns.public_at = self.harness.now

    def foreign_record(self) -> None:
        self.harness.records.put(HOST, ["203.0.113.99"])
        self.harness.publish(HOST)

    def condition(self, kind: str) -> Json:
        return next((c for c in self.body["status"]["conditions"] if c["type"] == kind), {})


class Paper(Scene):
    """No cluster: what the API server does to such an object, done by hand. Proved equal to the real one's."""

    UID = "6f1c2d3e-0000-4000-8000-000000000001"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._body: Json = {}

    @property
    def body(self) -> Json:
        return self._body

    def create(self, manifest: Json) -> None:
        self._body = copy.deepcopy(manifest)
        self._body["metadata"] |= {
            "uid": self.UID,
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2026-01-31T11:00:00Z",
        }
        spec = self._body["spec"]
        for field, default in (("adoption", "Matching"), ("deletionPolicy", "Delete"), ("suspend", False)):
            spec.setdefault(field, default)
        self._body["status"] = initial_status().to_dict()

    def edit(self, **spec: Any) -> None:
        self._body["spec"] |= spec
        self._body["metadata"]["generation"] += 1

    def delete(self) -> None:
        self._body["metadata"]["deletionTimestamp"] = "2026-01-31T11:30:00Z"
        self._body["metadata"]["deletionGracePeriodSeconds"] = 0
        self._body["metadata"]["generation"] += 1

    def annotate(self, name: str, value: str) -> None:
        self._body["metadata"].setdefault("annotations", {})[name] = value

    def store(self, status: Json) -> None:
        self._body["status"] = copy.deepcopy(status)
