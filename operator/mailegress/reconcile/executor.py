"""Carries out a plan: requests readings, hands over the one write. Decides nothing.

The plan is made by the rules. A reading or write that is handed over wakes the object when its outcome is known.
"""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Sequence
from typing import Any

from mailegress.api.names import FINALIZER
from mailegress.api.status import Origin
from mailegress.api.types import MailEgress, parse_meta
from mailegress.model.endpoints import ChangeEndpoint
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.policy_gate import PolicyGate
from mailegress.reconcile.ports import Kube, KubeGone, ObjectStore, Requests, Wake, Writers
from mailegress.reconcile.result import (
    AddFinalizer,
    ChangeRecords,
    Need,
    NeedAuthorities,
    NeedDelegation,
    NeedName,
    NeedNameServers,
    NeedPtr,
    NeedPublic,
    NeedRegion,
    NeedSampleAuthority,
    NeedServerAddresses,
    NeedSweep,
    NeedZoneLook,
    NeedZones,
    Plan,
    RemoveFinalizer,
    ResetPtr,
    SetPtr,
)
from mailegress.telemetry.logs import decision

logger = logging.getLogger("mailegress.reconcile")


class Executor:
    """Carries out plans."""

    def __init__(
        self,
        requests: Requests,
        writers: Writers,
        kube: Kube,
        objects: ObjectStore,
        wake: Wake,
        gate: PolicyGate,
    ) -> None:
        self._requests = requests
        self._writers = writers
        self._kube = kube
        self._objects = objects
        self._wake = wake
        self._gate = gate

    def request(self, key: str, plan: Plan) -> None:
        """Request the readings that the plan needs, and take back queued PTR writes that it no longer wants (S1)."""
        for need in plan.needs:
            self.read(key, need)
        if (advice := plan.advice_need) is not None:
            equal = functools.partial(operator.eq, advice.known) if advice.known is not None else None
            self._requests.dns.request_mail(
                key, advice.hostname, advice.addresses, advice.domains, advice.not_before, equal
            )
        for region, allocation_id in plan.taken_back:
            self._writers.ptrs.take_back(region, allocation_id)

    def read(self, key: str, need: Need) -> None:
        """Request one reading; the object is reconciled when it is there."""
        requests = self._requests
        match need:
            case NeedRegion(region, not_before):
                requests.addresses.request(key, region, not_before)
            case NeedPtr(region, allocation_id, not_before, known):
                requests.addresses.request_ptr(key, region, allocation_id, not_before, known)
            case NeedZones(not_before):
                requests.zones.request(key, not_before)
            case NeedNameServers(zone_id, not_before):
                requests.zones.request_name_servers(key, zone_id, not_before)
            case NeedZoneLook(zone_id, not_before):
                requests.zones.request_look(key, zone_id, not_before)
            case NeedName(zone_id, hostname, not_before, patient):
                requests.records.request(key, zone_id, hostname, not_before, patient=patient)
            case NeedSweep():
                requests.records.request_all_swept(key)
            case NeedAuthorities(hostname, not_before):
                requests.dns.request_authorities(key, hostname, not_before)
            case NeedSampleAuthority(hostname, not_before, expected):
                requests.dns.request_sample_authority(key, hostname, not_before, expected.met_by)
            case NeedDelegation(zone, not_before):
                requests.dns.request_delegation(key, zone, not_before)
            case NeedServerAddresses(name, not_before):
                requests.dns.request_server_addresses(key, name, not_before)
            case NeedPublic(hostname, addresses, not_before, report):
                same = report.says_the_same if report is not None else None
                requests.dns.request_public(key, hostname, addresses, not_before, same)

    async def act(self, key: str, obj: MailEgress, plan: Plan, memory: Memory) -> None:
        """Hand over the one write of the plan. Returns when the finalizer is written, or the AWS write is queued."""
        match plan.action:
            case AddFinalizer():
                await self._finalizers(obj, lambda present: (*present, FINALIZER))
                decision(logger, object=key, action="add finalizer", outcome="done")
            case RemoveFinalizer(why):
                await self._finalizers(obj, lambda present: tuple(f for f in present if f != FINALIZER))
                decision(logger, object=key, action="remove finalizer", outcome="done", reason=why)
            case ChangeRecords(zone_id, hostname, changes, why, urgent):
                memory.ownership.record_submitted((zone_id, hostname), changes)
                allowed = self._gate.for_records(obj, plan, plan.action)
                self._writers.records.submit(key, zone_id, hostname, changes, urgent=urgent, allowed=allowed)
                decision(logger, object=key, action=why, outcome="submitted", zone=zone_id, hostname=hostname)
            case ChangeEndpoint() as change:
                memory.ownership.record_endpoint(change)
                await self._writers.endpoints.apply(key, change)
                decision(logger, object=key, action=change.why, outcome="submitted", endpoint=change.name)
            case SetPtr():
                for write in plan.ptrs:
                    self._set_ptr(key, obj, plan, write, memory)
            case ResetPtr(region, allocation_id, public_ip, hostname, before):
                self._writers.ptrs.reset_ptr(key, region, allocation_id, before)
                _log_ptr(key, "reset PTR", public_ip, hostname)

    def _set_ptr(self, key: str, obj: MailEgress, plan: Plan, write: SetPtr, memory: Memory) -> None:
        if write.repairs is not None:
            memory.ptrs.repairs[write.allocation_id] = write.repairs
        if any(
            a.allocation_id == write.allocation_id and a.ptr_origin is Origin.MANAGED for a in plan.addresses
        ):
            memory.ptrs.managed.setdefault((write.allocation_id, write.hostname), False)
        allowed = self._gate.for_ptr(obj, plan, write)
        self._writers.ptrs.set_ptr(
            key, write.region, write.allocation_id, write.hostname, write.before, allowed
        )
        _log_ptr(key, "set PTR", write.public_ip, write.hostname, repair=write.repair)

    async def _finalizers(self, obj: MailEgress, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Replace the finalizers with what ``change`` makes of them; those of others stay (S2)."""
        meta = obj.meta
        present: Sequence[str] = meta.finalizers
        if meta.foreign_finalizers:
            # The list is replaced whole, and the store does not keep what others have put there.
            body = await self._kube.read(meta.namespace, meta.name)
            if body is None:
                raise KubeGone(f"{meta.namespace}/{meta.name} is gone")
            present = parse_meta(body).finalizers
        stored = await self._kube.set_finalizers(
            meta.namespace, meta.name, meta.resource_version, change(present)
        )
        self._objects.seen(stored)


def _log_ptr(key: str, action: str, address: str, hostname: str, **more: bool) -> None:
    fields: dict[str, Any] = {"address": address, "hostname": hostname, **more}
    decision(logger, object=key, action=action, outcome="submitted", **fields)
