"""What can build a Dockerfile here: a container engine that answers, else buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .errors import ImageError

ENGINES = ("docker", "podman")
_TAIL_LINES = 25
_ANSWERS_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Job:
    """One build. `context` is sent under the rules of its .dockerignore; `arguments` and `secrets` by name."""

    context: Path
    dockerfile: Path
    reference: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)

    def flags(self) -> list[str]:
        """The arguments that every builder understands alike."""
        line = ["--file", str(self.dockerfile), "--tag", self.reference]
        for name, value in self.arguments.items():
            line += ["--build-arg", f"{name}={value}"]
        for name, path in self.secrets.items():
            line += ["--secret", f"id={name},src={path}"]
        return line


class Builder(Protocol):
    """Builds a job and writes the result as a docker-archive. Both raise ImageError with the tool's last words."""

    @property
    def name(self) -> str: ...

    def build(self, job: Job) -> None: ...

    def save(self, reference: str, archive: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """docker or podman; the Dockerfile's FROM is pulled from its registry."""

    name: str
    program: Path
    environ: Mapping[str, str]

    def build(self, job: Job) -> None:
        run(
            [str(self.program), "build", *job.flags(), str(job.context)],
            {**self.environ, "DOCKER_BUILDKIT": "1"},
        )

    def save(self, reference: str, archive: Path) -> None:
        run([str(self.program), "save", "--output", str(archive), reference], self.environ)


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a storage of its own, so that this machine's images neither help nor suffer."""

    program: Path
    storage: Path
    environ: Mapping[str, str]
    name: str = "buildah"

    def __post_init__(self) -> None:
        # Not the machine's settings, and no directory for networks under /etc: there are none.
        self.storage.mkdir(parents=True, exist_ok=True)
        settings = f'[network]\nnetwork_backend = "cni"\nnetwork_config_dir = "{self.storage / "networks"}"\n'
        (self.storage / "containers.conf").write_text(settings)

    def build(self, job: Job) -> None:
        # A chroot needs no cgroups and no network of its own; nothing runs in it but pip.
        how = ["--isolation", "chroot", "--network", "host", "--pull-never", "--layers"]
        self._run("build", *how, *job.flags(), str(job.context))

    def save(self, reference: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)
        self._run("push", reference, f"docker-archive:{archive}:{reference}")

    def has(self, reference: str) -> bool:
        """Whether the storage has this image."""
        try:
            self._run("inspect", "--type", "image", reference)
        except ImageError:
            return False
        return True

    def load_root(self, tarball: Path, reference: str) -> None:
        """Make an image of one layer, the file system in `tarball`."""
        with_tar = tarball.with_name("Dockerfile")
        with_tar.write_text(f'FROM scratch\nADD {tarball.name} /\nCMD ["python3"]\n')
        self.build(Job(tarball.parent, with_tar, reference))

    def _run(self, verb: str, *rest: str) -> None:
        places = ["--root", str(self.storage / "root"), "--runroot", str(self.storage / "run")]
        # The storage's mounts outlive the program, but not a mount namespace of its own.
        apart = ["unshare", "--mount", "--propagation", "slave"]
        line = [*apart, str(self.program), *places, "--storage-driver", "overlay", verb, *rest]
        run(line, {**self.environ, "CONTAINERS_CONF": str(self.storage / "containers.conf")})


def answering_engine(environ: Mapping[str, str]) -> Engine | None:
    """The first container engine on PATH that answers, which a mere client program does not."""
    for name in ENGINES:
        program = shutil.which(name, path=environ.get("PATH", os.defpath))
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, "info"],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ANSWERS_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return Engine(name, Path(program), dict(environ))
    return None


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run to the end; standard output and error together. Raises ImageError with their end if it fails."""
    done = subprocess.run(
        list(command),
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-_TAIL_LINES:])
        raise ImageError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{tail}")
    return done.stdout
