"""The list of stories: a promise whose test is missing or did not pass makes the run fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.operator import REPO

SUITE = """
import pytest

def test_good(): pass

@pytest.mark.parametrize("n", [1, 2])
def test_many(n): assert n < 3

@pytest.mark.parametrize("n", [1, 2])
def test_half(n): assert n < 2

@pytest.mark.skip(reason="later")
def test_skipped(): pass

@pytest.mark.xfail
def test_expected(): assert False

@pytest.mark.xfail
def test_surprise(): pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("teardown")

def test_unclean(broken): pass
"""


def _run(folder: Path, manifest: str, *chosen: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "stories.yaml").write_text(manifest)
    arguments = ["-p", "scripts.stories_check", "--stories-manifest=stories.yaml", "--junit-xml=junit.xml"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", " or ".join(chosen), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stories_that_passed_change_nothing(tmp_path: Path) -> None:
    manifest = (
        "- {story: One, test: 'test_suite.py::test_good'}\n- {story: Two, test: ['test_suite.py::test_many']}"
    )
    done = _run(tmp_path, manifest, "good", "many")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("test", "how"),
    [
        ("test_gone", "did not run"),
        ("test_skipped", "skipped"),
        ("test_expected", "was expected to fail"),
        ("test_surprise", "was expected to fail"),
        ("test_half", "failed"),
        ("test_unclean", "failed"),
    ],
)
def test_a_story_that_did_not_pass_fails_the_run(tmp_path: Path, test: str, how: str) -> None:
    manifest = (
        f"- {{story: One, test: 'test_suite.py::test_good'}}\n- {{story: Two, test: 'test_suite.py::{test}'}}"
    )
    done = _run(tmp_path, manifest, "good", test.removeprefix("test_"))
    assert done.returncode == 1
    assert f"Two: test_suite.py::{test}" in done.stdout
    assert how in done.stdout
    closing = done.stdout.splitlines()[-1]
    assert "failed" in closing, "pytest's own closing line stays the last and counts it"
    assert "Two: test_suite.py" in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("[]", "empty"),
        ("- {story: One}", "entry 1"),
        ("- {story: One, test: a}\n- {story: One, test: b}", "more than once: One"),
        ("- {story: One, test: []}", "entry 1 lacks"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, manifest: str, says: str) -> None:
    done = _run(tmp_path, manifest, "good")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert says in done.stderr
