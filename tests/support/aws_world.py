"""The sandbox's AWS behind the ``AwsApi`` seam, with scripted faults, for tests of the layer that calls AWS."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mailegress.api.names import ownership_name
from mailegress.api.tags import Tags
from mailegress.aws.api import AwsError, Service
from mailegress.aws.sdk import replies
from mailegress.aws.sdk.operations import Operations
from mailegress.aws.settings import AwsSettings
from mailegress.aws.wiring import Aws, build_aws
from mailegress.model.aws import Change, RecordSet, Verb, Zone
from mailegress.model.facts import WritePhase
from mailegress.model.ownership import Mark, encode
from mailegress.reconcile.write_guard import OpenGuard
from mailegress.telemetry.metrics import Metrics
from sandbox.aws.control import Control
from sandbox.aws.local import START
from sandbox.aws.model import AwsModel, Settings
from sandbox.aws.model.ec2 import Addresses, Network
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.settings import Delays
from sandbox.aws.service import AwsService, Call
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


class FakeAws(Operations):
    """The sandbox's AWS with time spans of its own; ``faults`` are asked first, ``after`` fails a call that is done.

    ``eips``: public IP by allocation ID, all in ``region``. Times in seconds. To be made inside the running loop.
    """

    def __init__(
        self,
        zones: Sequence[Zone] = (Zone("Z1", "example.com"),),
        eips: Mapping[str, str] | None = None,
        *,
        region: str = REGION,
        latency: float = 0.1,
        insync_after: float = 30.0,
        ptr_after: float = 20.0,
    ) -> None:
        delays = Delays(
            insync=insync_after, change_processing=0.0, ptr_min=ptr_after, ptr_max=ptr_after, nat_gateway=0.0
        )
        settings = Settings(delays, quotas=False, ptr_precondition="off")
        clock = asyncio.get_running_loop().time
        self.model = AwsModel(lambda: START + clock(), settings)
        self.control = Control(self.model)
        self.latency = latency
        self.calls: list[Called] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.after: dict[str, list[AwsError]] = defaultdict(list)
        self.account = settings.default_account
        """Whose credentials the calls are made with."""
        self._listeners: list[Callable[[], None]] = []
        self.eips = _Eips(self.model.account().region(region).addresses, self.model.network)
        self.eips.update(eips or {})
        self._service = AwsService(self.model)
        for zone in zones:
            self.control.create_zone(
                zone.name, zone_id=zone.id, private=zone.private, linked_service=zone.linked_service
            )

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

    def on_renewal(self, service: Service, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def renew(self, account: str) -> None:
        """From now on calls are made with credentials of this account, as the SDK's clients announce it."""
        if account != self.account:
            self.account = account
            for listener in self._listeners:
                listener()

    def put(self, zone_id: str, *records: RecordSet) -> None:
        """Record sets that are there before the operator, or that somebody else makes; existing ones are replaced."""
        for some in batched(records, 500):
            self.control.put_records(zone_id, [_upsert(record) for record in some])

    def record(self, zone_id: str, name: str, rtype: str) -> RecordSet | None:
        found = self.model.zone(zone_id).records.get((f"{name}.", rtype, ""))
        return RecordSet(name, rtype, found.ttl, tuple(sorted(found.values))) if found is not None else None

    def pending(self, allocation_id: str) -> bool:
        """Whether a change of the PTR is under way."""
        return self.model.eip(allocation_id).update is not None

    def nat_gateway(self, *allocation_ids: str, tags: Tags = ()) -> str:
        params = {"SubnetId": "subnet-0123456789abcdef0", "AllocationId": allocation_ids[0]}
        reply = self._service.handle(Call("ec2", "CreateNatGateway", params, REGION))
        made: str = reply["NatGateway"]["NatGatewayId"]
        self.control.set_tags(made, dict(tags))
        return made

    # ---- a call

    @property
    def _route53_region(self) -> str:
        return "us-east-1"

    async def _call(
        self,
        service: Service,
        operation: str,
        region: str,
        arguments: Mapping[str, Any],
        parsed: Callable[[Any], T],
        caller: Service | None = None,
    ) -> T:
        argument, size = _about(operation, arguments)
        self.calls.append(Called(now(), operation, argument, size))
        await asyncio.sleep(self.latency)
        for fault in self.faults[operation]:
            failure = fault(argument)
            if failure is not None:
                raise self._named(failure, service, operation)
        reply = self._service.exchange(Call(service.value, operation, dict(arguments), region, self._key()))
        if reply.fault is not None:
            raise AwsError(service, operation, reply.fault.code, reply.fault.message, reply.fault.status)
        if self.after[operation]:
            raise self._named(self.after[operation].pop(0), service, operation)
        return parsed(reply.response)

    def _key(self) -> str:
        if self.account == self.model.settings.default_account:
            return ""
        self.control.register_key(f"AKIA{self.account}", self.account)
        return f"AKIA{self.account}"

    @staticmethod
    def _named(failure: AwsError, service: Service, operation: str) -> AwsError:
        return AwsError(
            service, operation, failure.code, failure.message, failure.http_status, sent=failure.sent
        )


class _Eips(MutableMapping[str, str]):
    """The addresses of the default account, public IP by allocation ID."""

    def __init__(self, addresses: Addresses, network: Network) -> None:
        self._addresses, self._network = addresses, network

    def __getitem__(self, allocation_id: str) -> str:
        return self._addresses.eips[allocation_id].public_ip

    def __setitem__(self, allocation_id: str, public_ip: str) -> None:
        if self.get(allocation_id) != public_ip:
            eip = Eip(allocation_id, public_ip, self._addresses.account, self._addresses.region)
            self._addresses.eips[allocation_id] = self._network.by_ip[public_ip] = eip

    def __delitem__(self, allocation_id: str) -> None:
        self._addresses.forget(self._addresses.eips[allocation_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses.eips)

    def __len__(self) -> int:
        return len(self._addresses.eips)


def _about(operation: str, params: Mapping[str, Any]) -> tuple[Any, int]:
    """What a call is about, and its size: record values of a change, or the page size of a list."""
    match operation:
        case "ChangeResourceRecordSets":
            sets = [change["ResourceRecordSet"] for change in params["ChangeBatch"]["Changes"]]
            return {one["Name"].rstrip(".") for one in sets}, sum(len(one["ResourceRecords"]) for one in sets)
        case "ListResourceRecordSets":
            return params.get("StartRecordName"), int(params["MaxItems"])
        case "DescribeAddresses":
            return (params["Filters"][0]["Values"] if "Filters" in params else None), 0
        case "DescribeAddressesAttribute":
            return params.get("AllocationIds"), 0
        case "ModifyAddressAttribute":
            return (params["AllocationId"], params["DomainName"]), 0
    return params.get("Id"), 0


def _upsert(record: RecordSet) -> dict[str, Any]:
    [change] = replies.change_batch([Change(Verb.CREATE, record)])["Changes"]
    if record.alias:
        change["ResourceRecordSet"].pop("ResourceRecords")
        change["ResourceRecordSet"]["AliasTarget"] = {
            "HostedZoneId": "Z2FDTNDATAQYW2",
            "DNSName": "d111111abcdef8.cloudfront.net.",
            "EvaluateTargetHealth": False,
        }
    return {**change, "Action": "UPSERT"}


def batched(items: Sequence[RecordSet], size: int) -> Iterator[Sequence[RecordSet]]:
    """Pieces of a change that Route 53 takes."""
    return (items[start : start + size] for start in range(0, len(items), size))


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
    fake = fake or FakeAws()
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


def submit(world: World, *hosts: str, namespace: str = "mail") -> None:
    """Hand the first writes of names in zone Z1 over."""
    for host in hosts:
        world.aws.writer.submit(f"{namespace}/{host}", "Z1", host, claim(host))


def phase(world: World, host: str) -> WritePhase | None:
    state = world.aws.writer.state("Z1", host)
    return None if state is None else state.phase


def names(number: int, prefix: str = "h") -> list[str]:
    return [f"{prefix}{i:04}.example.com" for i in range(number)]
