"""`make test`: unit tests, contract tests and stories, beginning with what needs no control plane while one is built.

Where a control plane is there, this is one run of pytest. Else the build and the tests of `EARLY` run beside each
other; their output is in `build/controlplane.log` and `build/test-early.txt`, and one line at a time is shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.controlplane.find import CHOICE, Finder

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
EARLY = (
    "tests/api",
    "tests/aws",
    "tests/cli",
    "tests/dns",
    "tests/docs",
    "tests/engine",
    "tests/reconcile",
    "tests/sandbox_aws",
    "tests/sandbox_dns",
)
"""Directories whose tests need no control plane, and none of which `tests/stories.yaml` names."""
_POLL_S = 0.5
_SHOWN_S = 10.0


@dataclass(frozen=True, slots=True)
class Beside:
    """The build and the early tests, each a command with the file that takes its output."""

    build: Sequence[str]
    early: Sequence[str]
    directory: Path
    say: Callable[[str], None]
    environ: Mapping[str, str]

    def run(self) -> int:
        """Wait for both; 0 if both succeeded. What failed is shown, and the other is ended."""
        log, text = self.directory / "controlplane.log", self.directory / "test-early.txt"
        build = _start(self.build, log, self.environ)
        # A test that asks for a control plane must fail here, and not wait for the build.
        early = _start(self.early, text, {**self.environ, CHOICE: "kubeconfig"})
        try:
            self.say("building the control plane; meanwhile the tests that need none run")
            shown, told, at = "", False, time.monotonic()
            while (built := build.poll()) is None or early.poll() is None:
                if built:
                    break
                if early.poll() is not None and not told:
                    told = True
                    if early.returncode:
                        break
                    self.say(_last(text))
                if time.monotonic() - at > _SHOWN_S and _last(log) != shown:
                    shown, at = _last(log), time.monotonic()
                    self.say(shown)
                time.sleep(_POLL_S)
        finally:
            for process in (build, early):
                if process.poll() is None:
                    process.terminate()
                process.wait()
        if build.returncode > 0:
            self.say(log.read_text(errors="replace").rstrip())
            return build.returncode
        if early.returncode:
            self.say(text.read_text(errors="replace").rstrip())
            return 1
        if not told:
            self.say(_last(text))
        return 0


def merge(first: Path, second: Path) -> None:
    """Put the results of `first` into the JUnit file `second`, which then holds those of both."""
    added, tree = ElementTree.parse(first).getroot(), ElementTree.parse(second)
    tree.getroot().extend(list(added))
    tree.write(second, encoding="utf-8", xml_declaration=True)


def main(workers: str, *arguments: str) -> int:
    """Run all; the exit status of pytest. `arguments` go to the run that has the stories."""
    BUILD.mkdir(exist_ok=True)
    pytest = [sys.executable, "-m", "pytest"]
    junit, first = BUILD / "junit.xml", BUILD / "junit-early.xml"
    for path in (junit, first):
        path.unlink(missing_ok=True)
    apart = Finder(os.environ, _say).incomplete()
    if apart:
        beside = Beside(
            build=[sys.executable, "-m", "sandbox.controlplane", "find"],
            early=[*pytest, "-q", "-n", "2", f"--junit-xml={first}", *EARLY],
            directory=BUILD,
            say=_say,
            environ=os.environ,
        )
        if status := beside.run():
            return status
    done = [f"--ignore={path}" for path in EARLY] if apart else []
    command = [*pytest, "-n", workers, "--dist", "worksteal", f"--junit-xml={junit}", *arguments, *done]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if apart and junit.exists():
        merge(first, junit)
    return status


def _start(command: Sequence[str], output: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _last(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
