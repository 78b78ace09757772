"""A Debian with Python, for machines that have no registry to pull the Dockerfile's base from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

SUITE = "bookworm"
"""Its Python is the version that the Dockerfile's FROM names."""

_PACKAGES = ("ca-certificates", "python3", "python3-venv")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_REMOVED = (
    # Where this machine gets its packages is no business of the image.
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/*",
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/var/log/*",
)


def recipe_digest(packages: Sequence[str] = _PACKAGES) -> str:
    """Names what a file system is made of; a changed recipe never meets one made by the old one."""
    text = repr((SUITE, tuple(packages), _LEFT_OUT, _REMOVED))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def command(
    mmdebstrap: Path, target: Path, etc: Path = Path("/etc"), packages: Sequence[str] = _PACKAGES
) -> list[str]:
    """The call that writes a file system with `packages` to the tar `target`. They come from this machine's sources."""
    line = [str(mmdebstrap), "--variant=minbase", f"--include={','.join(packages)}", "--quiet"]
    line += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    line += [f"--aptopt={path}" for path in _apt_options(etc)]
    removed = " ".join(f'"$1"{path}' for path in _REMOVED)
    line += [f"--customize-hook=rm -rf {removed}", SUITE, str(target)]
    return [*line, *map(str, _sources(etc))]


def _apt_options(etc: Path) -> Sequence[Path]:
    """The machine's settings of how to fetch: proxies, certificates, ages that it accepts."""
    files = [etc / "apt" / "apt.conf", *sorted((etc / "apt" / "apt.conf.d").glob("*"))]
    return [path for path in files if path.is_file() and "Acquire::" in path.read_text(errors="replace")]


def _sources(etc: Path) -> Sequence[Path]:
    """This machine's package sources if it runs the same Debian; else none, and mmdebstrap's default holds."""
    release = etc / "os-release"
    lines = release.read_text().splitlines() if release.is_file() else []
    if not {"ID=debian", f"VERSION_CODENAME={SUITE}"} <= set(lines):
        return []
    lists = etc / "apt" / "sources.list.d"
    files = [etc / "apt" / "sources.list", lists / "debian.list", lists / "debian.sources"]
    return [path for path in files if path.is_file() and path.read_text().strip()]
