"""The probe's Job: its manifest, what may keep it from running, and the report of its pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailegress.api.lenient import mapping, mappings
from mailegress.api.text import clean_text
from mailegress.tools.probe.report import NoReport, Report

Json = Mapping[str, Any]

START_SECONDS: Final = 120
"""For the pod to be scheduled and its image to be pulled."""
KEPT_SECONDS: Final = 300
"""A Job that nobody could delete is deleted by Kubernetes so long after its end."""
TERMINATION_LOG: Final = "/dev/termination-log"
_TEXT = 300
# A pull or a mount that failed once is repeated by the kubelet; these are its words for "again and again" and "never".
_HOPELESS = {
    "ImagePullBackOff": "image",
    "InvalidImageName": "image",
    "ErrImageNeverPull": "image",
    "CreateContainerConfigError": "container",
    "CreateContainerError": "container",
    "RunContainerError": "container",
}


@dataclass(frozen=True, slots=True)
class Pod:
    """What the Job's pod is made from. ``seconds``: of the whole conversation; ``arguments``: of ``mailegress``."""

    image: str
    arguments: Sequence[str]
    seconds: float
    node: str | None = None
    pull_secret: str | None = None


def manifest(namespace: str, pod: Pod) -> Json:
    """A Job that the restricted pod security standard admits: one pod, one try, an end whatever happens."""
    labels = {
        "app.kubernetes.io/name": "mailegress-probe",
        "app.kubernetes.io/part-of": "mailegress",
        # The proxy of a mesh would take the connection, and would keep the Job from ending.
        "sidecar.istio.io/inject": "false",
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "probe",
                "image": pod.image,
                "args": list(pod.arguments),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                },
                "terminationMessagePath": TERMINATION_LOG,
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    if pod.node is not None:
        spec["nodeSelector"] = {"kubernetes.io/hostname": pod.node}
    if pod.pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": pod.pull_secret}]
    template = {
        "metadata": {"labels": labels, "annotations": {"linkerd.io/inject": "disabled"}},
        "spec": spec,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "mailegress-probe-", "namespace": namespace, "labels": labels},
        "spec": {
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(START_SECONDS + pod.seconds),
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": template,
        },
    }


@dataclass(frozen=True, slots=True)
class State:
    """Of the Job's pod. ``problem``: it will never report; ``waits``: what it waits for, if it did not start."""

    report: Report | None = None
    problem: str = ""
    waits: str = ""
    node: str = ""
    address: str = ""


def state(pod: Json) -> State:
    """What a pod's status means."""
    status, spec = mapping(pod.get("status")), mapping(pod.get("spec"))
    node, address = _text(spec.get("nodeName")), _text(status.get("podIP"))
    container = next(iter(mappings(status.get("containerStatuses"))), {})
    now = mapping(container.get("state"))
    ended = mapping(now.get("terminated"))
    if ended:
        try:
            return State(Report.from_text(str(ended.get("message") or "")), node=node, address=address)
        except NoReport:
            return State(problem=_ended(ended, container))
    waiting = mapping(now.get("waiting"))
    reason, message = _text(waiting.get("reason")), _text(waiting.get("message"))
    if reason in _HOPELESS:
        return State(problem=_hopeless(reason, message, _text(container.get("image"))))
    if status.get("phase") in ("Failed", "Succeeded"):
        why = ": ".join(filter(None, (_text(status.get("reason")), _text(status.get("message")))))
        return State(problem=f"the pod ended without a report: {why or 'no reason given'}; repeat the probe")
    if mapping(now.get("running")):
        return State(node=node, address=address)
    return State(waits=_waits(status, reason, message), node=node)


def refused(events: Sequence[Json]) -> str:
    """Why the Job's controller may not create the pod, from the Events about the Job; empty if it may."""
    for event in reversed(events):
        if event.get("reason") == "FailedCreate":
            said = _text(event.get("message"))
            return f"no pod can be created for the probe: {said}; {remedy(said)}"
    return ""


def failed(job: Json) -> str:
    """Why a Job has failed; empty while it has not."""
    for condition in mappings(mapping(job.get("status")).get("conditions")):
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            why = ": ".join(filter(None, (_text(condition.get("reason")), _text(condition.get("message")))))
            return f"the probe's Job failed without a report: {why}; repeat the probe"
    return ""


def remedy(said: str) -> str:
    """What to do about a refusal of a Job or a pod, from the API server's words."""
    if "exceeded quota" in said or "must specify" in said:
        return (
            "the ResourceQuota of the namespace leaves no room for one pod of 50m CPU and 64Mi (limits 500m "
            "and 128Mi): "
            "raise it, or delete what is not needed"
        )
    if "admission webhook" in said or "ValidatingAdmissionPolicy" in said:
        return (
            "an admission rule of this cluster refuses it: let its owner allow it, or give an image that "
            "it allows with --image"
        )
    if "PodSecurity" in said:
        return (
            "the Job keeps to the restricted pod security standard: something in the cluster changes its pods"
        )
    if "cannot " in said:
        return "let an administrator bind the ClusterRole mailegress-prober to you in this namespace"
    return "ask an administrator of the cluster"


def _hopeless(reason: str, message: str, image: str) -> str:
    said = f"{reason}: {message}" if message else reason
    if _HOPELESS[reason] == "image":
        return (
            f"the image {image} cannot be pulled ({said}); name the image of the operator with --image, and "
            f"if its registry "
            "wants a login, a Secret of the namespace with --image-pull-secret"
        )
    return f"the probe's container cannot be started ({said}); give the operator's own image with --image"


def _ended(ended: Json, container: Json) -> str:
    # Without a report, the message is the end of the log, and its last line says most.
    lines = [line for line in str(ended.get("message") or "").splitlines() if any(map(str.isalnum, line))]
    said = ": ".join(filter(None, (_text(ended.get("reason")), _text(lines[-1] if lines else ""))))
    return (
        f"the container of image {_text(container.get('image'))} ended with exit code "
        f"{_text(ended.get('exitCode'))} and "
        f"without a report ({said or 'no message'}); give the operator's image of this version with --image"
    )


def _waits(status: Json, reason: str, message: str) -> str:
    for condition in mappings(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return (
                f"no node takes the pod: {_text(condition.get('message')) or _text(condition.get('reason'))}"
            )
    return ": ".join(filter(None, (reason, message))) or "the pod has not started"


def _text(value: object) -> str:
    return clean_text(str(value), _TEXT) if isinstance(value, str | int) else ""
