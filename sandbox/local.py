"""The whole sandbox: control plane, AWS, DNS and the operator, wired to each other."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.aws.model import Settings
from sandbox.cloud import OPERATOR_ARN, REGION, Cloud, Populate
from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.operator import REPO, OperatorProcess
from sandbox.shipped import ShippedPolicies

NAMESPACE = "mailegress-system"
SERVICE_ACCOUNT = "mailegress"
CRDS = REPO / "crds"
POLICY_RBAC = REPO / "deploy" / "components" / "policy" / "rbac.yaml"
EXTERNAL_DNS_RBAC = REPO / "deploy" / "components" / "external-dns" / "rbac.yaml"

FAST: Mapping[str, str] = {
    "resync_seconds": "3",
    "ec2_sweep_seconds": "2",
    "gateway_check_seconds": "1",
    "route53_sweep_seconds": "3",
    "resolver_check_seconds": "6",
    "ptr_ttl_seconds": "2",
    "ptr_refused_seconds": "4",
    "retry_seconds": "0.5",
    "retry_max_seconds": "4",
    "blocked_seconds": "1",
    "status_hold_seconds": "0.3",
    "dns_poll_seconds": "0.3",
    "dns_poll_max_seconds": "2",
    "dns_timeout_seconds": "0.5",
    "insync_poll_seconds": "0.2",
    "ptr_poll_seconds": "0.3",
    "lost_confirm_seconds": "2",
    "route53_rate": "200",
    "ec2_write_rate": "200",
    "ec2_read_rate": "200",
}
"""The operator's settings for a world whose delays are scaled down."""


def prepare(plane: ControlPlane) -> None:
    """Install the CRDs and the manifests of ``deploy/``; the operator itself runs beside the cluster."""
    plane.install_crds(CRDS)
    plane.apply(REPO / "deploy")
    # There is no kubelet that could run the pod; the process uses the same service account.
    plane.kubectl("-n", NAMESPACE, "delete", "deployment", "mailegress", "--wait=false")


class Sandbox:
    """A context manager. ``scale`` 1 = delays, TTLs, quotas like AWS's; smaller = faster, no quotas."""

    def __init__(
        self,
        *,
        scale: float = 1.0,
        operator: bool = True,
        say: Callable[[str], None] = lambda line: None,
        settings: Mapping[str, str] | None = None,
        plane: ControlPlane | None = None,
        populate: Populate | None = None,
        shipped_policies: bool = False,
        controllers: bool = True,
    ) -> None:
        """``plane``: a running control plane, already prepared, that is not this sandbox's to stop.

        ``settings``: the operator's; without them its defaults, or fast ones for a scale below 1.
        ``populate``: fills AWS and DNS before anything looks at them.
        ``controllers``: namespaces must be deletable; without that a first start builds less.
        ``shipped_policies``: the operator may do in AWS what ``deploy/iam`` allows, else everything.
        """
        self._say = say
        self._with_operator = operator
        self._settings = dict(settings or ({} if scale >= 1 else FAST))
        aws = Settings() if scale >= 1 else Settings.for_tests(scale)
        self.cloud = Cloud(aws, scale=scale, populate=populate)
        self._with_policies = shipped_policies
        self._own_plane = plane is None
        self.plane: ControlPlane = plane or find_or_build(
            say=lambda line: say(f"control plane: {line}"), controllers=controllers
        )
        self.directory = Path()
        self._stack = ExitStack()
        self._operators: list[OperatorProcess] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mailegress-sandbox-"))
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        if self._own_plane:
            self._say("starting the control plane, AWS and DNS")
            with ThreadPoolExecutor(2) as pool:
                plane = pool.submit(self._stack.enter_context, self.plane)
                cloud = pool.submit(self._stack.enter_context, self.cloud)
                cloud.result()
                plane.result()
            prepare(self.plane)
        else:
            self._stack.enter_context(self.cloud)
        if self._with_policies:
            self.policies = ShippedPolicies(self.cloud.aws, OPERATOR_ARN)
        if self._with_operator:
            self._say("starting the operator")
            self.operator = self.new_operator()
            self.operator.start()

    def new_operator(self, name: str = "operator", **settings: str) -> OperatorProcess:
        """Another operator process (not started) with the rights that ``deploy/`` gives it in its mode of policies."""
        kubeconfig = self.plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT)
        settings = {**self._settings, **settings}
        if settings.get("policy", "Off") != "Off":
            self.plane.apply(POLICY_RBAC)
        if settings.get("external_dns", "off") == "on":
            self.plane.apply(EXTERNAL_DNS_RBAC)
        if self._with_policies:
            self.policies.serve(settings, settings.get("regions", REGION).partition(",")[0])
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "KUBECONFIG": str(kubeconfig),
            "POD_NAMESPACE": NAMESPACE,
            "POD_NAME": name,
            "MAILEGRESS_LOG_FORMAT": "text",
            **self.cloud.operator_environ(),
            **{f"MAILEGRESS_{k.upper()}": v for k, v in settings.items()},
        }
        process = OperatorProcess(environ, self.directory / f"{name}.log", name)
        self._stack.callback(process.kill)
        return process

    def user_environ(self) -> dict[str, str]:
        """The environment in which a user's kubectl, aws and dig see this world and nothing else."""
        tools = self.directory / "bin"
        if not tools.exists():
            self.cloud.install_dig(tools)
            for name in ("aws", "mailegress", "kubectl-mailegress", "kubectl_complete-mailegress"):
                program = Path(sys.executable).parent / name
                if program.exists():
                    (tools / name).symlink_to(program)
        environ = {k: v for k, v in self.plane.environ().items() if not k.startswith("AWS_")}
        # A proxy cannot reach this machine's loopback addresses.
        others = environ.get("NO_PROXY") or environ.get("no_proxy")
        direct = ",".join(filter(None, [others, "127.0.0.1,localhost"]))
        return {
            **environ,
            **self.cloud.aws_environ(),
            # What `mailegress check` needs to see this world's DNS.
            **{k: v for k, v in self.cloud.operator_environ().items() if k.startswith("MAILEGRESS_DNS_")},
            "PATH": os.pathsep.join([str(tools), environ["PATH"]]),
            "DNS_PORT": str(self.cloud.dns_port),
            "DNS_RECURSORS": ",".join(self.cloud.recursors),
            "NO_PROXY": direct,
            "no_proxy": direct,
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
