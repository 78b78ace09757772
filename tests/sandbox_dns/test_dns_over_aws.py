"""The DNS world over the AWS model: publication lag, delegation and the PTR's precondition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.aws.model import AwsFault, AwsModel
from sandbox.aws.model.publish import Publisher
from sandbox.aws.model.records import RecordSet
from sandbox.aws.service import AwsService, Call
from sandbox.dns.aws_source import AwsSource
from sandbox.dns.model import DnsWorld

RECURSOR = "127.0.53.101"


@dataclass
class Cloud:
    """AWS and DNS on one clock."""

    now: float = 1_000_000.0
    aws: AwsModel = field(init=False)
    dns: DnsWorld = field(init=False)

    def __post_init__(self) -> None:
        self.aws = AwsModel(lambda: self.now)
        self.dns = DnsWorld(AwsSource(Publisher(self.aws)), lambda: self.now)
        self.aws.resolve_a = self.dns.resolve_a

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return dict(AwsService(self.aws).handle(Call(service, operation, params)))

    def publish(self, zone: Any, name: str, *values: str, rtype: str = "A") -> None:
        zone.commit([((name, rtype, ""), RecordSet(name, rtype, 300, values))], self.now)

    def ask(self, server: str, name: str, rtype: str = "A") -> Any:
        return self.dns.query(server, name, rtype, rd=True)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_the_four_servers_follow_one_after_the_other(cloud: Cloud) -> None:
    zone = cloud.aws.account().route53.add_zone("example.com")
    cloud.publish(zone, "mta.example.com.", "203.0.113.7")
    servers = [cloud.dns.address_of(server) for server in zone.name_servers]
    cloud.now += 17  # 12 s to the first, 4 s more to each of the others
    assert [cloud.ask(s, "mta.example.com").rcode for s in servers] == ["NOERROR"] * 2 + ["NXDOMAIN"] * 2
    cloud.now += 8
    assert all(cloud.ask(s, "mta.example.com").values() == {"203.0.113.7"} for s in servers)
    assert cloud.ask(RECURSOR, "mta.example.com").values() == {"203.0.113.7"}


def test_every_pool_server_of_the_model_has_an_address(cloud: Cloud) -> None:
    for i in range(4):
        zone = cloud.aws.account().route53.add_zone(f"zone{i}.example.org")
        for server in zone.name_servers:
            assert cloud.ask(cloud.dns.address_of(server), f"zone{i}.example.org", "SOA").aa
        assert cloud.ask(RECURSOR, f"zone{i}.example.org", "NS").values() == {
            s + "." for s in zone.name_servers
        }


def test_of_twins_the_first_is_the_worlds_and_a_deleted_one_is_refused(cloud: Cloud) -> None:
    first = cloud.aws.account().route53.add_zone("example.com")
    twin = cloud.aws.account().route53.add_zone("example.com")
    assert cloud.ask(RECURSOR, "example.com", "NS").values() == {s + "." for s in first.name_servers}
    server = cloud.dns.address_of(twin.name_servers[0])
    assert cloud.ask(server, "example.com", "SOA").rcode == "NOERROR"
    cloud.call("route53", "DeleteHostedZone", Id=twin.id)
    assert cloud.ask(server, "example.com", "SOA").rcode == "REFUSED"


def test_wildcards_and_escaped_names(cloud: Cloud) -> None:
    zone = cloud.aws.account().route53.add_zone("example.com")
    cloud.publish(zone, "\\052.example.com.", "203.0.113.8")
    cloud.publish(zone, "a\\057b.example.com.", "203.0.113.9")
    cloud.now += 60
    source = AwsSource(Publisher(cloud.aws))
    assert source.lookup(zone.id, zone.name_servers[0], "any.example.com.") is None
    assert source.lookup(zone.id, zone.name_servers[0], "*.example.com.") == {"A": (300, ("203.0.113.8",))}
    server = cloud.dns.address_of(zone.name_servers[0])
    assert cloud.ask(server, "any.example.com").answer[0].name == "any.example.com."
    assert cloud.ask(server, "any.example.com").values() == {"203.0.113.8"}
    assert cloud.ask(server, "*.example.com").values() == {"203.0.113.8"}
    assert cloud.ask(server, "a/b.example.com").values() == {"203.0.113.9"}
    assert cloud.ask(server, "a\\047b.example.com").values() == {"203.0.113.9"}  # decimal, as DNS text has it


def test_a_ptr_is_taken_only_once_the_world_sees_the_a_record(cloud: Cloud) -> None:
    zone = cloud.aws.account().route53.add_zone("example.com")
    made = cloud.call("ec2", "AllocateAddress")
    address, allocation = made["PublicIp"], made["AllocationId"]
    wanted = {"AllocationId": allocation, "DomainName": "mta.example.com"}
    with pytest.raises(AwsFault):
        cloud.call("ec2", "ModifyAddressAttribute", **wanted)
    cloud.publish(zone, "mta.example.com.", address)
    cloud.now += 60
    cloud.call("ec2", "ModifyAddressAttribute", **wanted)
    cloud.now += 180
    reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    reply = cloud.ask(RECURSOR, reverse, "PTR")
    assert (reply.values(), reply.answer[0].ttl) == ({"mta.example.com."}, 300)
