"""botocore's service model of EC2, cut down to what is called here: whole it is 15 MB of dictionaries per process."""

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


class SlimFiles(JSONFileLoader):
    """Reads botocore's data files; of EC2's model only ``EC2_OPERATIONS`` and their shapes stay in memory."""

    def load_file(self, file_path: str) -> Any:
        model = super().load_file(file_path)
        path = PurePath(file_path)
        if model is not None and path.name == "service-2" and path.parent.parent.name == "ec2":
            return cut(model, EC2_OPERATIONS)
        return model


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
    # A copy beside each other: bits of the whole scattered over the heap would keep all of its pages.
    copy: dict[str, Any] = json.loads(json.dumps({**model, "operations": operations, "shapes": shapes}))
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
