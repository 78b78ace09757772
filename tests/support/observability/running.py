"""Running a tool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    text: str
    """Both outputs."""


def run(*command: str, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Run:
    """The command's exit code and what it printed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
        timeout=timeout, check=False,
    )  # fmt: skip
    return Run(done.returncode, done.stdout)
