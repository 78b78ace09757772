"""The probe's one connection, against servers on real sockets: kind ones, silent ones and hostile ones."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from mailegress.tools.probe.command import Wanted, probe
from mailegress.tools.probe.report import BYTES, Echo, NoReport, Report
from mailegress.tools.probe.smtp import (
    LINE,
    LINES,
    Connection,
    Conversation,
    Reply,
    client_addresses,
    converse,
)

HELO = "mta.example.com"
GOOD = b"220 mx.example.net ESMTP\r\n"
HELLO = b"250-mx.example.net Hello mta.example.com [203.0.113.10], pleased to meet you\r\n250-SIZE 1000\r\n250 HELP\r\n"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """``said``: what clients sent, a list for each connection."""

    def __init__(self) -> None:
        self.said: list[list[bytes]] = []
        self.port = 0

    async def lines(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        self.said.append([])
        while line := await reader.readline():
            self.said[-1].append(line)
            yield line


@asynccontextmanager
async def serving(script: Callable[[Server], Script]) -> AsyncIterator[Server]:
    made = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(made)(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


def replies(banner: bytes, *answers: bytes) -> Callable[[Server], Script]:
    """A server with a banner and an answer to each line; it closes after the last one."""

    def script(server: Server) -> Script:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(banner)
            left = list(answers)
            async for _ in server.lines(reader):
                if not left:
                    return
                writer.write(left.pop(0))

        return talk

    return script


def endless(banner: bytes, piece: bytes) -> Callable[[Server], Script]:
    """A server that never stops talking."""

    def script(server: Server) -> Script:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(banner)
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

        return talk

    return script


async def talked(
    script: Callable[[Server], Script], reply_seconds: float = 5.0
) -> tuple[Conversation, Server]:
    async with serving(script) as server:
        return await converse("127.0.0.1", HELO, 5.0, reply_seconds, server.port), server


async def test_a_server_is_greeted_and_left_without_mail() -> None:
    talk, server = await talked(replies(GOOD, HELLO, b"221 bye\r\n"))
    assert talk.connection is Connection.OPEN
    assert talk.banner == Reply(220, "mx.example.net ESMTP")
    assert talk.ehlo is not None
    assert talk.ehlo.code == 250
    assert (talk.seen, talk.problem) == (("203.0.113.10",), "")
    assert server.said == [[b"EHLO mta.example.com\r\n", b"QUIT\r\n"]]


@pytest.mark.parametrize(
    ("reply", "seen"),
    [
        ("250 mx.example.net at your service, [203.0.113.10]", ("203.0.113.10",)),
        ("250 mx.example.net Hello [203.0.113.10]", ("203.0.113.10",)),
        ("250 mx.example.net Hello ec2-203-0-113-10.compute.example [203.0.113.10]", ("203.0.113.10",)),
        ("250 mx.example.net", ()),
        ("250 mx.example.net [127.0.0.1] Hello", ()),
        ("250 mx.example.net version 1.2.3.4.5", ()),
        ("250 mx.example.net 300.0.113.10", ()),
        ("250 mx.example.net [203.0.113.10] for [203.0.113.11]", ("203.0.113.10", "203.0.113.11")),
    ],
)
async def test_the_client_address_is_read_from_the_reply_to_ehlo(reply: str, seen: tuple[str, ...]) -> None:
    talk, _ = await talked(
        replies(b"220 mx.example.net [198.51.100.25]\r\n", reply.encode() + b"\r\n", b"221\r\n")
    )
    assert talk.seen == seen, "an address in a welcome is the server's own"


async def test_a_refusal_that_names_the_client() -> None:
    text = b"554 5.7.1 Service unavailable; Client host [203.0.113.10] blocked\r\n"
    talk, server = await talked(replies(text, b"221 bye\r\n"))
    assert talk.banner is not None
    assert (talk.banner.code, talk.ehlo, talk.seen) == (554, None, ("203.0.113.10",))
    assert server.said == [[b"QUIT\r\n"]], "no EHLO to a server that refuses"


async def test_a_server_without_ehlo_gets_helo() -> None:
    talk, server = await talked(
        replies(GOOD, b"502 5.5.2 not implemented\r\n", b"250 mx.example.net\r\n", b"221\r\n")
    )
    assert talk.ehlo == Reply(250, "mx.example.net")
    assert server.said == [[b"EHLO mta.example.com\r\n", b"HELO mta.example.com\r\n", b"QUIT\r\n"]]


async def test_texts_of_the_server_are_cleaned() -> None:
    talk, _ = await talked(
        replies(b"220 \x1b[31mred\x07 \xff\xfe\xe2\x80\xae" + b"x" * 1000 + b"\r\n", HELLO, b"221\r\n")
    )
    assert talk.banner is not None
    assert talk.banner.text.isprintable()
    assert talk.banner.text.startswith("red")
    assert len(talk.banner.text) <= 300


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (replies(b"HTTP/1.1 400 Bad Request\r\n"), "no SMTP reply: 'HTTP/1.1 400 Bad Request'"),
        (replies(b"22\r\n"), "no SMTP reply"),
        (endless(b"220-", b"x" * LINE), f"a line of more than {LINE} octets"),
        (endless(b"", b"220-welcome\r\n"), f"a reply of more than {LINES} lines"),
        (replies(GOOD), "closed the connection"),
    ],
    ids=["http", "short", "endless line", "endless reply", "no reply to EHLO"],
)
async def test_a_server_that_is_none_ends_the_probe(script: Callable[[Server], Script], says: str) -> None:
    talk, _ = await talked(script)
    assert talk.connection is Connection.OPEN
    assert says in talk.problem
    assert talk.problem.isprintable()


async def test_a_slow_reply_has_one_time_limit_for_all_of_its_lines() -> None:
    def script(server: Server) -> Script:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"220-wait\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)

        return talk

    talk, _ = await talked(script, reply_seconds=0.4)
    assert talk.problem == "the server sent no complete reply in 0.4 s"


async def test_a_slow_banner_within_the_limit_is_waited_for() -> None:
    def script(server: Server) -> Script:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.3)
            await replies(GOOD, HELLO, b"221\r\n")(server)(reader, writer)

        return talk

    talk, _ = await talked(script, reply_seconds=5.0)
    assert (talk.problem, talk.seen) == ("", ("203.0.113.10",))


async def test_a_closed_port_is_refused(unused_tcp_port: int) -> None:
    talk = await converse("127.0.0.1", HELO, 5.0, 5.0, unused_tcp_port)
    assert (talk.connection, talk.banner) == (Connection.REFUSED, None)


@contextmanager
def full_queue() -> Iterator[int]:
    """A port whose queue of connections is full, so that the kernel drops every further SYN."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
            waiting.append(client)
        try:
            yield listening.getsockname()[1]
        finally:
            for client in waiting:
                client.close()


async def test_a_port_without_an_answer_is_a_time_out() -> None:
    with full_queue() as port:
        talk = await converse("127.0.0.1", HELO, 0.5, 5.0, port)
    assert (talk.connection, talk.problem) == (Connection.TIMEOUT, "no answer in 0.5 s")


async def test_an_address_without_a_route_is_unreachable() -> None:
    # RFC 5735: nothing is sent to a class E address; the kernel refuses at once.
    talk = await converse("255.255.255.255", HELO, 5.0, 5.0)
    assert talk.connection is Connection.UNREACHABLE
    assert talk.problem


def test_addresses_in_texts_are_those_of_the_client() -> None:
    texts = ["from [203.0.113.10] to 198.51.100.25", "again 203.0.113.10."]
    assert client_addresses(texts, "198.51.100.25") == ("203.0.113.10",)


# ---------------------------------------------------------------- the report


async def test_the_report_of_a_probe() -> None:
    async with serving(replies(GOOD, HELLO, b"221\r\n")) as server:
        report = await probe(Wanted("127.0.0.1", HELO, port=server.port))
    assert (report.host, report.address) == ("127.0.0.1", "127.0.0.1")
    assert Report.from_text(report.to_text()) == report


@pytest.mark.parametrize(
    ("answer", "address", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n203.0.113.10\n", "203.0.113.10", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "", "no IPv4 address: '<html>'"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "", "status 302"),
        (b"", "", "isconnected"),
    ],
)
async def test_an_echo_service_is_asked_once_and_not_trusted(
    answer: bytes, address: str, problem: str
) -> None:
    def script(server: Server) -> Script:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.said.append([await reader.readuntil(b"\r\n\r\n")])
            writer.write(answer)

        return talk

    async with serving(replies(GOOD, HELLO, b"221\r\n")) as mail, serving(script) as echo:
        report = await probe(
            Wanted("127.0.0.1", HELO, echo=f"http://127.0.0.1:{echo.port}/", port=mail.port, seconds=5.0)
        )
    assert report.echo is not None
    assert report.echo.address == address
    assert problem in report.echo.problem
    assert len(echo.said) == (2 if not answer else 1), (
        "a connection that was closed unanswered is tried again"
    )


@pytest.mark.parametrize("character", ["\U0001f4e7", '"', "\\", "x"])
def test_a_report_fits_into_a_termination_message(character: str) -> None:
    long = character * 300
    talk = Conversation(
        Connection.OPEN, Reply(220, long), Reply(250, long), long, tuple(f"203.0.113.{n}" for n in range(50))
    )
    text = Report("m" * 300, "203.0.113.25", talk, echo=Echo("", long)).to_text()
    assert len(text.encode()) <= BYTES
    assert Report.from_text(text).conversation.banner is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No such command 'smtp-probe'.",
        "[]",
        "[" * 100_000,
        '{"format":2}',
        '{"format":1,"connection":"maybe"}',
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(NoReport):
        Report.from_text(text)


def test_a_hostile_report_is_cleaned() -> None:
    stored = {
        "format": 1,
        "host": "\x1b[2Jmx\n",
        "address": "not an address",
        "connection": "open",
        "problem": ["list"],
        "seen": ["203.0.113.10", "\x1b[0m", 7],
        "banner": {"code": 99999, "text": "x"},
        "ehlo": {"code": 250, "text": "a\x00b\x1b[31m" + "y" * 9999},
        "echo": {"address": "::1", "problem": "\x07"},
    }
    report = Report.from_text(json.dumps(stored))
    assert (report.host, report.address, report.conversation.problem) == ("mx", "", "")
    assert (report.conversation.seen, report.conversation.banner) == (("203.0.113.10",), None)
    assert report.conversation.ehlo is not None
    assert report.conversation.ehlo.text.isprintable()
    assert report.echo == Echo("", "")
