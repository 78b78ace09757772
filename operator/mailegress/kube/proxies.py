"""Which HTTP proxy stands in front of the API server, from the variables that client-go reads too."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def usable(url: str) -> bool:
    """Is this a proxy that can be used: http:// or https:// with a host?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname)
    except ValueError:
        return False


def from_environment(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for ``server`` by ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``, upper or lower case; None for none.

    As in Go (golang.org/x/net/http/httpproxy): a value without a scheme means http://; loopback is never proxied;
    ``NO_PROXY`` holds names, which stand for what is below them too, ``.suffixes``, addresses, CIDR ranges and ``*``,
    each name or address with an optional port.
    """
    target = urlsplit(server)
    found = _variable(environ, f"{target.scheme}_proxy")
    host = target.hostname
    if not found or host is None:
        return None
    if _bypassed(host, target.port or _PORTS.get(target.scheme, 0), _variable(environ, "no_proxy")):
        return None
    url = found if "://" in found else f"http://{found}"
    return url if usable(url) else None


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name.upper()) or environ.get(name) or "").strip()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _bypassed(host: str, port: int, exceptions: str) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry.strip().lower(), host, port, address) for entry in exceptions.split(","))


def _matches(
    entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if not colon or _address(entry) is not None or not wanted.isdigit():
        name, wanted = entry, ""
    if wanted and int(wanted) != port:
        return False
    if (given := _address(name)) is not None:
        return given == address
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")
