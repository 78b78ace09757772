"""``python -m sandbox.controlplane build`` fills the cache; ``find`` does so where no other control plane is at hand;
``up`` runs a control plane until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from . import ControlPlaneError, _to_stderr, find_or_build
from .find import Finder

_CHECK_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.controlplane", description=__doc__)
    parser.add_argument("command", choices=("build", "find", "up"))
    command = parser.parse_args(argv).command
    # A supervisor's SIGTERM should clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if command == "build":
            print(Finder(os.environ, _to_stderr).build())
        elif command == "find":
            print("control plane:", find_or_build().origin)
        else:
            _up()
    except ControlPlaneError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if command == "up" else 130
    return 0


def _up() -> None:
    began = time.monotonic()
    with find_or_build() as plane:
        _to_stderr(
            f"{plane.origin}, {plane.server}, ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it"
        )
        print(plane.kubeconfig, flush=True)
        while True:
            plane.check()
            time.sleep(_CHECK_S)


if __name__ == "__main__":
    sys.exit(main())
