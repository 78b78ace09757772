"""The control groups below which everything of one node runs: made before it starts, removed when it has ended.

Imports nothing of this package and runs as a script too, so that it can clean up after a killed owner.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
_EMPTY_WITHIN_S = 20.0
_POLL_S = 0.05


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """The root of every hierarchy: one on cgroup v2, one a controller on v1 (and perhaps v2 beside them)."""
    if (mount / "cgroup.controllers").exists():
        return [mount]
    # cpu and cpuacct may be links to the hierarchy that they share.
    return [path for path in sorted(mount.iterdir()) if path.is_dir() and not path.is_symlink()]


def make(name: str, mount: Path = MOUNT) -> None:
    """Make the group `name` in every hierarchy; the kubelet wants its root to exist."""
    for root in hierarchies(mount):
        (root / name).mkdir(exist_ok=True)


def remove(name: str, mount: Path = MOUNT) -> list[Path]:
    """Remove the group `name` and all below it everywhere; what could not be removed, as it is still in use."""
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while left := [path for root in hierarchies(mount) for path in _remove_tree(root / name)]:
        # A killed process leaves its group a moment after the signal.
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)
    return []


def _remove_tree(top: Path) -> list[Path]:
    if not top.is_dir():
        return []
    groups = [path for path in top.rglob("*") if path.is_dir()]
    left = []
    for path in sorted([top, *groups], key=lambda path: len(path.parts), reverse=True):
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            left.append(path)
    return left


if __name__ == "__main__":
    sys.exit(1 if remove(sys.argv[1]) else 0)
