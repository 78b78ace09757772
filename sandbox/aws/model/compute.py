"""EC2 of one account and region: what an Elastic IP is attached to (instances, NAT gateways)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .base import AwsFault, Context, Ids, Params, Response
from .ec2 import Addresses
from .eip import Eip
from .filters import apply_filters, read_tags, show_tags

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


@dataclass(slots=True)
class Instance:
    id: str
    private_ip: str
    network_interface: str
    launched: float
    state: str = "running"
    tags: dict[str, str] = field(default_factory=dict)


_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopped": 80}
_INSTANCE_FILTERS: dict[str, Callable[[Instance], Iterable[str]]] = {
    "instance-id": lambda instance: (instance.id,),
    "instance-state-name": lambda instance: (instance.state,),
    "private-ip-address": lambda instance: (instance.private_ip,),
}


class Compute:
    """Instances and associations; light: no VPCs, no images, no life cycle beyond running and terminated."""

    def __init__(self, addresses: Addresses, ids: Ids) -> None:
        self.instances: dict[str, Instance] = {}
        self._addresses = addresses
        self._ids = ids
        self._count = 0
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "RunInstances": self.run_instances,
            "TerminateInstances": self.terminate_instances,
            "DescribeInstances": self.describe_instances,
            "AssociateAddress": self.associate_address,
            "DisassociateAddress": self.disassociate_address,
        }

    def private_address(self) -> str:
        self._count += 1
        return f"10.0.{self._count // 250 % 250}.{self._count % 250 + 4}"

    def add_instance(self, now: float, tags: dict[str, str] | None = None) -> Instance:
        instance = Instance(
            self._ids.hex("i"), self.private_address(), self._ids.hex("eni"), now, tags=dict(tags or {})
        )
        self.instances[instance.id] = instance
        return instance

    def instance(self, instance_id: str) -> Instance:
        """Raises InvalidInstanceID.NotFound or .Malformed."""
        if not _INSTANCE.fullmatch(instance_id):
            raise AwsFault("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        if instance_id not in self.instances:
            raise AwsFault("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return self.instances[instance_id]

    def attached_to(self, instance: Instance) -> list[Eip]:
        return [eip for eip in self._addresses.eips.values() if eip.instance == instance.id]

    # -- operations ---------------------------------------------------------------------------------------

    def run_instances(self, context: Context, params: Params) -> Response:
        count = int(params.get("MaxCount") or 1)
        made = [self.add_instance(context.now, read_tags(params, "instance")) for _ in range(count)]
        return {
            "ReservationId": self._ids.hex("r"),
            "OwnerId": context.account,
            "Instances": [self._show(instance) for instance in made],
        }

    def terminate_instances(self, context: Context, params: Params) -> Response:
        out = []
        for each in params.get("InstanceIds") or []:
            instance = self.instance(str(each))
            previous = instance.state
            instance.state = "terminated"
            for eip in self.attached_to(instance):
                eip.detach()
            out.append(
                {
                    "InstanceId": instance.id,
                    "PreviousState": _state(previous),
                    "CurrentState": _state(instance.state),
                }
            )
        return {"TerminatingInstances": out}

    def describe_instances(self, context: Context, params: Params) -> Response:
        ids = params.get("InstanceIds")
        chosen = [self.instance(str(each)) for each in ids] if ids else list(self.instances.values())
        kept = apply_filters(chosen, params.get("Filters"), _INSTANCE_FILTERS, lambda each: each.tags)
        return {
            "Reservations": [
                {
                    "ReservationId": "r-" + each.id[2:],
                    "OwnerId": context.account,
                    "Instances": [self._show(each)],
                }
                for each in kept
            ]
        }

    def _show(self, instance: Instance) -> Response:
        eips = self.attached_to(instance)
        addresses: list[Response] = []
        for number, private_ip in enumerate(
            dict.fromkeys([instance.private_ip, *(eip.private_ip for eip in eips)])
        ):
            shown: Response = {"PrivateIpAddress": private_ip, "Primary": number == 0}
            for eip in eips:
                if eip.private_ip == private_ip:
                    shown["Association"] = {"PublicIp": eip.public_ip, "IpOwnerId": eip.account}
            addresses.append(shown)
        out: Response = {
            "InstanceId": instance.id,
            "InstanceType": "t3.micro",
            "State": _state(instance.state),
            "LaunchTime": datetime.datetime.fromtimestamp(instance.launched, datetime.UTC),
            "PrivateIpAddress": instance.private_ip,
            "NetworkInterfaces": [
                {
                    "NetworkInterfaceId": instance.network_interface,
                    "PrivateIpAddress": instance.private_ip,
                    "PrivateIpAddresses": addresses,
                    "Status": "in-use",
                }
            ],
        }
        if addresses[0].get("Association"):
            out["PublicIpAddress"] = addresses[0]["Association"]["PublicIp"]
        if instance.tags:
            out["Tags"] = show_tags(instance.tags)
        return out

    def associate_address(self, context: Context, params: Params) -> Response:
        if params.get("AllocationId"):
            eip = self._addresses.by_allocation(str(params["AllocationId"]))
        else:
            eip = self._addresses.by_ip(str(params.get("PublicIp") or ""))
        if not params.get("InstanceId"):
            raise AwsFault("MissingParameter", "The request must contain the parameter InstanceId")
        instance = self.instance(str(params["InstanceId"]))
        if instance.state != "running":
            raise AwsFault("IncorrectInstanceState", f"The instance '{instance.id}' is not running")
        private_ip = str(params.get("PrivateIpAddress") or instance.private_ip)
        if eip.association_id and not params.get("AllowReassociation", True):
            raise AwsFault(
                "Resource.AlreadyAssociated",
                f"resource {eip.allocation_id} is already associated with {eip.association_id}",
            )
        if eip.nat_gateway:
            raise AwsFault("InvalidIPAddress.InUse", f"Address '{eip.public_ip}' is in use.")
        for other in self.attached_to(instance):
            if other.private_ip == private_ip and other is not eip:
                other.detach()
        eip.association_id = self._ids.hex("eipassoc")
        eip.instance, eip.network_interface, eip.private_ip = (
            instance.id,
            instance.network_interface,
            private_ip,
        )
        return {"AssociationId": eip.association_id}

    def disassociate_address(self, context: Context, params: Params) -> Response:
        association = str(params.get("AssociationId") or "")
        for eip in self._addresses.eips.values():
            if (association and eip.association_id == association) or (
                not association and eip.public_ip == params.get("PublicIp")
            ):
                if eip.nat_gateway:
                    raise AwsFault(
                        "OperationNotPermitted", f"You do not have permission to detach {eip.association_id}"
                    )
                eip.detach()
                return {}
        raise AwsFault("InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist")


def _state(name: str) -> Response:
    return {"Code": _CODES[name], "Name": name}
