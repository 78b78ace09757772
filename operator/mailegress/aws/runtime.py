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
        """AWS throttled: slow these buckets down and count it."""
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
        """A read paced by its service's bucket. ``once``: the caller has its own idea of when to ask again.

        A throttled request was certainly refused, so it is sent again a few times: a sweep of many pages would never
        end in an account that throttles one request in three if every refusal threw the pages before it away.
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
