"""Wiring: every part of the operator, put together and started in order."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from mailegress import __version__
from mailegress.api.status import format_time
from mailegress.api.types import parse_remains
from mailegress.api.validation import InvalidObject
from mailegress.aws.api import AwsApi
from mailegress.aws.wiring import Aws, build_aws
from mailegress.cli import parts
from mailegress.cli.dependencies import Dependencies
from mailegress.cli.lifecycle import Stop, run, supervise
from mailegress.cli.settings import Settings
from mailegress.dns.wiring import build_dns
from mailegress.engine.feed import Feed
from mailegress.engine.queue import KeyedQueue, Priority
from mailegress.engine.refresher import PREFIX, Rounds, RoundSettings
from mailegress.engine.relist import Relister, RelistSettings
from mailegress.engine.store import Store, Stored
from mailegress.engine.workers import Workers, WorkerSettings
from mailegress.kube.client import KubeClient
from mailegress.kube.credentials import CredentialsError, discover
from mailegress.kube.event_recorder import EventRecorder
from mailegress.kube.lease import LeaderGuard, LeaseElector, LeaseSettings
from mailegress.kube.transport import LastContact, Transport, connect
from mailegress.kube.watch import watch
from mailegress.reconcile.claim_index import ClaimIndex
from mailegress.reconcile.creation_burst import CreationBurst
from mailegress.reconcile.ports import KubeError, Ports
from mailegress.reconcile.reconciler import Reconciler
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.reconcile.write_guard import WriteGuard
from mailegress.telemetry.condition_counts import ConditionCounts
from mailegress.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

HUNG_SECONDS = 180.0
"""A pass waits for nothing but the API server; one that lasts this long means that the process is stuck."""


def run_operator(settings: Settings) -> int:
    """Run until SIGTERM; the process's exit code."""
    return run(lambda stop: _main(settings, stop), shutdown_seconds=settings.shutdown_seconds)


async def _main(settings: Settings, stop: Stop) -> int:
    try:
        credentials = discover(settings.kubeconfig or None, settings.context or None)
    except CredentialsError as error:
        _log.error("no access to a cluster: %s", error)
        return 1
    async with connect(credentials, user_agent=f"mailegress/{__version__}") as transport:
        return await Operator(settings, transport).run(stop)


class Operator:
    """One operator over a transport to the API server."""

    def __init__(
        self, settings: Settings, transport: Transport, dependencies: Dependencies | None = None
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._dependencies = dependencies or Dependencies()
        self._clock = self._dependencies.clock or asyncio.get_running_loop().time
        self._rng = self._dependencies.rng
        self._metrics = Metrics()
        self._life = LastContact(self._clock)
        self._fence = LeaderGuard(self._dependencies.guard, self._clock) if settings.leader_elect else None
        self._guard: WriteGuard = self._fence or self._dependencies.guard
        self._listed = False
        self._rules: ReconcileSettings | None = None
        self._claims = ClaimIndex()
        self._burst = CreationBurst(self._clock)
        self._queue = KeyedQueue(self._clock)
        self._store = Store(on_changed=self._changed, on_removed=self._removed, on_replaced=self._removed)
        self._feed = Feed(self._store, self._queue, self._forget)
        self._identity = self._dependencies.identity
        self._kube = KubeClient(
            transport,
            clock=self._clock,
            sleep=self._dependencies.sleep,
            wall=self._dependencies.wall,
            namespaces=settings.namespaces,
            instance=self._identity,
            guard=self._guard,
            metrics=self._metrics,
            life=self._life,
        )
        self._reconciler: Reconciler | None = None
        self._rounds: Rounds | None = None
        self._workers = Workers(
            self._queue, self._process, clock=self._clock, settings=WorkerSettings(count=settings.workers)
        )

    async def run(self, stop: Stop) -> int:
        """Start in order: probes, full list, watch, workers. The exit code comes back."""
        probes = self._dependencies.probes(self._settings, self._metrics, self._live, self._ready)
        await probes.start()
        try:
            with self._dependencies.aws(self._settings, self._metrics) as api:
                return await self._run(stop, api)
        finally:
            await probes.stop()

    async def _run(self, stop: Stop, api: AwsApi) -> int:
        sleep = self._dependencies.sleep
        aws = build_aws(
            api,
            parts.aws_settings(self._settings),
            self._wake,
            self._metrics,
            self._guard,
            self._clock,
            self._rng,
            sleep,
        )
        dns_settings = parts.dns_settings(self._settings)
        dns = build_dns(
            dns_settings,
            self._dependencies.query(dns_settings),
            self._queue.add,
            self._metrics,
            self._clock,
            sleep,
            self._rng,
        )
        try:
            owner = self._settings.owner_id or derived_owner(
                await self._patiently(stop, self._kube.get_namespace_uid)
            )
            recorder = EventRecorder(self._kube, clock=self._clock, sleep=self._dependencies.sleep)
            rules = self._rules = parts.reconcile_settings(self._settings, owner)
            self._reconciler = Reconciler(
                Ports(aws.addresses, aws.ptrs, aws.zones, aws.records, aws.writer, dns, self._claims),
                Objects(self._store, self._feed),
                recorder,
                self._burst,
                rules,
                self._metrics,
                wake=self._queue.add,
                clock=self._clock,
                timestamp=lambda: format_time(self._dependencies.wall()),
            )
            aws.addresses.know_eips(self._reconciler.used)
            aws.writer.expect(self._burst.__len__)
            self._rounds = Rounds(
                aws.addresses,
                aws.records,
                self._reconciler.memories,
                self._queue.add,
                RoundSettings(self._settings.ec2_sweep_seconds, self._settings.route53_sweep_seconds),
                clock=self._clock,
                sleep=sleep,
            )
            self._gauges(aws, self._reconciler.condition_counts)
            relister = Relister(
                self._kube.list_all,
                self._store,
                self._feed,
                sleep=sleep,
                rng=self._rng,
                settings=RelistSettings(interval=self._settings.relist_seconds),
            )
            # A younger object could win a claim before an older one was heard of: everything is listed first.
            count = await self._patiently(stop, relister.once)
            self._listed = True
            _log.info(
                "started version=%s owner_id=%s objects=%s regions=%s",
                __version__,
                owner,
                count,
                ",".join(self._settings.regions),
            )
            if self._settings.dns_extra_ranges:
                _log.warning(
                    "name servers in %s are asked although these addresses are not public "
                    "(--dns-extra-ranges); use this in a DNS test bed only",
                    ",".join(self._settings.dns_extra_ranges),
                )
            return await supervise(
                stop,
                {
                    "watch": watch(
                        self._transport,
                        self._feed.on_change,
                        stop,
                        namespaces=self._settings.namespaces,
                        life=self._life,
                        sleep=sleep,
                        # kopf takes SIGTERM for itself when it starts.
                        on_started=stop.reclaim,
                    ),
                    "list": _until(stop, relister.run()),
                    "aws": _until(stop, aws.run()),
                    "events": _until(stop, recorder.run()),
                    "rounds": _until(stop, self._rounds.run()),
                    "workers": self._work(stop),
                },
                shutdown_seconds=self._settings.shutdown_seconds,
            )
        except _Stopped:
            return 0
        finally:
            await dns.close()
            await aws.close()

    async def _work(self, stop: asyncio.Event) -> None:
        """Workers act while they may: always, or while this replica holds the Lease."""
        patience = self._settings.shutdown_seconds / 2
        if self._fence is None:
            self._workers.start()
            await stop.wait()
            await self._workers.stop(patience)
            return
        elector = LeaseElector(
            self._kube,
            LeaseSettings(namespace=os.environ.get("POD_NAMESPACE", "mailegress-system")),
            self._identity,
            self._fence,
            clock=self._clock,
            rng=self._rng,
            wall=self._dependencies.wall,
        )
        await elector.run(self._workers.start, lambda: self._workers.stop(patience), stop)

    async def _patiently(self, stop: asyncio.Event, call: Any) -> Any:
        """Before the start nothing works without the API server: try until it answers or we are told to stop."""
        delay = 1.0
        while True:
            try:
                return await call()
            except KubeError as error:
                _log.warning("the API server is not ready for us error=%s retry_in_s=%g", error, delay)
            try:
                async with asyncio.timeout(delay):
                    await stop.wait()
                raise _Stopped
            except TimeoutError:
                delay = min(delay * 2, 15.0)

    # ------------------------------------------------ store callbacks

    async def _process(self, key: str) -> float | None:
        assert self._reconciler is not None
        return await self._reconciler.process(key)

    def _wake(self, key: str) -> None:
        if key.startswith(PREFIX):
            if self._rounds is not None:
                self._rounds.woken(key)
        else:
            self._queue.add(key)

    def _changed(self, new: Stored, old: Stored | None) -> None:
        said = True
        try:
            obj = new.parse()
            rivals = self._claims.put(new.key, obj)
            said = new.deleting or obj.status.observed_generation == obj.meta.generation
        except InvalidObject:
            # It does nothing any more, but what it holds is still its own.
            rivals = self._claims.put(new.key, parse_remains(new.body()))
        self._burst.seen(new.uid, said=said)
        self._wake_all(rivals)

    def _removed(self, old: Stored) -> None:
        self._burst.gone(old.uid)
        if self._reconciler is not None:
            self._reconciler.forget(old.uid)
        self._wake_all(self._claims.drop(old.uid))

    def _forget(self, key: str) -> None:
        self._workers.forget(key)

    def _wake_all(self, keys: set[str]) -> None:
        for key in keys:
            self._queue.add(key)

    # ------------------------------------------------ probes and gauges

    def _live(self) -> list[str]:
        longest = self._workers.longest_pass()
        return [f"a pass has been running for {longest:.0f} s"] if longest > HUNG_SECONDS else []

    def _ready(self) -> list[str]:
        return [] if self._listed else ["the first list of MailEgresses is not complete"]

    def _orphans(self, aws: Aws) -> float:
        # Until all objects are listed, every record would be one.
        if not self._listed or self._rules is None:
            return 0.0
        return float(aws.records.orphans(self._claims.live, self._rules.mine))

    def _gauges(self, aws: Aws, condition_counts: ConditionCounts) -> None:
        metrics = self._metrics
        metrics.gauge(
            "mailegress_queue_depth", "MailEgresses waiting for a worker.", lambda: float(self._queue.depth())
        )
        metrics.gauge(
            "mailegress_queue_oldest_age_seconds",
            "Seconds for which the oldest waiting MailEgress has waited.",
            self._queue.oldest_age,
        )
        metrics.gauge(
            "mailegress_last_sign_of_life_seconds",
            "Seconds since the last contact with the API server.",
            self._life.age,
        )
        metrics.gauge(
            "mailegress_leader",
            "1 while this replica is active: it holds the Lease, or --leader-elect is off.",
            lambda: float(self._workers.alive()),
        )
        metrics.gauge(
            "mailegress_known_objects",
            "MailEgresses known from lists and the watch.",
            lambda: float(len(self._store)),
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
        metrics.gauge(
            "mailegress_orphaned_records",
            "Ownership records of this operator without a MailEgress, in the hosted zones that were read.",
            lambda: self._orphans(aws),
        )
        metrics.gauge_by(
            "mailegress_aws_state", "Writes due, rates and waits of the AWS layer.", "what", aws.gauges
        )


class Objects:
    """The store as the reconciler sees it."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed

    def body(self, key: str) -> dict[str, Any] | None:
        stored = self._store.get(key)
        return stored.body() if stored is not None else None

    def seen(self, body: Mapping[str, Any]) -> None:
        # An answer to our own write is not news to the queue.
        self._store.upsert(body)

    def mark(self) -> int:
        return self._store.mark()

    def read(self, body: Mapping[str, Any], since: int) -> None:
        self._feed.seen(body, Priority.CHANGE, since)

    def gone(self, key: str, uid: str) -> None:
        self._feed.gone(key, uid)


class _Stopped(Exception):
    """Told to stop before the start was complete."""


async def _until(stop: asyncio.Event, work: Any) -> None:
    """Run something endless until ``stop``; its own failure is raised."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for pending in (task, stopping):
            pending.cancel()


def derived_owner(namespace_uid: str) -> str:
    """The default ``--owner-id``: 12 hexadecimal digits of a hash of the UID of namespace kube-system."""
    return hashlib.sha256(namespace_uid.encode()).hexdigest()[:12]
