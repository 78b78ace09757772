"""What the node's parts are told: formats that they read, and the settings that each machine taught."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from pathlib import Path

import yaml

from sandbox.dns.layout import Layout as DnsLayout
from sandbox.e2e.world import AWS_HOST, NETWORK
from sandbox.node import config
from sandbox.node.config import PAUSE_IMAGE, Layout, Network

LAYOUT, NETWORKS = Layout(Path("/tmp/node"), Path("/opt/cni/bin")), Network()


def test_containerd_reads_toml_with_our_pause_image_and_no_systemd() -> None:
    parsed = tomllib.loads(config.containerd(LAYOUT))
    cri = parsed["plugins"]["io.containerd.grpc.v1.cri"]
    assert parsed["version"] == 2
    assert parsed["grpc"]["address"] == str(LAYOUT.socket)
    assert cri["sandbox_image"] == PAUSE_IMAGE
    assert (cri["restrict_oom_score_adj"], cri["disable_apparmor"]) == (True, True)
    assert cri["cni"] == {"bin_dir": "/opt/cni/bin", "conf_dir": "/tmp/node/cni"}
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}


def test_the_kubelet_runs_on_cgroup_v1_below_a_group_of_its_own() -> None:
    parsed = yaml.safe_load(config.kubelet(LAYOUT, NETWORKS, Path("/pki"), "mailegress-abc"))
    assert parsed["kind"] == "KubeletConfiguration"
    assert parsed["cgroupRoot"] == "/mailegress-abc"
    assert (parsed["cgroupDriver"], parsed["failCgroupV1"], parsed["failSwapOn"]) == (
        "cgroupfs",
        False,
        False,
    )
    assert parsed["containerRuntimeEndpoint"] == f"unix://{LAYOUT.socket}"
    assert parsed["oomScoreAdj"] == 0
    assert parsed["resolvConf"] == "/tmp/node/resolv.conf"
    # Only who shows a certificate of this control plane may ask it for logs or a shell.
    assert parsed["authentication"]["anonymous"] == {"enabled": False}
    assert parsed["authentication"]["x509"] == {"clientCAFile": "/pki/ca.crt"}


def test_pods_get_addresses_from_their_network_and_a_default_route() -> None:
    parsed = json.loads(config.cni(LAYOUT, NETWORKS))
    bridge = parsed["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": NETWORKS.pods}]]
    assert bridge["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}]
    assert bridge["isGateway"] is True


def test_kube_proxy_uses_nftables_and_leaves_the_kernels_limits_alone() -> None:
    parsed = yaml.safe_load(config.kube_proxy(Path("/k"), NETWORKS))
    assert (parsed["mode"], parsed["conntrack"]) == ("nftables", {"maxPerCore": 0, "min": 0})
    assert parsed["clientConnection"] == {"kubeconfig": "/k"}


def test_the_api_server_is_told_an_address_that_pods_reach() -> None:
    flags = config.apiserver_flags(NETWORKS, Path("/pki"))
    assert f"--advertise-address={NETWORKS.node}" in flags
    assert "--endpoint-reconciler-type=lease" in flags
    assert "--kubelet-client-certificate=/pki/admin.crt" in flags


def test_the_networks_do_not_overlap() -> None:
    world, pods = ipaddress.ip_network(NETWORKS.world), ipaddress.ip_network(NETWORKS.pods)
    node = ipaddress.ip_network(f"{NETWORKS.node}/24", strict=False)
    services = ipaddress.ip_network("10.0.0.0/24")
    networks = [world, pods, node, services]
    assert not any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[:i])
    assert ipaddress.ip_address(NETWORKS.peer) in node


def test_every_server_of_the_world_is_in_its_network_at_an_address_of_its_own() -> None:
    usual, moved = DnsLayout().all_servers(), DnsLayout.within(NETWORK).all_servers()
    assert moved.keys() == usual.keys()
    network = ipaddress.ip_network(NETWORKS.world)
    addresses = [ipaddress.ip_address(address) for address in [*moved.values(), AWS_HOST]]
    assert all(address in network for address in addresses)
    assert len(set(addresses)) == len(usual) + 1
