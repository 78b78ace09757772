"""File systems of Debian packages, for machines that have no registry to pull the Dockerfile's images from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
"""Its Python is the version that the Dockerfile's images have."""
_PYTHON = "python3.13"

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_REMOVED = (
    # Where this machine gets its packages is no business of the image.
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/resolv.conf",
    "etc/hostname",
    "var/log/*",
)
_ROOT_USER, _USER = (
    "root:x:0:0:root:/root:/sbin/nologin",
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin",
)
# Unpacked packages are not configured, and bring along what their own configuration would need.
_BARE = (
    "rm -rf usr/share/perl* usr/share/debconf usr/share/python-wheels",
    f"find usr/bin usr/sbin -mindepth 1 ! -name {_PYTHON} -delete",
    f"ln -s {_PYTHON} usr/bin/python3",
    f"ln -s {_PYTHON} usr/bin/python",
    "mkdir -p etc/ssl/certs home/nonroot tmp",
    "chmod 1777 tmp",
    "chown 65532:65532 home/nonroot",
    "cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt",
    f"printf '%s\\n' {_ROOT_USER} {_USER} > etc/passwd",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a file system is made of.

    Attributes:
        packages: Debian packages; those that they depend on come along.
        bare: unpacked only, with no program but Python: no shell and no package manager.
    """

    packages: tuple[str, ...]
    bare: bool = False


def digest(*recipes: Recipe) -> str:
    """A name for what `recipes` make; a changed recipe never meets a file system made by the old one."""
    text = repr((SUITE, recipes, _LEFT_OUT, _REMOVED, _BARE))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


BUILD = Recipe(("ca-certificates", "python3", "python3-venv"))
"""In place of the image that the build stage runs in."""
RUNTIME = Recipe(
    (
        "base-files",
        "ca-certificates",
        "libgcc-s1",
        "libgomp1",
        "libgssapi-krb5-2",
        "libnsl2",
        f"lib{_PYTHON}-stdlib",
        "libssl3t64",
        "libstdc++6",
        "libuuid1",
        "media-types",
        "netbase",
        f"{_PYTHON}-minimal",
        f"{_PYTHON}-venv",
        "tzdata",
        "tzdata-legacy",
    ),
    bare=True,
)
"""In place of the base, with the packages of the distroless Python image."""


def command(mmdebstrap: Path, target: Path, recipe: Recipe, etc: Path = Path("/etc")) -> list[str]:
    """The call that writes the file system of `recipe` to the tar `target`, from this machine's package sources."""
    variant = "extract" if recipe.bare else "minbase"
    line = [str(mmdebstrap), f"--variant={variant}", f"--include={','.join(recipe.packages)}", "--quiet"]
    line += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    line += [f"--aptopt={path}" for path in _apt_options(etc)]
    steps = [f"rm -rf {' '.join(_REMOVED)}", *(_BARE if recipe.bare else ())]
    hook = "--extract-hook" if recipe.bare else "--customize-hook"
    line += [f'{hook}=cd "$1" && {" && ".join(steps)}']
    return [*line, SUITE, str(target), *map(str, _sources(etc))]


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
