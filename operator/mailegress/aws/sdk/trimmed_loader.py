"""botocore's data, cut down to what is used here.

The service model of EC2 is 15 MB of dictionaries, and the endpoints of all services are 7 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from botocore.loaders import JSONFileLoader

EC2_OPERATIONS = frozenset(
    {
        "DescribeAddresses",
        "DescribeAddressesAttribute",
        "DescribeNatGateways",
        "ModifyAddressAttribute",
        "ResetAddressAttribute",
    }
)


ENDPOINT_PREFIXES = frozenset({"ec2", "route53", "sts", "sso", "portal.sso", "oidc", "signin"})
"""The last four are where credentials come from."""


class SlimFiles(JSONFileLoader):
    """Reads botocore's data files. Only ``EC2_OPERATIONS`` and their shapes stay in memory of EC2's model, and only the
    services of ``ENDPOINT_PREFIXES`` of the endpoints."""

    def load_file(self, file_path: str) -> Any:
        data = super().load_file(file_path)
        path = PurePath(file_path)
        if data is not None and path.name == "service-2" and path.parent.parent.name == "ec2":
            return cut(data, EC2_OPERATIONS)
        if data is not None and path.name == "endpoints":
            return cut_endpoints(data, ENDPOINT_PREFIXES)
        return data


def cut(model: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """``model`` with the operations of these names alone, and the shapes that they use."""
    operations = {name: operation for name, operation in model["operations"].items() if name in names}
    shapes: dict[str, Any] = {}
    due = list(_references(operations))
    while due:
        name = due.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            due += _references(shapes[name])
    return _copied({**model, "operations": operations, "shapes": shapes})


def cut_endpoints(data: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """``data`` with the endpoints of these services alone; partitions and regions stay."""
    partitions = [
        {**each, "services": {name: found for name, found in each["services"].items() if name in names}}
        for each in data["partitions"]
    ]
    return _copied({**data, "partitions": partitions})


def _copied(data: dict[str, Any]) -> dict[str, Any]:
    """A copy beside each other: bits of the whole scattered over the heap would keep all of its pages."""
    copy: dict[str, Any] = json.loads(json.dumps(data))
    return copy


def _references(part: Any) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
