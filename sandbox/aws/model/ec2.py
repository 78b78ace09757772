"""EC2 of one account and region: Elastic IP addresses and their reverse DNS."""

from __future__ import annotations

import base64
import fnmatch
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .base import AwsFault, Context, Ids, Params, Response
from .eip import Eip, PtrUpdate, fqdn
from .filters import apply_filters, read_tags, show_tags
from .settings import Settings

ResolveA = Callable[[str], Iterable[str]]
PtrFailure = Callable[[Eip, str | None], tuple[str, str] | None]

_ALLOCATION = re.compile(r"eipalloc-[0-9a-f]{8,17}")
_HOSTNAME = re.compile(r"(?=.{1,254}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+")
_ADDRESS_FILTERS: dict[str, Callable[[Eip], Iterable[str]]] = {
    "allocation-id": lambda eip: (eip.allocation_id,),
    "association-id": lambda eip: (eip.association_id,),
    "domain": lambda eip: ("vpc",),
    "instance-id": lambda eip: (eip.instance,),
    "network-border-group": lambda eip: (eip.region,),
    "network-interface-id": lambda eip: (eip.network_interface,),
    "network-interface-owner-id": lambda eip: (eip.account if eip.network_interface else "",),
    "private-ip-address": lambda eip: (eip.private_ip,),
    "public-ip": lambda eip: (eip.public_ip,),
}


@dataclass(slots=True)
class Network:
    """What all accounts and regions share: which public addresses are taken, and AWS's view of DNS."""

    settings: Settings
    ids: Ids
    rng: random.Random
    resolve_a: ResolveA
    ptr_failure: PtrFailure
    pool: Iterable[str]
    by_ip: dict[str, Eip] = field(default_factory=dict)

    def next_address(self) -> str:
        for address in self.pool:
            if address not in self.by_ip:
                return address
        raise AwsFault("InsufficientAddressCapacity", "Insufficient capacity.", 500)


class Addresses:
    """Elastic IPs of one account and region."""

    def __init__(self, account: str, region: str, network: Network) -> None:
        self.account = account
        self.region = region
        self.eips: dict[str, Eip] = {}
        self.hidden: dict[str, Eip] = {}
        """Addresses that exist but that no call shows or knows, as if it were made with another account's key."""
        self._network = network
        self._settings = network.settings
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "AllocateAddress": self.allocate_address,
            "ReleaseAddress": self.release_address,
            "DescribeAddresses": self.describe_addresses,
            "DescribeAddressesAttribute": self.describe_addresses_attribute,
            "ModifyAddressAttribute": self.modify_address_attribute,
            "ResetAddressAttribute": self.reset_address_attribute,
        }

    # -- look-ups -----------------------------------------------------------------------------------------

    def by_allocation(self, allocation_id: str) -> Eip:
        """Raises InvalidAllocationID.NotFound, or .Malformed for something that is no such ID."""
        if not _ALLOCATION.fullmatch(allocation_id):
            raise AwsFault("InvalidAllocationID.Malformed", f'Invalid id: "{allocation_id}"')
        eip = self.eips.get(allocation_id)
        if eip is None:
            raise AwsFault(
                "InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist"
            )
        return eip

    def by_ip(self, public_ip: str) -> Eip:
        """Raises InvalidAddress.NotFound."""
        eip = self._network.by_ip.get(public_ip)
        if eip is None or eip.allocation_id not in self.eips:
            raise AwsFault("InvalidAddress.NotFound", f"Address '{public_ip}' not found.")
        return eip

    def settle(self, eip: Eip, now: float) -> Eip:
        eip.settle(now, self._settings.delays.release_lock)
        return eip

    # -- allocation ---------------------------------------------------------------------------------------

    def allocate(
        self, public_ip: str | None = None, tags: dict[str, str] | None = None, service_managed: str = ""
    ) -> Eip:
        address = public_ip or self._network.next_address()
        if address in self._network.by_ip:
            raise AwsFault("InvalidAddress.InUse", f"The address {address} is already allocated")
        eip = Eip(self._network.ids.hex("eipalloc"), address, self.account, self.region, dict(tags or {}))
        eip.service_managed = service_managed
        self.eips[eip.allocation_id] = eip
        self._network.by_ip[address] = eip
        return eip

    def forget(self, eip: Eip) -> None:
        """Remove an address whatever its state."""
        del self.eips[eip.allocation_id]
        del self._network.by_ip[eip.public_ip]

    def allocate_address(self, context: Context, params: Params) -> Response:
        eip = self.allocate(params.get("Address"), read_tags(params, "elastic-ip"))
        return {
            "PublicIp": eip.public_ip,
            "AllocationId": eip.allocation_id,
            "PublicIpv4Pool": "amazon",
            "NetworkBorderGroup": self.region,
            "Domain": "vpc",
        }

    def release_address(self, context: Context, params: Params) -> Response:
        if params.get("AllocationId"):
            eip = self.by_allocation(str(params["AllocationId"]))
        elif params.get("PublicIp"):
            eip = self.by_ip(str(params["PublicIp"]))
        else:
            raise AwsFault("MissingParameter", "Either public IP or allocation id must be specified")
        self.settle(eip, context.now)
        self._check_owner(eip, managed=bool(eip.service_managed))
        if eip.association_id:
            raise AwsFault("InvalidIPAddress.InUse", f"Address '{eip.public_ip}' is in use.")
        if eip.ptr is not None or eip.update is not None or context.now < eip.locked_until:
            raise AwsFault(
                "InvalidAddress.PtrSet",
                f"The address with allocation id {eip.allocation_id} cannot be released because it has a PTR "
                "record associated with it.",
            )
        if params.get("DryRun"):
            raise AwsFault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        self.forget(eip)
        return {}

    # -- describing ---------------------------------------------------------------------------------------

    def describe_addresses(self, context: Context, params: Params) -> Response:
        chosen: Iterable[Eip]
        if params.get("AllocationIds"):
            chosen = [self.by_allocation(str(each)) for each in params["AllocationIds"]]
        elif params.get("PublicIps"):
            chosen = [self.by_ip(str(each)) for each in params["PublicIps"]]
        else:
            chosen = self.eips.values()
        kept = apply_filters(chosen, params.get("Filters"), _ADDRESS_FILTERS, lambda eip: eip.tags)
        return {"Addresses": [self._show(eip) for eip in kept]}

    def _show(self, eip: Eip) -> Response:
        out: Response = {
            "PublicIp": eip.public_ip,
            "AllocationId": eip.allocation_id,
            "Domain": "vpc",
            "PublicIpv4Pool": "amazon",
            "NetworkBorderGroup": eip.region,
        }
        for field_name, value in (
            ("InstanceId", eip.instance),
            ("AssociationId", eip.association_id),
            ("NetworkInterfaceId", eip.network_interface),
            ("NetworkInterfaceOwnerId", eip.account if eip.network_interface else ""),
            ("PrivateIpAddress", eip.private_ip),
            ("ServiceManaged", eip.service_managed),
        ):
            if value:
                out[field_name] = value
        if eip.tags:
            out["Tags"] = show_tags(eip.tags)
        return out

    # -- reverse DNS --------------------------------------------------------------------------------------

    def _check_region(self, operation: str) -> None:
        for pattern, code in self._settings.no_ptr_regions:
            if fnmatch.fnmatchcase(self.region, pattern):
                if code == "InvalidAction":
                    text = f"The action {operation} is not valid for this web service."
                else:
                    text = "The requested operation is not supported in this region."
                raise AwsFault(code, text)

    def _check_owner(self, eip: Eip, managed: bool) -> None:
        if managed:
            raise AwsFault(
                "OperationNotPermitted",
                f"The address with allocation id {eip.allocation_id} is managed by the service {eip.service_managed}.",
            )

    def _refuses_ptr(self, eip: Eip) -> bool:
        if eip.service_managed == "rnat":
            return self._settings.rnat_ptr == "refuse"
        return bool(eip.service_managed)

    def describe_addresses_attribute(self, context: Context, params: Params) -> Response:
        self._check_region("DescribeAddressesAttribute")
        size = params.get("MaxResults")
        if size is not None and not 1 <= int(size) <= 1000:
            raise AwsFault(
                "InvalidParameterValue",
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting 1-1000.",
            )
        attribute = params.get("Attribute")
        if attribute not in (None, "domain-name"):
            raise AwsFault("InvalidParameterValue", f"Invalid value '{attribute}' for attribute")
        ids = params.get("AllocationIds")
        chosen = [self.by_allocation(str(each)) for each in ids] if ids else list(self.eips.values())
        after = _read_token(params.get("NextToken"))
        shown: list[dict[str, object]] = []
        limit = int(size) if size is not None else 1000
        out: Response = {"Addresses": shown}
        for eip in sorted(chosen, key=lambda each: each.allocation_id):
            if eip.allocation_id <= after:
                continue
            found = self.settle(eip, context.now).attribute()
            if found is None:
                continue
            if len(shown) == limit:
                out["NextToken"] = _make_token(str(shown[-1]["AllocationId"]))
                break
            if attribute is None:
                found = {key: found[key] for key in ("PublicIp", "AllocationId")}
            shown.append(found)
        return out

    def modify_address_attribute(self, context: Context, params: Params) -> Response:
        self._check_region("ModifyAddressAttribute")
        eip = self.settle(self.by_allocation(str(params["AllocationId"])), context.now)
        name = fqdn(str(params.get("DomainName") or ""))
        if not _HOSTNAME.fullmatch(name):
            raise AwsFault(
                "InvalidParameterValue", f"The domain name '{params.get('DomainName')}' is not valid"
            )
        if eip.update is not None and self._settings.modify_while_pending == "refuse":
            raise AwsFault(
                "IncorrectState", f"An update of the domain name of {eip.allocation_id} is in progress"
            )
        self._check_owner(eip, managed=self._refuses_ptr(eip))
        self._check_forward(eip, name)
        self.start_update(eip, name, context.now)
        return {"Address": eip.attribute()}

    def _check_forward(self, eip: Eip, name: str) -> None:
        mode = self._settings.ptr_precondition
        if mode == "off":
            return
        found = set(self._network.resolve_a(name))
        if mode == "this-address":
            fits = eip.public_ip in found
        else:
            taken = self._network.by_ip
            fits = any(ip in taken and taken[ip].account == self.account for ip in found)
        if not fits:
            raise AwsFault(
                "InvalidParameterValue",
                f"The domain name '{name.rstrip('.')}' does not resolve to the Elastic IP address "
                f"{eip.public_ip}. Create an A record first.",
            )

    def start_update(self, eip: Eip, value: str | None, now: float) -> None:
        """Begin to set (or, with None, reset) a PTR. A pending update is replaced."""
        delays = self._settings.delays
        wait = delays.ptr_min + self._network.rng.random() * (delays.ptr_max - delays.ptr_min)
        eip.failed = None
        eip.update = PtrUpdate(value, now + wait, self._network.ptr_failure(eip, value))

    def reset_address_attribute(self, context: Context, params: Params) -> Response:
        self._check_region("ResetAddressAttribute")
        eip = self.settle(self.by_allocation(str(params["AllocationId"])), context.now)
        if params.get("Attribute") != "domain-name":
            raise AwsFault(
                "InvalidParameterValue", f"Invalid value '{params.get('Attribute')}' for attribute"
            )
        self._check_owner(eip, managed=self._refuses_ptr(eip))
        if eip.ptr is not None or eip.update is not None:
            self.start_update(eip, None, context.now)
        eip.failed = None
        shown = eip.attribute() or {"PublicIp": eip.public_ip, "AllocationId": eip.allocation_id}
        return {"Address": shown}


def _make_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _read_token(token: object) -> str:
    if not token:
        return ""
    try:
        return base64.urlsafe_b64decode(str(token).encode()).decode()
    except ValueError:
        raise AwsFault("InvalidNextToken", f"The token '{token}' is invalid") from None
