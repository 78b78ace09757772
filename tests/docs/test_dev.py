"""The pages for developers name files and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.mutants.catalogue import INVARIANTS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "mailegress"
CODE_MAP = (ROOT / "docs" / "dev" / "code-map.md").read_text()
PAGES = sorted((ROOT / "docs" / "dev").glob("*.md"))
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|md|yaml|yml|json|toml)")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_NODE = re.compile(r"([\w/]+\.py)::(\w+)")


def paths(text: str) -> set[str]:
    """What stands in code style and is a path: it ends like a file, or its first part is a known directory."""
    words = {word for span in _CODE.findall(_FENCE.sub("", text)) for word in span.partition("::")[0].split()}
    return {word for word in words if _FILE.fullmatch(word) or is_below_a_directory(word)}


def is_below_a_directory(word: str) -> bool:
    first, slash, _ = word.partition("/")
    # Commands make what is in build/: it is there in a tree in which they ran, and is no file of the repository.
    return (
        bool(slash and first)
        and first != "build"
        and any((base / first).is_dir() for base in (ROOT, PACKAGE))
    )


def exists(path: str) -> bool:
    """Paths are those of the repository, or begin with a package of the operator."""
    return any((base / path).exists() for base in (ROOT, PACKAGE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    """What commands make, below build/, is left out."""
    named = {path for path in paths(page.read_text()) if not path.startswith("build/")}
    assert sorted(path for path in named if not exists(path)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_that_is_named_exists(page: Path) -> None:
    nodes = [(path, name) for path, name in _NODE.findall(page.read_text()) if exists(path)]
    assert [f"{path}::{name}" for path, name in nodes if f"def {name}(" not in source(path)] == []


def source(path: str) -> str:
    return next((base / path).read_text() for base in (ROOT, PACKAGE) if (base / path).exists())


def test_every_rule_is_in_the_code_map() -> None:
    """Helpers without a rule of their own are left out."""
    rules = {f"reconcile/rules/{path.name}" for path in (PACKAGE / "reconcile" / "rules").glob("*.py")}
    assert rules - paths(CODE_MAP) == {"reconcile/rules/plan_builder.py"}


def test_every_invariant_is_in_the_code_map() -> None:
    kept = re.findall(r"\b[SE]\d+\b", CODE_MAP.partition("## Rules")[2].partition("## Where")[0])
    assert set(kept) == set(INVARIANTS)


def test_what_a_module_says_it_keeps_is_in_its_row() -> None:
    missing = []
    for row in re.findall(r"^\| .+ \| .+ \| .+ \| .+ \|$", CODE_MAP, re.MULTILINE):
        _, files, _, kept = row.strip("| ").split(" | ")
        for path in _CODE.findall(files):
            text = ast.get_docstring(ast.parse(source(path))) or ""
            missing += [
                f"{path}: {code}" for code in re.findall(r"\b[SE]\d+\b", text) if code not in kept.split()
            ]
    assert missing == []


def test_all_questions_of_the_code_map_are_answered() -> None:
    rows = re.findall(r"^\| .*\? \| (.*) \|$", CODE_MAP.partition("## Where")[2], re.MULTILINE)
    assert len(rows) == 18
    assert [row for row in rows if not paths(row)] == []


def test_a_path_that_does_not_exist_would_be_noticed() -> None:
    named = paths(
        "`reconcile/rules/no_such.py` `README.md` `make test` `tests/nowhere/`\n```sh\n`a/b.py`\n```\n"
    )
    assert named == {"reconcile/rules/no_such.py", "README.md", "tests/nowhere/"}
    assert [path for path in sorted(named) if not exists(path)] == [
        "reconcile/rules/no_such.py",
        "tests/nowhere/",
    ]


def test_the_pages_name_files() -> None:
    assert len({path for page in PAGES for path in paths(page.read_text())}) > 20
