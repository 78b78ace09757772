"""What the process shows of itself: the line at its start, its probes and its gauges."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container

from mailegress import __version__
from mailegress.aws.wiring import Aws
from mailegress.cli.settings import Settings
from mailegress.engine.controller import Controller
from mailegress.kube.transport import LastContact
from mailegress.reconcile.policy_index import PolicyIndex
from mailegress.telemetry.condition_counts import ConditionCounts
from mailegress.telemetry.metrics import Metrics
from mailegress.telemetry.policy_counts import PolicyCounts

_log = logging.getLogger("mailegress.cli.run")

HUNG_SECONDS = 180.0
"""A reconcile waits only for the API server; one that lasts this long means that the process hangs."""


class Health:
    """The answers of ``/livez`` and ``/readyz``: why not; empty = healthy."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def live(self) -> list[str]:
        longest = self._controller.workers.longest_pass()
        return [f"a pass has been running for {longest:.0f} s"] if longest > HUNG_SECONDS else []

    def ready(self) -> list[str]:
        return [] if self._controller.listed else ["the first list of MailEgresses is not complete"]


def log_start(settings: Settings, owner: str, objects: int) -> None:
    """Log with what the operator starts: ``objects`` MailEgresses were listed."""
    _log.info(
        "started version=%s owner_id=%s objects=%s regions=%s policy=%s",
        __version__,
        owner,
        objects,
        ",".join(settings.regions),
        settings.policy,
    )
    if settings.dns_extra_ranges:
        _log.warning(
            "name servers in %s are asked although these addresses are not public "
            "(--dns-extra-ranges); use this in a DNS test bed only",
            ",".join(settings.dns_extra_ranges),
        )


def register_gauges(
    metrics: Metrics,
    controller: Controller,
    contact: LastContact,
    aws: Aws,
    condition_counts: ConditionCounts,
    owners: Container[str],
) -> None:
    """``owners``: the owner IDs of this installation."""

    def orphans() -> float:
        # Until all objects are listed, every record would be one.
        return float(aws.records.orphans(controller.claims, owners)) if controller.listed else 0.0

    _register_process_gauges(metrics, controller, contact)
    _register_object_gauges(metrics, controller, condition_counts)
    metrics.gauge(
        "mailegress_orphaned_records",
        "Ownership records of this operator without a MailEgress, in the hosted zones that were read.",
        orphans,
    )
    metrics.gauge_by(
        "mailegress_aws_state", "Writes due, rates and waits of the AWS layer.", "what", aws.gauges
    )


def _register_process_gauges(metrics: Metrics, controller: Controller, contact: LastContact) -> None:
    metrics.gauge(
        "mailegress_queue_depth",
        "MailEgresses waiting for a worker.",
        lambda: float(controller.queue.depth()),
    )
    metrics.gauge(
        "mailegress_queue_oldest_age_seconds",
        "Seconds for which the oldest waiting MailEgress has waited.",
        controller.queue.oldest_age,
    )
    metrics.gauge(
        "mailegress_last_sign_of_life_seconds",
        "Seconds since the last contact with the API server.",
        contact.age,
    )
    metrics.gauge(
        "mailegress_leader",
        "1 while this replica is active: it holds the Lease, or --leader-elect is off.",
        lambda: float(controller.workers.alive()),
    )


def _register_object_gauges(
    metrics: Metrics, controller: Controller, condition_counts: ConditionCounts
) -> None:
    metrics.gauge(
        "mailegress_known_objects",
        "MailEgresses known from lists and the watch.",
        lambda: float(len(controller.store)),
    )
    metrics.gauge_by(
        "mailegress_objects", "MailEgresses by reason of Ready.", "reason", condition_counts.by_reason
    )
    metrics.gauge_by_all(
        "mailegress_conditions",
        "Conditions of MailEgresses by type, status and reason.",
        ("condition", "status", "reason"),
        condition_counts.by_condition,
    )
    metrics.gauge_by(
        "mailegress_advisories",
        "MailEgresses with an advisory, by its code.",
        "code",
        condition_counts.by_advisory,
    )
    metrics.gauge_by(
        "mailegress_not_ready_seconds",
        "Longest time in seconds that any MailEgress has not been Ready, by reason of Ready.",
        "reason",
        condition_counts.not_ready_seconds,
    )
    metrics.gauge(
        "mailegress_dangling_addresses",
        "Addresses in A records whose Elastic IP is lost.",
        condition_counts.dangling,
    )


def register_policy_gauges(
    metrics: Metrics, index: PolicyIndex, counts: PolicyCounts, clock: Callable[[], float]
) -> None:
    """Only with ``--policy`` other than Off. ``clock``: monotonic seconds."""
    metrics.gauge_by(
        "mailegress_policy_refusals",
        "With --policy=Audit or Enforce: MailEgresses that no MailEgressPolicy allows, wholly or in part, by reason.",
        "reason",
        counts.by_reason,
    )
    metrics.gauge(
        "mailegress_policy_unusable",
        "With --policy=Audit or Enforce: MailEgressPolicies that this version of the operator cannot use.",
        lambda: float(index.unusable()),
    )
    metrics.gauge(
        "mailegress_policy_view_age_seconds",
        "With --policy=Audit or Enforce: seconds since policies and namespaces were last known to be current.",
        lambda: index.age(clock()),
    )
