"""promtool: the one on PATH, else the one in Debian's package `prometheus`, unpacked without installing it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from .cache import Cache
from .errors import ToolError

_REMEDY = "Install promtool (it comes with Prometheus: https://prometheus.io/download/) and put it on PATH."


def promtool(cache: Cache, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The path of promtool.

    Raises:
        ToolError: none on PATH, and no Debian package can be had.
    """
    present = shutil.which("promtool", path=environ.get("PATH"))
    if present is not None:
        return Path(present)

    def make(scratch: Path) -> Path:
        apt, dpkg = (shutil.which(name, path=environ.get("PATH")) for name in ("apt-get", "dpkg-deb"))
        if apt is None or dpkg is None:
            raise ToolError(f"there is no promtool on PATH, and no apt-get to fetch one with. {_REMEDY}")
        say("fetching promtool from Debian's package prometheus")
        package = _download(apt, scratch, environ)
        _run([dpkg, "--extract", str(package), str(scratch / "unpacked")], scratch, environ)
        found = scratch / "unpacked" / "usr" / "bin" / "promtool"
        if not found.is_file():
            raise ToolError(f"{package.name} has no promtool. {_REMEDY}")
        return found

    return cache.ensure("promtool", "debian", make)


def _download(apt: str, scratch: Path, environ: Mapping[str, str]) -> Path:
    """Download with the machine's package lists; where it has none, with lists of our own."""
    failed = _try([apt, "download", "prometheus"], scratch, environ)
    if failed is not None:
        lists = scratch / "lists"
        (lists / "partial").mkdir(parents=True)
        ours = [f"-oDir::State::lists={lists}", f"-oDir::Cache={scratch}", "-oAPT::Sandbox::User=root"]
        _run([apt, *ours, "update"], scratch, environ)
        _run([apt, *ours, "download", "prometheus"], scratch, environ)
    packages = list(scratch.glob("prometheus_*.deb"))
    if not packages:
        raise ToolError(f"apt-get downloaded no package prometheus. {_REMEDY}")
    return packages[0]


def _run(command: list[str], scratch: Path, environ: Mapping[str, str]) -> None:
    failed = _try(command, scratch, environ)
    if failed is not None:
        raise ToolError(
            f"there is no promtool on PATH, and `{' '.join(command)}` failed:\n{failed}\n{_REMEDY}"
        )


def _try(command: list[str], scratch: Path, environ: Mapping[str, str]) -> str | None:
    """What the command said if it failed."""
    done = subprocess.run(
        command,
        cwd=scratch,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode else None
