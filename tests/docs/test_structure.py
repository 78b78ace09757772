"""Limits that keep the code easy to read (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "mailegress"
SOURCES = ("operator", "sandbox", "bench", "scripts", "deploy", "tests")


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def classes(path: Path) -> Iterator[tuple[str, int]]:
    """Each class of a module, and how many fields it declares."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield node.name, sum(isinstance(each, ast.AnnAssign) for each in node.body)


def test_the_wiring_stays_short() -> None:
    """What is more than wiring belongs to the module that it is about."""
    assert lines(PACKAGE / "cli" / "run.py") <= 200


def test_no_class_of_the_memory_has_more_than_twelve_fields() -> None:
    found = dict(classes(PACKAGE / "reconcile" / "memory.py"))
    assert found["Memory"] > 0
    assert {name: count for name, count in found.items() if count > 12} == {}


def test_no_module_has_more_than_500_lines() -> None:
    found = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    assert {str(path.relative_to(ROOT)): lines(path) for path in found if lines(path) > 500} == {}


def test_no_function_has_more_than_60_lines() -> None:
    """The registration of the metrics is a table."""
    found = [
        (f"{path.relative_to(PACKAGE)}::{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert {name for name, count in found if count > 60} == {"telemetry/metrics.py::__init__"}
