"""Delays, quotas and the switches of undocumented behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Delays:
    """How long AWS takes, in seconds. The defaults are AWS-like; `scaled` shrinks them all by one factor."""

    insync: float = 30.0
    """ChangeResourceRecordSets to INSYNC ("normally within 60 seconds", API_GetChange)."""
    change_processing: float = 0.3
    """How long a zone is busy with one change request (PriorRequestNotComplete meanwhile)."""
    ptr_min: float = 60.0
    ptr_max: float = 120.0
    """Modify or reset of a PTR until it is settled ("a minute or two")."""
    release_lock: float = 180.0
    """ReleaseAddress still answers InvalidAddress.PtrSet this long after a reset is settled."""
    nat_gateway: float = 60.0
    """A NAT gateway from pending to available, an added address from associating to succeeded."""
    session: float | None = None
    """Life of assumed-role credentials; None = the DurationSeconds asked for."""

    def scaled(self, factor: float) -> Delays:
        """Every delay times `factor`."""
        changes: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            changes[each.name] = None if value is None else value * factor
        return replace(self, **changes)


TEST_SCALE = 1 / 60
"""INSYNC after 0.5 s, a PTR after 1 to 2 s."""


@dataclass(slots=True)
class Settings:
    """Everything a test may switch while the model runs."""

    delays: Delays = field(default_factory=Delays)
    quotas: bool = True
    """Token buckets and the limit of records in a zone."""
    records_per_zone: int = 10_000
    """Page "Quotas", Route 53: default quota, adjustable."""
    ptr_precondition: Literal["this-address", "any-owned", "off"] = "this-address"
    modify_while_pending: Literal["replace", "refuse"] = "replace"
    rnat_ptr: Literal["accept", "refuse"] = "accept"
    """Whether AWS takes a PTR for an address that it allocated for a regional NAT gateway. Not documented (assumption:
    the same answer to setting and resetting, OperationNotPermitted)."""
    foreign_zone: Literal["NoSuchHostedZone", "AccessDenied"] = "NoSuchHostedZone"
    """What Route 53 answers to a call about a zone of another account (not documented; both have been seen)."""
    no_ptr_regions: tuple[tuple[str, str], ...] = (
        ("us-gov-*", "InvalidAction"),
        ("*-iso*", "UnsupportedOperation"),
    )
    """Region pattern and the code its attribute calls answer."""
    generic_ptr: bool = False
    """Serve `ec2-….compute.amazonaws.com` for an address without its own PTR, as the real AWS does."""
    ptr_ttl: int = 300
    alias_addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """DNS name of an alias target outside the sandbox's zones: the IPv4 addresses it resolves to."""
    alias_default: tuple[str, ...] = ("192.0.2.250",)
    default_account: str = "111122223333"
    log_size: int = 200_000

    @classmethod
    def for_tests(cls, scale: float = TEST_SCALE) -> Settings:
        """Delays scaled down, quotas off."""
        return cls(delays=Delays().scaled(scale), quotas=False)
