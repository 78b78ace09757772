"""pytest plugin: every story of a manifest must have run and passed.

``--stories-manifest=tests/stories.yaml`` names the file: a list of ``{story, test}``, where ``story`` is a
sentence of the promise and ``test`` a test ID (or a list of them; without a parameter's brackets it stands for
all parameters). A story whose test is missing, was skipped, was expected to fail or failed makes the run fail,
and shows as one failure named like the manifest. To be used with the whole suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

OPTION = "--stories-manifest"


class ManifestError(Exception):
    """The manifest is not as it should be; the text says where."""


@dataclass(frozen=True, slots=True)
class Story:
    """One promise and the tests that keep it."""

    sentence: str
    tests: tuple[str, ...]


def read_manifest(path: Path) -> list[Story]:
    """The stories of a file. Raises ManifestError."""
    try:
        entries = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ManifestError(f"{path}: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ManifestError(f"{path}: not a list of stories, or an empty one")
    stories: list[Story] = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or set(entry) != {"story", "test"}:
            raise ManifestError(f"{path}: entry {number} does not have exactly the keys story and test")
        tests = entry["test"] if isinstance(entry["test"], list) else [entry["test"]]
        if not (entry["story"] and tests and all(isinstance(test, str) and test for test in tests)):
            raise ManifestError(f"{path}: entry {number} lacks its sentence or its test IDs")
        stories.append(Story(str(entry["story"]), tuple(tests)))
    doubled = {s.sentence for s in stories if [each.sentence for each in stories].count(s.sentence) > 1}
    if doubled:
        raise ManifestError(f"{path}: more than once: {'; '.join(sorted(doubled))}")
    return stories


def broken(stories: Iterable[Story], outcomes: Mapping[str, str]) -> list[str]:
    """One line for each test that did not do its part. ``outcomes``: test ID → passed, failed, skipped, …"""
    lines = []
    for story in stories:
        for test in story.tests:
            found = {
                node: how for node, how in outcomes.items() if node == test or node.startswith(f"{test}[")
            }
            if not found:
                lines.append(f"{story.sentence}: {test} did not run")
            lines += [f"{story.sentence}: {node} {how}" for node, how in found.items() if how != "passed"]
    return lines


def fail_run(session: pytest.Session, name: str, text: str) -> None:
    """Let the run fail for a reason that is no test's, from ``pytest_sessionfinish`` (tryfirst)."""
    # As a report of its own it appears among the failures, in the JUnit file and in the closing line.
    report = pytest.TestReport(
        nodeid=name,
        location=(name, None, Path(name).name),
        keywords={},
        outcome="failed",
        longrepr=text,
        when="call",
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def undecided(session: pytest.Session) -> bool:
    """Whether too little ran to judge the suite as a whole."""
    interrupted = (
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.USAGE_ERROR,
    )
    return session.config.option.collectonly or session.exitstatus in interrupted


class StoriesCheck:
    """Collects outcomes and judges at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}
        self.stories = read_manifest(path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        how = "was expected to fail" if hasattr(report, "wasxfail") else report.outcome
        # A test has passed if its call did and neither set-up nor teardown says otherwise.
        if report.when == "call" or how != "passed":
            self._outcomes[report.nodeid] = how

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if undecided(session):
            return
        lines = broken(self.stories, self._outcomes)
        if not lines:
            return
        fail_run(session, str(self._path), "stories that did not pass:\n" + "\n".join(lines))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION, metavar="FILE", type=Path, help="fail unless every story of FILE has run and passed"
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("stories_manifest")
    # With pytest-xdist the controller hears of every test; a worker only of its own.
    if path is not None and not hasattr(config, "workerinput"):
        try:
            config.pluginmanager.register(StoriesCheck(path), "stories-check")
        except ManifestError as error:
            raise pytest.UsageError(str(error)) from error
