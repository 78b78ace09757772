"""The directory of built and unpacked tools: every file in it is whole, and made by one process at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.locking import is_executable, locked


@dataclass(frozen=True, slots=True)
class Cache:
    """``$XDG_CACHE_HOME/mailegress/tools``; a tool's file carries its version in its directory's name."""

    directory: Path
    say: Callable[[str], None]

    @classmethod
    def of(cls, environ: Mapping[str, str], say: Callable[[str], None]) -> Cache:
        """The user's cache. The XDG Base Directory Specification wants ``~/.cache`` where the variable is unset."""
        named = environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if named.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
        return cls(base / "mailegress" / "tools", say)

    def ensure(self, name: str, version: str, make: Callable[[Path], Path]) -> Path:
        """The tool's path. If it is not there, `make` gets an empty directory and returns the finished file in it."""
        target = self.directory / f"{name}-{version}" / name
        if is_executable(target):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(
            target.parent / ".lock", self.say, f"another process makes {target.parent.name}; waiting for it"
        ):
            if not is_executable(target):  # another process may have made it while this one waited
                for stale in target.parent.glob(".making-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as scratch:
                    os.replace(make(Path(scratch)), target)
        return target
