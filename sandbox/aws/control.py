"""What tests do to the world behind AWS's back, as commands with JSON arguments and JSON results."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from .model import AwsModel, DenyRule, FaultRule, Role
from .model.changebatch import check_size, evaluate, read_changes
from .model.publish import Publisher
from .model.world import World, dump

Json = Any


class UnknownCommand(Exception):
    """There is no such command, or its arguments do not fit."""


class Control:
    """The commands. They are not AWS calls: no quota, no permission, no entry in the call log."""

    def __init__(self, model: AwsModel, advance: Callable[[float], None] | None = None) -> None:
        self.model = model
        self._advance = advance
        self._commands: dict[str, Callable[..., Json]] = {
            "dump": self.dump,
            "log": self.log,
            "counts": self.counts,
            "upserts": self.upserts,
            "reset_log": self.reset_log,
            "add_fault": self.add_fault,
            "clear_faults": self.clear_faults,
            "deny": self.deny,
            "allow": self.allow,
            "attach_policy": self.attach_policy,
            "detach_policies": self.detach_policies,
            "policy_uses": self.policy_uses,
            "policy_refusals": self.policy_refusals,
            "settings": self.settings,
            "advance": self.advance,
            "register_key": self.register_key,
            "put_role": self.put_role,
            "revoke_key": self.revoke_key,
            "create_zone": self.create_zone,
            "set_name_servers": self.set_name_servers,
            "set_server_lag": self.set_server_lag,
            "put_records": self.put_records,
            "published": self.published,
            "create_instance": self.create_instance,
            "allocate": self.allocate,
            "set_tags": self.set_tags,
            "remove_tags": self.remove_tags,
            "lose_eip": self.lose_eip,
            "hide_eip": self.hide_eip,
            "show_eip": self.show_eip,
            "transfer_eip": self.transfer_eip,
            "force_ptr": self.force_ptr,
            "fail_ptr": self.fail_ptr,
            "create_regional_nat_gateway": self.create_regional_nat_gateway,
            "add_nat_address": self.add_nat_address,
            "remove_nat_address": self.remove_nat_address,
            "replace_nat_address": self.replace_nat_address,
            "set_nat_address_status": self.set_nat_address_status,
        }

    def run(self, command: str, arguments: dict[str, Any]) -> Json:
        """Raises UnknownCommand; what the command itself raises is a KeyError, ValueError or AwsFault."""
        function = self._commands.get(command)
        if function is None:
            raise UnknownCommand(f"no command {command!r}; there are: {', '.join(sorted(self._commands))}")
        try:
            return function(**arguments)
        except TypeError as error:
            raise UnknownCommand(str(error)) from error

    # -- watching -----------------------------------------------------------------------------------------

    def dump(self) -> World:
        return dump(self.model)

    def log(self, **filters: Any) -> list[Json]:
        return [entry.to_json() for entry in self.model.log.entries(**filters)]

    def counts(self) -> dict[str, int]:
        return self.model.log.counts()

    def upserts(self) -> int:
        return self.model.log.upserts()

    def reset_log(self) -> None:
        self.model.log.reset()

    def published(self, zone_id: str, name: str) -> dict[str, Json]:
        """What each name server of a zone serves for a name: server → rtype → [ttl, values]."""
        publisher = Publisher(self.model)
        out: dict[str, Json] = {}
        for server in self.model.zone(zone_id).name_servers:
            answer = publisher.lookup(zone_id, server, name)
            out[server] = {rtype: [ttl, list(values)] for rtype, (ttl, values) in answer.rrsets.items()}
        return out

    # -- faults, permissions, settings --------------------------------------------------------------------

    def add_fault(self, **rule: Any) -> str:
        return self.model.faults.add(FaultRule(**rule))

    def clear_faults(self, rule_id: str | None = None) -> None:
        self.model.faults.clear(rule_id)

    def deny(self, **rule: Any) -> str:
        return self.model.policy.deny(DenyRule(**rule))

    def allow(self, rule_id: str | None = None) -> None:
        self.model.policy.allow(rule_id)

    def attach_policy(self, principal: str, document: dict[str, Any], name: str = "") -> None:
        """Let callers whose ARN fits `principal` do only what an IAM policy document allows."""
        self.model.policy.attach(principal, document, name)

    def detach_policies(self) -> None:
        self.model.policy.detach()

    def policy_uses(self) -> list[Json]:
        """What the calls so far needed of the attached documents, as `sandbox.aws.model.iam.Use`."""
        return [dataclasses.asdict(use) for use in self.model.policy.used]

    def policy_refusals(self) -> list[str]:
        """Calls that the attached documents refused since the last asking."""
        refused, self.model.policy.refused = self.model.policy.refused, []
        return refused

    def settings(self, **changes: Any) -> Json:
        """Change settings and delays (seconds) by name; the result is all of them."""
        settings = self.model.settings
        delay_names = {field.name for field in dataclasses.fields(settings.delays)}
        delays = {name: value for name, value in changes.items() if name in delay_names}
        others = {name: value for name, value in changes.items() if name not in delay_names}
        known = {field.name for field in dataclasses.fields(settings)} - {"delays"}
        unknown = sorted(set(others) - known)
        if unknown:
            raise UnknownCommand(f"no setting {', '.join(unknown)}")
        settings.delays = dataclasses.replace(settings.delays, **delays)
        for name, value in others.items():
            setattr(settings, name, value)
        return dataclasses.asdict(settings)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        if self._advance is None:
            raise UnknownCommand("this sandbox's clock cannot be moved")
        self._advance(seconds)

    # -- who calls ----------------------------------------------------------------------------------------

    def register_key(self, access_key: str, account: str, user: str = "sandbox") -> None:
        self.model.account(account)
        self.model.sts.register_key(access_key, account, user)

    def revoke_key(self, access_key: str) -> None:
        self.model.sts.revoke_key(access_key)

    def put_role(self, **role: Any) -> None:
        if "trusted" in role:
            role["trusted"] = tuple(role["trusted"])
        made = Role(**role)
        self.model.account(made.account)
        self.model.sts.put_role(made)

    # -- Route 53 -----------------------------------------------------------------------------------------

    def create_zone(
        self,
        name: str,
        account: str | None = None,
        private: bool = False,
        linked_service: str = "",
        name_servers: list[str] | None = None,
        zone_id: str | None = None,
    ) -> Json:
        zone = self.model.account(account).route53.add_zone(
            name,
            zone_id=zone_id,
            private=private,
            linked_service=linked_service,
            name_servers=tuple(name_servers) if name_servers else None,
        )
        return {"id": zone.id, "name": zone.name, "name_servers": list(zone.name_servers)}

    def set_name_servers(self, zone_id: str, name_servers: list[str]) -> None:
        if len(name_servers) != 4:
            raise ValueError("a delegation set has four name servers")
        self.model.zone(zone_id).rename_servers(tuple(name_servers))

    def set_server_lag(self, server: str, seconds: float | None, zone_id: str = "*") -> None:
        """Let a name server lag; None = it stands still until another value is set."""
        lag = math.inf if seconds is None else seconds
        self.model.server_lag[(zone_id, server.lower().rstrip("."))] = lag

    def put_records(self, zone_id: str, changes: list[dict[str, Any]]) -> None:
        """Somebody else's ChangeResourceRecordSets: same rules, but no call and no quota."""
        zone = self.model.zone(zone_id)
        read = read_changes({"Changes": changes})
        check_size(read)
        zone.commit(evaluate(zone, read, None), self.model.now())

    # -- EC2 ----------------------------------------------------------------------------------------------

    def create_instance(
        self, region: str, account: str | None = None, tags: dict[str, str] | None = None
    ) -> Json:
        compute = self.model.account(account).region(region).compute
        instance = compute.add_instance(self.model.now(), tags)
        return {"id": instance.id, "network_interface": instance.network_interface}

    def allocate(
        self,
        region: str,
        account: str | None = None,
        public_ip: str | None = None,
        count: int = 1,
        tags: dict[str, str] | None = None,
        service_managed: str = "",
    ) -> list[Json]:
        """`service_managed`: a service allocates them for itself, such as `alb`."""
        addresses = self.model.account(account).region(region).addresses
        made = [addresses.allocate(public_ip, tags, service_managed) for _ in range(count)]
        return [{"allocation_id": eip.allocation_id, "public_ip": eip.public_ip} for eip in made]

    def set_tags(self, resource: str, tags: dict[str, str]) -> None:
        """Add tags to an address or a NAT gateway, or change their values."""
        self.model.tags_of(resource).update(tags)

    def remove_tags(self, resource: str, keys: list[str]) -> None:
        held = self.model.tags_of(resource)
        for key in keys:
            held.pop(key, None)

    def lose_eip(self, address: str) -> None:
        self.model.lose_eip(address)

    def hide_eip(self, address: str) -> None:
        self.model.hide_eip(address)

    def show_eip(self, address: str) -> None:
        self.model.show_eip(address)

    def transfer_eip(self, address: str, account: str) -> Json:
        eip = self.model.transfer_eip(address, account)
        return {"allocation_id": eip.allocation_id, "public_ip": eip.public_ip}

    def force_ptr(self, address: str, name: str | None) -> None:
        self.model.force_ptr(address, name)

    def fail_ptr(self, status: str = "FAILED", reason: str = "Internal failure", count: int = 1) -> None:
        self.model.ptr_failures.extend([(status, reason)] * count)

    def create_regional_nat_gateway(
        self, region: str, zones: list[str], account: str | None = None, tags: dict[str, str] | None = None
    ) -> Json:
        """A regional NAT gateway to which AWS has added one address for each Availability Zone."""
        nat = self.model.account(account).region(region).nat
        gateway = nat.add_automatic(self.model.now(), tags)
        for zone in zones:
            nat.grow(gateway, self.model.now(), zone)
        eips = [address.eip for address in gateway.addresses]
        return {
            "id": gateway.id,
            "addresses": [{"allocation_id": e.allocation_id, "public_ip": e.public_ip} for e in eips],
        }

    def add_nat_address(self, gateway: str, zone: str, status: str | None = None) -> Json:
        """AWS adds an address to a regional NAT gateway: the VPC grows, or connections need more ports."""
        eip = self.model.add_nat_address(gateway, zone, status)
        return {"allocation_id": eip.allocation_id, "public_ip": eip.public_ip}

    def remove_nat_address(self, gateway: str, address: str) -> None:
        """A NAT gateway loses an address. One that AWS allocated is released."""
        self.model.remove_nat_address(gateway, address)

    def replace_nat_address(self, gateway: str, old: str, new: str, status: str | None = None) -> None:
        self.model.replace_nat_address(gateway, old, new, status)

    def set_nat_address_status(self, gateway: str, address: str, status: str | None) -> None:
        self.model.set_nat_address_status(gateway, address, status)
