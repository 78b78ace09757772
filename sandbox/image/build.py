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
SIZE_LIMIT = 150_000_000
"""Bytes of the image as unpacked."""

_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
_RECIPES = {"PYTHON_IMAGE": debian.RUNTIME, "BUILD_IMAGE": debian.BUILD}
"""What stands in for the images that the Dockerfile's arguments name."""
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

    @property
    def megabytes(self) -> int:
        """The size as unpacked."""
        return round(sum(self.layers) / 1e6)

    def summary(self) -> str:
        """Name and size for people; of the layers that are not the base, the largest is the environment."""
        ours, limit = max(self.layers[1:]) / 1e6, SIZE_LIMIT / 1e6
        return f"{self.reference}: {self.megabytes} MB (limit {limit:.0f}), of which {ours:.0f} MB are MailEgress"


def version(root: Path = REPO) -> str:
    """The package's version, from the one place that states it."""
    found = _VERSION.search((root / "operator" / "mailegress" / "__init__.py").read_text())
    if found is None:
        raise ImageError("operator/mailegress/__init__.py states no __version__")
    return found[1]


def build_image(environ: Mapping[str, str], say: Callable[[str], None], archive: Path) -> Image:
    """Build the Dockerfile and write the image to `archive`.

    Raises:
        ImageError: a tool is missing, or failed, or the image is too large; the message says what to do.
    """
    reference = f"{REPOSITORY}:{version()}"
    builder: Builder = answering_engine(environ) or _buildah(environ, say)
    say(f"building {reference} with {builder.name}")
    with tempfile.TemporaryDirectory(prefix="mailegress-image-") as scratch:
        secrets = pip_secrets(environ, pip_config(environ), Path(scratch))
        arguments = {"VERSION": version(), "REVISION": _revision(environ)}
        builder.build(Job(REPO, REPO / "Dockerfile", reference, arguments, secrets))
    archive.parent.mkdir(parents=True, exist_ok=True)
    builder.save(reference, archive)
    image = Image(reference, archive, builder.name, layer_sizes(archive))
    if sum(image.layers) > SIZE_LIMIT:
        raise ImageError(f"the image is too large: {image.summary()}")
    return image


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
    """``$XDG_CACHE_HOME/mailegress/image/<recipes>``: buildah's images and layers."""
    named = environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if named.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return cache / "mailegress" / "image" / debian.digest(*_RECIPES.values())


def _buildah(environ: Mapping[str, str], say: Callable[[str], None]) -> Buildah:
    try:
        need_programs(_PROGRAMS, "build an image without a container engine", environ, say)
    except RuntimeError as error:
        raise ImageError(str(error)) from error
    builder = Buildah(Path(_found("buildah", environ)), storage(environ), environ)
    for argument, recipe in _RECIPES.items():
        reference = _default(argument)
        if builder.has(reference):
            continue
        say(f"no container engine answers: making a Debian in place of {reference}, once; about two minutes")
        with tempfile.TemporaryDirectory(prefix="mailegress-image-") as scratch:
            tarball = Path(scratch, "base.tar")
            run(debian.command(Path(_found("mmdebstrap", environ)), tarball, recipe), environ)
            builder.load_root(tarball, reference)
    return builder


def _found(name: str, environ: Mapping[str, str]) -> str:
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        raise ImageError(f"there is no `{name}` on PATH")
    return found


def _default(argument: str) -> str:
    """The value that the Dockerfile gives its argument."""
    found = re.search(rf"^ARG {argument}=(\S+)$", (REPO / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise ImageError(f"the Dockerfile has no ARG {argument} with a default")
    return found[1]


def _revision(environ: Mapping[str, str]) -> str:
    """The commit that is built; empty outside a clone."""
    git = shutil.which("git", path=environ.get("PATH", os.defpath))
    if git is None:
        return ""
    line = [git, "-C", str(REPO), "rev-parse", "HEAD"]
    done = subprocess.run(line, env=dict(environ), capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
