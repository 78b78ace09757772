"""What reads everything again from time to time: the rounds over AWS, and the full list of MailEgresses."""

from __future__ import annotations

from mailegress.aws.wiring import Aws
from mailegress.cli import layer_settings
from mailegress.cli.dependencies import Dependencies
from mailegress.cli.settings import Settings
from mailegress.engine.controller import Controller
from mailegress.engine.refresher import Rounds
from mailegress.engine.relist import Relister, RelistSettings
from mailegress.kube.client import KubeClient
from mailegress.reconcile.reconciler import Reconciler


def build_rounds(
    settings: Settings, aws: Aws, reconciler: Reconciler, controller: Controller, outside: Dependencies
) -> Rounds:
    """The periodic readings of EC2 and Route 53."""
    return Rounds(
        aws.addresses,
        aws.records,
        reconciler.memories,
        controller.wake,
        layer_settings.round_settings(settings),
        clock=outside.clock,
        sleep=outside.sleep,
    )


def build_relister(
    settings: Settings, kube: KubeClient, controller: Controller, outside: Dependencies
) -> Relister:
    """The periodic list of all MailEgresses."""
    return Relister(
        kube.list_all,
        controller,
        sleep=outside.sleep,
        rng=outside.rng,
        settings=RelistSettings(interval=settings.relist_seconds),
    )
