"""``docs/guarantees.md``, the list of promises and the planted bugs agree."""

from __future__ import annotations

import re
from pathlib import Path

from scripts import test_sim
from scripts.stories_check import read_manifest
from tests.support.mutants.catalogue import INVARIANTS, MUTANTS

ROOT = Path(__file__).parents[2]
STORIES = ROOT / "tests/stories.yaml"
PAGE = (ROOT / "docs/guarantees.md").read_text()


def rows(heading: str) -> list[str]:
    """The rows of the table under a heading, without its head."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| |")]


def test_each_promise_is_stated_once_and_in_order() -> None:
    stated = [row.split(" | ")[0].removeprefix("| ") for row in rows("At every instant") + rows("Once quiet")]
    assert tuple(stated) == INVARIANTS
    for row in rows("At every instant") + rows("Once quiet"):
        _, promise, looked_at = row.strip("| ").split(" | ")
        assert promise
        assert looked_at


def test_the_planted_bugs_are_shown_as_they_are() -> None:
    """If this fails: put what ``python scripts/test_sim.py table`` prints in place of the page's table."""
    assert test_sim.planted_table() in PAGE
    assert len(rows("Planted bugs")) == len(MUTANTS)


def test_each_attack_has_a_story_and_a_planted_bug() -> None:
    """The stories are in ``tests/stories.yaml``, so that ``make test`` fails if one did not run."""
    named = {test.partition("[")[0] for story in read_manifest(STORIES) for test in story.tests}
    attacks = [row for row in rows("Attacks of one namespace on another") if not row.startswith("| | ")]
    assert [row.split(" | ")[0].strip("| ") for row in attacks] == [str(n) for n in range(1, 21)]
    for row in attacks:
        _, _, tests, bugs = row.strip("| ").split(" | ")
        assert set(re.findall(r"`([^`]+)`", tests)) <= named, row
        found = re.findall(r"`([^`]+)`", bugs)
        assert found
        assert set(found) <= {mutant.id for mutant in MUTANTS}, row


def test_every_story_that_the_page_sends_to_exists() -> None:
    stories = set(re.findall(r"STORY=(\S+)", PAGE))
    assert stories
    assert stories <= set(test_sim.known_stories())


def test_the_commands_exist() -> None:
    targets = set(re.findall(r"`make ([\w-]+)", PAGE))
    assert {"test-sim", "test-sim-quick", "sim-story"} <= targets
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


def test_what_was_found_is_told() -> None:
    assert len(rows("What was found and fixed")) > 10
