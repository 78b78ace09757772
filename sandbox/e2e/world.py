"""The scenario in its world: AWS and DNS where pods reach them, the cluster, and one run from first to last."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.aws.model import AwsModel, Settings
from sandbox.cloud import Cloud
from sandbox.controlplane import ControlPlane
from sandbox.dns.layout import Layout
from sandbox.dns.model import DnsWorld
from sandbox.pace import operator_settings
from sandbox.seed import REGIONS, seed_samples

from .cluster import Cluster
from .former import Former
from .mail_server import MAIL_ZONE, MailHost, mail_records
from .report import Result, Steps
from .scenario import Scenario
from .upgrade import Upgrade, seed
from .values import chart_values

NETWORK = "192.0.2"
"""RFC 5737: no real host is in it. Every server of the sandbox gets an address there."""
AWS_HOST = f"{NETWORK}.254"
SCALE = 0.05
"""Delays of AWS and DNS against reality; what is proved here are the image, the chart and the node, not patience."""


def run(
    backend: str, plane: ControlPlane, helm: Path, former: Former | None = None, mail: MailHost | None = None
) -> Result:
    """Start `plane` and play the scenario; addresses in `NETWORK` must be local to this process.

    ``former``: upgrade from this release and roll back to it, instead of the life of one release. ``mail``: probe port
    25, too; the network namespace is ours then.

    Raises:
        E2eError, ControlPlaneError: a promise was not kept. What the cluster says of it was printed.
    """
    steps = Steps(lambda line: print(line, flush=True))
    with steps.step(f"start the cluster: {plane.origin}") as facts:
        plane.start()
        facts["kubernetes"] = plane.version
    try:
        cluster = Cluster(plane, helm)
        cloud = Cloud(
            Settings.for_tests(SCALE),
            scale=SCALE,
            populate=seed_mail if former is None else seed,
            host=AWS_HOST,
            layout=Layout.within(NETWORK),
            # The mail server's libc knows no other port.
            dns_port=0 if mail is None else 53,
        )
        with cloud:
            values = chart_values(cloud.operator_environ(), _settings())
            scenario = (
                Scenario(cluster, cloud, values, steps, mail)
                if former is None
                else Upgrade(cluster, cloud, values, steps, former)
            )
            try:
                scenario.play()
            except Exception:
                print(cluster.describe(), file=sys.stderr, flush=True)
                raise
        return Result(backend, tuple(steps.done), scenario.world_diff, cluster.restarts)
    finally:
        plane.stop()


def seed_mail(model: AwsModel, dns: DnsWorld) -> None:
    """The world of the samples, and domains that take mail, or say that they do."""
    seed_samples(model, dns)
    zone = dns.add_zone(MAIL_ZONE)
    for name, rtype, value in mail_records(NETWORK):
        zone.put(name, rtype, [value])


def _settings() -> Mapping[str, str]:
    return {**operator_settings(SCALE), "regions": ",".join(REGIONS)}
