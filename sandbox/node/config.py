"""What the node's parts read at their start. Pure: values in, text out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

PAUSE_IMAGE = "localhost/pause:3.10"
NODE = "node1"


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses inside the node's network namespace; none of them exists outside.

    Attributes:
        node: the node's own address, on an interface with a default route (the kubelet and the API server refuse
            loopback as the address that others are told).
        pods: what pods get theirs from.
        world: the sandbox's AWS and DNS servers; all of it is local to the node, without an interface.
    """

    node: str = "10.200.0.1"
    peer: str = "10.200.0.2"
    pods: str = "10.201.0.0/24"
    world: str = "192.0.2.0/24"


@dataclass(frozen=True, slots=True)
class Layout:
    """Files and directories of one node, all below `directory`. ``/run`` is the namespace's own."""

    directory: Path
    cni_plugins: Path = Path("/usr/lib/cni")

    @property
    def socket(self) -> Path:
        """containerd's; short, because a socket's path holds 108 bytes (unix(7))."""
        return Path("/run/containerd/containerd.sock")

    @property
    def resolv_conf(self) -> Path:
        """Empty: a look-up by the system's resolver fails at once instead of hanging."""
        return self.directory / "resolv.conf"

    def path(self, name: str) -> Path:
        return self.directory / name


def containerd(layout: Layout, *, cgroup_driver_systemd: bool = False) -> str:
    """containerd's configuration (version 2, which 1.6 to 2.x read)."""
    values = {
        "root": layout.path("containerd"),
        "state": "/run/containerd",
        "socket": layout.socket,
        "cni_conf": layout.path("cni"),
        "cni_bin": layout.cni_plugins,
        "pause": PAUSE_IMAGE,
        "systemd": str(cgroup_driver_systemd).lower(),
    }
    return """\
version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A container may not get a better score than this process has, which no namespace's root may lower.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{cni_conf}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = {systemd}
""".format_map(values)


def cni(layout: Layout, network: Network) -> str:
    """A bridge with addresses given out from the node's own file."""
    ipam = {
        "type": "host-local",
        "dataDir": str(layout.path("cni-addresses")),
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ipam}
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "0.4.0", "name": "sandbox", "plugins": plugins}, indent=2)


def kubelet(layout: Layout, network: Network, pki: Path, cgroup_root: str) -> str:
    """The kubelet's configuration; it accepts cgroup v1 and swap."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            # Of its own: what is left of it can be told from anybody else's.
            "cgroupRoot": f"/{cgroup_root}",
            "containerRuntimeEndpoint": f"unix://{layout.socket}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "resolvConf": str(layout.resolv_conf),
            "podLogsDir": str(layout.path("pods-log")),
            "volumePluginDir": str(layout.path("volume-plugins")),
            "readOnlyPort": 0,
            "healthzPort": 0,
            # A laptop's full disk is no reason to evict the only pod.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "imageMinimumGCAge": "24h",
            "nodeStatusUpdateFrequency": "5s",
            "syncFrequency": "10s",
            "shutdownGracePeriod": "0s",
        }
    )


def kube_proxy(kubeconfig: Path, network: Network) -> str:
    """nftables is the one mode that needs no module beyond the kernel's nf_tables."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": network.pods,
            "hostnameOverride": NODE,
            # 0 leaves the kernel's limit, which a network namespace may not change.
            "conntrack": {"maxPerCore": 0, "min": 0},
            "healthzBindAddress": "",
            "metricsBindAddress": "",
        }
    )


def scheduler(kubeconfig: Path) -> str:
    return _yaml(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(kubeconfig)},
        }
    )


def apiserver_flags(network: Network, pki: Path) -> tuple[str, ...]:
    """Over the sandbox's usual ones: pods reach it by the Service `kubernetes`, and it reaches the kubelet."""
    return (
        "--bind-address=0.0.0.0",
        f"--advertise-address={network.node}",
        "--endpoint-reconciler-type=lease",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
    )


def _yaml(document: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False)
