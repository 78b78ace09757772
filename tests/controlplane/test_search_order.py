"""Given a machine that offers this and that: which control plane is used, and what is built for it?"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sandbox.controlplane import ControlPlaneError
from sandbox.controlplane.find import Finder
from sandbox.controlplane.foreign import KindControlPlane, NamedControlPlane
from sandbox.controlplane.local import LocalControlPlane
from sandbox.controlplane.pins import cache_dir, read_pins

if TYPE_CHECKING:
    from tests.controlplane.conftest import Machine

CHOICE = "MAILEGRESS_SANDBOX_CONTROLPLANE"
PINNED = read_pins().kubernetes
VERSION = {"gitVersion": PINNED}
OURS = f"echo '{json.dumps({'clientVersion': VERSION, 'serverVersion': VERSION})}'"
"""What a built kubectl does here: tell its version."""


def offer_named_cluster(machine: Machine) -> None:
    config = machine.root / "cluster.yaml"
    config.write_text("{}")
    machine.environ["MAILEGRESS_SANDBOX_KUBECONFIG"] = str(config)


def offer_kind(machine: Machine) -> None:
    machine.command("kind")
    machine.command("docker")


OFFERS: dict[str, Callable[[Machine], object]] = {
    "kubeconfig": offer_named_cluster,
    "assets": lambda machine: machine.assets(PINNED),
    "cache": lambda machine: machine.fill_cache(),
    "kind": offer_kind,
    "build": lambda machine: machine.go(),
}


def kind_of(machine: Machine) -> str:
    plane = machine.find()
    if isinstance(plane, NamedControlPlane):
        return "kubeconfig"
    if isinstance(plane, KindControlPlane):
        return "kind"
    assert isinstance(plane, LocalControlPlane)
    return {"KUBEBUILDER_ASSETS": "assets", "cache": "cache", "Go": "build"}[plane.origin.split()[0]]


@pytest.mark.parametrize(("better", "worse"), list(itertools.combinations(OFFERS, 2)))
def test_the_earlier_of_two_offers_wins(machine: Machine, better: str, worse: str) -> None:
    machine.environ["FAKE_BINARY"] = OURS
    machine.go()
    for name in (better, worse):
        OFFERS[name](machine)
    assert kind_of(machine) == better


@pytest.mark.parametrize("choice", list(OFFERS))
def test_a_named_choice_beats_everything_earlier(machine: Machine, choice: str) -> None:
    machine.environ["FAKE_BINARY"] = OURS
    for offer in OFFERS.values():
        offer(machine)
    machine.environ[CHOICE] = choice
    assert kind_of(machine) == choice


@pytest.mark.parametrize("choice", ["kubeconfig", "assets", "cache", "kind"])
def test_a_named_choice_that_is_not_there_is_an_error_and_never_another_control_plane(
    machine: Machine, choice: str
) -> None:
    machine.go()
    machine.environ |= {CHOICE: choice, "FAKE_BINARY": OURS}
    with pytest.raises(ControlPlaneError, match=f"{CHOICE}={choice}, but "):
        machine.find()
    assert machine.builds == []


def test_an_unknown_choice_lists_the_known_ones(machine: Machine) -> None:
    machine.environ[CHOICE] = "minikube"
    with pytest.raises(
        ControlPlaneError, match="minikube is none of auto, kubeconfig, assets, cache, kind, releases, build"
    ):
        machine.find()


def test_the_users_own_kubeconfig_is_no_offer(machine: Machine) -> None:
    own = machine.root / "home" / ".kube" / "config"
    own.parent.mkdir()
    own.write_text("{}")
    machine.environ["KUBECONFIG"] = str(own)
    machine.command("kubectl", machine.kubectl_script(PINNED))
    machine.environ["FAKE_BINARY"] = OURS
    machine.go()
    assert kind_of(machine) == "build"


def test_a_context_without_its_file_is_refused(machine: Machine) -> None:
    machine.environ["MAILEGRESS_SANDBOX_CONTEXT"] = "staging"
    machine.fill_cache()
    with pytest.raises(ControlPlaneError, match="MAILEGRESS_SANDBOX_CONTEXT is set without"):
        machine.find()


def test_a_named_file_that_is_missing_is_refused(machine: Machine) -> None:
    machine.environ["MAILEGRESS_SANDBOX_KUBECONFIG"] = str(machine.root / "gone.yaml")
    machine.fill_cache()
    with pytest.raises(ControlPlaneError, match=r"gone\.yaml, and there is no such file"):
        machine.find()


def test_assets_without_an_api_server_are_refused(machine: Machine) -> None:
    (machine.assets() / "kube-apiserver").unlink()
    machine.fill_cache()
    with pytest.raises(ControlPlaneError, match="no executable kube-apiserver"):
        machine.find()


def test_kind_without_an_answering_engine_is_no_offer(machine: Machine) -> None:
    machine.command("kind")
    machine.command("docker", "echo 'Cannot connect to the daemon' >&2; exit 1")
    machine.environ["FAKE_BINARY"] = OURS
    machine.go()
    assert kind_of(machine) == "build"


def test_a_build_supplies_what_assets_lack_and_nothing_else(machine: Machine) -> None:
    assets = machine.assets("v1.34.1")
    machine.go()
    plane = machine.find()
    assert isinstance(plane, LocalControlPlane)
    assert machine.builds == ["./certs", "k8s.io/kubernetes/cmd/kube-controller-manager"]
    assert plane.binaries.controller_manager == machine.cache / "kube-controller-manager"
    assert plane.binaries.kubectl == assets / "kubectl"
    assert plane.version == "v1.34.1"


def neighbour(minors: int) -> str:
    major, minor, _ = PINNED.split(".")
    return f"{major}.{int(minor) + minors}.0"


@pytest.mark.parametrize(("minors", "built"), [(-2, True), (-1, False), (0, False), (1, False), (2, True)])
def test_kubectl_is_built_only_where_the_one_on_path_is_too_far_from_the_server(
    machine: Machine, minors: int, built: bool
) -> None:
    on_path = machine.command("kubectl", machine.kubectl_script(neighbour(minors)))
    machine.environ["FAKE_BINARY"] = OURS
    machine.go()
    plane = machine.find()
    assert ("k8s.io/kubernetes/cmd/kubectl" in machine.builds) is built
    assert plane.kubectl_path == (machine.cache / "kubectl" if built else on_path)


def test_without_controllers_only_the_servers_are_built_and_any_kubectl_serves(machine: Machine) -> None:
    on_path = machine.command("kubectl", machine.kubectl_script("v1.20.0"))
    machine.go()
    plane = Finder(machine.environ, machine.said.append, controllers=False).find_or_build()
    assert isinstance(plane, LocalControlPlane)
    assert machine.builds == ["./certs", "go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kube-apiserver"]
    assert plane.kubectl_path == on_path
    assert plane.binaries.controller_manager is None


def test_without_controllers_a_kubectl_that_does_not_answer_is_built(machine: Machine) -> None:
    machine.command("kubectl", "exit 1")
    machine.go()
    plane = Finder(machine.environ, machine.said.append, controllers=False).find_or_build()
    assert plane.kubectl_path == machine.cache / "kubectl"
    assert "k8s.io/kubernetes/cmd/kube-controller-manager" not in machine.builds


def test_our_kubectl_comes_before_the_one_on_path(machine: Machine) -> None:
    machine.fill_cache()
    machine.command("kubectl", machine.kubectl_script(PINNED))
    assert machine.find().kubectl_path == machine.cache / "kubectl"


def test_a_cache_that_lacks_one_binary_is_completed(machine: Machine) -> None:
    machine.fill_cache("certs", "etcd", "kube-apiserver", "kubectl")
    machine.go()
    assert kind_of(machine) == "build"
    assert machine.builds == ["k8s.io/kubernetes/cmd/kube-controller-manager"]
    assert kind_of(machine) == "cache"


@pytest.mark.parametrize("named", ["", "relative/cache"])
def test_the_cache_is_below_home_unless_xdg_says_otherwise(named: str) -> None:
    pins = read_pins()
    entry = f"mailegress/controlplane/{pins.kubernetes}-{pins.digest}"
    assert str(cache_dir({"HOME": "/h", "XDG_CACHE_HOME": named}, pins)) == f"/h/.cache/{entry}"
    assert str(cache_dir({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, pins)) == f"/x/{entry}"
