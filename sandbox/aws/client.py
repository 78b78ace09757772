"""A typed client of the control API, for stories and scripts. Synchronous, standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, cast

from .model.faults import Effect
from .model.world import World


class SandboxError(Exception):
    """The sandbox refused a command; the text says why."""


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    id: str
    name: str
    name_servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EipInfo:
    allocation_id: str
    public_ip: str


class SandboxAws:
    """Commands to a running sandbox. `address` = an allocation ID or an IP; `account` None = the default one.

    Every method raises SandboxError when the sandbox refuses, OSError when it does not answer.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout

    def run(self, command: str, **arguments: Any) -> Any:
        """Any command of `sandbox.aws.control.Control` by name."""
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{command}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self._timeout) as reply:
                return json.loads(reply.read())["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(error.read().decode("utf-8", "replace")) from None

    # -- watching -----------------------------------------------------------------------------------------

    def dump(self) -> World:
        return cast(World, self.run("dump"))

    def log(
        self,
        service: str | None = None,
        operation: str | None = None,
        outcome: str | None = None,
        contains: str | None = None,
        since: int = 0,
    ) -> list[dict[str, Any]]:
        """Entries as `sandbox.aws.model.calllog.CallEntry`, oldest first."""
        filters = {"service": service, "operation": operation, "outcome": outcome, "contains": contains}
        return cast(list[dict[str, Any]], self.run("log", since=since, **filters))

    def counts(self) -> dict[str, int]:
        """`service:operation:outcome` → calls since the last reset."""
        return cast(dict[str, int], self.run("counts"))

    def upserts(self) -> int:
        """Change batches with an UPSERT in them since the last reset."""
        return int(self.run("upserts"))

    def reset_log(self) -> None:
        self.run("reset_log")

    def published(self, zone_id: str, name: str) -> dict[str, dict[str, Any]]:
        """Name server → rtype → [ttl, values], as served now."""
        return cast(dict[str, dict[str, Any]], self.run("published", zone_id=zone_id, name=name))

    # -- faults, permissions, settings --------------------------------------------------------------------

    def add_fault(self, effect: Effect, service: str = "*", operation: str = "*", **more: Any) -> str:
        """Add a rule (fields of `FaultRule`: count, skip, code, message, delay, contains …); its ID."""
        return str(self.run("add_fault", effect=effect, service=service, operation=operation, **more))

    def clear_faults(self, rule_id: str | None = None) -> None:
        self.run("clear_faults", rule_id=rule_id)

    def deny(self, action: str, resource: str = "*", principal: str = "*", account: str = "*") -> str:
        """Deny `service:Operation` (patterns allowed) from now on; the rule's ID."""
        return str(self.run("deny", action=action, resource=resource, principal=principal, account=account))

    def allow(self, rule_id: str | None = None) -> None:
        """Take a denial back, or all."""
        self.run("allow", rule_id=rule_id)

    def attach_policy(self, principal: str, document: dict[str, Any], name: str = "") -> None:
        """Let callers whose ARN fits the pattern `principal` do only what the IAM document allows."""
        self.run("attach_policy", principal=principal, document=document, name=name)

    def detach_policies(self) -> None:
        self.run("detach_policies")

    def policy_uses(self) -> list[dict[str, Any]]:
        """What the calls so far needed of the attached documents (fields of `sandbox.aws.model.iam.Use`)."""
        return cast(list[dict[str, Any]], self.run("policy_uses"))

    def policy_refusals(self) -> list[str]:
        """Calls that the attached documents refused since the last asking, in words."""
        return cast(list[str], self.run("policy_refusals"))

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings and delays by name (`insync=0.2`, `quotas=True`); all of them back."""
        return cast(dict[str, Any], self.run("settings", **changes))

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        self.run("advance", seconds=seconds)

    # -- who calls ----------------------------------------------------------------------------------------

    def register_key(self, access_key: str, account: str) -> None:
        self.run("register_key", access_key=access_key, account=account)

    def put_role(
        self,
        arn: str,
        external_id: str | None = None,
        trusted: tuple[str, ...] = (),
        web_identity: bool = False,
    ) -> None:
        self.run(
            "put_role", arn=arn, external_id=external_id, trusted=list(trusted), web_identity=web_identity
        )

    # -- Route 53 -----------------------------------------------------------------------------------------

    def create_zone(
        self,
        name: str,
        account: str | None = None,
        private: bool = False,
        linked_service: str = "",
        name_servers: tuple[str, ...] | None = None,
        zone_id: str | None = None,
    ) -> ZoneInfo:
        """`zone_id`: its ID, for who must know it beforehand; without, one is made."""
        made = self.run(
            "create_zone",
            name=name,
            account=account,
            private=private,
            linked_service=linked_service,
            name_servers=list(name_servers) if name_servers else None,
            zone_id=zone_id,
        )
        return ZoneInfo(made["id"], made["name"], tuple(made["name_servers"]))

    def set_name_servers(self, zone_id: str, name_servers: tuple[str, ...]) -> None:
        self.run("set_name_servers", zone_id=zone_id, name_servers=list(name_servers))

    def set_server_lag(self, server: str, seconds: float | None, zone_id: str = "*") -> None:
        """Let one name server lag behind its normal time; None = stand still; 0 = normal again."""
        self.run("set_server_lag", server=server, seconds=seconds, zone_id=zone_id)

    def put_records(self, zone_id: str, changes: list[dict[str, Any]]) -> None:
        """Somebody else's edit: `[{"Action": …, "ResourceRecordSet": {…}}]`, no call in the log."""
        self.run("put_records", zone_id=zone_id, changes=changes)

    # -- EC2 ----------------------------------------------------------------------------------------------

    def create_instance(self, region: str, account: str | None = None) -> str:
        """The ID of a new running instance."""
        return str(self.run("create_instance", region=region, account=account)["id"])

    def allocate(
        self,
        region: str,
        count: int = 1,
        account: str | None = None,
        tags: dict[str, str] | None = None,
        service_managed: str = "",
    ) -> list[EipInfo]:
        """`service_managed`: the AWS service that allocates them for itself, such as `alb`."""
        made = self.run(
            "allocate",
            region=region,
            count=count,
            account=account,
            tags=tags,
            service_managed=service_managed,
        )
        return [EipInfo(each["allocation_id"], each["public_ip"]) for each in made]

    def set_tags(self, resource: str, tags: dict[str, str]) -> None:
        """Add tags to an address (allocation ID or IP) or a NAT gateway, or change their values."""
        self.run("set_tags", resource=resource, tags=tags)

    def remove_tags(self, resource: str, *keys: str) -> None:
        """Remove tags by key."""
        self.run("remove_tags", resource=resource, keys=list(keys))

    def lose_eip(self, address: str) -> None:
        """Release an address by force."""
        self.run("lose_eip", address=address)

    def hide_eip(self, address: str) -> None:
        """Let no EC2 call show or know an address, as if the account were the wrong one; its PTR stays."""
        self.run("hide_eip", address=address)

    def show_eip(self, address: str) -> None:
        """Take :meth:`hide_eip` back."""
        self.run("show_eip", address=address)

    def transfer_eip(self, address: str, account: str) -> EipInfo:
        made = self.run("transfer_eip", address=address, account=account)
        return EipInfo(made["allocation_id"], made["public_ip"])

    def force_ptr(self, address: str, name: str | None) -> None:
        """Somebody else's PTR, at once; None = no PTR."""
        self.run("force_ptr", address=address, name=name)

    def fail_ptr(self, status: str = "FAILED", reason: str = "Internal failure", count: int = 1) -> None:
        """How the next PTR updates end."""
        self.run("fail_ptr", status=status, reason=reason, count=count)

    def create_regional_nat_gateway(
        self, region: str, *zones: str, tags: dict[str, str] | None = None
    ) -> tuple[str, list[EipInfo]]:
        """The ID of a new regional NAT gateway, and the addresses that AWS gave it, one for each zone."""
        made = self.run("create_regional_nat_gateway", region=region, zones=list(zones), tags=tags)
        return made["id"], [EipInfo(each["allocation_id"], each["public_ip"]) for each in made["addresses"]]

    def add_nat_address(self, gateway: str, zone: str, status: str | None = None) -> EipInfo:
        """AWS adds an address of its own to a regional NAT gateway."""
        made = self.run("add_nat_address", gateway=gateway, zone=zone, status=status)
        return EipInfo(made["allocation_id"], made["public_ip"])

    def remove_nat_address(self, gateway: str, address: str) -> None:
        """A NAT gateway loses an address; one that AWS allocated is released."""
        self.run("remove_nat_address", gateway=gateway, address=address)

    def replace_nat_address(self, gateway: str, old: str, new: str, status: str | None = None) -> None:
        self.run("replace_nat_address", gateway=gateway, old=old, new=new, status=status)

    def set_nat_address_status(self, gateway: str, address: str, status: str | None) -> None:
        self.run("set_nat_address_status", gateway=gateway, address=address, status=status)
