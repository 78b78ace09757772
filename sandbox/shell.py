"""The sandbox for people at a shell: the world of the samples with a running operator."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from mailegress.api.policy import PolicyMode
from sandbox.local import Sandbox
from sandbox.operator import REPO
from sandbox.pace import describe, operator_settings
from sandbox.seed import REGIONS, ZONE, ZONE_ID, seed_samples

SAMPLES = REPO / "deploy" / "samples"
SAMPLE = "deploy/samples/nat-gateway.yaml"
_READY_WITHIN_S, _START_S = 420.0, 60.0
"""Patience at AWS's pace, and what any machine may take on top."""
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHECK_S = 1.0
_GRACE_S = 5.0


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP asked for the end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class OperatorEnded(RuntimeError):
    """The operator process is gone although nobody stopped it."""


def ignore_stops() -> None:
    """From here on only the clean-up is left, which takes seconds and must not be cut short."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` at the first signal that asks for the end; later ones do not disturb it."""

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_stops()
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def policy_mode(text: str) -> str:
    """The operator's ``--policy`` that ``SANDBOX_POLICY`` names; empty = Off. ValueError for others."""
    known = {mode.value.lower(): mode.value for mode in PolicyMode}
    if (text or "off").lower() not in known:
        raise ValueError(f"SANDBOX_POLICY={text} is not one of {', '.join(known.values())}")
    return known[(text or "off").lower()]


def make_sandbox(
    scale: float,
    say: Callable[[str], None],
    *,
    controllers: bool = True,
    policy: str = "Off",
    external_dns: bool = False,
) -> Sandbox:
    """The world of the samples, not started yet. Raises ControlPlaneError if no control plane can be had."""
    settings = {**operator_settings(scale), "regions": ",".join(REGIONS)}
    if policy != PolicyMode.OFF:
        settings["policy"] = policy
    if external_dns:
        settings["external_dns"] = "on"
    return Sandbox(scale=scale, say=say, settings=settings, populate=seed_samples, controllers=controllers)


def check(sandbox: Sandbox) -> None:
    """Raise ControlPlaneError or OperatorEnded if something has ended that should run."""
    sandbox.plane.check()
    if not sandbox.operator.running:
        raise OperatorEnded("the operator has ended, which it should not do by itself")


def sample_files(text: str) -> list[Path]:
    """The samples that ``SANDBOX_SAMPLES`` names: file names without suffix, or ``all``. ValueError for others."""
    known = {path.stem: path for path in sorted(SAMPLES.glob("*.yaml"))}
    if text == "all":
        return list(known.values())
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"SANDBOX_SAMPLES names {', '.join(unknown)}; there are: all, {', '.join(known)}")
    return [known[name] for name in names]


def apply_samples(sandbox: Sandbox, files: Sequence[Path], scale: float, say: Callable[[str], None]) -> None:
    """Apply samples and wait until they are Ready. Raises KubectlError with what kubectl says if they do not."""
    if not files:
        return
    say(f"applying {', '.join(file.stem for file in files)} and waiting until Ready")
    for file in files:
        sandbox.plane.apply(file)
    within = _READY_WITHIN_S * scale + _START_S
    chosen = [word for file in files for word in ("-f", str(file))]
    sandbox.plane.kubectl(
        "wait", "--for=condition=Ready", f"--timeout={within:.0f}s", *chosen, timeout_s=within + _START_S
    )


def stay_up(sandbox: Sandbox, scale: float) -> None:
    """Show how to use it, then watch over it until a signal comes."""
    print(session_text(sandbox, scale, os.environ), flush=True)
    idle = threading.Event()
    while True:
        idle.wait(_CHECK_S)
        try:
            check(sandbox)
        except OperatorEnded as error:
            raise OperatorEnded(f"{error}; its log ends with:\n{sandbox.operator.log_tail()}") from None


def run_command(command: str, environ: Mapping[str, str]) -> int:
    """Run a shell command to its end; its exit status (128 + n after signal n, as a shell tells it).

    On a terminal the command shares our process group, so that it may read and Ctrl-C reaches it; elsewhere
    it has its own, and whatever it left in the background ends with it.
    """
    group = None if sys.stdin is not None and sys.stdin.isatty() else 0
    process = subprocess.Popen(["sh", "-c", command], env=dict(environ), process_group=group)
    try:
        status = process.wait()
    finally:
        _end(process, own_group=group is not None)
    return status if status >= 0 else 128 - status


def _end(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if own_group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    send(signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        send(signal.SIGKILL)
        process.wait()
    if own_group:
        send(signal.SIGKILL)


def exports(environ: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """The lines that turn a shell with the variables ``present`` into one with ``environ``."""
    lines = [f"unset {' '.join(gone)}"] if (gone := sorted(set(present) - set(environ))) else []
    for name, value in sorted(environ.items()):
        if present.get(name) == value:
            continue
        rest = present.get(name, "")
        if name == "PATH" and rest and value.endswith(os.pathsep + rest):
            lines.append(f'export PATH={shlex.quote(value.removesuffix(rest))}"$PATH"')
        else:
            lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def session_text(sandbox: Sandbox, scale: float, present: Mapping[str, str]) -> str:
    """What a newcomer needs: where everything is, what to paste, what to try."""
    plane, cloud, operator = sandbox.plane, sandbox.cloud, sandbox.operator
    environ = sandbox.user_environ()
    pasted = "\n".join(f"  {line}" for line in [f"cd {shlex.quote(str(REPO))}", *exports(environ, present)])
    public_ip = "203.0.113.10"
    return f"""
The sandbox is ready. {describe(scale)}

  API server   {plane.server} (Kubernetes {plane.version}, from {plane.origin})
  kubeconfig   {plane.kubeconfig}
  AWS          {cloud.url} (regions {", ".join(REGIONS)}; zone {ZONE} is {ZONE_ID})
  resolvers    {", ".join(cloud.recursors)}
  root server  {", ".join(cloud.roots)}
  operator     http://127.0.0.1:{operator.port}/metrics, log {operator.log}

Paste this into another shell; kubectl, aws and dig see only this sandbox there:

{pasted}

Then try, for example:

  kubectl apply -f {SAMPLE}
  kubectl get meg -w
  kubectl describe meg nat-gateway
  dig mta.{ZONE} A
  dig -x {public_ip}
  aws ec2 describe-addresses-attribute --attribute domain-name
  aws route53 list-resource-record-sets --hosted-zone-id {ZONE_ID}
  kubectl delete -f {SAMPLE}

Ask dig for a name only after it is Ready: as in the real world, resolvers remember for minutes that a name
did not exist. Ctrl-C here ends the sandbox and removes everything.
"""
