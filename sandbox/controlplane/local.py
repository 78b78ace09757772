"""A control plane made of plain processes on loopback: etcd, kube-apiserver, kube-controller-manager."""

from __future__ import annotations

import base64
import http.client
import random
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from .errors import ControlPlaneError
from .plane import ControlPlane, write_kubeconfig
from .processes import Workshop

_START_WITHIN_S = 180.0
_GRACE_S = 5.0
_ATTEMPTS = 3
# Below Linux's range for outgoing connections (32768 and up): a restarted server must find its port free.
_PORTS = range(20000, 32000)
# sun_path holds 108 bytes on Linux and 104 on macOS (unix(7), unix(4)).
_SOCKET_PATH_MAX = 103
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """Everything that runs; `version` is the API server's. Without a controller manager none runs."""

    etcd: Path
    apiserver: Path
    controller_manager: Path | None
    certs: Path
    kubectl: Path
    version: str


class LocalControlPlane(ControlPlane):
    """etcd on a socket in a private directory, the API server on a loopback port; RBAC decides."""

    _controllers: Sequence[str] = _CONTROLLERS

    def __init__(
        self,
        binaries: Binaries,
        environ: Mapping[str, str],
        origin: str = "binaries on this machine",
        ports: random.Random | None = None,
        apiserver_flags: Sequence[str] = (),
    ) -> None:
        """`ports` chooses the API server's port; `apiserver_flags` come last and so override the defaults."""
        super().__init__(binaries.kubectl, binaries.version, environ)
        self.origin = origin
        self.binaries = binaries
        self._random = ports if ports is not None else random.SystemRandom()
        self._flags = tuple(apiserver_flags)
        self._port = 0
        self._audited = ""

    def audit(self, user: str) -> None:
        self._audited = user

    def _bring_up(self, workshop: Workshop) -> None:
        directory = workshop.directory
        if len(str(self._socket)) > _SOCKET_PATH_MAX:
            raise ControlPlaneError(
                f"{self._socket} is too long for a socket's path; set TMPDIR to a shorter directory"
            )
        made = subprocess.run(
            [str(self.binaries.certs), str(directory)], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise ControlPlaneError(f"cannot make certificates: {made.stderr.strip()}")
        self._start_etcd()
        self._start_first_apiserver()
        self._write_kubeconfig("kubeconfig", "admin")
        self._write_kubeconfig("controller-manager.kubeconfig", "controller-manager")
        self._start_controllers()

    def _take_down(self) -> None:
        """Nothing to remove: everything is a process or in the directory."""

    def stop_apiserver(self) -> None:
        self._running().stop("kube-apiserver", grace_s=_GRACE_S)

    def start_apiserver(self) -> None:
        if self._running().running("kube-apiserver") is None:
            self._running().stop("kube-apiserver")
            self._launch_apiserver()
        self.wait_until(self._ready, _START_WITHIN_S, "kube-apiserver to be ready")
        # A controller manager that saw the server go backs off up to half a minute (it is even told
        # "forbidden" while the new server reads its roles), and one that was starting then has given up.
        self._running().stop("kube-controller-manager")
        self._start_controllers()

    def restart_etcd(self) -> None:
        # At once: with a grace period etcd waits for the API server's connections, which never end.
        self._running().stop("etcd")
        self._start_etcd()
        # `/readyz` remembers its last look at the store for a moment; a read of one object goes there.
        self.wait_until(self._stored, _START_WITHIN_S, "kube-apiserver to reach the restarted etcd")
        self.wait_until(self._ready, _START_WITHIN_S, "kube-apiserver to be ready")

    def ready(self) -> bool:
        """Whether the API server answers 200 on `/readyz` now."""
        return self._ready()

    @property
    def _socket(self) -> Path:
        return self.directory / "etcd.sock"

    def _launch(self, name: str, binary: Path, flags: Sequence[str]) -> None:
        self._running().start(name, [str(binary), *flags], self._outer | {"HOME": str(self.directory)})

    def _start_etcd(self) -> None:
        self._socket.unlink(missing_ok=True)
        self._launch(
            "etcd",
            self.binaries.etcd,
            [
                "--name=sandbox",
                f"--data-dir={self.directory / 'etcd'}",
                # Only this user can reach a socket in a private directory, and no port can be lost to a race.
                # (etcd refuses to advertise a socket; nobody uses the address that it advertises instead.)
                f"--listen-client-urls=unix://{self._socket}",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:0",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
        )

    def _start_first_apiserver(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = self._free_port()
            self._launch_apiserver()
            try:
                self.wait_until(self._ready, _START_WITHIN_S, "kube-apiserver to be ready")
            except ControlPlaneError as error:
                if "address already in use" not in str(error) or attempt == _ATTEMPTS:
                    raise
                self._running().stop("kube-apiserver")
            else:
                return

    def _launch_apiserver(self) -> None:
        pki = self.directory
        self._launch(
            "kube-apiserver",
            self.binaries.apiserver,
            [
                f"--etcd-servers=unix://{self._socket}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--cert-dir={pki}",
                f"--tls-cert-file={pki / 'apiserver.crt'}",
                f"--tls-private-key-file={pki / 'apiserver.key'}",
                f"--client-ca-file={pki / 'ca.crt'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={pki / 'service-account.pub'}",
                f"--service-account-signing-key-file={pki / 'service-account.key'}",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--endpoint-reconciler-type=none",
                # One user's sandbox: what is measured here should be the client's limits, not the server's.
                "--enable-priority-and-fairness=false",
                "--max-requests-inflight=3000",
                "--max-mutating-requests-inflight=1000",
                # Otherwise a server that is told to end waits for its watches, a minute long.
                "--shutdown-watch-termination-grace-period=2s",
                "--profiling=false",
                *self._audit_flags(),
                *self._flags,
            ],
        )

    def _audit_flags(self) -> list[str]:
        if not self._audited:
            return []
        policy = self.directory / "audit-policy.yaml"
        policy.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    # A watch answers when it starts; a server that is killed never completes it.
                    "omitStages": ["RequestReceived"],
                    "rules": [{"level": "Metadata", "users": [self._audited]}, {"level": "None"}],
                }
            )
        )
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.directory / 'audit.log'}"]

    def _start_controllers(self) -> None:
        if self.binaries.controller_manager is None:
            return
        pki = self.directory
        self._launch(
            "kube-controller-manager",
            self.binaries.controller_manager,
            [
                f"--kubeconfig={self.directory / 'controller-manager.kubeconfig'}",
                f"--controllers={','.join(self._controllers)}",
                f"--service-account-private-key-file={pki / 'service-account.key'}",
                f"--root-ca-file={pki / 'ca.crt'}",
                # The manager's own role cannot delete; each controller's role can (as in any cluster).
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--secure-port=0",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--profiling=false",
            ],
        )
        # The service account of the first namespace is the controllers' first visible work.
        self.wait_until(self._controllers_work, _START_WITHIN_S, "kube-controller-manager to work")

    def _controllers_work(self) -> bool:
        status, _ = self._get("/api/v1/namespaces/default/serviceaccounts/default")
        return status == http.client.OK

    def _stored(self) -> bool:
        status, _ = self._get("/api/v1/namespaces/default")
        return status == http.client.OK

    def _ready(self) -> bool:
        status, _ = self._get("/readyz")
        return status == http.client.OK

    def _get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET as the administrator; status 0 where nothing answers."""
        pki = self.directory
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=5, context=context)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _free_port(self) -> int:
        for _ in range(100):
            port = self._random.choice(_PORTS)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise ControlPlaneError(f"no free port between {_PORTS.start} and {_PORTS.stop - 1} on 127.0.0.1")

    def _write_kubeconfig(self, name: str, client: str) -> None:
        def inline(file: str) -> str:
            return base64.b64encode((self.directory / file).read_bytes()).decode()

        cluster = {
            "server": f"https://127.0.0.1:{self._port}",
            "certificate-authority-data": inline("ca.crt"),
        }
        user = {
            "client-certificate-data": inline(f"{client}.crt"),
            "client-key-data": inline(f"{client}.key"),
        }
        write_kubeconfig(self.directory / name, cluster, user, client)

    def _diagnosis(self) -> str:
        workshop = self._running()
        components = (
            workshop.running(name) for name in ("etcd", "kube-apiserver", "kube-controller-manager")
        )
        return "".join(f"\n{c.name} runs; the end of its log:\n{c.tail(10)}" for c in components if c)
