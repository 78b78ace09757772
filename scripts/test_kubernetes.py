"""Runs the CRD, its CEL rules and twenty stories on the API server of another minor version of Kubernetes.

    make test-kubernetes VERSION=1.34

The stories run with the rights of `deploy/` and no others. The server is built from the pins in
`sandbox/controlplane/minors`, once, into the user's cache. etcd, kubectl and the controller manager, which only
removes deleted namespaces here, are those of the sandbox. The result is in `build/kubernetes-1.34.json`;
docs/compatibility.md has the results of the last run of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from sandbox.controlplane import ControlPlaneError, find_or_build
from sandbox.controlplane.find import ASSETS, CHOICE
from sandbox.controlplane.gobuild import PACKAGES, builder
from sandbox.controlplane.local import LocalControlPlane
from sandbox.controlplane.pins import MINORS_DIR, MODULE_DIR, minor_of, read_pins

ROOT = Path(__file__).resolve().parents[1]
DIRECTORIES = ("tests/crd", "tests/kube/test_real_api.py")
STORIES = {
    "first_steps": ("a_mail_egress_becomes_ready_and_leaves_no_trace",),
    "api_server": ("a_restart_while_objects_converge", "no_api_server_for_a_while"),
    "claims": ("the_older_of_two_on_one_hostname_wins",),
    "conflicts": ("a_foreign_record_stops_the_work_until_it_is_gone",),
    "crashes": ("killed_between_finalizer_and_first_write",),
    "deletion": ("ptr_first_then_both_records_then_the_object", "recreated_under_the_same_name_at_once"),
    "drift": ("the_finalizer_is_removed_by_hand", "the_status_is_wiped", "garbage_in_the_status"),
    "gitops": (
        "a_server_side_apply_shows_no_difference",
        "events_tell_transitions_and_nothing_else",
        "get_and_describe_read_well",
        "kubectl_apply_twice_and_wait",
    ),
    "hostile": ("a_stored_spec_that_breaks_the_rules",),
    "many": ("a_namespace_goes_with_all_its_objects",),
    "process": ("only_the_leader_acts", "without_its_rights_it_does_not_look_alive"),
    "recovery": ("a_restored_backup_keeps_every_record",),
}
"""File and names of the stories in which the API server matters most."""


def stories() -> list[str]:
    """The node IDs of the twenty stories."""
    return [f"tests/stories/test_{file}.py::test_{name}" for file, names in STORIES.items() for name in names]


def modules() -> dict[str, Path]:
    """Minor version to the Go module that pins its API server; the sandbox's own is the newest."""
    found = {path.parent.name: path.parent for path in MINORS_DIR.glob("*/go.mod")}
    pinned = minor_of(read_pins().kubernetes)
    assert pinned is not None
    found[f"{pinned[0]}.{pinned[1]}"] = MODULE_DIR
    return dict(sorted(found.items(), key=lambda item: minor_of(item[0]) or (0, 0)))


def assets(module: Path, environ: Mapping[str, str]) -> tuple[Path, str]:
    """A directory for KUBEBUILDER_ASSETS with the API server of `module`, built if need be, and its release."""
    build = builder(
        environ,
        _say,
        ["kube-apiserver"],
        module=module,
        packages={"kube-apiserver": PACKAGES["kube-apiserver"]},
    )
    build.ensure(["kube-apiserver"])
    own = find_or_build(dict(environ) | {CHOICE: "build"}, _say)
    assert isinstance(own, LocalControlPlane)
    directory = ROOT / "build" / f"assets-{build.pins.kubernetes}"
    directory.mkdir(parents=True, exist_ok=True)
    for name, program in (
        ("kube-apiserver", build.target / "kube-apiserver"),
        ("etcd", own.binaries.etcd),
        ("kubectl", own.kubectl_path),
        ("kube-controller-manager", own.binaries.controller_manager),
    ):
        assert program is not None
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(program)
    return directory, build.pins.kubernetes


def outcomes(junit: Path) -> dict[str, int]:
    """How many tests passed, failed or were skipped."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in ElementTree.parse(junit).iter("testcase"):
        kinds = {child.tag for child in case}
        how = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[how] += 1
    return counts


def main(minor: str = "", workers: str = "2") -> int:
    """Build, run, record; the exit status of pytest."""
    known = modules()
    if minor not in known:
        print(f"no Kubernetes {minor or 'version'}: give VERSION={'|'.join(known)}", file=sys.stderr)
        return 2
    try:
        directory, release = assets(known[minor], os.environ)
    except ControlPlaneError as error:
        print(error, file=sys.stderr)
        return 1
    junit = ROOT / "build" / f"kubernetes-{minor}.xml"
    junit.unlink(missing_ok=True)
    _say(f"Kubernetes {release}: {', '.join(DIRECTORIES)} and {len(stories())} stories")
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        workers,
        "--dist",
        "worksteal",
        f"--junit-xml={junit}",
    ]
    environ = os.environ | {ASSETS: str(directory), CHOICE: "assets"}
    status = subprocess.run(
        [*command, *DIRECTORIES, *stories()], cwd=ROOT, env=environ, check=False
    ).returncode
    if junit.exists():
        result = {"kubernetes": release, "seconds": round(time.monotonic() - began), **outcomes(junit)}
        junit.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
        _say(json.dumps(result))
    return status


def _say(line: str) -> None:
    print(f"test-kubernetes: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
