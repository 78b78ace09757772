"""What this directory gets from Go: its own two small programs, built once into the user's cache, and the custom
resource definitions of Argo CD and Flux, which are files of published modules.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.tools import ToolError
from sandbox.tools.cache import Cache
from sandbox.tools.gotool import GoModule, download, find_go

HERE = Path(__file__).parent


def say(line: str) -> None:
    print(f"tools: {line}", file=sys.stderr, flush=True)


def built(name: str, folder: Path = HERE) -> Path:
    """The program of the folder ``name``; its version in the cache is a hash of everything that goes into it."""
    source = folder / name
    digest = hashlib.sha256()
    for path in sorted([*source.glob("*.go"), source / "go.mod", source / "go.sum"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")

    def make(scratch: Path) -> Path:
        go = find_go(name, os.environ)
        say(f"building {name} once; about 20 s from cold")
        # As the control plane is built, so that both share what Go's own cache keeps.
        fixed = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}
        done = subprocess.run(
            [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o", str(scratch / name), "."],
            cwd=source,
            env=dict(os.environ) | fixed,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            tail = "\n".join(done.stderr.strip().splitlines()[-15:])
            raise ToolError(
                f"{name}: `go build` failed.\n{tail}\nAn unreachable module proxy (GOPROXY) and a full disk are the "
                "usual causes."
            )
        return scratch / name

    return Cache.of(os.environ, say).ensure(name, digest.hexdigest()[:12], make)


def ask(name: str, questions: Sequence[Any]) -> list[Any]:
    """The program's answers to a list of questions."""
    done = subprocess.run(
        [str(built(name))],
        input=json.dumps(list(questions)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{name}: {done.stderr.strip()}")
    answers: list[Any] = json.loads(done.stdout)
    return answers


CRDS = (
    (
        GoModule(
            "argo-cd",
            "github.com/argoproj/argo-cd/v3",
            "v3.5.1",
            "h1:jtwPLEFX9mNj3jSq88ugFcScGnOZVs2DWaXFuZxrRT8=",
        ),
        "manifests/crds/application-crd.yaml",
    ),
    (
        GoModule(
            "source-controller",
            "github.com/fluxcd/source-controller",
            "v1.9.1",
            "h1:FF8XTxLND/pXzVtUESKURUDiItFJQDZBZkbHvZimN8s=",
        ),
        "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
    ),
    (
        GoModule(
            "kustomize-controller",
            "github.com/fluxcd/kustomize-controller",
            "v1.9.1",
            "h1:jggQk9hMsnXG9QdPWNSKhttH5NdVN+HXm/dbKAJ3Uw8=",
        ),
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    (
        GoModule(
            "helm-controller",
            "github.com/fluxcd/helm-controller",
            "v1.6.1",
            "h1:b0XKTQCGlQy4nOGfEFMbn/e+/j9IMEHSDlKecbZkG9M=",
        ),
        "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
    ),
)
"""The newest releases that the sandbox's Go takes, and the definition in each that our examples are checked with."""


def crds() -> list[Path]:
    """The definitions of Argo CD's and Flux's kinds, as their projects publish them."""
    return [download(module, find_go(module.name, os.environ), os.environ) / path for module, path in CRDS]
