"""``make demo``: one MailEgress from apply to Ready to gone, shown with kubectl, dig and aws."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from sandbox.aws.model.world import diff
from sandbox.controlplane import ControlPlaneError
from sandbox.kubectl_watch import Watch
from sandbox.local import NAMESPACE, Sandbox
from sandbox.operator import REPO
from sandbox.pace import LIKE_AWS, describe
from sandbox.seed import NAT_EIPS
from sandbox.shell import SAMPLE, OperatorEnded, check, ignore_stops, make_sandbox

T = TypeVar("T")

NAME, HOSTNAME = "nat-gateway", "mta.example.com"
_READY_WITHIN_S, _GONE_WITHIN_S, _STARTS_WITHIN_S = 420.0, 420.0, 60.0
"""Patience at AWS's pace; the second is also what any machine may take on top."""
_CONDITION = '{.status.conditions[?(@.type=="Ready")]'
_READY_PATH = "|".join(_CONDITION + "." + field + "}" for field in ("status", "reason", "message"))


class DemoError(Exception):
    """Something that the demo promises did not happen."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The Ready condition as kubectl's watch told it. ``at_s``: seconds since the manifest was applied."""

    at_s: float
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    """What ``build/demo.json`` holds."""

    ready_s: float
    world_diff: int
    transitions: tuple[Transition, ...]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def last_line(self) -> str:
        return f"DEMO OK ready_s={self.ready_s:g} world_diff={self.world_diff}"


def transitions(lines: list[tuple[float, str]]) -> tuple[Transition, ...]:
    """The changes of status or reason in ``status|reason|message`` lines with the time of each."""
    found: list[Transition] = []
    for at, line in lines:
        status, reason, message = [*line.split("|", 2), "", ""][:3]
        if status and (not found or (found[-1].status, found[-1].reason) != (status, reason)):
            found.append(Transition(round(at, 1), status, reason, message))
    return tuple(found)


def run(scale: float, target: Path) -> int:
    """The whole demo; the process's exit status. The result goes to ``target``; a failure leaves none."""
    target.unlink(missing_ok=True)
    say(
        "MailEgress keeps the A record and the PTR of a mail egress address in agreement. Here it does so with a"
    )
    say("real Kubernetes API server, and with stand-ins for AWS and DNS; all of it runs on this machine.")
    say(describe(scale))
    title("Start the world")
    result = in_sandbox(scale, lambda sandbox: Demo(sandbox, scale).play())
    if result is None:
        return 1
    result.write(target)
    shown = target.relative_to(REPO) if target.is_relative_to(REPO) else target
    say(f"\nEverything is stopped and removed. {shown} has the figures.")
    say(result.last_line())
    return 0


def in_sandbox(scale: float, play: Callable[[Sandbox], T], *, external_dns: bool = False) -> T | None:
    """What ``play`` returns, in a sandbox that is started for it and stopped after it. None: it failed, and why is on
    standard error.
    """
    try:
        sandbox = make_sandbox(
            scale, lambda line: say(f"  {line}"), controllers=False, external_dns=external_dns
        )
        with sandbox:
            try:
                result = play(sandbox)
                ignore_stops()
                return result
            except (
                DemoError,
                ControlPlaneError,
                OperatorEnded,
                AssertionError,
                subprocess.SubprocessError,
            ) as error:
                fail(error, sandbox.operator.log_tail())
    except (ControlPlaneError, AssertionError, RuntimeError, OSError) as error:
        fail(error, "")
    return None


def fail(error: BaseException, log: str) -> int:
    sys.stdout.flush()
    if log:
        print(f"\nThe end of the operator's log:\n{log}", file=sys.stderr)
    print(f"\nDEMO FAILED: {error}", file=sys.stderr)
    return 1


def say(text: str) -> None:
    print(text, flush=True)


def title(text: str) -> None:
    say(f"\n== {text}")


class Demo:
    """The scenes, in their order."""

    def __init__(self, sandbox: Sandbox, scale: float) -> None:
        self._sandbox = sandbox
        self._scale = scale
        self._environ = sandbox.user_environ()
        self._last_row: list[str] = []

    def play(self) -> Result:
        """Raises DemoError, ControlPlaneError, CalledProcessError or Overdue when the promise is not kept."""
        plane = self._sandbox.plane
        say(f"  Kubernetes {plane.version} is ready, from {plane.origin}.")
        say("  The CRD and deploy/ are applied. The operator runs as a process beside the cluster, with the")
        say(f"  rights of its own service account in the namespace {NAMESPACE}.")

        title("The world before: a NAT gateway sends mail from two Elastic IPs that have no PTR")
        self._show(
            "aws", "ec2", "describe-nat-gateways", "--output", "text",
            "--query", "NatGateways[].NatGatewayAddresses[].[PublicIp,AllocationId]",
        )  # fmt: skip
        self._show_ptrs()
        before = self._sandbox.cloud.aws.dump()

        title("Apply a MailEgress and watch it")
        say(manifest_text(REPO / SAMPLE))
        shown = Watch(["kubectl", "get", "mailegress", "--watch"], self._environ)
        told = Watch(
            ["kubectl", "get", "mailegress", "--watch", f'--output=jsonpath={_READY_PATH}{{"\\n"}}'],
            self._environ,
        )
        with shown, told:
            for watch in (shown, told):
                watch.wait_started(_STARTS_WITHIN_S)
            self._show("kubectl", "apply", "-f", SAMPLE)
            applied = time.monotonic()
            say("  $ kubectl get mailegress --watch     (rows that repeat the one above are left out)")
            self._follow(
                shown,
                lambda: any(line.startswith("True|") for _, line in told.lines),
                _READY_WITHIN_S,
                f"{NAME} to become Ready",
            )
            ready = next(at for at, line in told.lines if line.startswith("True|")) - applied

            self._agreement(ready)

            title("Delete it: first the PTRs, then the A record, then the object")
            say(f"  $ kubectl delete -f {SAMPLE}")
            with self._start("kubectl", "delete", "-f", SAMPLE) as deletion:
                try:
                    self._follow(
                        shown, lambda: deletion.poll() is not None, _GONE_WITHIN_S, f"{NAME} to be gone"
                    )
                finally:
                    deletion.kill()
                output = deletion.stdout.read() if deletion.stdout is not None else ""
            say(indented(output))
            if deletion.returncode:
                raise DemoError(f"kubectl delete ended with status {deletion.returncode}")
            history = transitions([(at - applied, line) for at, line in told.lines])

        title("The world after")
        self._show_ptrs()
        changes = diff(before, self._sandbox.cloud.aws.dump())
        if changes:
            raise DemoError("the world is not as it was before:\n" + "\n".join(changes))
        say("  Record sets, addresses and PTRs are exactly as they were before: nothing is left behind.")
        return Result(round(ready, 1), len(changes), history)

    def _agreement(self, ready: float) -> None:
        real = f" (at AWS's own pace about {ready / self._scale / 60:.0f} minutes)"
        title(
            f"Ready {ready:.0f} s after apply{'' if self._scale == LIKE_AWS else real}. What it says of itself"
        )
        self._show("kubectl", "describe", "mailegress", NAME)
        title("What the world says: A record, PTR and AWS agree")
        addresses = set(self._show("dig", "+short", HOSTNAME, "A").split())
        names = {ip: self._show("dig", "+short", "-x", ip).strip() for ip in sorted(addresses)}
        in_aws = dict(line.split() for line in self._show_ptrs().splitlines() if line.strip())
        if addresses != set(NAT_EIPS.values()):
            raise DemoError(f"{HOSTNAME} has the addresses {sorted(addresses)}, not those of the NAT gateway")
        wanted = dict.fromkeys(addresses, f"{HOSTNAME}.")
        for who, found in (("DNS", names), ("AWS", in_aws)):
            if found != wanted:
                raise DemoError(f"the PTRs in {who} are {found}, not {wanted}")

    def _follow(self, watch: Watch, done: Callable[[], bool], within: float, what: str) -> None:
        """Print the watch's lines as they come until ``done()``. Raises DemoError if that takes too long."""
        limit = within * self._scale + _STARTS_WITHIN_S
        deadline = time.monotonic() + limit
        while not done():
            self._show_line(watch.next_line(0.2))
            check(self._sandbox)
            if time.monotonic() > deadline:
                raise DemoError(f"waited {limit:.0f} s in vain for {what}")
        while (line := watch.next_line(0.2)) is not None:
            self._show_line(line)

    def _show_line(self, line: str | None) -> None:
        # The last column is the age: a row that differs in nothing else is about what no column shows.
        if line is None or line.split()[:-1] == self._last_row:
            return
        self._last_row = line.split()[:-1]
        say(indented(line))

    def _start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env=self._environ,
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _show_ptrs(self) -> str:
        return self._show(
            "aws", "ec2", "describe-addresses-attribute", "--attribute", "domain-name", "--output", "text",
            "--query", "Addresses[].[PublicIp,PtrRecord]",
        )  # fmt: skip

    def _show(self, *command: str) -> str:
        """Print a command and what it prints; its output."""
        quoted = " ".join(f"'{word}'" if set(word) & set("[]{}|") else word for word in command)
        say(f"  $ {quoted}")
        done = subprocess.run(
            command,
            env=self._environ,
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        say(indented(done.stdout + done.stderr) or "  (nothing)")
        if done.returncode:
            raise DemoError(f"{quoted} ended with status {done.returncode}")
        return done.stdout


def manifest_text(path: Path) -> str:
    """A manifest, indented, without its comments."""
    lines = path.read_text().splitlines()
    return indented("\n".join(line for line in lines if not line.lstrip().startswith("#")))


def indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip().splitlines())
