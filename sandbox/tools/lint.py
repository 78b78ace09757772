"""``python -m sandbox.tools.lint``: what is delivered, proved by the tools that deliver it; one line a check.

Chart and kustomizations are rendered by helm and kustomize, held against strict schemas by kubeconform and against
a real API server by a dry run, and searched for weaknesses by checkov; then the tests that need the tools run.
A tool that cannot be had is a failure. `--write` writes what is generated instead: the chart's parts and
deploy/install.yaml.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.controlplane import ControlPlane, ControlPlaneError, find_or_build

from . import NAMES, ToolError, prometheus_operator_crds, tool
from .schemas import LOCATION, write_schemas

REPO = Path(__file__).resolve().parents[2]
CHART = REPO / "deploy" / "helm" / "mailegress"
OVERLAYS = REPO / "deploy" / "overlays"
INSTALL = REPO / "deploy" / "install.yaml"
CHECKOV_CONFIG = REPO / "deploy" / "checkov.yaml"
TESTS = ("tests/deploy_tools", "tests/gitops", "tests/observability")
NAMESPACE = "mailegress-system"

_HEADER = "# The CRD and the operator. Built from deploy/overlays/default by `make manifests`.\n"

_TAIL_LINES = 40

Objects = list[dict[str, Any]]


class CheckFailedError(Exception):
    """What a check found, for the user to read."""


@dataclass(slots=True)
class Lint:
    """The checks, and how many of them failed."""

    tools: Mapping[str, Path]
    work: Path
    failures: int = 0
    rendered: list[Path] = field(default_factory=list)

    def check(self, name: str, action: Callable[[], str]) -> None:
        """Run one check and print its line; `action` returns what it proved, or raises."""
        began = time.monotonic()
        try:
            verdict, found = "ok  ", action()
        except (CheckFailedError, ControlPlaneError, ToolError) as error:
            self.failures += 1
            verdict, found = "FAIL", str(error)
        print(f"{verdict} {name}: {found} ({time.monotonic() - began:.1f} s)", flush=True)

    def run(self, name: str, *args: str) -> str:
        """Run a tool; its standard output.

        Raises:
            CheckFailedError: it ended with another status than 0.
        """
        return _run([str(self.tools[name]), *args])

    # ------------------------------------------------ rendering

    def helm_lint(self) -> str:
        """`helm lint --strict` with every file of values in the chart's ci/."""
        cases = sorted((CHART / "ci").glob("*.yaml"))
        for values in cases:
            self.run("helm", "lint", "--strict", "--quiet", "--values", str(values), str(CHART))
        return f"{len(cases)} sets of values"

    def helm_template(self) -> str:
        """Render the chart with each of them; a packaged chart, so that .helmignore counts."""
        package = self.run("helm", "package", str(CHART), "--destination", str(self.work)).split()[-1]
        for values in sorted((CHART / "ci").glob("*.yaml")):
            text = self.run(
                "helm", "template", "mailegress", package, "--namespace", NAMESPACE, "--values", str(values)
            )
            self._keep(f"chart-{values.stem.removesuffix('-values')}", text)
        return f"{sum(len(load(path)) for path in self.rendered)} objects"

    def kustomize(self) -> str:
        """Build every overlay, and the base."""
        before = len(self.rendered)
        for folder in (*sorted(OVERLAYS.iterdir()), OVERLAYS.parent / "base", OVERLAYS.parent):
            self._keep(f"kustomize-{folder.name}", self.run("kustomize", "build", str(folder)))
        return f"{len(self.rendered) - before} kustomizations"

    def install_yaml(self) -> str:
        """deploy/install.yaml is what kustomize makes of the default overlay."""
        if not INSTALL.exists() or INSTALL.read_text() != install_text(self.tools["kustomize"]):
            raise CheckFailedError(f"{INSTALL.relative_to(REPO)} is out of date: make manifests")
        self.rendered.append(INSTALL)
        return "current"

    def _keep(self, name: str, text: str) -> None:
        path = self.work / f"{name}.yaml"
        path.write_text(text)
        self.rendered.append(path)

    def manifests(self) -> list[Path]:
        """All that is checked: what was rendered, and the samples."""
        return [*self.rendered, *sorted((REPO / "deploy" / "samples").glob("*.yaml"))]

    # ------------------------------------------------ schemas

    def schemas(self, plane: ControlPlane) -> str:
        """Make kubeconform's schemas; a control that a misspelt field and an unknown kind do not pass."""
        openapi = json.loads(plane.kubectl("get", "--raw", "/openapi/v2").stdout)
        count = write_schemas(openapi, self.work / "schemas")
        for wrong in ({"kind": "Service", "specs": {}}, {"kind": "Servise"}):
            path = self.work / "wrong.yaml"
            path.write_text(yaml.safe_dump({"apiVersion": "v1", "metadata": {"name": "x"}} | wrong))
            try:
                self._kubeconform([path])
            except CheckFailedError:
                continue
            raise CheckFailedError(f"{wrong} passed, so that nothing is proved")
        return f"{count} kinds of {plane.version}"

    def kubeconform(self) -> str:
        """Every object of every manifest is valid by a schema that was found and compiled."""
        return f"{self._kubeconform(self.manifests())} objects valid, none skipped"

    def _kubeconform(self, paths: Sequence[Path]) -> int:
        location = f"{self.work / 'schemas'}/{LOCATION}"
        args = ["-strict", "-verbose", "-output", "json", "-schema-location", location, *map(str, paths)]
        done = subprocess.run(
            [str(self.tools["kubeconform"]), *args], capture_output=True, text=True, check=False
        )
        try:
            results = json.loads(done.stdout)["resources"]
        except (ValueError, KeyError) as error:
            raise CheckFailedError(f"kubeconform gave no result: {done.stderr.strip()}") from error
        # A schema that is missing or does not compile is only a remark to kubeconform, and its exit status 0 then.
        wrong = [each for each in results if each["status"] != "statusValid"]
        if wrong or done.returncode:
            raise CheckFailedError(
                "\n".join(
                    f"{each['filename']}: {each['kind']} {each['name']}: {each['msg']}" for each in wrong
                )
            )
        expected = sum(len(load(path)) for path in paths)
        if len(results) != expected:
            raise CheckFailedError(f"kubeconform looked at {len(results)} of {expected} objects")
        return expected

    # ------------------------------------------------ API server

    def dry_run(self, plane: ControlPlane) -> str:
        """The API server would take every manifest as it is, without a warning; a control that a typo is refused."""

        def said(path: Path) -> str:
            how = ("--server-side", "--dry-run=server", "--validate=strict")
            return plane.kubectl("apply", *how, "-f", str(path), check=False).stderr.strip()

        for path in self.manifests():
            if complaint := said(path):
                raise CheckFailedError(f"{path.name}: {complaint}")
        wrong = self.work / "wrong.yaml"
        wrong.write_text(self.rendered[0].read_text().replace("replicas:", "replica:"))
        if "replica" not in said(wrong):
            raise CheckFailedError("a misspelt field was taken, so that nothing is proved")
        return f"{len(self.manifests())} manifests taken, no warnings; a misspelt field refused"

    def restricted(self, plane: ControlPlane) -> str:
        """The pods are admitted where the Pod Security Standard "restricted" is enforced, and a lesser one is not."""
        count = 0
        for path in self.rendered:
            for each in load(path):
                if each["kind"] == "Deployment":
                    self._create_pod(plane, each, path)
                    count += 1
        less = each_deployment(load(self.rendered[0]))
        less["spec"]["template"]["spec"]["containers"][0]["securityContext"].pop("capabilities")
        try:
            self._create_pod(plane, less, self.rendered[0])
        except CheckFailedError:
            return f"{count} pods admitted, a lesser one refused"
        raise CheckFailedError("a pod that keeps its capabilities was admitted, so that nothing is proved")

    def _create_pod(self, plane: ControlPlane, deployment: dict[str, Any], path: Path) -> None:
        spec = deployment["spec"]["template"]["spec"] | {"serviceAccountName": "default"}
        name = {"name": "pod", "namespace": NAMESPACE}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": spec}
        done = plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
        if done.returncode or done.stderr.strip():
            raise CheckFailedError(f"{path.name}: {done.stderr.strip()}")

    def checkov(self) -> str:
        """checkov finds nothing but what deploy/checkov.yaml names with its reason."""
        args = [arg for path in self.rendered for arg in ("--file", str(path))]
        out = _run(
            [str(self.tools["checkov"]), "--config-file", str(CHECKOV_CONFIG), "--output", "json", *args],
            accept=(0, 1),
        )
        answer = json.loads(out)
        summary = answer["summary"] if isinstance(answer, dict) and "summary" in answer else None
        if not summary or not summary["passed"] or summary["parsing_errors"]:
            raise CheckFailedError(f"checkov checked nothing: {out[:300]}")
        if summary["failed"]:
            raise CheckFailedError(
                "\n"
                + "\n".join(
                    f"{each['check_id']} {each['check_name']}: {each['resource']} in {Path(each['file_path']).name}"
                    for each in answer["results"]["failed_checks"]
                )
            )
        return f"{summary['passed']} checks passed"


def each_deployment(objects: Objects) -> dict[str, Any]:
    """The one Deployment among `objects`."""
    (found,) = [each for each in objects if each["kind"] == "Deployment"]
    return found


def load(path: Path) -> Objects:
    """The objects in a file of manifests."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def install_text(kustomize: Path) -> str:
    """What deploy/install.yaml should contain."""
    return _HEADER + _run([str(kustomize), "build", str(OVERLAYS / "default")])


def _run(command: Sequence[str], accept: Sequence[int] = (0,)) -> str:
    done = subprocess.run(
        command, cwd=REPO, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode not in accept:
        said = (done.stdout + done.stderr).strip()
        raise CheckFailedError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{said}")
    return done.stdout


def _namespaces(paths: Sequence[Path]) -> Iterator[str]:
    named = {each["metadata"].get("namespace") for path in paths for each in load(path)}
    yield from sorted(named - {None, "default", NAMESPACE})


def _prepare(plane: ControlPlane, paths: Sequence[Path]) -> None:
    """What a dry run needs to find on the server: the kinds and the namespaces."""
    plane.install_crds(REPO / "crds")
    for crd in prometheus_operator_crds():
        plane.install_crds(crd)
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    for name in (NAMESPACE, *_namespaces(paths)):
        labels = level if name == NAMESPACE else {}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        plane.apply_text(json.dumps(namespace), server_side=True)


def _generated() -> str:
    _run([sys.executable, str(REPO / "scripts" / "chart.py"), "--check"])
    return "current"


def _tests(folder: str, work: Path) -> str:
    if not list((REPO / folder).glob("test_*.py")):
        raise CheckFailedError(f"{folder} has no tests")
    log = work / f"{Path(folder).name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short"),
                *(f"--junit-xml={log.with_suffix('.xml')}", folder),
            ],
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    lines = log.read_text().strip().splitlines()
    if done.returncode:
        tail = "\n".join(lines[-_TAIL_LINES:])
        raise CheckFailedError(f"pytest ended with status {done.returncode}; all of it: {log}\n{tail}")
    return lines[-1].strip("= ")


def lint() -> int:
    """All checks; the process's exit status."""
    began = time.monotonic()
    work = REPO / "build" / "lint-deploy"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    run = Lint({name: tool(name) for name in NAMES}, work)
    run.check("chart is generated from its sources", _generated)
    run.check("helm lint --strict", run.helm_lint)
    run.check("helm template", run.helm_template)
    run.check("kustomize build", run.kustomize)
    run.check("deploy/install.yaml", run.install_yaml)
    if len(run.rendered) < 2:
        raise CheckFailedError("nothing was rendered, so that nothing can be proved")
    with find_or_build() as plane:
        _prepare(plane, run.manifests())
        run.check("strict schemas from the API server", lambda: run.schemas(plane))
        run.check("kubeconform", run.kubeconform)
        run.check("server-side dry run", lambda: run.dry_run(plane))
        run.check("restricted pod security", lambda: run.restricted(plane))
    run.check("checkov", run.checkov)
    for folder in TESTS:
        run.check(folder, functools.partial(_tests, folder, work))
    took = f"{time.monotonic() - began:.0f} s"
    print(f"lint-deploy: {f'{run.failures} checks failed' if run.failures else 'all checks passed'}, {took}")
    return 1 if run.failures else 0


def write() -> int:
    """Write what is generated; the process's exit status."""
    _run([sys.executable, str(REPO / "scripts" / "chart.py")])
    INSTALL.write_text(install_text(tool("kustomize")))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Check or write; the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.tools.lint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write what is generated, check nothing")
    try:
        return write() if parser.parse_args(argv).write else lint()
    except (ToolError, ControlPlaneError, CheckFailedError) as error:
        print(f"lint-deploy: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
