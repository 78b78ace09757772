"""A live control plane for this directory, and machines that exist only as a directory of small scripts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.find import Finder
from sandbox.controlplane.local import Binaries, LocalControlPlane
from sandbox.controlplane.pins import cache_dir, read_pins


def executable(path: Path, script: str = "exit 0") -> Path:
    """A shell script at `path`; its commands see only builtins and absolute paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def kubectl_script(version: str) -> str:
    """A kubectl of which only the version matters; it claims the same of the server."""
    answer = json.dumps({"clientVersion": {"gitVersion": version}, "serverVersion": {"gitVersion": version}})
    return f"echo '{answer}'"


@dataclass
class Machine:
    """A machine with nothing on PATH and an empty home, until a test puts something there."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "home").mkdir()
        (self.root / "bin").mkdir()
        self.environ |= {
            "HOME": str(self.root / "home"),
            "PATH": str(self.root / "bin"),
            # What a machine without the internet finds; tests/controlplane/test_releases.py has a server of its own.
            "MAILEGRESS_SANDBOX_RELEASES": "off",
        }

    @property
    def cache(self) -> Path:
        """Where programs for tests are built: quickly, without optimisation."""
        return cache_dir(self.environ, read_pins(), quick=True)

    @property
    def optimised(self) -> Path:
        """Where optimised programs are."""
        return cache_dir(self.environ, read_pins())

    def command(self, name: str, script: str = "exit 0") -> Path:
        return executable(self.root / "bin" / name, script)

    def go(self, version: str = "go1.99.0", build: str = "") -> Path:
        """A `go` that "compiles" by writing scripts; `build` runs first. Packages are noted in ``builds``.

        It knows of three stale packages.
        """
        log = self.root / "builds"
        flags = self.root / "flags"
        return self.command(
            "go",
            f"""
            if [ "$1" = env ]; then echo {version}; exit 0; fi
            if [ "$1" = list ]; then printf 'a\\nb\\nc\\n'; exit 0; fi
            printf '%s\\n' "$@" >> {flags}
            while [ "$1" != -o ]; do shift; done
            out=$2; shift 2
            for package in "$@"; do echo "$package" >> {log}; done
            {build}
            for package in "$@"; do
              name=${{package%/v[0-9]}}; name=${{name##*/}}
              printf '#!/bin/sh\\n%s\\n' "$FAKE_BINARY" > "$out$name"
              /bin/chmod 755 "$out$name"
            done
            """,
        )

    @property
    def builds(self) -> list[str]:
        log = self.root / "builds"
        return log.read_text().split() if log.exists() else []

    @staticmethod
    def kubectl_script(version: str) -> str:
        return kubectl_script(version)

    def fill_cache(self, *names: str, optimised: bool = False) -> None:
        for name in names or ("certs", "etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
            script = kubectl_script(read_pins().kubernetes) if name == "kubectl" else "exit 0"
            executable((self.optimised if optimised else self.cache) / name, script)

    def assets(self, version: str = "v1.34.1", *, kubectl: bool = True) -> Path:
        """A directory such as KUBEBUILDER_ASSETS names, holding release `version`."""
        assets = self.root / "assets"
        executable(assets / "etcd")
        executable(assets / "kube-apiserver", f"echo Kubernetes {version}")
        if kubectl:
            executable(assets / "kubectl", kubectl_script(version))
        self.environ["KUBEBUILDER_ASSETS"] = str(assets)
        return assets

    def find(self) -> ControlPlane:
        return Finder(self.environ, self.said.append).find_or_build()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """Our own binaries, whatever other control plane this machine could offer."""

    def say(line: str) -> None:
        print(f"control plane: {line}", file=sys.__stderr__, flush=True)

    built = Finder(os.environ | {"MAILEGRESS_SANDBOX_CONTROLPLANE": "build"}, say).find_or_build()
    assert isinstance(built, LocalControlPlane)
    return built.binaries


@pytest.fixture(scope="session")
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of a user who has a cluster of their own that nothing may touch."""
    home = tmp_path_factory.mktemp("home")
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text("the user's own: any attempt to parse this fails: [")
    return home


@pytest.fixture(scope="session")
def outer(user_home: Path) -> Mapping[str, str]:
    return os.environ | {"HOME": str(user_home), "KUBECONFIG": str(user_home / ".kube" / "config")}


@pytest.fixture(scope="session")
def plane(binaries: Binaries, outer: Mapping[str, str]) -> Iterator[LocalControlPlane]:
    with LocalControlPlane(binaries, outer) as started:
        yield started
