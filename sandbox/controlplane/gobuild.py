"""Builds the control plane's binaries from the published Go modules, once, into the user's cache.

The ordinary `go build` of the module in `gomod/`: it needs a Go toolchain and what `go env GOPROXY` names (or
a filled module cache), and neither the internet nor a container engine besides.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.locking import is_executable, locked

from .errors import BuildError
from .pins import MODULE_DIR, Pins, cache_dir, read_pins

PACKAGES: Mapping[str, str] = {
    "certs": "./certs",
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
"""Binary name to Go package."""

_PROGRESS_S = 10.0
_QUICK = "all=-N -l -dwarf=false"
"""Neither optimised nor inlined, and nothing for a debugger. It saves a good third of the compiler's time, and an API
server that is built so takes twice the processor time for a request: enough for demo and tests, not for figures."""
_RARE_COLLECTION = {"GOGC": "400", "GOMEMLIMIT": "3GiB"}
"""The compiler collects garbage less often, unless the caller says how often: 14 % less processor time with Go 1.26."""
_TAIL_LINES = 15
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|network is unreachable"
    r"|proxyconnect|module lookup disabled|40[34] (?:Forbidden|Not Found)|410 Gone|50\d ",
)
_COMPILED = re.compile(r"^[\w.~/-]+$\n?", re.MULTILINE)
"""What `go build -v` prints of each package that it compiles: its import path."""
_VERSION = re.compile(r"v\d+")
_OTHER_WAYS = (
    "or use another control plane: KUBEBUILDER_ASSETS (a directory with etcd and kube-apiserver), kind with "
    "a running container engine, or MAILEGRESS_SANDBOX_KUBECONFIG (a cluster that may be used for tests)"
)


def executable_of(package: str) -> str:
    """The name that `go build` gives to a command (`go help build`: the last element that is no version)."""
    *_, before, last = ("", *package.split("/"))
    return before if _VERSION.fullmatch(last) else last


def progress(done: int, stale: int, seconds: float) -> str:
    """One line about a build of `stale` packages of which `done` are compiled after `seconds`."""
    if not stale or not done:
        return f"compiling, {seconds:.0f} s"
    share = min(done / stale, 1.0)
    left = seconds / share - seconds
    return (
        f"compiling, {100 * share:.0f} % of {stale} packages after {seconds:.0f} s, about {left:.0f} s left"
    )


@dataclass(frozen=True, slots=True)
class GoBuild:
    """Builds missing binaries of `pins` into `target`.

    Attributes:
        target: cache directory; every binary in it is whole, because each is built beside it and renamed.
        environ: the caller's environment; decides which `go` is found and how it reaches modules.
        say: receives one line of progress at a time.
        quick: compile without optimisation.
        progress_s: seconds between two signs of life of one `go build`.
    """

    pins: Pins
    target: Path
    environ: Mapping[str, str]
    say: Callable[[str], None]
    module: Path = MODULE_DIR
    progress_s: float = _PROGRESS_S
    packages: Mapping[str, str] = field(default_factory=lambda: PACKAGES)
    quick: bool = False

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that the cache does not hold, in the order of building."""
        return [name for name in self.packages if name in names and not is_executable(self.target / name)]

    def ensure(self, names: Sequence[str]) -> None:
        """Build what is missing of `names`; return at once if nothing is.

        Raises:
            BuildError: no Go, too old a Go, unreachable modules, or a failed compilation; names the remedy.
        """
        if not self.missing(names):
            return
        go = self.toolchain()
        self.target.mkdir(parents=True, exist_ok=True)
        # Two builds at once would take twice the time and twice the memory.
        lock = self.target.with_name(self.target.name + ".lock")
        with locked(lock, self.say, f"another build into {self.target} is running; waiting for it"):
            for stale in self.target.glob(".building-*"):
                shutil.rmtree(stale, ignore_errors=True)
            todo = self.missing(names)  # another process may have built them while this one waited
            if not todo:
                return
            self.say(
                f"building {', '.join(todo)} ({self.pins.kubernetes}) once into {self.target}; "
                "the first time this takes several minutes"
            )
            self._build(go, todo)

    def toolchain(self) -> str:
        """The `go` to build with.

        Raises:
            BuildError: there is none, or it is too old.
        """
        wanted = ".".join(map(str, self.pins.go))
        go = shutil.which("go", path=self.environ.get("PATH"))
        if go is None:
            raise BuildError(
                f"no control plane: there is no `go` on PATH to build one. Install Go {wanted} or newer "
                f"(https://go.dev/dl/), {_OTHER_WAYS}."
            )
        asked = subprocess.run(
            [go, "env", "GOVERSION"], env=self._go_environ(), capture_output=True, text=True, check=False
        )
        found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", asked.stdout)
        if asked.returncode or found is None:
            raise BuildError(f"no control plane: `{go} env GOVERSION` failed: {asked.stderr.strip()}")
        if tuple(int(part or 0) for part in found.groups()) < self.pins.go:
            raise BuildError(
                f"no control plane: {go} is Go {found[0][2:]}, and building one needs {wanted} or newer. "
                f"Install it (https://go.dev/dl/), {_OTHER_WAYS}."
            )
        return go

    def _go_environ(self) -> dict[str, str]:
        # The user's GOFLAGS or go.work may fit their work and not this module; their GOPROXY, GOSUMDB and
        # caches do. Without cgo no C compiler is needed, and the binaries run anywhere.
        fixed = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}
        return _RARE_COLLECTION | dict(self.environ) | fixed

    def _build(self, go: str, names: Sequence[str]) -> None:
        """One `go build` for all: what they share is compiled once, and linking one overlaps compiling another."""
        packages = [self.packages[name] for name in names]
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self.target) as scratch:
            made, log = Path(scratch, "made"), Path(scratch, "log")
            made.mkdir()
            command = [go, "build", *self._flags(), "-v", "-o", f"{made}{os.sep}", *packages]
            started = time.monotonic()
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    cwd=self.module,
                    env=self._go_environ(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
                try:
                    status = self._watch(process, log, self._stale(go, packages), started)
                except BaseException:
                    process.terminate()
                    process.wait()
                    raise
            if status:
                raise BuildError(self._explain(names, log.read_text(errors="replace")))
            for name, package in zip(names, packages, strict=True):
                os.replace(made / executable_of(package), self.target / name)
            self.say(f"{', '.join(names)}: built in {time.monotonic() - started:.0f} s")

    def _flags(self) -> list[str]:
        return [
            "-mod=readonly",
            "-buildvcs=false",
            "-trimpath",
            *([f"-gcflags={_QUICK}"] if self.quick else []),
            "-ldflags",
            self._ldflags(),
        ]

    def _stale(self, go: str, packages: Sequence[str]) -> int:
        """How many packages Go's cache does not hold; 0 if that cannot be found out."""
        listed = subprocess.run(
            [go, "list", "-deps", *self._flags(), "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *packages],
            cwd=self.module,
            env=self._go_environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        return 0 if listed.returncode else len(listed.stdout.split())

    def _watch(self, process: subprocess.Popen[bytes], log: Path, stale: int, started: float) -> int:
        while True:
            try:
                return process.wait(timeout=self.progress_s)
            except subprocess.TimeoutExpired:
                done = len(_COMPILED.findall(log.read_text(errors="replace")))
                self.say(progress(done, stale, time.monotonic() - started))

    def _ldflags(self) -> str:
        # Without these the server calls itself v0.0.0-master, and clients that check for features believe it.
        package = "k8s.io/component-base/version"
        major, minor, _ = self.pins.kubernetes.lstrip("v").split(".")
        values = {"gitVersion": self.pins.kubernetes, "gitMajor": major, "gitMinor": minor}
        return "-s -w " + " ".join(f"-X {package}.{key}={value}" for key, value in values.items())

    def _explain(self, names: Sequence[str], output: str) -> str:
        tail = "\n".join(_COMPILED.sub("", output).strip().splitlines()[-_TAIL_LINES:])
        if _UNREACHABLE.search(output):
            remedy = (
                "The Go modules cannot be downloaded. Check the network, or point GOPROXY at a module proxy "
                f"that this machine reaches, {_OTHER_WAYS}."
            )
        else:
            remedy = (
                f"Free disk space (4 GB) and memory (3 GB) are the usual causes; correct it, {_OTHER_WAYS}."
            )
        return f"no control plane: `go build` of {', '.join(names)} failed.\n{tail}\n{remedy}"


def builder(
    environ: Mapping[str, str],
    say: Callable[[str], None],
    names: Sequence[str],
    *,
    module: Path = MODULE_DIR,
    packages: Mapping[str, str] = PACKAGES,
    optimised: bool = False,
) -> GoBuild:
    """The build whose cache serves `names`: optimised programs where they are wanted or all there, else quick ones."""
    pins = read_pins(module)
    full = GoBuild(pins, cache_dir(environ, pins), environ, say, module, packages=packages)
    if optimised or not full.missing(names):
        return full
    return replace(full, target=cache_dir(environ, pins, quick=True), quick=True)
