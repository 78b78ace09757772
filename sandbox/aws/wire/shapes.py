"""The service descriptions that come with botocore: which operations there are and how they look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from botocore.loaders import create_loader
from botocore.model import OperationModel, ServiceModel

SERVICES = ("route53", "ec2", "sts")


@lru_cache(maxsize=len(SERVICES))
def service_model(name: str) -> ServiceModel:
    """botocore's description of a service."""
    return ServiceModel(create_loader().load_service_model(name, "service-2"), name)


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    required_query: frozenset[str]
    operation: str
    literal: int
    """Characters of the path that are no parameters: the more, the better the match."""


@lru_cache(maxsize=1)
def _routes() -> tuple[Route, ...]:
    model = service_model("route53")
    out: list[Route] = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = str(http["requestUri"]).partition("?")
        parts = re.split(r"\{(\w+)\+?\}", path.rstrip("/"))
        regex = "".join(
            re.escape(part) if number % 2 == 0 else f"(?P<{part}>.+?)" for number, part in enumerate(parts)
        )
        out.append(
            Route(
                str(http["method"]),
                re.compile(regex + "/?"),
                frozenset(filter(None, query.split("&"))),
                name,
                sum(len(part) for part in parts[::2]),
            )
        )
    return tuple(sorted(out, key=lambda route: -route.literal))


def find_route53(method: str, path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """The operation of a Route 53 request and the parameters in its path (undecoded path in)."""
    for route in _routes():
        match = route.pattern.fullmatch(path) if route.method == method else None
        if match:
            found = {name: unquote(value) for name, value in match.groupdict().items()}
            return service_model("route53").operation_model(route.operation), found
    return None
