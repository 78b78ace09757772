"""The releases that the Go module pins, and the place in the user's cache where their binaries live."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ControlPlaneError

MODULE_DIR = Path(__file__).parent / "gomod"
MINORS_DIR = Path(__file__).parent / "minors"
"""The API server of each other minor version that `make test-kubernetes` runs: one module each."""

_GO = re.compile(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", re.MULTILINE)
_KUBERNETES = re.compile(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+)", re.MULTILINE)
_ETCD = re.compile(r"^\s*go\.etcd\.io/etcd/server/v3 (v\d+\.\d+\.\d+)", re.MULTILINE)
_MINOR = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Pins:
    """One state of `go.mod` and `go.sum`.

    Attributes:
        kubernetes: release of the API server, controller manager and kubectl, such as ``v1.37.2``.
        etcd: release of etcd, such as ``v3.7.3``; empty if the module builds none.
        go: oldest Go toolchain that builds the module, (major, minor, patch).
        digest: names everything that goes into a build; part of the cache directory's name, so that a changed
            pin never meets a binary of the old one.
    """

    kubernetes: str
    etcd: str
    go: tuple[int, int, int]
    digest: str


def read_pins(module: Path = MODULE_DIR) -> Pins:
    """Read the pins of the Go module in `module`.

    Raises:
        ControlPlaneError: the files are missing or do not pin what they should.
    """
    try:
        mod, sums = (module / "go.mod").read_bytes(), (module / "go.sum").read_bytes()
    except OSError as error:
        raise ControlPlaneError(f"the control plane's Go module is incomplete: {error}") from error
    text = mod.decode()
    go, kubernetes, etcd = _GO.search(text), _KUBERNETES.search(text), _ETCD.search(text)
    if go is None or kubernetes is None:
        raise ControlPlaneError(f"{module / 'go.mod'} names no Go version or no k8s.io/kubernetes release")
    major, minor, patch = (int(part or 0) for part in go.groups())
    hashed = hashlib.sha256(mod + b"\0" + sums)
    for source in sorted(module.glob("*/*.go")):
        hashed.update(b"\0" + source.read_bytes())
    return Pins(kubernetes[1], etcd[1] if etcd else "", (major, minor, patch), hashed.hexdigest()[:12])


def cache_dir(environ: Mapping[str, str], pins: Pins, *, quick: bool = False) -> Path:
    """Directory of the cached binaries: ``$XDG_CACHE_HOME/mailegress/controlplane/<release>-<digest>``.

    Those that are built `quick`, without optimisation, have a directory of their own.

    The XDG Base Directory Specification wants ``~/.cache`` where the variable is unset, empty or relative.
    """
    named = environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if named.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return (
        base / "mailegress" / "controlplane" / f"{pins.kubernetes}-{pins.digest}{'-quick' if quick else ''}"
    )


def minor_of(version: str) -> tuple[int, int] | None:
    """``(1, 37)`` of ``v1.37.2``, ``Kubernetes v1.37.2`` or ``v1.32.4-x``; None where there is no version."""
    found = _MINOR.search(version)
    return (int(found[1]), int(found[2])) if found else None


def within_skew(client: str, server: str) -> bool:
    """Whether a kubectl of version `client` may talk to an API server of version `server`.

    "kubectl is supported within one minor version (older or newer) of kube-apiserver" (Kubernetes, Version
    Skew Policy).
    """
    ours, theirs = minor_of(client), minor_of(server)
    return ours is not None and theirs is not None and ours[0] == theirs[0] and abs(ours[1] - theirs[1]) <= 1
