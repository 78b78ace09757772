"""EC2 of one account and region: NAT gateways and the Elastic IPs they send from."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .base import AwsFault, Context, Ids, Params, Response
from .compute import Compute
from .ec2 import Addresses
from .eip import Eip
from .filters import apply_filters, read_tags, show_tags
from .settings import Settings

GONE_AFTER = 3600.0
"""A deleted NAT gateway stays visible for about an hour (page "Work with NAT gateways")."""


@dataclass(slots=True)
class NatAddress:
    """One address of a gateway. `status` is fixed by hand, or None: then time decides."""

    eip: Eip
    primary: bool
    network_interface: str
    since: float
    status: str | None = None
    zone: str = ""
    """The Availability Zone that it serves; regional gateways only."""


@dataclass(slots=True)
class NatGateway:
    id: str
    subnet: str
    created: float
    addresses: list[NatAddress] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    deleted: float | None = None
    failure: str | None = None
    regional: bool = False
    automatic: bool = False
    """AWS allocates its addresses, one for each Availability Zone, and more when it needs them."""


class NatGateways:
    def __init__(self, addresses: Addresses, compute: Compute, ids: Ids, settings: Settings) -> None:
        self.gateways: dict[str, NatGateway] = {}
        self._addresses = addresses
        self._compute = compute
        self._ids = ids
        self._settings = settings
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "CreateNatGateway": self.create_nat_gateway,
            "DeleteNatGateway": self.delete_nat_gateway,
            "AssociateNatGatewayAddress": self.associate_nat_gateway_address,
            "DisassociateNatGatewayAddress": self.disassociate_nat_gateway_address,
            "DescribeNatGateways": self.describe_nat_gateways,
        }

    def gateway(self, gateway_id: str, now: float) -> NatGateway:
        """Raises NatGatewayNotFound."""
        found = self.gateways.get(gateway_id)
        if found is None or self._gone(found, now):
            raise AwsFault("NatGatewayNotFound", f"NAT gateway {gateway_id} was not found")
        return found

    def _gone(self, gateway: NatGateway, now: float) -> bool:
        return gateway.deleted is not None and now > gateway.deleted + GONE_AFTER

    def _state(self, gateway: NatGateway, now: float) -> str:
        wait = self._settings.delays.nat_gateway
        if gateway.failure:
            return "failed"
        if gateway.deleted is not None:
            return "deleted" if now >= gateway.deleted + wait else "deleting"
        return "available" if now >= gateway.created + wait else "pending"

    def attach(
        self, gateway: NatGateway, eip: Eip, now: float, status: str | None = None, zone: str = ""
    ) -> NatAddress:
        """Give a gateway one more address. Raises for an address in use."""
        if eip.association_id:
            raise AwsFault(
                "Resource.AlreadyAssociated",
                f"Elastic IP address [{eip.allocation_id}] is already associated",
            )
        interface = self._ids.hex("eni")
        eip.association_id = self._ids.hex("eipassoc")
        eip.nat_gateway, eip.network_interface = gateway.id, interface
        eip.private_ip = self._compute.private_address()
        address = NatAddress(eip, not gateway.addresses, interface, now, status, zone)
        gateway.addresses.append(address)
        return address

    def detach(self, gateway: NatGateway, allocation_id: str) -> None:
        """Take an address away at once."""
        kept = [each for each in gateway.addresses if each.eip.allocation_id != allocation_id]
        for each in gateway.addresses:
            if each not in kept and each.eip.nat_gateway == gateway.id:
                each.eip.detach()
        if kept and not any(each.primary for each in kept):
            kept[0].primary = True
        gateway.addresses = kept

    def add_automatic(self, now: float, tags: dict[str, str] | None = None) -> NatGateway:
        """A regional gateway without an address yet."""
        made = NatGateway(self._ids.hex("nat"), "", now, tags=dict(tags or {}), regional=True, automatic=True)
        self.gateways[made.id] = made
        return made

    def grow(self, gateway: NatGateway, now: float, zone: str, status: str | None = None) -> Eip:
        """AWS allocates an address for a regional gateway and attaches it. Raises ValueError for another gateway."""
        if not gateway.automatic:
            raise ValueError(f"{gateway.id} is no regional NAT gateway to which AWS adds addresses")
        eip = self._addresses.allocate(service_managed="rnat")
        self.attach(gateway, eip, now, status, zone)
        return eip

    def shrink(self, gateway: NatGateway, eip: Eip) -> None:
        """A gateway loses an address; one that AWS allocated for it is released, with or without a PTR (assumption)."""
        self.detach(gateway, eip.allocation_id)
        if eip.service_managed:
            self._addresses.forget(eip)

    def forget_eip(self, eip: Eip) -> None:
        """An address left this account or was lost: no gateway sends from it any more."""
        for gateway in self.gateways.values():
            self.detach(gateway, eip.allocation_id)

    # -- operations ---------------------------------------------------------------------------------------

    def create_nat_gateway(self, context: Context, params: Params) -> Response:
        if params.get("AvailabilityMode") == "regional":
            return self._create_regional(context, params)
        ids = [str(each) for each in params.get("SecondaryAllocationIds") or []]
        if params.get("ConnectivityType", "public") == "public":
            if not params.get("AllocationId"):
                raise AwsFault("MissingParameter", "The request must contain the parameter AllocationId")
            ids.insert(0, str(params["AllocationId"]))
        eips = [self._addresses.by_allocation(each) for each in ids]
        if any(eip.association_id for eip in eips):
            raise AwsFault("Resource.AlreadyAssociated", "An Elastic IP address is already associated")
        gateway = NatGateway(
            self._ids.hex("nat"),
            str(params.get("SubnetId") or "subnet-0123456789abcdef0"),
            context.now,
            tags=read_tags(params, "natgateway"),
        )
        self.gateways[gateway.id] = gateway
        for eip in eips:
            self.attach(gateway, eip, context.now)
        return {"NatGateway": self._show(gateway, context.now)}

    def _create_regional(self, context: Context, params: Params) -> Response:
        """API_CreateNatGateway: without AvailabilityZoneAddresses AWS chooses zones and addresses (automatic mode)."""
        if not params.get("VpcId"):
            raise AwsFault("MissingParameter", "The request must contain the parameter VpcId")
        for name in ("SubnetId", "AllocationId", "SecondaryAllocationIds"):
            if params.get(name):
                raise AwsFault(
                    "InvalidParameterCombination", f"{name} cannot be used with a regional NAT gateway"
                )
        chosen = [
            (str(each.get("AvailabilityZone") or each.get("AvailabilityZoneId") or ""), str(allocation_id))
            for each in params.get("AvailabilityZoneAddresses") or []
            for allocation_id in each.get("AllocationIds") or []
        ]
        eips = [(zone, self._addresses.by_allocation(allocation_id)) for zone, allocation_id in chosen]
        if any(eip.association_id for _, eip in eips):
            raise AwsFault("Resource.AlreadyAssociated", "An Elastic IP address is already associated")
        gateway = self.add_automatic(context.now, read_tags(params, "natgateway"))
        gateway.automatic = not chosen
        for zone, eip in eips:
            self.attach(gateway, eip, context.now, zone=zone)
        if gateway.automatic:
            # Assumption: the VPC has an interface in one zone at first.
            self.grow(gateway, context.now, f"{self._addresses.region}a")
        return {"NatGateway": self._show(gateway, context.now)}

    def delete_nat_gateway(self, context: Context, params: Params) -> Response:
        gateway = self.gateway(str(params["NatGatewayId"]), context.now)
        if gateway.deleted is None:
            gateway.deleted = context.now
            for address in gateway.addresses:
                address.eip.detach()
                if address.eip.service_managed:
                    self._addresses.forget(address.eip)
        return {"NatGatewayId": gateway.id}

    def associate_nat_gateway_address(self, context: Context, params: Params) -> Response:
        gateway = self.gateway(str(params["NatGatewayId"]), context.now)
        eips = [self._addresses.by_allocation(str(each)) for each in params.get("AllocationIds") or []]
        zone = str(params.get("AvailabilityZone") or params.get("AvailabilityZoneId") or "")
        if gateway.regional and not zone:
            raise AwsFault("MissingParameter", "The request must contain the parameter AvailabilityZone")
        made = [self.attach(gateway, eip, context.now, zone=zone) for eip in eips]
        return {
            "NatGatewayId": gateway.id,
            "NatGatewayAddresses": [self._show_address(gateway, each, context.now) for each in made],
        }

    def disassociate_nat_gateway_address(self, context: Context, params: Params) -> Response:
        gateway = self.gateway(str(params["NatGatewayId"]), context.now)
        wanted = {str(each) for each in params.get("AssociationIds") or []}
        gone = [each for each in gateway.addresses if each.eip.association_id in wanted]
        shown = [
            {**self._show_address(gateway, each, context.now), "Status": "disassociating"} for each in gone
        ]
        for each in gone:
            self.detach(gateway, each.eip.allocation_id)
        return {"NatGatewayId": gateway.id, "NatGatewayAddresses": shown}

    def describe_nat_gateways(self, context: Context, params: Params) -> Response:
        size = params.get("MaxResults")
        if size is not None and not 5 <= int(size) <= 1000:
            raise AwsFault("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid")
        now = context.now
        ids = params.get("NatGatewayIds")
        chosen: Iterable[NatGateway]
        if ids:
            chosen = [self.gateway(str(each), now) for each in ids]
        else:
            chosen = [each for each in self.gateways.values() if not self._gone(each, now)]
        getters: dict[str, Callable[[NatGateway], Iterable[str]]] = {
            "nat-gateway-id": lambda gateway: (gateway.id,),
            "state": lambda gateway: (self._state(gateway, now),),
            "subnet-id": lambda gateway: (gateway.subnet,),
            "vpc-id": lambda gateway: ("vpc-0123456789abcdef0",),
        }
        kept = apply_filters(chosen, params.get("Filter"), getters, lambda gateway: gateway.tags)
        kept.sort(key=lambda gateway: gateway.id)
        after = str(params.get("NextToken") or "")
        kept = [gateway for gateway in kept if gateway.id > after]
        limit = int(size) if size is not None else 1000
        out: Response = {"NatGateways": [self._show(gateway, now) for gateway in kept[:limit]]}
        if len(kept) > limit:
            out["NextToken"] = kept[limit - 1].id
        return out

    def _show(self, gateway: NatGateway, now: float) -> Response:
        out: Response = {
            "NatGatewayId": gateway.id,
            "SubnetId": gateway.subnet,
            "VpcId": "vpc-0123456789abcdef0",
            "State": self._state(gateway, now),
            "ConnectivityType": "public" if gateway.addresses else "private",
            "CreateTime": datetime.datetime.fromtimestamp(gateway.created, datetime.UTC),
            "NatGatewayAddresses": [self._show_address(gateway, each, now) for each in gateway.addresses],
        }
        if gateway.regional:
            del out["SubnetId"]
            out["AvailabilityMode"] = "regional"
            switch = "enabled" if gateway.automatic else "disabled"
            out["AutoScalingIps"] = out["AutoProvisionZones"] = switch
        else:
            out["AvailabilityMode"] = "zonal"
        if gateway.failure:
            out["FailureCode"] = gateway.failure
        if gateway.deleted is not None:
            out["DeleteTime"] = datetime.datetime.fromtimestamp(gateway.deleted, datetime.UTC)
        if gateway.tags:
            out["Tags"] = show_tags(gateway.tags)
        return out

    def _show_address(self, gateway: NatGateway, address: NatAddress, now: float) -> Response:
        done = now >= address.since + self._settings.delays.nat_gateway
        zone = {"AvailabilityZone": address.zone} if address.zone else {}
        return {
            **zone,
            "AllocationId": address.eip.allocation_id,
            "PublicIp": address.eip.public_ip,
            "NetworkInterfaceId": address.network_interface,
            "PrivateIp": address.eip.private_ip,
            "AssociationId": address.eip.association_id,
            "IsPrimary": address.primary,
            "Status": address.status or ("succeeded" if done else "associating"),
        }
