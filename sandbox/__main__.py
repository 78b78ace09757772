"""``python -m sandbox up | exec CMD | demo | demo-external-dns``: a local Kubernetes, AWS and DNS with the operator.

up     stays until Ctrl-C and prints how to use it from another shell
exec   runs CMD by `sh -c` with everything set for kubectl, aws and dig; exits with its status
demo   applies a sample, shows how it becomes Ready, deletes it, and proves that nothing is left
demo-external-dns  the same with an A record that external-dns makes at another DNS provider

SANDBOX_SCALE    factor of every delay of AWS and DNS: 1 = as in reality (default; demo: 0.1)
SANDBOX_SAMPLES  up, exec: files of deploy/samples (nat-gateway,instance,... or all) to apply, and wait for,
                 before you or CMD begin
SANDBOX_POLICY   up, exec: the operator's --policy, Audit or Enforce (default Off)
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox import demo, demo_external_dns, shell
from sandbox.controlplane import ControlPlaneError
from sandbox.operator import REPO
from sandbox.pace import parse_scale
from sandbox.waiting import Overdue

_UP_SCALE = "1"
_DEMO_SCALE = "0.1"


def _say(line: str) -> None:
    print(f"sandbox: {line}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command; the process's exit status."""
    variables = os.environ if environ is None else environ
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="up | exec | demo | demo-external-dns"
    )
    commands.add_parser("up")
    commands.add_parser("exec").add_argument("cmd", metavar="CMD")
    commands.add_parser("demo").add_argument("--json", type=Path, default=REPO / "build" / "demo.json")
    commands.add_parser("demo-external-dns")
    options = parser.parse_args(argv)
    try:
        default = _DEMO_SCALE if options.command.startswith("demo") else _UP_SCALE
        scale = parse_scale(variables.get("SANDBOX_SCALE") or default)
        samples = shell.sample_files(variables.get("SANDBOX_SAMPLES", ""))
        policy = shell.policy_mode(variables.get("SANDBOX_POLICY", ""))
    except ValueError as error:
        parser.error(str(error))
    if options.command == "exec" and not options.cmd.strip():
        parser.error("CMD is empty; for example: CMD='kubectl get meg -A'")
    try:
        with shell.stoppable():
            if options.command == "demo":
                return demo.run(scale, options.json)
            if options.command == "demo-external-dns":
                return demo_external_dns.run(scale)
            return _run(options, scale, samples, policy)
    except shell.Stopped as stopped:
        if options.command == "up":
            _say("ended; nothing is left")
            return 0
        return 128 + stopped.number
    except (ControlPlaneError, Overdue, RuntimeError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, scale: float, samples: Sequence[Path], policy: str) -> int:
    with shell.make_sandbox(scale, _say, policy=policy) as sandbox:
        shell.apply_samples(sandbox, samples, scale, _say)
        if options.command == "exec":
            status = shell.run_command(options.cmd, sandbox.user_environ())
            shell.ignore_stops()
            return status
        shell.stay_up(sandbox, scale)
    return 0


if __name__ == "__main__":
    sys.exit(main())
