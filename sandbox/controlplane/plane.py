"""What every control plane offers, wherever it comes from: a kubeconfig, and kubectl on top of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from .errors import ControlPlaneError, KubectlError
from .processes import Workshop

_POLL_S = 0.05
_PRIVATE = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_MASTER")


class ControlPlane(ABC):
    """A Kubernetes API server, as a rule with namespace deletion and garbage collection; a context manager.

    The user's own kubeconfig, cache and kubectl preferences are neither read nor written by what runs in
    `environ`. Methods block; call them from a thread where an event loop runs.

    Attributes:
        kubectl_path: a kubectl within one minor version of the server.
        version: the server's version; empty before `start` where that is not known.
    """

    origin: str
    """Where it comes from, for people."""

    def __init__(self, kubectl: Path, version: str, environ: Mapping[str, str]) -> None:
        self.kubectl_path = kubectl
        self.version = version
        self._outer = dict(environ)
        self._workshop: Workshop | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bring it up; on return `/readyz` answers 200 and the controllers, if there are any, work.

        Raises:
            ControlPlaneError: with the end of the log of what failed; nothing is left running then.
        """
        if self._workshop is not None:
            raise ControlPlaneError("this control plane is already started")
        self._workshop = Workshop()
        try:
            bin_dir = self.directory / "bin"
            bin_dir.mkdir()
            # A directory of its own on PATH: the cache's would put an etcd there as well.
            (bin_dir / "kubectl").symlink_to(self.kubectl_path.resolve())
            self._bring_up(self._workshop)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take down what `start` brought up, and remove the directory. Harmless when repeated."""
        workshop = self._workshop
        if workshop is not None:
            try:
                self._take_down()
            finally:
                self._workshop = None
                workshop.close()

    @abstractmethod
    def _bring_up(self, workshop: Workshop) -> None:
        """Start it and write `kubeconfig`."""

    @abstractmethod
    def _take_down(self) -> None:
        """Remove what is not a process of the workshop; its processes are killed afterwards."""

    @abstractmethod
    def stop_apiserver(self) -> None:
        """End the API server; on return it refuses connections."""

    @abstractmethod
    def start_apiserver(self) -> None:
        """Start the API server again, on the same address, and wait until it is ready."""

    def restart_apiserver(self) -> None:
        """Stop and start the API server; its data stay, watches break."""
        self.stop_apiserver()
        self.start_apiserver()

    @abstractmethod
    def restart_etcd(self) -> None:
        """End and start the store behind the API server; its data stay."""

    def audit(self, user: str) -> None:
        """Have the API server write down what `user` asks; to be called before `start`.

        Raises:
            ControlPlaneError: this control plane cannot.
        """
        raise ControlPlaneError(
            f"{self.origin} is not told to keep an audit log by this sandbox; "
            "MAILEGRESS_SANDBOX_CONTROLPLANE=build makes a control plane that does"
        )

    def audit_logs(self) -> list[Path]:
        """The files of the audit log so far: one event (audit.k8s.io/v1) a line."""
        return sorted(self.directory.glob("audit*.log"))

    def check(self) -> None:
        """Raise a `ControlPlaneError` if a component has ended that nobody stopped."""
        self._running().check()

    @property
    def directory(self) -> Path:
        """Private directory of this run: logs, kubeconfigs; removed by `stop`."""
        return self._running().directory

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, readable by this user only."""
        return self.directory / "kubeconfig"

    @property
    def _kubectl_cache(self) -> Path:
        return self.directory / "kubectl-cache"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self._cluster(yaml.safe_load(self.kubeconfig.read_text()))["server"])

    def environ(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """The caller's environment, changed so that kubectl and clients see this control plane only."""
        env = {name: value for name, value in self._outer.items() if name not in _PRIVATE}
        path = os.pathsep.join(filter(None, [str(self.directory / "bin"), env.get("PATH", os.defpath)]))
        return env | {
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "KUBECACHEDIR": str(self._kubectl_cache),
            "KUBERC": "off",
            "PATH": path,
        }

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or as whom `kubeconfig` says.

        Raises:
            KubectlError: status other than 0, unless `check` is false.
            ControlPlaneError: no end within `timeout_s` seconds.
        """
        env = self.environ(kubeconfig)
        try:
            done = subprocess.run(
                [str(self.kubectl_path), *args],
                env=env,
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            self.check()
            raise ControlPlaneError(f"`kubectl {' '.join(args)}` did not end in {timeout_s:.0f} s") from error
        if check and done.returncode:
            raise KubectlError(args, done.returncode, done.stderr)
        return done

    def apply(self, path: Path, *, server_side: bool = False, namespace: str | None = None) -> str:
        """`kubectl apply` a file, a directory of manifests or a kustomization; kubectl's output."""
        return self._apply(_source(path), server_side, namespace)

    def apply_text(self, manifests: str, *, server_side: bool = False, namespace: str | None = None) -> str:
        """`kubectl apply` YAML or JSON text; kubectl's output."""
        return self._apply(["-f", "-"], server_side, namespace, stdin=manifests)

    def _apply(
        self, what: list[str], server_side: bool, namespace: str | None, stdin: str | None = None
    ) -> str:
        how = ["--server-side", "--force-conflicts"] if server_side else []
        where = ["--namespace", namespace] if namespace else []
        return self.kubectl("apply", *how, *where, *what, stdin=stdin).stdout

    def install_crds(self, path: Path, timeout_s: float = 30.0) -> list[str]:
        """Apply the custom resource definitions of a file, directory or kustomization; wait until usable.

        Usable is more than the condition Established: the API server publishes discovery and schema later,
        and a `kubectl apply` or `kubectl explain` before that fails.

        Returns:
            The definitions' names.
        """
        args = ("--server-side", "--force-conflicts", *_source(path), "-o", "json")
        applied = json.loads(self.kubectl("apply", *args).stdout)
        items: list[dict[str, Any]] = applied["items"] if applied["kind"] == "List" else [applied]
        crds = [item for item in items if item["kind"] == "CustomResourceDefinition"]
        names = [str(crd["metadata"]["name"]) for crd in crds]
        if not names:
            raise ControlPlaneError(f"{path} defines no custom resource")
        wanted = {
            (f"{crd['spec']['group']}/{version['name']}", str(crd["spec"]["names"]["plural"]))
            for crd in crds
            for version in crd["spec"]["versions"]
            if version["served"]
        }
        self.wait_until(
            lambda: self._published(wanted), timeout_s, f"the API server to publish {', '.join(names)}"
        )
        return names

    def _published(self, wanted: set[tuple[str, str]]) -> bool:
        """Whether kubectl finds every (``group/version``, plural), in discovery and with its schema."""
        # kubectl believes for hours what it once saw of a group, also that it lacks the new kind.
        shutil.rmtree(self._kubectl_cache, ignore_errors=True)
        return all(
            self.kubectl("explain", plural, f"--api-version={version}", check=False).returncode == 0
            for version, plural in wanted
        )

    def service_account_kubeconfig(self, namespace: str, name: str, lifetime_s: int = 24 * 3600) -> Path:
        """A kubeconfig (mode 0600) whose only credential is a service account's token of `lifetime_s`.

        It comes from the API's TokenRequest, as a pod's does; so RBAC sees what it would see in a cluster.
        """
        token = self.kubectl(
            "create", "token", name, "--namespace", namespace, f"--duration={lifetime_s}s"
        ).stdout
        admin = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten").stdout)
        user = f"system:serviceaccount:{namespace}:{name}"
        path = self.directory / f"kubeconfig-{namespace}-{name}"
        write_kubeconfig(path, self._cluster(admin), {"token": token.strip()}, user, namespace)
        return path

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Ask `condition` until it holds.

        Raises:
            ControlPlaneError: it does not within `timeout_s` seconds, or a component has ended meanwhile.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"waited {timeout_s:.0f} s in vain for {what}{self._diagnosis()}")
            time.sleep(_POLL_S)

    def _diagnosis(self) -> str:
        """What the logs say, for the message of a wait that was in vain."""
        return ""

    def _running(self) -> Workshop:
        if self._workshop is None:
            raise ControlPlaneError("this control plane is not started")
        return self._workshop

    @staticmethod
    def _cluster(config: dict[str, Any]) -> dict[str, Any]:
        """The cluster entry of the current context."""
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        return next(dict(c["cluster"]) for c in config["clusters"] if c["name"] == context["cluster"])


def _source(path: Path) -> list[str]:
    """kubectl's arguments for what stands at `path`."""
    names = ("kustomization.yaml", "kustomization.yml", "Kustomization")
    return ["-k" if any((path / name).is_file() for name in names) else "-f", str(path)]


def write_kubeconfig(
    path: Path,
    cluster: Mapping[str, Any],
    user: Mapping[str, Any],
    user_name: str,
    namespace: str = "default",
) -> None:
    """Write a kubeconfig of one cluster, one user and one context to `path`, readable by this user only."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": dict(cluster)}],
        "users": [{"name": user_name, "user": dict(user)}],
        "contexts": [
            {"name": "sandbox", "context": {"cluster": "sandbox", "user": user_name, "namespace": namespace}}
        ],
        "current-context": "sandbox",
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
