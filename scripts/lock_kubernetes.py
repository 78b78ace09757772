"""Writes the pins of one release of the API server, for `make test-kubernetes`: sandbox/controlplane/minors/<minor>.

    make lock-kubernetes RELEASE=v1.34.4

It needs Go and a module proxy. Review the change of `go.sum` like that of any lock file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from sandbox.controlplane.pins import MINORS_DIR

_APISERVER = "k8s.io/kubernetes/cmd/kube-apiserver"
_GO = "1.26.0"
"""The oldest Go that builds them: that of the pinned release, so that one toolchain builds all."""


def _run(*command: str, cwd: Path | None = None) -> str:
    environ = os.environ | {"GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    return subprocess.run(command, cwd=cwd, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(release: str) -> None:
    """Write `go.mod` and `go.sum` of `release`, such as ``v1.34.4``."""
    major, minor, patch = release.removeprefix("v").split(".")
    target = MINORS_DIR / f"{major}.{minor}"
    target.mkdir(parents=True, exist_ok=True)
    downloaded = json.loads(_run("go", "mod", "download", "-json", f"k8s.io/kubernetes@{release}"))
    required = json.loads(_run("go", "mod", "edit", "-json", downloaded["GoMod"]))
    staged = sorted(each["Path"] for each in required["Require"] if each["Version"] == "v0.0.0")
    replaced = "".join(f"\t{path} => {path} v0.{minor}.{patch}\n" for path in staged)
    # The release's own defaults of Go's behaviour, and not those of the newer Go that builds it.
    behaviour = re.sub(r"^(\d+\.\d+).*", r"go\1", str(required["Go"]))
    (target / "go.sum").unlink(missing_ok=True)
    (target / "go.mod").write_text(
        f"// The API server of Kubernetes {major}.{minor}: make lock-kubernetes RELEASE={release}\n"
        "module mailegress.io/sandbox/apiserver\n\n"
        f"go {_GO}\n\ngodebug default={behaviour}\n\n"
        f"require k8s.io/kubernetes {release}\n\nreplace (\n{replaced})\n"
    )
    _run("go", "mod", "edit", f"-tool={_APISERVER}", cwd=target)
    _run("go", "mod", "tidy", cwd=target)


if __name__ == "__main__":
    main(*sys.argv[1:])
