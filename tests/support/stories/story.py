"""What stories are told with: a fresh world per story, a user with a client, and patience with a deadline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes import client as k8s

from sandbox.aws.client import EipInfo, SandboxAws, ZoneInfo
from sandbox.aws.model.world import diff
from sandbox.cloud import REGION, Cloud
from sandbox.controlplane import ControlPlane
from sandbox.local import Sandbox
from sandbox.operator import OperatorProcess
from sandbox.waiting import wait_until

GROUP, VERSION, PLURAL = "mailegress.io", "v1alpha1", "mailegresses"
DEADLINE = 90.0
"""Seconds a story waits for anything; the machine may be slow, the condition is what counts."""


@dataclass
class Meg:
    """One MailEgress, as its user sees it."""

    story: Story
    name: str
    namespace: str

    # -- reading

    def get(self) -> dict[str, Any]:
        """The object; a 404 is raised as the client's ApiException."""
        found: dict[str, Any] = self.story.objects.get_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, self.name
        )
        return found

    def exists(self) -> bool:
        try:
            self.get()
        except k8s.ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get().get("status") or {}
        return status

    def conditions(self) -> dict[str, dict[str, Any]]:
        return {c["type"]: c for c in self.status.get("conditions", [])}

    def condition(self, kind: str) -> tuple[str, str, str]:
        """(status, reason, message); empty strings if it is absent."""
        found = self.conditions().get(kind, {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def uid(self) -> str:
        uid: str = self.get()["metadata"]["uid"]
        return uid

    def address(self, public_ip: str) -> dict[str, Any]:
        """The entry of ``status.addresses`` for an address, or an empty one."""
        return next((a for a in self.status.get("addresses", []) if a.get("publicIP") == public_ip), {})

    def events(self) -> list[tuple[str, str]]:
        """(type, reason) of every Event about it, oldest first."""
        api = k8s.EventsV1Api(self.story.api)
        items = api.list_namespaced_event(self.namespace).items
        mine = [e for e in items if e.regarding and e.regarding.name == self.name]
        return [(e.type, e.reason) for e in sorted(mine, key=lambda e: str(e.event_time))]

    # -- waiting

    def told(self, kind: str, reason: str) -> None:
        """Until there is such an Event: it follows the status that it tells of."""
        self.until(lambda: (kind, reason) in self.events(), f"{self.name}: the Event {kind} {reason}")

    def wait(self, condition: str = "Ready", status: str = "True", reason: str | None = None) -> Meg:
        """Until the condition says so for the present generation."""

        def holds() -> bool:
            found = self.get()
            generation = found["metadata"]["generation"]
            for c in (found.get("status") or {}).get("conditions", []):
                if c["type"] == condition:
                    return bool(
                        c["status"] == status
                        and c.get("observedGeneration") == generation
                        and reason in (None, c["reason"])
                    )
            return False

        wanted = f"{self.name}: {condition}={status}" + (f"/{reason}" if reason else "")
        self.until(holds, wanted)
        return self

    def wait_reason(self, reason: str, condition: str = "Ready") -> Meg:
        """Until the condition carries the reason, whatever its status, for the present generation."""

        def holds() -> bool:
            found = self.get()
            return any(
                c["type"] == condition
                and c["reason"] == reason
                and c.get("observedGeneration") == found["metadata"]["generation"]
                for c in (found.get("status") or {}).get("conditions", [])
            )

        self.until(holds, f"{self.name}: {condition} with reason {reason}")
        return self

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Until something about it holds; the failure shows object and operator log."""
        wait_until(holds, DEADLINE, what, self._scene)

    def wait_gone(self) -> None:
        self.until(lambda: not self.exists(), f"{self.name} to be gone")

    def _scene(self) -> str:
        try:
            shown = json.dumps(self.get(), indent=1)
        except k8s.ApiException as error:
            shown = f"(no object: {error.status})"
        logs = "\n".join(f"--- {o.name}\n{o.log_tail(60)}" for o in self.story.operators)
        return f"{shown}\n{logs}"

    # -- editing

    def patch(self, body: Mapping[str, Any]) -> Meg:
        """A JSON merge patch of the whole object."""
        self.story.objects.patch_namespaced_custom_object(
            GROUP,
            VERSION,
            self.namespace,
            PLURAL,
            self.name,
            dict(body),
            _content_type="application/merge-patch+json",
        )
        return self

    def spec(self, **fields: Any) -> Meg:
        """A merge patch of the spec."""
        return self.patch({"spec": fields})

    def patch_status(self, status: Mapping[str, Any]) -> Meg:
        """Somebody meddles with the status."""
        self.story.objects.patch_namespaced_custom_object_status(
            GROUP,
            VERSION,
            self.namespace,
            PLURAL,
            self.name,
            {"status": dict(status)},
            _content_type="application/merge-patch+json",
        )
        return self

    def delete(self, *, wait: bool = True) -> None:
        self.story.objects.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, self.name)
        if wait:
            self.wait_gone()


class Story:
    """A fresh AWS and DNS, a namespace, and (unless told otherwise) a running operator."""

    def __init__(self, sandbox: Sandbox, namespace: str) -> None:
        self.sandbox = sandbox
        self.cloud: Cloud = sandbox.cloud
        self.aws: SandboxAws = sandbox.cloud.aws
        self.plane: ControlPlane = sandbox.plane
        self.namespace = namespace
        self.api: Any = k8s.ApiClient(_configuration(str(sandbox.plane.kubeconfig)))
        self.objects: Any = k8s.CustomObjectsApi(self.api)
        self.core: Any = k8s.CoreV1Api(self.api)
        self.operators: list[OperatorProcess] = []
        self.core.create_namespace({"metadata": {"name": namespace}})

    # -- the operator

    @property
    def operator(self) -> OperatorProcess:
        return self.operators[0]

    def start_operator(self, name: str = "operator", **settings: str) -> OperatorProcess:
        """Start an operator (a second one by another name)."""
        process = self.sandbox.new_operator(name, **settings)
        self.operators.append(process)
        process.start()
        return process

    # -- the world

    def zone(self, name: str = "example.com", **more: Any) -> ZoneInfo:
        """A hosted zone, delegated by its parent if it is the first public one of that name.

        The operator's policy covers the public ones.
        """
        if not more.get("private"):
            more["zone_id"] = self.sandbox.policies.zone(name, more.get("account"))
        zone = self.aws.create_zone(name, **more)
        self.cloud.dns("delegations")
        return zone

    def eips(self, count: int = 1, region: str = REGION) -> list[EipInfo]:
        return self.aws.allocate(region, count)

    def boto(self, service: str) -> Any:
        """A boto3 client of this world, for what a user does with the AWS CLI."""
        import boto3

        environ = self.cloud.aws_environ()
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        )

    def records(self, zone: ZoneInfo, hostname: str, rtype: str = "A") -> tuple[str, ...]:
        """The values of a record set in Route 53, sorted; empty if there is none."""
        reply = self.boto("route53").list_resource_record_sets(
            HostedZoneId=zone.id, StartRecordName=hostname, StartRecordType=rtype, MaxItems="1"
        )
        for found in reply["ResourceRecordSets"]:
            if found["Name"].rstrip(".") == hostname and found["Type"] == rtype:
                return tuple(sorted(v["Value"] for v in found.get("ResourceRecords", [])))
        return ()

    def ptr(self, eip: EipInfo) -> str | None:
        """The PTR that AWS reports, settled, without its dot; None if there is none."""
        reply = self.boto("ec2").describe_addresses_attribute(Attribute="domain-name")
        for found in reply["Addresses"]:
            if found["AllocationId"] == eip.allocation_id:
                return found.get("PtrRecord", "").rstrip(".") or None
        return None

    def nat_gateway(self, eips: Iterable[EipInfo]) -> str:
        """The ID of a new NAT gateway that sends from these EIPs."""
        first, *others = [e.allocation_id for e in eips]
        made = self.boto("ec2").create_nat_gateway(
            SubnetId="subnet-0123456789abcdef0", AllocationId=first, SecondaryAllocationIds=others
        )
        gateway: str = made["NatGateway"]["NatGatewayId"]
        return gateway

    def nat_statuses(self, gateway: str) -> list[str]:
        """The status of each address of a NAT gateway."""
        [found] = self.boto("ec2").describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
        return [a["Status"] for a in found["NatGatewayAddresses"]]

    def instance(self, eips: Iterable[EipInfo]) -> str:
        """The ID of a new instance with these EIPs, each on a private address of its own."""
        made = self.aws.create_instance(REGION)
        for number, eip in enumerate(eips):
            self.boto("ec2").associate_address(
                AllocationId=eip.allocation_id, InstanceId=made, PrivateIpAddress=f"10.1.0.{number + 10}"
            )
        return made

    def mark(self, zone: ZoneInfo, hostname: str) -> str:
        """The ownership mark at a name, without its quotes; empty if there is none."""
        return "".join(self.records(zone, f"_mailegress.{hostname}", "TXT")).strip('"')

    def ttl(self, zone: ZoneInfo, hostname: str) -> int | None:
        """The TTL of an A record in Route 53, seconds; None if there is none."""
        found = self.zone_dump(zone)["record_sets"].get(f"{hostname}. A", {})
        ttl: int | None = found.get("TTL")
        return ttl

    def zone_dump(self, zone: ZoneInfo) -> dict[str, Any]:
        """What the world's dump says of one hosted zone."""
        for account in self.world()["accounts"].values():
            for name, shown in account.get("zones", {}).items():
                if name.endswith(f" {zone.id}"):
                    found: dict[str, Any] = shown
                    return found
        raise KeyError(zone.id)

    def eip_dump(self, eip: EipInfo) -> dict[str, Any]:
        """What the world's dump says of one EIP, in whatever account and region; ``ptr`` has its final dot."""
        for account in self.world()["accounts"].values():
            for region in account.get("regions", {}).values():
                if (found := region.get("addresses", {}).get(eip.public_ip)) is not None:
                    shown: dict[str, Any] = found
                    return shown
        raise KeyError(eip.public_ip)

    def put_record(
        self,
        zone: ZoneInfo,
        name: str,
        values: Iterable[str],
        rtype: str = "A",
        ttl: int = 300,
        action: str = "UPSERT",
    ) -> None:
        """Somebody else's edit in Route 53."""
        self.aws.put_records(zone.id, [record_change(name, values, rtype, ttl, action)])

    def drop_record(self, zone: ZoneInfo, name: str, rtype: str = "A", ttl: int = 300) -> None:
        """Somebody else deletes a record set."""
        self.put_record(zone, name, self.records(zone, name, rtype), rtype, ttl, "DELETE")

    def world(self) -> Any:
        """The canonical dump: record sets, EIPs, PTRs."""
        return self.aws.dump()

    def assert_world(self, before: Any) -> None:
        """The world is as it was, to the byte."""
        changes = diff(before, self.world())
        assert changes == [], "\n".join(changes)

    def calls(self, operation: str, **more: Any) -> list[dict[str, Any]]:
        """Entries of AWS's call log of one operation."""
        return self.aws.log(operation=operation, **more)

    def writes(self) -> int:
        """Calls so far that change something in AWS."""
        names = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")
        return sum(len(self.calls(name)) for name in names)

    # -- the user

    def meg(
        self,
        name: str,
        hostname: str,
        eips: Iterable[EipInfo | Mapping[str, Any]],
        namespace: str | None = None,
        **spec: Any,
    ) -> Meg:
        """Create a MailEgress. ``eips``: EIPs (by allocation ID) or selectors as in the manifest."""
        where = namespace or self.namespace
        selectors = [{"allocationID": e.allocation_id} if isinstance(e, EipInfo) else dict(e) for e in eips]
        self.objects.create_namespaced_custom_object(
            GROUP, VERSION, where, PLURAL, manifest(name, where, hostname, selectors, **spec)
        )
        return Meg(self, name, where)

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Until something about the world holds."""
        logs = lambda: "\n".join(f"--- {o.name}\n{o.log_tail(60)}" for o in self.operators)  # noqa: E731
        wait_until(holds, DEADLINE, what, logs)

    def passes(self, meg: Meg, count: int = 2) -> None:
        """Until the operator has looked at the object anew ``count`` times (it answers a requested reconcile)."""
        for number in range(count):
            # The operator keeps a request without the spaces around it.
            token = f"pass-{number}-{self.aws.counts()}"[:200].strip()
            meg.patch({"metadata": {"annotations": {"mailegress.io/reconcile-requested-at": token}}})
            meg.until(
                lambda t=token: meg.status.get("lastHandledReconcileAt") == t, f"{meg.name} to be looked at"
            )  # type: ignore[misc]

    def close(self) -> None:
        """Stop the operators and leave nothing of this story in the API server."""
        for process in self.operators:
            process.kill()
        for item in self.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL)["items"]:
            meta = item["metadata"]
            if meta.get("finalizers"):
                self.objects.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    meta["namespace"],
                    PLURAL,
                    meta["name"],
                    {"metadata": {"finalizers": None}},
                    _content_type="application/merge-patch+json",
                )
            if not meta.get("deletionTimestamp"):
                self.objects.delete_namespaced_custom_object(
                    GROUP, VERSION, meta["namespace"], PLURAL, meta["name"]
                )
        self.core.delete_namespace(self.namespace)


def manifest(
    name: str, namespace: str, hostname: str, selectors: list[dict[str, str]], **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "MailEgress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hostname": hostname, "elasticIPs": selectors, **spec},
    }


def record_change(name: str, values: Iterable[str], rtype: str, ttl: int, action: str) -> dict[str, Any]:
    return {
        "Action": action,
        "ResourceRecordSet": {
            "Name": name,
            "Type": rtype,
            "TTL": ttl,
            "ResourceRecords": [{"Value": v} for v in values],
        },
    }


def _configuration(kubeconfig: str) -> Any:
    from kubernetes import config

    configuration = k8s.Configuration()
    config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    return configuration
