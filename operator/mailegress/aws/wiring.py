"""Puts the parts of this layer together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from mailegress.aio.tasks import Clock, Sleep
from mailegress.aws.api import AwsApi
from mailegress.aws.ec2.addresses import SharedAddressBook
from mailegress.aws.ec2.ptr_writer import PacedPtrWriter
from mailegress.aws.route53.records import RecordCache
from mailegress.aws.route53.writer import BatchWriter
from mailegress.aws.route53.zones import ZoneList
from mailegress.aws.runtime import Runtime, build_runtime
from mailegress.aws.settings import AwsSettings
from mailegress.reconcile.ports import Wake
from mailegress.reconcile.write_guard import WriteGuard
from mailegress.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Aws:
    """The five ports, and the background work behind them."""

    addresses: SharedAddressBook
    ptrs: PacedPtrWriter
    zones: ZoneList
    records: RecordCache
    writer: BatchWriter
    runtime: Runtime

    async def run(self) -> None:
        """Raises what crashed a background task; ends otherwise only by cancellation. Work starts by itself."""
        await self.runtime.tasks.run()

    async def close(self) -> None:
        """Stop all background work. What is in flight may still have its effect."""
        await self.runtime.tasks.close()

    def gauges(self) -> Mapping[str, float]:
        """Writes due and the like, by a bounded name."""
        runtime = self.runtime
        return {
            "route53_writes_due": float(self.writer.due),
            "ec2_writes_due": float(self.ptrs.due),
            "route53_changes_pending": float(self.writer.polled),
            "route53_rate": runtime.route53.rate(),
            "route53_waiting": float(runtime.route53.waiting),
            "ec2_write_rate": runtime.ec2_writes.rate(),
            "ec2_read_rate": runtime.ec2_reads.rate(),
            "addresses_absence_not_believed": float(self.addresses.mass),
        }


def build_aws(
    api: AwsApi,
    settings: AwsSettings,
    wake: Wake,
    metrics: Metrics,
    guard: WriteGuard,
    clock: Clock,
    rng: random.Random,
    sleep: Sleep = asyncio.sleep,
) -> Aws:
    """Build the layer over an ``AwsApi``. Needs no running loop; tasks start when something is asked for."""
    runtime = build_runtime(api, settings, wake, metrics, guard, clock, sleep, rng)
    zones = ZoneList(runtime)
    records = RecordCache(runtime, zones)
    addresses = SharedAddressBook(runtime)
    return Aws(
        addresses=addresses,
        ptrs=PacedPtrWriter(runtime, addresses),
        zones=zones,
        records=records,
        writer=BatchWriter(runtime, records),
        runtime=runtime,
    )
