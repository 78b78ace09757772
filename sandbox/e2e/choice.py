"""Which backend the scenario runs on: the one that is named, or the first that is possible here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

VARIABLE = "MAILEGRESS_E2E_BACKEND"
BACKENDS = ("kind", "node")

Reason = Callable[[Mapping[str, str]], str]
"""Why a backend is impossible in an environment; empty if it is possible."""


class NoBackend(Exception):
    """Nothing here can run the scenario; the message says why for each backend."""


def choose(environ: Mapping[str, str], reasons: Mapping[str, Reason]) -> str:
    """The backend to use. `reasons` has one entry for each of `BACKENDS`.

    Raises:
        NoBackend: the named one is unknown or impossible, or none is possible.
    """
    named = environ.get(VARIABLE) or "auto"
    if named not in ("auto", *BACKENDS):
        raise NoBackend(f"{VARIABLE}={named} is none of auto, {', '.join(BACKENDS)}")
    lacking: list[str] = []
    for name in BACKENDS:
        if named in ("auto", name):
            reason = reasons[name](environ)
            if not reason:
                return name
            lacking.append(f"  {name}: {reason}")
    raise NoBackend("the end-to-end run is not possible here:\n" + "\n".join(lacking))


def node_reason(environ: Mapping[str, str], *, system: str, user: int) -> str:
    """Why no node of our own can run. ``system``: `sys.platform`; ``user``: the effective user ID."""
    if system != "linux":
        return f"a node needs Linux, and this is {system}"
    if user != 0:
        return "a node needs root: it makes namespaces, mounts and control groups"
    path = environ.get("PATH", os.defpath)
    lacking = [name for name in ("unshare", "mount") if shutil.which(name, path=path) is None]
    return f"there is no {' and no '.join(lacking)} on PATH (Debian: util-linux, mount)" if lacking else ""
