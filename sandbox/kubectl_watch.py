"""A running ``kubectl … --watch`` whose lines are kept with the time at which they came."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from sandbox.waiting import wait_until


class Watch:
    """A context manager; the process lives as long. ``lines``: (monotonic seconds, line) so far."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        # The log of requests (on standard error) tells when the API server has accepted the watch.
        self._command = [*command, "-v=6"]
        self._environ = dict(environ)
        self.lines: list[tuple[float, str]] = []
        self._fresh: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._started = threading.Event()
        self._log: list[str] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()

    def wait_started(self, timeout: float) -> None:
        """Until the API server sends events. Raises Overdue after ``timeout`` seconds."""
        wait_until(self._started.is_set, timeout, "kubectl to watch", lambda: "\n".join(self._log))

    def next_line(self, timeout: float) -> str | None:
        """The next line that was not taken yet; None if none comes within ``timeout`` seconds."""
        try:
            return self._fresh.get(timeout=timeout)
        except queue.Empty:
            return None

    def _read_lines(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append((time.monotonic(), line.rstrip("\n")))
            self._fresh.put(line.rstrip("\n"))

    def _read_log(self, stream: IO[str]) -> None:
        for line in stream:
            self._log.append(line.rstrip("\n"))
            if "watch=true" in line:
                self._started.set()
