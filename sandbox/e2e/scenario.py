"""The scenario: a release's life from its installation to the last trace gone, with a world that is as before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloud import Cloud
from sandbox.controlplane import KubectlError
from sandbox.operator import REPO

from .cluster import NAMESPACE, RELEASE, Cluster, E2eError
from .container import START_LIMIT_S, check_container, check_debugging, seconds_to_list
from .mail_server import MailHost
from .probe import probe_port_25
from .release import GONE_S, READY_S, ROLLOUT_S, USERS, Release
from .report import Steps

SAMPLES = REPO / "deploy" / "samples"

_LABEL = "app.kubernetes.io/name=mailegress"


class Scenario(Release):
    """A release's life. ``mail``: where the probe finds a mail server; None = nothing is probed."""

    def __init__(
        self,
        cluster: Cluster,
        cloud: Cloud,
        values: Mapping[str, Any],
        steps: Steps,
        mail: MailHost | None = None,
    ) -> None:
        super().__init__(cluster, cloud, values, steps)
        self._mail = mail
        self._starts: list[float] = []

    def play(self) -> None:
        """Raises E2eError, ControlPlaneError or KubectlError when a promise is not kept."""
        world, objects = self.cloud.aws.dump(), self.cluster.inventory()
        self.namespaces()
        self._install()
        self._hardened()
        self._samples()
        if self._mail is not None:
            probe_port_25(self, self._mail)
        self._upgrade()
        self._restart()
        self._fast()
        self._probes_gate()
        self._takeover()
        self._delete()
        self.world_as_before(world)
        self.uninstall(objects)

    # -- the release ----------------------------------------------------------------------------------------

    def _install(self) -> None:
        with self.steps.step("helm install --wait") as facts:
            self.helm("install")
            facts["pods"] = self.expect_pods(1)
            self._note_start()

    def _upgrade(self) -> None:
        with self.steps.step("helm upgrade --wait, a setting changed"):
            before = self.pod()
            self.quietly(lambda: self.helm("upgrade", "--set", "settings.logLevel=debug"))
            if self.pod() == before:
                raise E2eError(f"after the upgrade {before} still runs")
            self._note_start()

    def _restart(self) -> None:
        with self.steps.step("kubectl rollout restart"):
            self.quietly(self._roll)
            self._note_start()

    def _roll(self) -> None:
        self.cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
        self.rolled_out()

    def _note_start(self) -> None:
        self._starts.append(seconds_to_list(self.cluster, self.pod()))

    def _hardened(self) -> None:
        with self.steps.step(
            "inside the pod: user, capabilities, read-only root, no shell, no installers"
        ) as facts:
            facts["rss_mb"] = check_container(self.cluster, self.pod())
        with self.steps.step("kubectl debug adds a container that sees the operator's processes"):
            check_debugging(self.cluster, self.pod())

    def _fast(self) -> None:
        with self.steps.step("the operator starts fast: from process start to the first list") as facts:
            # What else the machine does can slow down a start, and not hasten one.
            facts["fastest_s"], facts["all_s"] = min(self._starts), self._starts
            if min(self._starts) > START_LIMIT_S:
                raise E2eError(f"no start took at most {START_LIMIT_S:g} s: {self._starts}")

    def _probes_gate(self) -> None:
        with self.steps.step("a pod that cannot do its work does not become ready") as facts:
            (binding,) = self.cluster.object("clusterrolebinding", "-l", _LABEL)["items"]
            self.cluster.kubectl("delete", "clusterrolebinding", binding["metadata"]["name"])
            before = self.pod()
            self.cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
            self.cluster.wait(lambda: bool(self._refusals(before)), ROLLOUT_S, "a failed readiness probe")
            (pod,) = self.cluster.pods()
            (container,) = pod["status"]["containerStatuses"]
            if (container["started"], container["ready"]) != (True, False) or self.cluster.ready_pods():
                raise E2eError(f"the pod is to be started and not ready, and it is {container}")
            facts["probe"] = self._refusals(before)[0]
            self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_as_applied(binding)))
            self.rolled_out()

    def _refusals(self, before: str) -> list[str]:
        """What the kubelet told of failed readiness probes of pods younger than `before`."""
        events = self.cluster.object("events", "-n", NAMESPACE, "--field-selector=reason=Unhealthy")["items"]
        names = {pod["metadata"]["name"] for pod in self.cluster.pods()} - {before}
        return [
            event["message"].strip()
            for event in events
            if event["involvedObject"]["name"] in names and "Readiness probe failed" in event["message"]
        ]

    def _takeover(self) -> None:
        with self.steps.step("helm upgrade to 2 replicas"):
            self.helm("upgrade", "--set", "replicaCount=2", "--set", "settings.logLevel=debug")
            self.expect_pods(2)
            self.cluster.wait(lambda: self._leader() in self.cluster.ready_pods(), READY_S, "a leader")
        with self.steps.step("kill the leader; the other one takes over and works") as facts:
            leader = self._leader()
            # The pod is gone from the API at once, whatever its process still does.
            self.cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
            self.edit("nat-gateway", {"spec": {"hostname": "mail.example.com"}})
            self.cluster.wait(lambda: self._leader() not in ("", leader), READY_S, f"a leader after {leader}")
            self.ready("nat-gateway")
            hostname = self.cluster.object("mailegress", "nat-gateway", "-n", USERS)["status"]["hostname"]
            if hostname != "mail.example.com":
                raise E2eError(f"nat-gateway is Ready with the hostname {hostname}, not with the new one")
            self.expect_pods(2)
            facts["leader"] = self._leader()

    # -- MailEgresses -----------------------------------------------------------------------------------------

    def _samples(self) -> None:
        with self.steps.step("apply deploy/samples, kubectl wait Ready") as facts:
            self.cluster.kubectl("apply", "-n", USERS, "-f", str(SAMPLES))
            self.ready("--all")
            # A refused write is tried again after a pause, which explains a long step.
            refused = {key: count for key, count in self.writes().items() if not key.endswith(":ok")}
            if refused:
                facts["refused"] = refused

    def _delete(self) -> None:
        with self.steps.step("delete the MailEgresses"):
            # The sample that would leave its records behind shall take them along.
            self.edit("several-eips", {"spec": {"deletionPolicy": "Delete"}})
            self.cluster.kubectl("delete", "mailegress", "-n", USERS, "--all", within_s=GONE_S)

    def _leader(self) -> str:
        """Holder of the Lease as the pod's name; empty if nobody holds it."""
        try:
            lease = self.cluster.object("lease", RELEASE, "-n", NAMESPACE)
        except KubectlError:
            return ""
        return str(lease["spec"].get("holderIdentity") or "").partition("_")[0]


def _as_applied(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the API server adds to it."""
    added = ("resourceVersion", "uid", "creationTimestamp", "managedFields")
    metadata = {name: value for name, value in found["metadata"].items() if name not in added}
    return {**found, "metadata": metadata}
