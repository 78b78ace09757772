"""Tools that are published as Go modules: downloaded at a pinned hash, built by `go build`, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache
from .errors import ToolError

_GO = (1, 26)
_PROGRESS_S = 10.0
_TAIL_LINES = 15
_KUBERNETES = ("1", "37")
"""What `helm template` and `helm lint` take for the cluster's version; Helm's own build sets it in the same way."""


@dataclass(frozen=True, slots=True)
class GoModule:
    """A published module; `sum` is its hash as in a go.sum."""

    name: str
    path: str
    version: str
    sum: str


@dataclass(frozen=True, slots=True)
class GoTool:
    """A program in a module, which carries a go.sum of its own for all that it depends on.

    Attributes:
        package: the program's package inside the module.
        seconds: about how long the build takes on two idle cores from cold, to be told to the user.
        values: variables that the linker sets.
    """

    source: GoModule
    package: str
    seconds: int
    values: tuple[tuple[str, str], ...] = ()


_HELM = "helm.sh/helm/v3"

PROMETHEUS_OPERATOR = GoModule(
    "prometheus-operator",
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)

PINS: Mapping[str, GoTool] = {
    "kubeconform": GoTool(
        GoModule(
            "kubeconform",
            "github.com/yannh/kubeconform",
            "v0.8.0",
            "h1:loDYd3a3spjIFrauqW67CDKF55Oo9R6uvC8AvpVd4ug=",
        ),
        "./cmd/kubeconform",
        10,
    ),
    "kustomize": GoTool(
        # Newer releases need a newer Go.
        GoModule(
            "kustomize",
            "sigs.k8s.io/kustomize/kustomize/v5",
            "v5.8.1",
            "h1:Pgsg5psubpVEy7Nf6S89PARg5VmmWUC1l9dC6Dl4PG0=",
        ),
        ".",
        20,
        (("sigs.k8s.io/kustomize/api/provenance.version", "v5.8.1"),),
    ),
    "helm": GoTool(
        GoModule("helm", _HELM, "v3.22.0", "h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU="),
        "./cmd/helm",
        75,
        (
            (f"{_HELM}/internal/version.version", "v3.22.0"),
            (f"{_HELM}/pkg/lint/rules.k8sVersionMajor", _KUBERNETES[0]),
            (f"{_HELM}/pkg/lint/rules.k8sVersionMinor", _KUBERNETES[1]),
            (f"{_HELM}/pkg/chartutil.k8sVersionMajor", _KUBERNETES[0]),
            (f"{_HELM}/pkg/chartutil.k8sVersionMinor", _KUBERNETES[1]),
        ),
    ),
}


def build(pin: GoTool, cache: Cache, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The program's path; builds it if the cache has none.

    Raises:
        ToolError: no Go, too old a Go, an unreachable or changed module, or a failed compilation.
    """

    name = pin.source.name

    def make(scratch: Path) -> Path:
        go = find_go(name, environ)
        say(
            f"building {name} {pin.source.version} once into {cache.directory}; about {pin.seconds} s from cold"
        )
        source = download(pin.source, go, environ)
        return _compile(pin, go, source, environ, scratch, say)

    # Whatever changes in the pin, a binary made by the old one is not met again.
    digest = hashlib.sha256(repr(pin).encode()).hexdigest()[:8]
    return cache.ensure(name, f"{pin.source.version}-{digest}", make)


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    # The user's GOFLAGS or go.work may fit their work and not this module; their GOPROXY, GOSUMDB and caches do.
    return dict(environ) | {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def find_go(name: str, environ: Mapping[str, str]) -> str:
    """The Go toolchain that gets the tool `name`.

    Raises:
        ToolError: there is none on PATH, or it is too old.
    """
    wanted = ".".join(map(str, _GO))
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise ToolError(
            f"{name} is a Go module, and there is no `go` on PATH. Install Go {wanted} or newer (https://go.dev/dl/)."
        )
    asked = subprocess.run(
        [go, "env", "GOVERSION"], env=_environ(environ), capture_output=True, text=True, check=False
    )
    found = re.search(r"go(\d+)\.(\d+)", asked.stdout)
    if found is None or (int(found[1]), int(found[2])) < _GO:
        answer = asked.stdout.strip() or asked.stderr.strip()
        raise ToolError(
            f"{name} is a Go module and needs Go {wanted} or newer; {go} is {answer}. Install it (https://go.dev/dl/)."
        )
    return go


def download(source: GoModule, go: str, environ: Mapping[str, str]) -> Path:
    """The module's unpacked source, in Go's own cache.

    Raises:
        ToolError: it cannot be downloaded, or is not what is pinned.
    """
    named = f"{source.path}@{source.version}"
    done = subprocess.run(
        [go, "mod", "download", "-json", named],
        cwd="/",  # outside of every module
        env=_environ(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if done.returncode or "Dir" not in answer:
        raise ToolError(
            f"{source.name}: the Go module {named} cannot be downloaded: {answer.get('Error') or done.stderr.strip()}\n"
            "Check the network, or point GOPROXY at a module proxy that this machine reaches."
        )
    if answer["Sum"] != source.sum:
        raise ToolError(
            f"{source.name}: {named} has the hash {answer['Sum']}, and {source.sum} is expected. It is not used."
        )
    return Path(answer["Dir"])


def _compile(
    pin: GoTool, go: str, source: Path, environ: Mapping[str, str], scratch: Path, say: Callable[[str], None]
) -> Path:
    name = pin.source.name
    made, log, started = scratch / name, scratch / "log", time.monotonic()
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in pin.values)])
    # In the module's own directory, so that its own go.sum vouches for what it depends on.
    command = [
        go,
        "build",
        "-mod=readonly",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        flags,
        "-o",
        str(made),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, pin.package],
            cwd=source,
            env=_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            status = _watch(process, lambda: say(f"{name}: compiling, {time.monotonic() - started:.0f} s"))
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-_TAIL_LINES:])
        raise ToolError(
            f"{name}: `go build` failed.\n{tail}\nAn unreachable module proxy (GOPROXY), a full disk and too "
            "little memory are the usual causes."
        )
    say(f"{name}: built in {time.monotonic() - started:.0f} s")
    return made


def _watch(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(timeout=_PROGRESS_S)
        except subprocess.TimeoutExpired:
            tick()
