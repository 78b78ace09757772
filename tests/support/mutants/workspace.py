"""Copies of the code in which a bug can be planted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.support.mutants.mutant import ROOT, Mutant

PARTS = ("operator", "sandbox", "tests", "crds", "deploy", "scripts", "pyproject.toml")


def copy_code(target: Path) -> None:
    """What the tests of one process need, as it stands now: others may go on editing."""
    target.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / part)


def plant(base: Path, target: Path, mutant: Mutant) -> None:
    """A second copy, by hard links, with one file replaced."""
    shutil.copytree(base, target, copy_function=os.link)
    path = target / mutant.path
    changed = mutant.planted(path.read_text())
    path.unlink()
    path.write_text(changed)
    # The compiled form of what was there before would be taken for this file's if size and second agreed.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()
