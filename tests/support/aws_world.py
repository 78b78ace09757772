"""A small AWS in memory behind the ``AwsApi`` seam."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mailegress.api.names import ownership_name
from mailegress.api.tags import Tags
from mailegress.aws.api import (
    AddressRow,
    AwsError,
    ChangeInfo,
    Page,
    PtrRow,
    RecordCursor,
    RecordPage,
    Service,
)
from mailegress.aws.settings import AwsSettings
from mailegress.aws.wiring import Aws, build_aws
from mailegress.model.aws import Change, NatGateway, Ptr, RecordSet, Verb, Zone
from mailegress.model.ownership import Mark, encode
from mailegress.reconcile.write_guard import OpenGuard
from mailegress.telemetry.metrics import Metrics
from tests.support.virtual_loop import VirtualLoop, run_virtually

T = TypeVar("T")
REGION = "eu-west-1"
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


BEGIN = 10_000.0
"""The first time of a story: the operator's clocks do not begin at 0."""
TURNS = 2_000_000


def play(story: Coroutine[Any, Any, T]) -> T:
    """Run a story in virtual time."""
    return run_virtually(story, VirtualLoop(begin=BEGIN, turns=TURNS))


def now() -> float:
    return asyncio.get_running_loop().time()


def error(code: str, message: str = "", status: int = 400, *, sent: bool = True) -> AwsError:
    return AwsError(Service.ROUTE53, "Scripted", code, message, status, sent=sent)


@dataclass(frozen=True)
class Called:
    at: float
    operation: str
    argument: Any = None
    size: int = 0


Fault = Callable[[Any], AwsError | None]
"""Given the call's argument, the error to answer with, or None."""


@dataclass
class FakeAws:
    """Route 53 and EC2 as far as this layer uses them; ``faults`` are asked first, ``after`` fails once it is done."""

    latency: float = 0.1
    insync_after: float = 30.0
    ptr_after: float = 20.0
    zones: list[Zone] = field(default_factory=list)
    records: dict[str, dict[tuple[str, str], RecordSet]] = field(default_factory=lambda: defaultdict(dict))
    eips: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tags] = field(default_factory=dict)
    """By allocation ID."""
    ptrs: dict[str, str] = field(default_factory=dict)
    pending: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    gateways: list[NatGateway] = field(default_factory=list)
    account: str = "111122223333"
    changes: dict[str, float] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[AwsError]] = field(default_factory=lambda: defaultdict(list))

    # ---- scripting

    def once(self, operation: str, *errors: AwsError) -> None:
        """The next calls of an operation fail so, one after another."""
        waiting = list(errors)
        self.faults[operation].append(lambda _: waiting.pop(0) if waiting else None)

    def always(
        self, operation: str, failure: AwsError, when: Callable[[Any], bool] = lambda _: True
    ) -> Fault:
        def fault(argument: Any) -> AwsError | None:
            return failure if when(argument) else None

        self.faults[operation].append(fault)
        return fault

    def count(self, operation: str) -> int:
        return sum(1 for call in self.calls if call.operation == operation)

    def of(self, operation: str) -> list[Called]:
        return [call for call in self.calls if call.operation == operation]

    def put(self, zone_id: str, *records: RecordSet) -> None:
        for record in records:
            self.records[zone_id][record.name, record.type] = record

    async def _call(self, service: Service, operation: str, argument: Any = None, size: int = 0) -> None:
        self.calls.append(Called(now(), operation, argument, size))
        await asyncio.sleep(self.latency)
        for fault in self.faults[operation]:
            failure = fault(argument)
            if failure is not None:
                raise self._named(failure, service, operation)

    def _done(self, service: Service, operation: str) -> None:
        if self.after[operation]:
            raise self._named(self.after[operation].pop(0), service, operation)

    @staticmethod
    def _named(failure: AwsError, service: Service, operation: str) -> AwsError:
        return AwsError(
            service, operation, failure.code, failure.message, failure.http_status, sent=failure.sent
        )

    # ---- STS and EC2

    async def get_caller_identity(self, service: Service, region: str) -> str:
        await self._call(Service.STS, "GetCallerIdentity", region)
        return self.account

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        await self._call(Service.EC2, "DescribeAddresses", allocation_ids)
        return tuple(
            AddressRow(a, ip, tags=self.tags.get(a, ()))
            for a, ip in self.eips.items()
            if allocation_ids is None or a in allocation_ids
        )

    async def describe_addresses_attribute(
        self, region: str, allocation_ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[PtrRow]:
        await self._call(Service.EC2, "DescribeAddressesAttribute", allocation_ids)
        wanted = self.eips if allocation_ids is None else allocation_ids
        rows = []
        for allocation_id in wanted:
            if allocation_id not in self.eips:
                raise AwsError(
                    Service.EC2,
                    "DescribeAddressesAttribute",
                    "InvalidAllocationID.NotFound",
                    f"The allocation ID '{allocation_id}' does not exist",
                    400,
                )
            ptr = self._ptr(allocation_id)
            if ptr != Ptr():
                rows.append(PtrRow(allocation_id, self.eips[allocation_id], ptr))
        return Page(tuple(rows))

    def _ptr(self, allocation_id: str) -> Ptr:
        name, at = self.pending.get(allocation_id, (None, float("inf")))
        if now() >= at:
            del self.pending[allocation_id]
            self.ptrs.pop(allocation_id, None)
            if name is not None:
                self.ptrs[allocation_id] = name
        if allocation_id in self.pending:
            return Ptr(self.ptrs.get(allocation_id), name, "PENDING")
        return Ptr(self.ptrs.get(allocation_id))

    async def describe_nat_gateways(
        self, region: str, ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[NatGateway]:
        await self._call(Service.EC2, "DescribeNatGateways", ids)
        return Page(tuple(self.gateways))

    async def modify_address_attribute(self, region: str, allocation_id: str, domain_name: str) -> Ptr:
        await self._call(Service.EC2, "ModifyAddressAttribute", (allocation_id, domain_name))
        self.pending[allocation_id] = (domain_name, now() + self.ptr_after)
        self._done(Service.EC2, "ModifyAddressAttribute")
        return self._ptr(allocation_id)

    async def reset_address_attribute(self, region: str, allocation_id: str) -> Ptr:
        await self._call(Service.EC2, "ResetAddressAttribute", allocation_id)
        self.pending[allocation_id] = (None, now() + self.ptr_after)
        self._done(Service.EC2, "ResetAddressAttribute")
        return self._ptr(allocation_id)

    # ---- Route 53

    async def list_hosted_zones(self, marker: str = "") -> Page[Zone]:
        await self._call(Service.ROUTE53, "ListHostedZones", marker)
        return Page(tuple(replace(z, record_count=len(self.records[z.id])) for z in self.zones))

    async def get_hosted_zone(self, zone_id: str) -> frozenset[str]:
        await self._call(Service.ROUTE53, "GetHostedZone", zone_id)
        return frozenset({"ns-1.example.net", "ns-2.example.org"})

    async def list_resource_record_sets(
        self, zone_id: str, start: RecordCursor | None, max_items: int
    ) -> RecordPage:
        await self._call(Service.ROUTE53, "ListResourceRecordSets", start, max_items)
        records = sorted(self.records[zone_id].values(), key=lambda r: (_order(r.name), r.type))
        if start is not None:
            begin = (_order(start.name), start.type)
            records = [r for r in records if (_order(r.name), r.type) >= begin]
        page, rest = records[:max_items], records[max_items:]
        return RecordPage(tuple(page), RecordCursor(rest[0].name, rest[0].type) if rest else None)

    async def change_resource_record_sets(self, zone_id: str, changes: Sequence[Change]) -> ChangeInfo:
        names = {change.record_set.name for change in changes}
        size = sum(len(change.record_set.values) for change in changes)
        await self._call(Service.ROUTE53, "ChangeResourceRecordSets", names, size)
        held = self.records[zone_id]
        problems = []
        for change in changes:
            record = change.record_set
            there = held.get((record.name, record.type))
            label = f"[name='{record.name}.', type='{record.type}']"
            if change.verb is Verb.CREATE and there is not None and not _deleted(changes, record):
                problems.append(f"Tried to create resource record set {label} but it already exists")
            if change.verb is Verb.DELETE and there is None:
                problems.append(f"Tried to delete resource record set {label} but it was not found")
        if problems:
            text = f"[{', '.join(problems)}]"
            raise AwsError(Service.ROUTE53, "ChangeResourceRecordSets", "InvalidChangeBatch", text, 400)
        for change in changes:
            place = (change.record_set.name, change.record_set.type)
            if change.verb is Verb.DELETE:
                held.pop(place)
            else:
                held[place] = change.record_set
        change_id = f"C{len(self.changes):04}"
        self.changes[change_id] = now() + self.insync_after
        self._done(Service.ROUTE53, "ChangeResourceRecordSets")
        return ChangeInfo(change_id, "PENDING")

    async def get_change(self, change_id: str) -> ChangeInfo:
        await self._call(Service.ROUTE53, "GetChange", change_id)
        return ChangeInfo(change_id, "INSYNC" if now() >= self.changes[change_id] else "PENDING")


def _order(name: str) -> str:
    return ".".join(reversed(name.split("."))) + "."


def _deleted(changes: Sequence[Change], record: RecordSet) -> bool:
    return any(
        c.verb is Verb.DELETE and (c.record_set.name, c.record_set.type) == (record.name, record.type)
        for c in changes
    )


def a(hostname: str, *ips: str) -> RecordSet:
    return RecordSet(hostname, "A", 300, tuple(sorted(ips or ("192.0.2.1",))))


def mark(hostname: str, uid: str = UID) -> RecordSet:
    value = encode(Mark(adopted=False, owner="test", uid=uid))
    return RecordSet(ownership_name(hostname), "TXT", 300, (value,))


def claim(hostname: str, uid: str = UID) -> list[Change]:
    """The first write of a name: its A and its mark."""
    return [Change(Verb.CREATE, a(hostname)), Change(Verb.CREATE, mark(hostname, uid))]


@dataclass
class World:
    """The layer over the fake, and who was woken when."""

    fake: FakeAws
    aws: Aws
    metrics: Metrics
    woken: list[tuple[str, float]]

    def times(self, key: str) -> int:
        return sum(1 for woken, _ in self.woken if woken == key)

    async def until(self, condition: Callable[[], bool], within: float = 600.0) -> float:
        """Let virtual time pass until the condition holds; the time it took."""
        began = now()
        while not condition():
            self.aws.runtime.tasks.check()
            assert now() - began <= within, "it did not happen in time"
            await asyncio.sleep(0.01 if now() - began < 10 else 0.1)
        return now() - began

    async def quiet(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.aws.runtime.tasks.check()


def build(fake: FakeAws | None = None, settings: AwsSettings | None = None) -> World:
    """To be called inside the running loop."""
    loop = asyncio.get_running_loop()
    fake = fake or FakeAws(zones=[Zone("Z1", "example.com")])
    woken: list[tuple[str, float]] = []
    metrics = Metrics()
    aws = build_aws(
        fake,
        settings or AwsSettings(regions=(REGION,)),
        lambda key: woken.append((key, loop.time())),
        metrics,
        OpenGuard(),
        loop.time,
        random.Random(7),
    )
    return World(fake, aws, metrics, woken)
