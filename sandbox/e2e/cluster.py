"""The cluster as the scenario uses it: kubectl and helm, and what is told when something fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox.controlplane import ControlPlane

NAMESPACE = "mailegress-system"
RELEASE = "mailegress"
_SELECTOR = "app.kubernetes.io/name=mailegress"
# What comes and goes by itself, and nobody installs.
_FLEETING = {
    "Event",
    "Lease",
    "EndpointSlice",
    "Endpoints",
    "CertificateSigningRequest",
    "PodMetrics",
    "NodeMetrics",
}


class E2eError(Exception):
    """Something that the scenario promises did not happen; the message says what was seen."""


class Cluster:
    """One running cluster. Everything blocks; every wait has a deadline."""

    def __init__(self, plane: ControlPlane, helm: Path) -> None:
        self.plane = plane
        self._helm = helm
        self._restarts: dict[str, int] = {}

    def kubectl(
        self, *words: str, within_s: float = 60.0, check: bool = True, stdin: str | None = None
    ) -> str:
        """Standard output. Raises KubectlError if it fails, unless `check` is off."""
        return self.plane.kubectl(*words, timeout_s=within_s, check=check, stdin=stdin).stdout

    def object(self, *words: str) -> Any:
        """What `kubectl get … -o json` prints."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def helm(self, *words: str, within_s: float = 300.0) -> str:
        """Run helm in the operator's namespace. Raises E2eError with what it says if it fails."""
        line = [str(self._helm), "--namespace", NAMESPACE, *words]
        home = self.plane.directory
        environ = self.plane.environ() | {
            "HELM_CACHE_HOME": str(home / "helm"),
            "HELM_CONFIG_HOME": str(home / "helm"),
            "HELM_DATA_HOME": str(home / "helm"),
        }
        try:
            done = subprocess.run(
                line,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise E2eError(f"`helm {' '.join(words)}` did not end in {within_s:.0f} s") from error
        if done.returncode:
            raise E2eError(f"`helm {' '.join(words)}` failed:\n{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods that are not being deleted. Notes their restarts on the way."""
        items = self.object("pods", "-n", NAMESPACE, "-l", _SELECTOR)["items"]
        for pod in items:
            for container in pod["status"].get("containerStatuses", []):
                self._note_restarts(pod["metadata"], container)
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def _note_restarts(self, metadata: dict[str, Any], container: dict[str, Any]) -> None:
        count = container["restartCount"]
        if count > self._restarts.get(metadata["uid"], 0):
            ended = container.get("lastState", {}).get("terminated", {})
            why = f"{ended.get('reason')}, exit code {ended.get('exitCode')}"
            line = ("logs", "-n", NAMESPACE, metadata["name"], "--previous", "--tail=5")
            log = self.plane.kubectl(*line, check=False).stdout.strip()
            print(f"restart {count} of {metadata['name']}: {why}\n{log}", file=sys.stderr, flush=True)
        self._restarts[metadata["uid"]] = count

    @property
    def restarts(self) -> int:
        """Of all containers of all pods seen so far."""
        return sum(self._restarts.values())

    def ready_pods(self) -> list[str]:
        """Names of the operator's pods that are Ready."""
        return [pod["metadata"]["name"] for pod in self.pods() if is_ready(pod)]

    def wait(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Raises ControlPlaneError if `condition` does not hold in time, or a component ends meanwhile."""
        self.plane.wait_until(condition, within_s, what)

    def inventory(self) -> set[str]:
        """``Kind namespace/name`` of everything that can be listed, but for what comes and goes by itself."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--no-headers", "-o", "name").split()
        shape = '{range .items[*]}{.kind}{" "}{.metadata.namespace}{"/"}{.metadata.name}{"\\n"}{end}'
        lines = self.kubectl(
            "get", ",".join(sorted(set(kinds))), "-A", "-o", f"jsonpath={shape}"
        ).splitlines()
        return {line for line in lines if line.partition(" ")[0] not in _FLEETING}

    def describe(self) -> str:
        """What a person would look at first when the operator does not work."""
        told: list[str] = []
        for words in (
            ("get", "pods,leases,replicasets", "-n", NAMESPACE, "-o", "wide"),
            ("describe", "pods", "-n", NAMESPACE),
            ("logs", "-n", NAMESPACE, "-l", _SELECTOR, "--all-containers", "--prefix", "--tail=60"),
            ("get", "events", "-A", "--sort-by=.lastTimestamp"),
            ("get", "mailegress", "-A", "-o", "wide"),
            ("describe", "mailegress", "-A"),
        ):
            done = self.plane.kubectl(*words, check=False)
            told.append(f"$ kubectl {' '.join(words)}\n{(done.stdout + done.stderr).strip()}")
        return "\n\n".join(told)


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the kubelet says that the pod is Ready."""
    conditions: Sequence[dict[str, Any]] = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
