"""The last release: its chart, and an image that is built from it by its own recipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.image import ImageError, version
from sandbox.operator import REPO

TAG, COMMIT = "v0.1.0", "222c878a7b36542a9a306ad6fca9370d78e745b6"
"""The commit that the tag names, for a clone without tags."""
SOURCES = REPO / "build" / "former"


@dataclass(frozen=True, slots=True)
class Former:
    """A release that is upgraded from and rolled back to."""

    root: Path

    @property
    def version(self) -> str:
        return version(self.root)

    @property
    def chart(self) -> Path:
        return self.root / "deploy" / "helm" / "mailegress"

    @property
    def archive(self) -> Path:
        """The image, as a docker-archive."""
        return self.root / "build" / "image.tar"

    def understood(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values without the settings that this release does not have: its schema refuses them."""
        schema = json.loads((self.chart / "values.schema.json").read_text())
        known = schema["properties"]["settings"]["properties"]
        settings = {name: value for name, value in values["settings"].items() if name in known}
        top = {name: value for name, value in values.items() if name in schema["properties"]}
        return {**top, "settings": settings}


def build_former(environ: Mapping[str, str], say: Callable[[str], None], named: str = "") -> Former:
    """Check the release out below ``build/`` and build its image. ``named``: another commit or tag than the last one.

    Raises:
        ImageError: the commit is not in this clone, or its image cannot be built.
    """
    commit = _commit(named or TAG) or ("" if named else _commit(COMMIT))
    if not commit:
        wanted = named or f"{TAG} ({COMMIT[:12]})"
        raise ImageError(
            f"this clone has no commit {wanted}: run `git fetch --tags --unshallow`, or set FROM"
        )
    former = Former(SOURCES / commit[:12])
    if not former.root.exists():
        _check_out(commit, former.root)
    if former.version == version():
        raise ImageError(
            f"{named or TAG} has the version of the working tree, {former.version}; images are told apart by it"
        )
    if not former.archive.exists():
        say(f"building the image of {former.version} ({commit[:12]})")
        _build(former, environ)
    return former


def _commit(name: str) -> str:
    line = ["git", "-C", str(REPO), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()


def _check_out(commit: str, root: Path) -> None:
    part = root.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "-C", str(REPO), "archive", commit], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(part)], input=archive.stdout, check=True)
    part.rename(root)


def _build(former: Former, environ: Mapping[str, str]) -> None:
    paths = os.pathsep.join([str(former.root), str(former.root / "operator")])
    # Without a repository of its own, it would name this one's commit.
    inner = {**environ, "PYTHONPATH": paths, "GIT_DIR": str(former.root / "none")}
    line = [sys.executable, "-m", "sandbox.image"]
    done = subprocess.run(line, cwd=former.root, env=inner, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(
            f"the image of {former.version} cannot be built:\n{(done.stderr or done.stdout).strip()}"
        )
