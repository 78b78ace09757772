"""``python -m sandbox.tools NAME ...`` prints the path of each tool, building or fetching it first; `all` names all."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from . import NAMES, ToolError, tool


def main(argv: Sequence[str] | None = None) -> int:
    """Print the paths; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.tools", description=__doc__)
    parser.add_argument("name", nargs="+", choices=(*NAMES, "all"))
    named = parser.parse_args(argv).name
    # A supervisor's SIGTERM should clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in NAMES if "all" in named else named:
            print(tool(name), flush=True)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
