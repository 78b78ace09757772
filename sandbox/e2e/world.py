"""The scenario in its world: AWS and DNS where pods reach them, the cluster, and one run from first to last."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.aws.model import Settings
from sandbox.cloud import Cloud
from sandbox.controlplane import ControlPlane
from sandbox.dns.layout import Layout
from sandbox.pace import operator_settings
from sandbox.seed import REGIONS, seed_samples

from .cluster import Cluster
from .former import Former
from .report import Result, Steps
from .scenario import Scenario
from .upgrade import Upgrade, seed
from .values import chart_values

NETWORK = "192.0.2"
"""RFC 5737: no real host is in it. Every server of the sandbox gets an address there."""
AWS_HOST = f"{NETWORK}.254"
SCALE = 0.05
"""Delays of AWS and DNS against reality; what is proved here are the image, the chart and the node, not patience."""


def run(backend: str, plane: ControlPlane, helm: Path, former: Former | None = None) -> Result:
    """Start `plane` and play the scenario; addresses in `NETWORK` must be local to this process.

    ``former``: upgrade from this release and roll back to it, instead of the life of one release.

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
            populate=seed_samples if former is None else seed,
            host=AWS_HOST,
            layout=Layout.within(NETWORK),
        )
        with cloud:
            values = chart_values(cloud.operator_environ(), _settings())
            scenario = (
                Scenario(cluster, cloud, values, steps)
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


def _settings() -> Mapping[str, str]:
    return {**operator_settings(SCALE), "regions": ",".join(REGIONS)}
