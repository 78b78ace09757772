"""checkov: installed from hash-locked requirements into an environment of its own, as its pins conflict with ours."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from .cache import Cache
from .errors import ToolError

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def checkov(cache: Cache, say: Callable[[str], None]) -> Path:
    """The path of checkov.

    Raises:
        ToolError: the packages cannot be installed.
    """
    locked = REQUIREMENTS / "checkov.txt"
    digest = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:8]

    def make(scratch: Path) -> Path:
        # Scripts of an environment name its directory, so it is made where it stays; the wrapper, made last, is
        # what says that it is whole.
        home = scratch.parent / "venv"
        shutil.rmtree(home, ignore_errors=True)
        say("installing checkov once into the cache (300 MB); about a minute")
        started = time.monotonic()
        venv.create(home, with_pip=True)
        done = subprocess.run(
            [
                str(home / "bin" / "python"),
                *("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"),
                *("--require-hashes", "--no-deps", "-r", str(locked)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolError(
                f"checkov cannot be installed from {locked.name}:\n{done.stdout.strip()}\n"
                "Check the network, or point pip at an index that this machine reaches (PIP_INDEX_URL)."
            )
        say(f"checkov: installed in {time.monotonic() - started:.0f} s")
        wrapper = scratch / "checkov"
        wrapper.write_text(
            f'#!/bin/sh\nexec {shlex.quote(str(home / "bin" / "python"))} -m checkov.main "$@"\n'
        )
        wrapper.chmod(0o755)
        return wrapper

    return cache.ensure("checkov", digest, make)
