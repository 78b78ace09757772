"""Builds the layers for AWS and DNS from the settings of the user and the operator's dependencies."""

from __future__ import annotations

from mailegress.aws.api import AwsApi
from mailegress.aws.wiring import Aws, build_aws
from mailegress.cli import layer_settings
from mailegress.cli.dependencies import Dependencies
from mailegress.cli.settings import Settings
from mailegress.dns.service import DnsService
from mailegress.dns.wiring import build_dns
from mailegress.engine.controller import Controller
from mailegress.reconcile.write_guard import WriteGuard
from mailegress.telemetry.metrics import Metrics


def build_aws_layer(
    api: AwsApi,
    settings: Settings,
    dependencies: Dependencies,
    controller: Controller,
    metrics: Metrics,
    guard: WriteGuard,
) -> Aws:
    """The AWS layer. It wakes objects through ``controller``; each of its writes passes ``guard``."""
    aws = build_aws(
        api,
        layer_settings.aws_settings(settings),
        controller.wake,
        metrics,
        guard,
        dependencies.clock,
        dependencies.rng,
        dependencies.sleep,
    )
    aws.writer.expect(controller.burst.__len__)
    return aws


def build_dns_layer(
    settings: Settings, dependencies: Dependencies, controller: Controller, metrics: Metrics
) -> DnsService:
    """The DNS layer. It wakes objects through ``controller``."""
    dns_settings = layer_settings.dns_settings(settings)
    return build_dns(
        dns_settings,
        dependencies.query(dns_settings),
        controller.wake,
        metrics,
        dependencies.clock,
        dependencies.sleep,
        dependencies.rng,
    )
