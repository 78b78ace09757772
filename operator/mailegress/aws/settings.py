"""Every interval, rate and limit of the AWS layer. Times are seconds, rates are per second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Defaults stay below AWS's documented quotas, because other tools spend from the same account.

    Sources: "Throttling for Amazon Route 53 API requests" (50 requests refilled at 10/s; 1,500 changed records refilled
    at 100/s) and "Request throttling for the Amazon EC2 API" (mutating 50 at 5/s, describing 100 at 20/s).
    """

    regions: tuple[str, ...] = ("us-east-1",)
    """The regions whose EIPs are managed; the first is the default."""

    route53_rate: float = 4.0
    route53_burst: float = 25.0
    """All Route 53 operations of the account together."""
    change_rate: float = 100.0
    change_burst: float = 1500.0
    """Records changed in Route 53 (CREATE and DELETE count 1 each)."""
    ec2_write_rate: float = 4.0
    ec2_write_burst: float = 8.0
    ec2_read_rate: float = 10.0
    ec2_read_burst: float = 20.0

    slow_down_factor: float = 0.7
    """A throttled answer multiplies the rate by this (as botocore's adaptive mode does) …"""
    slow_down_floor: float = 0.1
    """… down to this share of the configured rate …"""
    recovery_per_second: float = 0.1
    """… which comes back by this share of the configured rate a second: AWS's own buckets are full again in 10 s."""

    backoff_base: float = 1.0
    backoff_cap: float = 300.0
    """After failed reads: doubled each time, with jitter, per region or zone."""
    throttle_retries: int = 8
    """A throttled page is asked for again (it was certainly refused) so often before the read counts as failed."""

    batch_quiet: float = 0.05
    """A change batch is sent when no change came for so long …"""
    batch_longest: float = 2.0
    """… or when its first change has waited for so long."""
    batch_crowd: float = 8.0
    """… or for so long while many objects are on their way to a first change."""
    batch_gap: float = 0.35
    """A zone is left alone for so long after a change: one that comes while Route 53 still works on the last is
    refused (PriorRequestNotComplete), which costs a call and a longer pause."""
    batch_records: int = 1000
    batch_characters: int = 32000
    """"Quotas" in the Route 53 Developer Guide: ResourceRecord elements, and characters in all Value elements."""
    batch_patience: float = 120.0
    """A batch or PTR write that AWS keeps refusing for its rate fails after so long; its CRs then back off."""
    change_polls: tuple[float, ...] = (2.0, 4.0, 8.0, 8.0, 8.0, 15.0)
    """Pauses before each GetChange; the last one repeats."""
    change_poll_slow: float = 60.0
    """Pause after GetChange itself was refused."""
    forget_writes: float = 3600.0
    """Outcomes of finished writes are forgotten after so long."""

    records_collect: float = 0.05
    """Waiting names of a zone are collected for so long before look-ups start."""
    point_items: int = 20
    """MaxItems of a point look-up: room for a hostname's own record sets and its ownership TXT."""
    page_items: int = 300
    """Record sets in a page of a sweep (ListResourceRecordSets returns no more)."""
    relook_pause: float = 2.0
    """Records that a third party must change are read again with at most one call in so many seconds, however many
    objects wait for one."""
    fresh_window: float = 60.0
    """A reading asked for that may be older than this is an idle check, done together with those due soon."""
    lookahead: float = 900.0
    """Names whose reading will be as old within so long are counted as waiting when an idle check chooses."""

    nat_max_age: float = 3600.0
    """NAT gateways are read again in a sweep after so long, or when an association changed, or when asked for now."""
    identity_max_age: float = 3600.0
    unsupported_retry: float = 3600.0
    """Where EC2 offers no reverse DNS the attribute call is tried again after so long."""
    ptr_polls: tuple[float, ...] = (2.0, 4.0, 8.0, 15.0)
    """Pauses before each look at a pending PTR; the last one repeats."""
    ptr_poll_spacing: float = 1.0
    """Looks at pending PTRs of one region are at least so far apart; those due by then go along."""
    ptr_poll_stretch: float = 15.0
    """… and at most so many times as far when many PTRs are pending: what PTRs cost is their number, not their time."""
    ptr_poll_ids: int = 1000

    lost_confirm: float = 60.0
    """The second look at a missing EIP comes so long after the first."""
    mass_count: int = 3
    mass_share: float = 0.1
    """More than so many EIPs *and* more than this share of those in use missing in one sweep: nothing is believed."""


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """A role to assume for one service; empty ARN = the pod's own identity."""

    role_arn: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class BotoSettings:
    """How requests are sent. Endpoints come only from the SDK's own ``AWS_ENDPOINT_URL*``."""

    region: str = "us-east-1"
    """Also given to Route 53, whose endpoint and signing region depend on the partition."""
    route53: RoleSettings = RoleSettings()
    ec2: RoleSettings = RoleSettings()
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    threads: int = 8
    allow_http: bool = False
    """Endpoints other than on loopback may be ``http://`` (test beds)."""
    session_name: str = "mailegress"
