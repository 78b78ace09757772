"""The settings of each layer, from those of the user.

The table in :mod:`mailegress.cli.settings` has the default of everything that a user can set. A layer's own defaults
serve its tests; ``tests/cli/test_layer_settings.py`` checks that they are the same.
"""

from __future__ import annotations

import ipaddress

from mailegress.aws.settings import AwsSettings, BotoSettings, RoleSettings
from mailegress.cli.settings import Settings
from mailegress.dns.settings import ROOT_HINTS, DnsSettings, named_server
from mailegress.engine.refresher import RoundSettings
from mailegress.reconcile.settings import ReconcileSettings


def aws_settings(settings: Settings) -> AwsSettings:
    return AwsSettings(
        regions=settings.regions,
        route53_rate=settings.route53_rate,
        change_rate=settings.route53_changes_rate,
        ec2_write_rate=settings.ec2_write_rate,
        ec2_read_rate=settings.ec2_read_rate,
        backoff_base=min(AwsSettings().backoff_base, settings.retry_seconds),
        backoff_cap=settings.retry_max_seconds,
        batch_quiet=settings.batch_idle_ms / 1000,
        batch_longest=settings.batch_max_seconds,
        change_polls=_scaled(AwsSettings().change_polls, settings.insync_poll_seconds),
        ptr_polls=_scaled(AwsSettings().ptr_polls, settings.ptr_poll_seconds),
        # Looks that share one request may not be further apart than the looks themselves.
        ptr_poll_spacing=min(AwsSettings().ptr_poll_spacing, settings.ptr_poll_seconds / 2),
        lost_confirm=settings.lost_confirm_seconds,
        mass_count=settings.mass_loss_count,
        mass_share=settings.mass_loss_percent / 100,
    )


def _scaled(pauses: tuple[float, ...], first: float) -> tuple[float, ...]:
    """The same growth from another first pause."""
    return tuple(pause * first / pauses[0] for pause in pauses)


def boto_settings(settings: Settings) -> BotoSettings:
    return BotoSettings(
        region=settings.regions[0],
        route53=RoleSettings(settings.zone_role_arn, settings.zone_external_id),
        ec2=RoleSettings(settings.eip_role_arn, settings.eip_external_id),
        allow_http=settings.allow_http_endpoints,
    )


def dns_settings(settings: Settings) -> DnsSettings:
    return DnsSettings(
        roots=tuple(named_server(*address) for address in settings.dns_roots) or ROOT_HINTS,
        authority_port=settings.dns_authority_port,
        extra_ranges=tuple(ipaddress.ip_network(text) for text in settings.dns_extra_ranges),
        resolvers=tuple(named_server(*address) for address in settings.dns_resolvers),
        timeout_seconds=settings.dns_timeout_seconds,
        max_queries=settings.dns_in_flight,
    )


def reconcile_settings(settings: Settings, owner_id: str) -> ReconcileSettings:
    """``owner_id``: the configured one, else the one derived from the cluster."""
    return ReconcileSettings(
        owner_id=owner_id,
        accept_owner_ids=settings.accept_owner_ids,
        policy=settings.policy,
        resync_seconds=settings.resync_seconds,
        address_sweep_seconds=settings.ec2_sweep_seconds,
        record_sweep_seconds=settings.route53_sweep_seconds,
        public_seconds=settings.resolver_check_seconds,
        stalled_after_seconds=settings.stalled_after_seconds,
        external_removal_seconds=settings.external_removal_seconds,
        ptr_ttl_seconds=settings.ptr_ttl_seconds,
        ptr_refused_seconds=settings.ptr_refused_seconds,
        heals_per_hour=settings.ptr_heals_per_hour,
        confirmations=settings.confirmations,
        poll_seconds=settings.dns_poll_seconds,
        quiet_seconds=settings.status_hold_seconds,
        poll_max_seconds=settings.dns_poll_max_seconds,
        retry_seconds=settings.retry_seconds,
        retry_max_seconds=settings.retry_max_seconds,
        blocked_seconds=settings.blocked_seconds,
        advisories=settings.advisories,
    )


def round_settings(settings: Settings) -> RoundSettings:
    return RoundSettings(
        settings.ec2_sweep_seconds,
        settings.route53_sweep_seconds,
        gateways=settings.gateway_check_seconds,
    )
