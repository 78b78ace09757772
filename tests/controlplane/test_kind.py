"""Given a machine with kind and a container engine (here: scripts that note their arguments)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.controlplane import ControlPlaneError
from sandbox.controlplane.foreign import KindControlPlane
from sandbox.controlplane.pins import read_pins
from sandbox.controlplane.reaper import main as reap

if TYPE_CHECKING:
    from tests.controlplane.conftest import Machine


def with_kind(machine: Machine, create: str = 'echo "{}" > "$6"') -> tuple[KindControlPlane, Path]:
    """A kind whose API server is ready exactly while its manifest is not parked."""
    calls, parked = machine.root / "calls", machine.root / "parked"
    machine.command("kind", f'echo "kind $*" >> {calls}\nif [ "$1" = create ]; then {create}; fi')
    machine.command(
        "docker",
        f"""
        if [ "$1" = exec ]; then echo "docker $*" >> {calls}; else exit 0; fi
        case "$5" in mkdir*) : > {parked} ;; *) /bin/rm -f {parked} ;; esac
        """,
    )
    version = json.dumps({"clientVersion": {"gitVersion": read_pins().kubernetes}})
    machine.command(
        "kubectl", f"if [ \"$1\" = version ]; then echo '{version}'; exit 0; fi\n[ ! -e {parked} ]"
    )
    plane = machine.find()
    assert isinstance(plane, KindControlPlane)
    return plane, calls


def test_a_cluster_of_its_own_name_is_made_and_deleted_with_its_own_kubeconfig(machine: Machine) -> None:
    plane, calls = with_kind(machine)
    with plane:
        config = plane.kubeconfig
    assert calls.read_text().splitlines() == [
        f"kind create cluster --name {plane.name} --kubeconfig {config} --wait 300s",
        f"kind delete cluster --name {plane.name} --kubeconfig {config}",
    ]
    assert not config.parent.exists()


def test_the_api_server_stops_and_starts_with_its_manifest(machine: Machine) -> None:
    plane, calls = with_kind(machine)
    with plane:
        plane.stop_apiserver()
        assert (machine.root / "parked").exists()
        plane.start_apiserver()
        assert not (machine.root / "parked").exists()
    into_node = [line for line in calls.read_text().splitlines() if line.startswith("docker exec")]
    assert [f"{plane.name}-control-plane" in line for line in into_node] == [True, True]
    assert all(
        "/etc/kubernetes/manifests/kube-apiserver.yaml" in line or "parked/" in line for line in into_node
    )


def test_a_cluster_that_cannot_be_made_is_deleted_and_kinds_words_are_shown(machine: Machine) -> None:
    plane, calls = with_kind(machine, create="echo 'no space left on device' >&2; exit 1")
    with pytest.raises(ControlPlaneError, match="no space left on device"):
        plane.start()
    assert calls.read_text().splitlines()[-1].startswith(f"kind delete cluster --name {plane.name}")


def test_a_killed_owners_cluster_is_deleted_before_its_directory(tmp_path: Path) -> None:
    """The owner's pipe ends without the word `done`."""
    directory, noted = tmp_path / "d", tmp_path / "noted"
    directory.mkdir()
    script = (
        "import pathlib, sys; there = pathlib.Path(sys.argv[1]).exists();"
        " pathlib.Path(sys.argv[2]).write_text(str(there))"
    )
    command = [sys.executable, "-c", script, str(directory), str(noted)]
    reap([f"run {json.dumps(command)}\n"], directory)
    assert noted.read_text() == "True"
    assert not directory.exists()


def test_an_owner_that_cleaned_up_leaves_the_reaper_nothing_to_do(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    command = [sys.executable, "-c", f"open({str(noted)!r}, 'w')"]
    reap([f"run {json.dumps(command)}\n", "done\n"], tmp_path)
    assert tmp_path.exists()
    assert not noted.exists()
