"""Programs of Debian's packages, unpacked without installing them: promtool and knotd, unless they are on PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .cache import Cache
from .errors import ToolError

_PROMTOOL = "Install promtool (it comes with Prometheus: https://prometheus.io/download/) and put it on PATH."
_KNOTD = "Install Knot DNS (https://www.knot-dns.cz/download/) and put knotd on PATH."


def promtool(cache: Cache, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The path of promtool.

    Raises:
        ToolError: none on PATH, and no Debian package can be had.
    """
    present = shutil.which("promtool", path=environ.get("PATH"))
    if present is not None:
        return Path(present)

    def make(scratch: Path) -> Path:
        apt = _Apt.of("promtool", scratch, environ, _PROMTOOL)
        say("fetching promtool from Debian's package prometheus")
        return apt.unpack(["prometheus"], "usr/bin/promtool")

    return cache.ensure("promtool", "debian", make)


def knotd(cache: Cache, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The path of knotd, the server of Knot DNS, with the libraries of its package that this machine lacks.

    Raises:
        ToolError: none on PATH, and no Debian package can be had.
    """
    present = shutil.which("knotd", path=environ.get("PATH"))
    if present is not None:
        return Path(present)

    def make(scratch: Path) -> Path:
        apt = _Apt.of("knotd", scratch, environ, _KNOTD)
        say("fetching knotd from Debian's package knot")
        found = apt.unpack(apt.lacking("knot"), "usr/sbin/knotd").relative_to(scratch)
        kept = scratch.parent / found.parts[0]
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(scratch / found.parts[0], kept)
        libraries = ":".join(map(str, sorted((kept / "usr" / "lib").glob("*-linux-gnu*"))))
        script = scratch / "knotd"
        script.write_text(
            f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{scratch.parent / found}" "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
        return script

    return cache.ensure("knotd", "debian", make)


@dataclass
class _Apt:
    """apt-get with the machine's package lists; where it has none, with lists of our own."""

    apt: str
    dpkg: str
    tool: str
    scratch: Path
    environ: Mapping[str, str]
    remedy: str
    options: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, tool: str, scratch: Path, environ: Mapping[str, str], remedy: str) -> _Apt:
        apt, dpkg = (shutil.which(name, path=environ.get("PATH")) for name in ("apt-get", "dpkg-deb"))
        if apt is None or dpkg is None:
            raise ToolError(f"there is no {tool} on PATH, and no apt-get to fetch one with. {remedy}")
        return cls(apt, dpkg, tool, scratch, environ, remedy)

    def lacking(self, package: str) -> list[str]:
        """The package, and those that it needs and that are not installed."""
        install = ["install", "--print-uris", "--yes", "-qq", "--no-install-recommends", package]
        return re.findall(r"^'\S+' ([^_\s]+)_\S+\.deb ", self._ask(install), re.MULTILINE)

    def unpack(self, packages: Sequence[str], program: str) -> Path:
        """The program, in the tree of all these packages."""
        self._ask(["download", *packages])
        tree = self.scratch / "unpacked"
        for package in packages:
            files = list(self.scratch.glob(f"{package}_*.deb"))
            if not files:
                raise ToolError(f"apt-get downloaded no package {package}. {self.remedy}")
            self._run([self.dpkg, "--extract", str(files[0]), str(tree)])
        found = tree / program
        if not found.is_file():
            raise ToolError(f"the package of {self.tool} has no {program}. {self.remedy}")
        return found

    def _ask(self, request: Sequence[str]) -> str:
        done = self._try([self.apt, *self.options, *request])
        if done.returncode and not self.options:
            lists = self.scratch / "lists"
            (lists / "partial").mkdir(parents=True)
            self.options = [
                f"-oDir::State::lists={lists}",
                f"-oDir::Cache={self.scratch}",
                "-oAPT::Sandbox::User=root",
            ]
            self._run([self.apt, *self.options, "update"])
            return self._run([self.apt, *self.options, *request])
        return self._checked(done)

    def _run(self, command: list[str]) -> str:
        return self._checked(self._try(command))

    def _checked(self, done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode:
            failed = f"`{' '.join(done.args)}` failed:\n{done.stdout.strip()}"
            raise ToolError(f"there is no {self.tool} on PATH, and {failed}\n{self.remedy}")
        return done.stdout

    def _try(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.scratch,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
