"""A name server sends replies that are expensive to read."""

from __future__ import annotations

import asyncio

import dns.rdatatype
import pytest

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
