"""Leaves nothing behind when the process that owns a control plane is killed.

A process of its own, run as a script. Its standard input is a pipe that only the owner can write to; it
closes when the owner is gone, however it went, and then everything that the owner told of is removed: process
groups, a cluster, the directory. (The kernel's parent-death signal would not do: it fires when the *thread*
that started a child ends; prctl(2).)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_REMOVE_WITHIN_S = 10.0


def main(lines: Iterable[str], directory: Path) -> None:
    """Follow `lines` until they end, then clean up; ``done`` means that the owner has cleaned up itself.

    Lines: ``group <pgid>``, ``gone <pgid>``, ``run <JSON list of arguments>`` (a clean-up command), ``done``.
    """
    groups: dict[int, None] = {}
    commands: list[list[str]] = []
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "group":
            groups[int(rest)] = None
        elif word == "gone":
            groups.pop(int(rest), None)
        elif word == "run":
            commands.append(json.loads(rest))
        elif word == "done":
            return
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for command in commands:
        with contextlib.suppress(OSError):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    deadline = time.monotonic() + _REMOVE_WITHIN_S
    # A killed process may still finish one write, so a removal can find the directory not empty.
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    for _signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_signal, signal.SIG_IGN)
    main(sys.stdin, Path(sys.argv[1]))
