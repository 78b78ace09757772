"""The namespaces that a node lives in: entered from outside, furnished from inside."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.controlplane.processes import Workshop

from . import cgroups
from .config import Layout, Network

_UNSHARE = (
    "unshare",
    "--mount",
    "--propagation",
    "slave",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_KERNEL = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""What the kubelet wants of the kernel. It would set these for the whole machine, so it is shown them as set."""


_SIZE = "4g"
"""At most; the image twice (packed and unpacked), etcd and logs take 0.6 GB."""


class NodeError(Exception):
    """The node cannot be started or does not work; the message says why."""


class Namespaces:
    """One private directory and, while a command runs, the namespaces around it; a context manager.

    Attributes:
        directory: removed at the end, like everything that ran. Its `node` is the mount point for what the node
            writes.
        cgroup: name of the control group below which the node's pods run.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._workshop = Workshop("mailegress-node-")
        self.cgroup = f"mailegress-{secrets.token_hex(4)}"
        # Should this process be killed, the workshop's reaper does what `__exit__` would have done.
        self._workshop.on_death_run([sys.executable, "-I", cgroups.__file__, self.cgroup])

    @property
    def directory(self) -> Path:
        return self._workshop.directory

    def __enter__(self) -> Self:
        cgroups.make(self.cgroup)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without its first process a PID namespace ends, and with the last process the other namespaces.
        self._workshop.close()
        left = cgroups.remove(self.cgroup)
        if left and error is None:
            raise NodeError(f"these control groups are still in use: {', '.join(map(str, left))}")

    def run(self, command: Sequence[str]) -> int:
        """Run `command` as the first process of new namespaces, with our own output; its exit status."""
        (self.directory / "node").mkdir(exist_ok=True)
        # Exists as soon as the namespaces are furnished.
        environ = self._environ | {"TMPDIR": str(self.directory / "node" / "tmp")}
        return self._workshop.start(
            "node", [*_UNSHARE, *command], environ, inherit_output=True
        ).process.wait()


def furnish(layout: Layout, network: Network) -> None:
    """Set up the mounts and the network of the namespaces that this process is in. Root's work.

    Raises:
        NodeError: the kernel refuses something; names it.
    """
    if os.getpid() != 1:
        raise NodeError("not the first process of a PID namespace: refusing to mount over /run")
    _step("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    # In memory: a run unpacks and deletes half a gigabyte of small files, which costs a busy disk minutes.
    _step("mount", "-t", "tmpfs", "-o", f"mode=700,size={_SIZE}", "tmpfs", str(layout.directory))
    for name in ("tmp", "log", "pods-log", "cni", "volume-plugins", "lib", "lib-work"):
        layout.path(name).mkdir()
    # Some paths below /var/lib are fixed in the kubelet and in CNI plugins: what they write there is kept apart.
    apart = f"lowerdir=/var/lib,upperdir={layout.path('lib')},workdir={layout.path('lib-work')}"
    _step("mount", "-t", "overlay", "-o", apart, "overlay", "/var/lib")
    _step("mount", "--bind", str(layout.path("log")), "/var/log")
    layout.resolv_conf.write_text("")
    system = Path("/etc/resolv.conf")
    if not system.is_symlink() and system.exists():
        _step("mount", "--bind", str(layout.resolv_conf), str(system))
    for name, value in _KERNEL.items():
        shown = layout.path(name.replace("/", "."))
        shown.write_text(f"{value}\n")
        _step("mount", "--bind", str(shown), f"/proc/sys/{name}")
    _step("ip", "link", "set", "lo", "up")
    _step("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node0-peer")
    _step("ip", "address", "add", f"{network.node}/24", "dev", "node0")
    for link in ("node0", "node0-peer"):
        _step("ip", "link", "set", link, "up")
    _step("ip", "route", "add", "default", "via", network.peer, "dev", "node0")
    _step("ip", "route", "add", "local", network.world, "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _step(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NodeError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
