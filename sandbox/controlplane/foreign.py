"""Control planes that other tools run: a cluster named by the user, and a kind cluster made for one run."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ControlPlaneError
from .plane import ControlPlane
from .processes import Workshop

_CREATE_WITHIN_S = 600.0
_STEP_WITHIN_S = 120.0
_MANIFESTS = "/etc/kubernetes/manifests"
_PARKED = "/etc/kubernetes/parked"


@dataclass(frozen=True, slots=True)
class NamedCluster:
    """A cluster that the user named; None as `context` means the file's current context."""

    kubeconfig: Path
    context: str | None


class NamedControlPlane(ControlPlane):
    """A cluster that the user named for this; it is used, never stopped."""

    def __init__(
        self, cluster: NamedCluster, kubectl: Path, version: str, environ: Mapping[str, str]
    ) -> None:
        super().__init__(kubectl, version, environ)
        context = f"context {cluster.context} of " if cluster.context else ""
        self.origin = f"{context}{cluster.kubeconfig}, named by MAILEGRESS_SANDBOX_KUBECONFIG"
        self._cluster_named = cluster

    def _bring_up(self, workshop: Workshop) -> None:
        # A copy of the one context: whoever changes the current context of that file moves nothing here.
        chosen = [f"--context={self._cluster_named.context}"] if self._cluster_named.context else []
        view = ("config", "view", "--raw", "--minify", "--flatten", *chosen)
        copied = self.kubectl(*view, kubeconfig=self._cluster_named.kubeconfig).stdout
        descriptor = os.open(self.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(copied)
        self.kubectl("get", "--raw", "/readyz", "--request-timeout=20s")

    def _take_down(self) -> None:
        """Nothing to remove: the cluster is the user's."""

    def stop_apiserver(self) -> None:
        raise self._not_ours("stopped")

    def start_apiserver(self) -> None:
        raise self._not_ours("started")

    def restart_etcd(self) -> None:
        raise self._not_ours("restarted")

    def _not_ours(self, verb: str) -> ControlPlaneError:
        return ControlPlaneError(
            f"{self.origin}, was not made by this sandbox, so it is not {verb} by it; "
            "unset MAILEGRESS_SANDBOX_KUBECONFIG to have a control plane made"
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """The tools of a kind cluster; `engine` is the container engine's command line tool."""

    kind: Path
    engine: Path


class KindControlPlane(ControlPlane):
    """A kind cluster of its own name, deleted afterwards, also when this process is killed."""

    def __init__(self, tools: Kind, kubectl: Path, environ: Mapping[str, str]) -> None:
        super().__init__(kubectl, "", environ)
        self.name = f"mailegress-sandbox-{secrets.token_hex(4)}"
        self.origin = f"kind cluster {self.name}"
        self._tools = tools

    def _bring_up(self, workshop: Workshop) -> None:
        workshop.on_death_run(self._deletion())
        self._run(
            [
                *(str(self._tools.kind), "create", "cluster", "--name", self.name),
                *("--kubeconfig", str(self.kubeconfig), "--wait", "300s"),
            ],
            _CREATE_WITHIN_S,
        )
        self.kubeconfig.chmod(0o600)
        self.wait_until(self._ready, _STEP_WITHIN_S, f"{self.origin} to be ready")

    def _take_down(self) -> None:
        self._run(self._deletion(), _STEP_WITHIN_S)

    def stop_apiserver(self) -> None:
        self._park("kube-apiserver")
        self.wait_until(lambda: not self._ready(), _STEP_WITHIN_S, f"the API server of {self.origin} to stop")

    def start_apiserver(self) -> None:
        self._unpark("kube-apiserver")
        self.wait_until(self._ready, _STEP_WITHIN_S, f"the API server of {self.origin} to be ready")

    def restart_etcd(self) -> None:
        self._park("etcd")
        self.wait_until(lambda: not self._ready(), _STEP_WITHIN_S, f"etcd of {self.origin} to stop")
        self._unpark("etcd")
        self.wait_until(self._ready, _STEP_WITHIN_S, f"the API server of {self.origin} to be ready")

    def _park(self, pod: str) -> None:
        # The kubelet ends a static pod whose manifest leaves the directory, and starts it when it is back
        # (Kubernetes, "Create static Pods").
        self._in_node(f"mkdir -p {_PARKED} && mv {_MANIFESTS}/{pod}.yaml {_PARKED}/")

    def _unpark(self, pod: str) -> None:
        self._in_node(f"if [ -e {_PARKED}/{pod}.yaml ]; then mv {_PARKED}/{pod}.yaml {_MANIFESTS}/; fi")

    def _in_node(self, script: str) -> None:
        node = f"{self.name}-control-plane"
        self._run([str(self._tools.engine), "exec", node, "sh", "-c", script], _STEP_WITHIN_S)

    def _ready(self) -> bool:
        return self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s", check=False).returncode == 0

    def _deletion(self) -> list[str]:
        # Without --kubeconfig kind would edit the user's own file.
        config = str(self.kubeconfig)
        return [str(self._tools.kind), "delete", "cluster", "--name", self.name, "--kubeconfig", config]

    def _run(self, command: list[str], timeout_s: float) -> None:
        try:
            done = subprocess.run(
                command, env=self._outer, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ControlPlaneError(f"`{' '.join(command)}` did not end in {timeout_s:.0f} s") from error
        if done.returncode:
            raise ControlPlaneError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
