"""``python -m sandbox.e2e [upgrade [COMMIT]]``: the scenario, on the backend that this machine can run.

``upgrade``: from the last release (or a commit or tag) to the working tree, and back.

MAILEGRESS_E2E_BACKEND        auto (default), kind or node
MAILEGRESS_INSTALL_PACKAGES   1 = install missing Debian packages (default in CI: CI=true)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

from sandbox.controlplane import ControlPlaneError
from sandbox.image import ImageError
from sandbox.node.namespace import NodeError
from sandbox.operator import REPO
from sandbox.packages import with_sbin
from sandbox.shell import Stopped, ignore_stops, stoppable
from sandbox.tools import ToolError

from .backends import ScenarioFailed, backend_reasons, run_on_kind, run_on_node
from .choice import NoBackend, choose
from .cluster import E2eError
from .former import build_former

TARGET, UPGRADE = REPO / "build" / "e2e.json", REPO / "build" / "e2e-upgrade.json"
_RUNS = {"kind": run_on_kind, "node": run_on_node}


def _say(line: str) -> None:
    print(f"e2e: {line}", file=sys.stderr, flush=True)


def main(environ: Mapping[str, str], arguments: Sequence[str]) -> int:
    """The process's exit status. A failure leaves no result."""
    target = UPGRADE if arguments else TARGET
    target.unlink(missing_ok=True)
    began = time.monotonic()
    try:
        backend = choose(environ, backend_reasons())
        with stoppable():
            former = build_former(with_sbin(environ), _say, *arguments[1:2]) if arguments else None
            result = _RUNS[backend](environ, _say, former)
            ignore_stops()
    except Stopped as stopped:
        _say("ended; nothing is left")
        return 128 + stopped.number
    except ScenarioFailed as error:
        _say(str(error))
        return 1
    except (
        NoBackend,
        E2eError,
        NodeError,
        ControlPlaneError,
        ImageError,
        ToolError,
        RuntimeError,
        OSError,
    ) as error:
        print(f"\nE2E FAILED: {error}", file=sys.stderr)
        return 1
    result.write(target)
    print(
        f"\n{time.monotonic() - began:.0f} s in all, {result.pod_restarts} restarts of containers; see {target}"
    )
    print(result.last_line())
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ, sys.argv[1:]))
