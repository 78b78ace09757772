"""A name server sends replies that are expensive to read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from mailegress.dns import wire
from mailegress.dns.query import ReplyTooLarge, Server
from mailegress.dns.turns import Turns
from mailegress.dns.udp import UdpQuery
from tests.hostile.conftest import Bound, LoopLag
from tests.support.hostile_dns import BEHAVIOURS, LONG, Evil, State, address_of

T = TypeVar("T")

LAG = 0.25
"""Seconds by which the loop may be late."""

QUESTIONS = 16
"""Sockets that one namespace may have open."""

TOGETHER = 256
"""Sockets that all namespaces may have open."""

LONGEST = 4084
"""Bytes of the reply whose names cost most."""


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
        ("many-names", 13, False),
        ("many-names", 212, False),
    ],
)
async def test_costly_replies_do_not_delay_the_loop(
    behaviour: str, size: int, refused: bool, transport: str, bound: Bound, loop_lag: LoopLag
) -> None:
    query = UdpQuery(timeout=5.0)
    with Evil(behaviour, servers=1, size=size, truncate=transport == "tcp") as evil:
        server = Server("evil", address_of(0), evil.port)

        loop_lag.worst = 0.0
        outcomes = await asyncio.gather(
            *(query(server, LONG.to_text(), dns.rdatatype.A, recurse=False) for _ in range(QUESTIONS)),
            return_exceptions=True,
        )
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


async def test_replies_that_arrive_together_do_not_delay_the_loop(bound: Bound, loop_lag: LoopLag) -> None:
    query = UdpQuery(timeout=20.0, max_queries=TOGETHER)
    with Evil("many-names", servers=1, size=13, together=2.0) as evil:
        server = Server("evil", address_of(0), evil.port)
        loop_lag.worst = 0.0
        replies = await asyncio.gather(
            *(query(server, LONG.to_text(), dns.rdatatype.A, recurse=False) for _ in range(TOGETHER))
        )

    assert {len(reply.authority) for reply in replies} == {13}
    bound(f"DNS reply: loop lag in seconds, {TOGETHER} replies at once", limit=LAG, seen=loop_lag.worst)


def costly() -> tuple[bytes, dns.message.Message]:
    """The reply of ``LONGEST`` bytes whose names cost most, and its question."""
    question = dns.message.make_query(LONG, "A")
    reply = BEHAVIOURS["many-names"](State(servers=1, size=212), question, address_of(0), "udp")
    assert reply is not None
    assert len(reply) == LONGEST
    return reply, question


async def test_the_costliest_reply_is_read_in_a_fifth_of_a_second(bound: Bound) -> None:
    reply, question = costly()
    spent = []
    for _ in range(3):
        began = time.process_time()
        read = await wire.parse(reply, question, Turns())
        spent.append(time.process_time() - began)
        assert read is not None
        assert len(read.authority) == 212 - 26, "letters in both cases name the same"
    # The least: a processor that others use too takes longer.
    bound("DNS reply: processor seconds for the costliest one", limit=0.2, seen=min(spent))


@pytest.mark.parametrize(("small", "turns"), [(True, range(1, 2)), (False, range(4, 100))])
async def test_a_costly_reply_is_read_in_many_turns_and_a_small_one_in_one(
    small: bool, turns: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record may take all the time of a turn; here each takes a tenth."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds) * wire._PIECE / 10)
    reply, question = costly()
    if small:
        answer = dns.message.make_response(question)
        answer.answer.append(dns.rrset.from_text(LONG, 60, "IN", "A", "203.0.113.5"))
        reply = answer.to_wire()
    taken = 0

    class Counted(Turns):
        async def __call__(self, piece: Callable[[], T]) -> T:
            nonlocal taken
            taken += 1
            return await super().__call__(piece)

    assert await wire.parse(reply, question, Counted()) is not None
    assert taken in turns


@pytest.mark.parametrize(("cost", "together"), [(0.0, 32), (0.002, 3), (0.02, 1)])
async def test_a_turn_of_the_loop_has_a_limited_amount_of_work(
    cost: float, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, done, clock, number = Turns(), Counter[int](), 0.0, 0
    monkeypatch.setattr(time, "perf_counter", lambda: clock)

    def piece() -> None:
        nonlocal clock
        clock += cost
        done[number] += 1

    tasks = [asyncio.create_task(turns(piece)) for _ in range(96)]
    while not all(task.done() for task in tasks):
        number += 1
        await asyncio.sleep(0)

    assert max(done.values()) == together
    assert sum(done.values()) == 96
    assert len(done) == 96 // together, "every turn is used"


async def test_who_gives_up_costs_nothing_and_errors_are_the_askers() -> None:
    turns, made = Turns(), []

    def fails() -> None:
        raise ValueError

    tasks = [asyncio.create_task(turns(lambda i=i: made.append(i))) for i in range(4)]  # type: ignore[misc]
    failing = asyncio.create_task(turns(fails))
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, failing, return_exceptions=True)
        assert await turns(lambda: 5) == 5

    assert isinstance(failing.exception(), ValueError)
    assert [task.cancelled() for task in tasks] == [True, False, True, False]
    assert made == [1, 3]
