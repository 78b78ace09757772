"""Given directories in place of the kernel's: what is made before a node, and what is removed after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.node import cgroups


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    for name in ("cpu,cpuacct", "memory", "unified"):
        (tmp_path / name).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    return tmp_path


def test_on_v1_every_hierarchy_gets_the_group_once(v1: Path) -> None:
    cgroups.make("mine", v1)
    made = {path.parent.name for path in v1.glob("*/mine") if not path.parent.is_symlink()}
    assert made == {"cpu,cpuacct", "memory", "unified"}


def test_on_v2_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "system.slice").mkdir()
    cgroups.make("mine", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("mine")] == ["mine"]


def test_all_below_goes_deepest_first_and_nothing_else(v1: Path) -> None:
    (v1 / "memory" / "mine" / "kubepods" / "burstable" / "pod1").mkdir(parents=True)
    (v1 / "memory" / "other" / "kubepods").mkdir(parents=True)
    assert cgroups.remove("mine", v1) == []
    assert not (v1 / "memory" / "mine").exists()
    assert (v1 / "memory" / "other" / "kubepods").exists()


def test_a_group_in_use_is_told_of(v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_EMPTY_WITHIN_S", 0.0)
    busy = v1 / "memory" / "mine" / "kubepods"
    busy.mkdir(parents=True)
    (busy / "a-file-that-a-directory-cannot-be-removed-with").touch()
    assert cgroups.remove("mine", v1) == [busy, busy.parent]


def test_as_a_script_it_needs_nothing_of_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-I", cgroups.__file__, "no-such-group-anywhere"],
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
