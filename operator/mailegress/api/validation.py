"""The rules of the schema, once more in Python: a stored spec may be older than the rules in force."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from mailegress.api import limits
from mailegress.api.text import clean_text

_HOSTNAME = re.compile(r"(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ALLOCATION_ID = re.compile(r"eipalloc-[0-9a-f]{1,32}")
_NAT_GATEWAY_ID = re.compile(r"nat-[0-9a-f]{1,32}")
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{1,32}")
_NETWORK_INTERFACE_ID = re.compile(r"eni-[0-9a-f]{1,32}")
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_HOSTED_ZONE_ID = re.compile(r"Z[A-Z0-9]{1,31}")

# No Elastic IP is in any of these (IANA special-purpose registry). The documentation ranges are legal:
# examples and test beds use them.
NOT_PUBLIC: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

_SHOWN_LENGTH: Final = 80


class InvalidObject(ValueError):
    """A stored object that the operator cannot work on: which field, which value, and what would be right.

    `value` is the value as shown to people: printable and short.
    """

    def __init__(self, field: str, value: object, wanted: str) -> None:
        self.field = field
        self.value = "nothing" if value is None else clean_text(repr(value)[:4096], _SHOWN_LENGTH)
        self.wanted = wanted
        super().__init__(f"{field} is {self.value}; it must be {wanted}")


def is_hostname(value: str) -> bool:
    """Tell whether `value` is a name that `spec.hostname` takes."""
    return len(value) <= limits.HOSTNAME_LENGTH and _HOSTNAME.fullmatch(value) is not None


def is_allocation_id(value: str) -> bool:
    """Tell whether `value` has the form of an Elastic IP's allocation ID."""
    return _ALLOCATION_ID.fullmatch(value) is not None


def is_nat_gateway_id(value: str) -> bool:
    """Tell whether `value` has the form of a NAT gateway ID."""
    return _NAT_GATEWAY_ID.fullmatch(value) is not None


def is_instance_id(value: str) -> bool:
    """Tell whether `value` has the form of an EC2 instance ID."""
    return _INSTANCE_ID.fullmatch(value) is not None


def is_network_interface_id(value: str) -> bool:
    """Tell whether `value` has the form of an EC2 network interface ID."""
    return _NETWORK_INTERFACE_ID.fullmatch(value) is not None


def is_region(value: str) -> bool:
    """Tell whether `value` has the form of an AWS region name."""
    return _REGION.fullmatch(value) is not None


def is_hosted_zone_id(value: str) -> bool:
    """Tell whether `value` has the form of a Route 53 hosted zone ID (without `/hostedzone/`)."""
    return _HOSTED_ZONE_ID.fullmatch(value) is not None


def is_public_ipv4(value: str) -> bool:
    """Tell whether `value` is an IPv4 address in dotted decimal that an Elastic IP can have."""
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return value.isascii() and not any(address in network for network in NOT_PUBLIC)


def first_duplicate(values: Sequence[str]) -> str | None:
    """Return the first value that occurs a second time, or None."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
