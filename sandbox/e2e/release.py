"""One release in one cluster: helm, kubectl, and what its users and AWS see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.aws.model.world import diff
from sandbox.cloud import Cloud
from sandbox.operator import REPO

from .cluster import NAMESPACE, RELEASE, Cluster, E2eError
from .report import Steps

CHART = REPO / "deploy" / "helm" / "mailegress"
USERS = "mail"
"""The namespace of those who send mail."""
ROLLOUT_S, READY_S, GONE_S = 240.0, 240.0, 240.0
"""Patience of a busy machine; everything here takes seconds on an idle one."""
_WRITES = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")


class Release:
    """`values`: of the chart, so that the operator sees `cloud` from inside its pod."""

    def __init__(self, cluster: Cluster, cloud: Cloud, values: Mapping[str, Any], steps: Steps) -> None:
        self.cluster, self.cloud, self.steps = cluster, cloud, steps
        self.values = dict(values)
        self.world_diff = -1

    def namespaces(self) -> None:
        with self.steps.step("a namespace that admits restricted pods only"):
            manifest = (REPO / "deploy" / "base" / "namespace.yaml").read_text()
            self.cluster.kubectl("apply", "-f", "-", stdin=manifest)
            self.cluster.kubectl("create", "namespace", USERS)
            plain = ("run", "plain", "--image=localhost/none", "-n", NAMESPACE, "--dry-run=server")
            refused = self.cluster.plane.kubectl(*plain, check=False)
            if "violates PodSecurity" not in refused.stderr:
                raise E2eError(f"a pod without a security context is not refused:\n{refused.stderr}")

    def helm(
        self, verb: str, *words: str, chart: Path = CHART, values: Mapping[str, Any] | None = None
    ) -> None:
        """Install or upgrade the release and wait until it runs. ``values``: others than those of this chart."""
        path = self.cluster.plane.directory / "values.yaml"
        path.write_text(yaml.safe_dump(self.values if values is None else dict(values)))
        self.cluster.helm(
            *(
                verb,
                RELEASE,
                str(chart),
                "--values",
                str(path),
                *words,
                "--wait",
                f"--timeout={ROLLOUT_S:.0f}s",
            )
        )

    def uninstall(self, objects: set[str]) -> None:
        with self.steps.step("helm uninstall; the cluster is clean") as facts:
            self.cluster.helm("uninstall", RELEASE, "--wait", f"--timeout={ROLLOUT_S:.0f}s")
            self.cluster.wait(lambda: not self.cluster.pods(), GONE_S, "the operator's pods to be gone")
            crds = [name for name in self.cluster.inventory() if name.startswith("CustomResourceDefinition")]
            if "CustomResourceDefinition /mailegresses.mailegress.io" not in crds:
                raise E2eError("the CRD went with the release, and with it every MailEgress would have gone")
            self.cluster.kubectl(
                "delete", "crd", "mailegresses.mailegress.io", "mailegresspolicies.mailegress.io"
            )
            self.cluster.kubectl("delete", "namespace", NAMESPACE, USERS, within_s=GONE_S)
            left = sorted(self.cluster.inventory() - objects)
            if left:
                raise E2eError("the cluster is not as it was before; left are:\n  " + "\n  ".join(left))
            facts["objects"] = len(objects)

    def rolled_out(self) -> None:
        self.cluster.kubectl(
            *("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, f"--timeout={ROLLOUT_S:.0f}s"),
            within_s=ROLLOUT_S + 10,
        )

    def expect_pods(self, number: int) -> int:
        ready = self.cluster.ready_pods()
        if len(ready) != number:
            raise E2eError(f"{number} pods are to be ready, and these are: {', '.join(ready) or 'none'}")
        return number

    def pod(self) -> str:
        self.expect_pods(1)
        return self.cluster.ready_pods()[0]

    def ready(self, *which: str) -> None:
        self.cluster.kubectl(
            *(
                "wait",
                "mailegress",
                "-n",
                USERS,
                *which,
                "--for=condition=Ready",
                f"--timeout={READY_S:.0f}s",
            ),
            within_s=READY_S + 10,
        )

    def edit(self, name: str, patch: Mapping[str, Any]) -> None:
        self.cluster.kubectl(
            "patch", "mailegress", name, "-n", USERS, "--type=merge", "-p", json.dumps(patch)
        )

    def quietly(self, act: Any) -> None:
        """Do it, and see that a new process finds everything right without a write to AWS or a lost condition."""
        before = self.writes()
        act()
        self.ready("--all")
        if (after := self.writes()) != before:
            raise E2eError(f"a new process wrote to AWS although nothing had changed: {before} → {after}")

    def writes(self) -> dict[str, int]:
        counts = self.cloud.aws.counts()
        return {key: count for key, count in counts.items() if key.split(":")[1] in _WRITES}

    def world_as_before(self, world: Mapping[str, Any]) -> None:
        with self.steps.step("AWS and DNS are as before"):
            changes = diff(dict(world), self.cloud.aws.dump())
            self.world_diff = len(changes)
            if changes:
                raise E2eError("the world is not as it was before:\n" + "\n".join(changes))
