"""Each layer gets what the user set, and its own defaults where the user set nothing."""

from __future__ import annotations

import dataclasses
import inspect
import ipaddress
from typing import Any

import pytest

from mailegress.api.policy import PolicyMode
from mailegress.aws.settings import AwsSettings, BotoSettings, RoleSettings
from mailegress.cli import layer_settings, lifecycle
from mailegress.cli.settings import Settings
from mailegress.dns.settings import DnsSettings
from mailegress.engine.relist import RelistSettings
from mailegress.engine.workers import WorkerSettings
from mailegress.reconcile.settings import ReconcileSettings


def different(settings: Settings) -> Settings:
    """Every number changed, so that one that is dropped on the way shows."""
    numbers: dict[str, Any] = {
        field.name: value + 1
        for field in dataclasses.fields(Settings)
        if isinstance(value := getattr(settings, field.name), int | float) and not isinstance(value, bool)
    }
    return dataclasses.replace(settings, **numbers)


def test_without_settings_the_aws_and_dns_layers_keep_their_defaults() -> None:
    settings = Settings(regions=("us-east-1",))
    assert layer_settings.aws_settings(settings) == AwsSettings()
    assert layer_settings.dns_settings(settings) == DnsSettings()


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("route53_rate", "aws"),
        ("route53_changes_rate", "aws"),
        ("ec2_write_rate", "aws"),
        ("ec2_read_rate", "aws"),
        ("batch_idle_ms", "aws"),
        ("batch_max_seconds", "aws"),
        ("insync_poll_seconds", "aws"),
        ("ptr_poll_seconds", "aws"),
        ("lost_confirm_seconds", "aws"),
        ("mass_loss_count", "aws"),
        ("mass_loss_percent", "aws"),
        ("dns_authority_port", "dns"),
        ("dns_timeout_seconds", "dns"),
        ("dns_in_flight", "dns"),
        ("resync_seconds", "reconcile"),
        ("ec2_sweep_seconds", "reconcile"),
        ("route53_sweep_seconds", "reconcile"),
        ("resolver_check_seconds", "reconcile"),
        ("stalled_after_seconds", "reconcile"),
        ("ptr_ttl_seconds", "reconcile"),
        ("external_removal_seconds", "reconcile"),
        ("ptr_refused_seconds", "reconcile"),
        ("ptr_heals_per_hour", "reconcile"),
        ("confirmations", "reconcile"),
        ("dns_poll_seconds", "reconcile"),
        ("dns_poll_max_seconds", "reconcile"),
        ("retry_seconds", "reconcile"),
        ("retry_max_seconds", "aws reconcile"),
        ("blocked_seconds", "reconcile"),
        ("status_hold_seconds", "reconcile"),
    ],
)
def test_a_changed_number_reaches_its_layers_and_no_other(name: str, layers: str) -> None:
    plain = Settings(regions=("us-east-1",))
    changed = dataclasses.replace(plain, **{name: getattr(different(plain), name)})
    moved = {
        "aws": layer_settings.aws_settings(plain) != layer_settings.aws_settings(changed),
        "dns": layer_settings.dns_settings(plain) != layer_settings.dns_settings(changed),
        "reconcile": layer_settings.reconcile_settings(plain, "me")
        != layer_settings.reconcile_settings(changed, "me"),
    }
    assert [layer for layer, is_moved in moved.items() if is_moved] == layers.split()


def test_every_setting_has_one_default() -> None:
    """What a layer takes when it is told nothing is what the flags say."""
    plain = Settings(regions=("us-east-1",))
    assert layer_settings.reconcile_settings(plain, "me") == ReconcileSettings("me")
    assert layer_settings.dns_settings(plain) == DnsSettings()
    assert layer_settings.aws_settings(plain) == AwsSettings(regions=plain.regions)
    assert layer_settings.boto_settings(plain) == BotoSettings(region="us-east-1")
    assert WorkerSettings().count == plain.workers
    assert RelistSettings().interval == plain.relist_seconds
    for function in (lifecycle.run, lifecycle.supervise):
        assert inspect.signature(function).parameters["shutdown_seconds"].default == plain.shutdown_seconds


def test_the_pace_of_dns_does_not_change_how_long_a_status_is_held_back() -> None:
    plain = Settings(regions=("us-east-1",), dns_poll_seconds=30.0)
    assert layer_settings.reconcile_settings(plain, "me").quiet_seconds == 5.0


def test_polls_keep_their_growth_from_a_shorter_first_pause() -> None:
    aws = layer_settings.aws_settings(
        Settings(regions=("us-east-1",), insync_poll_seconds=0.2, ptr_poll_seconds=0.2)
    )
    assert aws.change_polls == pytest.approx(tuple(pause / 10 for pause in AwsSettings().change_polls))
    assert aws.ptr_polls == pytest.approx(tuple(pause / 10 for pause in AwsSettings().ptr_polls))
    assert aws.ptr_poll_spacing <= 0.2


def test_each_service_gets_its_own_role_and_the_default_region() -> None:
    arn = "arn:aws:iam::111122223333:role/"
    boto = layer_settings.boto_settings(
        Settings(
            regions=("ap-northeast-1", "eu-west-1"),
            zone_role_arn=arn + "zone",
            zone_external_id="z-1",
            eip_role_arn=arn + "eip",
        )
    )
    assert boto.region == "ap-northeast-1"
    assert boto.route53 == RoleSettings(arn + "zone", "z-1")
    assert boto.ec2 == RoleSettings(arn + "eip", "")


def test_a_dns_test_bed_can_be_pointed_at() -> None:
    dns = layer_settings.dns_settings(
        Settings(
            regions=("us-east-1",),
            dns_roots=(("127.0.0.1", 5301), ("::1", 5302)),
            dns_authority_port=5300,
            dns_extra_ranges=("127.0.0.0/8",),
            dns_resolvers=(),
        )
    )
    assert [(server.address, server.port) for server in dns.roots] == [("127.0.0.1", 5301), ("::1", 5302)]
    assert (dns.authority_port, dns.resolvers) == (5300, ())
    assert dns.extra_ranges == (ipaddress.ip_network("127.0.0.0/8"),)


def test_the_policy_mode_reaches_the_reconciler() -> None:
    made = layer_settings.reconcile_settings(
        Settings(regions=("us-east-1",), policy=PolicyMode.ENFORCE), "me"
    )
    assert made.policy is PolicyMode.ENFORCE


def test_ownership_reaches_the_reconciler() -> None:
    settings = Settings(regions=("us-east-1",), accept_owner_ids=("old",))
    made = layer_settings.reconcile_settings(settings, "me")
    assert made.mine("me")
    assert made.mine("old")
    assert not made.mine("other")
    assert made.resync_jitter == ReconcileSettings("me").resync_jitter
