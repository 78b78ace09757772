"""Names the API gives to things, and the normal form of DNS names."""

import hashlib
import re
from typing import Final

GROUP: Final = "mailegress.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MailEgress"
LIST_KIND: Final = "MailEgressList"
PLURAL: Final = "mailegresses"
SINGULAR: Final = "mailegress"
SHORT_NAME: Final = "meg"
CATEGORY: Final = "mailegress-io"

FINALIZER: Final = f"{GROUP}/cleanup"
RECONCILE_ANNOTATION: Final = f"{GROUP}/reconcile-requested-at"

OWNERSHIP_LABEL: Final = "_mailegress"

ENDPOINT_API_VERSION: Final = "externaldns.k8s.io/v1alpha1"
ENDPOINT_KIND: Final = "DNSEndpoint"
ENDPOINT_PLURAL: Final = "dnsendpoints"
ENDPOINT_LABEL: Final = f"{GROUP}/uid"
"""On a DNSEndpoint: the UID of the MailEgress that it belongs to."""

_NAME_LENGTH = 253
_ENDPOINT_PREFIX = "mailegress-"

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
# An escaped dot or backslash stays escaped: undone, `a\056b.example.com` (two labels before `com`) would pass
# for `a.b.example.com`.
_KEPT_ESCAPED = frozenset(".\\")


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 8))
    return match[0] if character in _KEPT_ESCAPED else character


def normalise_name(name: str) -> str:
    r"""Return `name` as this operator compares names: lower case, no trailing dot, Route 53's octal escapes
    undone.

    Route 53 returns every character outside ``a-z 0-9 - _ .`` as ``\ooo`` ("DNS domain name format" in its
    developer guide).
    Idempotent. The root (``.``) becomes the empty string.
    """
    return _OCTAL.sub(_unescape, name).lower().removesuffix(".")


def ownership_name(hostname: str) -> str:
    """Return the name of the TXT record set that marks the owner of `hostname`'s A record."""
    return f"{OWNERSHIP_LABEL}.{normalise_name(hostname)}"


def is_within(name: str, zone: str) -> bool:
    """Tell whether `name` is `zone` or below it, label by label (``notexample.com`` is not within
    ``example.com``).
    """
    inner, outer = normalise_name(name), normalise_name(zone)
    return not outer or inner == outer or inner.endswith(f".{outer}")


def endpoint_name(name: str) -> str:
    """Return the name of the DNSEndpoint of the MailEgress `name`, which is in the same namespace."""
    whole = f"{_ENDPOINT_PREFIX}{name}"
    if len(whole) <= _NAME_LENGTH:
        return whole
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{whole[: _NAME_LENGTH - len(digest) - 1].rstrip('.-')}-{digest}"


def endpoint_owner_name(endpoint: str) -> str | None:
    """Return the name of the MailEgress whose DNSEndpoint has this name, as far as the name alone shows it."""
    name = endpoint.removeprefix(_ENDPOINT_PREFIX)
    return name if name != endpoint and name else None
