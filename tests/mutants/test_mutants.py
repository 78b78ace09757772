"""The planted bugs fit the code, every promise has one, and a bug counts as found only by what it breaks."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from dataclasses import replace

import pytest

from tests.support.mutants.catalogue import INVARIANTS, MUTANTS
from tests.support.mutants.mutant import ROOT, Mutant, Outdated, Run
from tests.support.mutants.runner import Red, judge, kill

KNOWN = json.loads((ROOT / "tests/support/simulation/effects.json").read_text())
"""Every story of the simulator has its entry there."""
HARMLESS = Mutant(
    "harmless", "S11", "Nothing changes", "reconcile/settings.py", "def backoff(", "def backoff(  ",
    runs=(Run("delete-midway"),),
)  # fmt: skip
HARMFUL = next(m for m in MUTANTS if m.id == "record-outlives-mark")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_the_bug_can_be_planted(mutant: Mutant) -> None:
    source = (ROOT / mutant.path).read_text()
    assert mutant.planted(source) != source


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_what_is_to_find_it_exists(mutant: Mutant) -> None:
    assert bool(mutant.runs) != bool(mutant.tests)
    assert [run.scenario for run in mutant.runs if run.scenario not in KNOWN] == []
    for node in mutant.tests:
        path, _, name = node.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_every_promise_has_a_bug_that_breaks_it() -> None:
    assert set(INVARIANTS) == {m.invariant for m in MUTANTS}
    assert len({m.id for m in MUTANTS}) == len(MUTANTS)


def test_a_bug_whose_place_is_gone_must_be_renewed() -> None:
    for source in ("", HARMFUL.old * 2):
        with pytest.raises(Outdated, match=r"record-outlives-mark: .* renew it"):
            HARMFUL.planted(source)
    with pytest.raises(Outdated, match="does not compile"):
        replace(HARMFUL, new="(").planted(HARMFUL.old)


@pytest.mark.parametrize(
    ("outcome", "said", "found"),
    [
        ("red", ["S1 violated at 3.0: …", "E5 violated at 9.0: …"], True),
        ("red", ["E5: …"], True),
        ("red", ["S1 violated at 3.0: E5", "log violated: …"], False),
        ("red", ["E55 violated"], False),
        ("error", ["E5 violated at 9.0: …", "Traceback …"], False),
        ("green", [], False),
    ],
)
def test_a_bug_is_found_only_by_the_promise_that_it_breaks(
    outcome: str, said: list[str], found: bool
) -> None:
    verdict = judge(HARMFUL, {"outcome": outcome, "said": said})
    assert bool(verdict.killed_by) == found


def test_bugs_are_planted_in_copies_and_a_harmless_one_survives() -> None:
    before = (ROOT / HARMFUL.path).read_text()
    survivor, found = kill([HARMLESS, HARMFUL])
    assert survivor.killed_by == ""
    assert survivor.said == ("nothing noticed it",)
    assert found.killed_by == "simulator: delete"
    assert any(line.startswith("E5 violated") for line in found.said)
    assert (ROOT / HARMFUL.path).read_text() == before


def test_comments_and_layout_do_not_hide_the_place_of_a_bug() -> None:
    bug = replace(
        HARMLESS,
        old="    if ready(first, second):\n        return 1\n",
        new="    if ready(first):\n        # Too early.\n        return 2\n",
    )
    source = (
        "class Other:\n    def find(self):\n        if ready(  # both of them\n            first,\n"
        "            second,\n        ):\n            return 1  # found\n        return 0\n"
    )
    changed = (
        "class Other:\n    def find(self):\n        if ready(first):\n            # Too early.\n            return 2\n"
        "        return 0\n"
    )
    assert bug.planted(source) == changed


@pytest.mark.parametrize("path", sorted({m.path for m in MUTANTS}))
def test_every_bug_finds_its_place_in_code_with_more_comments(path: str) -> None:
    source = (ROOT / path).read_text()
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            lines[token.start[0] - 1] += "  # noted"
    commented = "\n".join(lines) + "\n"
    assert ast.dump(ast.parse(commented)) == ast.dump(ast.parse(source))
    for mutant in MUTANTS:
        if mutant.path == path:
            planted = ast.parse(mutant.planted(commented))
            assert ast.dump(planted) == ast.dump(ast.parse(mutant.planted(source))), mutant.id


def test_what_is_red_without_a_bug_proves_nothing() -> None:
    lost = replace(HARMLESS, runs=(), tests=("tests/api/test_names.py::test_that_is_not_there",))
    with pytest.raises(Red, match="without mutant harmless"):
        kill([lost], workers=1)
