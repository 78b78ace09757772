"""What every part of this layer is built with, and the paced call."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from mailegress.aio.backoff import Backoff
from mailegress.aio.tasks import Clock, Signal, Sleep, Tasks
from mailegress.aws.api import AwsApi, AwsError, Service
from mailegress.aws.errors import is_throttle
from mailegress.aws.rate_limit import Bucket, Pace, Priority
from mailegress.aws.settings import AwsSettings
from mailegress.reconcile.ports import Wake
from mailegress.reconcile.write_guard import WriteGuard
from mailegress.telemetry.metrics import Metrics

T = TypeVar("T")

SENT_FROM: ContextVar[list[float]] = ContextVar("sent_from")
"""When the first call of a reading that AWS answered was sent. Throttled calls before it returned nothing."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Shared by all parts; one per operator."""

    api: AwsApi
    settings: AwsSettings
    wake: Wake
    metrics: Metrics
    guard: WriteGuard
    clock: Clock
    sleep: Sleep
    rng: random.Random
    tasks: Tasks
    route53: Bucket
    changes: Bucket
    ec2_reads: Bucket
    ec2_writes: Bucket

    def signal(self) -> Signal:
        return Signal(self.sleep)

    def backoff(self) -> Backoff:
        return Backoff(self.settings.backoff_base, self.settings.backoff_cap, self.rng)

    def note_throttle(self, service: Service, *buckets: Bucket) -> None:
        """AWS throttled a request: reduce the rate of the service's buckets, and count it in the metrics."""
        self.metrics.throttled(service.value)
        for bucket in buckets:
            bucket.throttled()

    async def read(
        self,
        service: Service,
        priority: Priority,
        who: str,
        call: Callable[[], Awaitable[T]],
        *,
        once: bool = False,
    ) -> T:
        """Make a read request within the rate limit of its service. Raises ``AwsError``.

        ``once``: the caller decides itself when to try again. Otherwise a throttled request is repeated a few times: it
        was certainly refused, and a list of many pages would never end in an account that throttles one request in
        three, if each refusal discarded the pages before it.
        """
        bucket = self.route53 if service is Service.ROUTE53 else self.ec2_reads
        pause = self.backoff()
        while True:
            await bucket.take(priority, who=who)
            sent = self.clock()
            try:
                answer = await call()
            except AwsError as error:
                if not is_throttle(error):
                    raise
                self.note_throttle(service, bucket)
                if once or pause.failures >= self.settings.throttle_retries:
                    raise
            else:
                first = SENT_FROM.get(None)
                if first is not None and not first:
                    first.append(sent)
                return answer
            await self.sleep(min(pause.next(), 20.0))


def build_runtime(
    api: AwsApi,
    settings: AwsSettings,
    wake: Wake,
    metrics: Metrics,
    guard: WriteGuard,
    clock: Clock,
    sleep: Sleep,
    rng: random.Random,
) -> Runtime:
    """The runtime with its buckets."""
    tasks = Tasks()

    def bucket(name: str, rate: float, burst: float) -> Bucket:
        pace = Pace(
            rate, burst, settings.slow_down_factor, settings.slow_down_floor, settings.recovery_per_second
        )
        return Bucket(pace, clock, sleep, tasks, name)

    return Runtime(
        api=api,
        settings=settings,
        wake=wake,
        metrics=metrics,
        guard=guard,
        clock=clock,
        sleep=sleep,
        rng=rng,
        tasks=tasks,
        route53=bucket("route53", settings.route53_rate, settings.route53_burst),
        changes=bucket("route53-changes", settings.change_rate, settings.change_burst),
        ec2_reads=bucket("ec2-reads", settings.ec2_read_rate, settings.ec2_read_burst),
        ec2_writes=bucket("ec2-writes", settings.ec2_write_rate, settings.ec2_write_burst),
    )
