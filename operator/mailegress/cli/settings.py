"""The operator's settings: flags and ``MAILEGRESS_*`` variables, validated together at start.

One table (the fields of :class:`Settings`) is the source of the flags, of the variables, of ``--help`` and of
the reference page. AWS endpoints and credentials are not settings: the SDK's own variables and chain supply
them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mailegress.api.policy import PolicyMode
from mailegress.cli import values

PREFIX = "MAILEGRESS_"
_LONG = 7 * 86400.0
_AWS, _OWN, _PACE, _DNS, _RATE, _KUBE, _PROC = (
    "AWS accounts",
    "Scope and ownership",
    "Intervals and safety",
    "View of DNS",
    "Rates",
    "Kubernetes",
    "Process",
)


def _setting(
    default: str,
    help: str,
    parse: Callable[[str], Any],
    panel: str,
    *,
    shown_default: str = "",
    confidential: bool = False,
) -> Any:
    """A field whose default is written as a user would write it, so that help and code agree."""
    return dataclasses.field(
        default_factory=lambda: parse(default),
        metadata={
            "default": default,
            "shown_default": shown_default or default,
            "help": help,
            "parse": parse,
            "panel": panel,
            "confidential": confidential,
        },
    )


Address = tuple[str, int]
"""An IP address or host, and a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings. Times are seconds, rates are per second."""

    regions: tuple[str, ...] = _setting(
        "",
        "AWS regions to manage, comma-separated; the first is the default region of a MailEgress.",
        values.each(values.region),
        _AWS,
        shown_default="AWS_REGION",
    )
    zone_role_arn: str = _setting(
        "",
        "IAM role to assume for Route 53, when the hosted zones are in another account.",
        values.role_arn,
        _AWS,
        shown_default="none; the operator uses its own identity",
    )
    zone_external_id: str = _setting(
        "",
        "External ID for the Route 53 role.",
        values.external_id,
        _AWS,
        shown_default="none",
        confidential=True,
    )
    eip_role_arn: str = _setting(
        "",
        "IAM role to assume for EC2, when the Elastic IPs are in another account.",
        values.role_arn,
        _AWS,
        shown_default="none; the operator uses its own identity",
    )
    eip_external_id: str = _setting(
        "", "External ID for the EC2 role.", values.external_id, _AWS, shown_default="none", confidential=True
    )

    allow_unknown_regions: bool = _setting(
        "off",
        "on = accept regions that the AWS SDK of this release does not list, for regions newer than the release.",
        values.switch,
        _AWS,
    )
    allow_http_endpoints: bool = _setting(
        "off",
        "on = accept http:// for AWS endpoints that are not on a loopback address. Credentials can then be read on the "
        "network. For tests only.",
        values.switch,
        _AWS,
    )

    owner_id: str = _setting(
        "",
        "Name of this installation in ownership records, at most 16 characters of a-z, 0-9 and hyphen. "
        "Set the ID of the old cluster in a rebuilt one.",
        values.optional_owner_id,
        _OWN,
        shown_default="derived from the UID of namespace kube-system",
    )
    accept_owner_ids: tuple[str, ...] = _setting(
        "",
        "Owner IDs of earlier installations whose records this one may take over, comma-separated.",
        values.each(values.owner_id),
        _OWN,
        shown_default="none",
    )
    namespaces: tuple[str, ...] = _setting(
        "",
        "Namespaces whose MailEgresses are reconciled, comma-separated.",
        values.each(values.namespace),
        _OWN,
        shown_default="all",
    )
    policy: PolicyMode = _setting(  # noqa: RUF009 (a field, as the others)
        "Off",
        "Off = a MailEgress may use any hostname and address. Audit = what no MailEgressPolicy allows is reported. "
        "Enforce = it is refused.",
        values.member(PolicyMode),
        _OWN,
    )

    external_dns: bool = _setting(
        "off",
        "on = write DNSEndpoints of external-dns for MailEgresses with spec.forward.management ExternalDNS. Needs "
        "rights on dnsendpoints (chart: externalDNS.enabled).",
        values.switch,
        _OWN,
    )

    advisories: bool = _setting(
        "on",
        "off = no advice about mail delivery in the status, and no DNS questions for it.",
        values.switch,
        _OWN,
    )

    resync_seconds: float = _setting(
        "600",
        "Seconds between checks of a MailEgress that is up to date, changed at random by up to 10 %.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    ec2_sweep_seconds: float = _setting(
        "720",
        "Seconds between lists of the addresses and PTRs of a region; NAT gateways only after a change, or hourly.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    gateway_check_seconds: float = _setting(
        "60",
        "Seconds between checks of the regional NAT gateways that MailEgresses select; one EC2 request per region.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    route53_sweep_seconds: float = _setting(
        "4500",
        "Seconds between lists of the hosted zones and their records.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    stalled_after_seconds: float = _setting(
        "1800",
        "Seconds without progress after which Reconciling becomes Stalled.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    lost_confirm_seconds: float = _setting(
        "60",
        "Minimum seconds between the two lookups that report an Elastic IP as lost.",
        values.seconds(0, _LONG),
        _PACE,
    )
    ptr_heals_per_hour: int = _setting(
        "3", "Maximum repairs per hour of a PTR that something else changed.", values.count(0, 1000), _PACE
    )
    external_removal_seconds: float = _setting(
        "300",
        "Maximum seconds for which a deletion waits until public DNS no longer has the A record, after its DNSEndpoint "
        "is deleted.",
        values.seconds(0.1, _LONG),
        _PACE,
    )
    ptr_ttl_seconds: float = _setting(
        "300",
        "Seconds for which receivers may cache an old PTR. After a rename the old A record is kept for this time.",
        values.seconds(0, _LONG),
        _PACE,
    )
    mass_loss_count: int = _setting(
        "3",
        "Mass loss is suspected when more than this number of Elastic IPs disappear in one list ...",
        values.count(0, 100_000),
        _PACE,
    )
    mass_loss_percent: float = _setting(
        "10",
        "... and they are more than this percentage of those in use in the region.",
        values.percent,
        _PACE,
    )
    confirmations: int = _setting(
        "3",
        "Consecutive checks that must find a DNS failure before a condition is no longer True.",
        values.count(1, 100),
        _PACE,
    )

    retry_seconds: float = _setting(
        "5",
        "Seconds before a failed write is retried; doubles after each failure.",
        values.seconds(0.02, _LONG),
        _PACE,
    )
    retry_max_seconds: float = _setting(
        "300", "Maximum seconds between retries of a failing write.", values.seconds(0.02, _LONG), _PACE
    )
    blocked_seconds: float = _setting(
        "60",
        "Seconds between checks while waiting for a change outside the operator; they double up to the resync.",
        values.seconds(0.02, _LONG),
        _PACE,
    )
    status_hold_seconds: float = _setting(
        "5",
        "Seconds for which a status that only reports progress is held back. Short-lived states are not written.",
        values.seconds(0, 3600),
        _PACE,
    )
    ptr_refused_seconds: float = _setting(
        "900",
        "Minimum seconds between retries of a PTR that AWS rejected although the A record matches.",
        values.seconds(0.02, _LONG),
        _PACE,
    )

    dns_roots: tuple[Address, ...] = _setting(
        "",
        "Root name servers, address or address:port, comma-separated.",
        values.each(values.server),
        _DNS,
        shown_default="the public root servers",
    )
    dns_authority_port: int = _setting(
        "53", "Port of the name servers found by delegation.", values.count(1, 65535), _DNS
    )
    dns_extra_ranges: tuple[str, ...] = _setting(
        "",
        "Address ranges (CIDR), comma-separated, that may be queried although they are not public. For tests only.",
        values.each(values.address_range),
        _DNS,
        shown_default="none; name servers must have public addresses",
    )
    dns_resolvers: tuple[Address, ...] = _setting(
        "1.1.1.1,8.8.8.8,9.9.9.9",
        "Independent public resolvers, address or address:port, comma-separated; off = use none.",
        values.resolvers,
        _DNS,
    )
    dns_timeout_seconds: float = _setting(
        "2", "Seconds to wait for a DNS answer.", values.seconds(0.05, 60), _DNS
    )
    dns_poll_seconds: float = _setting(
        "5",
        "Seconds between checks of name servers that do not return a change yet; doubles each time.",
        values.seconds(0.02, 3600),
        _DNS,
    )
    dns_poll_max_seconds: float = _setting(
        "60", "Maximum seconds between such checks.", values.seconds(0.02, 3600), _DNS
    )
    resolver_check_seconds: float = _setting(
        "3600",
        "Seconds between queries to the public resolvers about a MailEgress that is up to date.",
        values.seconds(0.1, _LONG),
        _DNS,
    )
    dns_in_flight: int = _setting("32", "Maximum DNS queries in flight.", values.count(1, 1000), _DNS)

    # "Throttling for Amazon Route 53 API requests": an account has 10 requests and 100 changes a second for
    # everybody.
    route53_rate: float = _setting(
        "4", "Maximum Route 53 requests per second, all operations together.", values.rate(0.01, 1000), _RATE
    )
    route53_changes_rate: float = _setting(
        "100", "Maximum Route 53 record changes per second.", values.rate(0.1, 100_000), _RATE
    )
    # "Request throttling for the Amazon EC2 API": 20 reads and 5 mutations a second for everybody in an
    # account.
    ec2_write_rate: float = _setting(
        "4", "Maximum EC2 PTR changes per second.", values.rate(0.01, 1000), _RATE
    )
    ec2_read_rate: float = _setting(
        "10", "Maximum EC2 read requests per second.", values.rate(0.01, 1000), _RATE
    )
    insync_poll_seconds: float = _setting(
        "2",
        "Seconds before the first check of a change that is not INSYNC; later checks are further apart.",
        values.seconds(0.02, 3600),
        _RATE,
    )
    ptr_poll_seconds: float = _setting(
        "2",
        "Seconds before the first check of a PTR that is PENDING; later checks are further apart.",
        values.seconds(0.02, 3600),
        _RATE,
    )
    batch_idle_ms: float = _setting(
        "50",
        "Milliseconds without a new change after which a change batch is sent.",
        values.milliseconds(0, 60_000),
        _RATE,
    )
    batch_max_seconds: float = _setting(
        "2", "Maximum seconds before a change batch is sent.", values.seconds(0, 300), _RATE
    )

    kubeconfig: str = _setting(
        "",
        "Path of a kubeconfig file.",
        values.existing_file,
        _KUBE,
        shown_default="the pod's service account, else KUBECONFIG or ~/.kube/config",
    )
    context: str = _setting(
        "", "Context in the kubeconfig file.", values.plain, _KUBE, shown_default="the current context"
    )
    relist_seconds: float = _setting(
        "3600",
        "Seconds between full lists of MailEgresses, which correct what the watch missed.",
        values.seconds(0.1, _LONG),
        _KUBE,
    )
    leader_elect: bool = _setting(
        "off",
        "on = several replicas may run, and only the holder of the Lease is active.",
        values.switch,
        _KUBE,
    )

    workers: int = _setting("32", "MailEgresses reconciled at the same time.", values.count(1, 1000), _PROC)
    http_address: tuple[str, int] = _setting(
        "0.0.0.0:8080",
        "host:port of /livez, /readyz and /metrics; port 0 = any free one.",
        values.listen_address,
        _PROC,
    )
    shutdown_seconds: float = _setting(
        "4", "Seconds after SIGTERM in which work in progress may finish.", values.seconds(0.1, 25), _PROC
    )
    log_format: str = _setting("json", "json or text.", values.choice("json", "text"), _PROC)
    log_level: str = _setting(
        "info", "debug, info, warning or error.", values.choice("debug", "info", "warning", "error"), _PROC
    )


class SettingRow(NamedTuple):
    """One row of the settings reference."""

    flag: str
    env: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting as the command line needs it."""

    name: str
    flag: str
    env: str
    default: str
    """As a user would write it; empty = nothing is set."""
    shown_default: str
    help: str
    panel: str
    confidential: bool
    parse: Callable[[str], Any]


def specs() -> tuple[Spec, ...]:
    """Every setting, in the order of the help text."""
    return tuple(
        Spec(
            name=field.name,
            flag="--" + field.name.replace("_", "-"),
            env=PREFIX + field.name.upper(),
            default=field.metadata["default"],
            shown_default=field.metadata["shown_default"],
            help=field.metadata["help"],
            panel=field.metadata["panel"],
            confidential=field.metadata["confidential"],
            parse=field.metadata["parse"],
        )
        for field in dataclasses.fields(Settings)
    )


def settings_table() -> list[SettingRow]:
    """The rows of the settings reference: flag, variable, default, meaning with its unit."""
    return [SettingRow(spec.flag, spec.env, spec.shown_default, spec.help) for spec in specs()]
