"""The one way from this repository to an image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.packages import need_programs

from . import debian
from .engines import Buildah, Builder, Job, answering_engine, run
from .errors import ImageError
from .network import pip_config, pip_secrets

REPO = Path(__file__).resolve().parents[2]
REPOSITORY = "ghcr.io/mailegress/mailegress"
"""The name that the manifests of ``deploy/`` use."""

_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
_FROM = re.compile(r"^ARG PYTHON_IMAGE=(\S+)$", re.MULTILINE)
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image.

    Attributes:
        reference: its full name.
        archive: where it lies as a docker-archive.
        builder: what built it.
        layers: bytes of each layer as unpacked, the base's first.
    """

    reference: str
    archive: Path
    builder: str
    layers: tuple[int, ...]

    def summary(self) -> str:
        """Name and size for people; of the layers that are not the base, the largest is the environment."""
        total = sum(self.layers)
        return f"{self.reference}: {total / 1e6:.0f} MB, of which {max(self.layers[1:]) / 1e6:.0f} MB are MailEgress"


def version(root: Path = REPO) -> str:
    """The package's version, from the one place that states it."""
    found = _VERSION.search((root / "operator" / "mailegress" / "__init__.py").read_text())
    if found is None:
        raise ImageError("operator/mailegress/__init__.py states no __version__")
    return found[1]


def build_image(environ: Mapping[str, str], say: Callable[[str], None], archive: Path) -> Image:
    """Build the Dockerfile and write the image to `archive`.

    Raises:
        ImageError: a tool is missing, or failed; the message says what to do.
    """
    reference = f"{REPOSITORY}:{version()}"
    base = _base()
    builder: Builder = answering_engine(environ) or _buildah(environ, say, base)
    say(f"building {reference} with {builder.name}")
    with tempfile.TemporaryDirectory(prefix="mailegress-image-") as scratch:
        secrets = pip_secrets(environ, pip_config(environ), Path(scratch))
        arguments = {"VERSION": version(), "REVISION": _revision(environ)}
        builder.build(Job(REPO, REPO / "Dockerfile", reference, arguments, secrets))
    archive.parent.mkdir(parents=True, exist_ok=True)
    builder.save(reference, archive)
    return Image(reference, archive, builder.name, layer_sizes(archive))


def layer_sizes(archive: Path) -> tuple[int, ...]:
    """Bytes of each layer of a docker-archive, in their order.

    Raises:
        ImageError: it is no such archive.
    """
    try:
        with tarfile.open(archive) as tar:
            manifest = tar.extractfile("manifest.json")
            if manifest is None:
                raise ImageError(f"{archive} has no manifest.json")
            names = json.load(manifest)[0]["Layers"]
            # An archive may name one layer twice, the second time as a link.
            return tuple(_size(tar, name) for name in names)
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ImageError(f"{archive} is no docker-archive: {error}") from error


def _size(tar: tarfile.TarFile, name: str) -> int:
    member = tar.getmember(name)
    if member.issym():
        member = tar.getmember(os.path.normpath(os.path.join(os.path.dirname(name), member.linkname)))
    return member.size


def pause_image(environ: Mapping[str, str], program: Path, reference: str, archive: Path) -> None:
    """Write an image that holds nothing but the static `program` to `archive`.

    Raises:
        ImageError: buildah is missing, or failed.
    """
    builder = Buildah(Path(_found("buildah", environ)), storage(environ), environ)
    with tempfile.TemporaryDirectory(prefix="mailegress-image-") as scratch:
        shutil.copy(program, Path(scratch, "pause"))
        dockerfile = Path(scratch, "Dockerfile")
        dockerfile.write_text('FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n')
        builder.build(Job(Path(scratch), dockerfile, reference))
    archive.parent.mkdir(parents=True, exist_ok=True)
    builder.save(reference, archive)


def storage(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/mailegress/image/<recipe of the base>``: buildah's images and layers."""
    named = environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if named.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return cache / "mailegress" / "image" / debian.recipe_digest()


def _buildah(environ: Mapping[str, str], say: Callable[[str], None], base: str) -> Buildah:
    try:
        need_programs(_PROGRAMS, "build an image without a container engine", environ, say)
    except RuntimeError as error:
        raise ImageError(str(error)) from error
    builder = Buildah(Path(_found("buildah", environ)), storage(environ), environ)
    if not builder.has(base):
        say(f"no container engine answers: making a Debian in place of {base}, once; about two minutes")
        with tempfile.TemporaryDirectory(prefix="mailegress-image-") as scratch:
            tarball = Path(scratch, "base.tar")
            run(debian.command(Path(_found("mmdebstrap", environ)), tarball), environ)
            builder.load_root(tarball, base)
    return builder


def _found(name: str, environ: Mapping[str, str]) -> str:
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        raise ImageError(f"there is no `{name}` on PATH")
    return found


def _base() -> str:
    found = _FROM.search((REPO / "Dockerfile").read_text())
    if found is None:
        raise ImageError("the Dockerfile has no ARG PYTHON_IMAGE with a default")
    return found[1]


def _revision(environ: Mapping[str, str]) -> str:
    """The commit that is built; empty outside a clone."""
    git = shutil.which("git", path=environ.get("PATH", os.defpath))
    if git is None:
        return ""
    line = [git, "-C", str(REPO), "rev-parse", "HEAD"]
    done = subprocess.run(line, env=dict(environ), capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
