"""However a control plane ends, no process and no directory of it is left; what it did not make stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane, ControlPlaneError
from sandbox.controlplane.find import Finder
from sandbox.controlplane.local import Binaries, LocalControlPlane

REPO = Path(__file__).parents[2]


def processes_of(directory: Path) -> list[str]:
    """Command lines that name `directory`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def eventually(condition: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary directory with a short name, so that a socket in it has room."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture
def up(binaries: Binaries, scratch: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`python -m sandbox.controlplane up` as a process of its own, and its directory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.controlplane", "up"],
        cwd=REPO,
        env=os.environ | {"MAILEGRESS_SANDBOX_CONTROLPLANE": "build", "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As from a terminal: what a shell starts in the background ignores Ctrl-C, and so would the processes below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        kubeconfig = Path(process.stdout.readline().strip())
        assert kubeconfig.is_file(), process.communicate(timeout=5)
        yield process, kubeconfig.parent
    finally:
        process.kill()
        process.communicate()


def test_leaving_the_context_leaves_nothing(binaries: Binaries) -> None:
    with LocalControlPlane(binaries, os.environ) as plane:
        directory = plane.directory
        names = ("etcd ", "kube-apiserver ", "kube-controller-manager ", "reaper.py ")
        running = processes_of(directory)
        assert all(any(name in line for line in running) for name in names)
    assert not directory.exists()
    assert processes_of(directory) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_running_one_cleanly(
    up: tuple[subprocess.Popen[str], Path], number: signal.Signals
) -> None:
    process, directory = up
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert not directory.exists()
    assert processes_of(directory) == []


def test_a_killed_owner_leaves_nothing(up: tuple[subprocess.Popen[str], Path]) -> None:
    process, directory = up
    assert len(processes_of(directory)) == 4
    process.kill()
    process.wait(timeout=10)
    assert eventually(lambda: not directory.exists() and processes_of(directory) == []), processes_of(
        directory
    )


def test_a_component_that_dies_at_start_shows_the_end_of_its_log(binaries: Binaries, scratch: Path) -> None:
    plane = LocalControlPlane(binaries, os.environ, apiserver_flags=("--no-such-flag",))
    with pytest.raises(ControlPlaneError) as error:
        plane.start()
    assert "kube-apiserver ended with status 1" in str(error.value)
    assert "unknown flag: --no-such-flag" in str(error.value)
    with pytest.raises(ControlPlaneError, match="not started"):
        _ = plane.directory


def test_a_component_that_dies_later_is_reported(binaries: Binaries) -> None:
    with LocalControlPlane(binaries, os.environ) as plane:
        plane.check()
        component = plane._running().running("kube-controller-manager")
        assert component is not None
        os.kill(component.process.pid, signal.SIGKILL)
        component.process.wait(timeout=10)
        with pytest.raises(ControlPlaneError, match="kube-controller-manager was killed by signal 9"):
            plane.check()


def find(environ: Mapping[str, str]) -> ControlPlane:
    return Finder(environ, print).find_or_build()


def test_a_named_cluster_is_used_and_never_stopped(plane: LocalControlPlane) -> None:
    outer = os.environ | {"MAILEGRESS_SANDBOX_KUBECONFIG": str(plane.kubeconfig)}
    with find(outer | {"MAILEGRESS_SANDBOX_CONTEXT": "sandbox"}) as named:
        assert (named.server, named.version) == (plane.server, plane.version)
        assert named.kubeconfig != plane.kubeconfig
        named.kubectl("create", "configmap", "through-the-name")
        with pytest.raises(ControlPlaneError, match="was not made by this sandbox"):
            named.restart_apiserver()
    assert plane.ready()
    plane.kubectl("delete", "configmap", "through-the-name")


def test_a_named_context_that_does_not_exist_is_an_error(plane: LocalControlPlane) -> None:
    outer = os.environ | {"MAILEGRESS_SANDBOX_KUBECONFIG": str(plane.kubeconfig)}
    with pytest.raises(ControlPlaneError, match='context "elsewhere" does not exist'):
        find(outer | {"MAILEGRESS_SANDBOX_CONTEXT": "elsewhere"})


def test_kubebuilder_assets_get_the_controller_manager_that_they_lack(
    binaries: Binaries, tmp_path: Path
) -> None:
    for binary in (binaries.etcd, binaries.apiserver):
        (tmp_path / binary.name).symlink_to(binary)
    outer = os.environ | {"MAILEGRESS_SANDBOX_CONTROLPLANE": "assets", "KUBEBUILDER_ASSETS": str(tmp_path)}
    with find(outer) as plane:
        plane.kubectl("create", "namespace", "n")
        plane.kubectl("delete", "namespace", "n", "--timeout=50s")
