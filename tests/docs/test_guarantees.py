"""``docs/guarantees.md``, the list of promises and the planted bugs agree."""

from __future__ import annotations

import re
from pathlib import Path

from scripts import test_sim
from tests.support.mutants.catalogue import INVARIANTS, MUTANTS

ROOT = Path(__file__).parents[2]
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
