"""`kubectl mailegress probe`: the Job that it makes, what keeps it from running, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mailegress.tools.plugin import job, probe_options
from mailegress.tools.plugin import probe as probing
from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.completion import complete
from mailegress.tools.probe.report import Report
from mailegress.tools.probe.smtp import Connection, Conversation, Reply

PROGRAM = Path(sys.executable).parent / "kubectl-mailegress"
JOB = "mailegress-probe-x7k2p"
IMAGE = "registry.example/mailegress:1"


def report(connection: Connection = Connection.OPEN, *seen: str) -> str:
    talk = Conversation(connection, Reply(220, "hello"), Reply(250, "mx"), "", seen)
    return Report("mx.example.net", "198.51.100.25", talk).to_text()


def pod(**state: Any) -> dict[str, Any]:
    """A pod whose container is in this state."""
    return {
        "spec": {"nodeName": "node1"},
        "status": {"podIP": "10.1.2.3", "containerStatuses": [{"image": IMAGE, "state": state}]},
    }


def ended(message: str, code: int = 0, reason: str = "Completed") -> dict[str, Any]:
    return pod(terminated={"exitCode": code, "reason": reason, "message": message})


class Api:
    """Answers the requests of one probe. ``pods``: of each list, the last one again; ``refusal``: of the Job."""

    def __init__(self) -> None:
        self.pods: list[list[dict[str, Any]]] = [[], [ended(report(Connection.OPEN, "203.0.113.10"))]]
        self.refusal: tuple[int, str] | None = None
        self.events: list[dict[str, Any]] = []
        self.conditions: list[dict[str, Any]] = []
        self.undeletable = False
        self.made: list[Any] = []
        self.deleted: list[str] = []
        self.listed = asyncio.Event()
        self.kubeconfig = Path()

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path.startswith("/apis/mailegress.io/"):
            meg = {
                "metadata": {"name": "outbound", "namespace": "mail", "uid": "u"},
                "spec": {"hostname": "mta.example.com"},
                "status": {"publicIPs": ["203.0.113.10"]},
            }
            named = request.query.get("fieldSelector") == "metadata.name=outbound"
            return web.json_response({"items": [meg] if named else []})
        if request.method == "POST":
            if self.refusal is not None:
                return _refused(*self.refusal)
            self.made.append(await request.json())
            return web.json_response(
                {"metadata": {"name": JOB, "uid": "job-uid", "namespace": "mail"}}, status=201
            )
        if request.method == "DELETE":
            self.deleted.append(request.path_qs)
            return (
                _refused(403, 'jobs "x" is forbidden: User "u" cannot delete') if self.undeletable else _ok()
            )
        if path.endswith("/pods"):
            self.listed.set()
            found = self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]
            return web.json_response({"items": found})
        if path.endswith("/events"):
            return web.json_response({"items": self.events})
        return web.json_response({"metadata": {"name": JOB}, "status": {"conditions": self.conditions}})

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        environ = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        return await asyncio.create_subprocess_exec(
            PROGRAM,
            "probe",
            *(arguments or ("outbound", "--to", "example.net")),
            env={**environ, "KUBECONFIG": str(self.kubeconfig), "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, complaint, of the installed program."""
        process = await self.start(*arguments)
        out, complaint = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, out.decode(), said(complaint.decode())

    async def problem(self) -> str:
        """Why a probe in this process cannot run."""
        with pytest.raises(Problem) as raised:
            await probing.run(
                probing.Wanted("outbound", "example.net"), str(self.kubeconfig), None, as_json=False
            )
        return str(raised.value)


def said(complaint: str) -> str:
    """Without the warning about the test's http://."""
    return "".join(line for line in complaint.splitlines(True) if not line.endswith("unencrypted.\n"))


def _ok() -> web.Response:
    return web.json_response({"kind": "Status", "status": "Success"})


def _refused(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "message": message, "reason": "Forbidden", "code": code}
    return web.json_response(body, status=code)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    made = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    async with TestServer(app) as server:
        made.kubeconfig = tmp_path / "kubeconfig"
        made.kubeconfig.write_text(
            "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u, namespace: mail}}]\n"
            f"clusters: [{{name: k, cluster: {{server: '{server.make_url('')}'}}}}]\n"
            "users: [{name: u, user: {token: t}}]\n"
        )
        yield made


async def test_a_probe_reports_and_leaves_no_job(api: Api) -> None:
    code, out, complaint = await api.run()
    assert (code, complaint) == (0, "")
    first, second = out.splitlines()[:2]
    assert (
        first == "mail/outbound: Port 25 is open, and mail leaves from 203.0.113.10, which is in the status."
    )
    assert second == "To do: Nothing."
    assert "mx.example.net [198.51.100.25]:25" in out
    assert "10.1.2.3 on node node1" in out
    assert api.deleted == [f"/apis/batch/v1/namespaces/mail/jobs/{JOB}?propagationPolicy=Background"]
    [made] = api.made
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][:4] == ["smtp-probe", "example.net", "--helo", "mta.example.com"]
    assert made["metadata"]["namespace"] == "mail"


async def test_the_document_for_programs(api: Api) -> None:
    code, out, _ = await api.run("outbound", "--to", "example.net", "-o", "json")
    assert code == 0
    assert json.loads(out) == {
        "format": 1,
        "namespace": "mail",
        "name": "outbound",
        "to": "example.net",
        "outcome": "open",
        "message": "Port 25 is open, and mail leaves from 203.0.113.10, which is in the status.",
        "toDo": "Nothing.",
        "leavesFrom": "203.0.113.10",
        "evidence": "server",
        "note": None,
        "inStatus": True,
        "statusAddresses": ["203.0.113.10"],
        "server": {"host": "mx.example.net", "address": "198.51.100.25"},
        "banner": {"code": 220, "text": "hello"},
        "ehlo": {"code": 250, "text": "mx"},
        "node": "node1",
        "podAddress": "10.1.2.3",
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (report(Connection.TIMEOUT), 3),
        (report(Connection.REFUSED), 4),
        (report(Connection.OPEN, "203.0.113.99"), 5),
        (report(Connection.NOT_TRIED), 7),
    ],
)
async def test_each_outcome_has_its_exit_code(
    api: Api, text: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    api.pods = [[ended(text)]]
    wanted = probing.Wanted("outbound", "example.net")
    assert await probing.run(wanted, str(api.kubeconfig), None, as_json=False) == code
    assert "To do: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (
            (403, 'jobs.batch is forbidden: User "u" cannot create resource "jobs"'),
            "ClusterRole mailegress-prober",
        ),
        (
            (403, 'jobs.batch "x" is forbidden: exceeded quota: q, requested: count/jobs.batch=1'),
            "ResourceQuota",
        ),
        ((403, 'admission webhook "v.example" denied the request: \x1b[31mno'), "admission rule"),
        ((400, 'admission webhook "v.example" denied the request: no'), "admission rule"),
    ],
)
async def test_a_job_that_is_refused(api: Api, refusal: tuple[int, str], says: str) -> None:
    api.refusal = refusal
    complaint = await api.problem()
    assert api.deleted == []
    assert says in complaint
    assert complaint.isprintable()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ('pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5', "ResourceQuota"),
        (
            'pods "p" is forbidden: violates PodSecurity "restricted:latest"',
            "restricted pod security standard",
        ),
        ('admission webhook "v.example" denied the request: no', "admission rule"),
    ],
)
async def test_a_pod_that_is_refused(api: Api, message: str, says: str) -> None:
    api.pods = [[]]
    api.events = [{"reason": "FailedCreate", "message": f"Error creating: {message}"}]
    complaint = await api.problem()
    assert len(api.deleted) == 1
    assert "no pod can be created for the probe" in complaint
    assert says in complaint


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (pod(waiting={"reason": "ImagePullBackOff", "message": "no such image"}), "--image"),
        (pod(waiting={"reason": "CreateContainerConfigError", "message": "runs as root"}), "runs as root"),
        (ended("No such command 'smtp-probe'.", 2, "Error"), "exit code 2"),
        (
            ended("Traceback:\n" + "  File x\n" * 99 + "ValueError: no\n╰──╯", 1, "Error"),
            "(Error: ValueError: no)",
        ),
        (ended("", 137, "OOMKilled"), "OOMKilled"),
        ({"status": {"phase": "Failed", "reason": "Evicted", "message": "disk"}}, "Evicted: disk"),
    ],
)
async def test_a_pod_that_cannot_report(api: Api, found: dict[str, Any], says: str) -> None:
    api.pods = [[pod(waiting={"reason": "ContainerCreating"})], [found]]
    complaint = await api.problem()
    assert len(api.deleted) == 1
    assert says in complaint
    assert complaint.isprintable()


async def test_a_job_that_reached_its_deadline(api: Api) -> None:
    api.pods = [[]]
    api.conditions = [
        {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
    ]
    complaint = await api.problem()
    assert len(api.deleted) == 1
    assert "DeadlineExceeded: too long" in complaint


async def test_a_job_that_cannot_be_deleted_is_named_and_the_result_stays(api: Api) -> None:
    api.undeletable = True
    code, out, complaint = await api.run()
    assert code == 0
    assert "Port 25 is open" in out
    assert f"the Job {JOB} in namespace mail could not be deleted" in complaint
    assert "300 s after its end" in complaint


async def test_ctrl_c_deletes_the_job(api: Api) -> None:
    api.pods = [[pod(running={"startedAt": "2026-01-01T00:00:00Z"})]]
    process = await api.start()
    await asyncio.wait_for(api.listed.wait(), 60)
    process.send_signal(signal.SIGINT)
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out, said(complaint.decode())) == (130, b"", "")
    assert len(api.deleted) == 1


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("to", "me@example.net", "what follows the @"),
        ("to", "2001:db8::1", "neither a domain nor an IPv4 address"),
        ("to", "1.2.3.4.5", "neither a domain nor an IPv4 address"),
        ("to", "$(HOME).example", "neither a domain nor an IPv4 address"),
        ("to", "\x1b[31m", "neither a domain nor an IPv4 address"),
        ("address_from", "https://u:p@example.net/", "without credentials"),
        ("address_from", "file:///etc/passwd", "--address-from"),
        ("address_from", "https://example.net/$(X)", "--address-from"),
        ("resolvers", "dns.example", "--resolvers"),
        ("resolvers", "192.0.2.1:0", "--resolvers"),
        ("timeout_seconds", "0", "from 1 to 120"),
        ("timeout_seconds", "nan", "from 1 to 120"),
        ("image", "a b", "--image"),
        ("node", "Node/1", "--node"),
        ("pull_secret", "-", "--image-pull-secret"),
    ],
)
def test_wrong_usage_says_what_to_give(option: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as raised:
        options(**{option: text})
    assert str(raised.value).isprintable()


def options(**changed: Any) -> probing.Wanted:
    given: dict[str, Any] = {
        "name": "outbound",
        "to": "Example.NET.",
        "namespace": None,
        "image": None,
        "pull_secret": None,
        "node": None,
        "address_from": None,
        "resolvers": "",
        "timeout_seconds": "20",
    }
    return probe_options.wanted(**(given | changed))


def test_options_in_their_normal_form() -> None:
    assert options() == probing.Wanted("outbound", "example.net")
    assert options(to="198.51.100.25").target == "198.51.100.25"
    assert options(resolvers=" 192.0.2.1, 192.0.2.2:5353 ").resolvers == "192.0.2.1,192.0.2.2:5353"
    assert options(address_from="https://checkip.amazonaws.com").echo == "https://checkip.amazonaws.com"


async def test_wrong_usage_makes_no_job(api: Api) -> None:
    for arguments, says in (
        (("--to", "me@example.net"), "what follows"),
        (("--to", "a.example", "-o", "yaml"), "json"),
    ):
        code, out, complaint = await api.run("outbound", *arguments)
        assert (code, out, api.made) == (2, "", [])
        assert says in complaint


async def test_an_object_that_does_not_exist_makes_no_job(api: Api) -> None:
    code, _, complaint = await api.run("inbound", "--to", "example.net")
    assert (code, api.made) == (1, [])
    assert "no MailEgress 'inbound'" in complaint


def test_the_pod_has_no_rights_and_an_end() -> None:
    made = job.manifest("mail", job.Pod(IMAGE, ["smtp-probe"], 100, "node1", "login"))
    spec = made["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, job.START_SECONDS + 100)
    assert spec["ttlSecondsAfterFinished"] > 0
    pod_spec = spec["template"]["spec"]
    assert (pod_spec["automountServiceAccountToken"], pod_spec["restartPolicy"]) == (False, "Never")
    assert "hostNetwork" not in pod_spec
    assert pod_spec["nodeSelector"] == {"kubernetes.io/hostname": "node1"}
    assert pod_spec["imagePullSecrets"] == [{"name": "login"}]
    [container] = pod_spec["containers"]
    assert set(container["resources"]) == {"requests", "limits"}


def test_completion() -> None:
    assert complete(["pro"]) == ["probe"]
    assert complete(["probe", "outbound", "--ad"]) == ["--address-from"]
    assert complete(["probe", "outbound", "--to", "ex"]) == []
    assert complete(["probe", "outbound", "-o", "j"]) == ["json"]
