"""MailEgressPolicies put together: lists, watches, judging anew, and the status of each policy. Nothing with Off."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from mailegress.api.policy import PolicyMode
from mailegress.cli.dependencies import Dependencies
from mailegress.cli.lifecycle import Stop, patiently, until
from mailegress.cli.observability import register_policy_gauges
from mailegress.engine.controller import Controller
from mailegress.engine.policies import Policies, PolicyStatus
from mailegress.kube.client import KubeClient
from mailegress.kube.reflector import NAMESPACES, POLICIES, Reflector
from mailegress.reconcile.ports import KubeError, KubeGone
from mailegress.telemetry.metrics import Metrics
from mailegress.telemetry.policy_counts import PolicyCounts

_log = logging.getLogger(__name__)


class PolicyKindMissing(Exception):
    """The cluster does not have the kind MailEgressPolicy, and policies are enforced."""


class PolicyParts:
    """What runs if policies are audited or enforced."""

    def __init__(
        self, mode: PolicyMode, controller: Controller, kube: KubeClient, dependencies: Dependencies
    ) -> None:
        self._mode = mode
        self._controller = controller
        self._kube = kube
        self._dependencies = dependencies
        self._policies = Policies(controller, dependencies.clock)
        sleep = dependencies.sleep
        self._reflectors = {
            "policies": Reflector(kube, POLICIES, self._policies.policy_sink, sleep=sleep),
            "namespaces": Reflector(kube, NAMESPACES, self._policies.namespace_sink, sleep=sleep),
        }

    async def know(self, stop: Stop) -> None:
        """Read everything before an object is judged. Raises :class:`PolicyKindMissing`, if policies are enforced.

        Audit changes nothing, so it does not keep the operator from starting either.
        """
        if self._mode is PolicyMode.OFF:
            return
        for what, reflector in self._reflectors.items():
            try:
                if self._mode is PolicyMode.ENFORCE:
                    await patiently(stop, reflector.once, give_up=KubeGone)
                else:
                    await reflector.once()
            except KubeGone as error:
                if self._mode is PolicyMode.ENFORCE:
                    raise PolicyKindMissing(
                        f"--policy=Enforce needs the kind MailEgressPolicy, which this cluster lacks ({error}). "
                        "Apply crds/mailegress.io_mailegresspolicies.yaml (chart: crds.install), or set --policy=Off"
                    ) from error
                self._not_audited(what, error)
            except KubeError as error:
                self._not_audited(what, error)

    def _not_audited(self, what: str, error: KubeError) -> None:
        _log.error(
            "--policy=Audit reports nothing until the %s can be read; it is tried again error=%s", what, error
        )

    def components(self, stop: Stop, counts: PolicyCounts) -> dict[str, Awaitable[object]]:
        """What runs until the end."""
        if self._mode is PolicyMode.OFF:
            return {}
        status = PolicyStatus(
            self._controller.policies,
            counts,
            self._kube.patch_policy_status,
            self._controller.workers.alive,
            sleep=self._dependencies.sleep,
        )
        return {
            **{what: until(stop, reflector.run()) for what, reflector in self._reflectors.items()},
            "judging": until(stop, self._policies.run()),
            "policy status": until(stop, status.run()),
        }

    def register(self, metrics: Metrics, counts: PolicyCounts) -> None:
        """The gauges."""
        if self._mode is PolicyMode.OFF:
            return
        register_policy_gauges(metrics, self._controller.policies, counts, self._dependencies.clock)
