"""EC2 of one account and region: the tags of Elastic IPs, NAT gateways and instances."""

from __future__ import annotations

from collections.abc import Callable

from .base import AwsFault, Context, Params, Response
from .compute import Compute
from .ec2 import Addresses
from .nat import NatGateways

MOST_TAGS = 50
"""Tags of one resource (page "Tag your Amazon EC2 resources"); tags whose key begins with ``aws:`` do not count."""


class Tagging:
    def __init__(self, addresses: Addresses, compute: Compute, nat: NatGateways) -> None:
        self._addresses = addresses
        self._compute = compute
        self._nat = nat
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "CreateTags": self.create_tags,
            "DeleteTags": self.delete_tags,
        }

    def tags_of(self, resource: str, now: float) -> dict[str, str]:
        """The tags of a resource, to be changed. Raises what EC2 answers for an unknown resource."""
        if resource.startswith("eipalloc-"):
            return self._addresses.by_allocation(resource).tags
        if resource.startswith("nat-"):
            return self._nat.gateway(resource, now).tags
        return self._compute.instance(resource).tags

    def create_tags(self, context: Context, params: Params) -> Response:
        """API_CreateTags: adds tags, or overwrites the values of keys that are there; for all resources or none."""
        tags = {str(tag["Key"]): str(tag.get("Value") or "") for tag in params.get("Tags") or []}
        if any(key.startswith("aws:") for key in tags):
            raise AwsFault(
                "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"
            )
        held = [self.tags_of(str(each), context.now) for each in params.get("Resources") or []]
        if any(sum(not key.startswith("aws:") for key in {*each, *tags}) > MOST_TAGS for each in held):
            raise AwsFault("TagLimitExceeded", f"The maximum number of Tags for a resource is {MOST_TAGS}")
        for each in held:
            each.update(tags)
        return {}

    def delete_tags(self, context: Context, params: Params) -> Response:
        """API_DeleteTags: by key; with a value only if it is this one; without tags, all that are not AWS's."""
        held = [self.tags_of(str(each), context.now) for each in params.get("Resources") or []]
        wanted = params.get("Tags")
        for tags in held:
            if not wanted:
                for key in [key for key in tags if not key.startswith("aws:")]:
                    del tags[key]
            for tag in wanted or []:
                key, value = str(tag.get("Key") or ""), tag.get("Value")
                if key in tags and (value is None or tags[key] == value):
                    del tags[key]
        return {}
