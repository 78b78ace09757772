"""The chart's values for an operator that shall see the sandbox's AWS and DNS instead of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mailegress.aws.endpoints import unencrypted
from sandbox.cloud import REGION

_PREFIX = "MAILEGRESS_"
_LEFT_OUT = ("AWS_REGION", "AWS_PAGER", "AWS_EC2_METADATA_DISABLED")
"""What the chart sets itself, and what no program in the pod reads."""


def chart_values(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
    """Values from the environment that a sandbox gives its operator, and settings by their Python names.

    ``MAILEGRESS_*`` become `settings`, the SDK's own variables `extraEnv`.
    """
    chosen = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX)
    }
    variables = {
        name: value for name, value in environ.items() if name.startswith("AWS_") and name not in _LEFT_OUT
    }
    typed = {_camel(name): _typed(value) for name, value in {**chosen, **settings}.items()}
    if any(unencrypted(url) for name, url in variables.items() if name.startswith("AWS_ENDPOINT_URL")):
        # The sandbox speaks http://, and the pod reaches it over the network.
        typed["allowHttpEndpoints"] = True
    return {
        "aws": {"region": environ.get("AWS_REGION", REGION)},
        "settings": typed,
        "extraEnv": [{"name": name, "value": value} for name, value in sorted(variables.items())],
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _typed(value: str) -> object:
    """A number where it is one: the chart's schema tells numbers from text."""
    try:
        number = json.loads(value)
    except ValueError:
        return value
    return number if isinstance(number, int | float) and not isinstance(number, bool) else value
