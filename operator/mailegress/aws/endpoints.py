"""Where requests go: the SDK's endpoint and proxy variables, and the regions that the SDK knows."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from mailegress.aws.api import Service

_VARIABLES = {
    Service.EC2: "AWS_ENDPOINT_URL_EC2",
    Service.ROUTE53: "AWS_ENDPOINT_URL_ROUTE_53",
    Service.STS: "AWS_ENDPOINT_URL_STS",
}
_ALL = "AWS_ENDPOINT_URL"


def override_of(service: Service, environ: Mapping[str, str]) -> str:
    """The variable that sets a service's endpoint; empty = AWS's own endpoint."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    return next((name for name in (_VARIABLES[service], _ALL) if environ.get(name)), "")


def host_of(url: str) -> str:
    """Host, and the port if the URL names one; never its user information. Empty if there is no host."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port}" if parts.port is not None else host


def proxy_variable(scheme: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names the proxy of a scheme, and the proxy's host; empty texts if there is none."""
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"):
        value = environ.get(name, "")
        if value:
            return name, host_of(value if "//" in value else f"//{value}")
    return "", ""


def unencrypted(url: str) -> bool:
    """True for ``http://`` to anywhere but loopback."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def endpoint_problems(environ: Mapping[str, str], *, allow_http: bool) -> list[str]:
    """A line for each endpoint variable that cannot be used: variable, value and remedy."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return []
    found = []
    for name in (_ALL, *_VARIABLES.values()):
        url = environ.get(name, "")
        if not url:
            continue
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            found.append(f"{name}: {_shown(url)!r} is not a URL; give https://HOST or https://HOST:PORT")
        elif unencrypted(url) and not allow_http:
            found.append(
                f"{name}: {_shown(url)!r} is not encrypted, so that session tokens and records could be read and "
                "changed on the way; give an https:// URL. http:// is accepted only for loopback addresses, and "
                "elsewhere in a test bed with --allow-http-endpoints=on"
            )
    return found


def region_problem(region: str, environ: Mapping[str, str]) -> str:
    """Why a region cannot be used; empty if it can.

    A region that this release's SDK does not list is refused, unless the endpoints do not depend on it.
    """
    known = known_regions()
    if not known or region in known or all(override_of(service, environ) for service in Service):
        return ""
    steps, near = min((_typing_errors(region, name), name) for name in known)
    hint = f"did you mean {near}?" if steps <= 3 else "correct it."
    return (
        f"is not an AWS region that this release knows; {hint} For a region that is newer than this release, set "
        "--allow-unknown-regions=on"
    )


def _typing_errors(typed: str, meant: str) -> int:
    """Letters left out, added, mistaken or exchanged with their neighbour (optimal string alignment distance)."""
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, 1):
        following = [i]
        for j, other in enumerate(meant, 1):
            steps = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, typed[i - 2]) == (meant[j - 2], other):
                steps = min(steps, before[j - 2] + 1)
            following.append(steps)
        before, row = row, following
    return row[-1]


def known_regions() -> frozenset[str]:
    """The regions of all partitions as botocore's data lists them; empty if the data cannot be read."""
    # The package's file is read without importing the package: a wrong setting is reported without waiting for it.
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    try:
        data = json.loads((Path(spec.submodule_search_locations[0]) / "data" / "partitions.json").read_text())
        return frozenset(name for partition in data["partitions"] for name in partition["regions"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _shown(url: str) -> str:
    """The URL without user information and query."""
    parts = _split(url)
    if parts is None or ("@" in url and not host_of(url)):
        return "(hidden)"
    if not parts.hostname:
        return url
    return f"{parts.scheme}://{host_of(url)}{parts.path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool(mapped.is_loopback if mapped is not None else address.is_loopback)
