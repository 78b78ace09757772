"""From the last release to this one and back, with twenty MailEgresses that are Ready: nothing may happen to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from mailegress.api.advisories import ALL_ADVISORIES
from sandbox.aws.model import AwsModel
from sandbox.cloud import Cloud
from sandbox.dns.model import DnsWorld
from sandbox.image import version
from sandbox.seed import HOME, add_eip, seed_samples

from .cluster import Cluster, E2eError
from .former import Former
from .release import CHART, GONE_S, USERS, Release
from .report import Steps

NUMBER = 20
_IDS = [f"eipalloc-0{number:016x}" for number in range(1, NUMBER + 1)]
_NAMES = [f"m{number}" for number in range(1, NUMBER + 1)]


def seed(model: AwsModel, dns: DnsWorld) -> None:
    """The world of the samples, with an Elastic IP for each MailEgress."""
    seed_samples(model, dns)
    region = model.account().region(HOME)
    for number, allocation_id in enumerate(_IDS):
        add_eip(model, region, allocation_id, f"203.0.113.{100 + number}")


class Upgrade(Release):
    """`former`: the release that is upgraded from and rolled back to."""

    def __init__(
        self, cluster: Cluster, cloud: Cloud, values: Mapping[str, Any], steps: Steps, former: Former
    ) -> None:
        super().__init__(cluster, cloud, values, steps)
        self._former = former

    def play(self) -> None:
        """Raises E2eError, ControlPlaneError or KubectlError when a promise is not kept."""
        world, objects = self.cloud.aws.dump(), self.cluster.inventory()
        self.namespaces()
        with self.steps.step(f"helm install {self._former.version}"):
            self._to_former("install")
        self._twenty()
        self._unnoticed("helm upgrade to this version", self._to_this)
        self._unnoticed(f"helm upgrade back to {self._former.version}", self._to_former)
        self._edited_meanwhile()
        with self.steps.step("delete the MailEgresses"):
            self.cluster.kubectl("delete", "mailegress", "-n", USERS, "--all", within_s=GONE_S)
        self.world_as_before(world)
        self.uninstall(objects)

    def _to_former(self, verb: str = "upgrade") -> None:
        chart = self._former.chart
        self.helm(verb, chart=chart, values=self._former.understood(self.values))
        self._runs(self._former.version)

    def _to_this(self) -> None:
        self.helm("upgrade", chart=CHART)
        self._runs(version())

    def _runs(self, wanted: str) -> None:
        """One pod is left, and it runs this version."""
        self.cluster.wait(lambda: len(self.cluster.pods()) == 1, GONE_S, "the former pod to be gone")
        (pod,) = self.cluster.pods()
        image = pod["spec"]["containers"][0]["image"]
        if not image.endswith(f":{wanted}"):
            raise E2eError(f"the pod runs {image}, not version {wanted}")

    def _twenty(self) -> None:
        with self.steps.step(f"{NUMBER} MailEgresses become Ready"):
            self.cluster.kubectl("apply", "-n", USERS, "-f", "-", stdin=json.dumps(_manifests()))
            self.ready("--all")

    def _unnoticed(self, name: str, act: Callable[[], None]) -> None:
        """No write to AWS, no condition that flips, no Event that is lost or comes again."""
        with self.steps.step(f"{name}: no write to AWS, no flap, the same Events") as facts:
            flips, events = self._flips(), self._events()
            self.quietly(act)
            self._settled()
            if (after := self._flips()) != flips:
                moved = sorted({key[0] for key in flips.items() ^ after.items()})
                raise E2eError(f"conditions moved although nothing had changed: {moved}")
            if (now := self._events()) != events:
                raise E2eError(f"Events differ: lost {dict(events - now)}, new {dict(now - events)}")
            facts["events"] = events.total()

    def _settled(self) -> None:
        """The new process has reconciled every object: each answered a request that was made of it."""
        request = f"step-{len(self.steps.done)}"
        self.cluster.kubectl(
            *("annotate", "mailegress", "-n", USERS, "--all", "--overwrite"),
            f"mailegress.io/reconcile-requested-at={request}",
        )
        self.cluster.wait(lambda: self._handled() == {request}, GONE_S, "every request to be handled")
        self.ready("--all")

    def _edited_meanwhile(self) -> None:
        with self.steps.step("an edit while the pods are replaced is carried out, with its Events"):
            self.edit(_NAMES[0], {"spec": {"hostname": "edited.example.com"}})
            self._to_this()
            self.ready("--all")
            self.cluster.wait(
                lambda: any(
                    "edited.example.com" in text for _, reason, text in self._events() if reason == "Ready"
                ),
                GONE_S,
                "the Event of the edit",
            )
            status = self.cluster.object("mailegress", _NAMES[0], "-n", USERS)["status"]
            if status["hostname"] != "edited.example.com":
                raise E2eError(f"{_NAMES[0]} is Ready with the hostname {status['hostname']}")

    def _objects(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.object("mailegress", "-n", USERS)["items"]
        return found

    def _flips(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(object, condition) -> its status, and when that changed last."""
        return {
            (each["metadata"]["name"], condition["type"]): (
                condition["status"],
                condition["lastTransitionTime"],
            )
            for each in self._objects()
            for condition in each["status"]["conditions"]
        }

    def _handled(self) -> set[str]:
        return {each["status"].get("lastHandledReconcileAt", "") for each in self._objects()}

    def _events(self) -> Counter[tuple[str, str, str]]:
        """(object, reason, message) of each Event, with how often it was reported.

        Without advice: what is advised differs between versions.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        for event in self.cluster.object("events.events.k8s.io", "-n", USERS)["items"]:
            name = event.get("regarding", {}).get("name", "")
            if event["reason"] in ALL_ADVISORIES:
                continue
            count = (event.get("series") or {}).get("count", 1)
            found[name, event["reason"], event.get("note", "")] += count
        return found


def _manifests() -> dict[str, Any]:
    items = [
        {
            "apiVersion": "mailegress.io/v1alpha1",
            "kind": "MailEgress",
            "metadata": {"name": name},
            "spec": {"hostname": f"{name}.example.com", "elasticIPs": [{"allocationID": allocation_id}]},
        }
        for name, allocation_id in zip(_NAMES, _IDS, strict=True)
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
