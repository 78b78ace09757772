"""The module that keeps a guarantee of ``docs/guarantees.md`` names it in its docstring."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.mutants.catalogue import INVARIANTS

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\b[SE][1-9][0-9]?\b")


def named() -> dict[str, set[str]]:
    """Code -> the modules that name it in their own docstring."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "operator/mailegress").rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        for code in CODE.findall(text):
            found.setdefault(code, set()).add(path.relative_to(ROOT / "operator/mailegress").as_posix())
    return found


def test_each_guarantee_is_named_by_the_module_that_keeps_it() -> None:
    assert [code for code in INVARIANTS if code not in named()] == []


def test_only_stated_guarantees_are_named() -> None:
    assert set(named()) <= set(INVARIANTS), named()
    for path in sorted((ROOT / "operator/mailegress").rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            comment = line.partition("#")[2]
            assert set(CODE.findall(comment)) <= set(INVARIANTS), f"{path}:{number}: {comment}"
