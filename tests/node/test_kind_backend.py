"""Given a machine with kind and an engine (here: scripts that note their arguments)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlaneError
from sandbox.controlplane.foreign import Kind
from sandbox.e2e.backends import KIND, KindWithImages, kind_reason


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def plane_with(tmp_path: Path, calls: Path, load: str = "exit 0") -> KindWithImages:
    kind = script(
        tmp_path / "kind",
        f'echo "$*" >> {calls}\ncase "$1" in create) echo "{{}}" > "$6" ;; load) {load} ;; esac',
    )
    kubectl, docker = script(tmp_path / "kubectl", "exit 0"), script(tmp_path / "docker", "exit 0")
    archives = [tmp_path / "image.tar", tmp_path / "former.tar"]
    return KindWithImages(Kind(kind, docker), kubectl, {"PATH": str(tmp_path)}, archives)


def test_the_cluster_gets_the_images_before_anything_is_installed(tmp_path: Path, calls: Path) -> None:
    plane = plane_with(tmp_path, calls)
    with plane:
        config = plane.kubeconfig
    assert calls.read_text().splitlines() == [
        f"create cluster --name {plane.name} --kubeconfig {config} --wait 300s",
        f"load image-archive --name {plane.name} {tmp_path / 'image.tar'}",
        f"load image-archive --name {plane.name} {tmp_path / 'former.tar'}",
        f"delete cluster --name {plane.name} --kubeconfig {config}",
    ]


def test_a_cluster_that_does_not_take_the_image_is_deleted(tmp_path: Path, calls: Path) -> None:
    plane = plane_with(tmp_path, calls, load="echo 'no such image' >&2; exit 1")
    with pytest.raises(ControlPlaneError, match="no such image"):
        plane.start()
    assert calls.read_text().splitlines()[-1].startswith("delete cluster")


def test_kind_is_possible_where_an_engine_answers(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path)}
    assert "no container engine answers" in kind_reason(environ)
    script(tmp_path / "docker", "exit 0")
    if os.geteuid() != 0:
        assert "neither root nor sudo" in kind_reason(environ)
        script(tmp_path / "sudo", "exit 0")
    assert kind_reason(environ) == ""


def test_kind_is_pinned_by_the_hash_of_its_module() -> None:
    assert KIND.source.sum.startswith("h1:")
    assert KIND.source.version == "v0.33.0"
