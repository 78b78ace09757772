"""``kubectl mailegress probe``: a Job in the workload's namespace, its report, and the verdict on it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from mailegress import __version__
from mailegress.api.status import Status
from mailegress.api.text import clean_text
from mailegress.api.validation import is_hostname
from mailegress.kube.client import KubeRefused
from mailegress.reconcile.ports import KubeError, KubeGone
from mailegress.tools import terminal
from mailegress.tools.plugin import job
from mailegress.tools.plugin.cluster import Cluster, Json, Problem, reach
from mailegress.tools.probe.report import Report
from mailegress.tools.probe.smtp import Reply
from mailegress.tools.probe.verdict import Outcome, Verdict, judge
from mailegress.tools.terminal import Block, Table, Text

FORMAT = 1
IMAGE = f"ghcr.io/mailegress/mailegress:{__version__}"
"""The operator's own image of this version."""
POLL_SECONDS = 1.0
_CONVERSATION = 8
"""Connection and replies at their longest, in lengths of --timeout-seconds; DNS has 60 s besides."""

_TONES = {Outcome.OPEN: "good", Outcome.NO_VERDICT: "unsure"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to probe. ``target``: a domain or an IPv4 address; ``echo``: a URL or empty; ``resolvers``: as given."""

    name: str
    target: str
    namespace: str | None = None
    image: str = IMAGE
    pull_secret: str | None = None
    node: str | None = None
    echo: str = ""
    resolvers: str = ""
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Probed:
    """``addresses``: those of the status, sorted."""

    namespace: str
    name: str
    target: str
    addresses: tuple[str, ...]
    report: Report
    verdict: Verdict
    node: str
    pod_address: str


async def run(wanted: Wanted, kubeconfig: str | None, context: str | None, *, as_json: bool) -> int:
    """The exit code. Errors: :class:`~mailegress.tools.plugin.cluster.Problem`."""
    async with reach(kubeconfig, context) as cluster:
        probed = await probe(cluster, wanted)
    if as_json:
        sys.stdout.write(json.dumps(document(probed), indent=2) + "\n")
    else:
        terminal.show(blocks(probed))
    sys.stdout.flush()
    return probed.verdict.outcome.code


async def probe(cluster: Cluster, wanted: Wanted) -> Probed:
    """Create the Job, wait for its report, delete it. Errors: :class:`Problem`."""
    namespace = wanted.namespace or cluster.namespace
    body = await cluster.object(namespace, wanted.name)
    hostname = str((body.get("spec") or {}).get("hostname") or "").lower()
    if not is_hostname(hostname):
        raise Problem(f"{namespace}/{wanted.name} has no hostname to greet with; correct spec.hostname")
    status = Status.from_dict(body.get("status"))
    addresses = {*status.public_ips, *(a.public_ip for a in status.addresses if a.public_ip)}
    seconds = 60 + _CONVERSATION * wanted.seconds
    pod = job.Pod(wanted.image, _arguments(wanted, hostname), seconds, wanted.node, wanted.pull_secret)
    async with _created(cluster, namespace, pod) as made:
        ended = await _report(cluster, namespace, made, job.START_SECONDS + seconds)
    report = ended.report
    if report is None:
        raise Problem(ended.problem)
    listed = tuple(sorted(addresses))
    verdict = judge(report, listed, wanted.target, namespace)
    return Probed(namespace, wanted.name, wanted.target, listed, report, verdict, ended.node, ended.address)


def _arguments(wanted: Wanted, hostname: str) -> Sequence[str]:
    line = ["smtp-probe", wanted.target, "--helo", hostname, "--report", job.TERMINATION_LOG]
    line += ["--timeout-seconds", f"{wanted.seconds:g}"]
    line += ["--resolvers", wanted.resolvers] if wanted.resolvers else []
    line += ["--address-from", wanted.echo] if wanted.echo else []
    return line


@asynccontextmanager
async def _created(cluster: Cluster, namespace: str, pod: job.Pod) -> AsyncIterator[Json]:
    """The Job as the API server has it; deleted with its pod on leaving, whatever happened."""
    try:
        made = await cluster.request("POST", _jobs(namespace), job.manifest(namespace, pod))
    except KubeError as error:
        raise _refused(error, "create Jobs", namespace) from None
    path = _jobs(namespace, str(made["metadata"]["name"]))
    try:
        yield made
    finally:
        try:
            await cluster.request("DELETE", f"{path}?propagationPolicy=Background")
        except KubeGone:
            pass
        except KubeError as error:
            name = clean_text(str(made["metadata"]["name"]), 253)
            sys.stderr.write(
                f"kubectl mailegress: the Job {name} in namespace {namespace} could not be deleted "
                f"({error}); Kubernetes "
                f"deletes it {job.KEPT_SECONDS} s after its end\n"
            )


def _jobs(namespace: str, name: str = "") -> str:
    """The path of a namespace's Jobs, or of one."""
    return f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs{name and '/'}{quote(name, safe='')}"


async def _report(cluster: Cluster, namespace: str, made: Json, seconds: float) -> job.State:
    """The state of the Job's pod once it has ended, or cannot. Errors: :class:`Problem`."""
    name, uid = str(made["metadata"]["name"]), str(made["metadata"]["uid"])
    clock = asyncio.get_running_loop().time
    began = clock()
    query = urlencode({"labelSelector": f"batch.kubernetes.io/job-name={name}", "limit": "10"})
    pods = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods?{query}"
    while True:
        found = (await _read(cluster, pods, "list pods", namespace)).get("items") or ()
        seen = job.state(found[0]) if found else job.State(waits="the pod has not been created")
        if seen.report is not None or seen.problem:
            return seen
        if not found:
            problem = job.refused(await cluster.events(namespace, uid)) or job.failed(
                await _read(cluster, _jobs(namespace, name), "get Jobs", namespace)
            )
            if problem:
                raise Problem(problem)
        if seen.waits and clock() - began > job.START_SECONDS:
            raise Problem(f"the probe's pod does not start in {job.START_SECONDS} s: {seen.waits}")
        if clock() - began > seconds:
            raise Problem(f"the probe's pod gives no report in {seconds:g} s; repeat the probe")
        await asyncio.sleep(POLL_SECONDS)


async def _read(cluster: Cluster, path: str, what: str, namespace: str) -> Json:
    try:
        return await cluster.request("GET", path)
    except KubeGone:
        raise Problem("the probe's Job was deleted before it reported; repeat the probe") from None
    except KubeError as error:
        raise _refused(error, what, namespace) from None


def _refused(error: KubeError, what: str, namespace: str) -> Problem:
    if isinstance(error, KubeRefused) and error.code in (403, 422, 400):
        return Problem(f"you cannot {what} in namespace {namespace}: {error}; {job.remedy(str(error))}")
    return Problem(f"the API server cannot be used: {error}; see whether `kubectl version` reaches it")


# ---------------------------------------------------------------- output


def document(probed: Probed) -> dict[str, Any]:
    """For ``-o json``; documented in docs/cli.md."""
    report, verdict = probed.report, probed.verdict
    return {
        "format": FORMAT,
        "namespace": probed.namespace,
        "name": probed.name,
        "to": probed.target,
        "outcome": verdict.outcome.word,
        "message": verdict.message,
        "toDo": verdict.to_do,
        "leavesFrom": verdict.source.address or None,
        "evidence": verdict.source.evidence.value or None,
        "note": verdict.source.note or None,
        "inStatus": verdict.in_status,
        "statusAddresses": list(probed.addresses),
        "server": {"host": report.host, "address": report.address} if report.address else None,
        "banner": _reply(report.conversation.banner),
        "ehlo": _reply(report.conversation.ehlo),
        "node": probed.node or None,
        "podAddress": probed.pod_address or None,
    }


def _reply(reply: Reply | None) -> dict[str, Any] | None:
    return None if reply is None else {"code": reply.code, "text": reply.text}


def blocks(probed: Probed) -> Iterator[Block]:
    """For people."""
    report, verdict = probed.report, probed.verdict
    tone = _TONES.get(verdict.outcome, "bad")
    if verdict.outcome is Outcome.OPEN and not verdict.source.address:
        tone = "unsure"
    yield Text(f"{probed.namespace}/{probed.name}: {verdict.message}", tone)
    yield Text(f"To do: {verdict.to_do}")
    yield Text("")
    talk = report.conversation
    whence = verdict.source.address or "not known"
    if verdict.source.evidence:
        by = {"server": "named by the server", "echo": "named by --address-from, not on port 25"}
        whence += f" ({by[verdict.source.evidence.value]})"
    rows = [
        ("pod", " on node ".join(filter(None, (probed.pod_address, probed.node))) or "not known"),
        ("server", f"{report.host} [{report.address}]:25" if report.address else "none"),
        ("connection", talk.connection.value + (f" ({talk.problem})" if talk.problem else "")),
        ("banner", f"{talk.banner.code} {talk.banner.text}" if talk.banner else "none"),
        ("EHLO", f"{talk.ehlo.code} {talk.ehlo.text}" if talk.ehlo else "none"),
        ("leaves from", whence),
        ("in the status", ", ".join(probed.addresses) or "none"),
    ]
    if verdict.source.note:
        rows.append(("note", verdict.source.note))
    yield Table(("seen", "value"), rows)
