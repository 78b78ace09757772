"""What `make test` runs beside the build of the control plane, and what it shows of both."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox.controlplane.find import Finder
from scripts.test_suite import EARLY, ROOT, Beside, merge

if TYPE_CHECKING:
    from tests.controlplane.conftest import Machine


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


WAITS = "import signal; signal.pause()"


def beside(directory: Path, build: str, early: str) -> tuple[int, list[str]]:
    said: list[str] = []
    status = Beside(python(build), python(early), directory, said.append, os.environ).run()
    return status, said


def test_both_run_at_the_same_time_and_the_last_line_of_the_tests_is_shown(tmp_path: Path) -> None:
    """Each waits for a file of the other, so that neither could end if one came after the other."""

    def meet(mine: str, other: str, says: str) -> str:
        return (
            f"import pathlib, time; here = pathlib.Path({str(tmp_path)!r}); (here / {mine!r}).touch()\n"
            f"while not (here / {other!r}).exists(): time.sleep(0.01)\nprint('first'); print({says!r})"
        )

    status, said = beside(tmp_path, meet("a", "b", "built"), meet("b", "a", "9 passed in 1 s"))
    assert status == 0
    assert said[1:] == ["9 passed in 1 s"]


def test_tests_that_fail_are_shown_whole_and_end_the_build(tmp_path: Path) -> None:
    status, said = beside(tmp_path, WAITS, "print('E  assert'); print('1 failed'); raise SystemExit(1)")
    assert status == 1
    assert said[1:] == ["E  assert\n1 failed"]


def test_a_build_that_fails_is_shown_whole_and_ends_the_tests(tmp_path: Path) -> None:
    status, said = beside(tmp_path, "print('no `go` on PATH'); raise SystemExit(3)", WAITS)
    assert status == 3
    assert said[1:] == ["no `go` on PATH"]


def test_the_early_tests_cannot_wait_for_the_build(tmp_path: Path) -> None:
    """They are told of a control plane that is not there."""
    code = "import os; print(os.environ['MAILEGRESS_SANDBOX_CONTROLPLANE'])"
    assert beside(tmp_path, "pass", code)[1][1:] == ["kubeconfig"]


def test_no_early_directory_holds_a_story_or_looks_for_a_control_plane() -> None:
    manifest = yaml.safe_load((ROOT / "tests" / "stories.yaml").read_text())
    named = {
        str(test) for entry in manifest for test in [entry["test"]] if isinstance(entry["test"], str)
    } | {str(test) for entry in manifest if isinstance(entry["test"], list) for test in entry["test"]}
    assert [test for test in named if test.startswith(tuple(f"{path}/" for path in EARLY))] == []
    sources = [path for each in EARLY for path in (ROOT / each).rglob("*.py")]
    assert len(sources) > 50
    looks = re.compile(r"find_or_build|control_plane\(|sandbox\.local")
    assert [path.name for path in sources if looks.search(path.read_text())] == []


def test_the_results_of_both_runs_are_in_one_file(tmp_path: Path) -> None:
    for name in ("first", "second"):
        suite = f'<testsuite name="{name}"><testcase name="test_{name}"/></testsuite>'
        (tmp_path / name).write_text(f"<testsuites>{suite}</testsuites>")
    merge(tmp_path / "first", tmp_path / "second")
    cases = [case.get("name") for case in ElementTree.parse(tmp_path / "second").iter("testcase")]
    assert cases == ["test_second", "test_first"]


@pytest.mark.parametrize(
    ("environ", "incomplete"),
    [
        ({}, True),
        ({"MAILEGRESS_SANDBOX_CONTROLPLANE": "build"}, True),
        ({"KUBEBUILDER_ASSETS": "/assets"}, False),
        ({"MAILEGRESS_SANDBOX_CONTROLPLANE": "kind"}, False),
    ],
)
def test_a_control_plane_of_ours_is_incomplete_until_it_is_built(
    machine: Machine, environ: dict[str, str], incomplete: bool
) -> None:
    finder = Finder(machine.environ | environ, machine.said.append)
    assert finder.incomplete() is incomplete
    machine.fill_cache()
    assert finder.incomplete() is False
