"""A name server sends replies that are expensive to read."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from mailegress.dns import wire
from mailegress.dns.query import ReplyTooLarge, Server
from mailegress.dns.udp import UdpQuery
from tests.hostile.conftest import Bound, LoopLag
from tests.hostile.evil import LONG, Evil, address_of

LAG = 0.25
"""Seconds by which the loop may be late."""

QUESTIONS = 16
"""Sockets that one namespace may have open."""

ATTEMPTS = 3
"""A busy machine delays the loop, too; a costly reply delays it each time."""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("behaviour", "size", "refused"),
    [
        ("many-addresses", 4000, True),
        ("many-addresses", 230, False),
        ("many-addresses", 60, False),
        ("many-strings", 64_000, True),
        ("many-strings", 3700, False),
        ("many-options", 16_000, True),
        ("many-options", 900, False),
    ],
)
async def test_costly_replies_do_not_delay_the_loop(
    behaviour: str, size: int, refused: bool, transport: str, bound: Bound, loop_lag: LoopLag
) -> None:
    query = UdpQuery(timeout=5.0)
    with Evil(behaviour, servers=1, size=size, truncate=transport == "tcp") as evil:
        server = Server("evil", address_of(0), evil.port)

        for _ in range(ATTEMPTS):
            loop_lag.worst = 0.0
            outcomes = await asyncio.gather(
                *(query(server, LONG.to_text(), dns.rdatatype.A, recurse=False) for _ in range(QUESTIONS)),
                return_exceptions=True,
            )
            if loop_lag.worst <= LAG:
                break
        sent = len(evil.asked())

    assert sent >= QUESTIONS
    assert {isinstance(outcome, ReplyTooLarge) for outcome in outcomes} == {refused}
    bound(
        f"DNS reply: loop lag in seconds, {size} {behaviour} over {transport}", limit=LAG, seen=loop_lag.worst
    )


@pytest.mark.parametrize(("size", "records", "refused"), [
    (4096, 256, False), (4097, 1, True), (65_535, 0, True), (512, 257, True), (100, 2 * 65_535, True),
])  # fmt: skip
def test_more_records_than_the_bound_are_refused_unread(size: int, records: int, refused: bool) -> None:
    counts = (1, min(records, 65_535), max(0, min(records - 65_535, 65_535)), 0)
    header = bytes(4) + b"".join(count.to_bytes(2, "big") for count in counts)
    with pytest.raises(ReplyTooLarge) if refused else contextlib.nullcontext():
        wire.check_size(Server("evil", "192.0.2.1"), size, header)


@pytest.mark.parametrize(("records", "outside"), [(1, False), (100, True)])
async def test_long_replies_are_parsed_outside_the_loop(
    records: int, outside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(*_: object, **__: object) -> dns.message.Message:
        threads.append(threading.current_thread())
        return reply

    question = dns.message.make_query("mta.example.com.", "A")
    reply = dns.message.make_response(question)
    reply.answer.append(
        dns.rrset.from_text("mta.example.com.", 60, "IN", "A", *(f"203.0.113.{i}" for i in range(records)))
    )
    data = reply.to_wire()
    monkeypatch.setattr(wire.dns.message, "from_wire", read)

    assert await wire.parse(data, question) is reply

    assert [thread is not threading.main_thread() for thread in threads] == [outside]
