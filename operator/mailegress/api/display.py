"""What ``kubectl get`` prints of addresses, PTRs and advisories. Derived from the status, never read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SHOWN: Final = 3
"""Addresses that are printed; the rest is a number."""


def addresses_column(public_ips: Sequence[str]) -> str:
    """Return at most three addresses, then how many more there are: ``203.0.113.10,203.0.113.11,203.0.113.12,+2``."""
    more = len(public_ips) - SHOWN
    return ",".join([*public_ips[:SHOWN], *([f"+{more}"] if more > 0 else [])])


def ptr_column(hostname: str | None, pointers: Sequence[tuple[str | None, str | None]]) -> str:
    """Return how many addresses have the hostname as their PTR. ``pointers``: PTR and iprev result of each address.

    ``set``: all of them. ``1/2``: some. ``other-name``: none, and each has a PTR of another name. ``not-set``:
    none. ``unknown``: no address is known. Where EC2 shows no PTR, the answer of the public resolvers counts.
    """
    if not pointers or hostname is None:
        return "unknown"
    done = sum(ptr == hostname or (ptr is None and iprev == "pass") for ptr, iprev in pointers)
    if done == len(pointers):
        return "set"
    if done:
        return f"{done}/{len(pointers)}"
    return "other-name" if all(ptr for ptr, _ in pointers) else "not-set"


def advisories_column(codes: Sequence[str]) -> str:
    """Return the codes of the advisories, each once, in their order: ``GenericName,AddressNotAttached``."""
    return ",".join(dict.fromkeys(codes))
