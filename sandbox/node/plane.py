"""A control plane with a node: the sandbox's own API server, and what makes pods run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.controlplane.local import Binaries, LocalControlPlane
from sandbox.controlplane.processes import Workshop

from . import config
from .config import NODE, Layout, Network
from .namespace import NodeError

PACKAGES: Mapping[str, str] = {
    "pause": "./pause",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
}
"""Binary name to Go package of the control plane's module: what a node needs besides."""

_READY_WITHIN_S = 120.0
_IMPORT_WITHIN_S = 300.0


class NodePlane(LocalControlPlane):
    """Runs inside the namespaces that `namespace.furnish` set up, and relies on their end to be stopped."""

    # Deployments, EndpointSlices, Leases of nodes: all that a cluster has.
    _controllers = ("*",)

    def __init__(
        self,
        binaries: Binaries,
        node_binaries: Path,
        layout: Layout,
        network: Network,
        cgroup: str,
        images: Sequence[Path],
        environ: Mapping[str, str],
    ) -> None:
        """`node_binaries`: directory of kubelet, kube-proxy, kube-scheduler. `images`: archives to import."""
        super().__init__(binaries, environ, "a node of our own (kubelet, containerd, runc)")
        self._bin, self._layout, self._network = node_binaries, layout, network
        self._cgroup, self._images = cgroup, tuple(images)

    def _bring_up(self, workshop: Workshop) -> None:
        # containerd first: it takes the images in while the API server starts.
        self._write("containerd.toml", config.containerd(self._layout))
        self._layout.path("cni/10-sandbox.conflist").write_text(config.cni(self._layout, self._network))
        self._launch_on_node(
            "containerd", ["containerd", "--config", str(self._layout.path("containerd.toml"))]
        )
        self.wait_until(self._layout.socket.exists, _READY_WITHIN_S, "containerd's socket")
        self._flags = config.apiserver_flags(self._network, self.directory)
        with ThreadPoolExecutor(1) as pool:
            imported = [pool.submit(self._import, archive) for archive in self._images]
            super()._bring_up(workshop)
            self._start_node()
            self.wait_until(self._node_ready, _READY_WITHIN_S, f"{NODE} to be Ready")
            for each in imported:
                each.result()

    def _start_node(self) -> None:
        pki, layout = self.directory, self._layout
        self._write("kubelet.yaml", config.kubelet(layout, self._network, pki, self._cgroup))
        self._write("proxy.yaml", config.kube_proxy(self.kubeconfig, self._network))
        self._write("scheduler.yaml", config.scheduler(self.kubeconfig))
        self._launch_on_node(
            "kubelet",
            [
                str(self._bin / "kubelet"),
                f"--config={layout.path('kubelet.yaml')}",
                f"--kubeconfig={self.kubeconfig}",
                f"--hostname-override={NODE}",
                f"--node-ip={self._network.node}",
                f"--root-dir={layout.path('kubelet')}",
                f"--cert-dir={layout.path('kubelet-pki')}",
            ],
        )
        self._launch_on_node(
            "kube-scheduler",
            [
                str(self._bin / "kube-scheduler"),
                f"--config={layout.path('scheduler.yaml')}",
                "--secure-port=0",
            ],
        )
        self._launch_on_node(
            "kube-proxy", [str(self._bin / "kube-proxy"), f"--config={layout.path('proxy.yaml')}"]
        )

    def _launch_on_node(self, name: str, command: Sequence[str]) -> None:
        # As on a real node, a service's log is no pod's: it stays with the others of this control plane.
        self._running().start(name, command, self._outer | {"HOME": str(self._layout.directory)})

    def _write(self, name: str, text: str) -> None:
        self._layout.path(name).write_text(text)

    def _import(self, archive: Path) -> None:
        line = [
            "ctr",
            "--address",
            str(self._layout.socket),
            "--namespace",
            "k8s.io",
            "images",
            "import",
            str(archive),
        ]
        done = subprocess.run(
            line,
            env=self._outer,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_IMPORT_WITHIN_S,
            check=False,
        )
        if done.returncode:
            raise NodeError(f"containerd does not take {archive}: {(done.stderr or done.stdout).strip()}")

    def _node_ready(self) -> bool:
        done = self.kubectl("get", "node", NODE, "-o", "json", check=False)
        if done.returncode:
            return False
        node = json.loads(done.stdout)
        conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", [])}
        # A taint that says "not ready" stays a moment longer than the condition.
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def _diagnosis(self) -> str:
        said = super()._diagnosis()
        for name in ("containerd", "kubelet", "kube-scheduler", "kube-proxy"):
            component = self._running().running(name)
            if component is not None:
                said += f"\n{name} runs; the end of its log:\n{component.tail(15)}"
        return said
