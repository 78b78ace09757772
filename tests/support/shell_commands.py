"""The sandbox's commands as processes of their own, with a temporary directory that tells what is theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox.operator import REPO
from sandbox.waiting import wait_until

SCALE = "0.02"
_START_S, _END_S = 300.0, 60.0


class Commands:
    """Starts ``python -m sandbox …``. All that a run makes has ``directory`` in its environment or arguments."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """As a terminal would: a process group of its own, nothing to read."""
        environ = {**os.environ, "TMPDIR": str(self.directory), "SANDBOX_SCALE": SCALE, **variables}
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=REPO,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=_START_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def end(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """What it printed until it ended; it must end soon."""
        return process.communicate(timeout=_END_S)

    def left(self) -> list[str]:
        """Processes and files that are still there, for people."""
        files = [str(path) for path in self.directory.iterdir()]
        return [*files, *(f"process {each}" for each in self._processes())]

    def process(self, words: str) -> int:
        """The process ID of the one whose command line has ``words``."""
        [found] = [each for each in self._processes() if words in each]
        return int(found.split()[0])

    def assert_nothing_left(self) -> None:
        # The kernel may take a moment to let a killed process go.
        wait_until(lambda: not self.left(), 5, "nothing to be left", lambda: "\n".join(self.left()))

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def _processes(self) -> Iterator[str]:
        marker = str(self.directory).encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words, environ = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue  # gone, or another user's
            if marker in words or marker in environ:
                yield f"{entry.name} {words.replace(bytes(1), b' ').decode(errors='replace')}"
