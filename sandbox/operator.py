"""The operator as a process, as it runs in a pod: its own service account, its own environment."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from sandbox.ports import ReservedPort
from sandbox.waiting import wait_until

REPO = Path(__file__).resolve().parent.parent

_DEATH_SIGNAL = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Linux ends the operator with its parent (prctl PR_SET_PDEATHSIG survives the exec)."""


class OperatorProcess:
    """``mailegress run`` with an environment; the log goes to a file. ``port`` serves probes and metrics."""

    def __init__(self, environ: Mapping[str, str], log: Path, name: str = "operator") -> None:
        self.environ = dict(environ)
        """Of the next start."""
        self.log = log
        self.name = name
        self.port = 0
        self.program: tuple[str, ...] = ("-m", "mailegress")
        """The interpreter's arguments."""
        self._process: subprocess.Popen[bytes] | None = None
        self._reserved: ReservedPort | None = None

    def start(self, **settings: str) -> None:
        """Start and wait until it is ready. ``settings`` become ``MAILEGRESS_*`` variables."""
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError(f"{self.name} is running")
        self.environ |= {f"MAILEGRESS_{name.upper()}": value for name, value in settings.items()}
        if self._reserved is not None:
            self._reserved.release()
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        environ = self.environ | {
            "MAILEGRESS_HTTP_ADDRESS": f"127.0.0.1:{self.port}",
            "PYTHONPATH": str(REPO / "operator"),
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _DEATH_SIGNAL, str(os.getpid()), *self.program, "run"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        self.wait_ready()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until ``/readyz`` answers 200. RuntimeError with the log's end if the process ends instead."""

        def ready() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended; its log ends with:\n{self.log_tail()}")
            return self.get("/readyz")[0] == 200

        wait_until(ready, timeout, f"{self.name} to become ready", lambda: self.log_tail())

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its HTTP pages; status 0 if nothing answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):  # the second: it ended in the midst of its answer
            return 0, ""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout: float = 10.0) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self) -> int:
        """SIGKILL: nothing is finished, all memory is lost."""
        return self._end(signal.SIGKILL, 10.0)

    def wait_exit(self, timeout: float) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(timeout)

    def send(self, number: int) -> None:
        """Any signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int, timeout: float) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def log_tail(self, lines: int = 30) -> str:
        return (
            "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
        )
