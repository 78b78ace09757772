"""The scenario: a release's life from its installation to the last trace gone, with a world that is as before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.aws.model.world import diff
from sandbox.cloud import Cloud
from sandbox.controlplane import KubectlError
from sandbox.operator import REPO

from .cluster import NAMESPACE, RELEASE, Cluster, E2eError
from .report import Steps

CHART = REPO / "deploy" / "helm" / "mailegress"
SAMPLES = REPO / "deploy" / "samples"
USERS = "mail"
"""The namespace of those who send mail."""

_LABEL = "app.kubernetes.io/name=mailegress"
_ROLLOUT_S, _READY_S, _GONE_S = 240.0, 240.0, 240.0
"""Patience of a busy machine; everything here takes seconds on an idle one."""
_WRITES = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")

_PROBE = """\
import json, os, importlib.util as u, pathlib, shutil
def written(path):
    try: open(path, 'w').close()
    except OSError as e: return e.strerror
    return 'written'
status = dict(l.split(':', 1) for l in open('/proc/1/status').read().splitlines() if ':' in l)
print(json.dumps({
    'uid': os.getuid(), 'gid': os.getgid(), 'caps': status['CapEff'].strip(), 'seccomp': status['Seccomp'].strip(),
    'no_new_privs': status['NoNewPrivs'].strip(), 'rss_mb': round(int(status['VmRSS'].split()[0]) / 1024),
    'root': written('/opt/mailegress/x'), 'tmp': written('/tmp/x'),
    'modules': [m for m in ('pip', 'setuptools', 'wheel', 'ensurepip', 'kubernetes') if u.find_spec(m)],
    'programs': [p for p in ('pip', 'pip3', 'gcc', 'cc', 'make', 'git', 'curl') if shutil.which(p)],
}))
"""
_EXPECTED = {
    "uid": 65532,
    "gid": 65532,
    "caps": "0000000000000000",
    "seccomp": "2",
    "no_new_privs": "1",
    "root": "Read-only file system",
    "tmp": "written",
    "modules": [],
    "programs": [],
}


class Scenario:
    """`values`: of the chart, so that the operator sees `cloud` from inside its pod."""

    def __init__(self, cluster: Cluster, cloud: Cloud, values: Mapping[str, Any], steps: Steps) -> None:
        self._cluster, self._cloud, self._steps = cluster, cloud, steps
        self._values = cluster.plane.directory / "values.yaml"
        self._values.write_text(yaml.safe_dump(dict(values)))
        self.world_diff = -1

    def play(self) -> None:
        """Raises E2eError, ControlPlaneError or KubectlError when a promise is not kept."""
        world, objects = self._cloud.aws.dump(), self._cluster.inventory()
        self._namespaces()
        self._install()
        self._hardened()
        self._samples()
        self._upgrade()
        self._restart()
        self._probes_gate()
        self._takeover()
        self._delete()
        self._world_as_before(world)
        self._uninstall(objects)

    # -- the release ----------------------------------------------------------------------------------------

    def _namespaces(self) -> None:
        with self._steps.step("a namespace that admits restricted pods only"):
            manifest = (REPO / "deploy" / "base" / "namespace.yaml").read_text()
            self._cluster.kubectl("apply", "-f", "-", stdin=manifest)
            self._cluster.kubectl("create", "namespace", USERS)
            plain = ("run", "plain", "--image=localhost/none", "-n", NAMESPACE, "--dry-run=server")
            refused = self._cluster.plane.kubectl(*plain, check=False)
            if "violates PodSecurity" not in refused.stderr:
                raise E2eError(f"a pod without a security context is not refused:\n{refused.stderr}")

    def _install(self) -> None:
        with self._steps.step("helm install --wait") as facts:
            self._helm("install")
            facts["pods"] = self._expect_pods(1)

    def _upgrade(self) -> None:
        with self._steps.step("helm upgrade --wait, a setting changed"):
            before = self._pod()
            self._quietly(lambda: self._helm("upgrade", "--set", "settings.logLevel=debug"))
            if self._pod() == before:
                raise E2eError(f"after the upgrade {before} still runs")

    def _restart(self) -> None:
        with self._steps.step("kubectl rollout restart"):
            self._quietly(self._roll)

    def _roll(self) -> None:
        self._cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
        self._rolled_out()

    def _rolled_out(self) -> None:
        self._cluster.kubectl(
            *("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, f"--timeout={_ROLLOUT_S:.0f}s"),
            within_s=_ROLLOUT_S + 10,
        )

    def _hardened(self) -> None:
        with self._steps.step("inside the pod: user, capabilities, read-only root, no installers") as facts:
            line = ("exec", "-n", NAMESPACE, self._pod(), "--", "python", "-c", _PROBE)
            seen: dict[str, Any] = json.loads(self._cluster.kubectl(*line))
            facts["rss_mb"] = seen.pop("rss_mb")
            if seen != _EXPECTED:
                raise E2eError(
                    f"the container is not as it should be:\n  found  {seen}\n  wanted {_EXPECTED}"
                )

    def _probes_gate(self) -> None:
        with self._steps.step("a pod that cannot do its work does not become ready") as facts:
            (binding,) = self._cluster.object("clusterrolebinding", "-l", _LABEL)["items"]
            self._cluster.kubectl("delete", "clusterrolebinding", binding["metadata"]["name"])
            before = self._pod()
            self._cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
            self._cluster.wait(lambda: bool(self._refusals(before)), _ROLLOUT_S, "a failed readiness probe")
            (pod,) = self._cluster.pods()
            (container,) = pod["status"]["containerStatuses"]
            if (container["started"], container["ready"]) != (True, False) or self._cluster.ready_pods():
                raise E2eError(f"the pod is to be started and not ready, and it is {container}")
            facts["probe"] = self._refusals(before)[0]
            self._cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_as_applied(binding)))
            self._rolled_out()

    def _refusals(self, before: str) -> list[str]:
        """What the kubelet told of failed readiness probes of pods younger than `before`."""
        events = self._cluster.object("events", "-n", NAMESPACE, "--field-selector=reason=Unhealthy")["items"]
        names = {pod["metadata"]["name"] for pod in self._cluster.pods()} - {before}
        return [
            event["message"].strip()
            for event in events
            if event["involvedObject"]["name"] in names and "Readiness probe failed" in event["message"]
        ]

    def _takeover(self) -> None:
        with self._steps.step("helm upgrade to 2 replicas"):
            self._helm("upgrade", "--set", "replicaCount=2", "--set", "settings.logLevel=debug")
            self._expect_pods(2)
            self._cluster.wait(lambda: self._leader() in self._cluster.ready_pods(), _READY_S, "a leader")
        with self._steps.step("kill the leader; the other one takes over and works") as facts:
            leader = self._leader()
            # The pod is gone from the API at once, whatever its process still does.
            self._cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
            self._edit("nat-gateway", {"spec": {"hostname": "mail.example.com"}})
            self._cluster.wait(
                lambda: self._leader() not in ("", leader), _READY_S, f"a leader after {leader}"
            )
            self._ready("nat-gateway")
            hostname = self._cluster.object("mailegress", "nat-gateway", "-n", USERS)["status"]["hostname"]
            if hostname != "mail.example.com":
                raise E2eError(f"nat-gateway is Ready with the hostname {hostname}, not with the new one")
            self._expect_pods(2)
            facts["leader"] = self._leader()

    def _uninstall(self, objects: set[str]) -> None:
        with self._steps.step("helm uninstall; the cluster is clean") as facts:
            self._helm_words("uninstall", RELEASE, "--wait", f"--timeout={_ROLLOUT_S:.0f}s")
            self._cluster.wait(lambda: not self._cluster.pods(), _GONE_S, "the operator's pods to be gone")
            crds = [name for name in self._cluster.inventory() if name.startswith("CustomResourceDefinition")]
            if "CustomResourceDefinition /mailegresses.mailegress.io" not in crds:
                raise E2eError("the CRD went with the release, and with it every MailEgress would have gone")
            self._cluster.kubectl(
                "delete", "crd", "mailegresses.mailegress.io", "mailegresspolicies.mailegress.io"
            )
            self._cluster.kubectl("delete", "namespace", NAMESPACE, USERS, within_s=_GONE_S)
            left = sorted(self._cluster.inventory() - objects)
            if left:
                raise E2eError("the cluster is not as it was before; left are:\n  " + "\n  ".join(left))
            facts["objects"] = len(objects)

    # -- MailEgresses -----------------------------------------------------------------------------------------

    def _samples(self) -> None:
        with self._steps.step("apply deploy/samples, kubectl wait Ready") as facts:
            self._cluster.kubectl("apply", "-n", USERS, "-f", str(SAMPLES))
            self._ready("--all")
            # A refused write is tried again after a pause, which explains a long step.
            refused = {key: count for key, count in self._writes().items() if not key.endswith(":ok")}
            if refused:
                facts["refused"] = refused

    def _ready(self, *which: str) -> None:
        self._cluster.kubectl(
            *(
                "wait",
                "mailegress",
                "-n",
                USERS,
                *which,
                "--for=condition=Ready",
                f"--timeout={_READY_S:.0f}s",
            ),
            within_s=_READY_S + 10,
        )

    def _edit(self, name: str, patch: Mapping[str, Any]) -> None:
        self._cluster.kubectl(
            "patch", "mailegress", name, "-n", USERS, "--type=merge", "-p", json.dumps(patch)
        )

    def _delete(self) -> None:
        with self._steps.step("delete the MailEgresses"):
            # The sample that would leave its records behind shall take them along.
            self._edit("several-eips", {"spec": {"deletionPolicy": "Delete"}})
            self._cluster.kubectl("delete", "mailegress", "-n", USERS, "--all", within_s=_GONE_S)

    def _world_as_before(self, world: Mapping[str, Any]) -> None:
        with self._steps.step("AWS and DNS are as before"):
            changes = diff(dict(world), self._cloud.aws.dump())
            self.world_diff = len(changes)
            if changes:
                raise E2eError("the world is not as it was before:\n" + "\n".join(changes))

    # -- helpers ----------------------------------------------------------------------------------------------

    def _helm(self, verb: str, *words: str) -> None:
        self._helm_words(
            *(verb, RELEASE, str(CHART), "--values", str(self._values), *words),
            *("--wait", f"--timeout={_ROLLOUT_S:.0f}s"),
        )

    def _helm_words(self, *words: str) -> None:
        self._cluster.helm(*words)

    def _expect_pods(self, number: int) -> int:
        ready = self._cluster.ready_pods()
        if len(ready) != number:
            raise E2eError(f"{number} pods are to be ready, and these are: {', '.join(ready) or 'none'}")
        return number

    def _pod(self) -> str:
        self._expect_pods(1)
        return self._cluster.ready_pods()[0]

    def _leader(self) -> str:
        """Holder of the Lease as the pod's name; empty if nobody holds it."""
        try:
            lease = self._cluster.object("lease", RELEASE, "-n", NAMESPACE)
        except KubectlError:
            return ""
        return str(lease["spec"].get("holderIdentity") or "").partition("_")[0]

    def _quietly(self, act: Any) -> None:
        """Do it, and see that a new process finds everything right without a write to AWS or a lost condition."""
        before = self._writes()
        act()
        self._ready("--all")
        if (after := self._writes()) != before:
            raise E2eError(f"a new process wrote to AWS although nothing had changed: {before} → {after}")

    def _writes(self) -> dict[str, int]:
        counts = self._cloud.aws.counts()
        return {key: count for key, count in counts.items() if key.split(":")[1] in _WRITES}


def _as_applied(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the API server adds to it."""
    added = ("resourceVersion", "uid", "creationTimestamp", "managedFields")
    metadata = {name: value for name, value in found["metadata"].items() if name not in added}
    return {**found, "metadata": metadata}
