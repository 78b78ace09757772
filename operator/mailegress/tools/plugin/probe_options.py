"""What a person wrote for ``kubectl mailegress probe``. Everything that cannot be used gets a remedy."""

from __future__ import annotations

import ipaddress
import math
import re
from urllib.parse import urlsplit

from mailegress.api.text import clean_text
from mailegress.api.validation import is_hostname
from mailegress.tools.plugin.probe import IMAGE, Wanted

SECONDS = (1.0, 120.0)
# As Kubernetes and registries write names; nothing in them can be taken for a variable of the pod.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
_URL = re.compile(r"[!#%&'*+,./0-9:;=?@A-Z_a-z~-]{1,500}")


def wanted(
    name: str,
    to: str,
    namespace: str | None,
    image: str | None,
    pull_secret: str | None,
    node: str | None,
    address_from: str | None,
    resolvers: str,
    timeout_seconds: str,
) -> Wanted:
    """Errors: ``ValueError``, with the option, what is wrong with it and what to write instead."""
    for flag, text in (("--image-pull-secret", pull_secret), ("--node", node)):
        if text is not None and not _NAME.fullmatch(text):
            raise ValueError(f"{flag} {_shown(text)} is no name of an object of Kubernetes")
    if image is not None and not _IMAGE.fullmatch(image):
        raise ValueError(f"--image {_shown(image)} is no image; give one such as {IMAGE}")
    return Wanted(
        name,
        _target(to),
        namespace,
        image or IMAGE,
        pull_secret,
        node,
        _url(address_from) if address_from is not None else "",
        _resolvers(resolvers),
        _seconds(timeout_seconds),
    )


def _target(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    if "@" in text:
        raise ValueError(
            f"--to {_shown(text)} is a mail address; give what follows the @, such as example.net"
        )
    if not is_hostname(name) or set(name) <= set("0123456789."):
        raise ValueError(
            f"--to {_shown(text)} is neither a domain nor an IPv4 address; give one such as example.net or "
            f"198.51.100.25"
        )
    return name


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        good = False
    if not good or not _URL.fullmatch(text):
        raise ValueError(
            f"--address-from {_shown(text)} is no URL without credentials; give one such as "
            f"https://checkip.amazonaws.com"
        )
    return text


def _resolvers(text: str) -> str:
    for server in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = server.rpartition(":")
        try:
            ipaddress.IPv4Address(host if colon else server)
            good = not colon or 0 < int(port) < 65536
        except ValueError:
            good = False
        if not good:
            raise ValueError(
                f"--resolvers: {_shown(server)} is no IPv4 address; give address or address:port, comma-separated"
            )
    return ",".join(filter(None, (part.strip() for part in text.split(","))))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not SECONDS[0] <= value <= SECONDS[1]:
        raise ValueError(
            f"--timeout-seconds {_shown(text)} is out of bounds; give seconds from {SECONDS[0]:g} to {SECONDS[1]:g}"
        )
    return value


def _shown(text: str) -> str:
    return clean_text(repr(text), 80)
