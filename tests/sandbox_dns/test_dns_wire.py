"""The same world over real sockets, asked with dnspython and dig."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import pytest
import pytest_asyncio

from sandbox.dns.dig_shim import complete, find_dig, parse
from sandbox.dns.knobs import Knob
from sandbox.dns.service import SandboxDns
from tests.support.skip import skipping

NS1, RECURSOR = "127.0.53.11", "127.0.53.101"


@pytest_asyncio.fixture
async def served(stage: Any) -> AsyncIterator[SandboxDns]:
    stage.source.put("ZONE", "mta.example.com", "A", ["203.0.113.25"])
    stage.source.set_ptr("203.0.113.25", "mta.example.com")
    async with SandboxDns(stage.world) as running:
        yield running


async def udp(port: int, server: str, name: str, rtype: str = "A", **options: Any) -> dns.message.Message:
    query = dns.message.make_query(name, rtype, **options)
    return await dns.asyncquery.udp(query, server, port=port, timeout=30)


async def test_starts_at_once_on_every_address(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(*_: Any) -> None:
        raise AssertionError("the start waits for time to pass")

    loop = asyncio.get_running_loop()
    running = SandboxDns(stage.world)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_at", wait)
        patched.setattr(time, "sleep", wait)
        await running.start()
    try:
        for address in stage.world.layout.all_servers().values():
            reply = await udp(running.port, address, "example.com.", "SOA")
            assert reply.rcode() in (dns.rcode.NOERROR, dns.rcode.REFUSED), address
    finally:
        await running.stop()
    assert running.endpoints()["recursors"] == ["127.0.53.101", "127.0.53.102"]


async def test_a_walk_from_the_root_to_the_answer(served: SandboxDns) -> None:
    server = served.endpoints()["roots"]["root.dns-sandbox.net."]
    for _ in range(2):
        reply = await udp(served.port, server, "mta.example.com.")
        assert not reply.flags & dns.flags.AA
        server = next(rdata.address for rrset in reply.additional for rdata in rrset)
    reply = await udp(served.port, server, "mTa.ExAmPlE.com.")
    assert reply.flags & dns.flags.AA
    assert str(reply.question[0].name) == "mTa.ExAmPlE.com."
    assert reply.answer[0].to_text() == "mTa.ExAmPlE.com. 300 IN A 203.0.113.25"


async def test_recursors_answer_over_udp_and_tcp(served: SandboxDns) -> None:
    query = dns.message.make_query("25.113.0.203.in-addr.arpa.", "PTR")
    for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
        reply = await ask(query, RECURSOR, port=served.port, timeout=5)
        assert reply.flags & dns.flags.RA
        assert not reply.flags & dns.flags.AA
        assert [rdata.to_text() for rdata in reply.answer[0]] == ["mta.example.com."]


async def test_a_long_answer_is_truncated_and_whole_over_tcp(stage: Any, served: SandboxDns) -> None:
    stage.source.put("ZONE", "many.example.com", "A", [f"203.0.113.{i}" for i in range(60)])
    plain = await udp(served.port, NS1, "many.example.com.")
    assert plain.flags & dns.flags.TC
    assert plain.answer == []
    assert (
        not (await udp(served.port, NS1, "many.example.com.", use_edns=0, payload=1232)).flags & dns.flags.TC
    )
    query = dns.message.make_query("many.example.com.", "A")
    whole, over_tcp = await dns.asyncquery.udp_with_fallback(query, NS1, port=served.port, timeout=5)
    assert over_tcp
    assert len(whole.answer[0]) == 60


async def test_forced_truncation_and_silence(served: SandboxDns) -> None:
    served.control("knob-add", {"server": "ns-1", "truncate": True})
    served.control("knob-add", {"server": "ns-2", "silent": True})
    query = dns.message.make_query("mta.example.com.", "A", use_edns=0)
    reply, over_tcp = await dns.asyncquery.udp_with_fallback(query, NS1, port=served.port, timeout=5)
    assert over_tcp
    assert reply.answer
    assert reply.edns == 0
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(query, "127.0.53.12", port=served.port, timeout=0.2)


async def test_a_delay_holds_only_its_own_reply(
    served: SandboxDns, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip = skipping(monkeypatch)
    stage.world.knobs.add(Knob("ns-1", name="mta.example.com", delay=10.0))
    slow = asyncio.create_task(udp(served.port, NS1, "mta.example.com."))
    for seconds in (0.0, 5.0, 5.0):
        assert not slow.done()
        skip(seconds)
        await udp(served.port, NS1, "example.com.", "SOA")
    assert (await slow).answer


async def test_garbage_does_not_stop_a_server(served: SandboxDns) -> None:
    good = dns.message.make_query("mta.example.com.", "A").to_wire()
    answered = bytes([good[0], good[1], good[2] | 0x80]) + good[3:]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (NS1, served.port))
        for junk in (b"", b"x", bytes(11), answered, answered[:20]):
            await loop.sock_sendall(sock, junk)
        for broken, rcode in ((good[:-3], 1), (good[:2] + b"\x28" + good[3:], 4), (good[:4] + bytes(8), 1)):
            await loop.sock_sendall(sock, broken)
            reply = await asyncio.wait_for(loop.sock_recv(sock, 4096), 5)
            assert (reply[:2], reply[2] & 0x80, reply[3] & 0xF) == (good[:2], 0x80, rcode)
    _, writer = await asyncio.open_connection(NS1, served.port)
    writer.write(b"\xff\xffGET / HTTP/1.1")
    writer.close()
    assert (await udp(served.port, NS1, "mta.example.com.")).answer


async def test_unparsable_user_data_is_servfail(stage: Any, served: SandboxDns) -> None:
    stage.source.put("ZONE", "bad.example.com", "A", ["not-an-address"])
    assert (await udp(served.port, NS1, "bad.example.com.")).rcode() == dns.rcode.SERVFAIL
    assert (await udp(served.port, NS1, "mta.example.com.", "AXFR")).rcode() == dns.rcode.REFUSED


async def test_a_taken_port_is_an_error(stage: Any, served: SandboxDns) -> None:
    with pytest.raises(OSError, match="in use"):
        await SandboxDns(stage.world, served.port).start()


async def run(script: Path, path: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(script), *arguments, env={"PATH": path}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_dig_without_a_real_one(served: SandboxDns, tmp_path: Path) -> None:
    script = served.install_dig(tmp_path / "bin")
    path = str(tmp_path / "bin")
    code, out = await run(script, path, "mta.example.com", "A")
    assert code == 0
    assert "status: NOERROR" in out
    assert "flags: qr rd ra;" in out
    assert "mta.example.com.\t300\tIN\tA\t203.0.113.25" in out
    assert await run(script, path, "-x", "203.0.113.25", "+short") == (0, "mta.example.com.\n")
    _, out = await run(script, path, "@ns-1.awsdns-sandbox.org", "mta.example.com", "+norecurse")
    assert "flags: qr aa;" in out
    assert f";; SERVER: {NS1}#{served.port}" in out


async def test_dig_hands_over_to_the_real_one(served: SandboxDns, tmp_path: Path) -> None:
    real = tmp_path / "real" / "dig"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\necho "$@"\n')
    real.chmod(0o755)
    script = served.install_dig(tmp_path / "bin")
    path = f"{tmp_path / 'bin'}:{tmp_path / 'real'}:/bin:/usr/bin"
    assert await run(script, path, "mta.example.com", "A") == (
        0,
        f"@{RECURSOR} -p {served.port} mta.example.com A\n",
    )


def test_dig_arguments() -> None:
    assert complete(["a.example"], RECURSOR, 5300) == ["@127.0.53.101", "-p", "5300", "a.example"]
    assert complete(["@127.0.53.11", "x"], RECURSOR, 5300) == ["-p", "5300", "@127.0.53.11", "x"]
    assert complete(["@127.0.53.11", "-p", "53", "x"], RECURSOR, 5300) == ["@127.0.53.11", "-p", "53", "x"]
    assert complete(["@192.0.2.53", "x"], RECURSOR, 5300) == ["@192.0.2.53", "x"]
    command = parse(["@127.0.53.11", "-p", "5300", "-t", "txt", "a.example", "b.example", "mx", "+tcp"])
    assert command.questions == [("a.example", "TXT"), ("b.example", "MX")]
    assert (command.server, command.port, command.tcp) == ("127.0.53.11", 5300, True)
    assert parse([]).questions == [(".", "NS")]


def test_dig_is_found_outside_its_own_directory(tmp_path: Path) -> None:
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dig").write_text("")
        (tmp_path / name / "dig").chmod(0o755)
    path = f"{tmp_path}/own:{tmp_path}/none:{tmp_path}/other"
    assert find_dig(path, str(tmp_path / "own")) == f"{tmp_path}/other/dig"
    assert find_dig(f"{tmp_path}/own", str(tmp_path / "own")) is None
