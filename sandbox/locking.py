"""A lock between processes on a file, and what guards the caches of built programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_POLL_S = 0.2


@contextlib.contextmanager
def locked(path: Path, say: Callable[[str], None], waiting: str) -> Iterator[None]:
    """Hold the lock of the file ``path``; ``waiting`` is said once if another process has it.

    It is the kernel's lock and goes with its process, so one that was killed leaves none behind.
    """
    with path.open("a+") as lock:
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    say(waiting)
                    said = True
                time.sleep(_POLL_S)
        yield


def is_executable(path: Path) -> bool:
    """Whether ``path`` is a file that this user may run."""
    return path.is_file() and os.access(path, os.X_OK)
