"""What befalls one operator of several: it is frozen, or cut off from the API server. Counts who writes what."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Any

import aiohttp

from sandbox.aws.service import Call, Reply
from tests.support.simulation.apiwire import Reply as ApiReply
from tests.support.simulation.harness import Process, Sim, owner_of
from tests.support.simulation.world import WRITES


class Owners:
    """Stands between the operators of one simulation and their surroundings."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self.wrote: Counter[int] = Counter()
        """Process number -> writes that reached AWS or the API server (Leases aside)."""
        self._cut: set[Process] = set()
        self._loop: Any = asyncio.get_running_loop()
        self._answer, self._exchange = sim.api.answer, sim.world.service.exchange
        sim.api.answer = self._on_request  # type: ignore[method-assign]
        sim.world.service.exchange = self._on_call  # type: ignore[method-assign]

    def cut_off(self, process: Process) -> None:
        """From the API server: no request gets through any more."""
        self._sim.trace.note("process", f"operator-{process.number} is cut off from the API server")
        self._cut.add(process)

    def freeze(self, process: Process) -> None:
        """SIGSTOP: nothing of it runs any more, while time goes on."""
        self._sim.trace.note("process", f"operator-{process.number} is frozen")
        self._loop._ready = _Sifted(self._loop._ready, process)

    def thaw(self) -> None:
        """SIGCONT: all that had become due meanwhile runs, in order."""
        sifted: _Sifted = self._loop._ready
        self._sim.trace.note("process", f"operator-{sifted.frozen.number} goes on")
        self._loop._ready = deque([*sifted.held, *sifted])

    def _on_request(self, method: str, url: str, body: Any) -> ApiReply:
        process = owner_of(None)
        if process in self._cut:
            raise aiohttp.ServerDisconnectedError
        if process is not None and method != "GET" and "/leases" not in url:
            self.wrote[process.number] += 1
        return self._answer(method, url, body)

    def _on_call(self, call: Call) -> Reply:
        process = owner_of(None)
        if process is not None and call.operation in WRITES:
            self.wrote[process.number] += 1
        return self._exchange(call)


class _Sifted(deque[asyncio.Handle]):
    """A loop's ready queue that keeps back what belongs to one process."""

    def __init__(self, ready: deque[asyncio.Handle], frozen: Process) -> None:
        super().__init__(ready)
        self.frozen = frozen
        self.held: list[asyncio.Handle] = []
        self._nothing = asyncio.Handle(lambda: None, (), asyncio.get_running_loop())
        self._nothing.cancel()

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        if owner_of(handle) is not self.frozen:
            return handle
        self.held.append(handle)
        return self._nothing
