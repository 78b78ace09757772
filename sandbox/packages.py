"""Programs that only a distribution's packages bring: found on PATH, or installed where that is wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

INSTALL = "MAILEGRESS_INSTALL_PACKAGES"
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def with_sbin(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the directories of an administrator's programs at the end of PATH."""
    present = environ.get("PATH", os.defpath).split(os.pathsep)
    return dict(environ) | {
        "PATH": os.pathsep.join([*present, *(path for path in _SBIN if path not in present)])
    }


def missing(programs: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Those of `programs` (program → Debian package) that are not there. A name with a slash is a path."""
    path = with_sbin(environ)["PATH"]
    return {
        program: package
        for program, package in programs.items()
        if (not os.access(program, os.X_OK) if "/" in program else shutil.which(program, path=path) is None)
    }


def need_programs(
    programs: Mapping[str, str], purpose: str, environ: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Return if all of `programs` are there, after installing what lacks if this environment asks for that.

    It asks with ``MAILEGRESS_INSTALL_PACKAGES=1``, or by being a CI (``CI=true``): nobody's own machine is changed
    without a word.

    Raises:
        RuntimeError: something lacks; names the packages and the command.
    """
    lacking = missing(programs, environ)
    if not lacking:
        return
    packages = sorted(set(lacking.values()))
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    apt = shutil.which("apt-get", path=with_sbin(environ)["PATH"])
    wanted = environ.get(INSTALL, environ.get("CI", "")).lower() in {"1", "true", "yes"}
    if not wanted or apt is None or os.geteuid() != 0:
        raise RuntimeError(
            f"to {purpose}, these programs are needed and not here: {', '.join(sorted(lacking))}. "
            f"On Debian and Ubuntu, as root: `{command}` (or set {INSTALL}=1, and it is done for you)."
        )
    say(f"installing {', '.join(packages)}")
    quiet = with_sbin(environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(
            [apt, *step], env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(
                f"`apt-get {step[0]}` failed:\n{(done.stderr or done.stdout).strip()}\nInstall by hand: `{command}`"
            )
    if still := missing(programs, environ):
        raise RuntimeError(f"after `{command}` there is still no {', '.join(sorted(still))}")
