"""Fixtures of the tests that run the sandbox's commands."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell_commands import Commands


@pytest.fixture
def commands() -> Iterator[Commands]:
    # Not pytest's own directory: the path of a socket in it would be too long.
    with tempfile.TemporaryDirectory(prefix="meg-") as directory:
        found = Commands(Path(directory))
        try:
            yield found
        finally:
            found.close()
