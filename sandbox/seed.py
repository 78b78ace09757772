"""The world that ``deploy/samples`` refer to: one account with hosts, gateways, addresses and zones.

Everything is there before the operator starts, as in the account of a team that begins to use it: the
public zone example.com in Route 53, a NAT gateway and a mail server with Elastic IPs of their own, some spare
addresses in two regions, and example.net at another DNS company. All addresses are from RFC 5737's
documentation ranges.
"""

from __future__ import annotations

from sandbox.aws.model import AwsModel
from sandbox.aws.model.aws import DELEGATION_SETS
from sandbox.aws.model.compute import Instance
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.nat import GONE_AFTER, NatGateway
from sandbox.aws.model.state import Region
from sandbox.aws.model.zones import Zone
from sandbox.dns.model import DnsWorld

HOME, AWAY = "ap-northeast-1", "eu-west-1"
REGIONS = (HOME, AWAY)
"""The operator's regions; the first is its default."""

ZONE, ZONE_ID = "example.com", "Z0123456789ABCDEFGHIJ"
OTHER_ZONE, OBSERVED_HOST = "example.net", "relay.example.net"
NAT_GATEWAY = "nat-0123456789abcdef0"
NAT_EIPS = {"eipalloc-0aaaaaaaaaaaaaaa1": "203.0.113.10", "eipalloc-0aaaaaaaaaaaaaaa2": "203.0.113.11"}
INSTANCE = "i-0123456789abcdef0"
INSTANCE_EIPS = {"eipalloc-0bbbbbbbbbbbbbbb1": "203.0.113.30", "eipalloc-0bbbbbbbbbbbbbbb2": "203.0.113.31"}
SPARE_EIPS = {
    (HOME, "eipalloc-0123456789abcdef0"): "203.0.113.21",
    (AWAY, "eipalloc-0123456789abcdef1"): "198.51.100.21",
    (HOME, "eipalloc-0ccccccccccccccc1"): "203.0.113.20",
}
TAGGED_EIPS = {"eipalloc-0ddddddddddddddd1": "203.0.113.50", "eipalloc-0ddddddddddddddd2": "203.0.113.51"}
TAGS = {"use": "mail"}
OBSERVED_EIP = ("eipalloc-0fedcba9876543210", "203.0.113.40")


def seed_samples(model: AwsModel, dns: DnsWorld) -> None:
    """Make the world of the samples in a model in which nothing has happened yet."""
    account = model.account()
    zone = Zone(
        id=ZONE_ID,
        name=f"{ZONE}.",
        account=account.id,
        private=False,
        name_servers=DELEGATION_SETS[0],
        caller_reference="samples",
    )
    account.route53.zones[zone.id] = zone

    home, away = account.region(HOME), account.region(AWAY)
    _nat_gateway(model, home)
    _instance(model, home)
    for (region, allocation_id), public_ip in SPARE_EIPS.items():
        add_eip(model, home if region == HOME else away, allocation_id, public_ip)

    for allocation_id, public_ip in TAGGED_EIPS.items():
        add_eip(model, home, allocation_id, public_ip).tags.update(TAGS)

    allocation_id, public_ip = OBSERVED_EIP
    add_eip(model, home, allocation_id, public_ip)
    other = dns.add_zone(OTHER_ZONE)
    other.put(OBSERVED_HOST, "A", [public_ip])


def add_eip(model: AwsModel, region: Region, allocation_id: str, public_ip: str) -> Eip:
    """An Elastic IP that is attached to nothing."""
    eip = Eip(allocation_id, public_ip, region.addresses.account, region.addresses.region)
    region.addresses.eips[allocation_id] = eip
    model.network.by_ip[public_ip] = eip
    return eip


def _nat_gateway(model: AwsModel, region: Region) -> None:
    # Old enough to be available, whatever the delays are.
    since = model.now() - GONE_AFTER
    gateway = NatGateway(NAT_GATEWAY, "subnet-0123456789abcdef0", since, tags={"Name": "egress"})
    region.nat.gateways[gateway.id] = gateway
    for allocation_id, public_ip in NAT_EIPS.items():
        region.nat.attach(gateway, add_eip(model, region, allocation_id, public_ip), since)


def _instance(model: AwsModel, region: Region) -> None:
    instance = Instance(
        INSTANCE,
        region.compute.private_address(),
        model.ids.hex("eni"),
        model.now() - GONE_AFTER,
        tags={"Name": "mail-server"},
    )
    region.compute.instances[instance.id] = instance
    for number, (allocation_id, public_ip) in enumerate(INSTANCE_EIPS.items()):
        eip = add_eip(model, region, allocation_id, public_ip)
        eip.association_id = model.ids.hex("eipassoc")
        eip.instance, eip.network_interface = instance.id, instance.network_interface
        eip.private_ip = instance.private_ip if number == 0 else region.compute.private_address()
