"""Wiring: every part of the operator, put together and started in order."""

from __future__ import annotations

import functools
import logging

from mailegress import __version__
from mailegress.api.status import format_time
from mailegress.aws.wiring import Aws
from mailegress.cli import layer_settings, layers, leading
from mailegress.cli.dependencies import Dependencies
from mailegress.cli.external_dns import ExternalDnsParts
from mailegress.cli.lifecycle import Stop, Stopped, patiently, run, supervise, until
from mailegress.cli.listing import build_relister, build_rounds
from mailegress.cli.observability import Health, log_start, register_gauges
from mailegress.cli.policies import PolicyKindMissing, PolicyParts
from mailegress.cli.settings import Settings
from mailegress.dns.service import DnsService
from mailegress.engine.controller import Controller
from mailegress.engine.workers import WorkerSettings
from mailegress.kube.client import KubeClient
from mailegress.kube.credentials import CredentialsError, discover
from mailegress.kube.event_recorder import EventRecorder
from mailegress.kube.transport import LastContact, Transport, connect
from mailegress.kube.watch import watch
from mailegress.model.ownership import derived_owner
from mailegress.reconcile.ports import Ports
from mailegress.reconcile.reconciler import Reconciler
from mailegress.reconcile.settings import ReconcileSettings
from mailegress.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


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
        return await Operator(settings, transport, Dependencies()).run(stop)


class Operator:
    """One operator over a transport to the API server."""

    def __init__(self, settings: Settings, transport: Transport, dependencies: Dependencies) -> None:
        self._settings = settings
        self._transport = transport
        self._dependencies = dependencies
        self._metrics = Metrics()
        self._contact = LastContact(dependencies.clock)
        self._guard = leading.guard(settings, dependencies)
        self._controller = Controller(
            dependencies.clock,
            WorkerSettings(count=settings.workers),
            settings.policy,
            default_region=settings.regions[0],
        )
        self._kube = KubeClient(
            transport,
            clock=dependencies.clock,
            sleep=dependencies.sleep,
            wall=dependencies.wall,
            namespaces=settings.namespaces,
            instance=dependencies.identity,
            guard=self._guard,
            metrics=self._metrics,
            life=self._contact,
        )
        self._external_dns = ExternalDnsParts(
            settings, self._controller, self._kube, self._guard, dependencies
        )

    async def run(self, stop: Stop) -> int:
        """Start in order: probes, full list, watch, workers. The exit code is returned."""
        health = Health(self._controller)
        probes = self._dependencies.probes(self._settings, self._metrics, health.live, health.ready)
        await probes.start()
        try:
            with self._dependencies.aws(self._settings, self._metrics) as api:
                aws = layers.build_aws_layer(
                    api, self._settings, self._dependencies, self._controller, self._metrics, self._guard
                )
                dns = layers.build_dns_layer(
                    self._settings, self._dependencies, self._controller, self._metrics
                )
                try:
                    return await self._run(stop, aws, dns)
                finally:
                    await dns.close()
                    await aws.close()
        except Stopped:
            return 0
        finally:
            await probes.stop()

    async def _run(self, stop: Stop, aws: Aws, dns: DnsService) -> int:
        settings, outside, controller = self._settings, self._dependencies, self._controller
        owner = settings.owner_id or derived_owner(await patiently(stop, self._kube.get_namespace_uid))
        rules = layer_settings.reconcile_settings(settings, owner)
        recorder = EventRecorder(self._kube, clock=outside.clock, sleep=outside.sleep)
        reconciler = self._build_reconciler(rules, aws, dns, recorder)
        aws.addresses.know_eips(reconciler.used)
        rounds = build_rounds(settings, aws, reconciler, controller, outside)
        relister = build_relister(settings, self._kube, controller, outside)
        policies = PolicyParts(settings.policy, controller, self._kube, outside)
        register_gauges(
            self._metrics, controller, self._contact, aws, reconciler.condition_counts, rules.owners
        )
        policies.register(self._metrics, reconciler.policy_counts)
        # Nothing is allowed before it is known what may be.
        try:
            await policies.know(stop)
        except PolicyKindMissing as error:
            _log.error("%s", error)
            return 1
        await self._external_dns.know()
        # A younger object could win a claim before an older one is known: everything is listed first.
        log_start(settings, owner, await patiently(stop, relister.once))
        elector = leading.elector(self._kube, self._guard, outside)
        return await supervise(
            stop,
            {
                "watch": self._watch(stop),
                "list": until(stop, relister.run()),
                "aws": until(stop, aws.run()),
                "events": until(stop, recorder.run()),
                "rounds": until(stop, rounds.run()),
                **policies.components(stop, reconciler.policy_counts),
                **self._external_dns.components(stop),
                "workers": elector.run(
                    functools.partial(controller.start, reconciler),
                    functools.partial(controller.workers.stop, settings.shutdown_seconds / 2),
                    stop,
                ),
            },
            shutdown_seconds=settings.shutdown_seconds,
        )

    def _build_reconciler(
        self, rules: ReconcileSettings, aws: Aws, dns: DnsService, kube: EventRecorder
    ) -> Reconciler:
        outside, controller = self._dependencies, self._controller
        ports = Ports(
            aws.addresses,
            aws.ptrs,
            aws.zones,
            aws.records,
            aws.writer,
            dns,
            controller.claims,
            controller.policies,
            self._external_dns.index,
            self._external_dns.writer,
        )
        return Reconciler(
            ports,
            controller,
            kube,
            controller.burst,
            rules,
            self._metrics,
            wake=controller.wake,
            clock=outside.clock,
            timestamp=lambda: format_time(outside.wall()),
        )

    async def _watch(self, stop: Stop) -> None:
        await watch(
            self._transport,
            self._controller.on_event,
            stop,
            namespaces=self._settings.namespaces,
            listed=self._kube.listed,
            life=self._contact,
            sleep=self._dependencies.sleep,
            # kopf takes SIGTERM for itself when it starts.
            on_started=stop.reclaim,
        )
