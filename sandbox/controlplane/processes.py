"""The processes of one control plane: started with a log, stopped as a group, reported by their log's end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import ControlPlaneError

_TAIL_LINES = 20
_KILL_WAIT_S = 10.0


class Workshop:
    """A private temporary directory and the processes that run in it; both go when the owner goes."""

    def __init__(self, prefix: str = "mailegress-controlplane-") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=prefix))
        self._components: dict[str, Component] = {}
        # -I: the owner's PYTHON* variables and working directory are not the reaper's business.
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("reaper.py")), str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            text=True,
        )

    def start(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], *, inherit_output: bool = False
    ) -> Component:
        """Start `command` as the component `name`, in the directory, in a process group of its own.

        The log is appended to ``<name>.log``, so that a restart keeps the story; with `inherit_output` the
        owner's standard output and error are used instead.
        """
        log = self.directory / f"{name}.log"
        with log.open("ab") as output:
            try:
                process = subprocess.Popen(
                    list(command),
                    cwd=self.directory,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=None if inherit_output else output,
                    stderr=None if inherit_output else subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ControlPlaneError(f"cannot start {name}: {error}") from error
        self._tell(f"group {process.pid}")
        component = Component(name, process, log)
        self._components[name] = component
        return component

    def stop(self, name: str, grace_s: float = 0.0) -> None:
        """Stop the component `name` if it runs; see `Component.stop`."""
        component = self._components.pop(name, None)
        if component is not None:
            component.stop(grace_s)
            self._tell(f"gone {component.process.pid}")

    def running(self, name: str) -> Component | None:
        """The component `name`, or None if it was never started, was stopped, or has ended."""
        component = self._components.get(name)
        return component if component is not None and component.process.poll() is None else None

    def on_death_run(self, command: Sequence[str]) -> None:
        """Have `command` run if the owner dies before `close`."""
        self._tell(f"run {json.dumps(list(command))}")

    def check(self) -> None:
        """Raise if a component has ended that nobody stopped.

        Raises:
            ControlPlaneError: with the end of its log.
        """
        for component in self._components.values():
            component.check()

    def close(self) -> None:
        """Kill what runs, youngest first, and remove the directory. Harmless when repeated."""
        for name in reversed(list(self._components)):
            self.stop(name)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._reaper.poll() is None:
            self._tell("done")
        if self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._reaper.stdin.close()
        self._reaper.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _tell(self, line: str) -> None:
        pipe = self._reaper.stdin
        if pipe is None or pipe.closed:
            return
        # A reaper that somebody killed is no reason to fail: the owner's own clean-up does not need it.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(line + "\n")
            pipe.flush()


class Component:
    """One process and its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    def check(self) -> None:
        """Raise a `ControlPlaneError` with the end of the log if the process has ended."""
        status = self.process.poll()
        if status is not None:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise ControlPlaneError(f"{self.name} {how}. The end of its log:\n{self.tail()}")

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last `lines` lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def stop(self, grace_s: float = 0.0) -> None:
        """End the process group: SIGTERM and `grace_s` seconds if positive, then SIGKILL."""
        if grace_s > 0 and self.process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=grace_s)
        self._signal(signal.SIGKILL)
        self.process.wait(timeout=_KILL_WAIT_S)

    def _signal(self, number: signal.Signals) -> None:
        # Only while the leader is not yet waited for is the group's number certainly still ours.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
