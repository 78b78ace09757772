"""AWS and DNS in one process on virtual time, behind the operator's two seams, and what outsiders do to them."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import dns.message
import dns.rdatatype

from mailegress.api.names import ownership_name
from mailegress.aws.api import (
    AddressRow,
    AwsError,
    Page,
    Service,
)
from mailegress.aws.sdk.operations import Operations
from mailegress.dns.query import DnsTimeout, Server
from mailegress.model.aws import Zone
from sandbox.aws.control import Control
from sandbox.aws.model import AwsModel, Settings
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.publish import Publisher
from sandbox.aws.model.world import dump
from sandbox.aws.model.zones import Zone as HostedZone
from sandbox.aws.model.zones import order_key
from sandbox.aws.service import AwsService, Call
from sandbox.dns import codec
from sandbox.dns.aws_source import AwsSource
from sandbox.dns.codec import TCP_SIZE, encode
from sandbox.dns.layout import Timing
from sandbox.dns.model import DnsWorld
from sandbox.dns.values import Reply
from tests.support.simulation.facts import bare, has_tags
from tests.support.simulation.faults import Plan

T = TypeVar("T")

START = 1_800_000_000.0
REGION = "ap-northeast-1"
AWS_LATENCY = 0.02
"""Seconds for each way."""
DNS_LATENCY = 0.005
READ_TIMEOUT = 10.0
DNS_TIMEOUT = 2.0
WRITES = frozenset({"ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute"})


@dataclass
class Calls:
    """Who hears of calls.

    ``sent``: all; ``before`` and ``after`` a write has its effect; ``unknown``: when its caller does not learn of it;
    ``read``: when a read was answered; ``question``: when a DNS server answered; ``forced``: when an outsider
    set a PTR.
    """

    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    read: Callable[[Call, float], None] = lambda call, began: None
    sent: Callable[[Call], None] = lambda call: None
    unknown: Callable[[Call], None] = lambda call: None
    question: Callable[[str, str, str, float], None] = lambda server, name, rtype, began: None
    forced: Callable[[str, str | None], None] = lambda address, name: None


class World:
    """One AWS, one DNS. ``clock``: virtual seconds from 0."""

    def __init__(self, clock: Callable[[], float], note: Callable[..., None], seed: int = 1) -> None:
        self.clock = clock
        self.note = note
        self.calls = Calls()
        self.model = AwsModel(lambda: START + clock(), Settings(), seed)
        self.service = AwsService(self.model)
        self.control = Control(self.model)
        self.dns = DnsWorld(AwsSource(Publisher(self.model)), clock, timing=Timing(), journal_size=1)
        self.model.resolve_a = self.dns.resolve_a
        self.touched: dict[str, float] = {}
        """Names and addresses that outsiders touched, and when."""
        self.unseen_since: float | None = None
        """Since when something is out of the operators' sight. Until it is back, they may not see what was touched."""
        self.retagged: dict[str, float] = {}
        """Addresses of whose tags the operators may have an old list, and since when."""
        self.ailing: dict[str, float] = {}
        """Name servers that give no proper answer at present, and since when."""
        self.healed: dict[str, float] = {}
        """Those that did, and when they were healed."""
        self.keys: dict[str, str] = {}
        """Access key of a service ("ec2", "route53"); without one, that of the default account."""
        self.renewal_listeners: list[tuple[str, Callable[[], None]]] = []
        self.hidden: dict[str, str] = {}
        """Hosted zones that the operator's role does not see: zone ID -> error code of a direct look-up."""
        self.short: dict[str, int] = {}
        """Lists whose next page lacks entries, once: operation -> 0 for all of them, 1 or 2 for every second one."""

    # ------------------------------------------------------------ making and looking

    def zone(self, name: str = "example.com", **more: Any) -> HostedZone:
        made = self.control.create_zone(name, **more)
        return self.model.zone(made["id"])

    def eips(self, count: int, account: str | None = None, region: str = REGION) -> list[Eip]:
        made = self.control.allocate(region, account, count=count)
        return [self.model.eip(one["allocation_id"]) for one in made]

    def dump(self) -> dict[str, Any]:
        return dump(self.model)

    def zone_of(self, hostname: str) -> HostedZone | None:
        """The hosted zone that the world asks for this name."""
        fitting = [z for z in self.model.zones() if not z.private and f".{hostname}.".endswith(f".{z.name}")]
        return max(fitting, key=lambda z: len(z.name), default=None)

    def record(self, zone: HostedZone | None, name: str, rtype: str) -> tuple[int, tuple[str, ...]] | None:
        """TTL and values as Route 53 holds them now."""
        if zone is None:
            return None
        for found in zone.ordered(order_key((f"{name}.", rtype, "")), 1):
            if (found.name.rstrip("."), found.type) == (name, rtype):
                return found.ttl or 0, tuple(sorted(found.values))
        return None

    def mark(self, zone: HostedZone | None, hostname: str) -> str:
        found = self.record(zone, ownership_name(hostname), "TXT")
        return found[1][0] if found else ""

    def authorities(self, hostname: str) -> dict[str, frozenset[str] | None]:
        """What every authoritative server of the name says: its addresses, or None if it says nothing with AA.

        Servers that the zone's own NS set names beside those of its delegation set are asked, too.
        """
        zone = self.zone_of(hostname)
        servers = self._servers(zone) if zone is not None else self.static_servers(hostname)
        out: dict[str, frozenset[str] | None] = {}
        for server in servers:
            reply = self.dns.query(server, hostname, "A", client="checker")
            ok = reply is not None and reply.aa and reply.rcode in ("NOERROR", "NXDOMAIN")
            out[server] = frozenset(reply.values("A")) if ok and reply is not None else None
        return out

    def _servers(self, zone: HostedZone) -> list[str]:
        """The zone's delegation set, and what else its own NS set names, each once: by name, white-label names (which
        have an address in the zone) left out if that is one of the others'."""
        own = self.record(zone, bare(zone.name) or "", "NS")
        addresses = {self.dns.address_of(server) for server in zone.name_servers}
        more = []
        for server in own[1] if own is not None else ():
            white = self.record(zone, bare(server) or "", "A")
            place = white[1][0] if white is not None else self.dns.address_of(server)
            if place not in addresses:
                more.append(place if white is not None else bare(server) or "")
        return [*zone.name_servers, *more]

    def static_servers(self, hostname: str) -> list[str]:
        """Servers of the other provider, where the name is not in Route 53."""
        return list(self.dns.layout.providers)

    def ptr(self, eip: Eip) -> str | None:
        """The published PTR, without its dot."""
        found = self.dns_ptr(eip.public_ip)
        return found.rstrip(".") if found else None

    def dns_ptr(self, address: str) -> str | None:
        found = Publisher(self.model).ptr(address)
        return found[0] if found else None

    def all_eips(self) -> list[Eip]:
        return list(self.model.network.by_ip.values())

    def selects(self, eip: Eip, selector: Mapping[str, Any]) -> bool:
        """Does a selector of a spec mean the address?"""
        if not self._sends(eip) and {"natGatewayID", "natGatewayTags"} & selector.keys():
            return False
        gateway = self.model.account(eip.account).region(eip.region).nat.gateways.get(eip.nat_gateway)
        by_tags = has_tags(eip.tags, selector.get("tags")) or has_tags(
            gateway.tags if gateway is not None else {}, selector.get("natGatewayTags")
        )
        return selector.get("region", REGION) == eip.region and any(
            by_tags or (value is not None and value == selector.get(key))
            for key, value in (
                ("allocationID", eip.allocation_id),
                ("publicIP", eip.public_ip),
                ("natGatewayID", eip.nat_gateway),
                ("instanceID", eip.instance),
                ("networkInterfaceID", eip.network_interface),
            )
        )

    def selects_any(self, eip: Eip, selectors: Sequence[Mapping[str, Any]]) -> bool:
        """Does one of the selectors mean the address, as the world is now?"""
        return any(self.selects(eip, selector) for selector in selectors)

    def _sends(self, eip: Eip) -> bool:
        """Does no gateway drain the address?"""
        if not eip.nat_gateway:
            return True
        _, gateway = self.model.gateway(eip.nat_gateway)
        return not any(a.eip is eip and a.status == "disassociating" for a in gateway.addresses)

    # ------------------------------------------------------------ outsiders

    def become(self, service: str, account: str | None) -> None:
        """From now on the operator's credentials for a service are another account's; None = as at first."""
        self.note("outside", f"{service} credentials of account {account or 'as before'}")
        if account is not None:
            self.control.register_key(f"AKIA{account}", account)
        self.use_key(service, None if account is None else f"AKIA{account}")

    def use_key(self, service: str, key: str | None) -> None:
        """From now on the operator's calls of a service are made with this access key; None = the first one."""
        if self.keys.get(service) == key:
            return
        self.keys.pop(service, None)
        if key is not None:
            self.keys[service] = key
        for concerned, listener in self.renewal_listeners:
            if concerned == service:
                listener()

    def outside(self, what: str, *touched: str) -> None:
        """Write down that somebody else changed these names or addresses."""
        self.note("outside", what)
        for each in touched:
            self.touched[each] = self.clock()

    def put_record(self, name: str, values: Sequence[str], rtype: str = "A", ttl: int = 300) -> None:
        zone = self.zone_of(name)
        assert zone is not None
        self._foreign(zone, name, rtype, "UPSERT", values, ttl)

    def drop_record(self, name: str, rtype: str = "A") -> None:
        zone = self.zone_of(name)
        assert zone is not None
        found = self.record(zone, name, rtype)
        if found is not None:
            self._foreign(zone, name, rtype, "DELETE", found[1], found[0])

    def _foreign(
        self, zone: HostedZone, name: str, rtype: str, verb: str, values: Sequence[str], ttl: int
    ) -> None:
        record = {"Name": name, "Type": rtype, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values]}
        self.outside(f"{verb} {name} {rtype} {list(values)}", name.removeprefix("_mailegress."), *values)
        self.control.put_records(zone.id, [{"Action": verb, "ResourceRecordSet": record}])

    def force_ptr(self, eip: Eip, name: str | None) -> None:
        self.outside(f"PTR of {eip.public_ip} becomes {name}", eip.public_ip)
        self.calls.forced(eip.public_ip, name)
        self.control.force_ptr(eip.public_ip, name)

    def lose(self, eip: Eip) -> None:
        self.outside(f"{eip.public_ip} is released", eip.public_ip)
        self.control.lose_eip(eip.public_ip)

    def nat_gateway(self, eips: Sequence[Eip]) -> str:
        reply = self.service.handle(
            Call(
                "ec2", "CreateNatGateway",
                {
                    "SubnetId": "subnet-0123456789abcdef0", "AllocationId": eips[0].allocation_id,
                    "SecondaryAllocationIds": [e.allocation_id for e in eips[1:]],
                },
                REGION,
            )
        )  # fmt: skip
        found: str = reply["NatGateway"]["NatGatewayId"]
        return found

    def instance(self, eip: Eip) -> str:
        made: str = self.control.create_instance(REGION)["id"]
        self.service.handle(
            Call("ec2", "AssociateAddress", {"AllocationId": eip.allocation_id, "InstanceId": made}, REGION)
        )
        return made


# ---------------------------------------------------------------- the AWS seam


@dataclass
class SimAws(Operations):
    """``AwsApi`` of one operator process. ``gate`` raises once the process is dead."""

    world: World
    gate: Callable[[], None]
    take: Callable[[], Plan | None] = lambda: None
    """The fault that this task's request meets."""
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

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
        world = self.world
        key = world.keys.get((caller or service).value, "")
        call = Call(service.value, operation, dict(arguments), region, key)
        began = world.clock()
        world.calls.sent(call)
        plan = self.take()
        await self.sleep(AWS_LATENCY)
        self.gate()
        write = operation in WRITES
        if plan is not None and plan.when == "before":
            await self._fail(service, operation, plan, call)
        if (code := world.hidden.get(str(arguments.get("HostedZoneId") or arguments.get("Id")))) is not None:
            raise AwsError(service, operation, code, "the zone is not visible to this role", 403)
        if write:
            world.note("aws", _shown(call))
            world.calls.before(call)
        reply = world.service.exchange(call)
        if write and (reply.fault is None and not reply.garbage):
            world.calls.after(call)
        if reply.fault is not None:
            world.note("aws", f"  {operation}: {reply.fault.code}: {reply.fault.message[:200]}")
        await self.sleep(AWS_LATENCY + reply.delay)
        self.gate()
        if plan is not None and plan.when == "after" and reply.fault is None:
            await self._fail(service, operation, plan, call)
        if reply.cut:
            await self.sleep(READ_TIMEOUT)
            self.gate()
            raise AwsError(service, operation, "Timeout", "the connection was cut")
        if reply.garbage:
            raise AwsError(service, operation, "InvalidResponse", "garbage")
        if reply.fault is not None:
            fault = reply.fault
            raise AwsError(service, operation, fault.code, fault.message, fault.status)
        if not write:
            world.note("read", f"{operation} {' '.join(map(str, arguments.values()))[:120]}")
            world.calls.read(call, began)
        return parsed(reply.response)

    async def _fail(self, service: Service, operation: str, plan: Plan, call: Call) -> None:
        ec2 = service is Service.EC2
        if plan.kind == "timeout":
            await self.sleep(READ_TIMEOUT)
            self.gate()
        code, status = {
            "5xx": ("InternalError" if ec2 else "ServiceUnavailable", 503),
            "timeout": ("Timeout", 0),
            "throttle": ("RequestLimitExceeded", 503) if ec2 else ("Throttling", 400),
            "denied": ("UnauthorizedOperation" if ec2 else "AccessDenied", 403),
        }[plan.kind]
        if plan.kind in ("5xx", "timeout"):
            self.world.calls.unknown(call)
        # What AWS says is another party's text, and it differs from request to request.
        request = uuid.UUID(int=round(self.world.clock() * 1e6))
        text = f"injected {plan.kind} \x1b[31m\u202e\r\nRequestId: {request}"
        raise AwsError(service, operation, code, text, status)

    def on_renewal(self, service: Service, listener: Callable[[], None]) -> None:
        self.world.renewal_listeners.append((service.value, listener))

    def _shortened(self, operation: str, items: tuple[T, ...]) -> tuple[T, ...]:
        lacks = self.world.short.pop(operation, None)
        if lacks is None:
            return items
        self.world.note("sight", f"a page of {operation} lacks entries")
        return items[lacks - 1 :: 2] if lacks else ()

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        rows = await super().describe_addresses(region, allocation_ids)
        return rows if allocation_ids is not None else self._shortened("DescribeAddresses", rows)

    async def list_hosted_zones(self, marker: str = "") -> Page[Zone]:
        page = await super().list_hosted_zones(marker)
        shown = tuple(z for z in page.items if z.id not in self.world.hidden)
        return Page(self._shortened("ListHostedZones", shown), page.next)


def _shown(call: Call) -> str:
    if call.operation == "ChangeResourceRecordSets":
        return "ChangeResourceRecordSets " + "; ".join(
            f"{c['Action']} {c['ResourceRecordSet']['Name']} {c['ResourceRecordSet']['Type']} "
            f"{c['ResourceRecordSet'].get('TTL')} {[v['Value'] for v in c['ResourceRecordSet']['ResourceRecords']]}"
            for c in call.params["ChangeBatch"]["Changes"]
        )
    return f"{call.operation} {call.params.get('AllocationId', '')} {call.params.get('DomainName', '')}"


# ---------------------------------------------------------------- the DNS seam


@dataclass
class SimDns:
    """``DnsQuery`` of one operator process."""

    world: World
    gate: Callable[[], None]
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def __call__(
        self,
        server: Server,
        name: str,
        rtype: dns.rdatatype.RdataType,
        *,
        recurse: bool,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        began = self.world.clock()
        await self.sleep(DNS_LATENCY)
        self.gate()
        kind = dns.rdatatype.to_text(rtype)
        try:
            reply = self.world.dns.query(server.address, name, kind, rd=recurse, transport="tcp")
        except KeyError:
            reply = None
        if reply is None or (kind == "A" and not recurse):
            self.world.note("answer", str(server), name, kind, reply)
        if reply is None:
            await self.sleep(DNS_TIMEOUT)
            self.gate()
            raise DnsTimeout(f"{server} is silent")
        self.world.calls.question(server.address, name.rstrip("."), kind, began)
        await self.sleep(DNS_LATENCY + reply.delay)
        self.gate()
        return _message(replace(reply, delay=0.0) if reply.delay else reply)


def forget_answers() -> None:
    """Empty the caches of answers: they are the simulation's, not the operator's."""
    _message.cache_clear()
    codec._encode.cache_clear()


@lru_cache(maxsize=8192)
def _message(reply: Reply) -> dns.message.Message:
    """Parsed from the wire form; shared, because nobody changes an answer."""
    return dns.message.from_wire(encode(reply, 1, edns=True, limit=TCP_SIZE))


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
