"""A real Kubernetes API server with its controller manager, from whatever this machine offers.

    with control_plane() as plane:
        plane.install_crds(Path("crds"))
        plane.kubectl("get", "namespaces")

See `find` for the order in which one is looked for and the variables that choose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from .errors import BuildError, ControlPlaneError, KubectlError
from .find import Finder
from .plane import ControlPlane

__all__ = [
    "BuildError",
    "ControlPlane",
    "ControlPlaneError",
    "KubectlError",
    "control_plane",
    "find_or_build",
]


def _to_stderr(line: str) -> None:
    print(f"control plane: {line}", file=sys.stderr, flush=True)


def find_or_build(
    environ: Mapping[str, str] | None = None,
    say: Callable[[str], None] = _to_stderr,
    *,
    controllers: bool = True,
    optimised: bool = False,
) -> ControlPlane:
    """The control plane that `environ` (default: this process's) chooses or this machine offers, not started.

    `controllers`: namespaces must be deletable and owned objects collected. Without that less is built.
    `optimised`: what is built must be, which takes longer; for figures that the server's speed is part of.

    Raises:
        ControlPlaneError: none can be had; the message says why and what to do.
    """
    chosen = os.environ if environ is None else environ
    return Finder(chosen, say, controllers=controllers, optimised=optimised).find_or_build()


control_plane = find_or_build
"""Same, named for the `with` statement that starts and stops it."""
