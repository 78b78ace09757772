"""Two namespaces that do not trust each other, and the MailEgressPolicies that a platform team writes for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubernetes import client as k8s

from sandbox.aws.client import EipInfo
from tests.support.stories.story import GROUP, VERSION, Meg, Story

POLICIES = "mailegresspolicies"
ANY: Mapping[str, Any] = {"any": True}


class Tenants:
    """``ours`` is the story's namespace, ``theirs`` a second one."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.ours = story.namespace
        self.theirs = f"theirs-{story.namespace[-8:]}"
        story.core.create_namespace({"metadata": {"name": self.theirs}})

    def close(self) -> None:
        for item in self.story.objects.list_cluster_custom_object(GROUP, VERSION, POLICIES)["items"]:
            self.revoke(item["metadata"]["name"])
        self.story.core.delete_namespace(self.theirs)

    # -- the platform team

    def allow(
        self,
        namespace: str,
        *suffixes: str,
        name: str = "",
        addresses: Mapping[str, Any] = ANY,
        names: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> str:
        """A new policy for a namespace, or for ``labels``; its name."""
        called = name or f"for-{namespace}"
        hostnames = {"suffixes": list(suffixes), "names": list(names)}
        selector = {"matchLabels": dict(labels)} if labels else {"names": [namespace]}
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "MailEgressPolicy",
            "metadata": {"name": called},
            "spec": {
                "namespaces": selector,
                "hostnames": {kind: each for kind, each in hostnames.items() if each},
                "addresses": dict(addresses),
                **spec,
            },
        }
        self.story.objects.create_cluster_custom_object(GROUP, VERSION, POLICIES, body)
        return called

    def edit(self, name: str, **spec: Any) -> None:
        """A JSON merge patch of a policy's spec."""
        self.story.objects.patch_cluster_custom_object(
            GROUP, VERSION, POLICIES, name, {"spec": spec}, _content_type="application/merge-patch+json"
        )

    def revoke(self, name: str) -> None:
        self.story.objects.delete_cluster_custom_object(GROUP, VERSION, POLICIES, name)

    def policy(self, name: str) -> dict[str, Any]:
        """The status of a policy; empty before the operator counted."""
        found = self.story.objects.get_cluster_custom_object(GROUP, VERSION, POLICIES, name)
        status: dict[str, Any] = found.get("status") or {}
        return status

    def label(self, namespace: str, **labels: str | None) -> None:
        self.story.core.patch_namespace(namespace, {"metadata": {"labels": labels}})

    # -- what must hold

    def touched(self, eip: EipInfo, since: int = 0) -> list[dict[str, Any]]:
        """Writes to AWS that name an Elastic IP."""
        return [
            entry
            for operation in ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")
            for what in (eip.public_ip, eip.allocation_id)
            for entry in self.story.calls(operation, contains=what, since=since)
        ]


def refused(meg: Meg, reason: str) -> str:
    """Wait until the object is refused with the reason; the message."""
    meg.wait("Accepted", "False", reason).wait(status="False", reason=reason)
    return meg.condition("Accepted")[2]


def told(meg: Meg) -> str:
    """All that the status and the Events tell the owner of an object."""
    events = k8s.EventsV1Api(meg.story.api).list_namespaced_event(meg.namespace).items
    return json.dumps(meg.status) + "".join(str(e.note) for e in events if e.regarding.name == meg.name)
