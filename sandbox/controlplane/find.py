"""Which control plane to use: the first of a fixed order that this machine offers, or the one that is named.

Order: a cluster named by the user, KUBEBUILDER_ASSETS, this project's cache, kind where a container engine
answers, the published releases, a Go build. The user's own kubeconfig (``~/.kube/config``, ``KUBECONFIG``) is
never looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.locking import is_executable

from .errors import ControlPlaneError, ReleaseError
from .foreign import Kind, KindControlPlane, NamedCluster, NamedControlPlane
from .gobuild import GoBuild, builder
from .local import Binaries, LocalControlPlane
from .pins import MODULE_DIR, minor_of, read_pins, within_skew
from .plane import ControlPlane
from .releases import SWITCH, Releases

CHOICE = "MAILEGRESS_SANDBOX_CONTROLPLANE"
KUBECONFIG = "MAILEGRESS_SANDBOX_KUBECONFIG"
CONTEXT = "MAILEGRESS_SANDBOX_CONTEXT"
ASSETS = "KUBEBUILDER_ASSETS"

CHOICES = ("auto", "kubeconfig", "assets", "cache", "kind", "releases", "build")

_SERVERS = ("etcd", "kube-apiserver")
_MANAGER = "kube-controller-manager"
_ASK_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Finder:
    """Looks for a control plane in one environment.

    Attributes:
        environ: variables of the caller; nothing else decides.
        say: receives progress, one line at a time (a first build takes minutes).
        module: folder of the Go module.
        controllers: whether the control plane needs the controller manager. Without it, any kubectl on PATH that
            answers is used, whatever its version.
        optimised: whether what is built must be optimised, for a control plane whose speed is part of a figure.
    """

    environ: Mapping[str, str]
    say: Callable[[str], None]
    module: Path = MODULE_DIR
    controllers: bool = True
    optimised: bool = False

    def find_or_build(self) -> ControlPlane:
        """The control plane to use, not yet started.

        Raises:
            ControlPlaneError: the choice is unknown, what it names is not there, or none can be had.
        """
        choice = self.environ.get(CHOICE) or "auto"
        if choice not in CHOICES:
            raise ControlPlaneError(f"{CHOICE}={choice} is none of {', '.join(CHOICES)}")
        ways: dict[str, Callable[[], ControlPlane | None]] = {
            "kubeconfig": self._named,
            "assets": self._assets,
            "cache": self._cached,
            "kind": self._kind,
            "releases": self._released,
            "build": self._built,
        }
        for name, way in ways.items():
            if choice in ("auto", name):
                try:
                    found = way()
                except ReleaseError as error:
                    if choice != "auto":
                        raise
                    self.say(f"{error}; building it instead")
                    continue
                if found is not None:
                    return found
        raise ControlPlaneError(f"{CHOICE}={choice}, but {self._absence(choice)}")

    def incomplete(self) -> bool:
        """Whether `find_or_build` would download or build programs first, which takes minutes."""
        choice = self.environ.get(CHOICE) or "auto"
        named = any(self.environ.get(name) for name in (KUBECONFIG, ASSETS))
        if choice in ("kubeconfig", "assets", "kind") or (choice == "auto" and named):
            return False
        return bool(self._go().missing(self._programs))

    def build(self) -> Path:
        """Build everything that is missing in the cache; its directory.

        Raises:
            BuildError: see `GoBuild.ensure`.
        """
        self._go().ensure([*self._needed, "kubectl"])
        return self._cache()

    @property
    def _needed(self) -> tuple[str, ...]:
        return ("certs", *_SERVERS, *((_MANAGER,) if self.controllers else ()))

    @property
    def _programs(self) -> tuple[str, ...]:
        """All that a control plane of ours takes from the cache on this machine."""
        kubectl = () if self._present_kubectl(self._pinned()) else ("kubectl",)
        return (*self._needed, *kubectl)

    def _absence(self, choice: str) -> str:
        return {
            "kubeconfig": f"{KUBECONFIG} is not set; it names the kubeconfig of a cluster meant for tests",
            "assets": f"{ASSETS} is not set; it names a directory with etcd and kube-apiserver",
            "cache": f"{self._cache()} is not complete; `python -m sandbox.controlplane build` fills it",
            "kind": "there is no `kind` on PATH, or no container engine answers (`docker info` fails)",
            "releases": f"there are none for this machine, or {SWITCH} is `off`",
        }[choice]

    def _named(self) -> ControlPlane | None:
        named = self.environ.get(KUBECONFIG)
        if not named:
            if self.environ.get(CONTEXT):
                # Taking another cluster here could be the very thing that the user wanted to rule out.
                raise ControlPlaneError(
                    f"{CONTEXT} is set without {KUBECONFIG}, the file that has this context"
                )
            return None
        path = Path(named).expanduser().absolute()
        if not path.is_file():
            raise ControlPlaneError(f"{KUBECONFIG} names {path}, and there is no such file")
        cluster = NamedCluster(path, self.environ.get(CONTEXT) or None)
        version = self._server_version(cluster)
        return NamedControlPlane(cluster, self._kubectl(version), version, self.environ)

    def _assets(self) -> ControlPlane | None:
        named = self.environ.get(ASSETS)
        if not named:
            return None
        assets = Path(named).expanduser().absolute()
        lacking = [name for name in _SERVERS if not is_executable(assets / name)]
        if lacking:
            raise ControlPlaneError(
                f"{ASSETS} names {assets}, which has no executable {' and no '.join(lacking)}"
            )
        version = self._ask(assets / "kube-apiserver", "--version").removeprefix("Kubernetes").strip()
        manager = assets / _MANAGER
        lent = is_executable(manager) or not self.controllers
        self._go().ensure(("certs",) if lent else ("certs", _MANAGER))
        if not is_executable(manager):
            manager = self._cache() / _MANAGER
        binaries = Binaries(
            etcd=assets / "etcd",
            apiserver=assets / "kube-apiserver",
            controller_manager=manager if self.controllers else None,
            certs=self._cache() / "certs",
            kubectl=self._kubectl(version, assets / "kubectl"),
            version=version,
        )
        return LocalControlPlane(binaries, self.environ, f"{ASSETS} ({assets})")

    def _cached(self) -> ControlPlane | None:
        if self._go().missing(self._needed) or self._present_kubectl(self._pinned()) is None:
            return None
        return self._ours(f"cache ({self._cache()})")

    def _kind(self) -> ControlPlane | None:
        kind, engine = self._on_path("kind"), self._on_path("docker")
        if kind is None or engine is None:
            return None
        with contextlib.suppress(ControlPlaneError):
            self._ask(engine, "info")
            # The server's version is kind's affair until the cluster is there; kind follows the releases,
            # so the kubectl that fits ours is the best guess.
            return KindControlPlane(Kind(kind, engine), self._kubectl(self._pinned()), self.environ)
        return None

    def _released(self) -> ControlPlane | None:
        releases = Releases.of(self.environ)
        if releases is None:
            return None
        go = self._go()
        go.toolchain()  # `certs` is ours and always built: without a Go for it the rest is of no use
        wanted = [name for name in go.missing(self._programs) if name != "certs"]
        releases.fetch(wanted, go.pins, go.target, self.say)
        go.ensure(["certs"])
        return self._ours(f"published releases ({self._cache()})")

    def _built(self) -> ControlPlane:
        self._go().ensure(self._programs)
        return self._ours(f"Go build ({self._cache()})")

    def _ours(self, origin: str) -> ControlPlane:
        cache, version = self._cache(), self._pinned()
        binaries = Binaries(
            etcd=cache / "etcd",
            apiserver=cache / "kube-apiserver",
            controller_manager=cache / _MANAGER if self.controllers else None,
            certs=cache / "certs",
            kubectl=self._kubectl(version),
            version=version,
        )
        return LocalControlPlane(binaries, self.environ, origin)

    def _kubectl(self, server: str, *first: Path) -> Path:
        """A kubectl for a server of version `server`: one that is there and fits, else a built one."""
        present = self._present_kubectl(server, *first)
        if present is not None:
            return present
        self._go().ensure(["kubectl"])
        return self._cache() / "kubectl"

    def _present_kubectl(self, server: str, *first: Path) -> Path | None:
        for candidate in self._kubectls(*first):
            with contextlib.suppress(ControlPlaneError):
                version = self._client_version(candidate)
                if within_skew(version, server) or not self.controllers:
                    return candidate
        return None

    def _kubectls(self, *first: Path) -> Iterator[Path]:
        on_path = self._on_path("kubectl")
        for candidate in (*first, self._cache() / "kubectl", *([on_path] if on_path else [])):
            if is_executable(candidate):
                yield candidate

    def _client_version(self, kubectl: Path) -> str:
        answer = self._ask(kubectl, "version", "--client", "-o", "json")
        return self._git_version(answer, "clientVersion", str(kubectl))

    def _server_version(self, cluster: NamedCluster) -> str:
        """Version of the named cluster, asked with any kubectl: `version` works across every skew."""
        kubectl = next(self._kubectls(), None)
        if kubectl is None:
            self._go().ensure(["kubectl"])
            kubectl = self._cache() / "kubectl"
        context = [f"--context={cluster.context}"] if cluster.context else []
        answer = self._ask(kubectl, f"--kubeconfig={cluster.kubeconfig}", *context, "version", "-o", "json")
        return self._git_version(answer, "serverVersion", f"the cluster of {cluster.kubeconfig}")

    @staticmethod
    def _git_version(answer: str, part: str, who: str) -> str:
        try:
            version = str(json.loads(answer)[part]["gitVersion"])
        except (ValueError, KeyError, TypeError):
            version = ""
        if minor_of(version) is None:
            raise ControlPlaneError(f"{who} does not tell its version")
        return version

    def _ask(self, command: Path, *args: str) -> str:
        line = f"`{command} {' '.join(args)}`"
        try:
            done = subprocess.run(
                [str(command), *args],
                # Even a question about kubectl itself would read the user's kubeconfig.
                env=dict(self.environ) | {"KUBECONFIG": os.devnull, "KUBERC": "off"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ASK_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ControlPlaneError(f"{line} failed: {error}") from error
        if done.returncode:
            raise ControlPlaneError(f"{line} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def _on_path(self, name: str) -> Path | None:
        found = shutil.which(name, path=self.environ.get("PATH", os.defpath))
        return Path(found) if found else None

    def _pinned(self) -> str:
        return read_pins(self.module).kubernetes

    def _cache(self) -> Path:
        return self._go().target

    def _go(self) -> GoBuild:
        return builder(self.environ, self.say, self._needed, module=self.module, optimised=self.optimised)
