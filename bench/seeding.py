"""Worlds that exist before the operator starts: addresses, MailEgresses, and populations that are converged.

What a converged MailEgress looks like is learnt from the operator itself: one is brought to Ready in a fast world,
and every other one is its copy with names, addresses and UIDs of its own.
"""

from __future__ import annotations

import base64
import copy
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.kube import GROUP, VERSION, Api, Refused, object_path
from sandbox.aws.model import AwsModel
from sandbox.aws.model.aws import DELEGATION_SETS
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.records import RecordSet
from sandbox.aws.model.zones import Zone
from sandbox.cloud import REGION, Populate
from sandbox.controlplane import ControlPlane
from sandbox.dns.model import DnsWorld
from sandbox.local import Sandbox
from sandbox.waiting import wait_until

ZONE, ZONE_ID = "example.com", "Z0BENCH0000000000000"


@dataclass(frozen=True, slots=True)
class One:
    """What one MailEgress is about."""

    name: str
    hostname: str
    allocation_id: str
    public_ip: str

    def manifest(self, namespace: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "MailEgress",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {"hostname": self.hostname, "elasticIPs": [{"allocationID": self.allocation_id}]},
        }


def some(count: int) -> list[One]:
    """``count`` of them with one address each, from a public /14 that AWS does not use."""
    return [
        One(
            f"m{number:05d}",
            f"m{number:05d}.{ZONE}",
            f"eipalloc-{number:017x}",
            f"100.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
        )
        for number in range(1, count + 1)
    ]


def bare_world(ones: Sequence[One]) -> Populate:
    """The zone and the addresses; nothing in them yet."""

    def populate(model: AwsModel, dns: DnsWorld) -> None:
        _zone(model)
        _addresses(model, ones, ptrs=False)

    return populate


def _zone(model: AwsModel) -> Zone:
    account = model.account()
    zone = Zone(ZONE_ID, f"{ZONE}.", account.id, False, DELEGATION_SETS[0], "bench")
    account.route53.zones[zone.id] = zone
    return zone


def _addresses(model: AwsModel, ones: Sequence[One], ptrs: bool) -> None:
    region = model.account().region(REGION).addresses
    for one in ones:
        eip = Eip(one.allocation_id, one.public_ip, region.account, REGION)
        eip.ptr = f"{one.hostname}." if ptrs else None
        region.eips[one.allocation_id] = eip
        model.network.by_ip[one.public_ip] = eip


def create(api: Api, namespace: str, ones: Sequence[One]) -> list[dict[str, Any]]:
    """The MailEgresses, at full speed; the stored objects."""
    path = object_path(namespace)
    return api.each(lambda one: api.request("POST", path, one.manifest(namespace)), ones)


def make_namespace(api: Api, namespace: str) -> None:
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})


def clear(api: Api, namespace: str) -> None:
    """Take every MailEgress away without its operator."""
    items, _ = api.list_all(namespace)

    def remove(item: Mapping[str, Any]) -> None:
        path = object_path(namespace, item["metadata"]["name"])
        try:
            if item["metadata"].get("finalizers"):
                api.merge(path, {"metadata": {"finalizers": None}})
            api.request("DELETE", path)
        except Refused as error:
            if " 404 " not in str(error):
                raise

    api.each(remove, items)


@dataclass(frozen=True, slots=True)
class Template:
    """A converged MailEgress, its records and what is to be replaced in them."""

    one: One
    uid: str
    mark: str
    ttl: int
    mark_ttl: int
    status: str
    finalizers: Sequence[str]

    @classmethod
    def learn(cls, plane: ControlPlane, api: Api, namespace: str) -> Template:
        """Let an operator bring one to Ready and look at what is there then."""
        [one] = some(1)
        make_namespace(api, namespace)
        scale = 1 / 60
        with Sandbox(scale=scale, operator=False, plane=plane, populate=bare_world([one])) as sandbox:
            sandbox.cloud.dns("delegations")
            create(api, namespace, [one])
            operator = sandbox.new_operator("template", namespaces=namespace)
            operator.start()
            path = object_path(namespace, one.name)

            def ready() -> bool:
                conditions = api.request("GET", path).get("status", {}).get("conditions", ())
                return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

            wait_until(ready, 120, "the template to be Ready", operator.log_tail)
            found = api.request("GET", path)
            operator.stop()
            [accounts] = sandbox.cloud.aws.dump()["accounts"].values()
            [zone] = accounts["zones"].values()
            sets = zone["record_sets"]
            txt = sets[f"_mailegress.{one.hostname}. TXT"]
            ttl = sets[f"{one.hostname}. A"]["TTL"]
        clear(api, namespace)
        meta = found["metadata"]
        return cls(
            one,
            meta["uid"],
            txt["Values"][0],
            ttl,
            txt["TTL"],
            json.dumps(found["status"]),
            meta["finalizers"],
        )

    def status_of(self, one: One) -> dict[str, Any]:
        text = self.status
        for old, new in (
            (self.one.hostname, one.hostname),
            (self.one.allocation_id, one.allocation_id),
            (self.one.public_ip, one.public_ip),
        ):
            text = text.replace(old, new)
        made: dict[str, Any] = json.loads(text)
        return made

    def mark_of(self, uid: str) -> str:
        return self.mark.replace(short_uid(self.uid), short_uid(uid))


def short_uid(uid: str) -> str:
    """22 characters of base64url, as ownership records carry it."""
    return base64.urlsafe_b64encode(uuid.UUID(uid).bytes).decode().rstrip("=")


def create_converged(
    api: Api, namespace: str, ones: Sequence[One], template: Template
) -> tuple[list[dict[str, Any]], Populate]:
    """MailEgresses as the operator leaves them, and what fills AWS to match."""
    path = object_path(namespace)

    def one_of(one: One) -> dict[str, Any]:
        manifest = one.manifest(namespace)
        manifest["metadata"]["finalizers"] = list(template.finalizers)
        made = api.request("POST", path, manifest)
        body = copy.copy(made) | {"status": template.status_of(one)}
        stored: dict[str, Any] = api.request("PUT", f"{path}/{one.name}/status", body)
        return stored

    stored = api.each(one_of, ones)
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in stored}

    def populate(model: AwsModel, dns: DnsWorld) -> None:
        zone = _zone(model)
        deltas = []
        for one in ones:
            name = f"{one.hostname}."
            made = (
                RecordSet(name, "A", template.ttl, (one.public_ip,)),
                RecordSet(
                    f"_mailegress.{name}", "TXT", template.mark_ttl, (template.mark_of(uids[one.name]),)
                ),
            )
            deltas += [(each.key, each) for each in made]
        zone.commit(deltas, model.now() - 3600.0)
        _addresses(model, ones, ptrs=True)

    return stored, populate
