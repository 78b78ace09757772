"""The double of the API server answers as the real one did when it was recorded (``record_api.py``)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mailegress.kube.transport import Transport
from tests.support.simulation.apicases import CASES
from tests.support.simulation.apiplay import GOLDEN, differences, play
from tests.support.simulation.apiserver import ApiServer
from tests.support.simulation.apisession import SERVER, now_from
from tests.support.simulation.world import START
from tests.support.virtual_loop import run_virtually


class Double:
    """The API server of the simulation, fresh."""

    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.api = ApiServer(clock, now_from(START, clock), random.Random(1))
        # As after the start of a real one: of the first revisions nothing is known any more.
        self.api.expire()
        self.transport = Transport(self.api.session(lambda: None, lambda: None), SERVER)

    async def namespaces(self, *names: str) -> None:
        """Every namespace is there."""

    async def end(self, name: str) -> None:
        self.api.terminating.add(name)


@pytest.mark.parametrize("name", CASES)
def test_the_double_answers_as_the_real_one(name: str) -> None:
    async def story() -> list[dict[str, Any]]:
        return await play(CASES[name], Double())

    differing = differences(name, run_virtually(story()))
    assert differing == [], "\n".join(differing[:10])


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)
