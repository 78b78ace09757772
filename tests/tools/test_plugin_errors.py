"""What the installed `kubectl-mailegress` says when the API server cannot help."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

PROGRAM = Path(sys.executable).parent / "kubectl-mailegress"


class Server:
    """Answers every request with one status."""

    def __init__(self, directory: Path) -> None:
        self.status = 200
        self.body: object = {"items": []}
        self.kubeconfig = directory / "kubeconfig"
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response(self.body, status=self.status)

    def refuse(self, status: int, message: str) -> None:
        self.status = status
        self.body = {"kind": "Status", "message": message, "reason": "Reason", "code": status}

    def write(self, url: str) -> None:
        self.kubeconfig.write_text(
            f"current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u, namespace: mail}}}}]\n"
            f"clusters: [{{name: k, cluster: {{server: '{url}'}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, complaint."""
        environ = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            env={**environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, out.decode(), complaint.decode()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    found = Server(tmp_path)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = str(runner.addresses[0][1])
    found.write(f"http://127.0.0.1:{found.url}")
    yield found
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, "install the operator with its CRDs"),
        (403, "bind the ClusterRole mailegress-viewer"),
        (401, "log in again"),
        (500, "the API server refuses"),
    ],
)
async def test_refusals(server: Server, status: int, says: str) -> None:
    server.refuse(status, "\x1b[31mno\nway")
    for arguments in (["status"], ["status", "outbound"]):
        code, out, complaint = await server.run(*arguments)
        last = complaint.splitlines()[-1]
        assert (code, out) == (1, "")
        assert last.startswith("kubectl mailegress: ")
        assert says in last
        assert last.isprintable()
    if status == 404:
        code, _, complaint = await server.run("suspend", "outbound")
        assert (code, says in complaint) == (1, True)


async def test_an_empty_namespace(server: Server) -> None:
    code, out, _ = await server.run("status")
    assert (code, out) == (0, "There is no MailEgress. List all namespaces with -A.\n")
    code, _, complaint = await server.run("status", "outbound")
    assert code == 1
    assert "no MailEgress 'outbound' in namespace mail" in complaint


async def test_a_server_that_does_not_answer(server: Server, unused_tcp_port: int) -> None:
    server.write(f"http://127.0.0.1:{unused_tcp_port}")
    code, _, complaint = await server.run("status")
    assert code == 1
    assert "kubectl version" in complaint


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cannot be read"), ("current-context: x", "no context 'x'"), ("a: b", "no current context")],
)
async def test_a_kubeconfig_that_cannot_be_used(server: Server, text: str, says: str) -> None:
    server.kubeconfig.write_text(text)
    code, _, complaint = await server.run("status")
    assert code == 1
    assert says in complaint
    assert "--kubeconfig" in complaint


async def test_ctrl_c_ends_it_while_nobody_reads_what_it_prints(server: Server) -> None:
    """Given a full pipe and no reader, the program ends, also where the interpreter writes what is left."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "status", "--watch",
            env={k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
            | {"KUBECONFIG": str(server.kubeconfig)},
            stdout=writing,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.to_thread(wait_for_a_write, process.pid)
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        os.close(reading)
        os.close(writing)


def wait_for_a_write(pid: int) -> None:
    """Until the process waits in write(2) to its standard output."""
    deadline = time.monotonic() + 30
    call = Path(f"/proc/{pid}/syscall")
    while not re.match("1 0x1 ", call.read_text()):
        assert time.monotonic() < deadline, call.read_text()
        time.sleep(0.02)
