"""Given a machine with a Go like this: what does a build leave behind, and what does it say?"""

from __future__ import annotations

import fcntl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.controlplane import BuildError
from sandbox.controlplane.find import Finder
from sandbox.controlplane.gobuild import PACKAGES, GoBuild, progress
from sandbox.controlplane.local import LocalControlPlane
from sandbox.controlplane.pins import MODULE_DIR, read_pins

if TYPE_CHECKING:
    from tests.controlplane.conftest import Machine


def builder(machine: Machine, progress_s: float = 10.0) -> GoBuild:
    return GoBuild(read_pins(), machine.cache, machine.environ, machine.said.append, progress_s=progress_s)


def test_every_kubernetes_module_is_pinned_to_the_servers_release() -> None:
    text = (MODULE_DIR / "go.mod").read_text()
    staged = read_pins().kubernetes.replace("v1.", "v0.", 1)
    replaced = [line.split() for line in text.splitlines() if "=>" in line]
    assert len(replaced) > 30
    assert {(parts[0] == parts[2], parts[3]) for parts in replaced} == {(True, staged)}


def test_a_build_fills_the_cache_once(machine: Machine) -> None:
    machine.go()
    for _ in range(2):
        assert Finder(machine.environ, machine.said.append).build() == machine.cache
    assert machine.builds == list(PACKAGES.values())
    assert sorted(path.name for path in machine.cache.iterdir()) == sorted(PACKAGES)
    assert any("kube-apiserver, kube-controller-manager, kubectl: built in" in line for line in machine.said)


def test_programs_for_tests_are_compiled_without_optimisation(machine: Machine) -> None:
    machine.go()
    machine.find()
    assert "-gcflags=all=-N -l -dwarf=false" in (machine.root / "flags").read_text().splitlines()


def test_programs_for_figures_are_compiled_with_optimisation_in_a_cache_of_their_own(
    machine: Machine,
) -> None:
    machine.fill_cache()
    machine.go()
    plane = Finder(machine.environ, machine.said.append, optimised=True).find_or_build()
    assert isinstance(plane, LocalControlPlane)
    assert plane.binaries.apiserver.parent == machine.optimised != machine.cache
    assert machine.builds == list(PACKAGES.values())
    assert not any("gcflags" in flag for flag in (machine.root / "flags").read_text().splitlines())


def test_optimised_programs_that_are_there_are_used_and_nothing_is_built(machine: Machine) -> None:
    machine.go()
    machine.fill_cache(optimised=True)
    plane = machine.find()
    assert isinstance(plane, LocalControlPlane)
    assert plane.binaries.apiserver.parent == machine.optimised
    assert machine.builds == []


def test_no_go_names_every_way_out(machine: Machine) -> None:
    with pytest.raises(BuildError) as error:
        machine.find()
    for way in (
        "no `go` on PATH",
        "go.dev/dl",
        "KUBEBUILDER_ASSETS",
        "kind",
        "MAILEGRESS_SANDBOX_KUBECONFIG",
    ):
        assert way in str(error.value)


def test_too_old_a_go_is_told_both_versions(machine: Machine) -> None:
    machine.go(version="go1.21.3")
    wanted = ".".join(map(str, read_pins().go))
    with pytest.raises(BuildError, match=rf"is Go 1\.21\.3, and building one needs {wanted} or newer"):
        machine.find()


def test_an_unreachable_proxy_is_told_as_such(machine: Machine) -> None:
    machine.go(build="echo 'Get \"https://proxy/x\": dial tcp: lookup proxy: no such host'; exit 1")
    with pytest.raises(BuildError) as error:
        machine.find()
    assert "cannot be downloaded" in str(error.value)
    assert "GOPROXY" in str(error.value)
    assert "no such host" in str(error.value)


def test_a_failed_compilation_shows_the_compilers_error_and_leaves_nothing_half_made(
    machine: Machine,
) -> None:
    machine.go(build="echo half > \"$out/etcd\"; echo k8s.io/api/core/v1; echo 'signal: killed'; exit 1")
    with pytest.raises(
        BuildError, match=r"(?s)`go build` of certs, etcd, .* failed.*signal: killed"
    ) as error:
        machine.find()
    assert "k8s.io/api" not in str(error.value)
    assert list(machine.cache.iterdir()) == []


def test_the_users_go_flags_do_not_reach_the_build(machine: Machine) -> None:
    seen = machine.root / "seen"
    machine.go(build=f'echo "$GOFLAGS|$GOWORK|$GOTOOLCHAIN|$GOPROXY" > {seen}')
    machine.environ |= {"GOFLAGS": "-mod=vendor", "GOWORK": "/w/go.work", "GOPROXY": "https://proxy.example"}
    builder(machine).ensure(["certs"])
    assert seen.read_text().strip() == "|off|local|https://proxy.example"


@pytest.mark.parametrize(("own", "used"), [({}, "400"), ({"GOGC": "50"}, "50")])
def test_the_compiler_collects_garbage_as_often_as_the_user_says_or_rarely(
    machine: Machine, own: dict[str, str], used: str
) -> None:
    seen = machine.root / "seen"
    machine.go(build=f'echo "$GOGC" > {seen}')
    machine.environ |= own
    builder(machine).ensure(["certs"])
    assert seen.read_text().strip() == used


def test_a_long_compilation_shows_the_share_that_is_done(machine: Machine) -> None:
    """Two of the three stale packages are compiled when it is looked at first."""
    go_on = machine.root / "go-on"
    machine.go(build=f"echo a; echo b; while [ ! -e {go_on} ]; do /bin/sleep 0.05; done")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "67 % of 3 packages" in line:
            go_on.touch()

    GoBuild(read_pins(), machine.cache, machine.environ, say, progress_s=0.05).ensure(["certs"])
    assert any("about" in line and "left" in line for line in said)


@pytest.mark.parametrize(
    ("done", "stale", "line"),
    [
        (0, 0, "compiling, 30 s"),
        (0, 900, "compiling, 30 s"),
        (300, 900, "compiling, 33 % of 900 packages after 30 s, about 60 s left"),
        (901, 900, "compiling, 100 % of 900 packages after 30 s, about 0 s left"),
    ],
)
def test_progress_states_the_share_and_the_time_left(done: int, stale: int, line: str) -> None:
    assert progress(done, stale, 30.0) == line


def test_two_builds_at_once_build_once(machine: Machine) -> None:
    """The second waits for the lock, then finds the binary there."""
    machine.go()
    machine.cache.mkdir(parents=True)
    with machine.cache.with_name(machine.cache.name + ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: builder(machine).ensure(["etcd"]))
        waiting.start()
        deadline = time.monotonic() + 20
        while not any("another build" in line for line in machine.said):
            assert time.monotonic() < deadline, machine.said
            time.sleep(0.01)
        machine.fill_cache("etcd")
    waiting.join(timeout=20)
    assert not waiting.is_alive()
    assert machine.builds == []
