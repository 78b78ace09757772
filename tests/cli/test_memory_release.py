"""Memory at the start of the process."""

from __future__ import annotations

import asyncio
import gc

from mailegress.cli.memory_release import AGAIN, GROWING, SETTLED, Tidy
from tests.support.virtual_loop import run_virtually


def test_the_garbage_is_collected_less_often_until_the_start_is_over() -> None:
    usual = gc.get_threshold()
    given: list[float] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        tidy = Tidy(lambda: given.append(loop.time() - began))
        tidy.start()
        assert gc.get_threshold() == GROWING
        await asyncio.sleep(SETTLED + AGAIN + 1.0)
        assert gc.get_threshold() == usual
        tidy.stop()
        await asyncio.sleep(AGAIN + 1.0)

    try:
        run_virtually(story())
    finally:
        gc.unfreeze()
    assert given == [SETTLED, SETTLED + AGAIN]


def test_a_start_that_is_cut_short_leaves_the_garbage_collector_as_it_was() -> None:
    usual = gc.get_threshold()

    async def story() -> None:
        tidy = Tidy(lambda: None)
        tidy.start()
        tidy.stop()

    run_virtually(story())
    assert gc.get_threshold() == usual
