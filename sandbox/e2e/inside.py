"""The first process of the node's namespaces: furnishes them, runs the scenario, and takes all with it at its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sandbox.controlplane import ControlPlaneError
from sandbox.controlplane.local import Binaries
from sandbox.controlplane.pins import read_pins
from sandbox.node.config import Layout, Network
from sandbox.node.namespace import NodeError, furnish
from sandbox.node.plane import NodePlane
from sandbox.waiting import Overdue

from .backends import Inside
from .cluster import E2eError
from .former import Former
from .mail_server import MailHost
from .world import NETWORK, run


def main(path: Path) -> int:
    """The process's exit status."""
    told = Inside.read(path)
    layout = Layout(Path(told.directory), Path(told.cni_plugins))
    network = Network(world=f"{NETWORK}.0/24")
    cache = Path(told.binaries)
    binaries = Binaries(
        etcd=cache / "etcd",
        apiserver=cache / "kube-apiserver",
        controller_manager=cache / "kube-controller-manager",
        certs=cache / "certs",
        kubectl=cache / "kubectl",
        version=read_pins().kubernetes,
    )
    images = [Path(image) for image in told.images]
    try:
        furnish(layout, network)
        plane = NodePlane(binaries, cache, layout, network, told.cgroup, images, os.environ)
        former = Former(Path(told.former)) if told.former else None
        mail = MailHost(Path(told.mail_root), network.pods) if told.mail_root else None
        run("node", plane, Path(told.helm), former, mail).write(Path(told.result))
    except (E2eError, NodeError, ControlPlaneError, Overdue, OSError) as error:
        sys.stdout.flush()
        print(f"\nE2E FAILED: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
